//! `publisher run --dry-run`: what a run would do, by the same query, without a write or a call.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::output::{say, say_json};
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::media;
use crate::platform;
use crate::post::{Action, ClaimedPost};
use crate::review;
use crate::run::Options;
use crate::schedule::{Clock, Lateness};
use crate::store::{Database, Preview, Store, instant};
use crate::text::one_line;

/// What a post takes in the estimate: one request and its answer.
const SECONDS_A_POST: u64 = 1;

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

struct Planned {
    post: ClaimedPost,
    plan: Plan,
}

/// Shows the plan; exit 1 if a due post would be rejected.
pub async fn run(
    options: &Options,
    media: &media::Policy,
    config: &Config,
    as_json: bool,
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
    if as_json {
        say_json(&machine(&planned, &lanes, now, exit).to_string())?;
    } else {
        say(&human(&planned, &lanes, now, &config.database.to_string()))?;
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
    let plan = |(post, held_by): (ClaimedPost, Option<String>)| {
        if let Some(by) = held_by {
            return Planned {
                post,
                plan: Plan::HoldBack(by),
            };
        }
        claimed += 1;
        let plan = if claimed > options.request.limit {
            Plan::OverLimit
        } else {
            match post.action {
                Action::Expire => Plan::Expire,
                Action::Recover => Plan::Recover,
                Action::Publish => validated(&post, options, media),
            }
        };
        Planned { post, plan }
    };
    posts.into_iter().map(plan).collect()
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
#[derive(Default)]
struct Lane {
    posts: u64,
    cap: u64,
    /// The account with the most posts: they go one after the other.
    longest_account: u64,
    seconds: u64,
}

fn lanes(planned: &[Planned], options: &Options) -> BTreeMap<String, Lane> {
    let mut accounts: BTreeMap<(&str, i64), u64> = BTreeMap::new();
    for planned in planned
        .iter()
        .filter(|planned| matches!(planned.plan, Plan::Publish))
    {
        *accounts
            .entry((&planned.post.account.platform, planned.post.account.id))
            .or_default() += 1;
    }
    let mut lanes: BTreeMap<String, Lane> = BTreeMap::new();
    for ((name, _), posts) in accounts {
        let own = platform::by_name(name).map_or(1, platform::Platform::cap);
        let cap = options
            .settings
            .pace
            .cap(own, options.settings.caps.get(name).copied());
        let lane = lanes.entry(name.to_owned()).or_default();
        lane.cap = cap as u64;
        lane.posts += posts;
        lane.longest_account = lane.longest_account.max(posts);
        lane.seconds = lane.posts.div_ceil(lane.cap).max(lane.longest_account) * SECONDS_A_POST;
    }
    lanes
}

fn machine(
    planned: &[Planned],
    lanes: &BTreeMap<String, Lane>,
    now: DateTime<Utc>,
    exit: Exit,
) -> Value {
    let list = |wanted: fn(&Plan) -> Option<Value>| -> Vec<Value> {
        let item = |planned: &Planned| {
            let extra = wanted(&planned.plan)?;
            let post = &planned.post;
            let mut item = json!({
                "id": post.id, "place": post.place, "platform": post.account.platform, "owner": post.account.owner,
                "account": post.account.label(), "scheduled_at": instant(post.scheduled_at),
                "lateness": Lateness::of(post.scheduled_at, now).name(), "text": one_line(&post.content.body, 80),
            });
            if let (Value::Object(item), Value::Object(extra)) = (&mut item, extra) {
                item.extend(extra);
            }
            Some(item)
        };
        planned.iter().filter_map(item).collect()
    };
    let lane = |(name, lane): (&String, &Lane)| {
        (
            name.clone(),
            json!({"posts": lane.posts, "cap": lane.cap, "estimate_seconds": lane.seconds}),
        )
    };
    json!({
        "now": instant(now),
        "due": planned.len(),
        "publish": list(|plan| matches!(plan, Plan::Publish).then(|| json!({}))),
        "expire": list(|plan| matches!(plan, Plan::Expire).then(|| json!({}))),
        "recover": list(|plan| matches!(plan, Plan::Recover).then(|| json!({}))),
        "hold_back": list(|plan| if let Plan::HoldBack(by) = plan { Some(json!({"by": by})) } else { None }),
        "reject": list(|plan| if let Plan::Reject(problems) = plan { Some(json!({"problems": problems})) } else { None }),
        "over_limit": list(|plan| matches!(plan, Plan::OverLimit).then(|| json!({}))),
        "lanes": lanes.iter().map(lane).collect::<serde_json::Map<_, _>>(),
        "estimate_seconds": lanes.values().map(|lane| lane.seconds).max().unwrap_or_default(),
        "exit_code": exit as u8,
    })
}

fn human(
    planned: &[Planned],
    lanes: &BTreeMap<String, Lane>,
    now: DateTime<Utc>,
    database: &str,
) -> String {
    let mut text = format!(
        "Dry run at {} on {database}: nothing is written or sent.\n",
        now.format("%Y-%m-%d %H:%M:%SZ")
    );
    if planned.is_empty() {
        text.push_str("Nothing is due.\n");
    }
    for (name, lane) in lanes {
        let mine = |planned: &&Planned| {
            matches!(planned.plan, Plan::Publish) && planned.post.account.platform == *name
        };
        line(
            &mut text,
            &format!("\n{name}: publish {}, {} at once", lane.posts, lane.cap),
        );
        planned
            .iter()
            .filter(mine)
            .for_each(|planned| line(&mut text, &described(planned, now, "")));
    }
    section(&mut text, planned, now, "expired, to be dropped", |plan| {
        matches!(plan, Plan::Expire).then(String::new)
    });
    section(
        &mut text,
        planned,
        now,
        "held by a run that died, to be recovered",
        |plan| matches!(plan, Plan::Recover).then(String::new),
    );
    section(&mut text, planned, now, "held back", |plan| {
        if let Plan::HoldBack(by) = plan {
            Some(format!("by {by}"))
        } else {
            None
        }
    });
    section(&mut text, planned, now, "would be rejected", |plan| {
        if let Plan::Reject(problems) = plan {
            Some(problems.join("; "))
        } else {
            None
        }
    });
    section(
        &mut text,
        planned,
        now,
        "beyond --limit, for the next run",
        |plan| matches!(plan, Plan::OverLimit).then(String::new),
    );
    if let Some(seconds) = lanes.values().map(|lane| lane.seconds).max() {
        line(
            &mut text,
            &format!("\nAbout {seconds} s, at a second a post."),
        );
    }
    text
}

fn section(
    text: &mut String,
    planned: &[Planned],
    now: DateTime<Utc>,
    title: &str,
    wanted: impl Fn(&Plan) -> Option<String>,
) {
    let lines: Vec<String> = planned
        .iter()
        .filter_map(|planned| Some(described(planned, now, &wanted(&planned.plan)?)))
        .collect();
    if !lines.is_empty() {
        line(text, &format!("\n{title}: {}", lines.len()));
        for described in &lines {
            line(text, described);
        }
    }
}

fn described(planned: &Planned, now: DateTime<Utc>, remark: &str) -> String {
    let post = &planned.post;
    let late = (now - post.scheduled_at).num_minutes();
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
        post.place,
        post.id,
        one_line(&post.account.label(), 28),
        one_line(&post.account.owner, 14),
        late,
        one_line(&post.content.body, 40),
    )
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a string cannot fail");
}
