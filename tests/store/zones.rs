//! One rule for wall-clock times in two places: PostgreSQL's `instant_of` and `schedule::local_instant`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use publisher::schedule::local_instant;

use crate::support::database::{Backend, World};

const FROM: &str = "2024-01-01T00:00:00Z";
const TO: &str = "2028-01-01T00:00:00Z";

/// Zones that the two time zone databases may tell differently without a failure here.
const DISPUTED: usize = 5;

fn offset(zone: Tz, at: DateTime<Utc>) -> i64 {
    let offset = zone.offset_from_utc_datetime(&at.naive_utc()).fix();
    i64::from(offset.local_minus_utc())
}

/// The instants at which a zone's offset changes.
fn transitions(zone: Tz) -> Vec<DateTime<Utc>> {
    let (mut at, end): (DateTime<Utc>, DateTime<Utc>) =
        (FROM.parse().unwrap(), TO.parse().unwrap());
    let mut found = Vec::new();
    while at < end {
        let next = at + TimeDelta::days(5);
        let (mut low, mut high) = (at, next);
        if offset(zone, low) != offset(zone, high) {
            while high - low > TimeDelta::seconds(1) {
                let middle = low + TimeDelta::seconds((high - low).num_seconds() / 2);
                if offset(zone, middle) == offset(zone, low) {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            found.push(high);
        }
        at = next;
    }
    found
}

/// Wall-clock times before, in and after the change.
fn around(zone: Tz, transition: DateTime<Utc>) -> BTreeSet<NaiveDateTime> {
    let before = transition.naive_utc()
        + TimeDelta::seconds(offset(zone, transition - TimeDelta::seconds(1)));
    let after = transition.naive_utc() + TimeDelta::seconds(offset(zone, transition));
    let (first, last) = (before.min(after), before.max(after));
    let mut walls: BTreeSet<NaiveDateTime> = [first, last]
        .into_iter()
        .flat_map(|edge| [-1, 0, 1].map(|second| edge + TimeDelta::seconds(second)))
        .collect();
    let mut wall = first - TimeDelta::hours(25);
    while wall <= last + TimeDelta::hours(25) {
        walls.insert(wall);
        let near = wall > first - TimeDelta::hours(2) && wall < last + TimeDelta::hours(2);
        wall += TimeDelta::minutes(if near { 15 } else { 240 });
    }
    walls
}

#[tokio::test]
async fn postgres_reads_wall_clock_times_as_the_command_line_does() {
    let world = World::migrated(Backend::Postgres).await;
    let mut raw = world.raw().await;
    let known: BTreeSet<String> = raw
        .texts("SELECT name FROM pg_timezone_names")
        .await
        .into_iter()
        .collect();
    let zones: Vec<Tz> = TZ_VARIANTS
        .into_iter()
        .filter(|zone| known.contains(zone.name()))
        .collect();
    assert!(zones.len() > 400, "only {} zones in common", zones.len());

    let mut values = String::new();
    let mut expected = BTreeMap::new();
    let mut changes = 0;
    for zone in &zones {
        let mut walls: BTreeSet<NaiveDateTime> = transitions(*zone)
            .into_iter()
            .inspect(|_| changes += 1)
            .flat_map(|transition| around(*zone, transition))
            .collect();
        walls.insert("2026-01-15T12:00:00".parse().unwrap());
        walls.insert("2026-07-15T12:00:00".parse().unwrap());
        for wall in walls {
            let separator = if values.is_empty() { "" } else { "," };
            write!(values, "{separator}('{}','{wall}')", zone.name()).unwrap();
            expected.insert((zone.name(), wall), local_instant(wall, *zone).0);
        }
    }
    assert!(changes > 1_000, "only {changes} changes of clocks");

    let rows = raw
        .texts(&format!(
            "SELECT concat_ws('|', zone, to_char(wall, 'YYYY-MM-DD\"T\"HH24:MI:SS'),
                              extract(epoch FROM publisher.instant_of(wall, zone))::bigint)
             FROM (VALUES {values}) v (zone, wall_text), LATERAL (SELECT wall_text::timestamp AS wall) w"
        ))
        .await;
    assert_eq!(rows.len(), expected.len());
    let mut differing: BTreeMap<String, Vec<(NaiveDateTime, String)>> = BTreeMap::new();
    for row in rows {
        let [zone, wall, epoch] = row.split('|').collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        let wall_time: NaiveDateTime = wall.parse().unwrap();
        let there: DateTime<Utc> = DateTime::from_timestamp(epoch.parse().unwrap(), 0).unwrap();
        let here = expected[&(zone_name(&zones, zone), wall_time)];
        if here != there {
            differing
                .entry(zone.to_owned())
                .or_default()
                .push((wall_time, format!("{here} here, {there} there")));
        }
    }
    // Where the two tell different offsets for the same instant, they are of different vintages. (Asked as the
    // session's zone, which is never read as an abbreviation.)
    let mut disputed = BTreeSet::new();
    for (name, times) in &differing {
        let zone: Tz = name.parse().unwrap();
        raw.run(&format!("SET TimeZone = '{name}'")).await;
        for (wall, ..) in times {
            for day in [-1, 0, 1] {
                let noon = wall.date().and_hms_opt(12, 0, 0).unwrap() + TimeDelta::days(day);
                let there = raw
                    .number(&format!(
                        "SELECT extract(timezone FROM timestamptz '{noon}Z')::bigint"
                    ))
                    .await;
                if there != offset(zone, noon.and_utc()) {
                    disputed.insert(name.clone());
                }
            }
        }
    }
    differing.retain(|name, _| !disputed.contains(name));
    assert!(differing.is_empty(), "{differing:#?}");
    assert!(disputed.len() <= DISPUTED, "{disputed:?}");
}

fn zone_name(zones: &[Tz], name: &str) -> &'static str {
    zones
        .iter()
        .find(|zone| zone.name() == name)
        .unwrap()
        .name()
}
