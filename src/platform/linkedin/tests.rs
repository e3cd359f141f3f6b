use serde_json::json;

use super::progress::{Asset, AssetKind, State};
use super::share::{share, title};
use super::*;
use crate::post::{ClaimedPost, Content, Media};
use crate::review::testing::problems;

mod replies;

const NOON: &str = "2026-09-01T12:00:00Z";

fn content(value: Value) -> Content {
    serde_json::from_value(value).unwrap()
}

fn post(mut value: Value) -> ClaimedPost {
    let rest = json!({
        "id": 7, "scheduled_at": NOON, "expires_at": NOON, "attempts": 1, "max_attempts": 5,
        "checkpoint": null,
        "account": {
            "id": 1, "owner": "o", "platform": "linkedin", "external_id": "urn:li:person:aB-1",
            "credentials": null, "token_expires_at": null, "settings": {"visibility": "LOGGED_IN"},
        },
    });
    let fields = value.as_object_mut().unwrap();
    fields.extend(rest.as_object().unwrap().clone());
    serde_json::from_value(value).unwrap()
}

fn ready(kind: AssetKind, id: &str) -> Asset {
    let urn = format!("{}{id}", kind.urn_start());
    let mut asset = Asset::planned(kind, &Media::default());
    asset.state = State::Ready { urn };
    asset
}

#[test]
fn a_share_is_complete() {
    let mut expected = json!({
        "author": "urn:li:person:aB-1",
        "commentary": r"Hi {hashtag|\#|all}",
        "visibility": "LOGGED_IN",
        "distribution": {
            "feedDistribution": "MAIN_FEED",
            "targetEntities": [],
            "thirdPartyDistributionChannels": [],
        },
        "lifecycleState": "PUBLISHED",
        "isReshareDisabledByAuthor": false,
    });
    assert_eq!(
        share(&post(json!({"body": "Hi #all"})), &[]).unwrap(),
        expected
    );
    expected["visibility"] = "CONNECTIONS".into();
    expected["content"] = json!({"article": {"source": "https://a.b", "title": "Hi #all"}});
    let linked = post(json!({
        "body": "Hi #all", "link": "https://a.b", "options": {"visibility": "CONNECTIONS", "description": " "},
    }));
    assert_eq!(share(&linked, &[]).unwrap(), expected);
}

#[test]
fn media_become_content() {
    let shared = |media: Value, options: Value, assets: &[Asset]| {
        let post = post(json!({"body": "a", "media": media, "options": options}));
        share(&post, assets).unwrap()["content"].clone()
    };
    let image = |id| ready(AssetKind::Image, id);
    let video = [ready(AssetKind::Video, "v")];
    let document = [ready(AssetKind::Document, "d")];
    let titled = json!({"title": "T"});
    let cases = [
        (
            shared(
                json!([{"path": "a.jpg", "alt": "A"}]),
                titled.clone(),
                &[image("1")],
            ),
            json!({"media": {"id": "urn:li:image:1", "altText": "A"}}),
        ),
        (
            shared(
                json!([{"path": "a.jpg", "alt": " "}, {"path": "b.jpg", "alt": "B"}]),
                json!({}),
                &[image("1"), image("2")],
            ),
            json!({"multiImage": {"images": [
                {"id": "urn:li:image:1"}, {"id": "urn:li:image:2", "altText": "B"},
            ]}}),
        ),
        (
            shared(json!([{"path": "a.mp4"}]), json!({}), &video),
            json!({"media": {"id": "urn:li:video:v"}}),
        ),
        (
            shared(json!([{"path": "a.mp4"}]), titled.clone(), &video),
            json!({"media": {"id": "urn:li:video:v", "title": "T"}}),
        ),
        (
            shared(json!([{"path": "/x/a.pdf"}]), titled, &document),
            json!({"media": {"id": "urn:li:document:d", "title": "T"}}),
        ),
        (
            shared(json!([{"path": "/x/a b.pdf"}]), json!({}), &document),
            json!({"media": {"id": "urn:li:document:d", "title": "a b.pdf"}}),
        ),
        (
            shared(
                json!([{"url": "https://a.b/c%20d.pdf?e=/f"}]),
                json!({}),
                &document,
            ),
            json!({"media": {"id": "urn:li:document:d", "title": "c d.pdf"}}),
        ),
        (
            shared(json!([{"url": "https://a.b/"}]), json!({}), &document),
            json!({"media": {"id": "urn:li:document:d", "title": "Document"}}),
        ),
    ];
    for (content, expected) in cases {
        assert_eq!(content, expected);
    }
}

#[test]
fn a_link_has_a_title_of_its_own_or_the_first_line() {
    let title = |value| title(&content(value));
    assert_eq!(title(json!({"body": "a", "options": {"title": "b"}})), "b");
    assert_eq!(title(json!({"body": "a", "options": {"title": " "}})), "a");
    assert_eq!(title(json!({"body": "\n \n a \nb"})), "a");
    let long = title(json!({"body": "a".repeat(401)}));
    assert_eq!(long.chars().count(), 400);
    assert!(long.ends_with('…'));
    let exact = title(json!({"options": {"title": "a".repeat(400)}}));
    assert_eq!(exact, "a".repeat(400));
}

