//! publisher with a platform of one's own: a signed webhook. One file, and one registry line (in `main`).
//!
//! ```sh
//! cargo build --release --example custom_platform    # a publisher that knows `webhook`, too
//! target/release/examples/custom_platform accounts add webhook orders --owner acme --setting url=https://example.com/hook
//! ```
//!
//! - **Request**: `POST` of `{id, text, link, media}` to the account's setting `url`.
//! - **Auth**: `X-Signature: sha256=<hex HMAC of the body>`, under the account's token.
//! - **Idempotency**: `Idempotency-Key`, the same for every try of a post. A receiver that keeps it makes a repeated
//!   request harmless, and so an answer that never came is simply asked for again.
//! - **Reply**: any 2xx, with `{id, url}` where the receiver has such.
//! - The account's `external_id` is a name of one's own.

use std::process::ExitCode;
use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use hmac::{Hmac, Mac};
use publisher::account::{Account, Renewed, Standing};
use publisher::http::{Api, Effect, Reply, Session, by_status};
use publisher::limits::{Figure, Quota};
use publisher::outcome::{Failure, Published, Reason};
use publisher::platform::{self, Found, Platform, Step};
use publisher::post::{ClaimedPost, Kind};
use publisher::review::Review;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::Sha256;

fn main() -> ExitCode {
    platform::add(&[&Webhook]);
    publisher::cli::main()
}

/// What this platform takes. The configuration can correct it: `[platforms.webhook.limits]`.
const FIGURES: &[Figure] = &[Figure {
    name: "text_chars",
    value: 10_000.0,
    as_of: "2026-11",
    source: "our own choice",
}];

/// The webhook client.
struct Webhook;

impl Platform for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn title(&self) -> &'static str {
        "the webhook"
    }

    fn cap(&self) -> usize {
        4
    }

    fn spacing(&self) -> Duration {
        Duration::ZERO
    }

    fn base_url(&self, _account: &Account) -> &'static str {
        // Every account names its own; see `target`.
        ""
    }

    fn figures(&self) -> &'static [Figure] {
        FIGURES
    }

    fn quotas(&self) -> &'static [Quota] {
        &[]
    }

    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        &[("url", "where posts are sent")]
    }

    fn validate(&self, review: &mut Review<'_>) {
        let content = review.content;
        if content.kind != Kind::Post {
            review.problem("a webhook takes ordinary posts only");
        }
        review.characters("the body", &content.body, "text_chars");
    }

    fn validate_account(&self, external_id: &str) -> Result<(), String> {
        let fine = external_id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if fine {
            return Ok(());
        }
        Err(format!("`{external_id}`: use letters, digits and hyphens"))
    }

    fn validate_settings(&self, settings: &Map<String, Value>) -> Vec<String> {
        let url = settings.get("url").and_then(Value::as_str);
        match url.map(publisher::http::web_address) {
            Some(Ok(_)) => Vec::new(),
            Some(Err(problem)) => vec![format!("setting `url`: {problem}")],
            None => vec!["the setting `url` is missing: --setting url=https://…".to_owned()],
        }
    }

    fn step<'a>(
        &'a self,
        session: &'a Session<'a>,
        _checkpoint: Option<&'a Value>,
    ) -> LocalBoxFuture<'a, Result<Step, Failure>> {
        async move {
            let body = body(session.post);
            let request = session
                .api
                .anonymous(Method::POST, target(&session.api)?)
                .header("Content-Type", "application/json")
                .header("Idempotency-Key", format!("publisher-{}", session.post.id))
                .header("X-Signature", signature(session.api.token(), &body))
                .body(body);
            // The receiver keeps the key: sent again, it is the same post. So nothing is in doubt that the next try
            // does not settle, and a fault is one of a request that may be repeated.
            let reply = session.send(request, Effect::Prepares).await?;
            accept(&reply).map(Step::Done)
        }
        .boxed_local()
    }

    fn look_up<'a>(
        &'a self,
        _session: &'a Session<'a>,
        _checkpoint: Option<&'a Value>,
    ) -> LocalBoxFuture<'a, Result<Found, Failure>> {
        // Sent again with the same key it is the same post.
        async move { Ok(Found::Resend(None)) }.boxed_local()
    }

    /// There are no lists to wait for.
    fn lag(&self) -> Duration {
        Duration::ZERO
    }

    fn can_refresh(&self, _api: &Api<'_>) -> bool {
        false
    }

    fn refresh_ahead(&self) -> Duration {
        Duration::ZERO
    }

    fn refresh<'a>(&'a self, _api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Renewed, Failure>> {
        let reason = Reason::new("needs_login", "a webhook's secret does not end");
        async move { Err(Failure::NeedsLogin { reason }) }.boxed_local()
    }

    fn check<'a>(&'a self, api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Standing, Failure>> {
        async move {
            target(api)?;
            Ok(Standing {
                notes: vec!["a webhook can only be tried by sending something".to_owned()],
                ..Standing::default()
            })
        }
        .boxed_local()
    }
}

