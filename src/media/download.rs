//! Media from a web server or an object store. A download that breaks off is resumed where it stopped, and only if the
//! server still has the same file.

use std::error::Error;
use std::time::Duration;

use futures::stream;
use reqwest::header::LOCATION;
use reqwest::{Body, Client, Response, StatusCode};
use tokio::time::{Instant, timeout_at};
use tokio_util::bytes::Bytes;
use url::Url;

use super::address::{PrivateHost, refuse_private_literal};
use super::facts::{self, Facts};
use super::{ANY_TYPE, Broken, Source, Wanted, s3};
use crate::http::{Effect, Http, causes, patience, transport, web_address};
use crate::outcome::{Failure, Reason};
use crate::post::Media;

mod answer;

use answer::{Answer, Asked, Version};

/// So many redirects are followed on the way to a file.
const MAX_REDIRECTS: usize = 5;
/// A connection that brings no byte for so long counts as broken.
const IDLE: Duration = Duration::from_secs(30);
/// So many tries in a row may bring no new byte.
const TRIES: u32 = 5;
/// Before the first of them; each further one waits twice as long.
const PAUSE: Duration = Duration::from_millis(200);
/// How much of a file is read to learn what it is.
const LOOK_BYTES: u64 = 256 * 1024;
/// How long a signed address lives that is used at once.
const SIGNED_FOR: Duration = Duration::from_mins(5);

/// What a file is downloaded from, as often as it takes.
#[derive(Debug)]
pub(super) struct Origin {
    client: Client,
    place: Place,
    allow_private: bool,
    /// How long a server may bring nothing.
    idle: Duration,
}

#[derive(Debug)]
enum Place {
    Web(Url),
    Store(s3::Object),
}

impl Origin {
    pub(super) fn of(address: &str, http: &Http) -> Result<Self, Failure> {
        let idle = IDLE.min(http.timeouts.request);
        if s3::is_s3(address) {
            let object = s3::Object::of(address, http.media.s3.as_ref())?;
            return Ok(Self {
                client: object.client().clone(),
                place: Place::Store(object),
                // The store's address is the operator's, and may well be private.
                allow_private: true,
                idle,
            });
        }
        let url = web_address(address).map_err(Failure::rejected)?;
        Ok(Self {
            client: http.media_client().clone(),
            place: Place::Web(url),
            allow_private: http.media.allow_private,
            idle,
        })
    }

    /// An address that opens the file for so long.
    pub(super) async fn address(&self, lifetime: Duration) -> Result<Url, Failure> {
        let url = match &self.place {
            Place::Web(url) => url.clone(),
            Place::Store(object) => object.signed(lifetime).await?,
        };
        if !self.allow_private {
            refuse_private_literal(&url).map_err(Failure::rejected)?;
        }
        Ok(url)
    }

    /// Asks for the file or a part of it, following redirects. Each way there starts at the file's own address:
    /// what redirects lead to is often signed, and expires.
    async fn ask(&self, asked: &Asked<'_>) -> Result<Answer, Failure> {
        let mut url = self.address(SIGNED_FOR).await?;
        for _ in 0..=MAX_REDIRECTS {
            if !self.allow_private {
                refuse_private_literal(&url).map_err(Failure::rejected)?;
            }
            let left = asked.deadline.saturating_duration_since(Instant::now());
            let request = self.client.get(url.clone()).timeout(left);
            let sending = asked.headers(request).send();
            let until = asked.deadline.min(Instant::now() + self.idle);
            let response = match timeout_at(until, sending).await {
                Ok(sent) => sent.map_err(unreachable_source)?,
                Err(_) => return Err(idle(self.idle)),
            };
            let Some(next) = self.redirection(&url, &response)? else {
                self.heed_store(&response)?;
                return Answer::of(&url, response);
            };
            url = next;
        }
        Err(Failure::rejected(format!(
            "the media address redirects more than {MAX_REDIRECTS} times"
        )))
    }

    /// What an object store's refusal means: whoever set it up reads that, not whoever wrote the address.
    fn heed_store(&self, response: &Response) -> Result<(), Failure> {
        if let Place::Web(_) = self.place {
            return Ok(());
        }
        let status = response.status();
        let why = match status.as_u16() {
            400 => return Err(elsewhere(status)),
            403 => {
                "the store's keys are wrong or may not read it, or this machine's clock is wrong"
            }
            404 => "there is no such object, or no such bucket",
            _ => return Ok(()),
        };
        Err(Failure::rejected(format!(
            "{why} (the object store answered HTTP {status})"
        )))
    }

