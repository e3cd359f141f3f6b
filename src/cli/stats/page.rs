//! The figures on paper.

use super::{Figures, Held, Report, Runs};
use crate::cli::output::count;

/// Above [`figures`].
pub(super) const FIGURES: [&str; 8] = [
    "platform",
    "published",
    "failed",
    "expired",
    "success",
    "late p50",
    "p95",
    "max",
];
/// Above [`held`].
pub(super) const HELD: [&str; 5] = ["id", "account", "owner", "due", "why"];
/// So many accounts are shown; `--json` has them all.
const SHOWN: usize = 20;

/// What waits and what is in doubt.
pub(super) fn standing(report: &Report) -> Vec<Vec<String>> {
    let now = &report.now;
    let row = |name: &str, posts: u64, remarks: Vec<Option<String>>| {
        let remarks: Vec<String> = remarks.into_iter().flatten().collect();
        vec![name.to_owned(), posts.to_string(), remarks.join("; ")]
    };
    let some = |posts: u64, what: &str| (posts > 0).then(|| what.replace("{}", &posts.to_string()));
    vec![
        row(
            "due",
            now.due,
            vec![
                some(now.held_back.needs_login, "{} wait for a login"),
                some(now.held_back.blocked, "{} wait for a blocked account"),
                some(now.held_back.disabled, "{} wait for a disabled account"),
            ],
        ),
        row(
            "later",
            now.later,
            vec![now.next_due_at.map(|at| format!("the next at {at}"))],
        ),
        row(
            "publishing",
            now.publishing,
            vec![some(
                now.lease_ended,
                "{} of a run that died: the next run finds out",
            )],
        ),
        row(
            "unconfirmed",
            now.unconfirmed,
            vec![
                now.unconfirmed_since
                    .map(|at| format!("the oldest since {at}")),
                now.next_look_at.map(|at| {
                    if at <= report.at {
                        "to be looked up by the next run".to_owned()
                    } else {
                        format!("looked up next {at}")
                    }
                }),
                some(now.for_a_person, "{} left to you"),
                some(
                    now.unconfirmed,
                    "see `publisher posts list --status unconfirmed`",
                ),
            ],
        ),
        row(
            "failed",
            now.failed,
            vec![some(
                now.failed,
                "see `publisher posts list --status failed`",
            )],
        ),
    ]
}

/// What happened, platform by platform and in all.
pub(super) fn figures(report: &Report) -> Vec<Vec<String>> {
    let platforms = report
        .platforms
        .iter()
        .map(|(name, figures)| line(name, figures));
    platforms.chain([line("all", &report.all)]).collect()
}

fn line(name: &str, figures: &Figures) -> Vec<String> {
    let ended = figures.published + figures.failed + figures.expired;
    let late = |milliseconds: i64| match figures.published {
        0 => "·".to_owned(),
        _ => span(milliseconds),
    };
    vec![
        name.to_owned(),
        figures.published.to_string(),
        figures.failed.to_string(),
        figures.expired.to_string(),
        match ended {
            0 => "·".to_owned(),
            _ => percent(figures.success_rate),
        },
        late(figures.lateness_ms.p50),
        late(figures.lateness_ms.p95),
        late(figures.lateness_ms.max),
    ]
}

/// Never 100% if one failed.
fn percent(rate: f64) -> String {
    let tenths = (rate * 1000.0).floor();
    format!("{:.1}%", tenths / 10.0)
}

/// `0.4 s`, `3 min`, `5 h`, `3 d`.
fn span(milliseconds: i64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        ..120 => format!("{:.1} s", milliseconds as f64 / 1000.0),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        172_800.. => format!("{} d", seconds / 86_400),
    }
}

/// How the runs ended, and when the last one did.
pub(super) fn runs(runs: &Runs) -> String {
    let exits = runs
        .exit_codes
        .iter()
        .map(|(code, runs)| format!("{runs} × exit {code}"));
    let exits: Vec<String> = exits.collect();
    let number = usize::try_from(runs.count).unwrap_or(usize::MAX);
    let all = match exits.as_slice() {
        [] => "No run had anything due.".to_owned(),
        exits => format!(
            "{} had something due: {}.",
            count(number, "run"),
            exits.join(", ")
        ),
    };
    match &runs.last {
        Some(last) => format!(
            "{all} The last one ended {} on {}: exit {}, {} of {} due posts published.",
            last.finished_at, last.host, last.exit_code, last.published, last.due
        ),
        None => all,
    }
}

/// The accounts that hold their posts back, with what to do.
pub(super) fn held(accounts: &[Held]) -> Vec<Vec<String>> {
    let row = |held: &Held| {
        let login = (held.status == "needs_login")
            .then(|| "needs a login: `publisher accounts add` with a new token".to_owned());
        let blocked = held.blocked_until.map(|until| {
            let why = held.reason.as_deref();
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            format!("blocked until {until}{why}")
        });
        let why: Vec<String> = login.into_iter().chain(blocked).collect();
        vec![
            held.id.to_string(),
            held.account.clone(),
            held.owner.clone(),
            held.due.to_string(),
            why.join("; "),
        ]
    };
    let mut rows: Vec<Vec<String>> = accounts.iter().take(SHOWN).map(row).collect();
    if accounts.len() > SHOWN {
        let mut more = vec![String::new(); HELD.len()];
        more[1] = format!("and {} more", accounts.len() - SHOWN);
        rows.push(more);
    }
    rows
}
