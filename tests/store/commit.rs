//! Commits: what is written of each outcome, and what is never overwritten.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use publisher::commit::{self, Report};
use publisher::outcome::{Block, Outcome, Published, Reason, Scope, Settled};
use publisher::post::{ClaimedPost, PostId};
use publisher::store::{Committed, Outcomes, PublishedRow, Request, Store};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::database::{Backend, Raw, World, minutes_ago, now, request, request_at};

on_both_databases!(
    a_published_post_is_written_in_full,
    every_other_outcome_is_written_in_full,
    an_untouched_post_keeps_what_was_known_of_it,
    a_checkpoint_survives_to_the_next_claim,
    history_grows_and_stops_at_fifty,
    the_run_is_recorded,
    a_post_that_somebody_changed_is_not_overwritten,
    a_run_that_lost_its_lease_overwrites_nothing,
    a_row_from_before_the_claim_learns_only_what_was_sent,
    only_this_runs_posts_are_written,
    a_second_commit_changes_nothing,
    a_nul_in_a_reply_is_spelled_out,
    any_text_comes_back_as_it_was,
    one_refused_row_holds_nobody_up,
    a_missing_login_is_noted_once,
    a_disabled_account_stays_disabled,
    an_account_is_blocked_for_a_while,
    a_whole_platform_is_blocked_for_a_while,
    a_block_is_never_shortened,
    several_outcomes_of_one_account_all_count,
    a_commit_of_nothing_records_the_run,
    statements_do_not_grow_with_the_posts,
);

const HOUR: TimeDelta = TimeDelta::hours(1);

fn record(run: Uuid) -> Value {
    json!({
        "id": run, "host": "host", "version": "0.1.0", "started_at": minutes_ago(1), "finished_at": minutes_ago(0),
        "due": 7, "published": 1, "retry": 2, "failed": 3, "expired": 4, "unconfirmed": 5, "released": 6,
        "platforms": {"slack": {"published": 1}}, "exit_code": 1,
    })
}

fn published(id: &str) -> Outcome {
    Outcome::Published {
        post: Published {
            id: id.to_owned(),
            permalink: Some(format!("https://example.com/{id}")),
            warnings: Vec::new(),
            pause: None,
        },
        at: now(),
    }
}

fn retry(due_at: DateTime<Utc>, block: Option<Block>) -> Outcome {
    Outcome::Retry {
        due_at,
        counts: block.is_none(),
        block,
        reason: Reason::new("server_error", "try later").code("500"),
    }
}

fn failed(message: &str) -> Outcome {
    Outcome::Failed {
        reason: Reason::new("rejected", message).code("100/33"),
    }
}

fn settled(post: ClaimedPost, outcome: Outcome) -> Settled {
    Settled {
        post,
        outcome,
        checkpoint: None,
        took: Duration::from_millis(1_234),
    }
}

/// Claims what is due, lets each post (in the order of their numbers) end in its outcome, and commits.
async fn finish(store: &mut Store, request: &Request, outcomes: Vec<Outcome>) -> Report {
    let mut posts = store.claim(request).await.unwrap().posts;
    posts.sort_unstable_by_key(|post| post.id);
    assert_eq!(posts.len(), outcomes.len());
    let settled: Vec<Settled> = posts
        .into_iter()
        .zip(outcomes)
        .map(|(post, outcome)| settled(post, outcome))
        .collect();
    commit::outcomes(store, request.run, record(request.run), &settled, now()).await
}

#[track_caller]
fn assert_clean(report: &Report) {
    assert!(
        report.lost.is_empty() && report.refused.is_empty() && report.unrecorded.is_none(),
        "{report:?}"
    );
}

/// The columns that a commit may write.
async fn written(raw: &mut Raw, id: PostId) -> Value {
    let row = raw.post_row(id).await;
    let names = [
        "status",
        "due_at",
        "attempts",
        "lease_until",
        "checkpoint",
        "platform_post_id",
        "permalink",
        "published_at",
        "error_class",
        "error_code",
        "error",
        "history",
    ];
    let columns = names.map(|name| (name.to_owned(), row[name].clone()));
    Value::Object(columns.into_iter().collect())
}

