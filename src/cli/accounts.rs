//! `publisher accounts`: where posts go, and the tokens that open it.

use std::io::{self, IsTerminal, Read};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use asking::Asker;
use url::Url;

use super::database;
use super::output::{Heading, emit, emit_json, name_and_value};
use crate::account::{Account, Credentials, NewAccount};
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::http::Api;
use crate::import::typed;
use crate::outcome::Failure;
use crate::platform::Platform;
use crate::schedule::Clock;
use crate::store::Store;
use crate::tokens::renewed_credentials;
use crate::{platform, schedule, secret, suggest};

mod asking;
mod check;

/// No platform's token comes near this.
const LONGEST_TOKEN_BYTES: u64 = 64 * 1024;

/// How many of an account's posts are counted without being asked for all. The index has them side by side, and so a
/// thousand accounts take some tens of milliseconds however much waits.
const COUNTED: i64 = 100;

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
    /// processes could see it. A JSON object of "`access_token`", "`refresh_token`", "`client_id`" and "`client_secret`"
    /// is taken, too; with a refresh token alone (for facebook: the long-lived token of a user) the platform is asked for
    /// an access token at once.
    Add(Add),
    /// List the accounts.
    List(List),
    /// Ask the platforms whether the stored tokens open the accounts, with scopes and days left.
    ///
    /// A token that has ended is refreshed where that is possible. Exits 1 if a person is needed.
    Check(check::Check),
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
    #[arg(long, value_name = "TIME", value_parser = schedule::parse_time)]
    token_expires_at: Option<DateTime<Utc>>,
    /// Where a first access token is bought, if only a refresh token is given: this sandbox instead of the platform.
    #[arg(long, env = "PUBLISHER_SANDBOX", value_name = "URL", value_parser = crate::trust::stand_in)]
    sandbox: Option<Url>,
}

#[derive(Clone, Debug, Args)]
struct List {
    /// Only this owner's.
    #[arg(long)]
    owner: Option<String>,
    /// Only this platform's.
    #[arg(long, value_parser = PossibleValuesParser::new(platform::names()))]
    platform: Option<String>,
    /// Count all posts that wait: on a large table that takes a while.
    ///
    /// Without it an account's posts are counted up to 100.
    #[arg(long)]
    counts: bool,
    /// As a JSON list.
    ///
    /// "pending" is how many posts wait; where counting stopped at 100 it is null, and "`pending_at_least`" is 100.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    heading: Heading,
}

/// Does it.
pub async fn run(args: Accounts, config: &Config) -> Result<Exit, Failed> {
    match args.command {
        Command::Add(args) => add(args, config).await,
        Command::List(args) => list(args, config).await,
        Command::Check(args) => check::run(args, config).await,
    }
}

async fn add(mut args: Add, config: &Config) -> Result<Exit, Failed> {
    let platform = platform::by_name(&args.platform).expect("clap takes no other names");
    platform
        .validate_account(&args.external_id)
        .map_err(Failed::usage)?;
    // Whatever else may be wrong is said before a person is asked for a token.
    let mut store = database::open_checked(config).await?;
    let key = secret::key(config)?;
    let before = existing(&mut store, &args).await?;
    let mut credentials = parse_token(token()?.expose_secret()).map_err(Failed::data)?;
    if args.sandbox.is_none() {
        check_length(&credentials).map_err(Failed::data)?;
    }
    let settings = settings(&args, before.as_ref());
    check_settings(platform, &settings)?;
    if credentials.access_token.expose_secret().is_empty() {
        let ends = buy(platform, &args, &settings, &mut credentials, config).await?;
        args.token_expires_at = args.token_expires_at.or(ends);
    }
    let sealed = secret::seal(&key, &args.platform, &args.external_id, &credentials)?;
    let done = if before.is_some() { "updated" } else { "added" };
    let label = format!("{}:{}", args.platform, args.external_id);
    let account = merged(args, before, settings, sealed);
    let stored = store.add_account(&account).await?;
    store.close().await;
    let status = stored["status"].as_str().unwrap_or_default();
    emit(&format!(
        "{done} account {}: {label} ({status})",
        stored["id"]
    ))?;
    Ok(Exit::Ok)
}

/// The settings there were, with those that are given now.
fn settings(args: &Add, before: Option<&Value>) -> Map<String, Value> {
    let before = before.and_then(|before| before["settings"].as_object());
    let mut settings = before.cloned().unwrap_or_default();
    let given = args.settings.iter();
    settings.extend(given.map(|(name, value)| (name.clone(), typed(value))));
    settings
}

