//! What bad input gets: a clear message on stderr, the right exit code, and nothing half-written. Also the commands
//! that get accounts and posts in, by the real binary on both databases.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

#[path = "input/duplicates.rs"]
mod duplicates;
#[path = "input/media.rs"]
mod media;
#[path = "input/shown.rs"]
mod shown;
#[path = "input/spreadsheets.rs"]
mod spreadsheets;
#[path = "input/strangers.rs"]
mod strangers;
#[path = "input/urls.rs"]
mod urls;
#[path = "input/words.rs"]
mod words;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::world::{Ended, World, bare_publisher, post};

fn fed(mut command: Command, input: &[u8]) -> Ended {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its flags does not read its input.
    child.stdin.take().unwrap().write_all(input).ok();
    child.wait_with_output().unwrap().into()
}

impl World {
    fn tell(&self, arguments: &[&str]) -> Ended {
        fed(self.publisher(arguments), b"")
    }

    /// Writes a file and imports it.
    fn import(&self, name: &str, content: impl AsRef<[u8]>) -> Ended {
        std::fs::write(self.path(name), content).unwrap();
        self.tell(&["posts", "import", name])
    }

    fn posts(&self) -> i64 {
        self.value("SELECT count(*) || '' FROM posts")
            .parse()
            .unwrap()
    }
}

/// One refused command: the code, and what its message must say.
#[track_caller]
fn refused(ended: Ended, code: i32, parts: &[&str]) {
    let ended = ended.exits(code);
    for part in parts {
        assert!(
            ended.stderr.contains(part),
            "no {part:?} in {}",
            ended.stderr
        );
    }
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
}

