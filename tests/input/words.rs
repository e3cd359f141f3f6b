//! What becomes of hashtags, names, addresses, signs, emoji, other directions and lines: on the wire to each platform,
//! and to who reads it there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use publisher::platform;
use serde_json::{Value, json};

use crate::support::hostile::{Hostile, Request};
use crate::support::world::{World, post};

/// What is written as it is everywhere but where the next columns say otherwise.
struct Case {
    body: &'static str,
    linkedin: &'static str,
    slack: &'static str,
    /// What a LinkedIn reader sees, where that differs.
    seen: &'static str,
}

const CASES: &[Case] = &[
    Case {
        body: "a hashtag #jobs, #Ümläute and #日本 and C# and #1",
        linkedin: r"a hashtag {hashtag|\#|jobs}, {hashtag|\#|Ümläute} and {hashtag|\#|日本} and C\# and \#1",
        slack: "a hashtag #jobs, #Ümläute and #日本 and C# and #1",
        seen: "",
    },
    Case {
        body: "a name @ada a@b.c @[Dev Co](urn:li:organization:123)",
        linkedin: r"a name \@ada a\@b.c @[Dev Co](urn:li:organization:123)",
        slack: "a name @ada a@b.c @[Dev Co](urn:li:organization:123)",
        seen: "a name @ada a@b.c Dev Co",
    },
    Case {
        body: "an address https://a.b/c_d?x=1&y=%20(2)#part.",
        linkedin: r"an address https://a.b/c\_d?x=1&y=%20\(2\)\#part.",
        slack: "an address https://a.b/c_d?x=1&amp;y=%20(2)#part.",
        seen: "",
    },
    Case {
        body: "markup *bold* _it_ ~no~ `code` [a](b) {c} | \\ & &amp; %41 + \"q\" 'q'",
        linkedin: r#"markup \*bold\* \_it\_ \~no\~ `code` \[a\]\(b\) \{c\} \| \\ & &amp; %41 + "q" 'q'"#,
        slack: "markup *bold* _it_ ~no~ `code` [a](b) {c} | \\ &amp; &amp;amp; %41 + \"q\" 'q'",
        seen: "",
    },
    Case {
        body: "signs <!channel> <b>a</b> 1 < 2 > 0",
        linkedin: r"signs \<!channel\> \<b\>a\</b\> 1 \< 2 \> 0",
        slack: "signs &lt;!channel&gt; &lt;b&gt;a&lt;/b&gt; 1 &lt; 2 &gt; 0",
        seen: "",
    },
    Case {
        body: "emoji 🙂 👩‍👩‍👧 ❤️ 🇩🇪 and cafe\u{301}",
        linkedin: "emoji 🙂 👩‍👩‍👧 ❤️ 🇩🇪 and cafe\u{301}",
        slack: "emoji 🙂 👩‍👩‍👧 ❤️ 🇩🇪 and cafe\u{301}",
        seen: "",
    },
    Case {
        body: "right to left שלום and \u{202e}forced\u{202c} and \u{2067}isolated\u{2069}",
        linkedin: "right to left שלום and \u{202e}forced\u{202c} and \u{2067}isolated\u{2069}",
        slack: "right to left שלום and \u{202e}forced\u{202c} and \u{2067}isolated\u{2069}",
        seen: "",
    },
    Case {
        body: "lines\nof\n\nthree\tand a tab",
        linkedin: "lines\nof\n\nthree\tand a tab",
        slack: "lines\nof\n\nthree\tand a tab",
        seen: "",
    },
];

impl Case {
    fn sent(&self, platform: &str) -> &'static str {
        match platform {
            "linkedin" => self.linkedin,
            "slack" => self.slack,
            _ => self.body,
        }
    }

    fn seen(&self, platform: &str) -> &'static str {
        if platform == "linkedin" && !self.seen.is_empty() {
            self.seen
        } else {
            self.body
        }
    }
}

/// The platform and the text of a request that has one.
fn text_of(request: &Request) -> Option<(&'static str, String)> {
    let json = |place: &str| {
        let body: Value = serde_json::from_slice(&request.body).ok()?;
        Some(body.pointer(place)?.as_str()?.to_owned())
    };
    let line = request.line();
    for (platform, part, text) in [
        ("facebook", "/feed", json("/message")),
        ("instagram", "/media ", json("/caption")),
        ("linkedin", "/rest/posts ", json("/commentary")),
        ("youtube", "/videos?", json("/snippet/description")),
        ("slack", "/chat.postMessage", json("/text")),
    ] {
        if line.starts_with(&format!("POST /{platform}")) && line.contains(part) {
            return Some((platform, text?));
        }
    }
    None
}

#[test]
fn every_sign_reaches_every_platform_as_it_was_meant() {
    let world = World::sqlite();
    std::fs::write(world.path("clip.mp4"), vec![7_u8; 70_000]).unwrap();
    let texts: Arc<Mutex<BTreeMap<String, Vec<String>>>> = Arc::default();
    let heard = Arc::clone(&texts);
    let front = Hostile::before(&world.sandbox.url, move |request| {
        if let Some((platform, text)) = text_of(request) {
            heard
                .lock()
                .unwrap()
                .entry(platform.to_owned())
                .or_default()
                .push(text);
        }
        None
    });
    let cases = |platform: &str| {
        // YouTube takes no angle brackets, which is said before anything is sent.
        let refused = platform == "youtube";
        CASES
            .iter()
            .filter(move |case| !refused || !case.body.contains('<'))
    };
    for platform in platform::names() {
        let account = world.account(platform, 1, "alder");
        let content = |case: &Case| {
            let post = post(account, case.body);
            match platform {
                "instagram" => post.with(
                    "media",
                    json!([{"url": world.sandbox.sample("1080x1080.jpg")}]),
                ),
                "youtube" => post
                    .with("media", json!([{"path": world.path("clip.mp4")}]))
                    .with("options", json!({"title": "A title"})),
                _ => post,
            }
        };
        world.due(cases(platform).map(content));
    }
    let mut run = world.publisher(&["run"]);
    run.env("PUBLISHER_SANDBOX", format!("{}/", front.url));
    let ended: super::Ended = run.output().unwrap().into();
    ended.exits(0);

    let texts = texts.lock().unwrap();
    for platform in platform::names() {
        let sent: Vec<&str> = cases(platform).map(|case| case.sent(platform)).collect();
        assert_eq!(texts[platform], sent, "{platform}");
        let posts = world.get("api/posts");
        let posts = posts.as_array().unwrap().iter();
        let mut seen: Vec<&str> = posts
            .filter(|post| post["platform"] == platform)
            .map(|post| post["text"].as_str().unwrap())
            .collect();
        let mut expected: Vec<&str> = cases(platform).map(|case| case.seen(platform)).collect();
        seen.sort_unstable();
        expected.sort_unstable();
        assert_eq!(seen, expected, "{platform}");
    }
    let account = world.value("SELECT CAST(id AS TEXT) FROM accounts WHERE platform = 'youtube'");
    let clip = world.path("clip.mp4");
    let angle = world.tell(&[
        "posts",
        "add",
        "--account",
        &account,
        "--body",
        "1 < 2",
        "--option",
        "title=A",
        "--media",
        clip.to_str().unwrap(),
    ]);
    super::refused(angle, 1, &["<"]);
}
