//! Media: local files and URLs, checked and streamed, never whole in memory.
//!
//! A URL comes from whoever wrote the post, who need not be the operator: it is fetched without following it into
//! the operator's own network. Addresses are checked as they are resolved, so that a name which points inwards is
//! refused as an address that does.

use std::error::Error;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::iter::successors;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use futures::FutureExt;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::{Body, Client, Response};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;
use url::{Host, Url};

use crate::http::{Effect, Http, client_builder, transport, web_address};
use crate::outcome::{Failure, Reason};
use crate::post::{Content, Media};

/// So many redirects are followed on the way to a file.
const MAX_REDIRECTS: usize = 5;
/// How much of a file is in memory at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// What a file is sent as if nothing tells its type.
const ANY_TYPE: &str = "application/octet-stream";

/// What is wrong with the content's media as far as this machine can tell: missing files, directories, bad URLs.
pub fn problems(content: &Content) -> Vec<String> {
    let media = match content.media() {
        Ok(media) => media,
        Err(problem) => return vec![problem],
    };
    let numbered = |(index, media): (usize, &Media)| {
        problem(media).map(|problem| format!("media {}: {problem}", index + 1))
    };
    media.iter().enumerate().filter_map(numbered).collect()
}

fn problem(media: &Media) -> Option<String> {
    if let Some(path) = &media.path {
        return file_problem(Path::new(path));
    }
    let url = media.url.as_deref()?;
    web_address(url)
        .and_then(|url| refuse_private_literal(&url))
        .err()
}

fn file_problem(path: &Path) -> Option<String> {
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return Some(unreadable_file(path, &error)),
    };
    if metadata.is_dir() {
        return Some(format!("{shown} is a directory; name a file"));
    }
    if !metadata.is_file() {
        return Some(format!("{shown} is not a regular file"));
    }
    if metadata.len() == 0 {
        return Some(format!("the file {shown} is empty"));
    }
    File::open(path)
        .err()
        .map(|error| unreadable_file(path, &error))
}

fn unreadable_file(path: &Path, error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => format!("the file {} does not exist", path.display()),
        _ => format!("the file {} can't be read: {error}", path.display()),
    }
}

/// A host that is written as an address never reaches the resolver, so it is checked here.
fn refuse_private_literal(url: &Url) -> Result<(), String> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    if is_public(address) {
        return Ok(());
    }
    Err(format!(
        "{address} is a private address; media must be on a public one"
    ))
}

/// Whether an address is one of the public internet's.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Everything but what IANA's special-purpose registry (2025-10) sets aside.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b));
    !special
}

/// Global unicast (`2000::/3`) alone, without the tunnels that carry an IPv4 address of anybody's choice; of the rest
/// only what stands for a public IPv4 address.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        [0x2001, 0 | 0x0db8, ..] | [0x2002, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// The client that fetches media.
///
/// It uses no proxy: a proxy would resolve the names itself, unchecked.
pub(crate) fn client(allow_private: bool) -> Client {
    let builder = client_builder().no_proxy();
    let builder = if allow_private {
        builder
    } else {
        builder.dns_resolver(PublicOnly)
    };
    builder
        .build()
        .expect("a client with bundled roots and fixed settings can be built")
}

/// The system's resolver without the answers that point inwards.
#[derive(Debug)]
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        async move {
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = addresses.filter(|at| is_public(at.ip())).collect();
            if public.is_empty() {
                return Err(PrivateHost.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        }
        .boxed()
    }
}

#[derive(Debug, Error)]
#[error("the name stands for private addresses only")]
struct PrivateHost;

/// A file or a download, ready to be sent on.
#[derive(Debug)]
pub struct Source {
    /// Its size in bytes; the body has exactly so many or breaks off.
    pub length: u64,
    /// Its MIME type.
    pub mime: String,
    /// Its content, read as it is sent.
    pub body: Body,
}

/// Opens a post's picture or video of at most `limit` bytes.
///
/// A URL is asked for here, and its body read only as the [`Source`] is sent.
pub async fn open(media: &Media, http: &Http, limit: u64) -> Result<Source, Failure> {
    let source = match (&media.path, &media.url) {
        (Some(path), _) => read(Path::new(path)).await?,
        (None, Some(url)) => fetch(url, http).await?,
        (None, None) => {
            return Err(Failure::rejected(
                "the media names neither a url nor a path",
            ));
        }
    };
    if source.length == 0 {
        return Err(Failure::rejected("the media file is empty"));
    }
    if source.length > limit {
        return Err(Failure::rejected(format!(
            "the media file has {} bytes; the platform takes {limit}",
            source.length
        )));
    }
    let mime = media.mime.clone().unwrap_or(source.mime);
    Ok(Source { mime, ..source })
}

