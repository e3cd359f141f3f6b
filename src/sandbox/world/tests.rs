//! What counts as a duplicate, what changes the listing, and what a reset leaves.

use super::*;
use crate::sandbox::post::{Family, Kind, Medium};

/// A medium of which nothing but its address is known.
fn medium_at(family: Family, url: &str) -> Medium {
    Medium {
        family,
        url: Some(url.to_owned()),
        alt: None,
        name: None,
        bytes: None,
        sha256: None,
        width: None,
        height: None,
    }
}

fn draft() -> Draft {
    Draft {
        account: "1".to_owned(),
        text: "hi".to_owned(),
        media: vec![medium_at(Family::Image, "https://example.com/a.jpg")],
        ..Draft::default()
    }
}

impl World {
    /// Publishes, and returns the sequence of the post that this one repeats.
    fn add(&mut self, draft: Draft) -> Option<usize> {
        let id = self.mint().to_string();
        self.publish(Platform::Facebook, draft, id, String::new())
            .duplicate_of
    }
}

#[test]
fn a_duplicate_is_what_a_reader_could_not_tell_from_an_earlier_post() {
    let mut world = World::default();
    assert_eq!(world.add(draft()), None);
    assert_eq!(world.add(draft()), Some(1));
    assert_eq!(world.add(draft()), Some(1), "the first, not the last");
    let hashed = |url, sha256: &str| {
        let mut draft = draft();
        draft.media[0] = medium_at(Family::Image, url);
        draft.media[0].sha256 = Some(sha256.to_owned());
        draft
    };
    let text = |text: &str| text.to_owned();
    let others = [
        Draft {
            account: text("2"),
            ..draft()
        },
        Draft {
            kind: Kind::Story,
            ..draft()
        },
        Draft {
            text: text("ho"),
            ..draft()
        },
        Draft {
            link: Some(text("hi")),
            ..draft()
        },
        Draft {
            title: Some(text("hi")),
            ..draft()
        },
        Draft {
            reply_to: Some(text("hi")),
            ..draft()
        },
        Draft {
            media: Vec::new(),
            ..draft()
        },
        hashed("https://example.com/a.jpg", "aa"),
    ];
    for (index, other) in others.into_iter().enumerate() {
        assert_eq!(world.add(other), None, "{index}");
    }
    let moved = hashed("https://example.com/b.jpg", "aa");
    assert_eq!(
        world.add(moved),
        Some(11),
        "the same bytes at another address"
    );
    let mut described = draft();
    described.details.insert(text("privacy"), json!("public"));
    described.media[0].alt = Some(text("A"));
    assert_eq!(world.add(described), Some(1), "details do not count");
}

#[test]
fn a_comment_is_under_its_post_and_counted() {
    let mut world = World::default();
    world.publish(Platform::Slack, draft(), "1.5".to_owned(), String::new());
    let first = world.comment(Platform::Slack, "1.5", "first").unwrap();
    let second = world.comment(Platform::Slack, "1.5", "first").unwrap();
    assert_ne!(first, second);
    assert_eq!(world.comment(Platform::Slack, "1.6", "lost"), None);
    assert_eq!(world.comment(Platform::Facebook, "1.5", "lost"), None);
    let stats = world.stats();
    assert_eq!(
        (&stats["comments"], &stats["duplicate_comments"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(stats["platforms"]["slack"]["duplicate_comments"], 1);
    let listing = serde_json::to_value(world.listing()).unwrap();
    assert_eq!(listing[0]["comments"][1]["id"], second);
    assert_eq!(listing[0]["comments"][0]["text"], "first");
    assert!(
        listing[0]["comments"][0]["at"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
}

#[test]
fn the_tag_changes_with_what_is_shown_and_never_comes_back() {
    let mut world = World::default();
    let mut tags = vec![world.tag()];
    world.publish(Platform::Slack, draft(), "1.5".to_owned(), String::new());
    tags.push(world.tag());
    world.comment(Platform::Slack, "1.5", "first");
    tags.push(world.tag());
    assert!(world.detail(Platform::Slack, "1.5", "pinned", true));
    tags.push(world.tag());
    let jpeg = crate::sandbox::samples::find("1080x1080.jpg").unwrap();
    world.keep(jpeg.received());
    tags.push(world.tag());
    world.reset();
    tags.push(world.tag());
    for (index, tag) in tags.iter().enumerate() {
        assert!(!tags[..index].contains(tag), "{tags:?}");
    }
    let last = world.tag();
    world.keep(&Received::whole(b"no image"));
    world.stats();
    assert!(!world.detail(Platform::Slack, "1.5", "pinned", true));
    assert_eq!(world.comment(Platform::Slack, "1.5", "lost"), None);
    assert_eq!(world.tag(), last, "nothing shown has changed");
}

#[test]
fn processing_is_the_settings_unless_a_fault_says_more() {
    let mut world = World {
        processing: Duration::from_secs(2),
        ..World::default()
    };
    world.set_faults(vec!["linkedin:processing:9s:50%".parse().unwrap()]);
    let seconds = |world: &mut World, platform| world.processing(platform).as_secs();
    assert_eq!(seconds(&mut world, Platform::Facebook), 2);
    assert_eq!(seconds(&mut world, Platform::Linkedin), 2);
    assert_eq!(seconds(&mut world, Platform::Linkedin), 9);
    world.reset();
    assert_eq!(
        seconds(&mut world, Platform::Linkedin),
        2,
        "settings survive a reset"
    );
}