on_both! {
    fn an_account_and_a_post_go_in_and_out(world: World) {
        let add = world.publisher(&["accounts", "add", "slack", "C024BE91L", "--owner", "acme", "--name", "News"]);
        fed(add, b"xoxb-the-secret\n").exits(0);
        let list = world.tell(&["accounts", "list", "--json"]).exits(0).json();
        assert_eq!((&list[0]["owner"], &list[0]["has_credentials"]), (&json!("acme"), &json!(true)));
        let everything = world.dump();
        assert!(!everything.contains("xoxb-the-secret"), "the token is in the database unsealed");

        world.tell(&["posts", "add", "--account", "slack:C024BE91L", "--body", "Hello"]).exits(0);
        world.tell(&["posts", "add", "--account", "1", "--body", "Later", "--at", "2030-03-01T09:00:00+01:00"]).exits(0);
        assert_eq!(world.run(&["--json"]).exits(0).json()["published"], 1);
        let shown = world.tell(&["posts", "show", "1", "--json"]).exits(0).json();
        assert_eq!((&shown["status"], &shown["body"]), (&json!("published"), &json!("Hello")));
        let listed = world.tell(&["posts", "list", "--status", "pending"]).exits(0).stdout;
        let (header, listed) = listed.split_once('\n').unwrap();
        assert_eq!(header, "id\taccount\tscheduled\tstatus\ttries\ttext");
        assert_eq!(listed, "2\tslack:C024BE91L\t2030-03-01 08:00Z\tpending\t0/5\tLater\n");
        assert_eq!(world.get("api/posts")[0]["text"], "Hello");
    }

    fn a_person_decides_about_posts(world: World) {
        let account = world.account("slack", 1, "alder");
        let ids = world.due([post(account, "[[reject]]"), post(account, "later").with("scheduled_at", "2030-01-01T00:00:00Z")]);
        let (rejected, later) = (ids[0].to_string(), ids[1].to_string());
        world.run(&[]).exits(1);
        refused(world.tell(&["posts", "cancel", &rejected]), 1, &["is failed", "pending"]);
        world.tell(&["posts", "cancel", &later]).exits(0);
        world.tell(&["posts", "retry", &rejected]).exits(0);
        assert_eq!(world.statuses(), "canceled 1, pending 1");
        world.run(&[]).exits(1);

        world.faults(&["slack:500-after-accept", "slack/status:rejected"]);
        let unsure = world.due([post(account, "unsure"), post(world.account("slack", 2, "birch"), "unsure too")]);
        world.run(&[]).exits(1);
        world.faults(&[]);
        refused(world.tell(&["posts", "resolve", &unsure[0].to_string()]), 2, &["--published"]);
        world.tell(&["posts", "resolve", &unsure[0].to_string(), "--published", "https://example.com/p/1"]).exits(0);
        world.tell(&["posts", "resolve", &unsure[1].to_string(), "--not-published"]).exits(0);
        assert_eq!(world.value("SELECT permalink FROM posts WHERE body = 'unsure'"), "https://example.com/p/1");
        assert_eq!(world.run(&["--json"]).exits(0).json()["published"], 1);
        refused(world.tell(&["posts", "resolve", "999", "--not-published"]), 1, &["no post 999"]);
        assert_eq!(world.statuses(), "canceled 1, failed 1, published 2");
    }

    fn a_good_file_goes_in_once(world: World) {
        world.account("slack", 1, "alder");
        let csv = "account,body,local_time,timezone,external_ref\n\
                   slack:C00000001,\"Hello, \"\"world\"\"\nsecond line\",2030-03-31 02:30,Europe/Berlin,a-1\n\
                   slack:C00000001,Grüße,2030-07-01 09:00,America/New_York,a-2\n";
        // Spreadsheets put a byte order mark in front of UTF-8.
        let ended = world.import("posts.csv", format!("\u{feff}{csv}")).exits(0);
        assert!(ended.stdout.contains("added 2 posts"), "{ended:?}");
        assert!(ended.stderr.contains("does not exist in Europe/Berlin"), "{ended:?}");
        let bodies = world.rows("SELECT body FROM posts ORDER BY id");
        assert_eq!(bodies, ["Hello, \"world\"\nsecond line", "Grüße"]);
        let again = world.import("posts.csv", csv).exits(0);
        assert!(again.stdout.contains("skipped 2"), "{again:?}");
        let json = r#"{"account": "slack:C00000001", "body": "Line", "scheduled_at": "2030-01-01T00:00:00Z"}"#;
        world.import("one.jsonl", format!("{json}\n{json}\n")).exits(0);
        world.import("two.json", format!("[{json}]")).exits(0);
        assert_eq!(world.posts(), 5);
    }

    fn a_bad_file_leaves_nothing_behind(world: World) {
        world.account("slack", 1, "alder");
        let head = "account,body,scheduled_at\nslack:C00000001,fine,2030-01-01T00:00:00Z\n";
        let long = "x".repeat(40_001);
        let cases: &[(&str, Vec<u8>, &[&str])] = &[
            ("column.csv", b"account,bodi,scheduled_at\n".to_vec(), &["column.csv:1:", "bodi", "body"]),
            ("quote.csv", format!("{head}slack:C00000001,\"open,2030-01-01T00:00:00Z\n").into(), &["quote.csv:3:", "quot"]),
            ("latin1.csv", [head.as_bytes(), b"slack:C00000001,Gr\xfc\xdfe,2030-01-01T00:00:00Z\n"].concat(),
                &["latin1.csv:3:", "UTF-8"]),
            ("utf16.csv", b"\xff\xfea\0c\0\0".to_vec(), &["utf16.csv", "UTF-16"]),
            ("short.csv", format!("{head}slack:C00000001,one\n").into(), &["short.csv:3:"]),
            ("date.csv", format!("{head}slack:C00000001,x,2030-02-30T00:00:00Z\n").into(), &["date.csv:3:", "2030-02-30"]),
            ("zone.csv", "account,body,local_time,timezone\nslack:C00000001,x,2030-01-01 09:00,Europe/Berln\n".into(),
                &["zone.csv:2:", "Europe/Berlin"]),
            ("account.csv", format!("{head}slack:C99999999,x,2030-01-01T00:00:00Z\n").into(), &["account.csv:3:", "no account"]),
            ("platform.csv", format!("{head}myspace:tom,x,2030-01-01T00:00:00Z\n").into(), &["platform.csv:3:", "myspace"]),
            ("long.csv", format!("{head}slack:C00000001,{long},2030-01-01T00:00:00Z\n").into(), &["long.csv:3:", "40001", "40000"]),
            ("syntax.json", b"[{\"account\": \"slack:C00000001\",]".to_vec(), &["syntax.json:1:"]),
            ("lines.jsonl", b"{}\n{\"account\": }\n".to_vec(), &["lines.jsonl:2:"]),
        ];
        for (name, content, parts) in cases {
            refused(world.import(name, content), 1, parts);
        }
        assert_eq!(world.posts(), 0);
        refused(world.tell(&["posts", "import", "missing.csv"]), 1, &["missing.csv"]);
    }

    fn every_error_of_a_file_is_told_at_once(world: World) {
        world.account("slack", 1, "alder");
        let csv = "account,body,scheduled_at\nslack:C00000001,,never\nslack:C2,x,2030-01-01T00:00:00Z\n";
        let ended = world.import("posts.csv", csv).exits(1);
        for place in ["posts.csv:2:", "posts.csv:3:"] {
            assert!(ended.stderr.contains(place), "{ended:?}");
        }
        assert!(ended.stderr.lines().count() >= 4, "{ended:?}");
    }

    fn a_hundred_thousand_rows_go_in(world: World) {
        world.account("slack", 1, "alder");
        let row = |n: u32| format!("slack:C00000001,post {n},2030-01-01T00:00:00Z,ref-{n}\n");
        let rows = (0..100_000).map(row).collect::<Vec<_>>().concat();
        let ended = world.import("many.csv", format!("account,body,scheduled_at,external_ref\n{rows}")).exits(0);
        assert!(ended.stdout.contains("added 100000 posts"), "{ended:?}");
        assert_eq!(world.posts(), 100_000);
        // One bad row at the end, and nothing goes in.
        let bad = rows.replace("ref-", "other-") + "slack:C00000001,x,tomorrow,last\n";
        refused(
            world.import("many.csv", format!("account,body,scheduled_at,external_ref\n{bad}")),
            1,
            &["many.csv:100002:", "tomorrow"],
        );
        assert_eq!(world.posts(), 100_000);
    }

    fn bad_posts_and_accounts_are_refused(world: World) {
        world.account("slack", 1, "alder");
        world.account("youtube", 1, "alder");
        world.account("instagram", 1, "alder");
        let add = |more: &[&str]| {
            let mut arguments = vec!["posts", "add", "--account"];
            arguments.extend(more);
            world.tell(&arguments)
        };
        let slack = "slack:C00000001";
        let tube = "youtube:UC0000000000000000000001";
        std::fs::create_dir(world.path("a-directory.mp4")).unwrap();
        refused(add(&[slack, "--body", &"x".repeat(40_001)]), 1, &["40001", "40000"]);
        refused(add(&[slack]), 1, &["body"]);
        refused(add(&["slack:C9", "--body", "x"]), 1, &["no account", "slack:C9"]);
        refused(add(&[tube, "--body", "x", "--media", "gone.mp4"]), 1, &["gone.mp4"]);
        refused(add(&[tube, "--body", "x", "--media", "a-directory.mp4"]), 1, &["a-directory.mp4", "directory"]);
        // Where a sandbox stands in for the platforms, its own addresses will do; else a private one will not.
        let private = ["posts", "add", "--account", "instagram:17841400000000001", "--body", "x", "--media", "http://127.0.0.1/a.jpg"];
        let mut command = world.publisher(&private);
        refused(command.env_remove("PUBLISHER_SANDBOX").output().unwrap().into(), 1, &["127.0.0.1"]);
        refused(add(&[slack, "--body", "x", "--at", "2030-02-30T00:00:00Z"]), 2, &["2030-02-30"]);
        refused(add(&[slack, "--body", "x", "--local", "2030-01-01 09:00", "--zone", "Mars/Base"]), 2, &["Mars/Base"]);
        refused(add(&[slack, "--body", "x", "--kind", "poem"]), 2, &["poem", "story"]);
        assert_eq!(world.posts(), 0);

        let account = |more: &[&str], token: &[u8]| {
            let mut arguments = vec!["accounts", "add"];
            arguments.extend(more);
            fed(world.publisher(&arguments), token)
        };
        refused(account(&["myspace", "tom", "--owner", "o"], b"t"), 2, &["myspace", "slack"]);
        refused(account(&["slack", "general", "--owner", "o"], b"t"), 2, &["general", "channel id"]);
        refused(account(&["slack", "C0002", "--owner", "o"], b""), 1, &["token"]);
        refused(account(&["slack", "C0002", "--owner", "o"], b"two words"), 1, &["token"]);
        refused(account(&["slack", "C0002", "--owner", "o", "--timezone", "Europe/Berln"], b"t"), 2, &["Europe/Berlin"]);
        let token_as_argument = account(&["slack", "C0002", "t", "--owner", "o"], b"");
        refused(token_as_argument, 2, &["unexpected argument"]);
        assert_eq!(world.value("SELECT count(*) || '' FROM accounts"), "3");
    }

    fn a_row_that_an_application_wrote_wrongly_fails_alone(world: World) {
        let account = world.account("slack", 1, "alder");
        world.due([
            post(account, "media").with("media", json!([{"nonsense": 1}])),
            post(account, &"x".repeat(40_001)),
            post(account, "fine"),
        ]);
        let ended = world.run(&[]).exits(1);
        assert_eq!(ended.stderr.lines().count(), 2, "{ended:?}");
        assert!(ended.stderr.contains("40001") && ended.stderr.contains("nonsense"), "{ended:?}");
        assert_eq!(world.statuses(), "failed 2, published 1");
    }

    fn a_row_that_can_not_be_read_fails_alone(world: World) {
        let account = world.account("slack", 1, "alder");
        let ids = world.due([post(account, "deep"), post(account, "fine"), post(account, "in doubt")]);
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        world.execute(&format!("UPDATE posts SET media = '{deep}' WHERE body <> 'fine'"));
        world.execute("UPDATE posts SET status = 'unconfirmed', attempts = 1 WHERE body = 'in doubt'");
        let shown = world.run(&["--dry-run"]).exits(1);
        assert!(shown.stdout.contains("can't be read"), "{shown:?}");
        let ended = world.run(&[]).exits(1);
        assert!(ended.stderr.contains(&format!("post {} (slack:C00000001) failed: the row can't be read", ids[0])), "{ended:?}");
        // What may be live is never called failed.
        assert_eq!(world.statuses(), "failed 1, published 1, unconfirmed 1");
    }

    fn a_newer_schema_is_left_alone(world: World) {
        world.due([post(world.account("slack", 1, "alder"), "hi")]);
        let newer = if world.is_postgres() {
            "INSERT INTO migrations (version, name) VALUES (9, '0009_future')"
        } else {
            "PRAGMA user_version = 9"
        };
        world.execute(newer);
        for arguments in [&["run"] as &[&str], &["run", "--dry-run"], &["posts", "list"], &["migrate"], &["migrate", "--check"]] {
            refused(world.tell(arguments), 78, &["version 9", "newer publisher"]);
        }
        assert_eq!((world.statuses().as_str(), world.stat("/requests")), ("pending 1", 0));
    }

    fn bad_flags_and_files_are_refused_before_anything_happens(world: World) {
        world.due([post(world.account("slack", 1, "alder"), "hi")]);
        for (arguments, parts) in [
            (["--cap", "slack=-1"], ["slack=-1", "whole number"]),
            (["--cap", "slack=0"], ["slack=0", "whole number"]),
            (["--cap", "myspace=1"], ["myspace", "facebook"]),
            (["--platform", "myspace"], ["myspace", "facebook"]),
            (["--limit", "0"], ["--limit", "1..=1000000"]),
            (["--expiry", "8d"], ["expiry", "7d"]),
            (["--expiry", "soon"], ["soon", "24h"]),
            (["--time-budget", "-5m"], ["-5", "unexpected argument"]),
            (["--pace", "warp"], ["warp", "gentle"]),
            (["--fail-on", "luck"], ["luck", "unconfirmed"]),
            (["--now", "2030-01-01T00:00:00Z"], ["--dry-run", "required"]),
        ] {
            refused(world.run(&arguments), 2, &parts);
        }
        for (content, parts) in [
            ("[platforms.slack]\ncap = -1\n", ["publisher.toml", "cap"]),
            ("[platforms.myspace]\ncap = 1\n", ["publisher.toml", "myspace"]),
            ("time_bugdet = \"5m\"\n", ["publisher.toml", "time_bugdet"]),
            ("expiry = 24\n", ["publisher.toml", "expiry"]),
            ("pace = [", ["publisher.toml", "line 1"]),
        ] {
            std::fs::write(world.path("publisher.toml"), content).unwrap();
            refused(world.run(&[]), 78, &parts);
        }
        std::fs::remove_file(world.path("publisher.toml")).unwrap();
        refused(world.run(&["--config", "gone.toml"]), 78, &["gone.toml"]);
        assert_eq!((world.statuses().as_str(), world.stat("/requests")), ("pending 1", 0));
    }

    fn the_file_and_the_flags_agree_on_who_wins(world: World) {
        std::fs::write(world.path("publisher.toml"), "limit = 2\n[platforms.slack]\ncap = 1\n").unwrap();
        let accounts: Vec<i64> = (0..6).map(|n| world.account("slack", n, "alder")).collect();
        world.due(accounts.iter().map(|account| post(*account, "hi")));
        let summary = world.run(&["--json"]).exits(0).json();
        assert_eq!((&summary["due"], &summary["platforms"]["slack"]["cap"]), (&json!(2), &json!(1)));
        let mut command = world.publisher(&["run", "--json", "--cap", "slack=5"]);
        command.env("PUBLISHER_LIMIT", "3");
        let summary = Ended::from(command.output().unwrap()).exits(0).json();
        assert_eq!((&summary["due"], &summary["platforms"]["slack"]["cap"]), (&json!(3), &json!(5)));
    }
}

