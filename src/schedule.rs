//! Times: the clock, lateness, wall-clock times in zones, and when to try again.

use std::str::FromStr;
use std::time::{Duration, Instant};

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta};
use chrono::{TimeZone, Utc};
use chrono_tz::{GapInfo, TZ_VARIANTS, Tz};

use crate::suggest;

/// A clock that starts at some instant and never jumps: what the host's clock does meanwhile can't shorten a lease.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    anchor: DateTime<Utc>,
    started: Instant,
}

impl Clock {
    /// Starts at what the host's clock says now. The one place that looks at it.
    #[expect(
        clippy::disallowed_methods,
        reason = "everything else gets its time from a Clock"
    )]
    pub fn host() -> Self {
        Self::at(Utc::now())
    }

    /// Starts at that instant.
    pub fn at(anchor: DateTime<Utc>) -> Self {
        Self {
            anchor,
            started: Instant::now(),
        }
    }

    /// The instant it started at, and what has passed since.
    pub fn now(&self) -> DateTime<Utc> {
        self.anchor + self.started.elapsed()
    }
}

/// A span of time, over as soon as either of this machine's clocks says so: the monotonic one stands still while the
/// machine sleeps, and the wall clock may be set back.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    ends: Instant,
    ends_by_the_wall: DateTime<Utc>,
}

impl Term {
    /// Starts now.
    pub fn of(length: Duration) -> Self {
        Self {
            ends: Instant::now() + length,
            ends_by_the_wall: later(Clock::host().now(), length),
        }
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.ends || Clock::host().now() >= self.ends_by_the_wall
    }
}

/// How late a post is; the classes order the queue. Counted from `scheduled_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lateness {
    /// Up to 5 minutes, or not due yet.
    OnTime,
    /// Up to an hour.
    Recent,
    /// Up to 24 hours.
    Moderate,
    /// Up to 7 days.
    Severe,
    /// Later than that.
    Critical,
}

impl Lateness {
    /// The class of a post that was to go out then.
    pub fn of(scheduled_at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let late = now - scheduled_at;
        let classes = [
            (TimeDelta::minutes(5), Self::OnTime),
            (TimeDelta::hours(1), Self::Recent),
            (TimeDelta::hours(24), Self::Moderate),
            (TimeDelta::days(7), Self::Severe),
        ];
        let fits = |(limit, _): &(TimeDelta, Self)| late <= *limit;
        classes
            .into_iter()
            .find(fits)
            .map_or(Self::Critical, |(_, class)| class)
    }

    /// Its name in reports and in `publisher.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::OnTime => "on_time",
            Self::Recent => "recent",
            Self::Moderate => "moderate",
            Self::Severe => "severe",
            Self::Critical => "critical",
        }
    }
}

/// The shortest and the longest pause before a post is tried again.
const RETRY_FIRST: Duration = Duration::from_mins(1);
const RETRY_LONGEST: Duration = Duration::from_hours(1);

/// The longest that [`later`] goes.
const CENTURY: Duration = Duration::from_hours(24 * 36_525);

/// The instant so long after another, a century at most: platforms may name any number.
pub fn later(from: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    from + by.min(CENTURY)
}

/// How long to wait after that many tries: up to twice as long each time, the `jitter` (0 to 1) choosing where between
/// a minute and that. So posts that failed together do not come back together.
pub fn retry_delay(attempt: u32, jitter: f64) -> Duration {
    let doubled = RETRY_FIRST.saturating_mul(2_u32.saturating_pow(attempt));
    let spread = doubled.min(RETRY_LONGEST).saturating_sub(RETRY_FIRST);
    RETRY_FIRST + spread.mul_f64(jitter.clamp(0.0, 1.0))
}

/// The shortest and the longest pause before an unconfirmed post is looked up. The shortest is longer than the lists of
/// the platforms lag behind.
const LOOK_FIRST: TimeDelta = TimeDelta::minutes(2);
const LOOK_LONGEST: TimeDelta = TimeDelta::hours(6);
/// A post that is still unconfirmed so long after its time is a person's.
const LOOK_UNTIL: TimeDelta = TimeDelta::days(2);

