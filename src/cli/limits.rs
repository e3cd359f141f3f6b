//! `publisher limits`: how much an owner, an account or a platform may publish, and who has to wait just now.

use chrono::{DateTime, Utc};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::database;
use super::output::{Heading, count, emit, emit_json};
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::import::Accounts;
use crate::schedule::{Clock, minute};
use crate::store::Store;
use crate::{limits, platform};

const WINDOWS: [&str; 4] = ["minute", "hour", "day", "month"];

/// Show, set and clear limits, and the pauses that platforms asked for.
#[derive(Clone, Debug, Args)]
pub struct Limits {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Show the limits, how much of each is used up, and which accounts are blocked until when.
    Show(Show),
    /// Set a limit.
    Set(Set),
    /// Lift the pauses that a platform asked for, or remove limits.
    Clear(Clear),
}

#[derive(Clone, Debug, Args)]
struct Show {
    /// As a JSON object of `limits`, `platforms` and `blocked`.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    heading: Heading,
}

#[derive(Clone, Debug, Args)]
struct Set {
    /// Whose posts are counted: owner:NAME, platform:NAME, or account:ID (also account:slack:C024BE91L).
    scope: String,
    /// At most so many in the window; 0 holds everything back.
    #[arg(value_parser = clap::value_parser!(i32).range(0..))]
    max: i32,
    /// The window; it rolls: a day is 24 hours, a month 30 days.
    #[arg(long, value_name = "WINDOW", value_parser = PossibleValuesParser::new(WINDOWS))]
    per: String,
    /// What is counted: posts, or everything.
    #[arg(long, default_value = "publish", value_parser = PossibleValuesParser::new(["publish", "*"]))]
    action: String,
}

#[derive(Clone, Debug, Args)]
struct Clear {
    /// Whose: owner:NAME, platform:NAME, or account:ID (also account:slack:C024BE91L).
    scope: String,
    /// Remove the limit of this window instead of lifting pauses.
    #[arg(long, value_name = "WINDOW", value_parser = PossibleValuesParser::new(WINDOWS))]
    per: Option<String>,
    /// Remove all its limits instead of lifting pauses.
    #[arg(long, conflicts_with = "per")]
    all: bool,
}

/// Does it.
pub async fn run(args: Limits, config: &Config) -> Result<Exit, Failed> {
    let mut store = database::open_checked(config).await?;
    let result = match args.command {
        Command::Show(args) => show(&args, &mut store, config).await,
        Command::Set(args) => set(&args, &mut store).await,
        Command::Clear(args) => clear(&args, &mut store).await,
    };
    store.close().await;
    result.map(|()| Exit::Ok)
}

async fn show(args: &Show, store: &mut Store, config: &Config) -> Result<(), Failed> {
    let rules = store.limits().await?;
    let own = limits::quotas(&config.file.platforms);
    let now = Clock::host().now();
    let mut accounts = store
        .accounts(&json!({"owner": null, "platform": null}))
        .await?;
    accounts.retain(|account| until(account).is_some_and(|until| until > now));
    if args.json {
        let blocked: Vec<Value> = accounts
            .iter()
            .map(|account| {
                json!({
                    "id": account["id"], "platform": account["platform"], "external_id": account["external_id"],
                    "owner": account["owner"], "blocked_until": account["blocked_until"],
                    "reason": account["blocked_reason"],
                })
            })
            .collect();
        return emit_json(&json!({"limits": rules, "platforms": own, "blocked": blocked}));
    }
    let mut rows: Vec<Vec<String>> = rules.iter().map(rule).collect();
    rows.extend(own.as_array().into_iter().flatten().map(documented));
    if rows.is_empty() {
        emit("There are no limits.")?;
    } else {
        args.heading
            .rows(&["scope", "at most", "used", "set by"], &rows)?;
    }
    if !accounts.is_empty() {
        emit("\nBlocked by their platforms:")?;
        let rows: Vec<Vec<String>> = accounts.iter().map(blocked).collect();
        args.heading
            .rows(&["id", "account", "owner", "until", "why"], &rows)?;
    }
    Ok(())
}

fn rule(rule: &Value) -> Vec<String> {
    let text = |name: &str| rule[name].as_str().unwrap_or_default();
    let what = match text("action") {
        "publish" => String::new(),
        action => format!(" ({action})"),
    };
    vec![
        text("scope").to_owned(),
        format!("{} per {}{what}", rule["max"], text("window")),
        rule["used"].to_string(),
        "limits set".to_owned(),
    ]
}

fn documented(quota: &Value) -> Vec<String> {
    let text = |name: &str| quota[name].as_str().unwrap_or_default();
    let scope = match text("per") {
        "account" => format!("each account of {}", text("platform")),
        _ => format!("platform:{}", text("platform")),
    };
    vec![
        scope,
        format!("{} per {}", quota["max"], text("window")),
        String::new(),
        "the platform".to_owned(),
    ]
}

fn blocked(account: &Value) -> Vec<String> {
    let text = |name: &str| account[name].as_str().unwrap_or_default().to_owned();
    vec![
        account["id"].to_string(),
        format!("{}:{}", text("platform"), text("external_id")),
        text("owner"),
        until(account).map(minute).unwrap_or_default(),
        text("blocked_reason"),
    ]
}

fn until(account: &Value) -> Option<DateTime<Utc>> {
    account["blocked_until"].as_str()?.parse().ok()
}

async fn set(args: &Set, store: &mut Store) -> Result<(), Failed> {
    let scope = scope(&args.scope, store).await?;
    let limit = json!({"scope": scope, "action": args.action, "window": args.per, "max": args.max});
    store.set_limit(&limit).await?;
    emit(&format!("{scope}: at most {} per {}", args.max, args.per))
}

async fn clear(args: &Clear, store: &mut Store) -> Result<(), Failed> {
    let scope = scope(&args.scope, store).await?;
    if args.all || args.per.is_some() {
        let removed = store.clear_limits(&scope, args.per.as_deref()).await?;
        return emit(&format!(
            "{scope}: removed {}",
            count(removed.len(), "limit")
        ));
    }
    let lifted = store.clear_blocks(&scope).await?;
    emit(&format!(
        "{scope}: lifted the pauses of {}",
        count(lifted.len(), "account")
    ))
}

/// The scope as the database has it, if it is one.
async fn scope(text: &str, store: &mut Store) -> Result<String, Failed> {
    let wrong = || {
        Failed::usage(format!(
            "`{text}` is no scope; write owner:NAME, platform:NAME or account:ID"
        ))
    };
    let (kind, name) = text.split_once(':').ok_or_else(wrong)?;
    match kind {
        "owner" if !name.is_empty() => Ok(text.to_owned()),
        "platform" if platform::by_name(name).is_some() => Ok(text.to_owned()),
        "platform" => Err(Failed::usage(format!(
            "there is no platform `{name}`; there are {}",
            platform::names().join(", ")
        ))),
        "account" => {
            let mut accounts = Accounts::load(store).await?;
            let account = accounts.find(name).map_err(Failed::usage)?;
            Ok(format!("account:{}", account.id))
        }
        _ => Err(wrong()),
    }
}