/// A run with that `DATABASE_URL`.
fn run_on(url: &str) -> Ended {
    let mut command = bare_publisher(&["run"]);
    command
        .env("DATABASE_URL", url)
        .env("PUBLISHER_STATE_DIR", "/nonexistent");
    command.output().unwrap().into()
}

#[test]
fn a_database_url_that_leads_nowhere() {
    let secret = "s3cr3t";
    for (url, code, parts) in [
        (
            format!("mysql://u:{secret}@localhost/x"),
            78,
            ["mysql", "postgres://"],
        ),
        (
            format!("just-a-word-{secret}"),
            78,
            ["scheme", "sqlite:PATH"],
        ),
        ("sqlite:".to_owned(), 78, ["file", "sqlite:PATH"]),
        (
            format!("postgres://u:{secret}@127.0.0.1:1/x"),
            75,
            ["postgres://127.0.0.1:1/x", "can't be reached"],
        ),
        (
            format!("postgres://u:{secret}@host:port/x"),
            78,
            ["PostgreSQL URL", "postgres://USER"],
        ),
        (
            "sqlite:/nonexistent/publisher.db".to_owned(),
            78,
            ["/nonexistent/publisher.db", "publisher migrate"],
        ),
    ] {
        let ended = run_on(&url);
        assert!(!ended.stderr.contains(secret), "{ended:?}");
        refused(ended, code, &parts);
    }
}

