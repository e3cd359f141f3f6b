//! Secrets never leave: whatever is run, and whatever platforms answer, no token, client secret, key, password or signed
//! address is in what the program writes.
//!
//! Every secret of a token or an application has the word `hush` in it, every secret of an address the word `whisper`:
//! so a piece of one is found, too.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chrono::TimeDelta;
use publisher::account::Credentials;
use publisher::platform;
use publisher::schedule::Clock;
use publisher::store::instant;
use serde_json::{Value, json};
use support::files;
use support::hostile::{Hostile, reply};
use support::world::{Ended, KEY, Post, World, ended, external_id, post, signal};

/// Part of every token and client secret.
const HUSH: &str = "hush";
/// Part of every secret of an address.
const WHISPER: &str = "whisper";

/// Long, as real ones are, and with the characters that some of them have.
fn token(kind: &str, platform: &str) -> String {
    format!("{kind}-hush/{platform}-{}", "Hush1//0".repeat(12))
}

/// What is stored of an account: everything there can be.
fn credentials(access: &str, refresh: &str, platform: &str) -> Credentials {
    Credentials {
        access_token: token(access, platform).into(),
        refresh_token: Some(token(refresh, platform).into()),
        client_id: Some("the-app".to_owned()),
        client_secret: Some(token("stored-secret", platform).into()),
    }
}

/// A story's world, and everything that it said so far.
struct Confidant<'a> {
    world: &'a World,
    heard: RefCell<String>,
    /// How often the program ran: the formats of the log take turns.
    turns: Cell<usize>,
}

