//! From a record to a post that may be added, or to everything that is wrong with it.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::times::Times;
use super::{AccountRow, Accounts, Cell, Field, Place, Problem, Record, content};
use crate::account::AccountId;
use crate::config::PlatformSettings;
use crate::limits::Limits;
use crate::post::Content;
use crate::schedule::When;
use crate::store::instant;
use crate::suggest;
use crate::{media, platform, review};

/// The columns of a file, apart from `option.NAME`.
pub(super) const COLUMNS: [&str; 17] = [
    "account",
    "platform",
    "external_id",
    "body",
    "link",
    "media",
    "alt",
    "kind",
    "scheduled_at",
    "local_time",
    "timezone",
    "expires_at",
    "priority",
    "max_attempts",
    "group_id",
    "external_ref",
    "options",
];

/// Those that say what a post says.
const CONTENT: [&str; 6] = ["body", "link", "media", "alt", "kind", "options"];

/// The name of the column that a header means: case, blanks, `-` and `_` make no difference, except for dots.
pub(super) fn column(written: &str) -> String {
    let plain = |text: &str| {
        let text = text.trim().to_lowercase();
        text.replace([' ', '\u{a0}', '-', '_'], "")
    };
    if let Some((prefix, name)) = written.split_once('.')
        && plain(prefix) == "option"
    {
        let name = name
            .trim()
            .to_lowercase()
            .replace([' ', '\u{a0}', '-'], "_");
        return format!("option.{name}");
    }
    let known = COLUMNS
        .iter()
        .find(|column| plain(column) == plain(written));
    known.map_or_else(|| written.trim().to_owned(), |column| (*column).to_owned())
}

/// What is wrong with a column's name, if anything.
pub(super) fn unknown(name: &str) -> Option<String> {
    let option = name.strip_prefix("option.").filter(|rest| !rest.is_empty());
    if option.is_some() || COLUMNS.contains(&name) {
        return None;
    }
    let hint = suggest::did_you_mean(name, COLUMNS);
    if hint.is_empty() {
        return Some(format!(
            "`{name}` is not a column; there are {}, and option.NAME",
            COLUMNS.join(", ")
        ));
    }
    Some(format!("`{name}` is not a column{hint}"))
}

/// Which of the columns that no post can do without are missing.
pub(super) fn missing(has: impl Fn(&str) -> bool) -> impl Iterator<Item = &'static str> {
    let account = has("account") || has("platform") && has("external_id");
    let time = has("scheduled_at") || has("local_time");
    let account = (!account).then_some(
        "there is no account (platform:external_id, or its number), nor platform and external_id",
    );
    let time = (!time).then_some("there is no scheduled_at, nor local_time");
    account.into_iter().chain(time)
}

/// A post as it is added: the columns of `posts` that a person sets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NewPost {
    /// Where it goes.
    pub account_id: AccountId,
    /// What it says.
    #[serde(flatten)]
    pub content: Content,
    /// When it goes out.
    pub scheduled_at: String,
    /// The wall-clock time that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_time: Option<String>,
    /// The zone of `local_time`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// After this it is never sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Higher goes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// After so many tries it is failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<i32>,
    /// The same content sent to several accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    /// The caller's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_ref: Option<String>,
}

/// A post that passed, and what its author should hear.
#[derive(Clone, Debug)]
pub struct Passed {
    /// The post.
    pub post: NewPost,
    /// When it goes out.
    pub at: DateTime<Utc>,
    /// Where its media are named, or the record begins.
    pub media_at: Place,
    /// What the clocks' changes did to its times.
    pub notes: Vec<String>,
    /// The zone in which its times were read because they say none, and whose it is.
    pub assumed: Option<String>,
    /// It was due before now.
    pub late: bool,
    /// It is too old to be sent at all.
    pub expired: bool,
}