    fn redirection(&self, from: &Url, response: &Response) -> Result<Option<Url>, Failure> {
        if !response.status().is_redirection() {
            return Ok(None);
        }
        if let Place::Store(_) = self.place {
            return Err(elsewhere(response.status()));
        }
        let target = response.headers().get(LOCATION);
        target
            .and_then(|target| target.to_str().ok())
            .and_then(|target| from.join(target).ok())
            .ok_or_else(|| Failure::rejected("the media address redirects to nowhere"))
            .and_then(|url| web_address(url.as_str()).map_err(Failure::rejected))
            .map(Some)
    }
}

fn elsewhere(status: StatusCode) -> Failure {
    Failure::rejected(format!(
        "the object store answered HTTP {status}: is the bucket in another region (s3_region in [media])?"
    ))
}

fn unreachable_source(error: reqwest::Error) -> Failure {
    if causes(&error).any(<dyn Error>::is::<PrivateHost>) {
        return Failure::rejected(
            "the media address leads to a private network; media must be on a public address",
        );
    }
    transport(error, Effect::Reads)
}

fn idle(after: Duration) -> Failure {
    Failure::Retry {
        after: None,
        reason: Reason::new(
            "timeout",
            format!("the media server sent nothing for {after:?}"),
        ),
    }
}

pub(super) async fn open(
    origin: Origin,
    media: &Media,
    http: &Http,
    wanted: Wanted,
) -> Result<Source, Failure> {
    let deadline = Instant::now() + http.timeouts.upload;
    let part = wanted.part.as_ref();
    let asked = Asked {
        range: part.map(|part| (part.start, Some(part.end))),
        version: None,
        deadline,
    };
    let answer = origin.ask(&asked).await?;
    let total = answer.version.total.ok_or_else(|| {
        Failure::rejected("the media server doesn't say how large the file is (Content-Length)")
    })?;
    let range = wanted.of(total)?;
    let skip = range.start.checked_sub(answer.start).ok_or_else(|| {
        Failure::rejected("the media server sends another part than was asked for")
    })?;
    let mime = media.mime.clone().unwrap_or(answer.mime);
    let version = answer.version.validator();
    let version = version.and_then(|version| version.to_str().ok().map(str::to_owned));
    let download = Download {
        origin,
        version: answer.version,
        next: range.start,
        end: range.end,
        whole: part.is_none(),
        response: Some((answer.response, skip)),
        fruitless: 0,
        waited: Duration::ZERO,
        brought: 0,
        deadline,
    };
    let chunks = stream::try_unfold(download, |mut download| async {
        Ok::<_, Broken>(download.chunk().await?.map(|chunk| (chunk, download)))
    });
    Ok(Source {
        total,
        offset: range.start,
        length: range.end - range.start,
        mime,
        version,
        body: Body::wrap_stream(chunks),
    })
}

/// A file on its way.
struct Download {
    origin: Origin,
    /// Of which all of it must be.
    version: Version,
    /// The first byte that is still owed.
    next: u64,
    end: u64,
    /// Whether the end is the file's.
    whole: bool,
    /// The answer that is being read, and how many of its bytes come before the next one owed.
    response: Option<(Response, u64)>,
    /// How many tries in a row brought nothing.
    fruitless: u32,
    /// How long its servers were waited for; that whoever takes the bytes takes its time is not theirs.
    waited: Duration,
    /// How many bytes they brought.
    brought: u64,
    deadline: Instant,
}

/// Why no byte came.
enum Fault {
    /// Another try may bring it.
    Passing(String),
    /// None will.
    Lasting(String),
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        let why = failure.reason().message.clone();
        match failure {
            Failure::Retry { .. } => Self::Passing(why),
            _ => Self::Lasting(why),
        }
    }
}

impl Download {
    /// The next bytes, over as many connections as it takes.
    async fn chunk(&mut self) -> Result<Option<Bytes>, Broken> {
        while self.next < self.end {
            let why = match self.read().await {
                Ok(bytes) => {
                    self.fruitless = 0;
                    return Ok(Some(bytes));
                }
                Err(Fault::Lasting(why)) => return Err(self.broken(&why)),
                Err(Fault::Passing(why)) => why,
            };
            self.response = None;
            if self.fruitless == TRIES {
                let why = format!("{why}, and {TRIES} more tries brought nothing");
                return Err(self.broken(&why));
            }
            let pause = PAUSE * 2_u32.pow(self.fruitless);
            self.fruitless += 1;
            if Instant::now() + pause >= self.deadline {
                return Err(self.broken(&format!("{why}, and the time is up")));
            }
            tokio::time::sleep(pause).await;
        }
        Ok(None)
    }

