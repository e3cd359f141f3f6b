//! `publisher posts`: getting posts into the database, and looking at them.

use std::path::PathBuf;

use chrono::NaiveDateTime;
use chrono_tz::Tz;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::database;
use super::output::{Heading, emit, emit_json, name_and_value};
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::import::{self, Format};
use crate::post::{Kind, PostId};
use crate::{platform, schedule};

mod add;
mod change;
mod page;

pub(super) use page::way_out;

const STATUSES: [&str; 7] = [
    "pending",
    "publishing",
    "published",
    "failed",
    "unconfirmed",
    "expired",
    "canceled",
];

/// Above the rows of `posts list`.
const LISTED: [&str; 6] = ["id", "account", "scheduled", "status", "tries", "text"];
/// The same where all are unconfirmed: what there is to know of them instead of the status.
const IN_DOUBT: [&str; 7] = [
    "id",
    "account",
    "scheduled",
    "unsure since",
    "next look",
    "tries",
    "text",
];

/// Add, import and look at posts.
#[derive(Clone, Debug, Args)]
pub struct Posts {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Add one post.
    Add(Add),
    /// Add posts from a file, all or none.
    ///
    /// Every row is checked first, and every error is said with its file, line and column (CSV: the field's number).
    Import(Import),
    /// List posts, the latest first.
    List(List),
    /// Show one post and what became of it.
    Show(Show),
    /// Take pending posts back: they are never sent.
    Cancel(change::Cancel),
    /// Send failed, expired or canceled posts again: due now, with all their tries.
    Retry(change::Retry),
    /// Say what became of unconfirmed posts, after a look at the platform.
    Resolve(change::Resolve),
}

#[derive(Clone, Debug, Args)]
struct Add {
    /// Where it goes: PLATFORM:ID, or the account's number.
    #[arg(long)]
    account: String,
    /// When it goes out: 2026-03-01T09:00Z, +2h, "2026-03-01 09:00 Europe/Berlin", or without a zone in --zone's
    /// [default: now].
    #[arg(long, value_name = "TIME", value_parser = schedule::check_time, conflicts_with = "local")]
    at: Option<String>,
    /// When it goes out, by the wall clock (2026-03-01 09:00).
    #[arg(long, value_name = "TIME", value_parser = schedule::parse_local)]
    local: Option<NaiveDateTime>,
    /// The IANA zone of times that say none [default: the account's].
    #[arg(long, value_parser = schedule::parse_zone)]
    zone: Option<Tz>,
    /// The text.
    #[arg(long, value_name = "TEXT", conflicts_with = "body_file")]
    body: Option<String>,
    /// A file with the text; - is standard input.
    #[arg(long, value_name = "FILE")]
    body_file: Option<PathBuf>,
    /// A link that the post shares.
    #[arg(long, value_name = "URL")]
    link: Option<String>,
    /// A picture, video or document: a URL (https or s3) or a path; can be given several times.
    #[arg(long, value_name = "URL|PATH")]
    media: Vec<String>,
    /// A description of the first, second … --media, for those who can't see it.
    #[arg(long, value_name = "TEXT")]
    alt: Vec<String>,
    /// What kind of post it is.
    #[arg(long, value_enum, default_value_t = Kind::Post)]
    kind: Kind,
    /// An option of the platform, such as title=…; can be given several times.
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = name_and_value)]
    options: Vec<(String, String)>,
    /// Higher goes first [default: 0].
    #[arg(long, allow_negative_numbers = true)]
    priority: Option<i32>,
    /// After this it is never sent; a time as for --at [default: 24 hours after its time].
    #[arg(long, value_name = "TIME", value_parser = schedule::check_time)]
    expires_at: Option<String>,
    /// Your own id; a post whose id is there already is not added again.
    #[arg(long, value_name = "ID")]
    external_ref: Option<String>,
    /// Check it and add nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    vetting: Vetting,
}

#[derive(Clone, Debug, Args)]
struct Import {
    /// The file; - is standard input.
    file: PathBuf,
    /// What it is written in [default: what its name says].
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Check it and add nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    vetting: Vetting,
}

