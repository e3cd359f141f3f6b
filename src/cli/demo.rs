//! `publisher demo`: the real job on a throw-away database, against the sandbox in this process.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::TimeDelta;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;
use uuid::Uuid;

use super::output::say;
use crate::account::{Credentials, NewAccount};
use crate::claim;
use crate::config::{DEFAULT_EXPIRY, Span};
use crate::exit::{Exit, Failed};
use crate::http::{Http, Timeouts};
use crate::limits;
use crate::media;
use crate::outcome::Outcome;
use crate::progress::{self, Progress};
use crate::publish::{Pace, Settings};
use crate::run::{self, Done, Options};
use crate::sandbox::{self, Sandbox};
use crate::schedule::Clock;
use crate::secret::{self, Key};
use crate::stop::Stop;
use crate::store::{Database, Request, Store, instant, migrate};
use crate::summary::FailOn;

/// What the demo publishes.
const SEED: &str = include_str!("../../examples/demo.json");
/// Small, so that the demo needs no network; its content does not matter to the sandbox.
const VIDEO_BYTES: usize = 256 * 1024;

/// Watch the whole job on a throw-away SQLite database against the built-in sandbox. Nothing leaves this machine.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// How long each answer of the sandbox takes.
    #[arg(long, default_value = "200ms", value_name = "TIME")]
    latency: Span,
    /// Where to make the database [default: a new directory in the system's temporary one; removed at the end].
    #[arg(long, value_name = "DIR")]
    keep_in: Option<PathBuf>,
}

/// `examples/demo.json`.
#[derive(Deserialize)]
struct Seed {
    accounts: Vec<SeedAccount>,
    limits: Vec<Value>,
    posts: Vec<SeedPost>,
}

#[derive(Deserialize)]
struct SeedAccount {
    platform: String,
    external_id: String,
    owner: String,
    name: String,
    timezone: String,
}

#[derive(Deserialize)]
struct SeedPost {
    account: String,
    minutes_late: i64,
    #[serde(flatten)]
    columns: Map<String, Value>,
}

/// Carries it out. It ends well if the job did what it should, although some of its posts are made to fail.
pub async fn run(demo: Demo) -> Result<Exit, Failed> {
    let (directory, keep) = match demo.keep_in {
        Some(directory) => (directory, true),
        None => (
            std::env::temp_dir().join(format!("publisher-demo-{}", Uuid::new_v4())),
            false,
        ),
    };
    std::fs::create_dir_all(&directory)?;
    let result = in_directory(&directory, demo.latency.0, keep).await;
    if !keep {
        std::fs::remove_dir_all(&directory)?;
    }
    result
}

async fn in_directory(directory: &Path, latency: Duration, keep: bool) -> Result<Exit, Failed> {
    let stop = Stop::listen()?;
    let seed: Seed = serde_json::from_str(SEED).expect("examples/demo.json is read by a test");
    let database = Database::Sqlite(directory.join("publisher.db"));
    migrate::run(&database).await?;
    let key = Key::load_or_create(&directory.join("encryption.key"))?;
    let mut store = Store::open(&database).await?;
    let settings = sandbox::Settings {
        latency,
        ..sandbox::Settings::default()
    };
    let sandbox = Sandbox::bind(settings).await?;
    let url = sandbox.url();
    plant(&mut store, &seed, &key, directory, &url).await?;
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(sandbox.serve(async {
        // Whether it was told to end or the teller is gone, it ends.
        end.await.ok();
    }));

    let owners: std::collections::BTreeSet<&str> = seed
        .accounts
        .iter()
        .map(|account| account.owner.as_str())
        .collect();
    say(&format!(
        "{} posts are due for {} accounts of {} owners; the sandbox at {} stands in for the platforms.\n\n",
        seed.posts.len(),
        seed.accounts.len(),
        owners.len(),
        url.as_str().trim_end_matches('/'),
    ))?;
    let progress = if std::io::stderr().is_terminal() {
        Progress::bars()
    } else {
        Progress::hidden()
    };
    let time_budget = Duration::from_mins(1);
    let timeouts = Timeouts::default();
    let media = media::Policy {
        allow_private: true,
        directories: vec![directory.to_owned()],
        ..media::Policy::default()
    };
    let run = Uuid::new_v4();
    let options = Options {
        request: Request {
            run,
            now: None,
            limit: 10_000,
            expiry: DEFAULT_EXPIRY,
            lease: claim::LEASE,
            platforms: Vec::new(),
            owners: Vec::new(),
            spared: Vec::new(),
            quotas: limits::quotas(&BTreeMap::new()),
        },
        drain: false,
        settings: Settings {
            pace: Pace::Smart,
            caps: BTreeMap::new(),
            time_budget,
            sandbox: Some(url),
            platforms: BTreeMap::new(),
            key: Ok(key),
            database: database.clone(),
            run,
        },
        fail_on: vec![FailOn::None],
        host: "demo".to_owned(),
        journal: None,
    };
    let done = run::run(
        &mut store,
        &options,
        &Http::new(timeouts, media),
        &stop,
        &progress,
    )
    .await?;
    store.close().await;
    ended.send(()).ok();
    serving
        .await
        .map_err(|e| Failed::new(Exit::Bug, format!("the sandbox ended badly: {e}")))??;
    match done {
        Some(done) => tell(&done, &seed, keep.then_some(directory)),
        None => Err(Failed::new(Exit::Bug, "nothing was due in the demo")),
    }
}

