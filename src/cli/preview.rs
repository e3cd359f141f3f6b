//! `publisher run --dry-run`: what a run would do, by the same query, without a write or a call.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::output::{say, say_json};
use crate::account::{Account, AccountId};
use crate::config::{Config, Span};
use crate::exit::{Exit, Failed};
use crate::media;
use crate::platform::{self, Platform};
use crate::post::{Action, ClaimedPost, PostId};
use crate::review;
use crate::run::Options;
use crate::schedule::{Clock, Lateness};
use crate::store::{Database, Preview, Store, instant};
use crate::text::one_line;

/// What a post takes in the estimate for programs: one request and its answer.
const SECONDS_A_POST: u64 = 1;
/// How much of a post's text is shown, in characters.
const TEXT_LIMIT: usize = 80;

/// How the plan is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON object of everything.
    Json,
    /// Text, with at most so many posts of each list.
    Text(usize),
}

impl Form {
    /// As far as a person reads.
    pub(super) const BRIEF: Self = Self::Text(20);
    /// With every post.
    pub(super) const WHOLE: Self = Self::Text(usize::MAX);
}

/// What the run would do with a post.
enum Plan {
    Publish,
    Expire,
    /// Find out what became of it: the run that held it died.
    Recover,
    /// By which limit, or why its account is held.
    HoldBack(String),
    Reject(Vec<String>),
    /// `--limit` is reached.
    OverLimit,
}

/// A due post, as far as it is shown: there may be a great many.
struct Planned {
    id: PostId,
    place: i64,
    account: Rc<Account>,
    scheduled_at: DateTime<Utc>,
    text: String,
    plan: Plan,
}

/// Shows the plan; exit 1 if a due post would be rejected.
pub(super) async fn run(
    options: &Options,
    media: &media::Policy,
    config: &Config,
    form: Form,
) -> Result<Exit, Failed> {
    let preview = look(options, config).await?;
    let now = preview.now.or(options.request.now);
    let now = now.unwrap_or_else(|| Clock::host().now());
    let planned = plan(preview.posts, options, media);
    let rejects = planned
        .iter()
        .any(|planned| matches!(planned.plan, Plan::Reject(_)));
    let exit = if rejects { Exit::Attention } else { Exit::Ok };
    let lanes = lanes(&planned, options);
    match form {
        Form::Json => {
            let plan = machine(&planned, &lanes, now, exit);
            say_json(&serde_json::to_string(&plan).expect("a plan is plain data"))?;
        }
        Form::Text(shown) => {
            let sight = Sight { now, shown };
            let limit = options.request.limit;
            say(&human(&planned, &lanes, sight, limit, &config.database))?;
        }
    }
    Ok(exit)
}

/// Reads what is due. Unlike a run it makes no database where there is none.
async fn look(options: &Options, config: &Config) -> Result<Preview, Failed> {
    if let (true, Database::Sqlite(path)) = (config.database_is_default, &config.database)
        && !path.exists()
    {
        let (now, posts) = (None, Vec::new());
        return Ok(Preview { now, posts });
    }
    let mut store = Store::open(&config.database).await?;
    let preview = store.preview(&options.request).await?;
    store.close().await;
    Ok(preview)
}

fn plan(
    posts: Vec<(ClaimedPost, Option<String>)>,
    options: &Options,
    media: &media::Policy,
) -> Vec<Planned> {
    let mut claimed = 0;
    let mut plan = |post: &ClaimedPost, held_by: Option<String>| {
        if let Some(by) = held_by {
            return Plan::HoldBack(by);
        }
        claimed += 1;
        if claimed > options.request.limit {
            return Plan::OverLimit;
        }
        match post.action {
            Action::Expire => Plan::Expire,
            Action::Recover => Plan::Recover,
            Action::Publish => validated(post, options, media),
        }
    };
    let planned = posts.into_iter().map(|(post, held_by)| Planned {
        plan: plan(&post, held_by),
        id: post.id,
        place: post.place,
        scheduled_at: post.scheduled_at,
        text: one_line(&post.content.body, TEXT_LIMIT),
        account: post.account,
    });
    planned.collect()
}

fn validated(post: &ClaimedPost, options: &Options, media: &media::Policy) -> Plan {
    if let Some(why) = &post.unreadable {
        return Plan::Reject(vec![why.clone()]);
    }
    let problems = match platform::by_name(&post.account.platform) {
        Some(platform) => review::problems(
            platform,
            &post.content,
            media::examine(&post.content, media),
            options.settings.limits(platform),
        ),
        None => vec![format!(
            "this version knows no platform `{}`",
            post.account.platform
        )],
    };
    if problems.is_empty() {
        Plan::Publish
    } else {
        Plan::Reject(problems)
    }
}

