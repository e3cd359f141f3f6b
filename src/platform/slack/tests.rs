use reqwest::StatusCode;
use serde_json::{Value, json};

use super::checkpoint::{Checkpoint, Files, Shared};
use super::message::Message;
use super::reply::{accept, warnings};
use super::thread::{self, Parent};
use super::{Slack, content};
use crate::http::testing::{reply, verdict};
use crate::http::{Effect, Reply};
use crate::platform::Platform;
use crate::post::Content;
use crate::review::testing::problems;

const NONE: Vec<String> = Vec::new();

fn of(value: Value) -> Content {
    serde_json::from_value(value).unwrap()
}

fn accepted(reply: &Reply, effect: Effect) -> String {
    match accept::<Message>(reply, effect) {
        Ok(message) => message.id(),
        Err(failure) => verdict(&failure),
    }
}

/// A recorded-shape reply from `tests/fixtures/slack`.
fn fixture(name: &str) -> Reply {
    let path = format!(
        "{}/tests/fixtures/slack/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let body = fixture["body"].to_string();
    let status: StatusCode = fixture["status"].to_string().parse().unwrap();
    let bare = reply(status.as_u16(), &body);
    match fixture["headers"]["retry-after"].as_str() {
        Some(seconds) => bare.with("retry-after", seconds),
        None => bare,
    }
}

#[test]
fn every_class_of_reply_is_a_decision() {
    let table = [
        ("content", "rejected [rejected] invalid_blocks"),
        (
            "file_address",
            "rejected [rejected] file_upload_size_restricted",
        ),
        (
            "file_complete",
            "rejected [rejected] posting_to_channel_denied",
        ),
        ("in_doubt", "unconfirmed [server_error] fatal_error"),
        ("message", "C024BE91L:1503435956.000247"),
        ("missing_scope", "needs_login [needs_login] missing_scope"),
        ("outside", "rejected [rejected] not_in_channel"),
        (
            "rate_limited",
            "rate_limited for 60s, Account [rate_limited] rate_limited",
        ),
        ("server_error", "unconfirmed [server_error] 503"),
        ("target", "rejected [rejected] channel_not_found"),
        ("token_expired", "unauthorized [needs_login] token_expired"),
        ("token_revoked", "needs_login [needs_login] token_revoked"),
        (
            "too_many_requests",
            "rate_limited for 30s, Account [rate_limited] ratelimited",
        ),
        ("truncated", "C024BE91L:1503435956.000247"),
        ("unavailable", "retry [unavailable] service_unavailable"),
        ("unknown_code", "rejected [rejected] a_code_of_tomorrow"),
        ("unknown_method", "rejected [rejected] unknown_method"),
        ("wrong_shape", "unconfirmed [bad_reply] -"),
    ];
    for (name, expected) in table {
        let verdict = accepted(&fixture(name), Effect::Publishes);
        assert_eq!(verdict, expected, "{name}");
    }
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/slack");
    let files = std::fs::read_dir(directory).unwrap().count();
    assert_eq!(files, table.len(), "every fixture is in the table");
}

#[test]
fn every_documented_code_is_a_decision() {
    let table = [
        (
            "retry [unavailable]",
            "service_unavailable request_timeout team_added_to_org org_login_required",
        ),
        ("unconfirmed [server_error]", "fatal_error internal_error"),
        (
            "rate_limited for 60s, Account [rate_limited]",
            "ratelimited rate_limited message_limit_exceeded",
        ),
        ("unauthorized [needs_login]", "token_expired invalid_auth"),
        (
            "needs_login [needs_login]",
            "not_authed token_revoked account_inactive missing_scope no_permission not_allowed_token_type \
             app_access_restricted access_denied accesslimited ekm_access_denied enterprise_is_restricted \
             two_factor_setup_required",
        ),
        (
            "rejected [rejected]",
            "channel_not_found not_in_channel is_archived restricted_action restricted_action_read_only_channel \
             restricted_action_thread_only_channel restricted_action_non_threadable_channel \
             restricted_action_thread_locked no_text msg_blocks_too_long invalid_blocks invalid_blocks_format \
             too_many_attachments attachment_payload_limit_exceeded too_many_contact_cards markdown_text_conflict \
             metadata_too_large invalid_metadata_format invalid_metadata_schema metadata_must_be_sent_from_app \
             cannot_reply_to_message messages_tab_disabled invalid_arg_name invalid_array_arg invalid_charset \
             invalid_form_data invalid_post_type missing_post_type msg_too_long invalid_json json_not_object \
             invalid_arguments file_uploads_disabled file_uploads_except_images_disabled file_type_not_allowed \
             storage_limit_reached snippet_too_large alt_txt_too_large unknown_snippet_type unknown_subtype \
             missing_argument file_not_found file_update_failed invalid_channel channels_limit_exceeded",
        ),
    ];
    for (expected, codes) in table {
        for code in codes.split_whitespace() {
            let body = json!({"ok": false, "error": code}).to_string();
            let verdict = accepted(&reply(200, &body), Effect::Publishes);
            assert_eq!(verdict, format!("{expected} {code}"));
        }
    }
}

#[test]
fn what_publishes_nothing_is_never_in_doubt() {
    for (name, expected) in [
        ("in_doubt", "retry [server_error] fatal_error"),
        ("server_error", "retry [server_error] 503"),
        ("wrong_shape", "retry [bad_reply] -"),
    ] {
        assert_eq!(accepted(&fixture(name), Effect::Reads), expected, "{name}");
    }
}

#[test]
fn what_is_no_answer_of_slacks_is_in_doubt() {
    for (status, body, expected) in [
        (500, "", "unconfirmed [server_error] 500"),
        (307, "", "unconfirmed [server_error] 307"),
        (200, "<html>", "unconfirmed [bad_reply] -"),
        (200, r#"{"ok": false}"#, "unconfirmed [bad_reply] -"),
        (200, r#"{"ok": "maybe"}"#, "unconfirmed [bad_reply] -"),
        (200, "", "unconfirmed [bad_reply] -"),
        (413, "<html>", "rejected [rejected] 413"),
        (
            429,
            "<html>",
            "rate_limited for 60s, Account [rate_limited] 429",
        ),
    ] {
        let verdict = accepted(&reply(status, body), Effect::Publishes);
        assert_eq!(verdict, expected, "{status} {body}");
    }
}

#[test]
fn slacks_own_words_reach_the_author_but_never_those_about_a_token() {
    let message = |name| {
        let failure = accept::<Message>(&fixture(name), Effect::Publishes);
        failure.err().unwrap().reason().message.clone()
    };
    assert_eq!(
        message("content"),
        "Slack can't show the message's text or an image (invalid_blocks: [ERROR] downloading image failed \
         [json-pointer:/blocks/1/image_url])"
    );
    assert_eq!(
        message("missing_scope"),
        "the token lacks the scope chat:write; add it to the Slack app, install the app again and store its new token"
    );
    assert_eq!(
        message("unknown_code"),
        "Slack refused the message (a_code_of_tomorrow)"
    );
    assert_eq!(
        warnings(&fixture("truncated")),
        ["Slack cut the message off: it is too long"]
    );
    assert_eq!(warnings(&fixture("message")), NONE);
}

#[test]
fn every_problem_is_named_at_once() {
    for fine in [
        json!({"link": "https://a.b"}),
        json!({"media": [{"url": "https://a.b/c.png"}]}),
        json!({"body": "x".repeat(40_000)}),
        json!({"body": "**x**", "options": {"markdown": true, "username": "Me", "icon_emoji": ":tada:"}}),
        json!({"body": "x", "kind": "reply", "options": {"thread_ts": "1.2", "reply_broadcast": true}}),
        json!({"body": "x", "options": {"unfurl": null, "title": null}}),
    ] {
        let found = problems(&Slack, &of(fine.clone()));
        assert_eq!(found, NONE, "{fine:.80}");
    }
    let post = of(json!({
        "kind": "story",
        "body": "a".repeat(39_990),
        "link": "<!channel>",
        "options": {
            "unfurl": "yes", "username": 5, "icon_emoji": "tada", "icon_url": "ftp://a", "thread_ts": "soon",
            "reply_broadcast": true, "first_comment": "&".repeat(8_001),
        },
    }));
    assert_eq!(
        problems(&Slack, &post),
        [
            "link: the address is not a URL: relative URL without a base",
            "option `unfurl` must be true or false",
            "option `username` must be a text",
            "stories and reels do not exist on Slack; make it a post",
            "option `thread_ts` must be a message's ts, such as \"1503435956.000247\", not \"soon\"",
            "`reply_broadcast` is for replies; set the kind to reply",
            "give either `icon_emoji` or `icon_url`, not both",
            "option `icon_emoji` must be an emoji's name, such as :tada:",
            "icon_url: addresses start with http:// or https://, not ftp:",
            "the message has 40007 characters; Slack takes 40000",
            "the first comment has 40005 characters; Slack takes 40000",
        ]
    );
    assert_eq!(
        problems(&Slack, &Content::default()),
        ["a Slack message needs a body, a link or media"]
    );
}

#[test]
fn media_are_held_to_the_rules_of_how_they_travel() {
    let image = json!({"url": "https://a.b/c.png", "alt": "x".repeat(2_000)});
    assert_eq!(problems(&Slack, &of(json!({"media": [image]}))), NONE);
    let uploaded =
        json!({"media": [image], "options": {"upload": true, "username": "Me", "unfurl": false}});
    assert_eq!(
        problems(&Slack, &of(uploaded)),
        [
            "media 1 (https://a.b/c.png): the description has 2000 characters; Slack takes 1000",
            "option `username` can't be used with uploaded files on Slack; leave it out",
        ]
    );
    let many = vec![json!({"url": "https://a.b/c.png"}); 50];
    let long = "word ".repeat(700);
    assert_eq!(problems(&Slack, &of(json!({"media": many}))), NONE);
    assert_eq!(
        problems(&Slack, &of(json!({"media": many, "body": long}))),
        ["the message has 52 pieces of text and images; Slack takes 50"]
    );
    let videos = vec![json!({"url": "https://a.b/c.mp4"}); 11];
    assert_eq!(
        problems(
            &Slack,
            &of(json!({"media": videos, "options": {"markdown": true}}))
        ),
        [
            "a message in Markdown can't have media on Slack; leave one of them out",
            "the message has 11 files; Slack takes 10",
        ]
    );
    // Nobody knows yet whether this is an image, so what files can't have is no problem yet.
    let unknown = json!({"media": [{"url": "https://a.b/c"}], "options": {"username": "Me"}});
    assert_eq!(problems(&Slack, &of(unknown)), NONE);
}

#[test]
fn an_account_is_a_channel() {
    for id in ["C024BE91L", "G1A", "D1A"] {
        assert!(Slack.validate_account(id).is_ok(), "{id}");
    }
    for id in ["", "C", "#general", "U024BE91L", "C024be91l"] {
        assert!(Slack.validate_account(id).is_err(), "{id}");
    }
}

#[test]
fn a_reply_names_its_message_in_several_ways() {
    let parent = |options: Value| thread::parent(&of(json!({ "options": options })));
    let at = |channel: Option<&str>, ts: &str| {
        Ok(Some(Parent {
            channel: channel.map(str::to_owned),
            ts: ts.to_owned(),
        }))
    };
    let ts = "1503435956.000247";
    assert_eq!(parent(json!({})), Ok(None));
    assert_eq!(parent(json!({"thread_ts": ts})), at(None, ts));
    // A spreadsheet's number has lost its last noughts.
    let number = json!({"thread_ts": 1_503_435_956.1});
    assert_eq!(parent(number), at(None, "1503435956.100000"));
    let number = json!({"thread_ts": 1_503_435_956.000_247});
    assert_eq!(parent(number), at(None, ts));
    for target in [
        "C024BE91L:1503435956.000247",
        "https://acme.slack.com/archives/C024BE91L/p1503435956000247",
        "https://acme.slack.com/archives/C024BE91L/p1503439999000100?thread_ts=1503435956.000247&cid=C024BE91L",
    ] {
        assert_eq!(
            parent(json!({"reply_to": target})),
            at(Some("C024BE91L"), ts),
            "{target}"
        );
    }
    for wrong in [
        json!({"thread_ts": "1503435956"}),
        json!({"thread_ts": true}),
        json!({"thread_ts": "1.2&x=y"}),
        json!({"reply_to": "C024BE91L"}),
        json!({"reply_to": 5}),
        json!({"reply_to": "https://acme.slack.com/archives/C024BE91L/p12"}),
        json!({"reply_to": "https://acme.slack.com/team/C024BE91L/p1503435956000247"}),
        json!({"thread_ts": ts, "reply_to": "C024BE91L:1.2"}),
    ] {
        assert!(parent(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn a_long_text_is_cut_between_words_and_never_inside_an_escape() {
    assert_eq!(content::sections("", 10), NONE);
    assert_eq!(content::sections(" \n ", 10), NONE);
    assert_eq!(content::sections("0123456789", 10), ["0123456789"]);
    assert_eq!(
        content::sections("one two\nthree four", 10),
        ["one two", "three four"]
    );
    assert_eq!(
        content::sections("0123456789 next", 10),
        ["0123456789", "next"]
    );
    assert_eq!(content::sections("0123456789ab", 10), ["0123456789", "ab"]);
    assert_eq!(content::sections("ééééé", 2), ["éé", "éé", "é"]);
    assert_eq!(content::sections("a&&b", 6), ["a&amp;", "&amp;b"]);
    assert_eq!(content::sections("&&", 1), ["&amp;", "&amp;"]);
    let long = "A sentence & more. ".repeat(1_000);
    let pieces = content::sections(&long, 3_000);
    assert!(pieces.iter().all(|piece| piece.chars().count() <= 3_000));
    assert_eq!(pieces.join(" "), content::escaped(long.trim_end()));
}

#[test]
fn a_checkpoint_survives_and_older_ones_can_be_read() {
    for checkpoint in [
        Checkpoint::Message,
        Checkpoint::Files(Files::default()),
        Checkpoint::Shared(Shared {
            file: "F1".to_owned(),
            permalink: None,
            looks: 2,
        }),
    ] {
        let shown = format!("{checkpoint:?}");
        let read = Checkpoint::read(&checkpoint.value()).unwrap();
        assert_eq!(format!("{read:?}"), shown);
    }
    for older in [
        json!({"at": "files"}),
        json!({"at": "shared", "file": "F1", "what_is_new": 1}),
        json!({"at": "doubt", "subject": {"file": {"id": "F1"}}}),
    ] {
        Checkpoint::read(&older).unwrap();
    }
    let unreadable = Checkpoint::read(&json!({"at": "the_moon"})).unwrap_err();
    assert_eq!(verdict(&unreadable), "unconfirmed [bug] -");
}
