//! What platforms send is hostile until parsed: each story is one kind of answer, and the run goes on.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

#[path = "hostile/table.rs"]
mod table;
#[path = "hostile/wire.rs"]
mod wire;

use serde_json::json;
use support::hostile::{Hostile, reply};
use support::world::{World, post};

impl World {
    /// Slack is the hostile server, LinkedIn the sandbox.
    fn with_slack_at(&self, hostile: &Hostile) {
        self.slack_at(&hostile.url);
        self.due([
            post(self.account("slack", 1, "alder"), "to the hostile one"),
            post(
                self.account("linkedin", 1, "birch"),
                &format!("honest, beside {}", hostile.url),
            ),
        ]);
    }
}

/// A Slack that answers a message like this, and does not let its channel be searched for it: what is in doubt stays so.
fn slack_answers(answer: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Hostile {
    let refusal = br#"{"ok": false, "error": "missing_scope", "needed": "channels:history"}"#;
    Hostile::answers(move |head| {
        if head.starts_with("GET /api/conversations.history?") {
            return reply("200 OK", "", refusal);
        }
        answer()
    })
}

on_both! {
    fn a_token_that_is_quoted_back_is_never_shown(world: World) {
        let hostile = Hostile::answers(|head| {
            let token = head.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap();
            let body = format!(r#"{{"ok": false, "error": "no_good_{token}", "needed": "{token}"}}"#);
            reply("200 OK", &format!("x-token: {token}\r\n"), body.as_bytes())
        });
        world.with_slack_at(&hostile);
        let ended = world.run(&["-vv", "--json", "--log-format", "json"]).exits(1);
        assert_eq!(hostile.requests(), 1);
        let everything = format!("{} {} {}", ended.stdout, ended.stderr, world.dump());
        assert!(everything.contains("no_good_[redacted]"), "{everything}");
        assert!(!everything.contains("token-slack-1"), "{everything}");
        assert_eq!(world.statuses(), "failed 1, published 1");
    }

    fn a_huge_answer_leaves_its_own_post_in_doubt(world: World) {
        let hostile = slack_answers(|| reply("200 OK", "", &vec![b'x'; 50_000_000]));
        world.with_slack_at(&hostile);
        world.run(&[]).exits(1);
        assert_eq!(world.statuses(), "published 1, unconfirmed 1");
        assert_eq!(world.value("SELECT error_class FROM posts WHERE status = 'unconfirmed'"), "bad_reply");
    }

    fn an_answer_that_is_cut_off_leaves_its_post_in_doubt(world: World) {
        let hostile = slack_answers(|| {
            let mut whole = reply("200 OK", "", br#"{"ok": true, "channel": "C1", "ts": "1.2"}"#);
            whole.truncate(whole.len() - 5);
            whole
        });
        world.with_slack_at(&hostile);
        world.run(&[]).exits(1);
        assert_eq!(world.statuses(), "published 1, unconfirmed 1");
        world.run(&[]).exits(0);
        assert_eq!(hostile.requests(), 2, "the message, and the look for it");
    }

    fn nul_and_escapes_and_broken_text_reach_neither_database_nor_terminal(world: World) {
        let hostile = Hostile::answers(|_| {
            reply("200 OK", "", b"{\"ok\": false, \"error\": \"a\\u0000b \\u001b[31mred\\nline\", \"needed\": \"\\ud83d\\ude00\"}")
        });
        world.with_slack_at(&hostile);
        let ended = world.run(&[]).exits(1);
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        assert!(!ended.stderr.contains('\u{1b}') && !ended.stderr.contains('\0'), "{ended:?}");
        assert_eq!(world.statuses(), "failed 1, published 1");
        let bytes = slack_answers(|| reply("500 Oops", "content-type: text/html\r\n", b"<html>\xff\xfe\x00 oops</html>"));
        world.execute("UPDATE posts SET status = 'canceled' WHERE status = 'failed'");
        world.with_slack_at(&bytes);
        world.run(&[]).exits(1);
        assert_eq!(world.statuses(), "canceled 1, published 2, unconfirmed 1");
    }

    fn a_redirect_is_not_followed(world: World) {
        let elsewhere = Hostile::answers(|_| reply("200 OK", "", br#"{"ok": true, "channel": "C1", "ts": "1.2"}"#));
        let location = format!("location: {}/api/chat.postMessage\r\n", elsewhere.url);
        let hostile = slack_answers(move || reply("307 Temporary Redirect", &location, b""));
        world.with_slack_at(&hostile);
        world.run(&[]).exits(1);
        assert_eq!((hostile.requests(), elsewhere.requests()), (2, 0));
        assert_eq!(world.statuses(), "published 1, unconfirmed 1");
    }

    fn deep_and_endless_json_and_the_wrong_shape(world: World) {
        for body in [format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)), "{\"ok\": \"maybe\"}".to_owned(), String::new()] {
            let hostile = slack_answers(move || reply("200 OK", "", body.as_bytes()));
            world.with_slack_at(&hostile);
            world.run(&[]).exits(1);
        }
        assert_eq!(world.statuses(), "published 3, unconfirmed 3");
    }
}

#[test]
fn a_permalink_that_cannot_be_read_never_fails_a_post() {
    let world = World::sqlite();
    let hostile = Hostile::answers(|head| {
        if head.starts_with("POST") {
            return reply(
                "200 OK",
                "",
                br#"{"ok": true, "channel": "C1", "ts": "1.2"}"#,
            );
        }
        reply("500 Oops", "", b"never")
    });
    world.with_slack_at(&hostile);
    world.run(&[]).exits(0);
    assert_eq!(world.statuses(), "published 2");
    let row = world.value("SELECT json_object('id', platform_post_id, 'link', permalink, 'history', json(history)) FROM posts WHERE platform_post_id = 'C1:1.2'");
    let row: serde_json::Value = serde_json::from_str(&row).unwrap();
    assert_eq!(row["link"], json!(null));
    assert!(
        row["history"][0]["warnings"][0]
            .as_str()
            .unwrap()
            .contains("no permalink"),
        "{row}"
    );
}
