//! `publisher accounts check`: does the stored token open the account, and for how long?

use chrono::{DateTime, Utc};
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::asking::Asker;
use crate::account::{Account, Credentials, Standing};
use crate::cli::database;
use crate::cli::output::{Heading, emit, emit_json};
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::http::Api;
use crate::import::Accounts;
use crate::outcome::Failure;
use crate::platform::{self, Platform};
use crate::schedule::{Clock, minute};
use crate::secret::{self, Key};
use crate::tokens::{Keyring, Vault};

#[derive(Clone, Debug, Args)]
pub(super) struct Check {
    /// The accounts, as platform:id or by number [default: all].
    accounts: Vec<String>,
    /// Only this owner's.
    #[arg(long)]
    owner: Option<String>,
    /// Only this platform's.
    #[arg(long, value_parser = PossibleValuesParser::new(platform::names()))]
    platform: Option<String>,
    /// Ask this sandbox instead of the platforms.
    #[arg(long, env = "PUBLISHER_SANDBOX", value_name = "URL", value_parser = crate::trust::stand_in)]
    sandbox: Option<Url>,
    /// As a JSON list.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    heading: Heading,
}

/// What was found of one account.
struct Finding {
    account: Account,
    status: String,
    result: Result<Standing, String>,
    expires_at: Option<DateTime<Utc>>,
}

impl Finding {
    fn is_well(&self) -> bool {
        self.status == "active"
            && self
                .result
                .as_ref()
                .is_ok_and(|standing| standing.missing.is_empty())
    }
}

/// Exit 1 if a person is needed for one of them.
pub(super) async fn run(args: Check, config: &Config) -> Result<Exit, Failed> {
    let mut store = database::open_checked(config).await?;
    let mut known = Accounts::load(&mut store).await?;
    let mut wanted = Vec::new();
    for name in &args.accounts {
        wanted.push(known.find(name).map_err(Failed::usage)?.id);
    }
    let filter = json!({"id": null, "owner": args.owner, "platform": args.platform});
    let mut accounts = store.open_accounts(&filter).await?;
    store.close().await;
    accounts.retain(|(account, _)| wanted.is_empty() || wanted.contains(&account.id));
    let key = secret::existing_key(config)?;
    let vault = Vault::new(&config.database, key.as_ref().ok(), Uuid::new_v4());
    let checker = Checker {
        asker: Asker::new(config, args.sandbox.as_ref()),
        vault: &vault,
        key: key.as_ref(),
    };
    let mut findings = Vec::new();
    for (account, status) in accounts {
        findings.push(checker.ask(account, status).await);
    }
    drop(checker);
    vault.close().await;
    let now = Clock::host().now();
    if args.json {
        emit_json(
            &findings
                .iter()
                .map(|finding| machine(finding, now))
                .collect(),
        )?;
    } else if findings.is_empty() {
        emit("There are no accounts.")?;
    } else {
        let heading = ["id", "account", "owner", "token", "ends", "remarks"];
        let rows: Vec<Vec<String>> = findings.iter().map(|f| human(f, now)).collect();
        args.heading.rows(&heading, &rows)?;
    }
    if findings.iter().all(Finding::is_well) {
        Ok(Exit::Ok)
    } else {
        Ok(Exit::Attention)
    }
}

/// What checking takes.
struct Checker<'a> {
    asker: Asker<'a>,
    vault: &'a Vault<'a>,
    key: Result<&'a Key, &'a String>,
}

