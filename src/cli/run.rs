//! `publisher run`.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::database::{migrate, open};
use super::output::{complain, remark_json, say, say_json};
use super::preview::Form;
use super::{posts, preview};
use crate::claim;
use crate::config::{Config, DEFAULT_EXPIRY, Span};
use crate::exit::{Exit, Failed};
use crate::http::{Http, Timeouts};
use crate::journal::Place;
use crate::limits;
use crate::media;
use crate::outcome::Outcome;
use crate::platform;
use crate::progress::{self, Progress};
use crate::publish::{Pace, Settings};
use crate::run::{self, Done, Options};
use crate::schedule::next_look;
use crate::secret;
use crate::stop::Stop;
use crate::store::Request;
use crate::summary::{FailOn, Summary};

const DEFAULT_LIMIT: u32 = 10_000;
const DEFAULT_TIME_BUDGET: Duration = Duration::from_mins(5);
/// Beyond this lateness a post is never sent, whatever its own window.
const LONGEST_EXPIRY: Duration = Duration::from_hours(168);
/// So many problems are told one by one on stderr.
const TOLD: usize = 20;
/// So many accounts that share a problem are named.
const NAMED: usize = 3;

#[expect(
    clippy::struct_excessive_bools,
    clippy::struct_field_names,
    reason = "each field is a flag of the command line, under its name"
)]
/// Publish what is due. Silent on success unless stdout is a terminal or --json or -v is given.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// Show what a run would do, in order, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: as if it were that time: 2026-03-01T09:00Z, +2h, "2026-03-01 09:00 Europe/Berlin" [default: now].
    #[arg(long, requires = "dry_run", value_name = "TIME", value_parser = crate::schedule::parse_time)]
    now: Option<DateTime<Utc>>,
    /// With --dry-run: every post, not only the first 20 of each list.
    #[arg(long, requires = "dry_run")]
    all: bool,
    /// Print one JSON object on stdout; with --dry-run it has every post.
    #[arg(long)]
    json: bool,
    /// Claim at most so many posts [default: 10000].
    #[arg(long, env = "PUBLISHER_LIMIT", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: Option<u32>,
    /// Claim again and again, a wave of --limit posts at a time, until nothing is due or the time budget is used up.
    #[arg(long, conflicts_with = "dry_run")]
    drain: bool,
    /// Only this platform; may be repeated.
    #[arg(long = "platform", value_name = "PLATFORM", value_parser = clap::builder::PossibleValuesParser::new(platform::names()))]
    platforms: Vec<String>,
    /// Only this owner's accounts; may be repeated.
    #[arg(long = "owner", value_name = "OWNER")]
    owners: Vec<String>,
    /// How fast: smart (the platforms' caps), gentle (also fewer at once the later they are), max-speed (no caps), or a
    /// pace of the configuration file [default: smart].
    #[arg(long, env = "PUBLISHER_PACE", value_name = "PACE")]
    pace: Option<String>,
    /// At most N posts of a platform in flight at once, such as facebook=12; may be repeated
    /// [default: facebook 8, instagram 5, linkedin 4, youtube 4, slack 8].
    #[arg(long = "cap", env = "PUBLISHER_CAP", value_name = "PLATFORM=N", value_delimiter = ',', value_parser = cap)]
    caps: Vec<(String, NonZeroUsize)>,
    /// Drop posts that are later than this, at most 7d [default: 24h].
    #[arg(long, env = "PUBLISHER_EXPIRY", value_name = "TIME")]
    expiry: Option<Span>,
    /// After this nothing new starts [default: 5m].
    #[arg(long, env = "PUBLISHER_TIME_BUDGET", value_name = "TIME")]
    time_budget: Option<Span>,
    /// What makes the exit code 1 [default: failed,expired,unconfirmed].
    #[arg(
        long,
        env = "PUBLISHER_FAIL_ON",
        value_name = "WHAT",
        value_delimiter = ',',
        value_enum
    )]
    fail_on: Vec<FailOn>,
    /// Send all traffic to a sandbox at URL/PLATFORM/… instead of the platforms.
    #[arg(long, env = "PUBLISHER_SANDBOX", value_name = "URL", value_parser = crate::trust::stand_in)]
    sandbox: Option<Url>,
    /// First create the schema or bring it up to date.
    #[arg(long)]
    migrate: bool,
    /// No progress bars and no table.
    #[arg(long)]
    no_progress: bool,
}