/// The address of one of the sandbox's own files; any other address stays as it is. The host has a name, for posts are
/// not to hold private addresses.
fn placed(url: &str, sandbox: &Url) -> Option<Url> {
    let mut placed = sandbox.join(url.strip_prefix("sandbox:")?).ok()?;
    placed.set_host(Some("localhost")).ok()?;
    Some(placed)
}

/// Puts the seed into the database, with its media.
async fn plant(
    store: &mut Store,
    seed: &Seed,
    key: &Key,
    directory: &Path,
    sandbox: &Url,
) -> Result<(), Failed> {
    let video = directory.join("clip.mp4");
    std::fs::write(&video, vec![0_u8; VIDEO_BYTES])?;
    let mut ids = BTreeMap::new();
    for account in &seed.accounts {
        let token = SecretString::from(format!("demo-token-{}", account.external_id));
        let credentials = Credentials {
            access_token: token,
            ..Credentials::default()
        };
        let added = NewAccount {
            owner: account.owner.clone(),
            platform: account.platform.clone(),
            external_id: account.external_id.clone(),
            display_name: account.name.clone(),
            timezone: account.timezone.clone(),
            credentials: Some(secret::seal(
                key,
                &account.platform,
                &account.external_id,
                &credentials,
            )?),
            token_expires_at: None,
            settings: Map::new(),
        };
        let row = store.add_account(&added).await?;
        ids.insert(
            format!("{}:{}", account.platform, account.external_id),
            (row["id"].clone(), &account.timezone),
        );
    }
    for limit in &seed.limits {
        store.set_limit(limit).await?;
    }
    let now = Clock::host().now();
    let row = |post: &SeedPost| {
        let (account_id, timezone) = ids.get(&post.account)?;
        let scheduled_at = now - TimeDelta::minutes(post.minutes_late);
        let zone: chrono_tz::Tz = timezone.parse().ok()?;
        let mut row = post.columns.clone();
        row.insert("account_id".to_owned(), account_id.clone());
        row.insert("scheduled_at".to_owned(), json!(instant(scheduled_at)));
        row.insert("timezone".to_owned(), json!(timezone));
        let local_time = scheduled_at
            .with_timezone(&zone)
            .format("%Y-%m-%dT%H:%M:%S");
        row.insert("local_time".to_owned(), json!(local_time.to_string()));
        for medium in row
            .get_mut("media")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if medium["path"] == "clip.mp4" {
                medium["path"] = json!(video);
            }
            if let Some(url) = medium["url"].as_str().and_then(|url| placed(url, sandbox)) {
                medium["url"] = json!(url);
            }
        }
        Some(Value::Object(row))
    };
    let rows: Option<Vec<Value>> = seed.posts.iter().map(row).collect();
    store
        .add_posts(&rows.expect("examples/demo.json is read by a test"))
        .await?;
    Ok(())
}

/// Says what happened, and what to try next.
fn tell(done: &Done, seed: &Seed, kept: Option<&Path>) -> Result<Exit, Failed> {
    let summary = &done.summary;
    let mut points = vec![
        format!(
            "one query claimed {} posts; {} stayed pending, over its owner's limit of the day",
            summary.due,
            seed.posts.len() - summary.due
        ),
        format!(
            "{} were older than 24 hours and were dropped without calling a platform",
            summary.expired
        ),
    ];
    points.extend(done.told.iter().filter_map(|settled| {
        let Outcome::Failed { reason } = &settled.outcome else {
            return None;
        };
        let (id, why) = (settled.post.id, &reason.message);
        Some(format!("post {id} failed alone: {why}"))
    }));
    points.push(format!(
        "two bulk UPDATEs recorded everything: {} statements in all",
        summary.database_statements
    ));
    let points: Vec<String> = points.iter().map(|point| format!("  - {point}")).collect();
    let program = std::env::args().next().unwrap_or_default();
    let next = [
        (
            "sandbox",
            "in a second terminal; what was published: http://127.0.0.1:8025",
        ),
        (
            "accounts add slack C024BE91L --owner me",
            "any token of 8 characters or more",
        ),
        (
            "posts add --account slack:C024BE91L --body Hello",
            "a post, due now",
        ),
        (
            "run --sandbox http://127.0.0.1:8025 --dry-run",
            "what a run would do",
        ),
        ("run --sandbox http://127.0.0.1:8025", "do it"),
    ];
    let next: Vec<String> = next
        .iter()
        .map(|(command, what)| format!("  {program} {command:<48}  # {what}"))
        .collect();
    let kept = kept.map(|directory| {
        format!(
            "\nThe database is {}.\n",
            directory.join("publisher.db").display()
        )
    });
    say(&format!(
        "{}\nWhat you saw:\n{}\n\nTry next:\n{}\n{}",
        progress::table(summary),
        points.join("\n"),
        next.join("\n"),
        kept.unwrap_or_default(),
    ))?;
    Ok(done.exit)
}
