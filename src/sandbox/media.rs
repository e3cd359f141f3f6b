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
    let mut chunks = body.into_data_stream();
    match take_in(&mut chunks, limit, cut_at).await {
        Ok(received) => Ok(received),
        Err(Interrupted::By(_)) => Err(Incomplete::Truncated),
        Err(Interrupted::At(incomplete)) => {
            // A client that is still sending when the connection closes never sees the refusal.
            if incomplete == Incomplete::TooLarge {
                while let Some(Ok(_)) = chunks.next().await {}
            }
            Err(incomplete)
        }
    }
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
        let own = self.own.ip();
        let on_loopback = own.is_loopback() || own.is_unspecified();
        let is_here = match url.host() {
            Some(Host::Ipv4(ip)) => own == ip || (on_loopback && ip.is_loopback()),
            Some(Host::Ipv6(ip)) => own == ip || (on_loopback && ip.is_loopback()),
            Some(Host::Domain(name)) => on_loopback && name == "localhost",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn body(pieces: &[&'static [u8]]) -> Body {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|piece| Ok(Bytes::from_static(piece)))
            .collect();
        Body::from_stream(futures::stream::iter::<Vec<std::io::Result<Bytes>>>(pieces))
    }

    #[tokio::test]
    async fn an_upload_ends_at_its_limit_or_where_it_is_cut() {
        let received = receive(body(&[b"abc", b"def"]), 6, None).await.unwrap();
        assert_eq!(received.bytes, 6);
        assert_eq!(received.sha256, format!("{:x}", Sha256::digest("abcdef")));
        assert_eq!((received.mime, received.family()), (None, None));
        for (limit, cut_at, expected) in [
            (5, None, Incomplete::TooLarge),
            (6, Some(4), Incomplete::Cut),
            (6, Some(0), Incomplete::Cut),
        ] {
            let result = receive(body(&[b"abc", b"def"]), limit, cut_at).await;
            assert_eq!(result.unwrap_err(), expected);
        }
        let broken = [
            Ok(Bytes::from_static(b"abc")),
            Err(std::io::Error::other("gone")),
        ];
        let broken = Body::from_stream(futures::stream::iter(broken));
        let result = receive(broken, 6, None).await;
        assert_eq!(result.unwrap_err(), Incomplete::Truncated);
    }

    #[test]
    fn an_image_is_kept_however_its_bytes_come_and_only_if_it_is_small() {
        let png = samples::find("800x800.png").unwrap();
        for at_once in [1, 31, 100_000] {
            let mut intake = Intake::default();
            png.bytes
                .chunks(at_once)
                .for_each(|chunk| intake.take(chunk));
            let received = intake.end();
            assert_eq!(received.image.unwrap().bytes, png.bytes);
            assert_eq!(received.sha256, png.received().sha256);
        }
        let large = [png.bytes, &vec![0; IMAGE_LIMIT]].concat();
        let received = Received::whole(&large);
        assert_eq!(
            (received.width, received.bytes),
            (Some(800), large.len() as u64)
        );
        assert!(received.image.is_none());
    }

    #[test]
    fn the_sandboxs_own_addresses_are_known() {
        let fetcher = |own: &str| Fetcher::new(own.parse().unwrap());
        let is_own = |own: &str, url: &str| fetcher(own).is_own(&Url::parse(url).unwrap());
        for url in ["http://127.0.0.1:8025/a", "http://localhost:8025/a"] {
            assert!(
                is_own("127.0.0.1:8025", url) && is_own("0.0.0.0:8025", url),
                "{url}"
            );
            assert!(!is_own("192.0.2.1:8025", url), "{url}");
        }
        assert!(is_own("192.0.2.1:8025", "http://192.0.2.1:8025/a"));
        for url in [
            "http://127.0.0.1:8026/a",
            "https://127.0.0.1:8025/a",
            "http://example.com:8025/",
        ] {
            assert!(!is_own("127.0.0.1:8025", url), "{url}");
        }
    }
}