#[test]
fn every_problem_is_named_at_once() {
    let fine = json!({
        "body": "#".repeat(3000), "link": "https://a.b",
        "options": {"visibility": "connections", "thumbnail": false, "title": null},
    });
    assert_eq!(problems(&LinkedIn, &content(fine)), Vec::<String>::new());
    let post = content(json!({
        "kind": "reply",
        "body": "a".repeat(3001),
        "link": "mailto:me@a.b",
        "media": [{"url": "https://a.b/a.pdf", "alt": "c".repeat(4087)}, {"url": "https://a.b/b.bmp"}],
        "options": {
            "title": "b".repeat(401), "first_comment": "d".repeat(1251), "visibility": "ALL", "thumbnail": "yes",
            "description": 5,
        },
    }));
    assert_eq!(
        problems(&LinkedIn, &post),
        [
            "link: addresses start with http:// or https://, not mailto:",
            "stories, reels and replies on LinkedIn are not supported",
            "the body has 3001 characters; LinkedIn takes 3000",
            "the title has 401 characters; LinkedIn takes 400",
            "option `description` must be a text",
            "the first comment has 1251 characters; LinkedIn takes 1250",
            "option `visibility` must be PUBLIC, LOGGED_IN or CONNECTIONS",
            "option `thumbnail` must be true or false",
            "LinkedIn shows either a link or media; put the link into the body, or set the option `thumbnail` to true \
             to show one picture as the link's",
            "LinkedIn takes a document only by itself; this post has 2 media",
            "media 2 (https://a.b/b.bmp) is image/bmp; LinkedIn takes JPG, PNG and GIF pictures",
            "the description of media 1 has 4087 characters; LinkedIn takes 4086",
        ]
    );
    assert_eq!(
        problems(&LinkedIn, &content(json!({"link": "https://a.b"}))),
        ["a LinkedIn post needs a body, with a link or media too"]
    );
}

#[test]
fn media_are_as_many_and_as_large_as_it_takes() {
    let images = |count: usize| vec![json!({"url": "https://a.b/a.jpg"}); count];
    let with = |value: Value| {
        let mut content = value;
        content["body"] = "a".into();
        problems(&LinkedIn, &super::tests::content(content))
    };
    let none = Vec::<String>::new();
    assert_eq!(with(json!({"media": images(20)})), none);
    assert_eq!(
        with(json!({"media": images(21)})),
        ["the post has 21 pictures; LinkedIn takes 20"]
    );
    let thumbnail = json!({"thumbnail": true});
    let link = "https://a.b";
    assert_eq!(
        with(json!({"media": images(1), "link": link, "options": thumbnail})),
        none
    );
    let wrong = ["option `thumbnail` takes a link and exactly one picture"];
    let pdf = [json!({"url": "https://a.b/a.pdf"})];
    for content in [
        json!({"media": images(2), "link": link, "options": thumbnail}),
        json!({"media": pdf, "link": link, "options": thumbnail}),
        json!({"link": link, "options": thumbnail}),
        json!({"media": images(1), "options": thumbnail}),
    ] {
        assert_eq!(with(content), wrong);
    }
}

#[test]
fn an_account_is_a_urn() {
    for id in ["urn:li:person:aB_1-2", "urn:li:organization:42"] {
        assert!(LinkedIn.validate_account(id).is_ok(), "{id}");
    }
    for id in [
        "",
        "42",
        "urn:li:person:",
        "urn:li:organization:x",
        "urn:li:share:1",
        "urn:li:person:a/b",
    ] {
        assert!(LinkedIn.validate_account(id).is_err(), "{id}");
    }
}

#[test]
fn a_setting_has_a_value_that_linkedin_knows() {
    let wrong = |value: Value| LinkedIn.validate_settings(value.as_object().unwrap());
    assert_eq!(
        wrong(json!({"visibility": "LOGGED_IN"})),
        Vec::<String>::new()
    );
    assert_eq!(
        wrong(json!({"visibility": "ALL"})),
        ["`visibility` is \"ALL\"; it must be PUBLIC, LOGGED_IN or CONNECTIONS"]
    );
}

#[test]
fn a_checkpoint_that_cannot_be_read_is_harmless_or_in_doubt() {
    use crate::http::testing::verdict;
    let read = |value: Value| Progress::read(Some(&value));
    assert_eq!(Progress::read(None).unwrap(), None);
    assert_eq!(
        read(json!({"stage": {"is": "preparing"}, "media": 5})).unwrap(),
        None
    );
    for unreadable in [
        json!({}),
        json!({"stage": {"is": "sending"}, "media": 5}),
        json!("x"),
    ] {
        let failure = read(unreadable).unwrap_err();
        assert_eq!(verdict(&failure), "unconfirmed [bug] -");
    }
    let least = read(json!({"stage": {"is": "sending"}})).unwrap().unwrap();
    let sent = String::new();
    assert_eq!(least.stage, Stage::Sending { sent });
    // What earlier versions left in doubt.
    let doubt = json!({"stage": {"is": "doubt", "sent_at": "2026-09-01T12:00:00Z", "sent": "ab"}});
    let sent = "ab".to_owned();
    assert_eq!(read(doubt).unwrap().unwrap().stage, Stage::Sending { sent });
}