async fn read(path: &Path) -> Result<Source, Failure> {
    let rejected = |error: std::io::Error| Failure::rejected(unreadable_file(path, &error));
    let metadata = tokio::fs::metadata(path).await.map_err(rejected)?;
    if !metadata.is_file() {
        return Err(Failure::rejected(format!(
            "{} is not a regular file",
            path.display()
        )));
    }
    let file = tokio::fs::File::open(path).await.map_err(rejected)?;
    let length = metadata.len();
    // A file that grows meanwhile must not send more than was announced.
    let stream = ReaderStream::with_capacity(file.take(length), CHUNK_BYTES);
    Ok(Source {
        length,
        mime: type_of(&path.to_string_lossy()).to_owned(),
        body: Body::wrap_stream(stream),
    })
}

async fn fetch(address: &str, http: &Http) -> Result<Source, Failure> {
    let mut url = web_address(address).map_err(Failure::rejected)?;
    for _ in 0..=MAX_REDIRECTS {
        if !http.allow_private_media {
            refuse_private_literal(&url).map_err(Failure::rejected)?;
        }
        let request = http.media_client().get(url.clone());
        let sent = request.timeout(http.timeouts.upload).send().await;
        let response = sent.map_err(unreachable_source)?;
        match redirection(&url, &response)? {
            Some(next) => url = next,
            None => return download(&url, response),
        }
    }
    Err(Failure::rejected(format!(
        "the media address redirects more than {MAX_REDIRECTS} times"
    )))
}

fn unreachable_source(error: reqwest::Error) -> Failure {
    let mut chain = successors(Some(&error as &(dyn Error + 'static)), |&error| {
        error.source()
    });
    if chain.any(<dyn Error>::is::<PrivateHost>) {
        return Failure::rejected(
            "the media address leads to a private network; media must be on a public address",
        );
    }
    transport(error, Effect::Reads)
}

fn redirection(from: &Url, response: &Response) -> Result<Option<Url>, Failure> {
    if !response.status().is_redirection() {
        return Ok(None);
    }
    let target = response.headers().get(LOCATION);
    target
        .and_then(|target| target.to_str().ok())
        .and_then(|target| from.join(target).ok())
        .ok_or_else(|| Failure::rejected("the media address redirects to nowhere"))
        .and_then(|url| web_address(url.as_str()).map_err(Failure::rejected))
        .map(Some)
}

fn download(url: &Url, response: Response) -> Result<Source, Failure> {
    let status = response.status();
    if matches!(status.as_u16(), 408 | 425 | 429 | 500..=599) {
        let seconds = response.headers().get(RETRY_AFTER);
        return Err(Failure::Retry {
            after: seconds
                .and_then(|seconds| seconds.to_str().ok()?.parse().ok())
                .map(Duration::from_secs),
            reason: Reason::new(
                "media_unavailable",
                format!("the media server answered HTTP {status}"),
            ),
        });
    }
    if status != reqwest::StatusCode::OK {
        return Err(Failure::rejected(format!(
            "the media server answered HTTP {status}; check the address"
        )));
    }
    let length = response.content_length().ok_or_else(|| {
        Failure::rejected("the media server doesn't say how large the file is (Content-Length)")
    })?;
    let mime = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map_or_else(|| type_of(url.path()), str::trim)
        .to_owned();
    Ok(Source {
        length,
        mime,
        body: Body::wrap_stream(response.bytes_stream()),
    })
}

/// The MIME type as far as the media say it: their own, or what the name ends in.
pub(crate) fn declared_type(media: &Media) -> Option<&str> {
    let by_name = || {
        let name = media.location();
        let name = name.split(['?', '#']).next().unwrap_or(name);
        Some(type_of(name)).filter(|mime| *mime != ANY_TYPE)
    };
    media.mime.as_deref().or_else(by_name)
}

fn type_of(name: &str) -> &'static str {
    let extension = Path::new(name).extension().unwrap_or_default();
    match extension.to_string_lossy().to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "mp4" | "m4v" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        "mkv" => "video/x-matroska",
        "avi" => "video/x-msvideo",
        "mpg" | "mpeg" => "video/mpeg",
        "pdf" => "application/pdf",
        _ => ANY_TYPE,
    }
}

#[cfg(test)]
mod tests;