fn check_settings(platform: &dyn Platform, settings: &Map<String, Value>) -> Result<(), Failed> {
    let known = platform.settings();
    let unknown = settings
        .keys()
        .find(|name| !known.iter().any(|(own, _)| own == name));
    if let Some(name) = unknown {
        let hint = suggest::did_you_mean(name, known.iter().map(|(own, _)| *own));
        let list: Vec<&str> = known.iter().map(|(own, _)| *own).collect();
        let list = match list.as_slice() {
            [] => "it has none".to_owned(),
            list => format!("it has {}", list.join(", ")),
        };
        let title = platform.title();
        return Err(Failed::usage(format!(
            "{title} has no setting `{name}`{hint} ({list})"
        )));
    }
    let problems = platform.validate_settings(settings);
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Failed::usage(problems.join("; ")))
    }
}

/// Gets a first access token for a refresh token; returns when it ends.
async fn buy(
    platform: &dyn Platform,
    args: &Add,
    settings: &Map<String, Value>,
    credentials: &mut Credentials,
    config: &Config,
) -> Result<Option<DateTime<Utc>>, Failed> {
    let account = Account {
        id: 0,
        owner: args.owner.clone(),
        platform: args.platform.clone(),
        external_id: args.external_id.clone(),
        display_name: String::new(),
        credentials: None,
        token_expires_at: None,
        settings: settings.clone(),
        updated_at: Some(Clock::host().now()),
    };
    let refresh = async |api: &Api<'_>| {
        if !platform.can_refresh(api) {
            return None;
        }
        Some(platform.refresh(api).await)
    };
    let asker = Asker::new(config, args.sandbox.as_ref());
    let renewed = asker.with(platform, &account, credentials, refresh).await;
    let renewed = renewed.ok_or_else(|| {
        Failed::data(format!(
            "a refresh token alone is not enough for {}; give an access token, or what the platform needs to give one \
             (client_id and client_secret)",
            platform.title()
        ))
    })?;
    let stored = credentials.clone();
    let refused = |failure: Failure| {
        Failed::data(asker.redacted(&failure.reason().message, platform, &stored))
    };
    let renewed = renewed.map_err(refused)?;
    let ends = renewed
        .lives
        .map(|lives| schedule::later(Clock::host().now(), lives));
    *credentials = renewed_credentials(credentials.clone(), renewed).map_err(refused)?;
    Ok(ends)
}

/// The account as it is stored now.
async fn existing(store: &mut Store, args: &Add) -> Result<Option<Value>, Failed> {
    let filter = json!({"owner": null, "platform": args.platform});
    let accounts = store.accounts(&filter).await?;
    let same = |account: &Value| account["external_id"] == args.external_id.as_str();
    Ok(accounts.into_iter().find(same))
}

/// A new token must not cost an account its name or zone: what no flag says stays as it is.
fn merged(
    args: Add,
    before: Option<Value>,
    settings: Map<String, Value>,
    sealed: String,
) -> NewAccount {
    let before = before.unwrap_or_default();
    let kept = |name: &str| before[name].as_str().map(ToOwned::to_owned);
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
        #[serde(default)]
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
    // A refresh token alone buys the first access token.
    if tokens.refresh_token.is_none() || !tokens.access_token.is_empty() {
        check_token("token", &tokens.access_token)?;
    }
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

/// A sandbox takes any secret. No platform has such short ones, and they would be found in innocent words.
fn check_length(credentials: &Credentials) -> Result<(), String> {
    let access = Some(&credentials.access_token).filter(|token| !token.expose_secret().is_empty());
    for (what, secret) in [
        ("token", access),
        ("refresh token", credentials.refresh_token.as_ref()),
        ("client secret", credentials.client_secret.as_ref()),
    ] {
        let length = secret.map(|secret| secret.expose_secret().chars().count());
        if let Some(length) = length.filter(|length| *length < secret::SHORTEST) {
            return Err(format!(
                "the {what} has {length} characters, and no platform's is that short; was it copied whole? (With --sandbox \
                 any will do.)"
            ));
        }
    }
    Ok(())
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
    let count_to = if args.counts { i64::MAX } else { COUNTED };
    let filter = json!({"owner": args.owner, "platform": args.platform, "count_to": count_to});
    let mut accounts = store.accounts(&filter).await?;
    store.close().await;
    for account in &mut accounts {
        own_up(account, count_to);
    }
    if args.json {
        emit_json(&accounts.into())?;
    } else {
        let heading = [
            "id", "account", "name", "owner", "zone", "status", "token", "pending",
        ];
        let rows: Vec<Vec<String>> = accounts.iter().map(row).collect();
        args.heading.rows(&heading, &rows)?;
    }
    Ok(Exit::Ok)
}

/// A number is a count: where counting stopped there is none.
fn own_up(account: &mut Value, count_to: i64) {
    if account["pending"] == count_to {
        account["pending_at_least"] = account["pending"].take();
    }
}

fn row(account: &Value) -> Vec<String> {
    let pending = match &account["pending"] {
        Value::Null => format!("{}+", account["pending_at_least"]),
        pending => pending.to_string(),
    };
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
        pending,
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