async fn a_published_post_is_written_in_full(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let columns = json!({
        "attempts": 1, "checkpoint": {"upload": 1}, "error_class": "timeout", "error_code": "1", "error": "slow",
        "updated_at": "2020-01-01T00:00:00.000Z",
    });
    let id = raw.post_with(account, 3, columns).await;
    let before = raw.post_row(id).await;
    let request = request();
    let mut store = world.store().await;
    let post = store.claim(&request).await.unwrap().posts.remove(0);
    let outcome = Outcome::Published {
        post: Published {
            id: "p1".to_owned(),
            permalink: None,
            warnings: vec!["the permalink could not be read".to_owned()],
            pause: None,
        },
        at: now() + TimeDelta::milliseconds(7),
    };
    let settled = Settled {
        checkpoint: Some(json!({"of no use": "any more"})),
        ..settled(post, outcome)
    };
    let report = commit::outcomes(
        &mut store,
        request.run,
        record(request.run),
        &[settled],
        now(),
    )
    .await;
    assert_clean(&report);

    let mut after = raw.post_row(id).await;
    assert!(after.remove("updated_at").unwrap().as_str() > before["updated_at"].as_str());
    let mut expected = before;
    expected.remove("updated_at");
    let columns = json!({
        "status": "published", "claim": request.run, "attempts": 2, "lease_until": null, "checkpoint": null,
        "platform_post_id": "p1", "permalink": null, "published_at": "2026-11-22T08:00:00.007Z",
        "error_class": null, "error_code": null, "error": null,
        "history": [{"at": minutes_ago(0), "run": request.run, "outcome": "published", "took_ms": 1234,
                     "warnings": ["the permalink could not be read"]}],
    });
    expected.extend(columns.as_object().unwrap().clone());
    assert_eq!(Value::Object(after), Value::Object(expected));
}

async fn every_other_outcome_is_written_in_full(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let later = now() + HOUR;
    let reason = || Reason::new("server_error", "try later").code("500");
    let outcomes = vec![
        retry(later, None),
        Outcome::Retry {
            due_at: later,
            counts: false,
            block: None,
            reason: reason(),
        },
        failed("too long"),
        Outcome::Unconfirmed {
            reason: Reason::new("timeout", "no reply"),
        },
    ];
    let mut ids = Vec::new();
    for _ in &outcomes {
        let columns = json!({"attempts": 1, "checkpoint": {"old": 1}});
        ids.push(raw.post_with(account, 3, columns).await);
    }
    let request = request();
    let report = finish(&mut world.store().await, &request, outcomes).await;
    assert_clean(&report);

    let expected = [
        (
            "pending",
            minutes_ago(-60),
            2,
            "server_error",
            json!("500"),
            "try later",
            "retry",
        ),
        (
            "pending",
            minutes_ago(-60),
            1,
            "server_error",
            json!("500"),
            "try later",
            "retry",
        ),
        (
            "failed",
            minutes_ago(3),
            2,
            "rejected",
            json!("100/33"),
            "too long",
            "failed",
        ),
        (
            "unconfirmed",
            // To be looked up after as long again as it is late.
            minutes_ago(-3),
            2,
            "timeout",
            json!(null),
            "no reply",
            "unconfirmed",
        ),
    ];
    for (id, (status, due_at, attempts, class, code, message, outcome)) in
        ids.into_iter().zip(expected)
    {
        let columns = json!({
            "status": status, "due_at": due_at, "attempts": attempts, "lease_until": null, "checkpoint": null,
            "platform_post_id": null, "permalink": null, "published_at": null,
            "error_class": class, "error_code": code, "error": message,
            "history": [{"at": minutes_ago(0), "run": request.run, "outcome": outcome, "took_ms": 1234,
                         "class": class, "code": code, "message": message}],
        });
        assert_eq!(written(&mut raw, id).await, columns);
    }
}

