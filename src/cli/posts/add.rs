//! Adding posts: one from flags, many from a file. Both pass the same checks.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use clap::ValueEnum;
use serde_json::Value;

use super::{Add, Import, Vetting};
use crate::cli::database;
use crate::cli::output::{count, emit, remark};
use crate::config::{Config, DEFAULT_EXPIRY};
use crate::exit::{Exit, Failed};
use crate::import::duplicates::{Duplicate, Same};
use crate::import::{
    self, Accounts, Batch, Cell, Checker, Field, Format, NewPost, Place, Problem, Problems, Record,
};
use crate::post::PostId;
use crate::schedule::{Clock, minute};
use crate::store::{Store, StoreError, instant};

/// So many notes and warnings of one kind are shown.
const NOTES_SHOWN: usize = 20;

/// `posts import`.
pub(super) async fn file(args: Import, config: &Config) -> Result<Exit, Failed> {
    let format = args
        .format
        .or_else(|| Format::of(&args.file))
        .ok_or_else(|| {
            Failed::usage(
                "the file's name does not say what it is; add --format csv, json or jsonl",
            )
        })?;
    let name = shown(&args.file);
    let bytes = contents(&args.file)?;
    let mut store = database::open_checked(config).await?;
    let mut checker = checker(&mut store, config).await?;
    let batch = import::read(bytes, format, &mut checker)
        .map_err(|problems| Failed::data(problems.report(&name)))?;
    let posts: Vec<(Place, &NewPost)> = batch.media_at.iter().copied().zip(&batch.posts).collect();
    let said = vet(&mut store, &checker, &posts, args.vetting, Some(&name)).await?;
    for line in remarks(&batch, &name).iter().chain(&said) {
        remark(line);
    }
    let message = if args.dry_run {
        let posts = count(batch.posts.len(), "post");
        format!("{posts} would be added; nothing was (--dry-run)")
    } else {
        let added = insert(&mut store, &batch.posts).await?.len();
        summary(added, batch.posts.len() - added)
    };
    store.close().await;
    emit(&message)?;
    Ok(Exit::Ok)
}

/// `posts add`.
pub(super) async fn one(args: Add, config: &Config) -> Result<Exit, Failed> {
    let body = match &args.body_file {
        Some(path) => Some(text(path)?),
        None => args.body.clone(),
    };
    let mut store = database::open_checked(config).await?;
    let mut checker = checker(&mut store, config).await?;
    let now = instant(checker.now);
    let passed = checker
        .check(&record(&args, body, now))
        .map_err(|problems| Failed::data(flag_report(&problems)))?;
    for note in &passed.notes {
        remark(&format!("note: {note}"));
    }
    if let Some(zone) = passed.assumed.as_ref().filter(|_| args.local.is_none()) {
        remark(&format!(
            "note: a time without a UTC offset is taken in {zone}"
        ));
    }
    if passed.expired {
        remark("warning: the post is past its expiry and will not be sent");
    }
    let posts = [(passed.media_at, &passed.post)];
    let said = vet(&mut store, &checker, &posts, args.vetting, None).await?;
    for line in &said {
        remark(line);
    }
    let account = checker.accounts.find(&args.account).map_err(Failed::data)?;
    let what = format!("{}, {}", account.label(), minute(passed.at));
    let message = if args.dry_run {
        format!("would add a post: {what}; nothing was added (--dry-run)")
    } else {
        match insert(&mut store, &[passed.post]).await?.first() {
            Some(id) => format!("added post {id}: {what}"),
            None => summary(0, 1),
        }
    };
    store.close().await;
    emit(&message)?;
    Ok(Exit::Ok)
}