impl Checker<'_> {
    async fn ask(&self, account: Account, status: String) -> Finding {
        let (result, expires_at) = match self.standing(&account).await {
            Ok((standing, ends)) => {
                let ends = standing.expires_at.or(ends);
                (Ok(standing), ends)
            }
            Err(why) => (Err(why), account.token_expires_at),
        };
        Finding {
            account,
            status,
            result,
            expires_at,
        }
    }

    async fn standing(
        &self,
        account: &Account,
    ) -> Result<(Standing, Option<DateTime<Utc>>), String> {
        let platform = platform::by_name(&account.platform)
            .ok_or("this version does not know the platform")?;
        let sealed = account.credentials.as_deref();
        let sealed = sealed.ok_or("no token is stored; add one with `publisher accounts add`")?;
        let key = self.key?;
        let keyring = Keyring::open(account, sealed, key).map_err(|error| error.to_string())?;
        let ended = |at: DateTime<Utc>| at <= Clock::host().now();
        let mut result = if keyring.expires_at().is_some_and(ended) {
            Err(None)
        } else {
            self.checked(platform, account, &keyring).await
        };
        // A token that ended by itself is no news if a new one can be had.
        if result
            .as_ref()
            .is_err_and(|why| why.as_ref().is_none_or(is_refusal))
        {
            match self.renewed(platform, account, &keyring).await {
                Some(Ok(())) => result = self.checked(platform, account, &keyring).await,
                Some(Err(failure)) => result = Err(Some(failure)),
                None => {}
            }
        }
        let credentials = keyring.credentials();
        let redacted = |text: &str| self.asker.redacted(text, platform, &credentials);
        match result {
            Ok(mut standing) => {
                let notes = standing.notes.iter_mut().chain(&mut standing.name);
                notes.for_each(|note| *note = redacted(note));
                Ok((standing, keyring.expires_at()))
            }
            Err(Some(failure)) => Err(redacted(&failure.reason().message)),
            Err(None) => {
                Err("the token has ended; give a new one with `publisher accounts add`".to_owned())
            }
        }
    }

    async fn checked(
        &self,
        platform: &dyn Platform,
        account: &Account,
        keyring: &Keyring,
    ) -> Result<Standing, Option<Failure>> {
        let credentials = keyring.credentials();
        let check = async |api: &Api<'_>| platform.check(api).await;
        let asked = self.asker.with(platform, account, &credentials, check);
        asked.await.map_err(Some)
    }

    /// A new token, if one can be had without a person.
    async fn renewed(
        &self,
        platform: &dyn Platform,
        account: &Account,
        keyring: &Keyring,
    ) -> Option<Result<(), Failure>> {
        let credentials = keyring.credentials();
        let can = async |api: &Api<'_>| platform.can_refresh(api);
        if !self.asker.with(platform, account, &credentials, can).await {
            return None;
        }
        let ask = async |stored: &Credentials| {
            let refresh = async |api: &Api<'_>| platform.refresh(api).await;
            self.asker.with(platform, account, stored, refresh).await
        };
        let now = Clock::host().now();
        Some(self.vault.renew(account, keyring, now, ask).await)
    }
}

fn is_refusal(failure: &Failure) -> bool {
    matches!(failure, Failure::Unauthorized { .. })
}

fn machine(finding: &Finding, now: DateTime<Utc>) -> Value {
    let account = &finding.account;
    let mut value = json!({
        "id": account.id, "owner": account.owner, "platform": account.platform,
        "external_id": account.external_id, "status": finding.status, "ok": finding.is_well(),
        "expires_at": finding.expires_at.map(crate::store::instant),
        "days_left": finding.expires_at.map(|at| (at - now).num_days()),
    });
    match &finding.result {
        Ok(standing) => {
            value["name"] = json!(standing.name);
            value["scopes"] = json!(standing.scopes);
            value["missing_scopes"] = json!(standing.missing);
            value["notes"] = json!(standing.notes);
        }
        Err(why) => value["error"] = json!(why),
    }
    value
}

fn human(finding: &Finding, now: DateTime<Utc>) -> Vec<String> {
    let account = &finding.account;
    let ends = finding.expires_at.map(|at| {
        let days = (at - now).num_days();
        format!("{} ({days} days)", minute(at))
    });
    let (token, remarks) = match &finding.result {
        Ok(standing) => {
            let mut remarks = Vec::new();
            remarks.extend(standing.name.clone());
            if !standing.missing.is_empty() {
                remarks.push(format!("missing scopes: {}", standing.missing.join(", ")));
            }
            if let Some(scopes) = &standing.scopes {
                remarks.push(format!("scopes: {}", scopes.join(", ")));
            }
            remarks.extend(standing.notes.iter().cloned());
            let token = if standing.missing.is_empty() {
                "good"
            } else {
                "lacks scopes"
            };
            (token, remarks.join("; "))
        }
        Err(why) => ("refused", why.clone()),
    };
    let token = if finding.status == "active" {
        token.to_owned()
    } else {
        format!("{token} (account is {})", finding.status)
    };
    vec![
        account.id.to_string(),
        account.label(),
        account.owner.clone(),
        token,
        ends.unwrap_or_else(|| "-".to_owned()),
        remarks,
    ]
}