/// What is looked at beyond the posts themselves.
#[derive(Clone, Copy, Debug, Args)]
struct Vetting {
    /// Refuse a post that says the same as another of its account that waits, within 24 hours of it; else that is a
    /// warning.
    #[arg(long)]
    refuse_duplicates: bool,
    /// Don't look at media behind addresses (at most 10 s for each, and 60 s in all).
    #[arg(long)]
    no_media_check: bool,
}

#[derive(Clone, Debug, Args)]
struct List {
    /// Only posts in this state.
    #[arg(long, value_parser = PossibleValuesParser::new(STATUSES))]
    status: Option<String>,
    /// Only this platform's.
    #[arg(long, value_parser = PossibleValuesParser::new(platform::names()))]
    platform: Option<String>,
    /// Only this owner's.
    #[arg(long)]
    owner: Option<String>,
    /// Only this account's: PLATFORM:ID, or its number.
    #[arg(long)]
    account: Option<String>,
    /// Only posts that wait, and say the same as another one of their account within 24 hours.
    #[arg(long, conflicts_with = "status")]
    duplicates: bool,
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// As a JSON list.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    heading: Heading,
}

#[derive(Clone, Debug, Args)]
struct Show {
    /// The post's number.
    id: PostId,
    /// As a JSON object.
    #[arg(long)]
    json: bool,
}

/// Does it.
pub async fn run(args: Posts, config: &Config) -> Result<Exit, Failed> {
    match args.command {
        Command::Add(args) => add::one(args, config).await,
        Command::Import(args) => add::file(args, config).await,
        Command::List(args) => list(args, config).await,
        Command::Show(args) => show(args, config).await,
        Command::Cancel(args) => change::cancel(args, config).await,
        Command::Retry(args) => change::retry(args, config).await,
        Command::Resolve(args) => change::resolve(args, config).await,
    }
}

async fn list(args: List, config: &Config) -> Result<Exit, Failed> {
    let mut store = database::open_checked(config).await?;
    let account_id = match &args.account {
        Some(name) => {
            let mut accounts = import::Accounts::load(&mut store).await?;
            Some(accounts.find(name).map_err(Failed::data)?.id)
        }
        None => None,
    };
    let ids = if args.duplicates {
        let filter = json!({
            "account_ids": account_id.map(|id| [id]), "owner": args.owner, "platform": args.platform,
        });
        Some(import::duplicates::all(&mut store, filter).await?)
    } else {
        None
    };
    let filter = json!({
        "id": null, "ids": ids, "status": args.status, "platform": args.platform, "owner": args.owner,
        "account_id": account_id, "limit": args.limit,
    });
    let posts = store.posts(&filter).await?;
    store.close().await;
    if args.json {
        emit_json(&posts.into())?;
    } else {
        let all_in_doubt = args.status.as_deref() == Some("unconfirmed");
        let heading: &[&str] = if all_in_doubt { &IN_DOUBT } else { &LISTED };
        let row = if all_in_doubt {
            page::row_in_doubt
        } else {
            page::row
        };
        let rows: Vec<Vec<String>> = posts.iter().map(row).collect();
        args.heading.rows(heading, &rows)?;
    }
    Ok(Exit::Ok)
}

async fn show(args: Show, config: &Config) -> Result<Exit, Failed> {
    let mut store = database::open_checked(config).await?;
    let filter = json!({
        "id": args.id, "status": null, "platform": null, "owner": null, "account_id": null, "limit": 1,
    });
    let post = store.posts(&filter).await?.into_iter().next();
    let post = post.ok_or_else(|| Failed::data(format!("there is no post {}", args.id)))?;
    let zone = zone_of(&post, &mut store).await?;
    store.close().await;
    if args.json {
        emit_json(&post)?;
    } else {
        emit(&page::page(&post, zone))?;
    }
    Ok(Exit::Ok)
}

/// The zone in which the post's author thinks: its own, or the account's.
async fn zone_of(post: &Value, store: &mut crate::store::Store) -> Result<Option<Tz>, Failed> {
    if let Some(name) = post["timezone"].as_str() {
        return Ok(schedule::parse_zone(name).ok());
    }
    let mut accounts = import::Accounts::load(store).await?;
    let account = accounts.find(post["account"].as_str().unwrap_or_default());
    let zone = account.map(|account| schedule::parse_zone(&account.timezone));
    Ok(zone.ok().and_then(Result::ok))
}