async fn an_untouched_post_keeps_what_was_known_of_it(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let known = json!({
        "attempts": 2, "error_class": "timeout", "error_code": "1", "error": "slow",
        "history": [{"outcome": "retry"}], "due_at": minutes_ago(1),
    });
    let released = raw.post_with(account, 3, known.clone()).await;
    let waiting = raw.post_with(account, 3, known.clone()).await;
    let expired = raw.post_with(account, 60 * 48, known.clone()).await;
    let before = [
        written(&mut raw, released).await,
        written(&mut raw, waiting).await,
        written(&mut raw, expired).await,
    ];
    let outcomes = vec![
        Outcome::Released,
        Outcome::Waiting {
            due_at: now() + HOUR,
        },
        Outcome::Expired,
    ];
    assert_clean(&finish(&mut world.store().await, &request(), outcomes).await);

    assert_eq!(
        written(&mut raw, released).await,
        before[0],
        "the attempt is given back"
    );
    let mut expected = before[1].clone();
    expected["due_at"] = json!(minutes_ago(-60));
    assert_eq!(written(&mut raw, waiting).await, expected);
    let mut expected = before[2].clone();
    expected["status"] = json!("expired");
    assert_eq!(written(&mut raw, expired).await, expected);
}

async fn a_checkpoint_survives_to_the_next_claim(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "instagram").await;
    let mut store = world.store().await;
    // Any JSON; null is none.
    let checkpoints = [
        json!({"container": "17", "parts": [1, 2]}),
        json!("text"),
        json!(7),
        json!([]),
        json!(false),
    ];
    for checkpoint in checkpoints {
        let id = raw.post(account, 3).await;
        let first = request();
        let post = store.claim(&first).await.unwrap().posts.remove(0);
        assert_eq!(post.checkpoint, None);
        let settled = Settled {
            checkpoint: Some(checkpoint.clone()),
            ..settled(post, Outcome::Waiting { due_at: now() })
        };
        let report =
            commit::outcomes(&mut store, first.run, record(first.run), &[settled], now()).await;
        assert_clean(&report);
        let post = store.claim(&request()).await.unwrap().posts.remove(0);
        assert_eq!((post.id, post.checkpoint), (id, Some(checkpoint)));
        assert_eq!(post.attempts, 1);
        raw.end_the_runs().await;
    }
}

async fn history_grows_and_stops_at_fifty(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let history: Vec<Value> = (0..48).map(|n| json!({ "n": n })).collect();
    let id = raw
        .post_with(account, 3, json!({"history": history, "max_attempts": 100}))
        .await;
    let mut store = world.store().await;
    let lengths_and_first = [
        (49, json!(0)),
        (50, json!(0)),
        (50, json!(1)),
        (50, json!(2)),
    ];
    for (turn, (length, first)) in lengths_and_first.into_iter().enumerate() {
        let outcome = if turn == 3 {
            published("p1")
        } else {
            retry(now(), None)
        };
        let name = outcome.name();
        assert_clean(&finish(&mut store, &request(), vec![outcome]).await);
        let row = raw.post_row(id).await;
        let history = row["history"].as_array().unwrap();
        assert_eq!((history.len(), &history[0]["n"]), (length, &first));
        assert_eq!(history.last().unwrap()["outcome"], name);
    }
}

async fn the_run_is_recorded(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.post(account, 3).await;
    let request = request();
    finish(&mut world.store().await, &request, vec![published("p1")]).await;
    let runs = raw.table("runs").await;
    assert_eq!(runs.len(), 1);
    assert_eq!(Value::Object(runs[0].clone()), record(request.run));
}