/// What records are checked against.
#[derive(Debug)]
pub struct Checker {
    /// The accounts there are.
    pub accounts: Accounts,
    /// Where relative media paths start.
    pub directory: PathBuf,
    /// The time, for warnings.
    pub now: DateTime<Utc>,
    /// The window after which a post without `expires_at` is dropped.
    pub expiry: Duration,
    /// Which media may be opened.
    pub media: media::Policy,
    /// What the configuration says of each platform.
    pub platforms: BTreeMap<String, PlatformSettings>,
    /// Every `external_ref` so far, and its line.
    refs: HashMap<String, usize>,
}

impl Checker {
    /// Checks against these accounts at that time.
    pub fn new(
        accounts: Accounts,
        directory: PathBuf,
        now: DateTime<Utc>,
        expiry: Duration,
        media: media::Policy,
        platforms: BTreeMap<String, PlatformSettings>,
    ) -> Self {
        Self {
            accounts,
            directory,
            now,
            expiry,
            media,
            platforms,
            refs: HashMap::new(),
        }
    }

    /// The post that the record describes, or everything that is wrong with it.
    pub fn check(&mut self, record: &Record<'_>) -> Result<Passed, Vec<Problem>> {
        let mut row = Row::new(record);
        row.check_fields();
        let account = self.account(&mut row);
        let times = Times::read(
            &mut row,
            account.as_ref().map(|a| a.timezone.as_str()),
            self.now,
        );
        let content = content::read(&mut row, &self.directory);
        if let Some(account) = &account {
            check_platform(&mut row, account, &content, &self.media, &self.platforms);
        }
        let mut post = NewPost {
            account_id: account.map(|account| account.id).unwrap_or_default(),
            content,
            scheduled_at: String::new(),
            local_time: None,
            timezone: None,
            expires_at: times.expires_at.map(instant),
            priority: row.integer("priority", i32::MIN),
            max_attempts: row.integer("max_attempts", 1),
            group_id: row.text("group_id"),
            external_ref: self.external_ref(&mut row),
        };
        times.write_to(&mut post);
        match times.when {
            Some(when) if row.problems.is_empty() => {
                let media_at = row.field("media").map_or(record.place, |field| field.place);
                Ok(self.passed(post, media_at, &when, &times))
            }
            _ => {
                // Without one the record would vanish in silence.
                debug_assert!(!row.problems.is_empty(), "a post is refused for a reason");
                Err(row.problems)
            }
        }
    }

    fn passed(&self, post: NewPost, media_at: Place, when: &When, times: &Times) -> Passed {
        let expires_at = times.expires_at.unwrap_or(when.at + self.expiry);
        Passed {
            post,
            at: when.at,
            media_at,
            notes: times.notes.clone(),
            assumed: times.assumed.clone(),
            late: when.at < self.now,
            expired: expires_at <= self.now,
        }
    }

    fn account(&mut self, row: &mut Row<'_>) -> Option<AccountRow> {
        let account = row.text("account");
        let parts = (row.text("platform"), row.text("external_id"));
        let (field, name) = match (account, parts) {
            (Some(account), (None, None)) => ("account", account),
            (Some(_), _) => {
                row.problem(
                    "account",
                    "is given twice: platform and external_id say it, too",
                );
                return None;
            }
            (None, (Some(platform), Some(id))) => ("external_id", format!("{platform}:{id}")),
            (None, (Some(_), None)) => {
                row.missing(&["external_id"], "is missing");
                return None;
            }
            (None, (None, _)) => {
                row.missing(
                    &["account", "platform"],
                    "is missing (platform:external_id, or the account's number)",
                );
                return None;
            }
        };
        match self.accounts.find(&name) {
            Ok(account) => Some(account.clone()),
            Err(message) => {
                row.problem(field, message);
                None
            }
        }
    }

    fn external_ref(&mut self, row: &mut Row<'_>) -> Option<String> {
        let name = row.text("external_ref")?;
        let line = row.record.place.line;
        if let Some(first) = self.refs.insert(name.clone(), line) {
            row.problem("external_ref", format!("`{name}` is in line {first}, too"));
        }
        Some(name)
    }
}

