//! Faults: what goes wrong on purpose, where, and how often.

mod spec;

#[cfg(test)]
mod tests;

use std::time::Duration;

use axum::response::Response;

use super::damage::{self, Damage};
use super::steps::Step;
use super::wire::{Refusal, Reply};
use super::world::Platform;

pub use spec::FaultError;

/// A fault, written `PLATFORM[/STEP]:KIND[:key=value | :SECONDS s][:RATE%]`; `*` stands for every
/// platform.
///
/// A step is what a request does: `publish` (which is meant if none is named), `prepare` (containers,
/// sessions, addresses for uploads), `upload` (bytes), `status` (polls, look-ups, permalinks),
/// `comment` (what follows a live post: comments, thumbnails, playlists) or `token` (OAuth).
///
/// | kind | the request | the client sees |
/// |---|---|---|
/// | `500` | has no effect | the platform's server error |
/// | `500-after-accept` | takes effect | the same server error |
/// | `429[:retry-after=SECONDS]` | has no effect | the platform's rate limit |
/// | `hang[:SECONDS s]` (3600) | takes effect | nothing for that long, then the true answer |
/// | `reset` | has no effect | a connection reset |
/// | `reset-after-accept` | takes effect | a connection reset |
/// | `reset-at:POSITION%` | has no effect | a connection reset when so much of the upload was read |
/// | `401` | has no effect | the answer to an expired token |
/// | `rejected` | has no effect | the platform's content rejection |
/// | `slow-body` | takes effect | the true answer, one byte in 100 ms |
/// | `truncate` | takes effect | half of the true answer, then the end of the connection |
/// | `huge-body` | takes effect | the true answer, followed by 50 MB of blanks |
/// | `bad-json` | takes effect | HTTP 200 with an HTML page |
/// | `processing[:SECONDS s]` (5) | | new containers (Instagram), videos (Facebook) and assets (LinkedIn) are not ready for that long |
/// | `expired-container` | | new containers (Instagram) are `EXPIRED` when they are looked at |
///
/// `reset-at` means the step `upload` if none is named, and strikes an upload that is resumed behind
/// the position no more. The last two strike what a request has made, whatever its step.
///
/// A rate of 5% strikes every 20th valid request, counted per platform and step, so that a run can be
/// repeated. Invalid requests are refused as always and not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    platform: Option<Platform>,
    step: Step,
    kind: Kind,
    rate: Rate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    ServerError,
    ServerErrorAfterAccept,
    RateLimited { retry_after: Option<Duration> },
    Hang(Duration),
    Reset,
    ResetAfterAccept,
    ResetAt(Position),
    TokenRefused,
    Rejected,
    Damaged(Damage),
    BadJson,
    Processing(Duration),
    ExpiredContainer,
}

/// A place in an upload, in percent of the whole, 1 to 99.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position(u64);

/// In hundredths of a percent, 1 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rate(u64);

impl Rate {
    const ALWAYS: Self = Self(10_000);

    /// Whether the `n`th request (counted from 1) is struck: evenly spread, and the same every time.
    fn strikes(self, n: u64) -> bool {
        n * self.0 / Self::ALWAYS.0 > (n - 1) * self.0 / Self::ALWAYS.0
    }
}

impl Kind {
    const HANG: Duration = Duration::from_hours(1);
    const PROCESSING: Duration = Duration::from_secs(5);

    /// The step of a spec that names none.
    fn usual_step(self) -> Step {
        match self {
            Self::ResetAt(_) => Step::Upload,
            _ => Step::Publish,
        }
    }

    /// Whether it strikes what a request makes, rather than the request.
    fn strikes_things(self) -> bool {
        matches!(self, Self::Processing(_) | Self::ExpiredContainer)
    }

    /// Whether the request takes effect although something goes wrong.
    pub(super) fn accepts(self) -> bool {
        matches!(
            self,
            Self::ServerErrorAfterAccept
                | Self::ResetAfterAccept
                | Self::Hang(_)
                | Self::Damaged(_)
                | Self::BadJson
        )
    }

    /// At which byte of an upload of this size the connection is cut, if it is.
    pub(super) fn cut_at(self, total: u64) -> Option<u64> {
        match self {
            Self::ResetAt(Position(percent)) => Some(
                (u128::from(total) * u128::from(percent) / 100)
                    .try_into()
                    .unwrap_or(total),
            ),
            _ => None,
        }
    }

    /// What the client gets: `truth` is the answer to the request if it took effect.
    pub(super) fn reply(self, truth: Option<Response>, refuse: fn(Refusal) -> Response) -> Reply {
        let truth = || truth.unwrap_or_else(|| refuse(Refusal::Internal));
        match self {
            Self::ServerError | Self::ServerErrorAfterAccept => refuse(Refusal::Internal).into(),
            Self::RateLimited { retry_after } => {
                refuse(Refusal::RateLimited { retry_after }).into()
            }
            Self::Hang(delay) => Reply::Late(delay, truth()),
            Self::Damaged(damage) => Reply::Damaged(damage, truth()),
            Self::BadJson => damage::page().into(),
            Self::Reset | Self::ResetAfterAccept | Self::ResetAt(_) => Reply::Never,
            Self::TokenRefused => refuse(Refusal::Expired).into(),
            Self::Rejected => refuse(Refusal::Rejected).into(),
            // These never strike a request.
            Self::Processing(_) | Self::ExpiredContainer => truth().into(),
        }
    }
}

/// A fault with its counters.
#[derive(Debug)]
pub(super) struct Armed {
    pub(super) fault: Fault,
    requests: [u64; Platform::ALL.len()],
}

impl Armed {
    pub(super) fn new(fault: Fault) -> Self {
        Self {
            fault,
            requests: [0; Platform::ALL.len()],
        }
    }

    /// Counts one request, and says what strikes it.
    pub(super) fn on_request(&mut self, platform: Platform, step: Step) -> Option<Kind> {
        let Fault {
            kind, step: own, ..
        } = self.fault;
        let concerned = step == own && !kind.strikes_things();
        (concerned && self.count(platform)).then_some(kind)
    }

    /// Counts one new thing that may need processing, and says how long it takes.
    pub(super) fn on_processing(&mut self, platform: Platform) -> Option<Duration> {
        let Kind::Processing(delay) = self.fault.kind else {
            return None;
        };
        self.count(platform).then_some(delay)
    }

    /// Counts one new container, and says whether it expires.
    pub(super) fn on_expiry(&mut self, platform: Platform) -> bool {
        self.fault.kind == Kind::ExpiredContainer && self.count(platform)
    }

    fn count(&mut self, platform: Platform) -> bool {
        if self.fault.platform.is_some_and(|only| only != platform) {
            return false;
        }
        let requests = &mut self.requests[platform as usize];
        *requests += 1;
        self.fault.rate.strikes(*requests)
    }
}
