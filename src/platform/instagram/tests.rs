use super::*;
use crate::http::testing::{reply, verdict};

fn content(value: Value) -> Content {
    serde_json::from_value(value).unwrap()
}

fn container(number: u32, looked_after_secs: u64) -> Container {
    Container {
        id: "17".to_owned(),
        created_at: "2026-09-01T12:00:00Z".parse().unwrap(),
        number,
        looked_after_secs,
    }
}

#[test]
fn a_picture_has_a_url_and_what_else_there_is() {
    let full = json!({
        "body": "Hi #there",
        "media": [{"url": "https://a.b/c.jpg", "alt": "A cat"}],
    });
    let bare = json!({"media": [{"url": "https://a.b/c"}]});
    assert_eq!(
        picture(&content(full.clone())).unwrap(),
        json!({"image_url": "https://a.b/c.jpg", "caption": "Hi #there", "alt_text": "A cat"})
    );
    assert_eq!(
        picture(&content(bare.clone())).unwrap(),
        json!({"image_url": "https://a.b/c"})
    );
    for post in [full, bare] {
        assert_eq!(
            crate::review::testing::problems(&Instagram, &content(post)),
            Vec::<String>::new()
        );
    }
}

#[test]
fn every_problem_is_named_at_once() {
    let post = content(json!({
        "kind": "story",
        "body": format!("{}{}{}", "#a ".repeat(31), "@b ".repeat(21), "c".repeat(2200)),
        "link": "https://a.b",
        "media": [{"path": "a.png", "alt": "d".repeat(1001)}],
        "options": {"first_comment": "Hi"},
    }));
    assert_eq!(
        crate::review::testing::problems(&Instagram, &post),
        [
            "stories, reels and replies on Instagram are not supported yet",
            "Instagram has no link posts; leave the link out or write it into the body",
            "the caption has 2356 characters; Instagram takes 2200",
            "the caption has 31 hashtags; Instagram takes 30",
            "the caption has 21 mentions; Instagram takes 20",
            "Instagram fetches pictures itself: a local file is not possible, give a public url",
            "Instagram takes JPEG pictures, not image/png",
            "the alternative text has 1001 characters; Instagram takes 1000",
            "a first comment on Instagram is not supported yet",
        ]
    );
    let problems =
        |media| crate::review::testing::problems(&Instagram, &content(json!({"media": media})));
    assert_eq!(
        problems(json!([])),
        ["Instagram needs exactly one picture so far; this post has 0 media"]
    );
    assert_eq!(
        problems(json!([{"url": "https://a.b/c.mp4?x=y"}])),
        ["videos on Instagram are not supported yet"]
    );
}

#[test]
fn only_words_count_as_hashtags() {
    assert_eq!(marks("# a ## #b#c #1 e#f #_", '#'), 5);
    assert_eq!(marks("#", '#'), 0);
}

#[test]
fn looks_grow_apart_up_to_a_minute() {
    let mut container = container(1, 0);
    let mut waits = Vec::new();
    for _ in 0..6 {
        let Step::Wait { checkpoint, after } = container.look_again() else {
            panic!("a look is a wait");
        };
        waits.push(after.as_secs());
        container = Container::read(&checkpoint).unwrap();
    }
    assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
}

#[test]
fn a_checkpoint_that_cannot_be_read_is_no_licence_to_start_over() {
    let failure = Container::read(&json!({"session": "x"})).unwrap_err();
    assert_eq!(verdict(&failure), "unconfirmed [bug] -");
}

#[test]
fn the_list_names_the_post_only_if_one_fits() {
    let post = |id: &str, caption: Option<&str>, time: &str| Post {
        id: id.to_owned(),
        caption: caption.map(str::to_owned),
        permalink: Some(format!("https://www.instagram.com/p/{id}")),
        timestamp: format!("2026-09-01T{time}+0000"),
    };
    let found =
        |posts, caption| match_post(posts, &container(1, 0), caption).map(|published| published.id);
    let posts = || {
        vec![
            post("3", None, "12:00:09"),
            post("2", Some("by you"), "12:00:02"),
            post("1", Some("by @you"), "11:58:00"),
        ]
    };
    assert_eq!(found(posts(), "by @you").as_deref(), Some("2"));
    assert_eq!(found(posts(), "").as_deref(), Some("3"));
    assert_eq!(found(posts(), "by me"), None);
    let twice = vec![post("2", None, "12:00:02"), post("1", None, "12:00:01")];
    assert_eq!(found(twice, ""), None);
}

#[test]
fn an_upload_that_failed_in_passing_may_be_made_again() {
    let status = |text: &str| Status {
        status_code: "ERROR".to_owned(),
        status: text.to_owned(),
    };
    assert!(status("Error: Media upload has failed with error code 2207082").is_passing());
    assert!(!status("Error: unsupported format, error code 2207026").is_passing());
    assert!(!status("").is_passing());
}

#[test]
fn codes_decide() {
    let prepares = [
        (-2, 2_207_003, "retry [server_error]"),
        (-1, 2_207_001, "retry [server_error]"),
        (-1, 2_207_032, "retry [server_error]"),
        (
            4,
            2_207_051,
            "rate_limited for 21600s, Account [rate_limited]",
        ),
        (4, 0, "rate_limited for 3600s, Platform [rate_limited]"),
        (
            9,
            2_207_042,
            "rate_limited for 21600s, Account [rate_limited]",
        ),
        (24, 2_207_006, "retry in 60s [upload_gone]"),
        (24, 2_207_008, "retry in 60s [upload_gone]"),
        (25, 2_207_050, "needs_login [needs_login]"),
        (100, 2_207_023, "rejected [rejected]"),
        (352, 2_207_026, "rejected [rejected]"),
        (9004, 2_207_052, "rejected [rejected]"),
        (36000, 2_207_004, "rejected [rejected]"),
        (36001, 2_207_005, "rejected [rejected]"),
        (36003, 2_207_009, "rejected [rejected]"),
        (36004, 2_207_010, "rejected [rejected]"),
        (190, 463, "needs_login [needs_login]"),
        (100, 33, "needs_login [needs_login]"),
        (80002, 0, "rate_limited for 3600s, Account [rate_limited]"),
    ];
    let body = |code, subcode| {
        json!({"error": {"message": "m", "code": code, "error_subcode": subcode}}).to_string()
    };
    for (code, subcode, expected) in prepares {
        let failure = classify(&reply(400, &body(code, subcode)), Effect::Prepares);
        assert_eq!(verdict(&failure), format!("{expected} {code}/{subcode}"));
    }
    let publishing = |status, code, subcode| {
        let reply = reply(status, &body(code, subcode));
        verdict(&accept::<Id>(&reply, Effect::Publishes).err().unwrap())
    };
    let unconfirmed = "unconfirmed [server_error] -1/2207001";
    assert_eq!(publishing(400, -1, 2_207_001), unconfirmed);
    assert_eq!(publishing(500, -1, 2_207_001), unconfirmed);
    assert_eq!(
        publishing(500, 9, 2_207_042),
        "unconfirmed [server_error] 9/2207042"
    );
    let not_ready = reply(400, &body(9007, 2_207_027));
    assert!(is_not_ready(&not_ready) && !is_unknown(&not_ready));
    assert!(is_unknown(&reply(400, &body(24, 2_207_008))));
    assert!(!is_unknown(&reply(500, &body(24, 2_207_008))));
}