async fn a_post_that_somebody_changed_is_not_overwritten(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(raw.post(account, 3).await);
    }
    let first = request();
    let mut store = world.store().await;
    let mut posts = store.claim(&first).await.unwrap().posts;
    posts.sort_unstable_by_key(|post| post.id);
    // Somebody resolves two by hand, deletes one, and two went to another run.
    for (id, status) in [(ids[0], "canceled"), (ids[1], "failed")] {
        raw.run(&format!(
            "UPDATE posts SET status = '{status}', lease_until = NULL WHERE id = {id}"
        ))
        .await;
    }
    raw.run(&format!("DELETE FROM posts WHERE id = {}", ids[2]))
        .await;
    raw.run(&format!(
        "UPDATE posts SET claim = '{}' WHERE id IN ({}, {})",
        Uuid::new_v4(),
        ids[3],
        ids[4]
    ))
    .await;
    let before = raw.table("posts").await;

    let outcomes = [
        published("p0"),
        failed("no"),
        published("p2"),
        retry(now(), None),
        published("p4"),
        published("p5"),
        failed("no"),
    ];
    let settled: Vec<Settled> = posts
        .into_iter()
        .zip(outcomes)
        .map(|(post, outcome)| settled(post, outcome))
        .collect();
    let mut report =
        commit::outcomes(&mut store, first.run, record(first.run), &settled, now()).await;
    report.lost.sort_unstable();
    assert_eq!(report.lost, ids[..5]);
    assert!(report.refused.is_empty() && report.unrecorded.is_none());
    let after = raw.table("posts").await;
    assert_eq!(after[..4], before[..4], "theirs is untouched");
    assert_eq!(raw.status(ids[5]).await, "published");
    assert_eq!(raw.status(ids[6]).await, "failed");
}

async fn a_run_that_lost_its_lease_overwrites_nothing(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let id = raw.post(account, 3).await;
    let (slow, quick) = (request(), request_at(now() + TimeDelta::minutes(16)));
    let mut store = world.store().await;
    let its = store.claim(&slow).await.unwrap().posts.remove(0);
    let outcome = Outcome::Unconfirmed {
        reason: Reason::new("recovered", "a run died"),
    };
    let report = finish(&mut world.store().await, &quick, vec![outcome]).await;
    assert_clean(&report);

    // Late, whatever it has to say, and whether the other has finished.
    let before = raw.table("posts").await;
    for outcome in [published("late"), retry(now(), None), Outcome::Released] {
        let run = record(Uuid::new_v4());
        let late = [settled(its.clone(), outcome)];
        let report = commit::outcomes(&mut store, slow.run, run, &late, now()).await;
        assert_eq!(report.lost, [id]);
    }
    assert_eq!(raw.table("posts").await, before);
}

/// What a standby that was promoted without the claim, or a restored copy, holds. What anybody set to `pending` since
/// the claim has its claim, or its count of tries, and stays.
async fn a_row_from_before_the_claim_learns_only_what_was_sent(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(raw.post(account, 3).await);
    }
    let run = request();
    let mut store = world.store().await;
    let mut posts = store.claim(&run).await.unwrap().posts;
    posts.sort_unstable_by_key(|post| post.id);
    let back = "UPDATE posts SET status = 'pending', lease_until = NULL";
    let other = Uuid::new_v4();
    raw.run(&format!(
        "{back}, attempts = 0, claim = NULL WHERE id IN ({}, {}, {}); \
         {back}, attempts = 0, claim = '{other}' WHERE id IN ({}, {}); \
         {back}, attempts = 0 WHERE id = {}; \
         {back}, claim = '{other}' WHERE id = {}",
        ids[0], ids[1], ids[2], ids[3], ids[6], ids[4], ids[5]
    ))
    .await;
    let unconfirmed = || Outcome::Unconfirmed {
        reason: Reason::new("timeout", "no answer"),
    };
    let outcomes = [
        published("p0"),
        unconfirmed(),
        failed("no"),
        published("p3"),
        published("p4"),
        published("p5"),
        // A doubt is not worth what somebody settled since.
        unconfirmed(),
    ];
    let pairs = posts.into_iter().zip(outcomes);
    let rows: Vec<Settled> = pairs
        .map(|(post, outcome)| settled(post, outcome))
        .collect();
    let report = commit::outcomes(&mut store, run.run, record(run.run), &rows, now()).await;
    let mut lost = report.lost;
    lost.sort_unstable();
    assert_eq!(lost, [ids[2], ids[4], ids[5], ids[6]]);
    for (id, status) in ids.iter().zip([
        "published",
        "unconfirmed",
        "pending",
        "published",
        "pending",
        "pending",
        "pending",
    ]) {
        assert_eq!(raw.status(*id).await, status, "{id}");
    }
}