fn cap(text: &str) -> Result<(String, NonZeroUsize), String> {
    let (name, number) = text
        .split_once('=')
        .ok_or("write it as PLATFORM=N, such as facebook=12")?;
    if platform::by_name(name).is_none() {
        return Err(format!(
            "there is no platform `{name}`; there are {}",
            platform::names().join(", ")
        ));
    }
    let number = number
        .parse()
        .map_err(|_| format!("`{number}` is not a whole number from 1"))?;
    Ok((name.to_owned(), number))
}

/// Carries it out.
pub async fn run(command: Run, config: &Config) -> Result<Exit, Failed> {
    let (dry_run, json, migrates) = (command.dry_run, command.json, command.migrate);
    let form = match (json, command.all) {
        (true, _) => Form::Json,
        (false, true) => Form::WHOLE,
        (false, false) => Form::BRIEF,
    };
    let interactive = !command.no_progress && std::io::stderr().is_terminal();
    let table = interactive && !json && std::io::stdout().is_terminal();
    let (options, http) = options(command, config)?;
    if dry_run {
        return preview::run(&options, &http.media, config, form).await;
    }
    // From here on a signal drains instead of killing.
    let stop = Stop::listen()?;
    if migrates {
        // What is under way is undone with its connection.
        tokio::select! {
            migrated = migrate(&config.database) => drop(migrated?),
            exit = stop.asked() => return Ok(exit),
        }
    }
    // Nothing has begun yet that would have to be brought to an end.
    let mut store = tokio::select! {
        store = open(config) => store?,
        exit = stop.asked() => return Ok(exit),
    };
    let progress = if interactive {
        Progress::bars()
    } else {
        Progress::hidden()
    };
    let done = run::run(&mut store, &options, &http, &stop, &progress).await?;
    let statements = store.statements();
    store.close().await;
    let Some(done) = done else {
        if json {
            say_json(&nothing_due(&options, statements))?;
        } else if table {
            say("Nothing is due.\n")?;
        }
        return Ok(Exit::Ok);
    };
    let said = if json {
        let summary = serde_json::to_string(&done.summary).expect("a summary is plain data");
        say_json(&summary)
    } else if table {
        say(&progress::table(&done.summary))
    } else {
        Ok(())
    };
    report(&done);
    // By now that is the smaller trouble: how the run itself ended goes before it.
    let Err(why) = said else { return Ok(done.exit) };
    complain(&format!(
        "the summary can't be written to stdout ({why}); `publisher posts list` has what became of the posts"
    ));
    Ok(done.exit.max(Exit::Attention))
}

fn nothing_due(options: &Options, statements: u32) -> String {
    let now = crate::schedule::Clock::host().now();
    let mut summary = Summary::of(options.request.run, now, now, &[], &BTreeMap::new());
    summary.database_statements = statements;
    summary.waves = options.drain.then_some(0);
    serde_json::to_string(&summary).expect("a summary is plain data")
}

