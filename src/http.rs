//! Requests to platforms: one shared client, timeouts on everything, bounded replies, and the rule that a request
//! says what it does before it is sent.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, StatusCode, redirect};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::account::{Account, App, Credentials};
use crate::journal::Page;
use crate::lease::Lease;
use crate::limits::Limits;
use crate::media::{self, Facts};
use crate::outcome::{Failure, Reason, Scope};
use crate::post::ClaimedPost;
use crate::text::one_line;

pub(crate) mod connect;
mod fault;

pub(crate) use fault::{causes, transport};

/// A reply is read up to this many bytes; no platform's answer to these flows comes near it.
const REPLY_LIMIT: usize = 1 << 20;
/// What is sent must come at this rate at least, in bytes a second, once the first while is over: a byte now and then would
/// hold a run up for minutes.
const SLOWEST: u64 = 1024;
const FIRST_WHILE: Duration = Duration::from_secs(10);

/// How long so many bytes may take to come.
pub(crate) fn patience(bytes: u64) -> Duration {
    FIRST_WHILE + Duration::from_secs(bytes / SLOWEST)
}

/// How much of a reply goes into an error message, in characters.
const EXCERPT_LIMIT: usize = 300;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a request does at the platform. It decides what a fault means: whether the request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Changes nothing.
    Reads,
    /// Changes something nobody sees (an upload, a container).
    Prepares,
    /// Makes the post visible. A fault after it was sent leaves the post unconfirmed.
    Publishes,
    /// Adds to a post that is live (a first comment, a thumbnail). Sent once; a fault becomes a warning.
    Follows,
}

/// How long requests may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// A request with a small body, reply included.
    pub request: Duration,
    /// A request that carries media.
    pub upload: Duration,
}

/// An upload must go at this rate at least, in bytes a second.
const SLOWEST_UPLOAD: u64 = 8 * 1024;

impl Timeouts {
    /// How long an upload of so many bytes may take, reply included: one that is taken a byte at a time would hold its lane
    /// up for all of the time that a large one may take.
    pub fn for_bytes(&self, bytes: u64) -> Duration {
        let slowest = self.request + Duration::from_secs(bytes / SLOWEST_UPLOAD);
        self.upload.min(slowest)
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            request: Duration::from_mins(1),
            upload: Duration::from_mins(10),
        }
    }
}

/// The HTTP client, made when it is first needed: a run with nothing due pays nothing for it.
#[derive(Debug, Default)]
pub struct Http {
    client: OnceCell<Client>,
    media_client: OnceCell<Client>,
    /// How long requests may take.
    pub timeouts: Timeouts,
    /// Which media may be opened.
    pub media: media::Policy,
    /// What need not be asked for again.
    pub known: Known,
}

/// What platforms told that holds for as long as a run lives, by names of their own: the first post that needs it asks.
#[derive(Debug, Default)]
pub struct Known(RefCell<HashMap<String, String>>);

impl Known {
    /// What was told under that name, if anything was.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.borrow().get(name).cloned()
    }

    /// Keeps it.
    pub fn learn(&self, name: &str, told: &str) {
        let mut known = self.0.borrow_mut();
        known.insert(name.to_owned(), told.to_owned());
    }
}

impl Http {
    /// A client with these timeouts, which opens these media.
    pub fn new(timeouts: Timeouts, media: media::Policy) -> Self {
        Self {
            client: OnceCell::new(),
            media_client: OnceCell::new(),
            timeouts,
            media,
            known: Known::default(),
        }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            client_builder()
                .build()
                .expect("a client with bundled roots and fixed settings can be built")
        })
    }

    /// The client that fetches media: a separate one, because their addresses come from whoever wrote the post.
    pub(crate) fn media_client(&self) -> &Client {
        self.media_client.get_or_init(|| media::client(&self.media))
    }
}

/// The settings that every client of ours shares: bundled roots (a bare container has none), no redirects, no retries.
pub fn client_builder() -> reqwest::ClientBuilder {
    let roots: rustls::RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .expect("ring supports the default protocol versions")
    .with_root_certificates(roots)
    .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("publisher/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .connector_layer(connect::Promptly(CONNECT_TIMEOUT))
        .dns_resolver(connect::Resolver)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
}

/// Where a platform's requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Scheme, host and perhaps a path prefix, without a trailing slash.
    pub url: String,
    /// It stands for every host of the platform: the sandbox, or an address from the configuration.
    pub is_stand_in: bool,
}