async fn only_this_runs_posts_are_written(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let mine = raw.post(account, 3).await;
    let first = request();
    let mut store = world.store().await;
    store.claim(&first).await.unwrap();
    let pending = raw.post(account, 2).await;
    let row = |id| -> PublishedRow<'_> {
        let row = json!({"id": id, "status": "published", "platform_post_id": "x", "permalink": null,
                         "published_at": minutes_ago(0), "entry": {}});
        serde_json::from_value(row).unwrap()
    };
    let outcomes = Outcomes {
        run: None,
        published: [mine, pending, 987_654].map(row).into(),
        settled: Vec::new(),
        accounts: Vec::new(),
    };
    let committed = store.commit(first.run, &outcomes).await.unwrap();
    assert_eq!(committed, Committed::Now(vec![mine]));
    assert_eq!(raw.status(pending).await, "pending");
}

async fn a_second_commit_changes_nothing(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    for _ in 0..3 {
        raw.post(account, 3).await;
    }
    let first = request();
    let mut store = world.store().await;
    let mut posts = store.claim(&first).await.unwrap().posts;
    posts.sort_unstable_by_key(|post| post.id);
    let outcomes = [
        published("p1"),
        failed("no"),
        retry(now(), Some(Block::NeedsLogin)),
    ];
    let settled: Vec<Settled> = posts
        .into_iter()
        .zip(outcomes)
        .map(|(post, outcome)| settled(post, outcome))
        .collect();
    let commit = async |store: &mut Store| {
        commit::outcomes(store, first.run, record(first.run), &settled, now()).await
    };
    assert_clean(&commit(&mut store).await);
    // Meanwhile a person has connected the account again.
    raw.run("UPDATE accounts SET status = 'active'").await;
    let before = raw.dump().await;

    // The same run's connection, and another one.
    assert_clean(&commit(&mut store).await);
    assert_clean(&commit(&mut world.store().await).await);
    let again = Outcomes {
        run: Some(record(first.run)),
        published: Vec::new(),
        settled: Vec::new(),
        accounts: vec![json!({"id": account, "needs_login": true, "reason": "x"})],
    };
    assert_eq!(
        store.commit(first.run, &again).await.unwrap(),
        Committed::Before
    );
    assert_eq!(raw.dump().await, before);
}

async fn a_nul_in_a_reply_is_spelled_out(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let first = raw.post(account, 3).await;
    let second = raw.post(account, 3).await;
    let third = raw.post(account, 3).await;
    let outcomes = vec![
        Outcome::Published {
            post: Published {
                id: "p\0one".to_owned(),
                permalink: Some("https://example.com/\0".to_owned()),
                warnings: vec!["w\0w".to_owned()],
                pause: None,
            },
            at: now(),
        },
        failed("no\0pe"),
        Outcome::Retry {
            due_at: now(),
            counts: false,
            block: Some(Block::Until(now() + HOUR, Scope::Account)),
            reason: Reason::new("rate_limited", "too\0many").code("4\0"),
        },
    ];
    assert_clean(&finish(&mut world.store().await, &request(), outcomes).await);
    let row = raw.post_row(first).await;
    assert_eq!(row["platform_post_id"], "pone");
    assert_eq!(row["permalink"], "https://example.com/");
    assert_eq!(row["history"][0]["warnings"], json!(["ww"]));
    assert_eq!(raw.post_row(second).await["error"], "no\\u{0}pe");
    assert_eq!(raw.post_row(third).await["error_code"], "4");
    assert_eq!(
        raw.account_row(account).await["blocked_reason"],
        "too\\u{0}many"
    );
}