fn check_platform(
    row: &mut Row<'_>,
    account: &AccountRow,
    content: &Content,
    policy: &media::Policy,
    platforms: &BTreeMap<String, PlatformSettings>,
) {
    let Some(platform) = platform::by_name(&account.platform) else {
        let message = format!("this version can't publish to {}", account.platform);
        return row.problem("account", message);
    };
    // Content that could not be read is a problem already; what follows from it is none.
    let of_content = |problem: &Problem| {
        CONTENT.contains(&problem.field.as_str()) || problem.field.starts_with("option.")
    };
    if row.problems.iter().any(of_content) {
        return;
    }
    let (facts, wrong) = media::examine(content, policy);
    let limits = Limits::corrected(platform.figures(), platforms.get(platform.name()));
    for message in review::problems(platform, content, (facts, Vec::new()), limits) {
        row.problem("", message);
    }
    for message in wrong {
        row.problem("media", message);
    }
}

/// A record that is being read, and what was wrong with it so far.
pub(super) struct Row<'r> {
    pub(super) record: &'r Record<'r>,
    pub(super) problems: Vec<Problem>,
}

impl<'r> Row<'r> {
    pub(super) fn new(record: &'r Record<'r>) -> Self {
        Self {
            record,
            problems: Vec::new(),
        }
    }

    /// The field of that name, unless it is blank or null.
    pub(super) fn field(&self, name: &str) -> Option<&'r Field<'r>> {
        let field = self.record.fields.iter().find(|field| field.name == name)?;
        match &field.cell {
            Cell::Text(text) if text.trim().is_empty() => None,
            Cell::Json(Value::String(text)) if text.trim().is_empty() => None,
            Cell::Json(Value::Null) => None,
            _ => Some(field),
        }
    }

    pub(super) fn problem(&mut self, name: &str, message: impl Into<String>) {
        let place = self.record.fields.iter().find(|field| field.name == name);
        self.problems.push(Problem {
            place: place.map_or(self.record.place, |field| field.place),
            field: name.to_owned(),
            message: message.into(),
        });
    }

    /// Notes that the first of the names is missing, unless one of them is there and wrong.
    pub(super) fn missing(&mut self, names: &[&str], message: &str) {
        if names.iter().all(|name| self.field(name).is_none()) {
            self.problem(names[0], message);
        }
    }

    /// The value, or a note of the problem.
    pub(super) fn keep<T>(&mut self, name: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.problem(name, message)).ok()
    }

    /// Text without space around it. Ids may be written as numbers.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        match &self.field(name)?.cell {
            Cell::Text(text) => Some(text.trim().to_owned()),
            Cell::Json(Value::String(text)) => Some(text.trim().to_owned()),
            Cell::Json(Value::Number(number)) if number.is_i64() || number.is_u64() => {
                Some(number.to_string())
            }
            Cell::Json(_) => {
                self.problem(name, "must be text");
                None
            }
        }
    }

    fn integer(&mut self, name: &str, least: i32) -> Option<i32> {
        let number: Option<i32> = match &self.field(name)?.cell {
            Cell::Text(text) => text.trim().parse().ok(),
            Cell::Json(value) => value.as_i64().and_then(|number| number.try_into().ok()),
        };
        let number = number.filter(|number| *number >= least);
        if number.is_none() {
            let message = match least {
                i32::MIN => "must be a whole number".to_owned(),
                least => format!("must be a whole number of at least {least}"),
            };
            self.problem(name, message);
        }
        number
    }

    /// Names that mean nothing, and characters that no database takes.
    fn check_fields(&mut self) {
        for field in &self.record.fields {
            let message = unknown(&field.name)
                .or_else(|| has_nul(&field.cell).then(|| "has a NUL character".to_owned()));
            if let Some(message) = message {
                self.problem(&field.name, message);
            }
        }
    }
}

fn has_nul(cell: &Cell<'_>) -> bool {
    fn within(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => items.iter().any(within),
            Value::Object(members) => members
                .iter()
                .any(|(name, value)| name.contains('\0') || within(value)),
            _ => false,
        }
    }
    match cell {
        Cell::Text(text) => text.contains('\0'),
        Cell::Json(value) => within(value),
    }
}