/// An account's dealings with its platform, be it for a post or not.
pub struct Api<'a> {
    /// The account.
    pub account: &'a Account,
    /// What opens it.
    pub credentials: &'a Credentials,
    /// The application as which the platform knows this program.
    pub app: &'a App,
    /// The client.
    pub http: &'a Http,
    /// Where requests go.
    pub base: &'a Base,
    /// The API version from the configuration, where it gives one.
    pub version: Option<&'a str>,
    /// What the platform takes, as far as it says.
    pub limits: Limits<'a>,
    /// The time by the wall clock, for waits that end at one (midnight somewhere).
    pub now: DateTime<Utc>,
    /// Since when the token is no younger, as far as is known.
    pub token_since: Option<DateTime<Utc>>,
}

/// One post's dealings with its platform during one step.
pub struct Session<'a> {
    /// The account's side of it.
    pub api: Api<'a>,
    /// The post.
    pub post: &'a ClaimedPost,
    /// What its media are, in their order, where that was looked at: before the first step it is.
    pub facts: &'a [Facts],
    /// No publishing request is sent, nor waited for, once this has ended.
    pub lease: &'a Lease,
    /// What is known of the post should this step not come to its end.
    pub trail: &'a Trail,
    /// Where it is written down before it is sent.
    pub page: Page<'a>,
}

/// What a post's steps leave behind even if one panics, or is cut off.
#[derive(Debug, Default)]
pub struct Trail {
    /// When a publishing request may have left, of which it is not known what became: from then on the post is never
    /// "not started".
    pub sent: Cell<Option<DateTime<Utc>>>,
    /// The platform has accepted it under this id: whatever follows (a permalink, a comment), the post is live.
    pub live: RefCell<Option<String>>,
}

impl Api<'_> {
    /// A request to a path of the platform's API (starting with `/`), with the account's token as bearer.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, &format!("{}{path}", self.base.url))
            .bearer_auth(self.token())
    }

    /// The same to another of the platform's hosts.
    pub fn request_at(&self, method: Method, host: &str, path: &str) -> RequestBuilder {
        self.anonymous(method, &self.url_at(host, path))
            .bearer_auth(self.token())
    }

    /// A path at another of the platform's hosts, which a stand-in stands in for, too.
    pub fn url_at(&self, host: &str, path: &str) -> String {
        if self.base.is_stand_in {
            format!("{}{path}", self.base.url)
        } else {
            format!("https://{host}{path}")
        }
    }

    /// A request to any URL without a token.
    pub fn anonymous(&self, method: Method, url: &str) -> RequestBuilder {
        self.http
            .client()
            .request(method, url)
            .timeout(self.http.timeouts.request)
    }

    /// The account's token.
    pub fn token(&self) -> &str {
        self.credentials.access_token.expose_secret()
    }

    /// Whether an upload may go to a URL that the platform named: on the API's host or one of these, and below one of
    /// these paths. Anywhere else on its hosts the same request could do something else.
    pub fn trusts(&self, url: &str, hosts: &[&str], paths: &[&str]) -> bool {
        let (Ok(url), Ok(base)) = (Url::parse(url), Url::parse(&self.base.url)) else {
            return false;
        };
        let path = if self.base.is_stand_in {
            let is_its = url.origin() == base.origin();
            url.path()
                .strip_prefix(base.path().trim_end_matches('/'))
                .filter(|_| is_its)
        } else {
            let host = url.host_str().unwrap_or_default();
            let is_theirs = hosts.contains(&host) || base.host_str() == Some(host);
            Some(url.path())
                .filter(|_| url.scheme() == "https" && url.port().is_none() && is_theirs)
        };
        path.is_some_and(|path| paths.iter().any(|below| path.starts_with(below)))
    }

    fn asker(&self) -> Asker {
        Asker {
            external_id: self.account.external_id.clone(),
            token_since: self.token_since,
        }
    }

    /// Id and secret of the application, where both are known: the account's own, else the configuration's.
    pub fn app(&self) -> Option<(&str, &str)> {
        let id = self.credentials.client_id.as_deref();
        let secret = self.credentials.client_secret.as_ref();
        let id = id.or(self.app.client_id.as_deref())?;
        let secret = secret.or(self.app.client_secret.as_ref())?;
        Some((id, secret.expose_secret()))
    }

    /// Sends a request that publishes nothing, and reads its reply, whatever its status.
    pub async fn send(&self, request: RequestBuilder, effect: Effect) -> Result<Reply, Failure> {
        debug_assert_ne!(effect, Effect::Publishes, "only a session publishes");
        exchange(request, effect, self.asker()).await
    }
}