    fn broken(&self, why: &str) -> Broken {
        let (next, total) = (self.next, self.version.total.unwrap_or(self.end));
        Broken(format!(
            "the media download stopped at byte {next} of {total}: {why}"
        ))
    }

    async fn read(&mut self) -> Result<Bytes, Fault> {
        if self.response.is_none() {
            self.response = Some(self.again().await?);
        }
        let Some((response, skip)) = &mut self.response else {
            return Err(Fault::Lasting("no answer".to_owned()));
        };
        loop {
            let began = Instant::now();
            let left = patience(self.brought).saturating_sub(self.waited);
            if left.is_zero() {
                return Err(Fault::Lasting(
                    "it comes at less than 1 KiB a second".to_owned(),
                ));
            }
            let until = self.deadline.min(began + self.origin.idle.min(left));
            let read = timeout_at(until, response.chunk()).await;
            self.waited += began.elapsed();
            let mut chunk = match read {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => return Err(Fault::Passing("the server ended early".to_owned())),
                Ok(Err(error)) => return Err(transport(error, Effect::Reads).into()),
                Err(_) => return Err(idle(self.origin.idle).into()),
            };
            let before = usize::try_from(*skip).map_or(chunk.len(), |skip| skip.min(chunk.len()));
            *skip -= before as u64;
            let mut chunk = chunk.split_off(before);
            let left = usize::try_from(self.end - self.next).unwrap_or(usize::MAX);
            chunk.truncate(left);
            if !chunk.is_empty() {
                self.next += chunk.len() as u64;
                self.brought += chunk.len() as u64;
                return Ok(chunk);
            }
        }
    }

    /// Asks for what is still owed.
    async fn again(&self) -> Result<(Response, u64), Fault> {
        let asked = Asked {
            range: Some((self.next, (!self.whole).then_some(self.end))),
            version: Some(&self.version),
            deadline: self.deadline,
        };
        let answer = self.origin.ask(&asked).await?;
        if let Some(difference) = self.version.difference(&answer.version) {
            let why = format!("the file changed on its server ({difference})");
            return Err(Fault::Lasting(why));
        }
        let skip = self.next.checked_sub(answer.start).ok_or_else(|| {
            Fault::Lasting("the server sends another part than was asked for".to_owned())
        })?;
        Ok((answer.response, skip))
    }
}

/// What the first bytes say.
pub(super) async fn look(
    origin: &Origin,
    http: &Http,
    declared: Option<&str>,
) -> Result<Facts, Failure> {
    let asked = Asked {
        range: Some((0, Some(LOOK_BYTES))),
        version: None,
        deadline: Instant::now() + http.timeouts.request,
    };
    let Answer {
        mut response,
        start,
        version,
        mime,
    } = origin.ask(&asked).await?;
    if start != 0 {
        return Err(Failure::rejected(
            "the media server sends another part than was asked for",
        ));
    }
    let limit = usize::try_from(LOOK_BYTES).unwrap_or(usize::MAX);
    let (mut head, mut total) = (Vec::new(), version.total);
    let began = Instant::now();
    while head.len() < limit {
        let until = asked.deadline.min(began + patience(head.len() as u64));
        match timeout_at(until, response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                let fits = chunk.len().min(limit - head.len());
                head.extend_from_slice(&chunk[..fits]);
            }
            Ok(Ok(None)) => {
                total = total.or(Some(head.len() as u64));
                break;
            }
            // What came is enough to tell something; a download tries again.
            Ok(Err(_)) | Err(_) if !head.is_empty() => break,
            Ok(Err(error)) => return Err(transport(error, Effect::Reads)),
            Err(_) => return Err(idle(http.timeouts.request)),
        }
    }
    if head.is_empty() {
        return Err(Failure::rejected("the media file is empty"));
    }
    let mime = Some(mime.as_str()).filter(|mime| *mime != ANY_TYPE);
    Ok(facts::of_head(&head, total, declared.or(mime)))
}

#[cfg(test)]
mod tests;