async fn any_text_comes_back_as_it_was(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let texts = [
        "it's \"quoted\" \\ \\u0041 $1 ?1 %s {}",
        "tab\tline\nreturn\r\u{7f}\u{1}",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{202e}rtl \u{feff}",
        "'; DROP TABLE posts; --",
        "null",
        "",
        "17",
    ];
    for text in texts {
        raw.post_with(account, 3, json!({"body": text, "link": text}))
            .await;
    }
    let first = request();
    let mut store = world.store().await;
    let mut posts = store.claim(&first).await.unwrap().posts;
    posts.sort_unstable_by_key(|post| post.id);
    let bodies: Vec<&str> = posts.iter().map(|post| &*post.content.body).collect();
    assert_eq!(bodies, texts);
    let settled: Vec<Settled> = posts
        .into_iter()
        .map(|post| {
            let text = post.content.body.clone();
            let published = Published {
                id: text.clone(),
                permalink: Some(text.clone()),
                warnings: vec![text],
                pause: None,
            };
            let outcome = Outcome::Published {
                post: published,
                at: now(),
            };
            settled(post, outcome)
        })
        .collect();
    let report = commit::outcomes(&mut store, first.run, record(first.run), &settled, now()).await;
    assert_clean(&report);
    for (row, text) in raw.table("posts").await.into_iter().zip(texts) {
        for name in ["body", "link", "platform_post_id", "permalink"] {
            assert_eq!(row[name], text, "{name}");
        }
        assert_eq!(row["history"][0]["warnings"], json!([text]));
    }
}

async fn one_refused_row_holds_nobody_up(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(raw.post(account, 3).await);
    }
    // Two outcomes that this database does not take.
    raw.run(match world.backend {
        Backend::Sqlite => {
            "CREATE TRIGGER no BEFORE UPDATE ON posts WHEN NEW.platform_post_id = 'bad'
             BEGIN SELECT raise(ABORT, 'not this one'); END"
        }
        Backend::Postgres => {
            "ALTER TABLE posts ADD CONSTRAINT \"not this one\" CHECK (platform_post_id <> 'bad')"
        }
    })
    .await;
    let outcomes = vec![
        published("good"),
        published("bad"),
        failed("no"),
        published("bad"),
        retry(now() + HOUR, Some(Block::NeedsLogin)),
    ];
    let request = request();
    let report = finish(&mut world.store().await, &request, outcomes).await;
    assert!(
        report.lost.is_empty() && report.unrecorded.is_none(),
        "{report:?}"
    );
    let refused: Vec<PostId> = report.refused.iter().map(|(id, _)| *id).collect();
    assert_eq!(refused, [ids[1], ids[3]]);
    assert!(
        report.refused[0].1.contains("not this one"),
        "it says why: {report:?}"
    );
    let mut statuses = Vec::new();
    for id in &ids {
        statuses.push(raw.status(*id).await);
    }
    assert_eq!(
        statuses,
        ["published", "publishing", "failed", "publishing", "pending"]
    );
    assert_eq!(raw.account_row(account).await["status"], "needs_login");
    assert_eq!(raw.table("runs").await[0]["id"], request.run.to_string());
}

