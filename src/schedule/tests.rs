use chrono_tz::TZ_VARIANTS;

use super::*;

fn wall(text: &str) -> NaiveDateTime {
    parse_local(text).unwrap()
}

fn utc(text: &str) -> DateTime<Utc> {
    parse_instant(text).unwrap()
}

fn now() -> DateTime<Utc> {
    utc("2026-11-01T00:00Z")
}

fn mapped(text: &str, zone: Tz) -> (String, String) {
    let (at, note) = local_instant(wall(text), zone);
    let note = note.map(|note| note.to_string()).unwrap_or_default();
    (minute(at), note)
}

#[test]
fn an_ordinary_time_has_one_instant_and_no_note() {
    assert_eq!(
        mapped("2026-07-01 09:00", Tz::Europe__Berlin),
        ("2026-07-01 07:00Z".to_owned(), String::new())
    );
}

#[test]
fn a_time_in_a_gap_moves_forward_by_the_gap() {
    for (asked, zone, at, there) in [
        (
            "2026-03-29 02:30",
            Tz::Europe__Berlin,
            "2026-03-29 01:30Z",
            "2026-03-29 03:30",
        ),
        (
            "2026-03-08 02:00",
            Tz::America__New_York,
            "2026-03-08 07:00Z",
            "2026-03-08 03:00",
        ),
        // Half an hour only.
        (
            "2026-10-04 02:15",
            Tz::Australia__Lord_Howe,
            "2026-10-03 15:45Z",
            "2026-10-04 02:45",
        ),
        // A whole day that Samoa skipped.
        (
            "2011-12-30 12:00",
            Tz::Pacific__Apia,
            "2011-12-30 22:00Z",
            "2011-12-31 12:00",
        ),
        // The clocks go forward when Ramadan ends.
        (
            "2026-03-22 02:30",
            Tz::Africa__Casablanca,
            "2026-03-22 02:30Z",
            "2026-03-22 03:30",
        ),
    ] {
        let note = format!(
            "{asked} does not exist in {zone} (the clocks go forward); it becomes {there} there, {at}"
        );
        assert_eq!(mapped(asked, zone), (at.to_owned(), note));
    }
}

#[test]
fn of_a_time_that_exists_twice_the_first_is_taken() {
    for (asked, zone, at) in [
        ("2026-10-25 02:30", Tz::Europe__Berlin, "2026-10-25 00:30Z"),
        (
            "2026-11-01 01:30",
            Tz::America__New_York,
            "2026-11-01 05:30Z",
        ),
        (
            "2026-04-05 01:45",
            Tz::Australia__Lord_Howe,
            "2026-04-04 14:45Z",
        ),
        (
            "2026-02-15 02:30",
            Tz::Africa__Casablanca,
            "2026-02-15 01:30Z",
        ),
    ] {
        let note = format!(
            "{asked} exists twice in {zone} (the clocks go back); the first is taken, {at}"
        );
        assert_eq!(mapped(asked, zone), (at.to_owned(), note));
    }
}

fn offset(zone: Tz, at: DateTime<Utc>) -> TimeDelta {
    let seconds = zone
        .offset_from_utc_datetime(&at.naive_utc())
        .fix()
        .local_minus_utc();
    TimeDelta::seconds(i64::from(seconds))
}

/// The minute at which the offset becomes another, between two instants with different offsets.
fn transition(zone: Tz, mut before: DateTime<Utc>, mut after: DateTime<Utc>) -> DateTime<Utc> {
    while after - before > TimeDelta::minutes(1) {
        let middle = before + TimeDelta::minutes((after - before).num_minutes() / 2);
        if offset(zone, middle) == offset(zone, before) {
            before = middle;
        } else {
            after = middle;
        }
    }
    after
}