impl Session<'_> {
    /// Notes that the platform has accepted the post under this id, before anything else is asked of it.
    pub fn accepted(&self, id: &str) {
        *self.trail.live.borrow_mut() = Some(id.to_owned());
    }

    /// Sends the request that makes the post visible, and reads its reply, whatever its status.
    ///
    /// Transport faults become decisions here: what surely was not sent may be tried again; what may have arrived is
    /// unconfirmed.
    pub async fn publish(&self, request: RequestBuilder) -> Result<Reply, Failure> {
        self.page.sending()?;
        self.lease.check(self.post.id)?;
        self.trail.sent.set(Some(self.page.clock.now()));
        let asker = self.api.asker();
        let result = tokio::select! {
            biased;
            result = exchange(request, Effect::Publishes, asker) => result,
            // From now on another run may look for it, and must not find it come in later.
            () = self.lease.ended() => Err(cut_off()),
        };
        if let Err(failure) = &result
            && !matches!(failure, Failure::Unconfirmed { .. })
        {
            self.trail.sent.set(None);
        }
        result
    }

    /// The same for any effect.
    pub async fn send(&self, request: RequestBuilder, effect: Effect) -> Result<Reply, Failure> {
        match effect {
            Effect::Publishes => self.publish(request).await,
            _ => self.api.send(request, effect).await,
        }
    }
}

fn cut_off() -> Failure {
    let message = "the claim on this post ended before the platform answered";
    let reason = Reason::new("lease_ended", message);
    Failure::Unconfirmed { reason }
}

async fn exchange(request: RequestBuilder, effect: Effect, asker: Asker) -> Result<Reply, Failure> {
    let sent = request.send().await;
    let mut response = sent.map_err(|error| transport(error, effect))?;
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let mut body = Vec::new();
    let began = Instant::now();
    loop {
        let read = timeout_at(began + patience(body.len() as u64), response.chunk());
        match read.await {
            Ok(Ok(Some(chunk))) if body.len() + chunk.len() <= REPLY_LIMIT => {
                body.extend_from_slice(&chunk);
            }
            Ok(Ok(None)) => break,
            // A refusal is a refusal even when the rest of it can't be read.
            _ if status.is_client_error() => break,
            Err(_) => {
                let reason = Reason::new("timeout", "the reply comes at less than 1 KiB a second");
                return Err(in_doubt(effect, reason));
            }
            Ok(Ok(Some(_))) => {
                let reason = Reason::new(
                    "bad_reply",
                    format!("the reply is larger than {REPLY_LIMIT} bytes"),
                );
                return Err(in_doubt(effect, reason));
            }
            Ok(Err(error)) => return Err(transport(error, effect)),
        }
    }
    Ok(Reply {
        asker,
        status,
        headers,
        body,
    })
}

/// The account whose request was answered, as far as that decides what an answer means.
#[derive(Clone, Debug, Default)]
pub struct Asker {
    /// The platform's own id for it.
    pub external_id: String,
    /// Since when its token is no younger.
    pub token_since: Option<DateTime<Utc>>,
}

/// A platform's answer, read whole (and bounded).
#[derive(Clone, Debug)]
pub struct Reply {
    /// Who asked.
    pub asker: Asker,
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most 1 MiB.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as JSON, if it is that.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// A header as text, if it is there and is that.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body's beginning on one line, for messages.
    pub fn excerpt(&self) -> String {
        let head = &self.body[..self.body.len().min(4 * EXCERPT_LIMIT)];
        one_line(&String::from_utf8_lossy(head), EXCERPT_LIMIT)
    }

    /// `Retry-After` in seconds. (None of the platforms here sends the date form.)
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds: f64 = self.header("retry-after")?.trim().parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// An address that anyone can open in a browser, or why it isn't one.
pub fn web_address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("the address is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "addresses start with http:// or https://, not {}:",
            url.scheme()
        ));
    }
    Ok(url)
}

/// What an error status means where the platform's own error body says nothing.
///
/// Only an explicit refusal proves that a publishing request did nothing: a 4xx, or a 503 that says when to come back.
pub fn by_status(reply: &Reply, effect: Effect) -> Failure {
    let status = reply.status;
    let reason = |class| {
        Reason::new(class, format!("HTTP {status}: {}", reply.excerpt()))
            .code(status.as_u16().to_string())
    };
    match status.as_u16() {
        401 => Failure::Unauthorized {
            reason: reason("needs_login"),
        },
        408 | 409 | 425 => Failure::Retry {
            after: reply.retry_after(),
            reason: reason("refused"),
        },
        429 => rate_limited(reply, reason("rate_limited")),
        503 if reply.retry_after().is_some() => Failure::Retry {
            after: reply.retry_after(),
            reason: reason("unavailable"),
        },
        400..=499 => Failure::Rejected {
            reason: reason("rejected"),
        },
        _ => in_doubt(effect, reason("server_error")),
    }
}

/// The account has asked too often, and rests for as long as the reply says, or a minute.
pub(crate) fn rate_limited(reply: &Reply, reason: Reason) -> Failure {
    Failure::RateLimited {
        after: reply.retry_after().unwrap_or(Duration::from_mins(1)),
        scope: Scope::Account,
        reason,
    }
}

