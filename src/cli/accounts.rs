//! `publisher accounts`: where posts go, and the tokens that open it.

use std::io::{self, IsTerminal, Read};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::database;
use super::output::{emit, emit_json, emit_rows, name_and_value};
use crate::account::{Credentials, NewAccount};
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::import::typed;
use crate::store::Store;
use crate::{platform, schedule, secret};

/// No platform's token comes near this.
const LONGEST_TOKEN_BYTES: u64 = 64 * 1024;

/// Add and list the accounts that posts go to.
#[derive(Clone, Debug, Args)]
pub struct Accounts {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Add an account, or give an existing one a new token.
    ///
    /// The token is read from standard input, or asked for on a terminal; it is never an argument, where other
    /// processes could see it. A JSON object {"`access_token`", "`refresh_token`"} is taken, too.
    Add(Add),
    /// List the accounts.
    List(List),
}

#[derive(Clone, Debug, Args)]
struct Add {
    /// The platform.
    #[arg(value_parser = PossibleValuesParser::new(platform::names()))]
    platform: String,
    /// The platform's own id for it: page id, channel id, author URN ….
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    external_id: String,
    /// Whose it is (a client, a team); owners are served in turn.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    owner: String,
    /// A name for people.
    #[arg(long)]
    name: Option<String>,
    /// IANA zone of its local times [default: UTC].
    #[arg(long, value_name = "ZONE", value_parser = schedule::parse_zone)]
    timezone: Option<Tz>,
    /// A setting of the platform; can be given several times.
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = name_and_value)]
    settings: Vec<(String, String)>,
    /// When the access token ends, such as 2026-03-01T09:00Z.
    #[arg(long, value_name = "TIME", value_parser = schedule::parse_instant)]
    token_expires_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, Args)]
struct List {
    /// Only this owner's.
    #[arg(long)]
    owner: Option<String>,
    /// Only this platform's.
    #[arg(long, value_parser = PossibleValuesParser::new(platform::names()))]
    platform: Option<String>,
    /// As a JSON list.
    #[arg(long)]
    json: bool,
}

/// Does it.
pub async fn run(args: Accounts, config: &Config) -> Result<Exit, Failed> {
    match args.command {
        Command::Add(args) => add(args, config).await,
        Command::List(args) => list(args, config).await,
    }
}

async fn add(args: Add, config: &Config) -> Result<Exit, Failed> {
    let platform = platform::by_name(&args.platform).expect("clap takes no other names");
    platform
        .validate_account(&args.external_id)
        .map_err(Failed::usage)?;
    // Whatever else may be wrong is said before a person is asked for a token.
    let mut store = database::open_checked(config).await?;
    let key = secret::key(config)?;
    let before = existing(&mut store, &args).await?;
    let credentials = parse_token(token()?.expose_secret()).map_err(Failed::data)?;
    let sealed = secret::seal(&key, &args.platform, &args.external_id, &credentials)?;
    let done = if before.is_some() { "updated" } else { "added" };
    let label = format!("{}:{}", args.platform, args.external_id);
    let account = merged(args, before, sealed);
    let stored = store.add_account(&account).await?;
    store.close().await;
    let status = stored["status"].as_str().unwrap_or_default();
    emit(&format!(
        "{done} account {}: {label} ({status})",
        stored["id"]
    ))?;
    Ok(Exit::Ok)
}

/// The account as it is stored now.
async fn existing(store: &mut Store, args: &Add) -> Result<Option<Value>, Failed> {
    let filter = json!({"owner": null, "platform": args.platform});
    let accounts = store.accounts(&filter).await?;
    let same = |account: &Value| account["external_id"] == args.external_id.as_str();
    Ok(accounts.into_iter().find(same))
}

/// A new token must not cost an account its name or zone: what no flag says stays as it is.
fn merged(args: Add, before: Option<Value>, sealed: String) -> NewAccount {
    let before = before.unwrap_or_default();
    let kept = |name: &str| before[name].as_str().map(ToOwned::to_owned);
    let mut settings: Map<String, Value> =
        before["settings"].as_object().cloned().unwrap_or_default();
    let given = args.settings.into_iter();
    settings.extend(given.map(|(name, value)| (name, typed(&value))));
    NewAccount {
        owner: args.owner,
        display_name: args
            .name
            .or_else(|| kept("display_name"))
            .unwrap_or_default(),
        timezone: args
            .timezone
            .map(|zone| zone.name().to_owned())
            .or_else(|| kept("timezone"))
            .unwrap_or_else(|| "UTC".to_owned()),
        platform: args.platform,
        external_id: args.external_id,
        credentials: Some(sealed),
        // It belongs to the token, and the token is new.
        token_expires_at: args.token_expires_at,
        settings,
    }
}