/// By the definition alone: the earliest instant that shows this wall clock; if none does, the gap decides.
fn check_around(zone: Tz, change: DateTime<Utc>) {
    let before = offset(zone, change - TimeDelta::minutes(1));
    let gap = offset(zone, change) - before;
    let centre = (change + before).naive_utc();
    for quarters in -16..=16 {
        let asked = centre + TimeDelta::minutes(15 * quarters);
        let (at, note) = local_instant(asked, zone);
        let shows = |at: DateTime<Utc>| (at + offset(zone, at)).naive_utc();
        // Offsets of these years are whole quarters of an hour, within a day of UTC.
        let earliest = (-26 * 4..=26 * 4)
            .map(|quarters| asked.and_utc() + TimeDelta::minutes(15 * quarters))
            .find(|candidate| shows(*candidate) == asked);
        if let Some(earliest) = earliest {
            assert_eq!(at, earliest, "{asked} {zone}");
        } else {
            assert_eq!(shows(at), asked + gap, "{asked} {zone}");
            assert!(matches!(note, Some(Note::Moved { .. })), "{asked} {zone}");
        }
    }
}

#[test]
fn every_zone_keeps_the_rule_around_every_change() {
    let mut changes = 0;
    for zone in TZ_VARIANTS {
        let end = utc("2028-01-01T00:00Z");
        let mut day = utc("2024-01-01T00:00Z");
        while day < end {
            let next = day + TimeDelta::days(1);
            if offset(zone, day) != offset(zone, next) {
                check_around(zone, transition(zone, day, next));
                changes += 1;
            }
            day = next;
        }
    }
    assert!(changes > 1000, "only {changes} changes were looked at");
}

#[test]
fn times_are_read_in_several_spellings() {
    for text in [
        "2026-03-01T09:00:00Z",
        "2026-03-01 09:00Z",
        "2026-03-01T10:00+01:00",
        "2026-03-01T10:00:00.250+01:00",
        "2026-03-01 04:00:00 -05:00",
        " 2026-03-01t09:00z ",
    ] {
        assert_eq!(
            parse_instant(text).map(minute),
            Ok("2026-03-01 09:00Z".to_owned()),
            "{text}"
        );
        assert_eq!(
            parse_when(text, Some("Asia/Tokyo"), now()).unwrap().at,
            utc("2026-03-01T09:00Z")
        );
    }
    for (text, expected) in [
        ("now", "2026-11-01 00:00Z"),
        (" Now ", "2026-11-01 00:00Z"),
        ("+2h", "2026-11-01 02:00Z"),
        ("+7d", "2026-11-08 00:00Z"),
        ("2026-03-01 09:00 Europe/Berlin", "2026-03-01 08:00Z"),
        ("2026-03-01T09:00 UTC", "2026-03-01 09:00Z"),
        // As spreadsheets write what they take for a date.
        ("2026-3-1 9:00", "2026-03-01 00:00Z"),
        ("2026/03/01 09:00:00", "2026-03-01 00:00Z"),
        ("2026.3.1 9:00", "2026-03-01 00:00Z"),
    ] {
        let when = parse_when(text, Some("Asia/Tokyo"), now()).unwrap();
        assert_eq!(minute(when.at), expected, "{text}");
    }
    let when = parse_when("2026-03-01 09:00", Some("Asia/Tokyo"), now()).unwrap();
    assert!(when.in_assumed_zone);
    assert_eq!(when.at, utc("2026-03-01T00:00Z"));
    assert_eq!(
        when.local,
        Some((wall("2026-03-01T09:00"), Tz::Asia__Tokyo))
    );
}