/// A reply that says yes but can't be understood.
pub fn unreadable(reply: &Reply, effect: Effect) -> Failure {
    let message = format!(
        "HTTP {}, but the reply can't be understood: {}",
        reply.status,
        reply.excerpt()
    );
    in_doubt(effect, Reason::new("bad_reply", message))
}

/// A fault that may have come after the platform acted.
pub fn in_doubt(effect: Effect, reason: Reason) -> Failure {
    match effect {
        Effect::Publishes => Failure::Unconfirmed { reason },
        Effect::Reads | Effect::Prepares | Effect::Follows => Failure::Retry {
            after: None,
            reason,
        },
    }
}

/// What the tests of the platforms share: replies made by hand, and failures short enough for a table.
#[cfg(test)]
pub(crate) mod testing {
    use super::{Asker, HeaderMap, Reply, StatusCode};
    use crate::outcome::Failure;

    pub(crate) fn reply(status: u16, body: &str) -> Reply {
        Reply {
            asker: Asker {
                external_id: "1".to_owned(),
                token_since: None,
            },
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        }
    }

    impl Reply {
        pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
            self.headers.insert(name, value.parse().unwrap());
            self
        }
    }

    /// `rejected [duplicate] 506`: the decision, the class where it differs, the platform's code.
    pub(crate) fn verdict(failure: &Failure) -> String {
        let decision = match failure {
            Failure::Retry { after: None, .. } => "retry".to_owned(),
            Failure::Retry {
                after: Some(after), ..
            } => format!("retry in {after:?}"),
            Failure::RateLimited { after, scope, .. } => {
                format!("rate_limited for {after:?}, {scope:?}")
            }
            Failure::Unauthorized { .. } => "unauthorized".to_owned(),
            Failure::NeedsLogin { .. } => "needs_login".to_owned(),
            Failure::Rejected { .. } => "rejected".to_owned(),
            Failure::Unconfirmed { .. } => "unconfirmed".to_owned(),
        };
        let reason = failure.reason();
        let code = reason.code.as_ref().map(ToString::to_string);
        let code = code.unwrap_or_else(|| "-".to_owned());
        format!("{decision} [{}] {code}", reason.class)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_small_upload_has_less_time_than_a_large_one() {
        let timeouts = Timeouts::default();
        for (bytes, seconds) in [(0, 60), (100_000, 72), (1 << 20, 188), (1 << 30, 600)] {
            assert_eq!(timeouts.for_bytes(bytes), Duration::from_secs(seconds));
        }
        let short = Timeouts {
            request: Duration::from_secs(2),
            upload: Duration::from_secs(1),
        };
        assert_eq!(short.for_bytes(1 << 20), Duration::from_secs(1));
    }

    #[test]
    fn an_upload_goes_only_below_the_paths_for_uploads() {
        let account: Account = serde_json::from_value(json!({
            "id": 1, "owner": "o", "platform": "youtube", "external_id": "x", "credentials": null,
            "token_expires_at": null,
        }))
        .unwrap();
        let (credentials, app, http) = (Credentials::default(), App::default(), Http::default());
        let trusts = |base: &str, is_stand_in, url: &str| {
            let base = Base {
                url: base.to_owned(),
                is_stand_in,
            };
            let api = Api {
                account: &account,
                credentials: &credentials,
                app: &app,
                http: &http,
                base: &base,
                version: None,
                limits: Limits::corrected(&[], None),
                now: DateTime::UNIX_EPOCH,
                token_since: None,
            };
            api.trusts(url, &["up.example.com"], &["/upload/"])
        };
        for (url, fine) in [
            ("https://up.example.com/upload/1?token=2", true),
            ("https://api.example.com/upload/1", true),
            ("https://api.example.com/v25.0/1?method=delete", false),
            ("https://up.example.com/other", false),
            ("https://up.example.com/upload/../other", false),
            ("https://up.example.com:444/upload/1", false),
            ("http://up.example.com/upload/1", false),
            ("https://up.example.com.evil.example/upload/1", false),
            ("https://up.example.com@evil.example/upload/1", false),
            ("nonsense", false),
        ] {
            assert_eq!(trusts("https://api.example.com", false, url), fine, "{url}");
        }
        for (url, fine) in [
            ("http://127.0.0.1:1/youtube/upload/1", true),
            ("http://127.0.0.1:1/youtube/other", false),
            ("http://127.0.0.1:1/upload/1", false),
            ("http://127.0.0.1:2/youtube/upload/1", false),
            ("https://up.example.com/upload/1", false),
        ] {
            assert_eq!(
                trusts("http://127.0.0.1:1/youtube", true, url),
                fine,
                "{url}"
            );
        }
    }
}
