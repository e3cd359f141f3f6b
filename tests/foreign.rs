//! The platforms' own clients against the sandbox: what they send it must take, and what it answers they must read.
//!
//! They are fetched from their registries, so these tests run only when they are asked for:
//! `cargo test --test foreign -- --ignored`. Python with `venv` and Node with npm must be there. The clients' versions
//! are pinned in `tests/foreign`; what was fetched is kept in `target` and used again.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;

use serde_json::{Value, json};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign");
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sandbox/samples");

const PYTHON_MISSING: &str = "python3 is missing: install Python 3.11 or newer with its module venv (Debian: apt-get install python3 python3-venv)";
const NODE_MISSING: &str =
    "node or npm is missing: install Node 20 or newer with npm (https://nodejs.org/)";

/// Only one test at a time fetches what they all use.
static FETCHING: Mutex<()> = Mutex::new(());

/// The real program's sandbox, until it is dropped.
struct Sandbox {
    child: Child,
    url: String,
}

impl Sandbox {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_publisher"));
        command.args(["sandbox", "--addr", "127.0.0.1:0", "--latency", "0s"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let url = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(url.starts_with("http://"), "{line}");
        Self { child, url }
    }

    /// What a reader sees, as `/api/posts` tells it.
    fn posts(&self) -> Vec<Value> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let client = publisher::http::client_builder().build().unwrap();
        let posts = client.get(format!("{}api/posts", self.url)).send();
        runtime.block_on(async { posts.await.unwrap().json().await.unwrap() })
    }

