//! What is asked of a media server, and what its answer promises.

use std::time::Duration;

use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE, RETRY_AFTER,
};
use reqwest::{RequestBuilder, Response, StatusCode};
use tokio::time::Instant;
use url::Url;

use crate::media::type_of;
use crate::outcome::{Failure, Reason};

/// What is asked of a server.
pub(super) struct Asked<'a> {
    /// From where, and up to where (exclusive), if not all of it.
    pub(super) range: Option<(u64, Option<u64>)>,
    /// Of which the range must be a part.
    pub(super) version: Option<&'a Version>,
    pub(super) deadline: Instant,
}

impl Asked<'_> {
    pub(super) fn headers(&self, request: RequestBuilder) -> RequestBuilder {
        // Bytes are counted, so nobody may pack them.
        let mut request = request.header(ACCEPT_ENCODING, "identity");
        if let Some((start, end)) = self.range {
            let last = end.map_or_else(String::new, |end| end.saturating_sub(1).to_string());
            request = request.header(RANGE, format!("bytes={start}-{last}"));
            if let Some(validator) = self.version.and_then(Version::validator) {
                request = request.header(IF_RANGE, validator);
            }
        }
        request
    }
}

/// What tells one state of a file from another.
#[derive(Clone, Debug, Default)]
pub(super) struct Version {
    pub(super) total: Option<u64>,
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
}

impl Version {
    /// What a server compares before it sends a part. A weak tag allows other bytes, so it is none.
    pub(super) fn validator(&self) -> Option<&HeaderValue> {
        let strong = |tag: &&HeaderValue| tag.as_bytes().starts_with(b"\"");
        self.etag.as_ref().filter(strong).or(self.modified.as_ref())
    }

    /// What differs from a later answer, as far as both say it. An answer without a size proves nothing but by its tag.
    pub(super) fn difference(&self, later: &Self) -> Option<&'static str> {
        let differ = |a: &Option<HeaderValue>, b: &Option<HeaderValue>| {
            a.as_ref().zip(b.as_ref()).is_some_and(|(a, b)| a != b)
        };
        if differ(&self.etag, &later.etag) {
            return Some("another ETag");
        }
        if differ(&self.modified, &later.modified) {
            return Some("another Last-Modified");
        }
        match (later.total, &later.etag) {
            (Some(_), _) if later.total != self.total => Some("another size"),
            (None, None) => Some("neither size nor ETag"),
            _ => None,
        }
    }
}

/// A server's agreement to send bytes.
pub(super) struct Answer {
    pub(super) response: Response,
    /// Where its body starts in the file.
    pub(super) start: u64,
    pub(super) version: Version,
    pub(super) mime: String,
}

impl Answer {
    pub(super) fn of(url: &Url, response: Response) -> Result<Self, Failure> {
        let (start, total) = match response.status() {
            StatusCode::OK => (0, response.content_length()),
            StatusCode::PARTIAL_CONTENT => content_range(response.headers()).ok_or_else(|| {
                Failure::rejected("the media server sends a part and doesn't say which")
            })?,
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let empty = text(response.headers(), CONTENT_RANGE) == Some("bytes */0");
                return Err(Failure::rejected(if empty {
                    "the media file is empty"
                } else {
                    "the media file is shorter than it was said to be"
                }));
            }
            _ => return Err(refusal(&response)),
        };
        let headers = response.headers();
        if let Some(packed) = text(headers, CONTENT_ENCODING).filter(|how| *how != "identity") {
            return Err(Failure::rejected(format!(
                "the media server sends the file packed ({packed}), unasked"
            )));
        }
        let version = Version {
            total,
            etag: headers.get(ETAG).cloned(),
            modified: headers.get(LAST_MODIFIED).cloned(),
        };
        let declared = text(headers, CONTENT_TYPE).and_then(|mime| mime.split(';').next());
        let vague = |mime: &&str| mime.ends_with("/octet-stream") || mime.is_empty();
        let mime = declared.map(str::trim).filter(|mime| !vague(mime));
        Ok(Self {
            start,
            version,
            mime: mime.unwrap_or_else(|| type_of(url.path())).to_owned(),
            response,
        })
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// `bytes 10-19/100`: where the part starts, and the file's size unless that is `*`.
pub(super) fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let (range, total) = text(headers, CONTENT_RANGE)?
        .strip_prefix("bytes ")?
        .split_once('/')?;
    let (start, last) = range.split_once('-')?;
    let (start, last): (u64, u64) = (start.trim().parse().ok()?, last.trim().parse().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    let fits = start <= last && total.is_none_or(|total| last < total);
    fits.then_some((start, total))
}

fn refusal(response: &Response) -> Failure {
    let status = response.status();
    if matches!(status.as_u16(), 408 | 425 | 429 | 500..=599) {
        return Failure::Retry {
            after: text(response.headers(), RETRY_AFTER)
                .and_then(|seconds| seconds.parse().ok())
                .map(Duration::from_secs),
            reason: Reason::new(
                "media_unavailable",
                format!("the media server answered HTTP {status}"),
            ),
        };
    }
    Failure::rejected(format!(
        "the media server answered HTTP {status}; check the address"
    ))
}