#[test]
fn what_is_no_time_is_said_so() {
    for (text, zone, message) in [
        (
            "2026-02-30 09:00",
            Some("UTC"),
            "`2026-02-30` is not in the calendar",
        ),
        (
            "2026-02-30T09:00Z",
            None,
            "`2026-02-30` is not in the calendar",
        ),
        (
            "2026-03-01 25:00",
            Some("UTC"),
            "`25:00` is not a time of day",
        ),
        ("2026-03-01 09:60Z", None, "`09:60` is not a time of day"),
        (
            "tomorrow",
            Some("UTC"),
            "`tomorrow` is not a time; write it as 2026-03-01 09:00",
        ),
        (
            "1.3.2026 09:00",
            Some("UTC"),
            "`1.3.2026 09:00` does not begin with the year, so a day and a month can't be told apart; write it as 2026-03-01 09:00",
        ),
        (
            "12/27/2026 9:00 AM",
            Some("UTC"),
            "`12/27/2026 9:00 AM` is not a time; write it year first and by the 24-hour clock, as 2026-03-01 21:00",
        ),
        (
            "27/12/2026 09:00Z",
            None,
            "`27/12/2026 09:00` does not begin with the year, so a day and a month can't be told apart; write it as 2026-03-01 09:00",
        ),
        (
            "2026-12-27 9:00 AM",
            Some("UTC"),
            "`2026-12-27 9:00 AM` is not a time; write it year first and by the 24-hour clock, as 2026-03-01 21:00",
        ),
        (
            "+2 hours",
            None,
            "`2 hours` is not a duration; write a number and ms, s, m, h or d, such as 90s or 24h",
        ),
        (
            "2026-03-01",
            Some("UTC"),
            "`2026-03-01` is not a time; write it as 2026-03-01 09:00",
        ),
        (
            "2026-03-01T09:00+25:00",
            None,
            "`+25:00` is not a UTC offset such as +01:00",
        ),
        (
            "1999-12-31T23:59Z",
            None,
            "1999-12-31 23:59Z is outside the years 2000 to 9999",
        ),
        (
            "2000-01-01 00:30",
            Some("Asia/Tokyo"),
            "1999-12-31 15:30Z is outside the years 2000 to 9999",
        ),
        (
            "9999-12-31T23:00-05:00",
            None,
            "+10000-01-01 04:00Z is outside the years 2000 to 9999",
        ),
        (
            "2026-03-01 09:00",
            None,
            "`2026-03-01 09:00` says neither a UTC offset (2026-03-01T09:00Z) nor a time zone (2026-03-01 09:00 Europe/Berlin)",
        ),
        (
            "2026-03-01 09:00",
            Some("Europe/Berln"),
            "`Europe/Berln` is not a time zone; did you mean Europe/Berlin?",
        ),
        (
            "2026-03-01 09:00",
            Some("new york"),
            "`new york` is not a time zone; did you mean America/New_York?",
        ),
        (
            "2026-03-01 09:00",
            Some("europe/berlin"),
            "`europe/berlin` is not a time zone; did you mean Europe/Berlin?",
        ),
        (
            "2026-03-01 09:00",
            Some("Xqwzjk"),
            "`Xqwzjk` is not a time zone; zones are named like Europe/Berlin",
        ),
    ] {
        assert_eq!(parse_when(text, zone, now()), Err(message.to_owned()));
    }
}

#[test]
fn lateness_is_counted_from_the_schedule() {
    let scheduled = utc("2026-03-01T09:00Z");
    for (seconds, name) in [
        (-3600, "on_time"),
        (300, "on_time"),
        (301, "recent"),
        (3600, "recent"),
        (3601, "moderate"),
        (86_400, "moderate"),
        (86_401, "severe"),
        (604_800, "severe"),
        (604_801, "critical"),
    ] {
        let now = scheduled + TimeDelta::seconds(seconds);
        assert_eq!(Lateness::of(scheduled, now).name(), name, "{seconds} s");
    }
}

#[test]
fn retries_wait_from_a_minute_to_an_hour() {
    let range = |attempt| {
        (
            retry_delay(attempt, 0.0).as_secs(),
            retry_delay(attempt, 1.0).as_secs(),
        )
    };
    assert_eq!(range(1), (60, 120));
    assert_eq!(range(2), (60, 240));
    assert_eq!(range(5), (60, 1920));
    assert_eq!(range(6), (60, 3600));
    assert_eq!(range(u32::MAX), (60, 3600));
    assert_eq!(retry_delay(6, 0.5).as_secs(), 1830);
    assert_eq!(retry_delay(6, 7.0).as_secs(), 3600);
}

#[test]
fn a_clock_goes_on_from_its_start() {
    let clock = Clock::at(utc("2026-03-01T09:00Z"));
    let (first, second) = (clock.now(), clock.now());
    assert!(first >= utc("2026-03-01T09:00Z") && second >= first);
    assert!(second < utc("2026-03-01T09:01Z"));
}