    /// Runs a script to its end, and returns what it printed.
    fn drive(&self, client: &mut Command) -> Value {
        let output = client.args([&*self.url, SAMPLES]).output().unwrap();
        let said = words(&output);
        assert!(output.status.success(), "{}{said}", self.url);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn words(output: &Output) -> String {
    let of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}", of(&output.stdout), of(&output.stderr))
}

/// Runs a program that may not be there.
fn run(command: &mut Command, missing: &str) -> String {
    let output = command.output().unwrap_or_else(|e| match e.kind() {
        ErrorKind::NotFound => panic!("{missing}"),
        _ => panic!("{command:?}: {e}"),
    });
    let said = words(&output);
    assert!(output.status.success(), "{command:?}\n{said}\n{missing}");
    said
}

/// A directory for what is fetched, filled again when one of these files is another than last time, or when `part` of it
/// is gone: a Python that was replaced leaves a link to nowhere.
fn fetched(name: &str, part: &str, files: &[&str], fill: impl FnOnce(&Path)) -> PathBuf {
    // A test that could not fetch anything has failed already; the others try themselves.
    let _one = FETCHING
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("foreign")
        .join(name);
    let texts = files
        .iter()
        .map(|file| std::fs::read_to_string(Path::new(SCRIPTS).join(file)).unwrap());
    let wanted: String = texts.collect();
    // Written last: a directory without it is half filled.
    let stamp = directory.join("fetched");
    let is_filled = std::fs::read_to_string(&stamp).is_ok_and(|is| is == wanted);
    if is_filled && directory.join(part).exists() {
        return directory;
    }
    if directory.exists() {
        std::fs::remove_dir_all(&directory).unwrap();
    }
    std::fs::create_dir_all(&directory).unwrap();
    fill(&directory);
    std::fs::write(stamp, wanted).unwrap();
    directory
}

/// A script in Python, with its clients.
fn python(script: &str) -> Command {
    let fill = |directory: &Path| {
        let mut venv = Command::new("python3");
        run(venv.args(["-m", "venv"]).arg(directory), PYTHON_MISSING);
        let mut pip = Command::new(directory.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--require-hashes", "-r"]);
        run(
            pip.arg(Path::new(SCRIPTS).join("requirements.txt")),
            "the clients could not be fetched from PyPI",
        );
    };
    let directory = fetched("python", "bin/python", &["requirements.txt"], fill);
    let mut command = Command::new(directory.join("bin/python"));
    command.arg(Path::new(SCRIPTS).join(script));
    command
}

/// A script in JavaScript, beside its clients, where Node looks for them.
fn node(script: &str) -> Command {
    let files = ["package.json", "package-lock.json"];
    let copy = |directory: &Path, file: &str| {
        std::fs::copy(Path::new(SCRIPTS).join(file), directory.join(file)).unwrap();
    };
    let directory = fetched("node", "node_modules", &files, |directory| {
        for file in files {
            copy(directory, file);
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund"]);
        run(npm.current_dir(directory), NODE_MISSING);
    });
    let version = run(Command::new("node").arg("--version"), NODE_MISSING);
    let major = version.trim().trim_start_matches('v').split('.').next();
    let major: u32 = major.unwrap().parse().unwrap();
    assert!(major >= 20, "Node {major} is too old: {NODE_MISSING}");
    copy(&directory, script);
    let mut command = Command::new("node");
    command.arg(directory.join(script));
    command
}

/// The same for both of Slack's clients: a message with a comment, and one of two files.
fn slack(sandbox: &Sandbox, client: &mut Command, channel: &str, text: &str) {
    let said = sandbox.drive(client);
    let mut posts = sandbox.posts();
    posts.retain(|post| post["account"] == channel);
    assert_eq!(posts.len(), 2, "{posts:#?}");
    let (message, files) = (&posts[0], &posts[1]);
    assert_eq!(message["id"], said["ts"]);
    assert_eq!(message["text"], "*We open* at seven.");
    assert_eq!(message["permalink"], said["permalink"]);
    assert_eq!(message["details"]["metadata"]["event_type"], "opening");
    let comments = message["comments"].as_array().unwrap();
    assert_eq!((comments.len(), &comments[0]["text"]), (1, &json!(text)));
    assert_eq!(files["id"], said["shared"]);
    assert_eq!(files["text"], "Two files");
    let media = files["media"].as_array().unwrap().iter();
    let media = media.map(|medium| (&medium["name"], medium["bytes"].as_u64().unwrap()));
    let photo = std::fs::metadata(format!("{SAMPLES}/1080x1080.jpg")).unwrap();
    assert_eq!(
        media.collect::<Vec<_>>(),
        [(&json!("A photo"), photo.len()), (&json!("Notes"), 8)]
    );
}

#[test]
#[ignore = "fetches clients from PyPI: cargo test --test foreign -- --ignored"]
fn slack_from_python() {
    let sandbox = Sandbox::start();
    let mut client = python("slack_bot.py");
    slack(&sandbox, &mut client, "C0PYTHON", "Until noon & <later>.");
    // More than the channel takes at once, so the client has waited, and lost or repeated none.
    let posts = sandbox.posts();
    let mut others = posts.iter().filter(|post| post["account"] == "C0OUTSIDE");
    for number in 0..21 {
        let post = others.next().unwrap();
        assert_eq!(post["text"], format!("Number {number}"));
        assert_eq!(post["details"]["username"], "Robin");
    }
    assert_eq!(others.next(), None);
}

#[test]
#[ignore = "fetches clients from npm: cargo test --test foreign -- --ignored"]
fn slack_from_javascript() {
    let sandbox = Sandbox::start();
    let mut client = node("slack_bot.mjs");
    slack(&sandbox, &mut client, "C0NODE", "Until noon.");
}

#[test]
#[ignore = "fetches clients from PyPI: cargo test --test foreign -- --ignored"]
fn youtube_from_python() {
    let sandbox = Sandbox::start();
    let said = sandbox.drive(&mut python("youtube_channel.py"));
    let posts = sandbox.posts();
    assert_eq!(posts.len(), 1, "{posts:#?}");
    let video = &posts[0];
    assert_eq!(video["id"], said["video"]);
    assert_eq!(video["account"], "UC_x5XG1OV2P6uZZ5FSM9Ttw");
    assert_eq!(
        (&video["title"], &video["text"]),
        (&json!("A tour"), &json!("Of the shop"))
    );
    assert_eq!(video["media"][0]["bytes"], 600_000);
    assert_eq!(video["details"]["privacy"], "unlisted");
    assert_eq!(video["details"]["thumbnail"]["width"], 1200);
    assert_eq!(video["details"]["playlist"], "PLtours");
    assert_eq!(video["comments"][0]["text"], "Welcome");
}

#[test]
#[ignore = "fetches clients from PyPI: cargo test --test foreign -- --ignored"]
fn instagram_from_python() {
    let sandbox = Sandbox::start();
    let said = sandbox.drive(&mut python("instagram_account.py"));
    let posts = sandbox.posts();
    let ids: Value = posts.iter().map(|post| post["id"].clone()).collect();
    assert_eq!(ids, said["posts"]);
    let seen = posts.iter().map(|post| {
        let media = post["media"].as_array().unwrap().len();
        (post["text"].as_str().unwrap(), media)
    });
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [("One", 1), ("Two", 2), ("Moving", 1)]
    );
    assert_eq!(posts[0]["comments"][0]["text"], "Until noon");
}

#[test]
#[ignore = "fetches clients from PyPI: cargo test --test foreign -- --ignored"]
fn facebook_from_python() {
    let sandbox = Sandbox::start();
    let said = sandbox.drive(&mut python("facebook_page.py"));
    let posts = sandbox.posts();
    let ids: Vec<&Value> = posts.iter().map(|post| &post["id"]).collect();
    let mut expected: Vec<&Value> = said["posts"].as_array().unwrap().iter().collect();
    expected.extend([&said["video"], &said["reel"]]);
    assert_eq!(ids, expected);
    let seen = posts.iter().map(|post| {
        let media = post["media"].as_array().unwrap().len();
        (post["text"].as_str().unwrap(), media)
    });
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [
            ("We open at seven.", 0),
            ("Read", 0),
            ("By address", 1),
            ("By file", 1),
            ("An album", 2),
            ("A film", 1),
            ("A reel", 1),
        ]
    );
    assert_eq!(posts[0]["comments"][0]["text"], "Until noon");
    assert_eq!(posts[6]["kind"], "reel");
}