/// A lane of the plan.
struct Lane {
    posts: u64,
    cap: u64,
    /// The account with the most posts, which go one after the other, and their number.
    longest: (Rc<Account>, u32),
    /// How far apart two of them start.
    spacing: Duration,
}

impl Lane {
    /// How long it takes in any case.
    fn at_least(&self) -> Duration {
        self.spacing
            .saturating_mul(self.longest.1.saturating_sub(1))
    }

    /// How long it takes at a second a post.
    fn estimate(&self) -> u64 {
        self.posts.div_ceil(self.cap).max(self.longest.1.into()) * SECONDS_A_POST
    }
}

fn lanes(planned: &[Planned], options: &Options) -> BTreeMap<String, Lane> {
    let mut accounts: BTreeMap<AccountId, (&Rc<Account>, u32)> = BTreeMap::new();
    for planned in planned
        .iter()
        .filter(|planned| matches!(planned.plan, Plan::Publish))
    {
        let (_, posts) = accounts
            .entry(planned.account.id)
            .or_insert((&planned.account, 0));
        *posts += 1;
    }
    let settings = &options.settings;
    let mut lanes: BTreeMap<String, Lane> = BTreeMap::new();
    for (account, posts) in accounts.into_values() {
        let name = &account.platform;
        let lane = lanes.entry(name.clone()).or_insert_with(|| {
            let platform = platform::by_name(name);
            let cap = platform.map_or(1, Platform::cap);
            let spacing = platform.map(Platform::spacing).unwrap_or_default();
            Lane {
                posts: 0,
                cap: settings.pace.cap(cap, settings.caps.get(name).copied()) as u64,
                longest: (Rc::clone(account), 0),
                spacing: settings.pace.spacing(spacing, settings.platforms.get(name)),
            }
        });
        lane.posts += u64::from(posts);
        if posts > lane.longest.1 {
            lane.longest = (Rc::clone(account), posts);
        }
    }
    lanes
}

/// The plan for programs.
#[derive(Serialize)]
struct Machine<'a> {
    now: String,
    due: usize,
    publish: Vec<Item<'a>>,
    expire: Vec<Item<'a>>,
    recover: Vec<Item<'a>>,
    hold_back: Vec<Item<'a>>,
    reject: Vec<Item<'a>>,
    over_limit: Vec<Item<'a>>,
    lanes: BTreeMap<&'a str, LaneItem>,
    estimate_seconds: u64,
    exit_code: u8,
}

#[derive(Serialize)]
struct Item<'a> {
    id: PostId,
    place: i64,
    platform: &'a str,
    owner: &'a str,
    account: String,
    scheduled_at: String,
    lateness: &'static str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problems: Option<&'a [String]>,
}

#[derive(Serialize)]
struct LaneItem {
    posts: u64,
    cap: u64,
    /// At a second a post.
    estimate_seconds: u64,
    /// By the space between the posts of one account.
    at_least_seconds: f64,
}

fn machine<'a>(
    planned: &'a [Planned],
    lanes: &'a BTreeMap<String, Lane>,
    now: DateTime<Utc>,
    exit: Exit,
) -> Machine<'a> {
    let list = |wanted: fn(&Plan) -> bool| -> Vec<Item<'a>> {
        let wanted = planned.iter().filter(|planned| wanted(&planned.plan));
        wanted.map(|planned| item(planned, now)).collect()
    };
    let lane = |(name, lane): (&'a String, &Lane)| {
        let item = LaneItem {
            posts: lane.posts,
            cap: lane.cap,
            estimate_seconds: lane.estimate(),
            at_least_seconds: lane.at_least().as_secs_f64(),
        };
        (name.as_str(), item)
    };
    Machine {
        now: instant(now),
        due: planned.len(),
        publish: list(|plan| matches!(plan, Plan::Publish)),
        expire: list(|plan| matches!(plan, Plan::Expire)),
        recover: list(|plan| matches!(plan, Plan::Recover)),
        hold_back: list(|plan| matches!(plan, Plan::HoldBack(_))),
        reject: list(|plan| matches!(plan, Plan::Reject(_))),
        over_limit: list(|plan| matches!(plan, Plan::OverLimit)),
        lanes: lanes.iter().map(lane).collect(),
        estimate_seconds: lanes.values().map(Lane::estimate).max().unwrap_or_default(),
        exit_code: exit as u8,
    }
}