/// Flags, then the file, then the defaults.
fn options(command: Run, config: &Config) -> Result<(Options, Http), Failed> {
    let file = &config.file;
    let span = |flag: Option<Span>, file: Option<Span>, default| {
        flag.or(file).map_or(default, |span: Span| span.0)
    };
    let expiry = span(command.expiry, file.expiry, DEFAULT_EXPIRY);
    if expiry.is_zero() || expiry > LONGEST_EXPIRY {
        return Err(Failed::usage(
            "the expiry must be more than 0 and at most 7d: a later post is never sent",
        ));
    }
    let time_budget = span(command.time_budget, file.time_budget, DEFAULT_TIME_BUDGET);
    let defaults = Timeouts::default();
    let timeouts = Timeouts {
        request: span(None, file.request_timeout, defaults.request),
        upload: span(None, file.upload_timeout, defaults.upload),
    };
    let mut caps: BTreeMap<String, NonZeroUsize> = file
        .platforms
        .iter()
        .filter_map(|(name, settings)| Some((name.clone(), settings.cap?)))
        .collect();
    caps.extend(command.caps);
    let host = host_name();
    let run = Uuid::new_v4();
    let options = Options {
        request: Request {
            run,
            now: command.now,
            limit: command.limit.or(file.limit).unwrap_or(DEFAULT_LIMIT),
            expiry,
            lease: claim::LEASE,
            platforms: command.platforms,
            owners: command.owners,
            spared: Vec::new(),
            quotas: limits::quotas(&file.platforms),
        },
        drain: command.drain,
        settings: Settings {
            pace: pace(
                command
                    .pace
                    .as_deref()
                    .or(file.pace.as_deref())
                    .unwrap_or("smart"),
                config,
            )?,
            caps,
            time_budget,
            sandbox: command.sandbox,
            platforms: file.platforms.clone(),
            key: secret::existing_key(config)?,
            database: config.database.clone(),
            run,
        },
        fail_on: fail_on(command.fail_on, config)?,
        journal: Some(Place::of(config, &host)),
        host,
    };
    // The sandbox is on a private address, and so are the media that go with it.
    let media = media::Policy {
        allow_private: config.media.allow_private || options.settings.sandbox.is_some(),
        ..config.media.clone()
    };
    Ok((options, Http::new(timeouts, media)))
}

fn pace(name: &str, config: &Config) -> Result<Pace, Failed> {
    let custom = || config.file.paces.get(name).cloned().map(Pace::Custom);
    Pace::by_name(name).or_else(custom).ok_or_else(|| {
        let own = config.file.paces.keys().map(String::as_str);
        let known: Vec<&str> = ["smart", "gentle", "max-speed"]
            .into_iter()
            .chain(own)
            .collect();
        let known = known.join(", ");
        Failed::usage(format!("there is no pace `{name}`; there are {known}"))
    })
}

fn fail_on(flags: Vec<FailOn>, config: &Config) -> Result<Vec<FailOn>, Failed> {
    if !flags.is_empty() {
        return Ok(flags);
    }
    let Some(names) = &config.file.fail_on else {
        return Ok(vec![FailOn::Failed, FailOn::Expired, FailOn::Unconfirmed]);
    };
    let read = |name: &String| {
        clap::ValueEnum::from_str(name, false).map_err(|_| {
            Failed::configuration(format!(
                "fail_on: `{name}` is none of failed, expired, unconfirmed, retry, none"
            ))
        })
    };
    names.iter().map(read).collect()
}

/// This machine's name, for the run's row.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        "unknown".to_owned()
    } else {
        name.to_owned()
    }
}

/// Which accounts have each cause.
fn by_cause<'a>(
    accounts: impl Iterator<Item = (String, &'a str)>,
) -> BTreeMap<&'a str, Vec<String>> {
    let mut causes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (account, why) in accounts {
        causes.entry(why).or_default().push(account);
    }
    causes
}

/// Who it is, and which of the two is said of them.
fn several<'a>(accounts: &[String], one: &'a str, many: &'a str) -> (String, &'a str) {
    match accounts {
        [account] => (account.clone(), one),
        [.., _] if accounts.len() <= NAMED => (accounts.join(", "), many),
        _ => {
            let first = accounts[..NAMED].join(", ");
            (format!("{} accounts ({first} …)", accounts.len()), many)
        }
    }
}