async fn a_missing_login_is_noted_once(world: World) {
    let mut raw = world.raw().await;
    let lost = raw.account("ada", "slack").await;
    let other = raw.account("ada", "slack").await;
    raw.post(lost, 3).await;
    raw.post(lost, 3).await;
    raw.post(other, 3).await;
    let login = || retry(now(), Some(Block::NeedsLogin));
    let outcomes = vec![login(), login(), published("p")];
    let mut store = world.store().await;
    assert_clean(&finish(&mut store, &request(), outcomes).await);
    let row = raw.account_row(lost).await;
    assert_eq!(row["status"], "needs_login");
    assert_eq!(row["blocked_until"], Value::Null);
    assert_eq!(raw.account_row(other).await["status"], "active");
    assert!(
        store.claim(&request()).await.unwrap().posts.is_empty(),
        "the posts wait"
    );
}

async fn a_disabled_account_stays_disabled(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.post(account, 3).await;
    let first = request();
    let mut store = world.store().await;
    let post = store.claim(&first).await.unwrap().posts.remove(0);
    raw.run("UPDATE accounts SET status = 'disabled'").await;
    let settled = [settled(post, retry(now(), Some(Block::NeedsLogin)))];
    let report = commit::outcomes(&mut store, first.run, record(first.run), &settled, now()).await;
    assert_clean(&report);
    assert_eq!(raw.account_row(account).await["status"], "disabled");
}

async fn an_account_is_blocked_for_a_while(world: World) {
    let mut raw = world.raw().await;
    let limited = raw.account("ada", "slack").await;
    let other = raw.account("ada", "slack").await;
    raw.post(limited, 3).await;
    raw.post(other, 3).await;
    let outcomes = vec![
        retry(now(), Some(Block::Until(now() + HOUR, Scope::Account))),
        retry(now(), None),
    ];
    let mut store = world.store().await;
    assert_clean(&finish(&mut store, &request(), outcomes).await);
    let row = raw.account_row(limited).await;
    assert_eq!(row["blocked_until"], minutes_ago(-60));
    assert_eq!(row["blocked_reason"], "try later");
    assert_eq!(row["status"], "active");
    let row = raw.account_row(other).await;
    assert_eq!(
        (&row["blocked_until"], &row["blocked_reason"]),
        (&Value::Null, &Value::Null)
    );
    let claim = store.claim(&request()).await.unwrap();
    assert_eq!(claim.posts.len(), 1);
    assert_eq!(claim.posts[0].account.id, other);
}

async fn a_whole_platform_is_blocked_for_a_while(world: World) {
    let mut raw = world.raw().await;
    let one = raw.account("ada", "slack").await;
    let two = raw.account("bob", "slack").await;
    let elsewhere = raw.account("ada", "facebook").await;
    raw.post(one, 3).await;
    let outcomes = vec![retry(
        now(),
        Some(Block::Until(now() + HOUR, Scope::Platform)),
    )];
    assert_clean(&finish(&mut world.store().await, &request(), outcomes).await);
    for account in [one, two] {
        assert_eq!(
            raw.account_row(account).await["blocked_until"],
            minutes_ago(-60)
        );
    }
    assert_eq!(
        raw.account_row(elsewhere).await["blocked_until"],
        Value::Null
    );
}

async fn a_block_is_never_shortened(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.post(account, 3).await;
    let first = request();
    let mut store = world.store().await;
    let post = store.claim(&first).await.unwrap().posts.remove(0);
    raw.run(&format!(
        "UPDATE accounts SET blocked_until = '{}', blocked_reason = 'for two hours'",
        minutes_ago(-120)
    ))
    .await;
    let block = Block::Until(now() + HOUR, Scope::Account);
    let settled = [settled(post, retry(now(), Some(block)))];
    let report = commit::outcomes(&mut store, first.run, record(first.run), &settled, now()).await;
    assert_clean(&report);
    let row = raw.account_row(account).await;
    assert_eq!(row["blocked_until"], minutes_ago(-120));
    assert_eq!(row["blocked_reason"], "for two hours");
}