fn item(planned: &Planned, now: DateTime<Utc>) -> Item<'_> {
    let (by, problems) = match &planned.plan {
        Plan::HoldBack(by) => (Some(by.as_str()), None),
        Plan::Reject(problems) => (None, Some(problems.as_slice())),
        _ => (None, None),
    };
    Item {
        id: planned.id,
        place: planned.place,
        platform: &planned.account.platform,
        owner: &planned.account.owner,
        account: planned.account.label(),
        scheduled_at: instant(planned.scheduled_at),
        lateness: Lateness::of(planned.scheduled_at, now).name(),
        text: &planned.text,
        by,
        problems,
    }
}

/// From when, and how much of each list, the plan is seen.
#[derive(Clone, Copy)]
struct Sight {
    now: DateTime<Utc>,
    shown: usize,
}

fn human(
    planned: &[Planned],
    lanes: &BTreeMap<String, Lane>,
    sight: Sight,
    limit: u32,
    database: &Database,
) -> String {
    let mut text = format!(
        "Dry run at {} on {database}: nothing is written or sent.\n",
        sight.now.format("%Y-%m-%d %H:%M:%SZ")
    );
    if planned.is_empty() {
        text.push_str("Nothing is due.\n");
    }
    for (name, lane) in lanes {
        line(&mut text, &format!("\n{}", headed(name, lane)));
        list(&mut text, planned, sight, |planned| {
            let is_its = matches!(planned.plan, Plan::Publish) && planned.account.platform == *name;
            is_its.then(String::new)
        });
    }
    let mut section = |title: &str, wanted: fn(&Plan) -> Option<String>| {
        let count = planned
            .iter()
            .filter(|planned| wanted(&planned.plan).is_some())
            .count();
        if count > 0 {
            line(&mut text, &format!("\n{title}: {count}"));
            list(&mut text, planned, sight, |planned| wanted(&planned.plan));
        }
    };
    section("expired, to be dropped", |plan| {
        matches!(plan, Plan::Expire).then(String::new)
    });
    section("held by a run that died, to be recovered", |plan| {
        matches!(plan, Plan::Recover).then(String::new)
    });
    section("held back", |plan| match plan {
        Plan::HoldBack(by) => Some(format!("by {by}")),
        _ => None,
    });
    section("would be rejected", |plan| match plan {
        Plan::Reject(problems) => Some(problems.join("; ")),
        _ => None,
    });
    let beyond = |plan: &Plan| matches!(plan, Plan::OverLimit).then(String::new);
    if Form::Text(sight.shown) == Form::WHOLE {
        section("beyond --limit, for the next run", beyond);
        return text;
    }
    let more = planned
        .iter()
        .filter(|planned| beyond(&planned.plan).is_some())
        .count();
    if more > 0 {
        line(
            &mut text,
            &format!("\n… and {more} more wait for the next run: --limit is {limit}."),
        );
    }
    text
}

/// What there is to say of a lane before its posts.
fn headed(name: &str, lane: &Lane) -> String {
    let Lane {
        posts,
        cap,
        longest: (account, most),
        spacing,
    } = lane;
    let at_least = lane.at_least();
    let mut head = format!("{name}: publish {posts}, {cap} at once");
    if !at_least.is_zero() {
        let (at_least, spacing, account) = (Span(at_least), Span(*spacing), account.label());
        write!(
            head,
            ", {at_least} at least ({most} to {account}, {spacing} apart)"
        )
        .expect("writing to a string cannot fail");
    }
    head
}

/// The posts that are wanted, each with a remark, as far as they are shown.
fn list(
    text: &mut String,
    planned: &[Planned],
    sight: Sight,
    wanted: impl Fn(&Planned) -> Option<String>,
) {
    let mut all = planned
        .iter()
        .filter_map(|planned| Some((planned, wanted(planned)?)));
    for (planned, remark) in all.by_ref().take(sight.shown) {
        line(text, &described(planned, sight.now, &remark));
    }
    let more = all.count();
    if more > 0 {
        line(text, &format!("        … and {more} more (--all)"));
    }
}

fn described(planned: &Planned, now: DateTime<Utc>, remark: &str) -> String {
    let late = (now - planned.scheduled_at).num_minutes();
    let late = if late < 120 {
        format!("{late} min")
    } else {
        format!("{} h", late / 60)
    };
    let remark = if remark.is_empty() {
        String::new()
    } else {
        format!("  [{remark}]")
    };
    format!(
        "{:>6}. post {:<7} {:<28} {:<14} {:>7} late  {}{remark}",
        planned.place,
        planned.id,
        one_line(&planned.account.label(), 28),
        one_line(&planned.account.owner, 14),
        late,
        one_line(&planned.text, 40),
    )
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a string cannot fail");
}
