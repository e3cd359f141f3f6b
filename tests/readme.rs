//! The README says what the program does.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

#[path = "readme/typed.rs"]
mod typed;

use std::collections::BTreeSet;

use support::database::Raw;
use support::postgres::cluster;
use support::world::{Ended, World, bare_publisher, post};

const README: &str = include_str!("../README.md");

fn help(arguments: &[&str]) -> String {
    let output = bare_publisher(arguments).output().unwrap();
    Ended::from(output).exits(0).stdout
}

/// Every `PUBLISHER_…` and `DATABASE_URL` in a text.
fn variables(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_uppercase() && c != '_');
    words
        // `PUBLISHER_<NAME>_…` are one for each platform.
        .filter(|word| {
            word.starts_with("PUBLISHER_") && *word != "PUBLISHER_" || *word == "DATABASE_URL"
        })
        .collect()
}

/// Without what is told to the tests: they have variables and flags of their own.
fn readme() -> String {
    let lines = README.lines().filter(|line| !line.contains("cargo test"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn its_table_of_variables_is_that_of_the_help() {
    let help = help(&["run", "--help"]) + &help(&["--help"]);
    let readme = readme();
    let mut documented = variables(&readme);
    // For the other commands, and for people who choose colours.
    let elsewhere = ["PUBLISHER_COLOR"];
    documented.extend(elsewhere);
    assert_eq!(documented, variables(&help));
}

#[test]
fn its_flags_exist() {
    let commands = ["run", "sandbox", "migrate", "demo", "stats", "prune"]
        .map(|command| help(&[command, "--help"]));
    let more = [
        ["accounts", "add"],
        ["accounts", "check"],
        ["accounts", "list"],
        ["limits", "set"],
        ["limits", "clear"],
        ["posts", "add"],
        ["posts", "import"],
        ["posts", "list"],
        ["posts", "resolve"],
    ]
    .map(|[command, sub]| help(&[command, sub, "--help"]));
    let all = [commands.concat(), more.concat()].concat();
    let readme = readme();
    let flags = readme.split(|c: char| !c.is_ascii_lowercase() && c != '-');
    for flag in
        flags.filter(|word| word.starts_with("--") && !word.starts_with("---") && *word != "--")
    {
        // cargo's and systemd's own.
        let foreign = ["--release", "--path", "--open", "--example", "--now"].contains(&flag);
        assert!(
            foreign || all.contains(flag),
            "{flag} is in the README and in no --help"
        );
    }
}

#[test]
fn it_names_every_platform_option_and_setting() {
    let tables: BTreeSet<&str> = README.split('`').collect();
    for platform in publisher::platform::all() {
        assert!(README.contains(&format!("\n| {} | ", platform.name())));
        for (name, help) in platform.options().iter().chain(platform.settings()) {
            assert!(tables.contains(name), "{}: {name}", platform.name());
            assert!(!help.is_empty());
        }
    }
}

/// What the platforms take, and who says so: every figure has a name with its unit, a source and a date.
#[test]
fn every_figure_has_its_source() {
    for platform in publisher::platform::all() {
        let mut names = BTreeSet::new();
        for figure in platform.figures() {
            let name = figure.name;
            assert!(
                names.insert(name),
                "{}: {name} is there twice",
                platform.name()
            );
            assert!(figure.value >= 0.0 && !figure.source.is_empty(), "{name}");
            let (year, month) = figure.as_of.split_once('-').unwrap();
            let is_date = (2015..2100).contains(&year.parse::<u32>().unwrap())
                && (1..=12).contains(&month.parse::<u32>().unwrap());
            assert!(is_date, "{name}: {}", figure.as_of);
        }
        for quota in platform.quotas() {
            assert!(names.contains(quota.figure), "{}", quota.figure);
        }
    }
}

#[test]
fn its_exit_codes_are_those_of_the_program() {
    use publisher::exit::Exit;
    let all = [
        Exit::Ok,
        Exit::Attention,
        Exit::Usage,
        Exit::Bug,
        Exit::Unrecorded,
        Exit::Unavailable,
        Exit::Configuration,
    ];
    for exit in all {
        let row = format!("\n| {} | ", exit as u8);
        assert!(README.contains(&row), "no row for {}", exit as u8);
    }
    assert!(README.contains("\n| 130, 143 | "));
}

/// A database with the schema of the version before, as it was released.
fn of_the_first_version() -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let url = cluster().database().await;
        Raw::connect(&url).await.make_version(1).await;
        url
    })
}