/// Each of an account's posts may say something else of it; none of it may get lost.
async fn several_outcomes_of_one_account_all_count(world: World) {
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]] {
        let mut raw = world.raw().await;
        raw.run("DELETE FROM posts; DELETE FROM accounts").await;
        let account = raw.account("ada", "slack").await;
        let neighbour = raw.account("bob", "slack").await;
        let blocks = [
            Block::NeedsLogin,
            Block::Until(now() + HOUR, Scope::Account),
            Block::Until(now() + HOUR * 3, Scope::Account),
            Block::Until(now() + HOUR * 2, Scope::Platform),
        ];
        let mut outcomes = Vec::new();
        for place in order {
            raw.post(account, 3).await;
            outcomes.push(Outcome::Retry {
                due_at: now(),
                counts: false,
                block: Some(blocks[place]),
                reason: Reason::new("rate_limited", format!("reason {place}")),
            });
        }
        assert_clean(&finish(&mut world.store().await, &request(), outcomes).await);
        let row = raw.account_row(account).await;
        assert_eq!(row["status"], "needs_login");
        assert_eq!(row["blocked_until"], minutes_ago(-180));
        assert_eq!(row["blocked_reason"], "reason 2");
        let row = raw.account_row(neighbour).await;
        assert_eq!(row["status"], "active");
        assert_eq!(row["blocked_until"], minutes_ago(-120));
        assert_eq!(row["blocked_reason"], "reason 3");
    }
}

async fn a_commit_of_nothing_records_the_run(world: World) {
    let request = request();
    let mut store = world.store().await;
    let report = commit::outcomes(&mut store, request.run, record(request.run), &[], now()).await;
    assert_clean(&report);
    assert_eq!(world.raw().await.table("runs").await.len(), 1);
}

async fn statements_do_not_grow_with_the_posts(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    for count in [10_u32, 1_000] {
        raw.posts(account, 3, count).await;
        let mut store = world.store().await;
        let outcomes = (0..count)
            .map(|n| match n % 3 {
                0 => published(&n.to_string()),
                1 => failed("no"),
                _ => Outcome::Unconfirmed {
                    reason: Reason::new("timeout", "no reply"),
                },
            })
            .collect();
        assert_clean(&finish(&mut store, &request(), outcomes).await);
        assert_eq!(store.statements(), 4, "one claim, two updates, one insert");
    }
}

/// As the server counts.
#[tokio::test]
async fn postgres_counts_one_claim_two_updates_and_one_insert() {
    let world = World::migrated(Backend::Postgres).await;
    let mut raw = world.raw().await;
    raw.run("CREATE EXTENSION pg_stat_statements SCHEMA public")
        .await;
    let account = raw.account("ada", "slack").await;
    for count in [10_u32, 1_000] {
        raw.posts(account, 3, count).await;
        let mut store = world.store().await;
        let reset = "SELECT pg_stat_statements_reset(0, (SELECT oid FROM pg_database WHERE datname = current_database()), 0)";
        raw.run(reset).await;
        let outcomes = (0..count)
            .map(|n| {
                if n % 2 == 0 {
                    published(&n.to_string())
                } else {
                    retry(now() + HOUR, Some(Block::Until(now(), Scope::Account)))
                }
            })
            .collect();
        assert_clean(&finish(&mut store, &request(), outcomes).await);
        let calls = raw
            .texts(
                "SELECT CASE WHEN query LIKE '%publisher.claim_due(%' THEN 'claim' WHEN query LIKE '%INSERT INTO publisher.runs%' THEN 'run'
                             WHEN query LIKE '%SET status = ''published''%' OR query LIKE '%The first bulk UPDATE%' THEN 'published'
                             WHEN query LIKE '%The second bulk UPDATE%' THEN 'settled' ELSE query END || ' ' || calls
                 FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
                 WHERE d.datname = current_database() AND query NOT LIKE '%pg_stat_statements%' ORDER BY 1",
            )
            .await;
        assert_eq!(
            calls,
            ["claim 1", "published 1", "run 1", "settled 1"],
            "{count} posts"
        );
        raw.run("UPDATE accounts SET blocked_until = NULL").await;
    }
}