/// When an unconfirmed post is looked up: at first soon, then each time after as long again as it is late. After two
/// days never.
pub fn next_look(scheduled_at: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    let age = now - scheduled_at;
    if age > LOOK_UNTIL {
        return NEVER;
    }
    now + age.clamp(LOOK_FIRST, LOOK_LONGEST)
}

/// An instant that does not come, in the form that both databases take: the last day of the year 9999.
const NEVER: DateTime<Utc> =
    DateTime::from_timestamp(253_402_214_400, 0).expect("the second is in chrono's range");

/// What a person should hear about a wall-clock time that the clocks' change made ambiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// It does not exist: the clocks go forward over it.
    Moved {
        /// What was asked for.
        asked: NaiveDateTime,
        /// What it became.
        became: DateTime<Tz>,
    },
    /// It exists twice: the clocks go back over it.
    Twice {
        /// The first of the two, which is taken.
        first: DateTime<Tz>,
    },
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Moved { asked, became } => write!(
                f,
                "{} does not exist in {} (the clocks go forward); it becomes {} there, {}",
                asked.format("%Y-%m-%d %H:%M"),
                became.timezone().name(),
                became.format("%Y-%m-%d %H:%M"),
                minute(became.to_utc())
            ),
            Self::Twice { first } => write!(
                f,
                "{} exists twice in {} (the clocks go back); the first is taken, {}",
                first.format("%Y-%m-%d %H:%M"),
                first.timezone().name(),
                minute(first.to_utc())
            ),
        }
    }
}

/// An instant as people read it: `2026-03-01 09:00Z`.
pub fn minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%MZ").to_string()
}

/// The instant of a wall-clock time. One that does not exist moves forward by the gap; of one that exists twice it is
/// the first. The database's `instant_of` has the same rule.
pub fn local_instant(wall: NaiveDateTime, zone: Tz) -> (DateTime<Utc>, Option<Note>) {
    let mapped = zone.from_local_datetime(&wall);
    if let Some(only) = mapped.single() {
        return (only.to_utc(), None);
    }
    if let Some(first) = mapped.earliest() {
        return (first.to_utc(), Some(Note::Twice { first }));
    }
    let (_, offset) = GapInfo::new(&wall, &zone)
        .and_then(|gap| gap.begin)
        .expect("a time that does not exist lies in a gap that began");
    // Read with the offset from before the gap, it lands as far behind the gap as it lay in it.
    let at = (wall - offset.fix()).and_utc();
    let became = at.with_timezone(&zone);
    (
        at,
        Some(Note::Moved {
            asked: wall,
            became,
        }),
    )
}

/// A time that a person wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// The instant.
    pub at: DateTime<Utc>,
    /// The wall clock and the zone, if it was written so.
    pub local: Option<(NaiveDateTime, Tz)>,
    /// What the person should hear.
    pub note: Option<Note>,
}

/// Reads `2026-03-01T09:00:00+01:00`, or `2026-03-01 09:00` in an IANA zone; seconds may be left out.
pub fn parse_when(text: &str, zone: Option<&str>) -> Result<When, String> {
    if offset_of(text)?.is_some() {
        let at = parse_instant(text)?;
        return Ok(When {
            at,
            local: None,
            note: None,
        });
    }
    let zone = zone.ok_or_else(|| {
        format!("`{text}` says neither a UTC offset (2026-03-01T09:00Z) nor a time zone")
    })?;
    let (wall, zone) = (parse_local(text)?, parse_zone(zone)?);
    let (at, note) = local_instant(wall, zone);
    Ok(When {
        at: in_range(at)?,
        local: Some((wall, zone)),
        note,
    })
}

/// Reads a time with its UTC offset (RFC 3339; seconds may be left out).
pub fn parse_instant(text: &str) -> Result<DateTime<Utc>, String> {
    let (wall, offset) = offset_of(text)?.ok_or_else(|| {
        format!("`{text}` has no UTC offset; write it as 2026-03-01T09:00:00+01:00 or …Z")
    })?;
    in_range((parse_local(wall)? - offset).and_utc())
}