fn token() -> Result<SecretString, Failed> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        let token = rpassword::prompt_password("Access token (not shown): ")?;
        return Ok(token.into());
    }
    let mut text = String::new();
    let limited = stdin
        .lock()
        .take(LONGEST_TOKEN_BYTES + 1)
        .read_to_string(&mut text);
    let text = SecretString::from(text);
    limited
        .map_err(|e| Failed::data(format!("the token can't be read from standard input: {e}")))?;
    if text.expose_secret().len() as u64 > LONGEST_TOKEN_BYTES {
        return Err(Failed::data(
            "what standard input holds is too long for a token",
        ));
    }
    Ok(text)
}

/// A bare token, or a JSON object with one. No message repeats any of it.
fn parse_token(text: &str) -> Result<Credentials, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Tokens {
        access_token: String,
        refresh_token: Option<String>,
        client_id: Option<String>,
        client_secret: Option<String>,
    }
    let text = text.trim();
    let tokens = if text.starts_with('{') {
        serde_json::from_str(text).map_err(|e| {
            format!(
                "standard input is not a JSON object of \"access_token\" and \"refresh_token\" (line {}, column {})",
                e.line(),
                e.column()
            )
        })?
    } else {
        Tokens {
            access_token: text.to_owned(),
            refresh_token: None,
            client_id: None,
            client_secret: None,
        }
    };
    check_token("token", &tokens.access_token)?;
    if let Some(token) = &tokens.refresh_token {
        check_token("refresh token", token)?;
    }
    Ok(Credentials {
        access_token: tokens.access_token.into(),
        refresh_token: tokens.refresh_token.map(Into::into),
        client_id: tokens.client_id,
        client_secret: tokens.client_secret.map(Into::into),
    })
}

/// What an HTTP header can't carry is no token.
fn check_token(what: &str, token: &str) -> Result<(), String> {
    if token.is_empty() {
        return Err(format!("the {what} is empty; give it on standard input"));
    }
    if token.chars().any(char::is_whitespace) {
        return Err(format!(
            "the {what} has white space in it; give the bare token, without \"Bearer\""
        ));
    }
    if !token.chars().all(|c| c.is_ascii_graphic()) {
        return Err(format!("the {what} has characters in it that no token has"));
    }
    Ok(())
}

async fn list(args: List, config: &Config) -> Result<Exit, Failed> {
    let mut store = database::open_checked(config).await?;
    let filter = json!({"owner": args.owner, "platform": args.platform});
    let accounts = store.accounts(&filter).await?;
    store.close().await;
    if args.json {
        emit_json(&accounts.into())?;
    } else {
        let heading = [
            "id", "account", "name", "owner", "zone", "status", "token", "pending",
        ];
        let rows: Vec<Vec<String>> = accounts.iter().map(row).collect();
        emit_rows(&heading, &rows)?;
    }
    Ok(Exit::Ok)
}

fn row(account: &Value) -> Vec<String> {
    let text = |name: &str| account[name].as_str().unwrap_or_default().to_owned();
    let time = |name: &str| {
        let at = DateTime::parse_from_rfc3339(account[name].as_str()?).ok()?;
        Some(schedule::minute(at.to_utc()))
    };
    let status = match time("blocked_until") {
        Some(until) => format!("{}, blocked until {until}", text("status")),
        None => text("status"),
    };
    let token = match (account["has_credentials"] == true, time("token_expires_at")) {
        (false, _) => "none".to_owned(),
        (true, Some(end)) => format!("until {end}"),
        (true, None) => "stored".to_owned(),
    };
    vec![
        account["id"].to_string(),
        format!("{}:{}", text("platform"), text("external_id")),
        text("display_name"),
        text("owner"),
        text("timezone"),
        status,
        token,
        account["pending"].to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_bare_or_json() {
        let bare = parse_token("EAAB123\r\n").unwrap();
        assert_eq!(bare.access_token.expose_secret(), "EAAB123");
        assert!(bare.refresh_token.is_none());
        let json = parse_token(r#"{"access_token": "a", "refresh_token": "b"}"#).unwrap();
        assert_eq!(json.access_token.expose_secret(), "a");
        assert_eq!(json.refresh_token.unwrap().expose_secret(), "b");
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_repeated() {
        for (text, message) in [
            ("\n", "the token is empty"),
            ("Bearer hunter2", "the token has white space"),
            ("hunter2\nhunter2", "the token has white space"),
            ("hunter2\u{7}", "the token has characters"),
            (
                r#"{"access_token": "hunter2 "}"#,
                "the token has white space",
            ),
            (
                r#"{"access_token": "a", "refresh_token": ""}"#,
                "the refresh token is empty",
            ),
            (
                r#"{"access_token": "hunter2", "hunter2": 1}"#,
                "standard input is not a JSON object",
            ),
            (
                r#"{"access_token": ["hunter2"]}"#,
                "standard input is not a JSON object",
            ),
        ] {
            let error = parse_token(text).unwrap_err();
            assert!(error.starts_with(message), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