/// What a person should know of single posts, a line each.
fn problems(done: &Done) -> Vec<String> {
    // As the commit had it.
    let now: DateTime<Utc> = done.summary.finished_at.parse().unwrap_or_default();
    let error = |row: &Value| row["error"].as_str().unwrap_or_default().to_owned();
    let problems = done.told.iter().filter_map(|settled| {
        let (post, outcome) = (&settled.post, &settled.outcome);
        let what = match outcome {
            Outcome::Failed { reason } => reason.message.clone(),
            Outcome::Unconfirmed { reason } => {
                let next = next_look(post.scheduled_at, now);
                let way_out = posts::way_out(&post.id.to_string(), Some(next));
                format!("{}; {way_out}", reason.message)
            }
            Outcome::Expired => "it was too late to publish it".to_owned(),
            _ => return None,
        };
        Some(format!(
            "post {} ({}) {}: {what}",
            post.id,
            post.account.label(),
            outcome.name()
        ))
    });
    let replayed = done.replayed.rows.iter().filter_map(|row| {
        let (id, status) = (&row["id"], row["status"].as_str()?);
        let what = match status {
            "expired" => "it was too late to publish it".to_owned(),
            "failed" => error(row),
            "unconfirmed" => {
                let next = row["due_at"].as_str().and_then(|at| at.parse().ok());
                format!("{}; {}", error(row), posts::way_out(&id.to_string(), next))
            }
            _ => return None,
        };
        Some(format!(
            "post {id} {status}, of a run that ended early: {what}"
        ))
    });
    replayed.chain(problems).collect()
}

/// Which accounts need a person, gathered by cause: one cause may hold all of them back.
fn report_accounts(done: &Done) {
    let logins = done.logins.iter();
    for (why, accounts) in by_cause(logins.map(|(account, why)| (account.clone(), why.as_str()))) {
        let (who, needs) = several(
            &accounts,
            "needs a login, and its posts wait",
            "need a login, and their posts wait",
        );
        complain(&format!("{who} {needs}: {why}"));
    }
    let locked = done.locked.iter();
    for (why, accounts) in by_cause(locked.map(|(account, why)| (account.clone(), why.as_str()))) {
        let (who, wait) = several(
            &accounts,
            "waits, its credentials can't be opened",
            "wait, their credentials can't be opened",
        );
        complain(&format!("{who} {wait}: {why}"));
    }
}

/// Tells on stderr what a person should know.
fn report(done: &Done) {
    let problems = problems(done);
    if done.exit != Exit::Ok {
        problems.iter().take(TOLD).for_each(|line| complain(line));
        let count = |summary: &Summary| summary.failed + summary.expired + summary.unconfirmed;
        let all = count(&done.summary) + count(&done.replayed.summary);
        if all > TOLD {
            let more = all - TOLD;
            complain(&format!("and {more} more; see `publisher posts list`"));
        }
    }
    if let Some(why) = &done.cut_short {
        complain(&format!(
            "no further wave could be claimed, and what is still due waits for the next run: {why}"
        ));
    }
    report_accounts(done);
    for id in &done.report.lost {
        complain(&format!(
            "post {id} was changed by somebody else while this run had it; its outcome was not recorded"
        ));
    }
    let journal = if done.journaled {
        "; the next run records them from its journal"
    } else {
        ""
    };
    let refused = &done.report.refused;
    for (id, why) in refused.iter().take(TOLD) {
        complain(&format!(
            "the database refused the outcome of post {id}: {why}"
        ));
    }
    if !refused.is_empty() && done.report.unrecorded.is_none() {
        complain(&format!(
            "outcomes that a constraint, a trigger or a lock stands against: {}. Mend that{journal}; they follow, one \
             JSON object a line",
            refused.len()
        ));
    }
    if let Some(why) = &done.report.unrecorded {
        complain(&format!(
            "the outcomes could not be recorded ({why}){journal}; they follow, one JSON object a line"
        ));
    }
    if done.report.unrecorded.is_some() || !done.report.refused.is_empty() {
        done.unrecorded.iter().for_each(|line| remark_json(line));
    }
}
