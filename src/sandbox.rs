//! A local twin of the platforms: one HTTP server that speaks as Facebook, Instagram, LinkedIn,
//! YouTube and Slack do, checks requests as strictly as their documentation, and keeps what was
//! published where a test, a demo or a benchmark can look at it.
//!
//! A client replaces a platform's scheme and host by `URL/<platform>`. `/` is for people, `/api/…`
//! for scripts, `/samples/…` has files to publish.
//!
//! Reading order: `line` (connections that can be cut), `wire` (a request and a reply as
//! values), `post` (what a reader sees), `world` (what was published, and the counters), `steps` and
//! `fault` (what goes wrong), `media`, `form` and `tokens` (what platforms have in common), then one file per
//! platform. A platform is a function from a request to a reply; only bytes of media are read as they
//! come.

mod line;
mod wire;

mod gallery;
mod post;
mod world;

mod damage;
mod fault;
mod steps;

mod form;
mod media;
mod samples;
mod tokens;

mod facebook;
mod graph;
mod instagram;
mod linkedin;
mod little;
mod slack;
mod upload;
mod youtube;

mod api;

use std::future::{self, Future};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use crate::trust;

pub use fault::{Fault, FaultError};

use line::{Doorman, Line};
use wire::{Call, Reply};
use world::{Flight, Platform, Twin};

/// How long running requests may go on once the server was told to stop; then they are cut.
const GRACE: Duration = Duration::from_millis(250);

/// What a sandbox listens on and how it behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address to listen on; port 0 lets the system choose one (see [`Sandbox::url`]).
    pub addr: SocketAddr,
    /// The delay before each answer of a platform. The request has taken effect by then, as it may
    /// have in reality when a client gives up waiting.
    pub latency: Duration,
    /// How long containers, videos and documents take until they can be used.
    pub processing: Duration,
    /// How long an access token is good that the sandbox itself gave out.
    pub token_lifetime: Duration,
    /// What goes wrong, and how often. Where several would strike one request, the first does.
    pub faults: Vec<Fault>,
}

impl Default for Settings {
    /// A port of the system's choice on this host alone, no delays, tokens for an hour, no faults.
    fn default() -> Self {
        Self {
            addr: (std::net::Ipv4Addr::LOCALHOST, 0).into(),
            latency: Duration::ZERO,
            processing: Duration::ZERO,
            token_lifetime: Duration::from_hours(1),
            faults: Vec::new(),
        }
    }
}

/// The local twin of the platforms, bound to its address and not yet serving.
#[derive(Debug)]
pub struct Sandbox {
    listener: TcpListener,
    settings: Settings,
}

