//! Permalinks that follow from the workspace's address, as the real binary records them.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::support::hostile::{Hostile, reply};
use super::support::world::{World, post};

/// One at a time, so that the first message's permalink is there before the second is sent.
const IN_TURN: [&str; 4] = ["--cap", "slack=1", "--pace", "max-speed"];

/// Each message's id and permalink, as they are recorded.
fn recorded(world: &World) -> Vec<(String, String)> {
    let rows = world.rows("SELECT platform_post_id || ' ' || permalink FROM posts ORDER BY id");
    let parted = rows.iter().map(|row| row.split_once(' ').unwrap());
    parted
        .map(|(id, permalink)| (id.to_owned(), permalink.to_owned()))
        .collect()
}

/// Channels of one workspace, where the app has one token.
fn channels(world: &World, number: u32) -> Vec<i64> {
    let account = |n| world.account_with_token("slack", n, "alder", "token-of-the-workspace");
    (0..number).map(account).collect()
}

#[test]
fn a_workspace_is_asked_once_and_the_permalinks_are_slacks_own() {
    let world = World::sqlite();
    let accounts = channels(&world, 4);
    world.due([post(accounts[0], "Question")]);
    world.run(&IN_TURN).exits(0);
    assert_eq!(world.stat("/platforms/slack/requests"), 2);
    let question = recorded(&world)[0].0.clone();
    let (_, ts) = question.split_once(':').unwrap();

    let text = |n: usize| post(accounts[n % 4], &format!("Message {n}"));
    let answer = |options: serde_json::Value| {
        let answer = post(accounts[0], &format!("Answer {options}"));
        answer.with("kind", "reply").with("options", options)
    };
    let disguised = post(accounts[1], "In disguise").with(
        "options",
        json!({"username": "Herald", "icon_emoji": ":tada:"}),
    );
    let image = post(accounts[2], "An image").with(
        "media",
        json!([{"url": world.sandbox.sample("800x800.png"), "alt": "A square"}]),
    );
    world.due((0..8).map(text).chain([
        answer(json!({"thread_ts": ts})),
        answer(json!({"thread_ts": ts, "reply_broadcast": true})),
        disguised,
        image,
    ]));
    world.run(&IN_TURN).exits(0);
    let requests = world.stat("/platforms/slack/requests");
    assert_eq!(requests, 2 + 12 + 1, "one of the twelve asks");

    let recorded = recorded(&world);
    assert_eq!(recorded.len(), 13);
    let in_threads = recorded
        .iter()
        .filter(|(_, link)| link.contains("?thread_ts="));
    assert_eq!(in_threads.count(), 2);
    for (id, permalink) in recorded {
        let (channel, ts) = id.split_once(':').unwrap();
        let asked = world.get(&format!(
            "slack/api/chat.getPermalink?token=good&channel={channel}&message_ts={ts}"
        ));
        assert_eq!(asked["permalink"], permalink, "{asked}");
    }
}

/// Three messages of a workspace, whose address Slack tells so, in turn; the last goes on. What is recorded, and how many
/// requests that took.
fn told(addresses: &'static [Option<&str>]) -> (Vec<String>, usize) {
    let world = World::sqlite();
    let accounts = channels(&world, 3);
    world.due(accounts.iter().map(|account| post(*account, "hi")));
    let asked = AtomicUsize::new(0);
    let hostile = Hostile::answers(move |head| {
        let body = if head.contains("auth.test") {
            let place = asked.fetch_add(1, Ordering::Relaxed);
            match addresses[place.min(addresses.len() - 1)] {
                Some(url) => json!({"ok": true, "url": url}),
                None => json!({"ok": false, "error": "fatal_error"}),
            }
        } else {
            json!({"ok": true, "channel": "C1", "ts": "1.2", "message": {"team": "T1", "ts": "1.2"}})
        };
        reply("200 OK", "", body.to_string().as_bytes())
    });
    world.slack_at(&hostile.url);
    world.run(&IN_TURN).exits(0);
    assert_eq!(world.statuses(), "published 3");
    let recorded = "SELECT coalesce(permalink, 'none') FROM posts ORDER BY id";
    (world.rows(recorded), hostile.requests())
}

#[test]
fn a_workspace_that_was_not_told_is_asked_for_again() {
    let link = "https://acme.slack.com/archives/C1/p12";
    let (recorded, requests) = told(&[None, Some("https://acme.slack.com/")]);
    assert_eq!(recorded, ["none", link, link]);
    assert_eq!(requests, 3 + 2);
}

#[test]
fn what_is_no_address_makes_no_permalinks() {
    for told_so in [
        &[Some("javascript:alert(1)")],
        &[Some("https://acme.slack.com/client/")],
        &[Some("")],
    ] {
        let (recorded, requests) = told(told_so);
        assert_eq!(recorded, ["none"; 3]);
        assert_eq!(requests, 3 + 1);
    }
}