/// Looks at what posts say together with others, and at their media behind addresses; what a person should hear if
/// they may be added. Without a file they come from flags.
async fn vet(
    store: &mut Store,
    checker: &Checker,
    posts: &[(Place, &NewPost)],
    vetting: Vetting,
    file: Option<&str>,
) -> Result<Vec<String>, Failed> {
    let refuse = |problems: Vec<Problem>| match file {
        Some(file) => Failed::data(Problems::of(problems).report(file)),
        None => Failed::data(flag_report(&problems)),
    };
    let at = |place: Place| file.map_or(String::new(), |file| format!("{file}:{}: ", place.line));
    let mut said = Vec::new();
    if !vetting.no_media_check {
        let account = |post: &NewPost| checker.accounts.numbered(post.account_id);
        let known = posts
            .iter()
            .filter_map(|(at, post)| Some((*at, *post, account(post)?)));
        let known: Vec<_> = known.collect();
        let looked = import::media::look(&known, &checker.media, &checker.platforms).await;
        if !looked.problems.is_empty() {
            return Err(refuse(looked.problems));
        }
        let doubt = |(place, why): &(Place, String)| format!("warning: {}{why}", at(*place));
        said.extend(shortly(
            looked.doubts.iter().map(doubt).collect(),
            "such warning",
        ));
        if looked.left > 0 {
            let media = count(looked.left, "file");
            said.push(format!(
                "note: there was no time to look at {media} behind addresses"
            ));
        }
    }
    let numbered: Vec<(usize, &NewPost)> = posts
        .iter()
        .map(|(place, post)| (place.line, *post))
        .collect();
    let duplicates = import::duplicates::find(store, &numbered).await?;
    let message = |duplicate: &Duplicate| {
        let other = match duplicate.of {
            Same::Post(id) => format!("post {id}"),
            Same::Line(line) => format!("line {line}"),
        };
        format!(
            "says the same as {other}, which goes out {}",
            minute(duplicate.at)
        )
    };
    let start = |duplicate: &Duplicate| Place {
        line: duplicate.line,
        column: 1,
    };
    if vetting.refuse_duplicates && !duplicates.is_empty() {
        let problem = |duplicate: &Duplicate| Problem::new(start(duplicate), message(duplicate));
        return Err(refuse(duplicates.iter().map(problem).collect()));
    }
    let warning = |duplicate: &Duplicate| {
        let (at, message) = (at(start(duplicate)), message(duplicate));
        format!("warning: {at}{message} (--refuse-duplicates refuses that)")
    };
    said.extend(shortly(
        duplicates.iter().map(warning).collect(),
        "such warning",
    ));
    Ok(said)
}

/// The first of many lines, and how many more there are.
fn shortly(mut lines: Vec<String>, what: &str) -> Vec<String> {
    let more = lines.len().saturating_sub(NOTES_SHOWN);
    lines.truncate(NOTES_SHOWN);
    if more > 0 {
        lines.push(format!("and {}", count(more, &format!("more {what}"))));
    }
    lines
}

async fn checker(store: &mut Store, config: &Config) -> Result<Checker, Failed> {
    let accounts = Accounts::load(store).await?;
    let expiry = config.file.expiry.map_or(DEFAULT_EXPIRY, |span| span.0);
    let directory = std::env::current_dir()
        .map_err(|e| Failed::configuration(format!("the current directory is gone: {e}")))?;
    Ok(Checker::new(
        accounts,
        directory,
        Clock::host().now(),
        expiry,
        config.media.clone(),
        config.file.platforms.clone(),
    ))
}

/// Adds them all or none. What the database refuses is the posts' fault, not a bug: a rule of its own, perhaps.
async fn insert(store: &mut Store, posts: &[NewPost]) -> Result<Vec<PostId>, Failed> {
    store.add_posts(posts).await.map_err(|error| match error {
        StoreError::Refused(why) => {
            Failed::data(format!("nothing was added: the database refused it: {why}"))
        }
        error => error.into(),
    })
}

fn summary(added: usize, skipped: usize) -> String {
    let added = format!("added {}", count(added, "post"));
    match skipped {
        0 => added,
        skipped => format!("{added}, skipped {skipped} (external_ref is there already)"),
    }
}