/// The account's own address, or what stands in for it.
fn target<'a>(api: &'a Api<'_>) -> Result<&'a str, Failure> {
    if api.base.is_stand_in {
        return Ok(&api.base.url);
    }
    let url = api.account.setting("url");
    url.ok_or_else(|| Failure::rejected("the account has no setting `url`"))
}

fn body(post: &ClaimedPost) -> Vec<u8> {
    let content = &post.content;
    let body = json!({
        "id": post.id, "text": content.body, "link": content.link, "media": content.media,
    });
    body.to_string().into_bytes()
}

fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    format!("sha256={:x}", mac.finalize().into_bytes())
}

#[derive(Default, Deserialize)]
struct Receipt {
    id: Option<String>,
    url: Option<String>,
}

fn accept(reply: &Reply) -> Result<Published, Failure> {
    if !reply.status.is_success() {
        return Err(by_status(reply, Effect::Prepares));
    }
    let Receipt { id, url } = reply.json().unwrap_or_default();
    Ok(Published::at(id.unwrap_or_default(), url))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    use axum::body::Bytes;
    use axum::extract::State;
    use axum::http::{HeaderMap, StatusCode};
    use axum::response::IntoResponse;
    use axum::routing::post;
    use axum::{Json, Router};
    use clap::Parser;
    use publisher::account::{Credentials, NewAccount};
    use publisher::cli::Cli;
    use publisher::exit::Exit;
    use publisher::secret::{self, Key};
    use publisher::store::{Database, Store};

    use super::*;

    const SECRET: &str = "a shared secret";

    /// What a careful receiver does: it checks the signature, and keeps the key.
    #[derive(Default)]
    struct Receiver {
        by_key: HashMap<String, Value>,
        requests: usize,
    }

    async fn receive(
        State(receiver): State<Arc<Mutex<Receiver>>>,
        headers: HeaderMap,
        body: Bytes,
    ) -> axum::response::Response {
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        if header("x-signature") != signature(SECRET, &body) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let mut receiver = receiver.lock().unwrap();
        receiver.requests += 1;
        let number = receiver.by_key.len() + 1;
        let post: Value = serde_json::from_slice(&body).unwrap();
        receiver
            .by_key
            .entry(header("idempotency-key"))
            .or_insert(post);
        if receiver.requests == 1 {
            // It has the post, and its answer says otherwise.
            let soon = [("Retry-After", "1")];
            return (StatusCode::SERVICE_UNAVAILABLE, soon).into_response();
        }
        Json(json!({"id": number.to_string(), "url": "https://example.com/1"})).into_response()
    }

    /// A command as a person would give it.
    async fn publisher(directory: &std::path::Path, arguments: &[&str]) -> Exit {
        let database = format!("sqlite:{}", directory.join("publisher.db").display());
        let state = directory.display().to_string();
        let mut all = vec![
            "publisher",
            "--database-url",
            &database,
            "--state-dir",
            &state,
        ];
        all.extend(arguments);
        Cli::parse_from(all).execute().await.unwrap()
    }

    async fn seed(directory: &std::path::Path, url: &str) -> (Store, Database) {
        let database: Database = format!("sqlite:{}", directory.join("publisher.db").display())
            .parse()
            .unwrap();
        let mut store = Store::open(&database).await.unwrap();
        let key = Key::load_or_create(&directory.join("encryption.key")).unwrap();
        let credentials = Credentials {
            access_token: SECRET.into(),
            ..Credentials::default()
        };
        let account = NewAccount {
            owner: "acme".to_owned(),
            platform: "webhook".to_owned(),
            external_id: "orders".to_owned(),
            display_name: String::new(),
            timezone: "UTC".to_owned(),
            credentials: Some(secret::seal(&key, "webhook", "orders", &credentials).unwrap()),
            token_expires_at: None,
            settings: json!({"url": url}).as_object().unwrap().clone(),
        };
        store.add_account(&account).await.unwrap();
        (store, database)
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_platform_of_ones_own_is_published_to_once() {
        platform::add(&[&Webhook]);
        let receiver = Arc::new(Mutex::new(Receiver::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let routes = Router::new()
            .route("/hook", post(receive))
            .with_state(Arc::clone(&receiver));
        tokio::spawn(async move { axum::serve(listener, routes).await });

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        publisher(path, &["migrate"]).await;
        let (mut store, _) = seed(path, &url).await;
        let add = [
            "posts",
            "add",
            "--account",
            "webhook:orders",
            "--body",
            "A new order",
        ];
        assert_eq!(publisher(path, &add).await, Exit::Ok);

        // The first answer is a 503 for a moment, which is waited out; then the post is sent again, with the same key.
        assert_eq!(publisher(path, &["run"]).await, Exit::Ok);
        let filter = json!({"id": null, "status": null, "platform": null, "owner": null, "account_id": null, "limit": 10});
        let posts = store.posts(&filter).await.unwrap();
        assert_eq!(posts[0]["status"], "published");
        assert_eq!(posts[0]["permalink"], "https://example.com/1");
        let receiver = receiver.lock().unwrap();
        assert_eq!((receiver.requests, receiver.by_key.len()), (2, 1));
        assert_eq!(receiver.by_key["publisher-1"]["text"], "A new order");
    }
}
