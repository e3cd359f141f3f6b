//! Times as people write them: one reader for all of them.

use std::str::FromStr;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::{Clock, Note, later, local_instant, minute};
use crate::config::Span;
use crate::suggest;

/// A time that a person wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// The instant.
    pub at: DateTime<Utc>,
    /// The wall clock and the zone, if it was written so.
    pub local: Option<(NaiveDateTime, Tz)>,
    /// Whether that zone was not written with it.
    pub in_assumed_zone: bool,
    /// What the person should hear.
    pub note: Option<Note>,
}

impl When {
    /// Just that instant.
    fn instant(at: DateTime<Utc>) -> Self {
        Self {
            at,
            local: None,
            in_assumed_zone: false,
            note: None,
        }
    }
}

/// Reads `2026-03-01T09:00:00+01:00` (RFC 3339; seconds may be left out), `now`, `+2h`, `2026-03-01 09:00 Europe/Berlin`,
/// or `2026-03-01 09:00` in the zone that goes for it.
pub fn parse_when(text: &str, zone: Option<&str>, now: DateTime<Utc>) -> Result<When, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("now") {
        return Ok(When::instant(now));
    }
    if let Some(span) = text.strip_prefix('+') {
        let Span(span) = span.parse()?;
        return Ok(When::instant(later(now, span)));
    }
    if offset_of(text)?.is_some() {
        return parse_instant(text).map(When::instant);
    }
    let (wall, own) = match text.rsplit_once(' ') {
        Some((wall, name))
            if name.starts_with(|c: char| c.is_ascii_alphabetic()) && wall.contains(':') =>
        {
            (wall, Some(name))
        }
        _ => (text, None),
    };
    if own.is_some_and(|name| ["am", "pm"].contains(&name.to_ascii_lowercase().as_str())) {
        return Err(format!(
            "`{text}` is not a time; write it year first and by the 24-hour clock, as 2026-03-01 21:00"
        ));
    }
    let wall = parse_local(wall)?;
    let name = own.or(zone).ok_or_else(|| {
        format!(
            "`{text}` says neither a UTC offset (2026-03-01T09:00Z) nor a time zone (2026-03-01 09:00 Europe/Berlin)"
        )
    })?;
    let zone = parse_zone(name)?;
    let (at, note) = local_instant(wall, zone);
    Ok(When {
        at: in_range(at)?,
        local: Some((wall, zone)),
        in_assumed_zone: own.is_none(),
        note,
    })
}

/// Reads the same where no zone goes for it.
pub fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    parse_when(text, None, Clock::host().now()).map(|when| when.at)
}

/// Whether it can be read, once a zone goes for it.
pub fn check_time(text: &str) -> Result<String, String> {
    parse_when(text, Some("UTC"), Clock::host().now()).map(|_| text.to_owned())
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
    let [year, month, day] = match parts(date, ['-', '/', '.']) {
        // Which of the first two is the day depends on the country.
        Some([first, _, _]) if first.len() < 4 => {
            return Err(format!(
                "`{text}` does not begin with the year, so a day and a month can't be told apart; write it as 2026-03-01 09:00"
            ));
        }
        date => date
            .and_then(|date| numbers(date, [4, 2, 2]))
            .ok_or_else(shape)?,
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    if fraction.bytes().any(|b| !b.is_ascii_digit()) {
        return Err(shape());
    }
    let with_seconds = format!("{time}:00");
    let clock = parts(time, [':']).or_else(|| parts(&with_seconds, [':']));
    let [hour, minute, second] = clock
        .and_then(|clock| numbers(clock, [2, 2, 2]))
        .ok_or_else(shape)?;
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
    let parts = parts(&text[sign + 1..], [':']).ok_or_else(wrong)?;
    let [hours, minutes] = numbers(parts, [2, 2]).ok_or_else(wrong)?;
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

/// Just so many parts, between one of the separators.
fn parts<const N: usize, const S: usize>(text: &str, separators: [char; S]) -> Option<[&str; N]> {
    let separator = separators
        .into_iter()
        .find(|separator| text.contains(*separator))?;
    let parts: Vec<&str> = text.split(separator).collect();
    parts.try_into().ok()
}

/// Numbers of so many digits; of two the first may be left out, as spreadsheets do.
fn numbers<const N: usize>(parts: [&str; N], digits: [usize; N]) -> Option<[u32; N]> {
    let mut numbers = [0; N];
    for ((number, part), length) in numbers.iter_mut().zip(parts).zip(digits) {
        let fits = part.len() == length || length == 2 && part.len() == 1;
        let well_formed = fits && part.bytes().all(|b| b.is_ascii_digit());
        *number = well_formed.then(|| part.parse().ok())??;
    }
    Some(numbers)
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