/// What a person should hear about posts that are in order.
fn remarks(batch: &Batch, file: &str) -> Vec<String> {
    let notes = batch.notes.iter();
    let notes = notes.map(|(line, note)| format!("note: {file}:{line}: {note}"));
    let mut remarks = shortly(notes.collect(), "such note");
    for (zone, (first, count)) in &batch.assumed {
        let times = match count {
            1 => "a post's times without a UTC offset are".to_owned(),
            count => format!("{count} posts' times without a UTC offset are"),
        };
        remarks.push(format!(
            "note: {times} taken in {zone} (first: {file}:{first})"
        ));
    }
    let warnings = [
        (&batch.expired, "past expiry, never to be sent"),
        (&batch.late, "due already, to be sent by the next run"),
    ];
    for (lines, what) in warnings {
        if let Some(first) = lines.first() {
            let posts = count(lines.len(), "post");
            remarks.push(format!("warning: {posts} {what} (first: {file}:{first})"));
        }
    }
    remarks
}

/// The flags as one record, so that they pass the same checks as a file's.
fn record(args: &Add, body: Option<String>, now: String) -> Record<'static> {
    let place = Place { line: 1, column: 1 };
    let mut fields = Vec::new();
    let mut put = |name: Cow<'static, str>, cell: Option<Cell<'static>>| {
        fields.extend(cell.map(|cell| Field { name, place, cell }));
    };
    let text = |text: String| Some(Cell::Text(Cow::Owned(text)));
    let list =
        |items: &[String]| Some(Cell::Json(Value::from(items))).filter(|_| !items.is_empty());
    let kind = args
        .kind
        .to_possible_value()
        .map(|kind| kind.get_name().to_owned());
    put("account".into(), text(args.account.clone()));
    match (&args.at, args.local) {
        (None, Some(local)) => put(
            "local_time".into(),
            text(local.format("%Y-%m-%d %H:%M:%S").to_string()),
        ),
        (at, _) => put("scheduled_at".into(), text(at.clone().unwrap_or(now))),
    }
    put(
        "timezone".into(),
        args.zone.and_then(|zone| text(zone.name().to_owned())),
    );
    put("body".into(), body.and_then(text));
    put("link".into(), args.link.clone().and_then(text));
    put("media".into(), list(&args.media));
    put("alt".into(), list(&args.alt));
    put("kind".into(), kind.and_then(text));
    put(
        "priority".into(),
        args.priority.and_then(|number| text(number.to_string())),
    );
    put("expires_at".into(), args.expires_at.clone().and_then(text));
    put(
        "external_ref".into(),
        args.external_ref.clone().and_then(text),
    );
    for (name, value) in &args.options {
        put(format!("option.{name}").into(), text(value.clone()));
    }
    Record { place, fields }
}

/// Problems by the flag that has them.
fn flag_report(problems: &[Problem]) -> String {
    let line = |problem: &Problem| match problem.field.as_str() {
        "" => problem.message.clone(),
        "scheduled_at" => format!("--at: {}", problem.message),
        "local_time" => format!("--local: {}", problem.message),
        "timezone" => format!("--zone: {}", problem.message),
        field => match field.strip_prefix("option.") {
            Some(name) => format!("--option {name}: {}", problem.message),
            None => format!("--{}: {}", field.replace('_', "-"), problem.message),
        },
    };
    let lines: Vec<String> = problems.iter().map(line).collect();
    format!("nothing was added: {}", lines.join("\n"))
}

fn contents(path: &Path) -> Result<Vec<u8>, Failed> {
    let read = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    read.map_err(|e| Failed::data(format!("{}: {e}", shown(path))))
}

/// A text file without the line end that editors put there.
fn text(path: &Path) -> Result<String, Failed> {
    let text = import::decode(contents(path)?)
        .map_err(|problem| Failed::data(format!("{}:{problem}", shown(path))))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn shown(path: &Path) -> String {
    if path == Path::new("-") {
        return "stdin".to_owned();
    }
    path.display().to_string()
}

#[cfg(test)]
mod tests;
