//! `publisher prune`: removes what ended long ago, a little at a time, so that nobody waits for it.

use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::database;
use super::output::{count, emit, say_json};
use crate::config::{Config, Span};
use crate::exit::{Exit, Failed};
use crate::store::{Kept, Old, Store, StoreError};

/// Limits and quotas look back 30 days at most. A day more, so that no clock and no time zone brings one of theirs in.
const LEAST: Duration = Duration::from_hours(31 * 24);
/// How many rows go in one transaction: it holds their locks (on SQLite, the database's) for some milliseconds.
const BATCH: usize = 1_000;

#[expect(clippy::doc_markdown, reason = "the text of --help")]
/// Remove posts that ended long ago (published, failed, expired, canceled), and the records of runs.
///
/// What waits, is being published or is in doubt stays, however old. So do posts of a group that is not through, posts
/// that a foreign key refers to, the last run, and posts with an external_ref, which keeps an import from making them
/// again. It goes in short transactions, beside runs.
#[derive(Clone, Debug, Args)]
pub struct Prune {
    /// Remove what has not changed for so long, such as 90d or 730d; at least 31d, for limits count 30 days.
    #[arg(long, value_name = "TIME", value_parser = age)]
    older_than: Age,
    /// Remove nothing, and say what would go.
    #[arg(long)]
    dry_run: bool,
    /// Also remove posts with an external_ref. Whoever imports the same reference again posts it again.
    #[arg(long)]
    with_external_ref: bool,
    /// As one JSON object.
    ///
    /// "posts" and "runs" are how many were removed (with "dry_run": would be). "kept" is what stays although it is old:
    /// external_ref (without --with-external-ref), group (another post of theirs is not through), referred (a foreign key
    /// refers to them, or the database refuses for another reason) and locked (another session held them).
    #[arg(long)]
    json: bool,
}

/// How old, and as it was written.
#[derive(Clone, Debug)]
struct Age {
    time: Duration,
    text: String,
}

/// Reads an age. Other durations end at a year, this one doesn't.
fn age(text: &str) -> Result<Age, String> {
    let days = text
        .strip_suffix('d')
        .and_then(|days| days.parse::<u16>().ok());
    let time = match days {
        Some(days) => Duration::from_hours(24 * u64::from(days)),
        None => text.parse::<Span>()?.0,
    };
    if time < LEAST {
        return Err(
            "limits and quotas still count what was published in the last 30 days; 31d is the least"
                .to_owned(),
        );
    }
    Ok(Age {
        time,
        text: text.to_owned(),
    })
}

/// What was done; what `--json` prints.
#[derive(Debug, Default, Serialize)]
struct Report {
    posts: usize,
    runs: usize,
    kept: Stays,
    dry_run: bool,
}

/// What stays although it is old.
#[derive(Debug, Default, Serialize)]
struct Stays {
    external_ref: usize,
    group: usize,
    referred: usize,
    locked: usize,
}

/// Does it.
pub async fn run(args: Prune, config: &Config) -> Result<Exit, Failed> {
    let mut store = database::open_checked(config).await?;
    let mut report = Report {
        dry_run: args.dry_run,
        ..Report::default()
    };
    for what in [Old::Posts, Old::Runs] {
        let walked = walk(&mut store, what, &args, &mut report).await;
        walked.map_err(|error| interrupted(error, &report))?;
    }
    store.close().await;
    if args.json {
        say_json(&serde_json::to_string(&report).expect("numbers are plain data"))?;
        return Ok(Exit::Ok);
    }
    emit(&report.in_words(&args.older_than.text))?;
    Ok(Exit::Ok)
}

/// What is gone is gone: each part was committed. The next time goes on from there.
fn interrupted(error: StoreError, report: &Report) -> Failed {
    let mut failed = Failed::from(error);
    if !report.dry_run && report.posts + report.runs > 0 {
        failed.message = format!(
            "{}; {} were removed before that, run it again for the rest",
            failed.message,
            report.gone()
        );
    }
    failed
}

