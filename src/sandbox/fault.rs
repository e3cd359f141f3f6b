//! Faults: what goes wrong on purpose, and how often.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::response::Response;

use super::wire::{Refusal, Reply};
use super::world::Platform;

const KINDS: &str =
    "500, 500-after-accept, 429, hang, reset, reset-after-accept, 401, rejected or processing";

/// A fault, written `PLATFORM:KIND[:key=value][:RATE%]`; `*` stands for every platform.
///
/// | kind | the publishing request | the client sees |
/// |---|---|---|
/// | `500` | has no effect | the platform's server error |
/// | `500-after-accept` | publishes | the same server error |
/// | `429[:retry-after=SECONDS]` | has no effect | the platform's rate limit |
/// | `hang[:SECONDS s]` (3600) | publishes | nothing for that long, then the true answer |
/// | `reset` | has no effect | a connection reset |
/// | `reset-after-accept` | publishes | a connection reset |
/// | `401` | has no effect | the answer to an expired token |
/// | `rejected` | has no effect | the platform's content rejection |
/// | `processing[:SECONDS s]` (5) | (Instagram only) | new containers are `IN_PROGRESS` for that long |
///
/// A rate of 5% strikes every 20th valid request, counted per platform, so that a run can be
/// repeated. Invalid requests are refused as always and not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    platform: Option<Platform>,
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
    TokenRefused,
    Rejected,
    Processing(Duration),
}

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

    /// Whether the request takes effect although something goes wrong.
    pub(super) fn accepts(self) -> bool {
        matches!(
            self,
            Self::ServerErrorAfterAccept | Self::ResetAfterAccept | Self::Hang(_)
        )
    }

    /// What the client gets: `truth` is the answer to the request if it took effect.
    pub(super) fn reply(self, truth: Option<Response>, refuse: fn(Refusal) -> Response) -> Reply {
        match self {
            Self::ServerError | Self::ServerErrorAfterAccept => refuse(Refusal::Internal).into(),
            Self::RateLimited { retry_after } => {
                refuse(Refusal::RateLimited { retry_after }).into()
            }
            Self::Hang(delay) | Self::Processing(delay) => {
                Reply::Late(delay, truth.unwrap_or_else(|| refuse(Refusal::Internal)))
            }
            Self::Reset | Self::ResetAfterAccept => Reply::Never,
            Self::TokenRefused => refuse(Refusal::Expired).into(),
            Self::Rejected => refuse(Refusal::Rejected).into(),
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

    /// Counts one publishing request, and says what strikes it.
    pub(super) fn on_publish(&mut self, platform: Platform) -> Option<Kind> {
        let publishing = !matches!(self.fault.kind, Kind::Processing(_));
        (publishing && self.count(platform)).then_some(self.fault.kind)
    }

    /// Counts one new container, and says how long it takes.
    pub(super) fn on_container(&mut self, platform: Platform) -> Option<Duration> {
        let Kind::Processing(delay) = self.fault.kind else {
            return None;
        };
        self.count(platform).then_some(delay)
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

/// A fault that cannot be read: which, what is wrong with it, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fault \"{spec}\": {problem}; {remedy}")]
pub struct FaultError {
    spec: String,
    problem: String,
    remedy: String,
}

/// What is wrong, and how to mend it.
type Complaint = (String, String);

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(spec: &str) -> Result<Self, FaultError> {
        parse(spec).map_err(|(problem, remedy)| FaultError {
            spec: spec.to_owned(),
            problem,
            remedy,
        })
    }
}

fn parse(spec: &str) -> Result<Fault, Complaint> {
    let mut pieces = spec.split(':');
    let platform = parse_platform(pieces.next().unwrap_or_default())?;
    let name = pieces.next().ok_or_else(|| {
        let remedy = "write PLATFORM:KIND, for example slack:429:retry-after=3:10%";
        ("the kind is missing".to_owned(), remedy.to_owned())
    })?;
    let mut fault = Fault {
        platform,
        kind: parse_kind(name)?,
        rate: Rate::ALWAYS,
    };
    for piece in pieces {
        if let Some(number) = piece.strip_suffix('%') {
            fault.rate = parse_rate(number)?;
        } else if let Some((key, value)) = piece.split_once('=') {
            fault.kind = with_option(fault.kind, name, key, value)?;
        } else {
            fault.kind = with_seconds(fault.kind, name, piece)?;
        }
    }
    if let (Kind::Processing(_), Some(platform)) = (fault.kind, fault.platform)
        && platform != Platform::Instagram
    {
        let problem = format!("{platform} has no containers that could be processing");
        return Err((problem, "write instagram:processing".to_owned()));
    }
    Ok(fault)
}

fn parse_platform(name: &str) -> Result<Option<Platform>, Complaint> {
    if name == "*" {
        return Ok(None);
    }
    Platform::of_name(name).map(Some).ok_or_else(|| {
        let names = Platform::ALL.map(Platform::name).join(", ");
        let remedy = format!("use one of {names}, or * for all");
        (format!("there is no platform \"{name}\""), remedy)
    })
}

fn parse_kind(name: &str) -> Result<Kind, Complaint> {
    Ok(match name {
        "500" => Kind::ServerError,
        "500-after-accept" => Kind::ServerErrorAfterAccept,
        "429" => Kind::RateLimited { retry_after: None },
        "hang" => Kind::Hang(Kind::HANG),
        "reset" => Kind::Reset,
        "reset-after-accept" => Kind::ResetAfterAccept,
        "401" => Kind::TokenRefused,
        "rejected" => Kind::Rejected,
        "processing" => Kind::Processing(Kind::PROCESSING),
        _ => {
            let problem = format!("there is no kind \"{name}\"");
            return Err((problem, format!("use {KINDS}")));
        }
    })
}

fn parse_rate(number: &str) -> Result<Rate, Complaint> {
    let complaint = || {
        let remedy =
            "use a number above 0 and up to 100, with two decimals at most, like 5% or 0.5%";
        (format!("{number}% is no rate"), remedy.to_owned())
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if decimals.len() > 2 || (number.contains('.') && decimals.is_empty()) {
        return Err(complaint());
    }
    let digits = format!("{whole}{decimals:0<2}");
    // `parse` alone would let a sign through.
    if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(complaint());
    }
    match digits.parse() {
        Ok(rate @ 1..=10_000) => Ok(Rate(rate)),
        _ => Err(complaint()),
    }
}

fn with_option(kind: Kind, name: &str, key: &str, value: &str) -> Result<Kind, Complaint> {
    match (kind, key) {
        (Kind::RateLimited { .. }, "retry-after") => match value.parse() {
            Ok(seconds) => Ok(Kind::RateLimited {
                retry_after: Some(Duration::from_secs(seconds)),
            }),
            Err(_) => Err((
                format!("retry-after={value} is no number of seconds"),
                "write whole seconds, like retry-after=3".to_owned(),
            )),
        },
        _ => Err((
            format!("{name} has no option \"{key}\""),
            "only 429 has one: retry-after=SECONDS".to_owned(),
        )),
    }
}

fn with_seconds(kind: Kind, name: &str, text: &str) -> Result<Kind, Complaint> {
    let make = match kind {
        Kind::Hang(_) => Kind::Hang,
        Kind::Processing(_) => Kind::Processing,
        _ => {
            let remedy = "a rate ends with %, an option is key=value, and only hang and processing take a duration";
            let problem = format!("{name} does not know what \"{text}\" is");
            return Err((problem, remedy.to_owned()));
        }
    };
    let seconds = text.strip_suffix('s').unwrap_or(text).parse::<f64>();
    let duration = seconds.ok().map(Duration::try_from_secs_f64);
    match duration {
        Some(Ok(duration)) => Ok(make(duration)),
        _ => Err((
            format!("\"{text}\" is no duration"),
            "write seconds, like 30s or 0.5s".to_owned(),
        )),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.platform.map_or("*", Platform::name))?;
        match self.kind {
            Kind::ServerError => write!(f, ":500")?,
            Kind::ServerErrorAfterAccept => write!(f, ":500-after-accept")?,
            Kind::RateLimited { retry_after: None } => write!(f, ":429")?,
            Kind::RateLimited {
                retry_after: Some(delay),
            } => write!(f, ":429:retry-after={}", delay.as_secs())?,
            Kind::Hang(Kind::HANG) => write!(f, ":hang")?,
            Kind::Hang(delay) => write!(f, ":hang:{}s", delay.as_secs_f64())?,
            Kind::Reset => write!(f, ":reset")?,
            Kind::ResetAfterAccept => write!(f, ":reset-after-accept")?,
            Kind::TokenRefused => write!(f, ":401")?,
            Kind::Rejected => write!(f, ":rejected")?,
            Kind::Processing(Kind::PROCESSING) => write!(f, ":processing")?,
            Kind::Processing(delay) => write!(f, ":processing:{}s", delay.as_secs_f64())?,
        }
        match (self.rate.0 / 100, self.rate.0 % 100) {
            (100, 0) => Ok(()),
            (whole, 0) => write!(f, ":{whole}%"),
            (whole, part) if part % 10 == 0 => write!(f, ":{whole}.{}%", part / 10),
            (whole, part) => write!(f, ":{whole}.{part:02}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(spec: &str, requests: usize) -> Vec<usize> {
        let mut armed = Armed::new(spec.parse().unwrap());
        (1..=requests)
            .filter(|_| armed.on_publish(Platform::Slack).is_some())
            .collect()
    }

    #[test]
    fn a_spec_reads_back_as_it_was_written() {
        for spec in [
            "facebook:500-after-accept:5%",
            "linkedin:429:retry-after=3",
            "*:hang",
            "youtube:hang:0.5s:12.5%",
            "slack:reset:0.05%",
            "instagram:reset-after-accept",
            "*:401:1%",
            "*:rejected",
            "*:500",
            "instagram:processing:2s",
        ] {
            assert_eq!(spec.parse::<Fault>().unwrap().to_string(), spec);
        }
        assert_eq!(
            "*:hang:30".parse::<Fault>().unwrap().to_string(),
            "*:hang:30s"
        );
        assert_eq!("*:500:100%".parse::<Fault>().unwrap().to_string(), "*:500");
    }

    #[test]
    fn a_rate_strikes_evenly_and_the_same_every_time() {
        assert_eq!(struck("*:500:5%", 60), [20, 40, 60]);
        assert_eq!(struck("slack:500:33.34%", 9), [3, 6, 9]);
        assert_eq!(struck("slack:500", 3), [1, 2, 3]);
        assert_eq!(struck("facebook:500", 3), [0_usize; 0]);
        assert_eq!(struck("*:processing", 3), [0_usize; 0]);
    }

    #[test]
    fn platforms_are_counted_apart() {
        let mut armed = Armed::new("*:500:50%".parse().unwrap());
        assert_eq!(armed.on_publish(Platform::Slack), None);
        assert_eq!(armed.on_publish(Platform::Facebook), None);
        assert_eq!(armed.on_publish(Platform::Slack), Some(Kind::ServerError));
    }

    #[test]
    fn a_bad_spec_says_what_where_and_how_to_mend_it() {
        for (spec, message) in [
            (
                "myspace:500",
                "there is no platform \"myspace\"; use one of facebook, instagram, linkedin, youtube, slack, or * for all",
            ),
            (
                "slack",
                "the kind is missing; write PLATFORM:KIND, for example slack:429:retry-after=3:10%",
            ),
            (
                "slack:503",
                "there is no kind \"503\"; use 500, 500-after-accept, 429, hang, reset, reset-after-accept, 401, rejected or processing",
            ),
            (
                "slack:500:0%",
                "0% is no rate; use a number above 0 and up to 100, with two decimals at most, like 5% or 0.5%",
            ),
            (
                "slack:500:101%",
                "101% is no rate; use a number above 0 and up to 100, with two decimals at most, like 5% or 0.5%",
            ),
            (
                "slack:500:+5%",
                "+5% is no rate; use a number above 0 and up to 100, with two decimals at most, like 5% or 0.5%",
            ),
            (
                "slack:429:retry-after=soon",
                "retry-after=soon is no number of seconds; write whole seconds, like retry-after=3",
            ),
            (
                "slack:500:retry-after=3",
                "500 has no option \"retry-after\"; only 429 has one: retry-after=SECONDS",
            ),
            (
                "slack:hang:-1s",
                "\"-1s\" is no duration; write seconds, like 30s or 0.5s",
            ),
            (
                "slack:500:5",
                "500 does not know what \"5\" is; a rate ends with %, an option is key=value, and only hang and processing take a duration",
            ),
            (
                "slack:processing",
                "slack has no containers that could be processing; write instagram:processing",
            ),
        ] {
            let error = spec.parse::<Fault>().unwrap_err();
            assert_eq!(error.to_string(), format!("fault \"{spec}\": {message}"));
        }
    }
}
