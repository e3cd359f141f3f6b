//! Media: local files, web addresses and objects of an object store, inspected by their own bytes and streamed, never
//! whole in memory.
//!
//! | | |
//! |---|---|
//! | [`examine`], [`look`] | what is wrong with media, and what they are: without the network, and with it |
//! | [`open`], [`open_part`] | their bytes: exactly as many as announced, or the stream ends in an error |
//! | [`public_url`] | where a platform can fetch them itself |
//!
//! A download that breaks off goes on where it stopped, if the server still has the same file. Paths and URLs come from
//! whoever wrote the post, who need not be the operator: a [`Policy`] says what they may reach.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Body;
use thiserror::Error;
use url::Url;

use crate::http::{Http, web_address};
use crate::outcome::{Failure, Reason};
use crate::post::{Content, Media};

mod address;
mod download;
mod facts;
mod file;
mod s3;

use download::Origin;
pub use facts::{Facts, Family};
pub use s3::S3;

/// How long an address from [`public_url`] can be fetched.
const PUBLIC_FOR: Duration = Duration::from_hours(1);
/// What a file is sent as if nothing tells its type.
const ANY_TYPE: &str = "application/octet-stream";

/// What may be opened, and how.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Whether URLs may lead to private addresses too: for tests and the sandbox.
    pub allow_private: bool,
    /// A local file must be in one of these, symbolic links resolved. Empty: there are none.
    pub directories: Vec<PathBuf>,
    /// What opens `s3://` addresses. None: they are refused.
    pub s3: Option<S3>,
}

/// A medium's bytes, or some of them, ready to be sent on.
#[derive(Debug)]
pub struct Source {
    /// The size of the whole file in bytes. Parts of it with different totals are not of the same file.
    pub total: u64,
    /// Where in it the body starts.
    pub offset: u64,
    /// How many bytes the body has: exactly so many, or it ends in an error.
    pub length: u64,
    /// The file's MIME type, `application/octet-stream` if nothing tells it.
    pub mime: String,
    /// What changes with the file, where that is told: the time of its last change, or its server's entity
    /// tag or Last-Modified. Parts of it with different versions are not of the same file.
    pub version: Option<String>,
    /// The bytes, read as they are sent.
    pub body: Body,
}

/// Why a body ended early. It is shown as the cause of the upload's error.
#[derive(Debug, Error)]
#[error("{0}")]
struct Broken(String);

/// Where a medium is.
enum Place<'a> {
    File(&'a Path),
    Remote(Origin),
}

impl<'a> Place<'a> {
    fn of(media: &'a Media, http: &Http) -> Result<Self, Failure> {
        match (&media.path, &media.url) {
            (Some(path), _) => Ok(Self::File(Path::new(path))),
            (None, Some(url)) => Origin::of(url, http).map(Self::Remote),
            (None, None) => Err(Failure::rejected(
                "the media names neither a url nor a path",
            )),
        }
    }
}

/// Everything that is wrong with the content's media as far as this machine alone can tell, and what each of them is.
///
/// Files are read (their headers only); of URLs there is only what is declared. The facts are in the order of the
/// media, one for each; there are none if the list can't be read.
pub fn examine(content: &Content, policy: &Policy) -> (Vec<Facts>, Vec<String>) {
    let media = match content.media() {
        Ok(media) => media,
        Err(problem) => return (Vec::new(), vec![problem]),
    };
    let mut problems = Vec::new();
    let mut examined = |(index, media): (usize, &Media)| {
        examine_one(media, policy).unwrap_or_else(|problem| {
            problems.push(format!("media {}: {problem}", index + 1));
            Facts::declared(declared_type(media))
        })
    };
    let facts = media.iter().enumerate().map(&mut examined).collect();
    (facts, problems)
}

fn examine_one(media: &Media, policy: &Policy) -> Result<Facts, String> {
    if let Some(path) = &media.path {
        return file::inspect(Path::new(path), policy, declared_type(media));
    }
    let address = media.url.as_deref().unwrap_or_default();
    if s3::is_s3(address) {
        s3::check(address, policy.s3.as_ref())?;
    } else {
        let url = web_address(address)?;
        if !policy.allow_private {
            address::refuse_private_literal(&url)?;
        }
    }
    Ok(Facts::declared(declared_type(media)))
}

/// Opens the file or asks the URL for its beginning: is it there, what is it?
///
/// Of a URL at most 256 KiB are read, so that the facts of a video whose index is at its end stay unknown. A failure's
/// message names the medium by its number (from 1) and its address, without what may be secret in it.
pub async fn look(number: usize, media: &Media, http: &Http) -> Result<Facts, Failure> {
    let looked = look_unnumbered(media, http).await;
    looked.map_err(|failure| about(failure, &format!("media {number}")))
}

/// The same, where the number is not known: a failure's message begins with the address in brackets.
pub(crate) async fn look_unnumbered(media: &Media, http: &Http) -> Result<Facts, Failure> {
    let declared = declared_type(media);
    let looked = match Place::of(media, http) {
        Ok(Place::File(path)) => file::look(path, &http.media, declared).await,
        Ok(Place::Remote(origin)) => download::look(&origin, http, declared).await,
        Err(failure) => Err(failure),
    };
    looked.map_err(|failure| about(failure, &format!("({}):", shown(media))))
}