/// Goes through all that is old of one kind, page by page.
async fn walk(
    store: &mut Store,
    what: Old,
    args: &Prune,
    report: &mut Report,
) -> Result<(), StoreError> {
    let (mut before, mut after) = (Value::Null, Value::Null);
    loop {
        let began = Instant::now();
        let argument = json!({
            "before": before, "after": after, "batch": BATCH,
            "older_than_seconds": args.older_than.time.as_secs(), "with_external_ref": args.with_external_ref,
        });
        let page = store.old(what, &argument).await?;
        report.keep(page.kept);
        if args.dry_run {
            *report.removed(what) += page.ids.len();
        } else {
            remove(store, what, page.ids, &page.before, report).await?;
        }
        if page.seen < BATCH {
            return Ok(());
        }
        (before, after) = (page.before, page.next);
        if !args.dry_run {
            // Whoever waits for SQLite's one lock looks after it now and then: half of the time it is free.
            tokio::time::sleep(began.elapsed()).await;
        }
    }
}

/// Removes these. If the database refuses one of them, the others go all the same.
async fn remove(
    store: &mut Store,
    what: Old,
    ids: Vec<Value>,
    before: &Value,
    report: &mut Report,
) -> Result<(), StoreError> {
    let mut parts = vec![ids];
    while let Some(mut ids) = parts.pop() {
        if ids.is_empty() {
            continue;
        }
        match store.remove_old(what, &ids, before).await {
            Ok(gone) => {
                *report.removed(what) += gone;
                report.kept.locked += ids.len() - gone;
            }
            Err(StoreError::Refused(why)) if ids.len() == 1 => {
                tracing::info!(id = %ids[0], "it stays: {why}");
                report.kept.referred += 1;
            }
            Err(StoreError::Refused(_)) => {
                parts.push(ids.split_off(ids.len() / 2));
                parts.push(ids);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Report {
    fn removed(&mut self, what: Old) -> &mut usize {
        match what {
            Old::Posts => &mut self.posts,
            Old::Runs => &mut self.runs,
        }
    }

    fn keep(&mut self, kept: Kept) {
        self.kept.external_ref += kept.external_ref;
        self.kept.group += kept.group;
        self.kept.referred += kept.referred;
    }

    fn gone(&self) -> String {
        format!(
            "{} and {}",
            count(self.posts, "post"),
            count(self.runs, "run")
        )
    }

    /// One line, and a second one if something stays.
    fn in_words(&self, age: &str) -> String {
        let does = if self.dry_run {
            "would remove"
        } else {
            "removed"
        };
        let words = format!("{does} {} that had not changed for {age}", self.gone());
        let stays = &self.kept;
        let reasons = [
            (
                stays.external_ref,
                "with an external_ref (--with-external-ref removes them, too)",
            ),
            (stays.group, "of groups that are not through"),
            (stays.referred, "that something in the database refers to"),
            (stays.locked, "that another session held or changed"),
        ];
        let reasons = reasons.iter().filter(|(number, _)| *number > 0);
        let reasons: Vec<String> = reasons
            .map(|(number, why)| format!("{number} {why}"))
            .collect();
        if reasons.is_empty() {
            return words;
        }
        format!("{words}\nkept: {}", reasons.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_month_or_more_and_may_be_years() {
        assert_eq!(age("31d").unwrap().time, LEAST);
        assert_eq!(age("744h").unwrap().time, LEAST);
        assert_eq!(age("730d").unwrap().time, Duration::from_hours(730 * 24));
        for (text, part) in [
            ("30d", "31d is the least"),
            ("743h", "31d is the least"),
            ("0d", "31d"),
            ("soon", "24h"),
            ("d", "not a duration"),
            ("99999d", "longer than a year"),
            ("-90d", "not a duration"),
        ] {
            let why = age(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    #[test]
    fn it_is_said_in_one_line_or_two() {
        let mut report = Report {
            posts: 1,
            runs: 2,
            ..Report::default()
        };
        assert_eq!(
            report.in_words("90d"),
            "removed 1 post and 2 runs that had not changed for 90d"
        );
        report.dry_run = true;
        report.kept = Stays {
            external_ref: 3,
            locked: 1,
            ..Stays::default()
        };
        assert_eq!(
            report.in_words("90d"),
            "would remove 1 post and 2 runs that had not changed for 90d\n\
             kept: 3 with an external_ref (--with-external-ref removes them, too); 1 that another session held or changed"
        );
    }
}
