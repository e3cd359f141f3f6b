//! What README and `--help` name, as a reader types it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::{README, help};
use crate::on_both;
use crate::support::world::{Ended, KEY, World, post};

/// A shell in which `publisher` is the binary, with the world's variables.
fn shell(world: &World, script: &str) -> Command {
    let bin = world.path("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let link = bin.join("publisher");
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_publisher"), &link).unwrap();
    }
    let plain = world.publisher(&[]);
    let mut command = Command::new("/bin/bash");
    command
        .args(["-euo", "pipefail", "-c", script])
        .env_clear()
        .envs(
            plain
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The README's blocks for a shell, but for cargo's, with what stands for a reader's own things filled in.
fn blocks(world: &World) -> Vec<String> {
    let blocks = README.split("```sh\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    let fill = |block: &str| {
        let lines = block
            .lines()
            .filter(|line| !line.starts_with("cargo ") && !line.starts_with("publisher sandbox &"));
        let block = lines.collect::<Vec<_>>().join("\n");
        block
            .replace(
                "http://127.0.0.1:8025",
                world.sandbox.url.trim_end_matches('/'),
            )
            .replace("'postgres://…'", &format!("'{}'", world.database_url))
            .replace("ENCRYPTION_KEY='…'", &format!("ENCRYPTION_KEY='{KEY}'"))
            .replace("UC…", "UC0000000000000000000001")
            .replace("\"…\"", "\"a-token-of-mine\"")
    };
    blocks
        .map(fill)
        .filter(|block| !block.trim().is_empty())
        .collect()
}

on_both! {
    fn every_block_of_the_readme_runs(world: World) {
        let blocks = blocks(world);
        assert!(blocks.len() >= 5, "{blocks:#?}");
        for block in &blocks {
            let mut child = shell(world, block).spawn().unwrap();
            // Whoever is asked for a token gives one.
            child.stdin.take().unwrap().write_all(b"any-token\n").ok();
            let ended: Ended = child.wait_with_output().unwrap().into();
            assert_eq!(ended.code, 0, "{block}\n{ended:?}");
        }
        let kinds = README.matches("examples/every-kind.csv").count();
        assert!(kinds > 0 && world.statuses().contains("published"), "{}", world.statuses());
    }
}

/// Every `publisher …` between backticks in the README is a command line that is taken.
#[test]
fn every_command_in_the_readmes_text_is_taken() {
    let world = World::sqlite();
    world.account("slack", 7, "acme");
    world.execute("UPDATE accounts SET id = 7");
    world
        .due((0..3).map(|n| post(7, &format!("{n}")).with("scheduled_at", "2030-01-01T00:00:00Z")));
    let text: String = README.split("```").step_by(2).collect();
    let commands: BTreeSet<&str> = text
        .split('`')
        .filter(|code| code.starts_with("publisher ") && code.split(' ').count() > 1)
        .collect();
    assert!(commands.len() >= 10, "{commands:?}");
    for code in commands {
        let line = code
            .replace(" ID", " 1")
            .replace(" URL", " https://example.com/p/1")
            .replace(" ….", "");
        let mut words: Vec<&str> = line.split(' ').skip(1).collect();
        // The name of a command, without what it works on.
        let is_name = matches!(
            line.as_str(),
            "publisher accounts add" | "publisher demo" | "publisher sandbox"
        );
        words.extend(is_name.then_some("--help"));
        let mut command = world.publisher(&words);
        let ended: Ended = command.stdin(Stdio::null()).output().unwrap().into();
        assert_ne!(ended.code, 2, "`{code}`: {ended:?}");
    }
}

/// The names of the flags that a help text has, without those of every command.
fn flags(help: &str) -> BTreeSet<String> {
    let own = help.split("\nEverywhere:\n").next().unwrap();
    let flag = |line: &str| {
        let line = line.trim_start();
        let word = line.split([' ', ',']).find(|word| word.starts_with("--"))?;
        (line.starts_with('-')).then(|| word.trim_end_matches("...").to_owned())
    };
    let flags = own.lines().filter_map(flag);
    flags
        .filter(|flag| !["--help", "--version"].contains(&flag.as_str()))
        .collect()
}

/// The commands below one, from its help.
fn subcommands(help: &str) -> Vec<String> {
    let list = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    let list = list.lines().take_while(|line| !line.trim().is_empty());
    let names = list.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(ToOwned::to_owned)
        .collect()
}

/// Each command with its flags.
fn commands(path: &[String], found: &mut Vec<(String, BTreeSet<String>)>) {
    let mut words: Vec<&str> = path.iter().map(String::as_str).collect();
    words.push("-h");
    let text = help(&words);
    let below = subcommands(&text);
    if below.is_empty() {
        found.push((path.join(" "), flags(&text)));
    }
    for name in below {
        commands(&[path, &[name]].concat(), found);
    }
}

/// A line for each use of a command, with every flag that its help has.
const LINES: &[&str] = &[
    "migrate --check",
    "accounts add slack C00000009 --owner acme --name News --timezone Europe/Berlin --token-expires-at 2030-01-01T00:00Z --sandbox $SANDBOX",
    "accounts add instagram 17841400000000009 --owner acme --setting login=instagram",
    "accounts list --owner acme --platform slack --json",
    "accounts list --no-header --counts",
    "accounts check --owner alder --platform slack --json --sandbox $SANDBOX",
    "accounts check slack:C00000001 --no-header",
    "posts add --account slack:C00000001 --body Hello --at +2h --link https://example.com/ --priority -1 --expires-at +3h --external-ref r-1 --dry-run",
    "posts add --account 1 --body-file body.txt --local 2030-03-01T09:00 --zone Europe/Berlin --refuse-duplicates",
    "posts add --account 1 --body Files --media a.jpg --alt Alt --option upload=true --no-media-check",
    "posts add --account 1 --kind reply --body More --option thread_ts=1700000000.000100 --at 2030-01-01T00:00Z",
    "posts import posts.txt --format csv --dry-run",
    "posts import posts.csv --refuse-duplicates --no-media-check",
    "posts list --status pending --platform slack --owner alder --account 1 --limit 5 --json",
    "posts list --duplicates --no-header",
    "posts show 1 --json",
    "posts cancel 1 --json",
    "posts retry 1 --json",
    "posts resolve 2 --published https://example.com/p/2 --json",
    "posts resolve 3 --not-published",
    "limits set owner:alder 500 --per day --action publish",
    "limits show --json",
    "limits show --no-header",
    "limits clear owner:alder --per day",
    "limits clear owner:alder --all",
    "stats --json --since 7d",
    "stats --no-header",
    "prune --older-than 90d --dry-run --json",
    "prune --older-than 730d --with-external-ref",
    "run --dry-run --all --now +1m --platform slack --owner alder",
    "run --json --limit 100 --pace gentle --cap slack=2 --expiry 2d --drain --time-budget 1m --fail-on none --sandbox $SANDBOX --migrate --no-progress",
];

on_both! {
    fn every_flag_of_every_help_is_used(world: World) {
        let account = world.account("slack", 1, "alder");
        world.due((0..3).map(|n| post(account, &format!("post {n}")).with("scheduled_at", "2030-01-01T00:00:00Z")));
        world.execute("UPDATE posts SET status = 'unconfirmed', attempts = 1 WHERE id > 1");
        std::fs::write(world.path("body.txt"), "From a file\n").unwrap();
        std::fs::write(world.path("a.jpg"), include_bytes!("../../src/sandbox/samples/1080x1080.jpg")).unwrap();
        let csv = "account,body,scheduled_at\n1,Imported,2030-01-01T00:00Z\n";
        std::fs::write(world.path("posts.csv"), csv).unwrap();
        std::fs::write(world.path("posts.txt"), csv).unwrap();
        for line in LINES {
            let line = line.replace("$SANDBOX", &world.sandbox.url);
            let words: Vec<&str> = line.split(' ').collect();
            let mut command = world.publisher(&words);
            let mut child = command
                .stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(b"any-token").ok();
            let ended: Ended = child.wait_with_output().unwrap().into();
            assert_eq!(ended.code, 0, "{line}: {ended:?}");
        }
    }
}

#[test]
fn the_lines_above_use_every_flag() {
    let mut all = Vec::new();
    commands(&[], &mut all);
    assert!(all.len() > 15, "{all:?}");
    for (command, flags) in all {
        let lines = LINES
            .iter()
            .filter(|line| line.starts_with(&format!("{command} ")));
        let used: BTreeSet<&str> = lines.flat_map(|line| line.split(' ')).collect();
        let missing: Vec<&String> = flags
            .iter()
            .filter(|flag| !used.contains(flag.as_str()))
            .collect();
        let has_its_own_test = ["sandbox", "demo"].contains(&command.as_str());
        assert!(
            missing.is_empty() || has_its_own_test,
            "{command}: {missing:?}"
        );
    }
}

/// It serves until it is told to end.
#[test]
fn the_sandbox_takes_all_its_flags() {
    let line = "sandbox --addr 127.0.0.1:0 --latency 10ms --processing 1s --token-lifetime 2h --fault slack:429:retry-after=3:5%";
    let words: Vec<&str> = line.split(' ').collect();
    let named = flags(&help(&["sandbox", "-h"]));
    assert!(
        named.iter().all(|flag| words.contains(&flag.as_str())),
        "{named:?}"
    );
    let mut command = crate::support::world::bare_publisher(&words);
    let mut sandbox = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(sandbox.stdout.take().unwrap()).lines();
    let told = lines.find(|line| line.as_ref().unwrap().contains("http://127.0.0.1:"));
    crate::support::world::signal(&sandbox, "TERM");
    sandbox.wait().unwrap();
    assert!(told.is_some());
}