/// The whole of a picture, video or document of at most `limit` bytes.
///
/// A URL is asked for here, and its body read only as the [`Source`] is sent.
pub async fn open(media: &Media, http: &Http, limit: u64) -> Result<Source, Failure> {
    opened(media, http, None, limit).await
}

/// Exactly these bytes of a file that has at most `limit` in all.
pub async fn open_part(
    media: &Media,
    http: &Http,
    range: Range<u64>,
    limit: u64,
) -> Result<Source, Failure> {
    opened(media, http, Some(range), limit).await
}

async fn opened(
    media: &Media,
    http: &Http,
    part: Option<Range<u64>>,
    limit: u64,
) -> Result<Source, Failure> {
    let wanted = Wanted { part, limit };
    match Place::of(media, http)? {
        Place::File(path) => file::open(path, media, &http.media, wanted).await,
        Place::Remote(origin) => download::open(origin, media, http, wanted).await,
    }
}

/// What of a file is wanted, should it be no larger than the limit.
struct Wanted {
    /// None: all of it.
    part: Option<Range<u64>>,
    limit: u64,
}

impl Wanted {
    /// The bytes to be sent of a file of that size.
    fn of(&self, total: u64) -> Result<Range<u64>, Failure> {
        if total == 0 {
            return Err(Failure::rejected("the media file is empty"));
        }
        if total > self.limit {
            return Err(Failure::rejected(format!(
                "the media file has {total} bytes; the platform takes {}",
                self.limit
            )));
        }
        let range = self.part.clone().unwrap_or(0..total);
        if range.start >= range.end || range.end > total {
            return Err(Failure::rejected(format!(
                "the media file has {total} bytes, and the bytes from {} to {} are wanted: was it exchanged?",
                range.start, range.end
            )));
        }
        Ok(range)
    }
}

/// An address that a platform can fetch itself: the URL, or one that opens the object for an hour.
///
/// A local file has none; it is rejected.
pub async fn public_url(media: &Media, http: &Http) -> Result<String, Failure> {
    match Place::of(media, http)? {
        Place::File(path) => Err(Failure::rejected(format!(
            "the platform fetches media itself and can't reach the local file {}; give a public url",
            path.display()
        ))),
        Place::Remote(origin) => origin.address(PUBLIC_FOR).await.map(String::from),
    }
}

/// A medium's place without what may be a secret: the user and the query of a URL.
pub(crate) fn shown(media: &Media) -> String {
    // An object's key is no path, and its address has no place for a secret.
    if let Some(address) = media.url.as_deref().filter(|address| s3::is_named(address)) {
        return address.to_owned();
    }
    match media.url.as_deref().map(Url::parse) {
        Some(Ok(url)) => shown_url(&url),
        // Where the secrets are in it, nobody knows.
        Some(Err(_)) => "an address that is not a URL".to_owned(),
        None => media.location().to_owned(),
    }
}

fn shown_url(url: &Url) -> String {
    if url.cannot_be_a_base() {
        return format!("{}:…", url.scheme());
    }
    let mut url = url.clone();
    // A URL that can't have a user has none to hide.
    url.set_username("").ok();
    url.set_password(None).ok();
    url.set_fragment(None);
    if url.query().is_some() {
        url.set_query(None);
        return format!("{url}?…");
    }
    url.into()
}

/// The same failure, saying what it is about.
fn about(failure: Failure, what: &str) -> Failure {
    let told = |reason: Reason| Reason {
        message: Reason::new(reason.class, format!("{what} {}", reason.message)).message,
        ..reason
    };
    match failure {
        Failure::Retry { after, reason } => Failure::Retry {
            after,
            reason: told(reason),
        },
        Failure::RateLimited {
            after,
            scope,
            reason,
        } => Failure::RateLimited {
            after,
            scope,
            reason: told(reason),
        },
        Failure::Unauthorized { reason } => Failure::Unauthorized {
            reason: told(reason),
        },
        Failure::NeedsLogin { reason } => Failure::NeedsLogin {
            reason: told(reason),
        },
        Failure::Rejected { reason } => Failure::Rejected {
            reason: told(reason),
        },
        Failure::Unconfirmed { reason } => Failure::Unconfirmed {
            reason: told(reason),
        },
    }
}

/// The client that fetches media from the web.
pub(crate) fn client(policy: &Policy) -> reqwest::Client {
    address::builder(policy.allow_private)
        .build()
        .expect("a client with bundled roots and fixed settings can be built")
}

/// The MIME type as far as the media say it: their own, or what the name ends in.
pub fn declared_type(media: &Media) -> Option<&str> {
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
        "bmp" => "image/bmp",
        "tif" | "tiff" => "image/tiff",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "avif" => "image/avif",
        "mp4" | "m4v" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        "mkv" => "video/x-matroska",
        "avi" => "video/x-msvideo",
        "mpg" | "mpeg" => "video/mpeg",
        "pdf" => "application/pdf",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "ppt" => "application/vnd.ms-powerpoint",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        _ => ANY_TYPE,
    }
}

#[cfg(test)]
mod tests;
