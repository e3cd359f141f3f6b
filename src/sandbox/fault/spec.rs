//! How faults are written.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::super::damage::Damage;
use super::super::steps::Step;
use super::super::world::Platform;
use super::{Fault, Kind, Position, Rate};

const KINDS: &str = "500, 500-after-accept, 429, hang, reset, reset-after-accept, reset-at:60%, 401, \
    rejected, slow-body, truncate, huge-body, bad-json, processing or expired-container";

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
    let target = pieces.next().unwrap_or_default();
    let (platform, step) = match target.split_once('/') {
        Some((platform, step)) => (platform, Some(step)),
        None => (target, None),
    };
    let platform = parse_platform(platform)?;
    let step = step.map(parse_step).transpose()?;
    let name = pieces.next().ok_or_else(|| {
        let remedy =
            "write PLATFORM:KIND or PLATFORM/STEP:KIND, for example slack:429:retry-after=3:10%";
        ("the kind is missing".to_owned(), remedy.to_owned())
    })?;
    let kind = match name {
        // Its own percentage is not the rate.
        "reset-at" => Kind::ResetAt(parse_position(pieces.next())?),
        _ => parse_kind(name)?,
    };
    let mut fault = Fault {
        platform,
        step: step.unwrap_or(kind.usual_step()),
        kind,
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
    check_target(&fault, name, step)?;
    Ok(fault)
}

/// Processing and expiry are about things that only some platforms have.
fn check_target(fault: &Fault, name: &str, step: Option<Step>) -> Result<(), Complaint> {
    let (things, having) = match fault.kind {
        Kind::Processing(_) => ("nothing that could be processing", &PROCESSING[..]),
        Kind::ExpiredContainer => (
            "no containers that could expire",
            &[Platform::Instagram][..],
        ),
        _ => return Ok(()),
    };
    let having_names: Vec<&str> = having.iter().map(|platform| platform.name()).collect();
    let examples = format!("write {name} for {} or *", having_names.join(", "));
    if let Some(platform) = fault.platform.filter(|platform| !having.contains(platform)) {
        return Err((format!("{platform} has {things}"), examples));
    }
    if let Some(step) = step {
        let problem = format!(
            "{name} is not about a request, so it has no step {}",
            step.name()
        );
        return Err((problem, examples));
    }
    Ok(())
}

/// The platforms where something is processed after it was sent.
const PROCESSING: [Platform; 3] = [Platform::Facebook, Platform::Instagram, Platform::Linkedin];

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

fn parse_step(name: &str) -> Result<Step, Complaint> {
    Step::of_name(name).ok_or_else(|| {
        let names = Step::ALL.map(Step::name).join(", ");
        (
            format!("there is no step \"{name}\""),
            format!("use one of {names}"),
        )
    })
}

fn parse_position(piece: Option<&str>) -> Result<Position, Complaint> {
    let percent = piece.and_then(|piece| piece.strip_suffix('%'));
    let percent = percent.filter(|percent| percent.bytes().all(|byte| byte.is_ascii_digit()));
    match percent.map(str::parse) {
        Some(Ok(percent @ 1..=99)) => Ok(Position(percent)),
        _ => Err((
            match piece {
                Some(piece) => format!("\"{piece}\" is no position in an upload"),
                None => "reset-at has no position".to_owned(),
            },
            "write whole percents from 1% to 99%, then perhaps the rate, like reset-at:60%:5%"
                .to_owned(),
        )),
    }
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
        "slow-body" => Kind::Damaged(Damage::Slow),
        "truncate" => Kind::Damaged(Damage::Truncated),
        "huge-body" => Kind::Damaged(Damage::Huge),
        "bad-json" => Kind::BadJson,
        "expired-container" => Kind::ExpiredContainer,
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
        if self.step != self.kind.usual_step() {
            write!(f, "/{}", self.step.name())?;
        }
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
            Kind::ResetAt(Position(percent)) => write!(f, ":reset-at:{percent}%")?,
            Kind::Damaged(Damage::Slow) => write!(f, ":slow-body")?,
            Kind::Damaged(Damage::Truncated) => write!(f, ":truncate")?,
            Kind::Damaged(Damage::Huge) => write!(f, ":huge-body")?,
            Kind::BadJson => write!(f, ":bad-json")?,
            Kind::ExpiredContainer => write!(f, ":expired-container")?,
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