/// Reads a wall-clock time: `2026-03-01 09:00`, with `T` or a space, with seconds or without.
pub fn parse_local(text: &str) -> Result<NaiveDateTime, String> {
    let shape = || format!("`{text}` is not a time; write it as 2026-03-01 09:00");
    let text = text.trim();
    let (date, time) = text.split_once(['T', 't', ' ']).ok_or_else(shape)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2]).ok_or_else(shape)?;
    let seconds = time.matches(':').count() > 1;
    let time = if seconds {
        time.to_owned()
    } else {
        format!("{time}:00")
    };
    let (time, fraction) = time.split_once('.').unwrap_or((&time, ""));
    if fraction.bytes().any(|b| !b.is_ascii_digit()) {
        return Err(shape());
    }
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2]).ok_or_else(shape)?;
    let year = i32::try_from(year).expect("four digits fit");
    let date = NaiveDate::from_ymd_opt(year, month, day)
        .ok_or_else(|| format!("`{date}` is not in the calendar"))?;
    // Fractions of a second are dropped: nothing is published to the millisecond.
    let time = NaiveTime::from_hms_opt(hour, minute, second)
        .ok_or_else(|| format!("`{time}` is not a time of day"))?;
    Ok(date.and_time(time))
}

/// The IANA zone of that name.
pub fn parse_zone(name: &str) -> Result<Tz, String> {
    Tz::from_str(name).map_err(|_| {
        let hint = match nearest_zone(name) {
            Some(zone) => format!("; did you mean {zone}?"),
            None => "; zones are named like Europe/Berlin".to_owned(),
        };
        format!("`{name}` is not a time zone{hint}")
    })
}

/// A zone whose name or whose city is like that.
fn nearest_zone(name: &str) -> Option<&'static str> {
    let names = || TZ_VARIANTS.iter().map(|zone| zone.name());
    let name = name.trim().replace(' ', "_");
    let city = |zone: &'static str| zone.rsplit('/').next().unwrap_or(zone);
    names()
        .find(|zone| zone.eq_ignore_ascii_case(&name))
        .or_else(|| names().find(|zone| city(zone).eq_ignore_ascii_case(&name)))
        .or_else(|| suggest::nearest(&name, names()))
}

/// The wall clock and the offset, if the text ends with one.
fn offset_of(text: &str) -> Result<Option<(&str, FixedOffset)>, String> {
    let text = text.trim();
    if let Some(wall) = text.strip_suffix(['Z', 'z']) {
        return Ok(Some((wall, Utc.fix())));
    }
    // A `-` of the date is no offset: look behind the time's first colon.
    let Some(colon) = text.find(':') else {
        return Ok(None);
    };
    let Some(sign) = text[colon..].rfind(['+', '-']).map(|place| colon + place) else {
        return Ok(None);
    };
    let wrong = || format!("`{}` is not a UTC offset such as +01:00", &text[sign..]);
    let [hours, minutes] = numbers(&text[sign + 1..], ':', [2, 2]).ok_or_else(wrong)?;
    if hours > 23 || minutes > 59 {
        return Err(wrong());
    }
    let seconds = i32::try_from(hours * 3600 + minutes * 60).expect("less than a day");
    let east = if text[sign..].starts_with('-') {
        -seconds
    } else {
        seconds
    };
    let offset = FixedOffset::east_opt(east).ok_or_else(wrong)?;
    Ok(Some((text[..sign].trim_end(), offset)))
}

/// Numbers of just so many digits.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[u32; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, length) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        let well_formed = part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
        *number = well_formed.then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

/// The years that the database takes.
fn in_range(at: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    let year = |year, month, day| {
        NaiveDate::from_ymd_opt(year, month, day)
            .expect("it is in the calendar")
            .and_time(NaiveTime::MIN)
            .and_utc()
    };
    if at < year(2000, 1, 1) || at > year(9999, 12, 31) {
        return Err(format!("{} is outside the years 2000 to 9999", minute(at)));
    }
    Ok(at)
}

#[cfg(test)]
mod tests;
