//! What people read: the names of columns, one line for a problem that many accounts share, and nothing that commands
//! the terminal or hides.

use serde_json::json;

use super::{fed, refused};
use crate::on_both;
use crate::support::world::{Ended, World, post};

on_both! {
    fn columns_have_names_in_a_pipe_unless_a_script_wants_none(world: World) {
        world.due([post(world.account("slack", 1, "alder"), "hi").with("scheduled_at", "2030-01-01T00:00:00Z")]);
        world.tell(&["limits", "set", "owner:alder", "5", "--per", "day"]).exits(0);
        for (command, first) in [
            (&["posts", "list"][..], "id\taccount\tscheduled\tstatus\ttries\ttext"),
            (&["posts", "list", "--status", "unconfirmed"], "id\taccount\tscheduled\tunsure since\tnext look\ttries\ttext"),
            (&["accounts", "list"], "id\taccount\tname\towner\tzone\tstatus\ttoken\tpending"),
            (&["accounts", "check"], "id\taccount\towner\ttoken\tends\tremarks"),
            (&["limits", "show"], "scope\tat most\tused\tset by"),
            (&["stats"], "now\tposts\t"),
        ] {
            let with = world.tell(command).exits(0).stdout;
            assert_eq!(with.lines().next(), Some(first), "{command:?}");
            let without = world.tell(&[command, &["--no-header"]].concat()).exits(0).stdout;
            assert!(!without.contains(first), "{command:?}: {without}");
        }
        let without = world.tell(&["posts", "list", "--no-header"]).exits(0).stdout;
        assert_eq!(without.lines().count(), 1, "{without}");
    }

    fn what_waits_is_counted_to_a_hundred_unless_all_of_it_is_asked_for(world: World) {
        let later = |account| post(account, "hi").with("scheduled_at", "2030-01-01T00:00:00Z");
        let [few, many] = [(1, 99), (2, 101)].map(|(number, posts)| {
            let account = world.account("slack", number, "alder");
            world.due((0..posts).map(|_| later(account)));
            account
        });
        let listed = |more: &[&str]| {
            let table = world.tell(&[&["accounts", "list", "--no-header"], more].concat()).exits(0).stdout;
            let last: Vec<String> = table.lines().map(|line| line.split('\t').next_back().unwrap().to_owned()).collect();
            let list = world.tell(&[&["accounts", "list", "--json"], more].concat()).exits(0).json();
            let of = |account: i64| {
                let mut rows = list.as_array().unwrap().iter();
                let row = rows.find(|row| row["id"] == account).unwrap();
                (row["pending"].clone(), row["pending_at_least"].clone())
            };
            (last, of(few), of(many))
        };
        let null = serde_json::Value::Null;
        let (last, few_, many_) = listed(&[]);
        assert_eq!(last, ["99", "100+"]);
        assert_eq!((few_, many_), ((json!(99), null.clone()), (null.clone(), json!(100))));
        let (last, few_, many_) = listed(&["--counts"]);
        assert_eq!(last, ["99", "101"]);
        assert_eq!((few_, many_), ((json!(99), null.clone()), (json!(101), null)));
    }

    fn one_problem_of_many_accounts_is_one_line(world: World) {
        let accounts: Vec<i64> = (0..12).map(|n| world.account("slack", n, "alder")).collect();
        world.due(accounts.iter().map(|account| post(*account, "hi")));
        let mut command = world.publisher(&["run"]);
        command.env_remove("ENCRYPTION_KEY").env("PUBLISHER_STATE_DIR", world.path("elsewhere"));
        let ended = Ended::from(command.output().unwrap()).exits(78);
        let lines: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("publisher: ")).collect();
        let [line] = lines[..] else { panic!("{ended:?}") };
        for part in ["12 accounts (slack:C00000000, ", "there is no key", "ENCRYPTION_KEY"] {
            assert!(line.contains(part), "{line}");
        }
        if !world.is_postgres() {
            let file = world.path("elsewhere/encryption.key");
            assert!(line.contains(file.to_str().unwrap()) && line.contains("--state-dir"), "{line}");
        }
        // The same where their platform refuses their tokens.
        world.faults(&["slack:401"]);
        let ended = world.run(&[]);
        let lines: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("need a login")).collect();
        assert_eq!(lines.len(), 1, "{ended:?}");
        assert!(lines[0].contains("12 accounts (slack:C00000000, "), "{ended:?}");
    }

    fn what_would_command_the_terminal_is_spelled_out(world: World) {
        let evil = "\u{1b}]0;x\u{7} \u{9b}2J \u{202e}gnp\u{202c} \u{2066}a\u{2069}";
        let account = world.account("slack", 1, "alder");
        let ids = world.due([
            post(account, evil),
            post(account, &format!("{evil} [[reject]]")).with("options", json!({"username": evil})),
        ]);
        world.execute(&format!("UPDATE accounts SET display_name = '{evil}', owner = '{evil}'"));
        let (id, rejected) = (ids[0].to_string(), ids[1].to_string());
        std::fs::write(world.path("evil.csv"), format!("account,body,scheduled_at,{evil}\nx\u{1b}[2J,a,b,c\n")).unwrap();
        std::fs::write(world.path("evil.jsonl"), "{\"account\": \"slack:\u{202e}\\u001b[2J\\nb\", \"\u{202e}\": 1}").unwrap();
        let mut said = Vec::new();
        for command in [
            &["run", "--dry-run"][..],
            &["run", "--dry-run", "--json"],
            &["posts", "list"],
            &["posts", "list", "--json"],
            &["posts", "show", &id],
            &["posts", "show", &id, "--json"],
            &["accounts", "list"],
            &["accounts", "list", "--json"],
            &["accounts", "check"],
            &["posts", "import", "evil.csv"],
            &["posts", "import", "evil.jsonl"],
            &["run", "-vv"],
            &["run", "-vv", "--color", "always"],
            &["run", "-vv", "--log-format", "json"],
            &["posts", "show", &rejected],
            &["stats"],
        ] {
            let output = world.publisher(command).output().unwrap();
            let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            // Colours are ours.
            let plain = text.split("\u{1b}[").map(|part| match part.split_once('m') {
                Some((digits, rest)) if digits.bytes().all(|b| b.is_ascii_digit() || b == b';') => rest,
                _ => part,
            });
            let plain: String = if command.contains(&"always") { plain.collect() } else { text.clone() };
            let unseen = |c: char| c.is_control() && !"\n\t".contains(c) || "\u{202a}\u{202e}\u{202c}\u{2066}\u{2069}".contains(c);
            assert!(!plain.contains(unseen), "{command:?}: {text:?}");
            if command.contains(&"--json") {
                assert!(text.contains(r"\u202e") || command[0] == "accounts", "{text}");
            }
            said.push(text);
        }
        assert!(said.iter().filter(|text| text.contains(r"\u{202e}")).count() > 5);
        // What goes out is what was written.
        let sent = world.get("api/posts");
        let sent: Vec<&str> = sent.as_array().unwrap().iter().map(|post| post["text"].as_str().unwrap()).collect();
        assert_eq!(sent, [evil]);
        assert_eq!(world.value(&format!("SELECT body FROM posts WHERE id = {id}")), evil);
    }
}

#[test]
fn a_secret_too_short_to_be_one_is_refused_but_by_a_sandbox() {
    let world = World::sqlite();
    let add = |token: &str, sandbox: bool| {
        let mut command =
            world.publisher(&["accounts", "add", "slack", "C00000001", "--owner", "alder"]);
        if !sandbox {
            command.env_remove("PUBLISHER_SANDBOX");
        }
        fed(command, token.as_bytes())
    };
    refused(
        add("tok", false),
        1,
        &["the token has 3 characters", "--sandbox"],
    );
    let short = r#"{"access_token": "long-enough", "refresh_token": "abc"}"#;
    refused(
        add(short, false),
        1,
        &["the refresh token has 3 characters"],
    );
    assert_eq!(world.value("SELECT count(*) || '' FROM accounts"), "0");
    add("long-enough", false).exits(0);
    add("tok", true).exits(0);
}