#[test]
fn a_file_that_is_not_a_database_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    let text = "These are my notes, and they are longer than the header of a database would be.\n"
        .repeat(20);
    std::fs::write(&path, &text).unwrap();
    refused(
        run_on(&format!("sqlite:{}", path.display())),
        78,
        &["notes.txt", "database"],
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn another_programs_database_is_left_as_it_is() {
    let world = World::sqlite();
    let other = world.path("other.db");
    std::fs::copy(world.path("publisher.db"), &other).unwrap();
    let mut command = world.publisher(&["run"]);
    command.env("DATABASE_URL", format!("sqlite:{}", other.display()));
    Ended::from(command.output().unwrap()).exits(0);
    world.execute("DROP TABLE posts");
    refused(world.run(&[]), 78, &["publisher migrate"]);
}

/// The tests may run as root, whom no permission stops: this one goes on as somebody else.
fn as_nobody(command: &mut Command) -> &mut Command {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if is_root {
        command.uid(65_534).gid(65_534)
    } else {
        command
    }
}

#[test]
fn a_read_only_database_is_left_for_later() {
    let world = World::sqlite();
    world.due([post(world.account("slack", 1, "alder"), "hi")]);
    let mode = |path: &std::path::Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    // Nobody can read the binary where cargo puts it, perhaps; a copy beside the database can be.
    let binary = world.path("publisher");
    std::fs::copy(env!("CARGO_BIN_EXE_publisher"), &binary).unwrap();
    mode(&binary, 0o555);
    mode(&world.path("publisher.db"), 0o444);
    mode(world.dir.path(), 0o555);
    let mut command = Command::new(&binary);
    command
        .arg("run")
        .env_clear()
        .env("DATABASE_URL", &world.database_url)
        .current_dir("/");
    let ended: Ended = as_nobody(&mut command).output().unwrap().into();
    mode(world.dir.path(), 0o755);
    refused(ended, 75, &["publisher.db", "read"]);

    // Also where the file would be made.
    let home = world.path("home");
    std::fs::create_dir(&home).unwrap();
    mode(&home, 0o555);
    let mut command = Command::new(&binary);
    command
        .arg("run")
        .env_clear()
        .env("HOME", &home)
        .current_dir("/");
    let ended: Ended = as_nobody(&mut command).output().unwrap().into();
    refused(ended, 75, &["home/.local/share/publisher", "can't be made"]);
}

#[test]
fn the_examples_are_good() {
    let world = World::sqlite();
    for (platform, id) in [
        ("facebook", "1001"),
        ("slack", "C024BE91L"),
        ("linkedin", "urn:li:organization:1001"),
        ("instagram", "17841400000001001"),
    ] {
        fed(
            world.publisher(&["accounts", "add", platform, id, "--owner", "acme"]),
            b"token",
        )
        .exits(0);
    }
    for file in ["posts.csv", "posts.json"] {
        let path = format!("{}/examples/{file}", env!("CARGO_MANIFEST_DIR"));
        let ended = world
            .tell(&["posts", "import", &path, "--dry-run"])
            .exits(0);
        assert!(ended.stdout.contains("posts"), "{ended:?}");
    }
}

#[test]
fn the_demo_seed_is_what_the_readme_says() {
    let seed: Value = serde_json::from_str(include_str!("../examples/demo.json")).unwrap();
    let owners: std::collections::BTreeSet<_> = seed["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| account["owner"].as_str())
        .collect();
    assert_eq!(
        (seed["posts"].as_array().unwrap().len(), owners.len()),
        (61, 12)
    );
}