/// What an application's role may not do, and what is said against it.
const ATTACKS: &[(&str, &str)] = &[
    (
        "SELECT checkpoint FROM publisher.posts",
        "permission denied",
    ),
    (
        "SELECT claim, history FROM publisher.posts",
        "permission denied",
    ),
    (
        "SELECT credentials FROM publisher.accounts",
        "permission denied",
    ),
    ("SELECT * FROM publisher.runs", "permission denied"),
    (
        "INSERT INTO publisher.posts (account_id, body, scheduled_at, status, published_at) \
          VALUES (1, 'x', now(), 'published', 'infinity')",
        "permission denied",
    ),
    (
        "INSERT INTO publisher.posts (account_id, body, scheduled_at, checkpoint) VALUES (1, 'x', now(), '{}')",
        "permission denied",
    ),
    (
        "INSERT INTO publisher.posts (account_id, body, scheduled_at, attempts) VALUES (1, 'x', now(), 1)",
        "permission denied",
    ),
    (
        "INSERT INTO publisher.posts (account_id, body, scheduled_at) VALUES (STRANGER, 'x', now())",
        "row-level security",
    ),
    (
        "UPDATE publisher.posts SET status = 'unconfirmed' WHERE id = 4",
        "row-level security",
    ),
    (
        "UPDATE publisher.posts SET status = 'published' WHERE id = 4",
        "row-level security",
    ),
    (
        "UPDATE publisher.posts SET due_at = now() WHERE id = 4",
        "permission denied",
    ),
    (
        "UPDATE publisher.posts SET account_id = 2 WHERE id = 4",
        "permission denied",
    ),
    ("DELETE FROM publisher.posts", "permission denied"),
    ("LOCK TABLE publisher.posts", "permission denied"),
    (
        "LOCK TABLE publisher.posts IN ROW EXCLUSIVE MODE",
        "permission denied",
    ),
    (
        "SELECT publisher.claim_due('{}', 'SELECT 1')",
        "permission denied",
    ),
    (
        "INSERT INTO publisher.limits (scope, \"window\", max) VALUES ('owner:acme', 'day', 0)",
        "permission denied",
    ),
];

/// What an application does, word for word, with the privileges that the README gives it.
#[test]
fn its_sql_works() {
    let world = World::at(of_the_first_version());
    for n in 1..=7 {
        world.account("slack", n, "acme");
    }
    let block = |needle: &str| {
        let blocks = README
            .split("```sql\n")
            .skip(1)
            .map(|rest| rest.split("```").next().unwrap());
        let found: Vec<&str> = blocks.filter(|block| block.contains(needle)).collect();
        assert_eq!(found.len(), 1, "{needle}");
        found[0].to_owned()
    };
    // Roles belong to the whole cluster, and other tests share it.
    let role = format!("app_{}", std::process::id());
    let grants = block("GRANT USAGE ON SCHEMA publisher TO app")
        .replace(" app;", &format!(" {role};"))
        .replace(" TO app ", &format!(" TO {role} "))
        .replace(" TO app\n", &format!(" TO {role}\n"));
    world.execute(&format!("CREATE ROLE {role}; {grants}"));
    world.due(
        (0..12).map(|n| post(1, &format!("post {n}")).with("scheduled_at", "2030-01-01T00:00:00Z")),
    );
    world.execute(&format!(
        "SET ROLE {role}; {}",
        block("INSERT INTO publisher.posts")
    ));
    assert_eq!(world.statuses(), "canceled 1, pending 13");
    let instant = "SELECT to_char(scheduled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') FROM posts WHERE external_ref = 'cms-4711'";
    assert_eq!(world.value(instant), "2030-03-31 07:00");

    // And that is all that it may do.
    let stranger = world.account("slack", 90, "somebody else");
    world.due([post(stranger, "theirs").with("scheduled_at", "2030-01-01T00:00:00Z")]);
    world.execute("UPDATE posts SET status = 'failed' WHERE id = 3");
    for (attack, why) in ATTACKS {
        let attack = attack.replace("STRANGER", &stranger.to_string());
        let error = world
            .try_execute(&format!("SET ROLE {role}; {attack}"))
            .unwrap_err();
        assert!(error.contains(why), "{attack}: {error}");
    }
    // What it may not see it changes nothing of.
    world.execute(&format!(
        "SET ROLE {role}; UPDATE publisher.posts SET body = 'mine'"
    ));
    assert_eq!(
        world.value("SELECT body FROM posts WHERE body = 'theirs'"),
        "theirs"
    );
    assert_eq!(world.value("SELECT body FROM posts WHERE id = 3"), "post 2");
}
