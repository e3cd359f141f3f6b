//! When a post goes out and when it is too old, from the columns in which a person wrote it.

use chrono::{DateTime, Utc};

use super::NewPost;
use super::check::Row;
use crate::schedule::{self, When};
use crate::store::instant;

/// The times of a row.
pub(super) struct Times {
    pub(super) when: Option<When>,
    pub(super) timezone: Option<String>,
    pub(super) expires_at: Option<DateTime<Utc>>,
    pub(super) notes: Vec<String>,
    /// The zone in which its times were read because they say none, and whose it is.
    pub(super) assumed: Option<String>,
}

impl Times {
    pub(super) fn read(row: &mut Row<'_>, account_zone: Option<&str>, now: DateTime<Utc>) -> Self {
        let timezone = row.text("timezone");
        if let Some(Err(message)) = timezone.as_deref().map(schedule::parse_zone) {
            row.problem("timezone", message);
            return Self {
                when: None,
                timezone: None,
                expires_at: None,
                notes: Vec::new(),
                assumed: None,
            };
        }
        let zone = timezone.as_deref().or(account_zone);
        let when = scheduled(row, zone, now);
        let expires = row
            .text("expires_at")
            .and_then(|text| row.keep("expires_at", schedule::parse_when(&text, zone, now)));
        let is_assumed = |when: &&When| when.in_assumed_zone;
        let assumed = [&when, &expires].into_iter().flatten().find(is_assumed);
        // A zone that stands in the row beside a local_time is no news to whoever wrote it there.
        let told = timezone.is_some() && row.field("local_time").is_some();
        let assumed = assumed.and_then(|when| when.local).filter(|_| !told);
        let assumed = assumed.map(|(_, zone)| match timezone {
            Some(_) => format!("{zone}, their timezone"),
            None => format!("{zone}, the account's zone"),
        });
        if let (Some(when), Some(expires)) = (&when, &expires)
            && expires.at <= when.at
        {
            row.problem(
                "expires_at",
                "is not later than the time at which the post goes out",
            );
        }
        let notes = [&when, &expires].into_iter().flatten();
        Self {
            notes: notes
                .filter_map(|w| w.note)
                .map(|n| n.to_string())
                .collect(),
            when,
            timezone,
            expires_at: expires.map(|expires| expires.at),
            assumed,
        }
    }

    pub(super) fn write_to(&self, post: &mut NewPost) {
        post.timezone.clone_from(&self.timezone);
        if let Some(when) = self.when {
            post.scheduled_at = instant(when.at);
            if let Some((wall, zone)) = when.local {
                post.local_time = Some(wall.format("%Y-%m-%dT%H:%M:%S").to_string());
                post.timezone = Some(zone.name().to_owned());
            }
        }
    }
}

fn scheduled(row: &mut Row<'_>, zone: Option<&str>, now: DateTime<Utc>) -> Option<When> {
    match (row.text("scheduled_at"), row.text("local_time")) {
        (Some(text), None) => row.keep("scheduled_at", schedule::parse_when(&text, zone, now)),
        (None, Some(text)) => {
            // Without an account there is no zone, perhaps; that is said of the account.
            let wall = row.keep("local_time", schedule::parse_local(&text))?;
            let wall = wall.format("%Y-%m-%d %H:%M:%S").to_string();
            row.keep("local_time", schedule::parse_when(&wall, Some(zone?), now))
        }
        (Some(_), Some(_)) => {
            row.problem(
                "local_time",
                "is given beside scheduled_at; one of them is enough",
            );
            None
        }
        (None, None) => {
            row.missing(
                &["scheduled_at", "local_time"],
                "is missing (or give local_time)",
            );
            None
        }
    }
}