impl Sandbox {
    /// Binds the address. Connections are queued by the system until [`Sandbox::serve`].
    pub async fn bind(mut settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.addr).await?;
        settings.addr = listener.local_addr()?;
        Ok(Self { listener, settings })
    }

    /// The base URL, for example `http://127.0.0.1:8025/`. A wildcard address is shown as loopback,
    /// which is what a client on this host can connect to.
    pub fn url(&self) -> Url {
        let mut addr = self.settings.addr;
        if addr.ip().is_unspecified() {
            addr.set_ip(match addr {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        Url::parse(&format!("http://{addr}")).expect("a socket address makes a valid URL")
    }

    /// Serves until `stop` resolves. Requests that are then running get a quarter of a second;
    /// after that every connection is cut, so a client that holds one open cannot delay the end.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let twin = Arc::new(Twin::new(self.settings));
        let stopping = CancellationToken::new();
        let cut = CancellationToken::new();
        let doorman = Doorman::new(self.listener, cut.clone());
        let routes = routes(twin).into_make_service_with_connect_info::<Line>();
        let stopped = stopping.clone();
        let server = axum::serve(doorman, routes).with_graceful_shutdown(async move {
            stop.await;
            stopped.cancel();
        });
        let deadline = async {
            stopping.cancelled().await;
            tokio::time::sleep(GRACE).await;
            cut.cancel();
            // Every connection fails its next read or write now. Should one not get that far, it is
            // left behind rather than waited for.
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            ended = future::IntoFuture::into_future(server) => ended,
            () = deadline => Ok(()),
        }
    }
}

fn routes(twin: Arc<Twin>) -> Router {
    Router::new()
        .route("/", get(api::page))
        .route("/samples/{name}", get(api::sample))
        .route("/api", get(api::index))
        .route("/api/posts", get(api::posts))
        .route("/api/media/{sha256}", get(api::media))
        .route("/api/stats", get(api::stats))
        .route("/api/reset", post(api::reset))
        .route("/api/faults", get(api::faults).post(api::set_faults))
        .route("/api/settings", get(api::settings).post(api::set_settings))
        .fallback(platform)
        .with_state(twin)
        .layer(middleware::from_fn(guarded))
}

/// Turns away what a page of somebody else has a browser ask: posts forged by its forms, and names that stand for this
/// machine only since the page was loaded.
async fn guarded(request: Request, next: Next) -> Response {
    match stranger(&request) {
        Some(why) => (StatusCode::FORBIDDEN, format!("{why}\n")).into_response(),
        None => next.run(request).await,
    }
}

/// Why a request comes from somebody else's page, if it does.
fn stranger(request: &Request) -> Option<&'static str> {
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let host = header("host").unwrap_or_default();
    let named = Url::parse(&format!("http://{host}")).ok();
    let is_here = named.as_ref().is_none_or(|url| match url.host() {
        Some(Host::Domain(name)) => trust::is_local(name),
        _ => true,
    });
    if !is_here {
        return Some("the sandbox is asked by its address, or a name without a dot");
    }
    let is_look = request.method() == Method::GET && request.uri().path() == "/";
    let from_elsewhere = matches!(header("sec-fetch-site"), Some("cross-site" | "same-site"))
        && !(is_look && header("sec-fetch-mode") == Some("navigate"));
    let of_another = header("origin").is_some_and(|origin| {
        let own = named.map(|url| url.origin());
        Url::parse(origin).ok().map(|url| url.origin()) != own
    });
    (from_elsewhere || of_another).then_some("pages of other origins may not ask the sandbox")
}

/// One request to a platform, from the first byte to the reply or the lack of it.
async fn platform(
    State(twin): State<Arc<Twin>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Some((platform, path)) = Platform::of_path(parts.uri.path()) else {
        return (StatusCode::NOT_FOUND, "no such platform; see /api\n").into_response();
    };
    let flight = Flight::enter(&twin, platform);
    let call = Call::new(&parts, path, &flight);
    let reply = platform.answer(call, body).await;
    let latency = twin.world().latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    match reply {
        Reply::Now(response) => response,
        Reply::Late(delay, response) => {
            tokio::time::sleep(delay).await;
            response
        }
        Reply::Damaged(damage, response) => damage::damaged(damage, response).await,
        Reply::Never => {
            line.cut();
            // Never seen: the connection refuses to carry it.
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

impl Platform {
    /// Each platform reads the body itself: most requests' whole, media as they come.
    async fn answer(self, call: Call<'_>, body: Body) -> Reply {
        match self {
            Self::Facebook => facebook::answer(call, body).await,
            Self::Instagram => instagram::answer(call, body).await,
            Self::Linkedin => linkedin::answer(call, body).await,
            Self::Youtube => youtube::answer(call, body).await,
            Self::Slack => slack::answer(call, body).await,
        }
    }
}

/// The time a platform writes on a post. Nothing in the sandbox is decided by it.
#[expect(
    clippy::disallowed_methods,
    reason = "the sandbox stands for a remote server, which has a clock of its own"
)]
fn wall_clock() -> DateTime<Utc> {
    Utc::now()
}