impl<'a> Confidant<'a> {
    /// With the applications' secrets in the environment, and short time-outs.
    fn of(world: &'a World) -> Self {
        Self {
            world,
            heard: RefCell::default(),
            turns: Cell::default(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.publisher(arguments);
        for platform in platform::names() {
            let name = format!("PUBLISHER_{}_CLIENT", platform.to_uppercase());
            command.env(format!("{name}_ID"), "the-app");
            command.env(format!("{name}_SECRET"), token("app-secret", platform));
        }
        command.env("AWS_ACCESS_KEY_ID", "an-id");
        command.env("AWS_SECRET_ACCESS_KEY", token("aws", "s3"));
        command
    }

    /// Runs the program at its most talkative.
    fn hear(&self, arguments: &[&str]) -> Ended {
        let turn = self.turns.get();
        self.turns.set(turn + 1);
        let format = if turn.is_multiple_of(2) {
            "text"
        } else {
            "json"
        };
        let talkative = ["-vv", "--log-format", format];
        let output = self.command(&[arguments, &talkative].concat()).output();
        self.note(output.unwrap().into())
    }

    fn note(&self, ended: Ended) -> Ended {
        let mut heard = self.heard.borrow_mut();
        heard.push_str(&ended.stdout);
        heard.push_str(&ended.stderr);
        // A panic would be kept from the others, and its message shown.
        assert_ne!(ended.code, 70, "{ended:?}");
        ended
    }

    /// Runs the program with something on its standard input.
    fn tell(&self, arguments: &[&str], input: &str) -> Ended {
        let mut command = self.command(&[arguments, &["-vv"]].concat());
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        self.note(ended(child))
    }

    /// A run whatever comes of it.
    fn run(&self) -> Ended {
        self.hear(&["run", "--json", "--fail-on", "none", "--time-budget", "2s"])
    }

    /// A post for every account, as its platform takes it; the accounts are as good as new.
    fn due_everywhere(&self) {
        let world = self.world;
        world.execute(
            "UPDATE accounts SET status = 'active', blocked_until = NULL, blocked_reason = NULL",
        );
        world.execute("UPDATE posts SET due_at = scheduled_at WHERE status = 'pending'");
        let accounts = world.rows("SELECT platform || ' ' || id FROM accounts");
        world.due(accounts.iter().map(|account| {
            let (platform, id) = account.split_once(' ').unwrap();
            self.content(platform, id.parse().unwrap())
        }));
    }

    fn content(&self, platform: &str, account: i64) -> Post {
        let image = self.world.sandbox.sample("1080x1080.jpg");
        match platform {
            "instagram" => post(account, "Hello").with("media", json!([{"url": image}])),
            "youtube" => {
                let video = self.world.path("clip.mp4");
                std::fs::write(&video, vec![7_u8; 70_000]).unwrap();
                post(account, "Hello").with("media", json!([{"path": video}]))
            }
            _ => post(account, "Hello").with("link", "https://example.com/"),
        }
    }

    /// Everything that people look at afterwards.
    fn look_around(&self) {
        self.hear(&["accounts", "list"]);
        self.hear(&["accounts", "list", "--json"]);
        self.hear(&["accounts", "check"]);
        self.hear(&["accounts", "check", "--json"]);
        self.hear(&["posts", "list", "--json"]);
        self.hear(&["limits", "show"]);
        for id in self
            .world
            .rows("SELECT CAST(max(id) AS TEXT) FROM posts GROUP BY status")
        {
            self.hear(&["posts", "show", &id]);
            self.hear(&["posts", "show", &id, "--json"]);
        }
    }

    /// Nothing of a secret is in what was said, in the state directory, the database or what the platforms show.
    fn check(&self, word: &str) {
        let seen = self.world.get("api/posts").to_string();
        let dump = self.world.dump();
        let heard = self.heard.borrow();
        for (place, text) in [
            ("the output", &*heard),
            ("the database", &dump),
            ("the sandbox", &seen),
        ] {
            refuse(place, text.as_bytes(), word);
        }
        for (path, content) in files::contents(self.world.dir.path()) {
            if path.file_name().is_none_or(|name| name != "publisher.toml") {
                refuse(&path.display().to_string(), &content, word);
            }
        }
        assert!(dump.contains("v1."), "the credentials are there, sealed");
    }
}

/// The text without what is sealed in it, `v1.<key>.<data>`: in so many random letters any short word is found some day.
fn without_sealed(text: &str) -> String {
    let mut parts = text.split("v1.");
    let mut rest = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let data = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let end = part.find(|c| !data(c)).unwrap_or(part.len());
        let is_sealed = part.get(8..9) == Some(".") && end > 50;
        rest.push_str("v1.");
        rest.push_str(if is_sealed { &part[end..] } else { part });
    }
    rest
}

/// The text has neither the word in it, nor the key, nor what the sandbox gives for a refresh token.
fn refuse(place: &str, text: &[u8], word: &str) {
    let text = without_sealed(&String::from_utf8_lossy(text)).to_lowercase();
    let encoded = STANDARD_NO_PAD.encode(token("app-secret", "slack"));
    let minted = platform::names()
        .into_iter()
        .flat_map(|platform| ["access", "refresh"].map(|kind| format!("{kind}-{platform}-")));
    let others = [
        word.to_owned(),
        KEY.to_owned(),
        encoded[..30].to_lowercase(),
    ];
    for secret in others.into_iter().chain(minted) {
        if let Some(at) = text.find(&secret) {
            let around = text.get(at.saturating_sub(400)..(at + 200).min(text.len()));
            panic!("{secret} is in {place}: {}", around.unwrap_or(&text));
        }
    }
}

/// Where every platform is this server.
fn platforms_are(world: &World, url: &str) {
    world.platforms_at("request_timeout = \"5s\"", |platform| {
        format!("{url}/{platform}")
    });
}

/// One account of each platform.
fn an_account_each(world: &World, n: u32, access: &str, refresh: &str, minutes: Option<i64>) {
    let ends = minutes.map(|minutes| Clock::host().now() + TimeDelta::minutes(minutes));
    for platform in platform::names() {
        let stored = credentials(access, refresh, platform);
        world.account_with(platform, n, "alder", &stored, ends);
    }
}

/// A platform that quotes every secret that it may know, in the words of its own errors, after so much else.
fn quoting(status: &'static str, padding: usize) -> Hostile {
    Hostile::answers(move |head| {
        let platform = head.split('/').nth(1).unwrap().to_owned();
        let bearer = head
            .lines()
            .find_map(|line| line.strip_prefix("authorization: Bearer "));
        let mut secrets = ["refresh", "stored-secret", "app-secret"]
            .map(|kind| token(kind, &platform))
            .to_vec();
        secrets.insert(0, bearer.unwrap_or("no bearer").to_owned());
        let said = format!(
            "{}bad token {}",
            "x ".repeat(padding / 2),
            secrets.join(" ")
        );
        let body = quoted(&platform, head, &said);
        let more = "x-app-usage: {\"call_count\": 99}\r\n";
        reply(status, more, body.to_string().as_bytes())
    })
}

fn quoted(platform: &str, head: &str, said: &str) -> Value {
    match platform {
        "facebook" | "instagram" => json!({"error": {
            "message": said, "type": "OAuthException", "code": 100, "error_subcode": 33,
            "error_user_title": said, "error_user_msg": said, "fbtrace_id": said,
        }}),
        "linkedin" if head.contains("accessToken") => {
            json!({"error": said, "error_description": said})
        }
        "linkedin" => {
            json!({"message": said, "status": 400, "serviceErrorCode": 100, "code": said})
        }
        "youtube" if head.contains("token") => json!({"error": said, "error_description": said}),
        "youtube" => json!({"error": {"code": 400, "message": said, "status": said, "errors": [
            {"reason": said, "message": said, "domain": said},
        ]}}),
        _ => {
            json!({"ok": false, "error": said, "needed": said, "response_metadata": {"messages": [said]}})
        }
    }
}

on_both! {
    fn no_fault_makes_it_talk(world: World) {
        std::fs::write(world.path("publisher.toml"), "request_timeout = \"1s\"\nupload_timeout = \"2s\"\n").unwrap();
        an_account_each(world, 1, "good", "good", None);
        an_account_each(world, 2, "expired", "good", None);
        an_account_each(world, 3, "expired", "revoked", None);
        an_account_each(world, 4, "revoked", "flaky", None);
        an_account_each(world, 5, "noscope", "good", Some(5));
        let confidant = Confidant::of(world);
        confidant.due_everywhere();
        confidant.hear(&["run", "--dry-run"]);
        confidant.hear(&["run", "--dry-run", "--json"]);
        confidant.run();
        assert!(world.statuses().contains("published"), "{}", world.statuses());
        assert!(world.stat("/tokens/refreshed") > 0 && world.stat("/tokens/refused") > 0);
        confidant.look_around();
        let steps = ["", "/prepare", "/status", "/upload", "/comment"];
        let kinds = ["500", "500-after-accept", "429", "hang:2", "reset", "reset-after-accept", "401", "rejected",
            "truncate", "bad-json"];
        for (place, kind) in kinds.into_iter().enumerate() {
            // Every kind at a publishing request, each other step with some.
            let other = format!("*{}:{kind}:50%", steps[place % steps.len()]);
            world.faults(&[&format!("*:{kind}:50%"), &other]);
            confidant.due_everywhere();
            confidant.run();
        }
        for kind in ["500", "429", "reset", "truncate", "bad-json"] {
            world.faults(&[&format!("*/token:{kind}")]);
            confidant.due_everywhere();
            confidant.run();
            confidant.hear(&["accounts", "check"]);
        }
        world.faults(&[]);
        confidant.look_around();
        confidant.check(HUSH);
    }

    fn what_platforms_quote_is_redacted(world: World) {
        an_account_each(world, 1, "good", "refresh", None);
        // Refreshed ahead of its end, which fails.
        an_account_each(world, 2, "good", "refresh", Some(5));
        let confidant = Confidant::of(world);
        // At each of these lengths another piece of a secret is where a message is cut.
        for (status, padding) in [("400 Bad", 0), ("401 No", 0), ("429 Slow", 0), ("500 Oops", 0), ("404 None", 100),
            ("500 Oops", 150), ("500 Oops", 200), ("400 Bad", 240), ("403 No", 270), ("500 Oops", 880), ("400 Bad", 960)] {
            let hostile = quoting(status, padding);
            platforms_are(world, &hostile.url);
            confidant.due_everywhere();
            confidant.run();
            confidant.hear(&["accounts", "check"]);
            confidant.hear(&["accounts", "check", "--json"]);
            for platform in platform::names() {
                let id = external_id(platform, 9);
                let stored = json!({
                    "refresh_token": token("refresh", platform), "client_id": "the-app",
                    "client_secret": token("stored-secret", platform),
                });
                let add = ["accounts", "add", platform, &id, "--owner", "alder"];
                let refused = confidant.tell(&add, &stored.to_string());
                assert_ne!(refused.code, 0, "{refused:?}");
            }
            assert!(hostile.requests() > 0);
            world.execute("UPDATE posts SET status = 'canceled' WHERE status = 'pending'");
        }
        confidant.look_around();
        confidant.check(HUSH);
        let history = world.rows("SELECT CAST(history AS TEXT) FROM posts");
        for platform in platform::names() {
            let of = format!("SELECT CAST(p.history AS TEXT) FROM posts p JOIN accounts a ON a.id = p.account_id WHERE a.platform = '{platform}'");
            assert!(world.rows(&of).iter().any(|entries| entries.contains("[redacted]")), "{platform}: {history:#?}");
        }
    }

    fn what_dies_leaves_no_secret_behind(world: World) {
        an_account_each(world, 1, "good", "good", Some(60 * 24 * 60));
        let confidant = Confidant::of(world);
        let start = || {
            let mut command = confidant.command(&["run", "-vv"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let live = || world.stat("/published");

        // The database is away when the outcomes are to be recorded: they are told on stderr, and kept in the journal.
        confidant.due_everywhere();
        world.faults(&["*:hang:2"]);
        let before = live();
        let run = start();
        world.await_until("posts are in flight", |_| live() >= before + 3);
        world.execute("ALTER TABLE runs RENAME TO hidden");
        let unrecorded = confidant.note(ended(run)).exits(74);
        assert!(unrecorded.stderr.lines().any(|line| line.starts_with('{')), "{unrecorded:?}");
        world.execute("ALTER TABLE hidden RENAME TO runs");
        assert!(world.path("state/journal").read_dir().unwrap().next().is_some());
        confidant.check(HUSH);
        world.faults(&[]);
        confidant.run();

        // Killed in flight.
        confidant.due_everywhere();
        world.faults(&["*:hang"]);
        let before = live();
        let run = start();
        world.await_until("posts are in flight", |_| live() >= before + 3);
        signal(&run, "KILL");
        let output = run.wait_with_output().unwrap();
        confidant.heard.borrow_mut().push_str(&String::from_utf8_lossy(&output.stderr));
        assert!(world.path("state/journal").read_dir().unwrap().next().is_some());
        confidant.check(HUSH);
        world.faults(&[]);
        confidant.run();
        confidant.look_around();
        confidant.check(HUSH);
    }

    /// What the author wrote is in `posts.media`, and nowhere else.
    fn an_address_is_told_without_its_secrets(world: World) {
        std::fs::write(world.path("publisher.toml"), "request_timeout = \"2s\"\n").unwrap();
        an_account_each(world, 1, "good", "good", None);
        let confidant = Confidant::of(world);
        let host = world.sandbox.url.replace("http://127.0.0.1", "http://u-whisper:p-whisper@localhost");
        let signature = "sig=whisper&X-Amz-Signature=whisper";
        let hostile = Hostile::answers(|head| {
            let target = head.split(' ').nth(1).unwrap();
            let location = format!("location: http://u:whisper@127.0.0.1:1{target}\r\n");
            reply("302 Found", &location, b"whisper")
        });
        let places = [
            format!("{host}samples/1080x1080.jpg?{signature}"),
            format!("{host}samples/none.jpg?{signature}#whisper"),
            format!("{}/redirected.jpg?{signature}", hostile.url),
            format!("http://u:whisper@127.0.0.1:1/refused.jpg?{signature}"),
            format!("http://u:whisper@nobody.invalid/unknown.jpg?{signature}"),
            format!("https://u:whisper@[broken/a.jpg?{signature}"),
            format!("https://u:whisper@host:99999/a.jpg?{signature}"),
            format!("ftp://u:whisper@127.0.0.1/a.jpg?{signature}"),
            format!("s3://u:whisper@bucket/a.jpg?{signature}"),
            format!("data:image/jpeg;base64,{WHISPER}"),
        ];
        let accounts = world.rows("SELECT CAST(id AS TEXT) FROM accounts");
        for place in places {
            for account in &accounts {
                let medium = json!([{"url": place, "type": "image/jpeg"}]);
                world.due([post(account.parse().unwrap(), "Look").with("media", medium)]);
            }
        }
        confidant.hear(&["run", "--dry-run"]);
        confidant.hear(&["run", "--dry-run", "--json"]);
        confidant.run();
        world.execute("UPDATE posts SET due_at = scheduled_at WHERE status = 'pending'");
        world.execute("UPDATE accounts SET blocked_until = NULL, blocked_reason = NULL");
        confidant.run();
        world.execute("UPDATE posts SET media = '[]'");
        confidant.look_around();
        assert!(world.statuses().contains("failed"), "{}", world.statuses());
        let heard = confidant.heard.borrow().to_lowercase();
        refuse("the output", heard.as_bytes(), WHISPER);
        refuse("the database", world.dump().as_bytes(), WHISPER);
        for (path, content) in files::contents(&world.path("state")) {
            refuse(&path.display().to_string(), &content, WHISPER);
        }
    }
}

/// The password of the database, and keys that are none.
#[test]
fn a_password_and_a_key_are_never_told() {
    let world =
        World::postgres().through(|url| url.replace("postgres@", "postgres:hush-password@"));
    an_account_each(&world, 1, "good", "good", None);
    let confidant = Confidant::of(&world);
    confidant.due_everywhere();
    confidant.run();
    confidant.hear(&["migrate", "--check"]);
    confidant.check(HUSH);
    for url in [
        "postgres://postgres:hush-password@127.0.0.1:1/nowhere",
        "postgres://postgres:hush-password@127.0.0.1:99999/nowhere",
        "postgres://postgres:hush-password@[broken/nowhere",
        "postgres://nobody.invalid/nowhere?user=u&password=hush-password&sslmode=never",
        "mysql://root:hush-password@127.0.0.1/nowhere",
        "hush-password",
    ] {
        for command in ["run", "migrate", "posts list", "accounts check"] {
            let words: Vec<&str> = command.split(' ').chain(["-vv"]).collect();
            let output = confidant.command(&words).env("DATABASE_URL", url).output();
            let refused = confidant.note(output.unwrap().into());
            assert_ne!(refused.code, 0, "{refused:?}");
        }
    }
    for key in ["hush", &"hush".repeat(16), &KEY.replace('0', "hush")] {
        let output = confidant
            .command(&["run", "-vv"])
            .env("ENCRYPTION_KEY", key)
            .output();
        confidant.note(output.unwrap().into());
    }
    let past = instant(Clock::host().now() - TimeDelta::days(1));
    let add = [
        "accounts",
        "add",
        "slack",
        "C00000077",
        "--owner",
        "o",
        "--token-expires-at",
        &past,
    ];
    for input in [
        "Bearer hush",
        "hush\u{7}",
        r#"{"access_token": ["hush"]}"#,
        r#"{"hush": 1}"#,
        r#"{"access_token": "hush"#,
    ] {
        assert_ne!(confidant.tell(&add, input).code, 0);
    }
    confidant.tell(&add, "good-hush").exits(0);
    confidant.check(HUSH);
}

/// Every world searches for what it gave out: see `support/given.rs`. These two have something to find.
#[test]
#[should_panic(expected = "is in the database")]
fn a_secret_in_the_database_is_found() {
    let world = World::sqlite();
    let account = world.account_with_token("slack", 1, "alder", "this-one-leaks-into-a-row");
    world.due([post(account, "look: this-one-leaks-into-a-row")]);
}

#[test]
#[should_panic(expected = "is in stdout")]
fn a_secret_in_the_output_is_found() {
    let world = World::sqlite();
    let account = world.account_with_token("slack", 1, "alder", "this-one-leaks-into-words");
    let id = world.due([post(account, "look: this-one-leaks-into-words")])[0].to_string();
    let shown = world.publisher(&["posts", "show", &id]).output();
    drop(Ended::from(shown.unwrap()));
}
