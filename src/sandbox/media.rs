//! Media as a platform takes them in: uploaded, or fetched from an address that a request names.
//!
//! What a medium is, is read from its own bytes as they come. Images are kept for people to look at;
//! videos are only counted and hashed.
//!
//! A handler fetches first and locks the world afterwards: the address may be the sandbox's own.

mod movie;
mod picture;

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use url::{Host, Url};

use super::gallery::{IMAGE_LIMIT, Image};
use super::post::Family;
use super::samples;
use movie::Movie;

/// How long a platform tries to fetch a file.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_REDIRECTS: usize = 5;
/// The largest file that is fetched: Instagram's limit for a video.
const FETCH_LIMIT: u64 = 300 * 1024 * 1024;
/// Every type is known by so many of a file's first bytes.
const HEAD_BYTES: usize = 32;

/// A medium that was taken in. What its bytes do not tell stays `None`.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) bytes: u64,
    /// Lower-case hex.
    pub(super) sha256: String,
    /// By its first bytes, whatever was said of it.
    pub(super) mime: Option<&'static str>,
    /// Pixels, as displayed.
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
    pub(super) duration: Option<Duration>,
    /// The bytes of an image that a browser can show, if it is not too large to keep.
    pub(super) image: Option<Image>,
}

impl Received {
    pub(super) fn family(&self) -> Option<Family> {
        match self.mime?.split('/').next()? {
            "image" => Some(Family::Image),
            "video" => Some(Family::Video),
            _ => Some(Family::Document),
        }
    }

    /// A medium that is in memory anyway.
    pub(super) fn whole(bytes: &[u8]) -> Self {
        let mut intake = Intake::default();
        intake.take(bytes);
        intake.end()
    }
}

/// Takes a medium's bytes in one by one.
#[derive(Clone, Default)]
pub(super) struct Intake {
    hash: Sha256,
    bytes: u64,
    /// The whole file so far, as long as it may be an image worth keeping; else its beginning.
    head: Vec<u8>,
    movie: Movie,
}

impl Intake {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        let known = self.head.len() >= HEAD_BYTES;
        let is_image = picture::mime(&self.head).is_some();
        let limit = if known && !is_image {
            HEAD_BYTES
        } else {
            IMAGE_LIMIT
        };
        let room = limit.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        if !is_image {
            self.movie.take(bytes);
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn end(self) -> Received {
        let mut received = Received {
            bytes: self.bytes,
            sha256: format!("{:x}", self.hash.finalize()),
            mime: None,
            width: None,
            height: None,
            duration: None,
            image: None,
        };
        if let Some(mime) = picture::mime(&self.head) {
            received.mime = Some(mime);
            (received.width, received.height) = picture::size(&self.head).unzip();
            if self.head.len() as u64 == self.bytes && picture::is_shown_by_browsers(mime) {
                let bytes = self.head.into();
                received.image = Some(Image { mime, bytes });
            }
        } else if let Some(mime) = movie::mime(&self.head) {
            received.mime = Some(mime);
            let facts = self.movie.facts();
            (received.width, received.height) = facts.size.unzip();
            received.duration = facts.duration;
        } else if self.head.starts_with(b"%PDF-") {
            received.mime = Some("application/pdf");
        }
        received
    }
}

/// Why a medium did not arrive whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Incomplete {
    /// A fault cuts the connection here.
    Cut,
    /// The client ended too early.
    Truncated,
    TooLarge,
}

/// Reads an upload of at most `limit` bytes. At the byte `cut_at` it stops listening.
pub(super) async fn receive(
    body: Body,
    limit: u64,
    cut_at: Option<u64>,
) -> Result<Received, Incomplete> {
    take_in(body.into_data_stream(), limit, cut_at)
        .await
        .map_err(|failure| match failure {
            Interrupted::At(incomplete) => incomplete,
            Interrupted::By(_) => Incomplete::Truncated,
        })
}

enum Interrupted<E> {
    At(Incomplete),
    By(E),
}

async fn take_in<E>(
    chunks: impl Stream<Item = Result<Bytes, E>>,
    limit: u64,
    cut_at: Option<u64>,
) -> Result<Received, Interrupted<E>> {
    let mut chunks = std::pin::pin!(chunks);
    let mut intake = Intake::default();
    while let Some(chunk) = chunks.next().await {
        intake.take(&chunk.map_err(Interrupted::By)?);
        if cut_at.is_some_and(|cut_at| intake.bytes() >= cut_at) {
            return Err(Interrupted::At(Incomplete::Cut));
        }
        if intake.bytes() > limit {
            return Err(Interrupted::At(Incomplete::TooLarge));
        }
    }
    Ok(intake.end())
}

/// Why an address brought no medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FetchError {
    /// No http or https URL.
    Address,
    /// Nobody answers there, or not to the end.
    Unreachable,
    /// The answer is no success: its HTTP status.
    Status(u16),
    Timeout,
    /// More than 300 MiB.
    TooLarge,
}

/// Fetches media as a platform does. Addresses are not restricted: this is a tool on its user's own
/// machine, and the files are usually there too.
pub(super) struct Fetcher {
    /// Where the sandbox itself listens.
    own: SocketAddr,
    client: OnceLock<Option<reqwest::Client>>,
}

impl Fetcher {
    pub(super) fn new(own: SocketAddr) -> Self {
        Self {
            own,
            client: OnceLock::new(),
        }
    }

    pub(super) async fn fetch(&self, url: &str) -> Result<Received, FetchError> {
        let url = Url::parse(url).map_err(|_| FetchError::Address)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::Address);
        }
        // The sandbox's own samples need no way through the network, which a benchmark would feel.
        if let Some(name) = url.path().strip_prefix("/samples/")
            && self.is_own(&url)
        {
            let sample = samples::find(name).ok_or(FetchError::Status(404))?;
            return Ok(sample.received().clone());
        }
        let client = self.client().ok_or(FetchError::Unreachable)?;
        let response = client.get(url).send().await.map_err(|e| failure(&e))?;
        if !response.status().is_success() {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        take_in(response.bytes_stream(), FETCH_LIMIT, None)
            .await
            .map_err(|interrupted| match interrupted {
                Interrupted::At(_) => FetchError::TooLarge,
                Interrupted::By(error) => failure(&error),
            })
    }

    fn client(&self) -> Option<&reqwest::Client> {
        let build = || {
            let builder = crate::http::client_builder()
                .no_proxy()
                .timeout(FETCH_TIMEOUT)
                .redirect(reqwest::redirect::Policy::limited(MAX_REDIRECTS));
            builder.build().ok()
        };
        self.client.get_or_init(build).as_ref()
    }

    fn is_own(&self, url: &Url) -> bool {
        let is_here = match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback() || self.own.ip() == ip,
            Some(Host::Ipv6(ip)) => ip.is_loopback() || self.own.ip() == ip,
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        is_here && url.scheme() == "http" && url.port_or_known_default() == Some(self.own.port())
    }
}

fn failure(error: &reqwest::Error) -> FetchError {
    if error.is_timeout() {
        FetchError::Timeout
    } else {
        FetchError::Unreachable
    }
}
