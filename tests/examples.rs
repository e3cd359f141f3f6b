//! The files in `examples/`, used as the README says, with the real binary.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use support::world::{Ended, World};

/// Where the sandbox is in the examples.
const SANDBOX: &str = "http://127.0.0.1:8025/";

impl World {
    /// In the directory of the sources, as the README has it.
    fn tell(&self, arguments: &[&str]) -> Ended {
        let mut command = self.publisher(arguments);
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        command.output().unwrap().into()
    }

    /// Adds the account as a person does.
    fn add_account(&self, platform: &str, id: &str, more: &[&str]) {
        use std::io::Write;
        use std::process::Stdio;
        let mut arguments = vec!["accounts", "add", platform, id, "--owner", "demo"];
        arguments.extend(more);
        let mut command = self.publisher(&arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // The sandbox's YouTube tells by its end whose token it is.
        let token = format!("any-token-{id}");
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(token.as_bytes()).unwrap();
        drop(stdin);
        let ended: Ended = child.wait_with_output().unwrap().into();
        ended.exits(0);
    }
}

on_both! {
    /// Every cell of the README's table, from a file to what a reader sees.
    fn every_kind_of_post_reaches_its_platform(world: World) {
        for (platform, id, more) in [
            ("facebook", "1000001", &[][..]),
            ("instagram", "17841400000000001", &[]),
            ("instagram", "17841400000000002", &["--setting", "login=instagram"]),
            ("linkedin", "urn:li:organization:2001", &[]),
            ("linkedin", "urn:li:person:abcDEF123", &[]),
            ("youtube", "UC0000000000000000000001", &[]),
            ("slack", "C00000001", &[]),
        ] {
            world.add_account(platform, id, more);
        }
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/every-kind.csv");
        let text = std::fs::read_to_string(file).unwrap().replace(SANDBOX, &world.sandbox.url);
        let copy = world.path("every-kind.csv");
        std::fs::write(&copy, &text).unwrap();
        let imported = world.tell(&["posts", "import", copy.to_str().unwrap()]).exits(0);
        let rows = csv_rows(&text);
        assert!(imported.stdout.contains(&format!("added {rows} posts")), "{imported:?}");

        let dry = world.tell(&["run", "--dry-run", "--json"]).exits(0).json();
        assert_eq!(dry["publish"].as_array().unwrap().len(), rows, "{dry}");
        let run = world.tell(&["run", "--json"]).exits(0);
        assert_eq!(run.json()["published"], rows, "{run:?}\n{:#?}", world.rows("SELECT error FROM posts WHERE error IS NOT NULL"));
        let warned = world.rows("SELECT CAST(history AS TEXT) FROM posts WHERE CAST(history AS TEXT) LIKE '%warnings%'");
        assert_eq!(warned, Vec::<String>::new());

        let seen = world.get("api/posts");
        let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for post in seen.as_array().unwrap() {
            let platform = post["platform"].as_str().unwrap().to_owned();
            kinds.entry(platform).or_default().push(described(post));
        }
        for kinds in kinds.values_mut() {
            kinds.sort();
        }
        assert_eq!(json!(kinds), json!({
            "facebook": ["post", "post image 1 comment", "post image image image image", "post link", "post video",
                         "reel video 1 comment", "story image", "story video"],
            "instagram": ["post image", "post image 1 comment", "post image image video", "reel video", "reel video",
                          "story image", "story video"],
            "linkedin": ["post", "post document", "post image 1 comment", "post image image", "post link", "post video"],
            "slack": ["post", "post 1 comment", "post document video", "post image image", "reply"],
            "youtube": ["post video 1 comment", "reel video"],
        }), "{seen:#}");
        assert_eq!((world.stat("/duplicates"), world.stat("/duplicate_comments")), (0, 0));
    }

    fn the_other_examples_are_taken(world: World) {
        for account in ["facebook", "instagram", "linkedin", "slack"] {
            let id = match account {
                "facebook" => "1001",
                "instagram" => "17841400000001001",
                "linkedin" => "urn:li:organization:1001",
                _ => "C024BE91L",
            };
            world.add_account(account, id, &[]);
        }
        for name in ["posts.csv", "posts.json"] {
            let file = format!("examples/{name}");
            world.tell(&["posts", "import", "--dry-run", &file]).exits(0);
        }
    }
}

/// Rows of a CSV file, whose cells may have line ends.
fn csv_rows(text: &str) -> usize {
    csv::Reader::from_reader(text.as_bytes()).records().count()
}

/// A post as a reader would sum it up: `reel video 1 comment`.
fn described(post: &Value) -> String {
    let mut words = vec![post["kind"].as_str().unwrap().to_owned()];
    for medium in post["media"].as_array().unwrap() {
        words.push(medium["type"].as_str().unwrap().to_owned());
    }
    if !post["link"].is_null() {
        words.push("link".to_owned());
    }
    match post["comments"].as_array().unwrap().len() {
        0 => {}
        count => words.push(format!("{count} comment")),
    }
    words.join(" ")
}
