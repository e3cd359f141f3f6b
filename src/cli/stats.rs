//! `publisher stats`: how things stand now, what happened of late, and who is needed.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use clap::Args;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::database;
use super::output::{Heading, emit, say_json};
use crate::config::{Config, Span};
use crate::exit::{Exit, Failed};
use crate::schedule::minute;
use crate::store::instant;
use crate::summary::Lateness;

mod page;

#[expect(clippy::doc_markdown, reason = "the text of --help")]
/// Show what waits and what is in doubt, what happened of late, and which accounts hold posts back.
///
/// Reads only, and exits 0 whatever it finds.
#[derive(Clone, Debug, Args)]
pub struct Stats {
    /// As one JSON object.
    ///
    /// How things stand "at" that instant is in "now": due, held_back (of those due, because the account is needs_login,
    /// blocked or disabled), later, next_due_at, publishing, lease_ended (of those: the run died), unconfirmed,
    /// unconfirmed_since (the oldest), next_look_at, for_a_person (looked up no more) and failed. What happened "since":
    /// published, failed, expired, success_rate and lateness_ms (p50, p95, max), in all and in "platforms" by name, and
    /// "runs": count, exit_codes and last. "accounts" are those that need a login or are blocked.
    #[arg(long)]
    json: bool,
    /// How far back "of late" goes, such as 90m or 7d.
    #[arg(long, default_value = "24h", value_name = "TIME")]
    since: Span,
    #[command(flatten)]
    heading: Heading,
}

/// An instant; written in the one form that `run --json` has, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Moment(DateTime<Utc>);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&instant(self.0))
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&minute(self.0))
    }
}

/// Reads an instant out of a post's history, which an application may write: what is none is left out.
fn if_it_is_one<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Moment>, D::Error> {
    let value = Value::deserialize(value)?;
    Ok(serde_json::from_value(value).ok())
}

/// How things stand.
#[derive(Debug, Deserialize, Serialize)]
struct Now {
    /// Pending, and their time has come.
    due: u64,
    /// Those of them that wait for their account.
    held_back: HeldBack,
    /// Pending, and their time has not come.
    later: u64,
    next_due_at: Option<Moment>,
    publishing: u64,
    /// Those of them whose run died: the next one finds out what became of them.
    lease_ended: u64,
    unconfirmed: u64,
    /// Since when nobody knows of the oldest.
    #[serde(deserialize_with = "if_it_is_one")]
    unconfirmed_since: Option<Moment>,
    next_look_at: Option<Moment>,
    /// Unconfirmed posts that are looked up no more.
    for_a_person: u64,
    /// The dead letters, however old.
    failed: u64,
}

#[derive(Debug, Deserialize, Serialize)]
struct HeldBack {
    needs_login: u64,
    blocked: u64,
    disabled: u64,
}

#[derive(Debug, Deserialize, Serialize)]
struct Runs {
    /// Those that had something due; the others leave no trace.
    count: u64,
    exit_codes: BTreeMap<String, u64>,
    /// However long ago.
    last: Option<LastRun>,
}

#[derive(Debug, Deserialize, Serialize)]
struct LastRun {
    id: String,
    host: String,
    started_at: Moment,
    finished_at: Moment,
    due: u64,
    published: u64,
    retry: u64,
    failed: u64,
    expired: u64,
    unconfirmed: u64,
    released: u64,
    exit_code: u8,
}

/// An account that holds its posts back.
#[derive(Debug, Deserialize, Serialize)]
struct Held {
    id: i64,
    account: String,
    owner: String,
    status: String,
    blocked_until: Option<Moment>,
    reason: Option<String>,
    /// Its posts whose time has come.
    due: u64,
}

/// What the statement returns.
#[derive(Debug, Deserialize)]
struct Row {
    at: Moment,
    since: Moment,
    now: Now,
    published: Vec<Published>,
    ended: Vec<Ended>,
    runs: Runs,
    accounts: Vec<Held>,
}

/// What a platform published, or all of them (`None`).
#[derive(Debug, Deserialize)]
struct Published {
    platform: Option<String>,
    posts: u64,
    p50: i64,
    p95: i64,
    max: i64,
}

/// How many posts of a platform ended so: failed or expired.
#[derive(Debug, Deserialize)]
struct Ended {
    platform: String,
    status: String,
    posts: u64,
}

/// What happened, of a platform or in all.
#[derive(Clone, Debug, Default, Serialize)]
struct Figures {
    published: u64,
    failed: u64,
    expired: u64,
    /// Published among those that ended; 1 if none did.
    success_rate: f64,
    /// From `scheduled_at` to the platform's acceptance.
    lateness_ms: Lateness,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    at: Moment,
    since: Moment,
    now: Now,
    #[serde(flatten)]
    all: Figures,
    platforms: BTreeMap<String, Figures>,
    runs: Runs,
    accounts: Vec<Held>,
}

/// Does it.
pub async fn run(args: Stats, config: &Config) -> Result<Exit, Failed> {
    let mut store = database::open_checked(config).await?;
    let argument = json!({"now": null, "since_seconds": args.since.0.as_secs_f64()});
    let row = store.stats(&argument).await?;
    store.close().await;
    let row: Row = serde_json::from_value(row).map_err(|why| {
        Failed::new(
            Exit::Bug,
            format!("the database's figures can't be read: {why}"),
        )
    })?;
    let report = Report::from(row);
    if args.json {
        say_json(&serde_json::to_string(&report).expect("figures are plain data"))?;
        return Ok(Exit::Ok);
    }
    args.heading
        .rows(&["now", "posts", ""], &page::standing(&report))?;
    emit(&format!(
        "\nSince {}, and how late half, 95% and all were:",
        report.since
    ))?;
    args.heading.rows(&page::FIGURES, &page::figures(&report))?;
    emit(&format!("\n{}", page::runs(&report.runs)))?;
    if !report.accounts.is_empty() {
        emit("\nThese accounts hold their posts back:")?;
        args.heading
            .rows(&page::HELD, &page::held(&report.accounts))?;
    }
    Ok(Exit::Ok)
}

impl From<Row> for Report {
    fn from(row: Row) -> Self {
        let mut all = Figures::default();
        let mut platforms: BTreeMap<String, Figures> = BTreeMap::new();
        for published in row.published {
            let figures = match published.platform {
                Some(name) => platforms.entry(name).or_default(),
                None => &mut all,
            };
            figures.published = published.posts;
            figures.lateness_ms = Lateness {
                p50: published.p50,
                p95: published.p95,
                max: published.max,
            };
        }
        for ended in row.ended {
            let platform = platforms.entry(ended.platform).or_default();
            for figures in [platform, &mut all] {
                match ended.status.as_str() {
                    "expired" => figures.expired += ended.posts,
                    _ => figures.failed += ended.posts,
                }
            }
        }
        for figures in platforms.values_mut().chain([&mut all]) {
            figures.rate();
        }
        Self {
            at: row.at,
            since: row.since,
            now: row.now,
            all,
            platforms,
            runs: row.runs,
            accounts: row.accounts,
        }
    }
}

impl Figures {
    fn rate(&mut self) {
        let ended = self.published + self.failed + self.expired;
        self.success_rate = match ended {
            0 => 1.0,
            ended => self.published as f64 / ended as f64,
        };
    }
}

#[cfg(test)]
mod tests;
