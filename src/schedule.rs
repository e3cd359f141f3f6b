//! Times: the clock, lateness, wall-clock times in zones, and when to try again.

use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

mod read;

pub use read::{When, check_time, parse_instant, parse_local, parse_time, parse_when, parse_zone};

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

/// The longest that an account or a platform rests because it said so. No limit of theirs is longer than a day, and a
/// slip of theirs is not to shut anybody out for years: the next request hears whether it still holds.
const LONGEST_REST: Duration = Duration::from_hours(24);

/// When a rest of so long ends.
pub fn rested(from: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    from + by.min(LONGEST_REST)
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

#[cfg(test)]
mod tests;
