//! Every hostile answer, from every platform, at every place of its dealings: each run ends in time with a true exit
//! code, within its memory, whoever is not concerned is published, and nobody who is in doubt is said to be live.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::TcpListener;
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use publisher::account::Credentials;
use publisher::platform;
use publisher::schedule::Clock;
use serde_json::json;

use crate::support::hostile::{Answer, Hostile, Request, reply};
use crate::support::world::{World, post};
use crate::wire::{Ill, Means, ills};

/// So many worlds go through the table at once: most of their time is waiting.
const WORLDS: usize = 12;
/// A run has eight seconds, and each of its requests at most fifteen; a machine under load adds to it.
const LONGEST: Duration = Duration::from_secs(8 + 15 + 12);
/// A run with nothing hostile takes some 30 MB, and what is sent for ever comes to gigabytes in its time.
const MOST_MEMORY_KIB: u64 = 384 * 1024;
/// Whom nothing hostile happens to.
const HONEST: &str = "at-peace";

/// Where an answer comes. Each place has an account of its own on each platform that has such a place; its token
/// names it, and so do its requests.
struct Place {
    name: &'static str,
    /// Which requests, by platform: their beginning and a part of their first line.
    requests: &'static [(&'static str, &'static str, &'static str)],
}

const PUBLISH: Place = Place {
    name: "at-publish",
    requests: &[
        ("facebook", "POST", "/feed"),
        ("instagram", "POST", "/media_publish"),
        ("linkedin", "POST", "/rest/posts"),
        ("youtube", "PUT", ""),
        ("slack", "POST", "/chat.postMessage"),
    ],
};
/// The first request of a post that takes several.
const PREPARE: Place = Place {
    name: "at-prepare",
    requests: &[
        ("facebook", "POST", "/photos"),
        ("instagram", "POST", "/media"),
        ("linkedin", "POST", "initializeUpload"),
        ("youtube", "POST", "/videos"),
        ("slack", "POST", "/files.getUploadURLExternal"),
    ],
};
/// What is asked while a platform is at work.
const STATUS: Place = Place {
    name: "at-status",
    requests: &[("instagram", "GET", "status_code")],
};
/// What is asked of a post that is live.
const AFTER: Place = Place {
    name: "at-after",
    requests: &[
        ("facebook", "POST", "/comments"),
        ("instagram", "GET", "permalink"),
        ("linkedin", "POST", "/comments"),
        ("slack", "POST", "auth.test"),
    ],
};
/// What is asked of a post that may be live.
const LOOK_UP: Place = Place {
    name: "at-look-up",
    requests: &[
        ("facebook", "GET", ""),
        ("instagram", "GET", ""),
        ("linkedin", "GET", ""),
        ("youtube", "GET", ""),
        ("slack", "GET", ""),
    ],
};
const REFRESH: Place = Place {
    name: "at-refresh",
    requests: &[
        ("facebook", "GET", ""),
        ("instagram", "GET", ""),
        ("linkedin", "POST", "/accessToken"),
        ("youtube", "POST", "/token"),
        ("slack", "POST", "/oauth.v2.access"),
    ],
};
/// The server of a medium; the platform is in its address.
const MEDIA: Place = Place {
    name: "at-media",
    requests: &[
        ("facebook", "GET", "/at-media/facebook"),
        ("instagram", "GET", "/at-media/instagram"),
        ("linkedin", "GET", "/at-media/linkedin"),
        ("youtube", "GET", "/at-media/youtube"),
        ("slack", "GET", "/at-media/slack"),
    ],
};

/// What is tried in one run: not more than two failures in a row for each platform, which the breaker allows.
const RUNS: [&[Place]; 3] = [
    &[PUBLISH, AFTER, LOOK_UP],
    &[PREPARE, REFRESH],
    &[MEDIA, STATUS],
];

impl Place {
    fn has(&self, platform: &str) -> bool {
        self.requests.iter().any(|(name, ..)| *name == platform)
    }

    /// Which platform the request is for, if it is made here.
    fn of(&self, request: &Request) -> Option<&'static str> {
        let line = request.line();
        // A question where an upload stands is no upload.
        let asks = request.head.contains("content-range: bytes */");
        let found = self.requests.iter().find(|(platform, method, part)| {
            line.starts_with(method)
                && line.contains(part)
                && line.contains(&format!("/{platform}"))
                && !asks
        });
        found
            .filter(|_| request.mentions(self.name))
            .map(|(platform, ..)| *platform)
    }

    /// How a post may end there.
    fn endings(&self, platform: &str, means: Means) -> &'static [&'static str] {
        match (self.name, means) {
            // These platforms tell that nothing was published, so it may be sent again.
            ("at-publish", Means::Doubt) if matches!(platform, "instagram" | "youtube") => {
                &["unconfirmed", "pending"]
            }
            ("at-publish", Means::Doubt) | ("at-look-up", _) => &["unconfirmed"],
            // What it names is longer than the post's life.
            ("at-refresh", Means::Limit) if platform == "linkedin" => &["pending", "failed"],
            ("at-publish", Means::Refusal) => &["failed"],
            ("at-after", _) => &["published"],
            ("at-prepare" | "at-status", Means::Doubt) | ("at-refresh", _) | (_, Means::Limit) => {
                &["pending"]
            }
            // What kind of file it is, the platforms say; Facebook fetches it while it publishes.
            ("at-media", _) => &["pending", "failed", "published", "unconfirmed"],
            _ => &["pending", "failed"],
        }
    }
}

/// Answers as the case of the hour wants.
#[derive(Default)]
struct Desk {
    ill: Option<Ill>,
    /// Where that came about.
    seen: BTreeSet<String>,
    /// What is wrong with any request at all.
    wrong: Vec<String>,
}

/// A world whose platforms are behind the desk.
struct Ward {
    world: World,
    desk: Arc<Mutex<Desk>>,
    front: Hostile,
}

impl Ward {
    /// Media may be redirected: theirs lead to the second server in place of the first.
    fn new([witness, elsewhere]: [&str; 2]) -> Self {
        let [witness, elsewhere] = [witness, elsewhere].map(port);
        let world = World::sqlite();
        std::fs::write(world.path("clip.mp4"), vec![7_u8; 70_000]).unwrap();
        let image = include_bytes!("../../src/sandbox/samples/1080x1080.jpg");
        std::fs::write(world.path("a.jpg"), image).unwrap();
        let desk: Arc<Mutex<Desk>> = Arc::default();
        let asked = Arc::clone(&desk);
        let front = Hostile::before(&world.sandbox.url, move |request| {
            let mut desk = asked.lock().unwrap();
            if asks_for_coding(&request.head) {
                desk.wrong.push(request.head.clone());
            }
            let mut places = RUNS.into_iter().flatten();
            let (place, platform) = places.find_map(|place| Some((place, place.of(request)?)))?;
            let ill = desk.ill.clone()?;
            desk.seen.insert(format!("{} {platform}", place.name));
            Some(match ill.answer {
                Answer::Bytes(bytes) if place.name == "at-media" && bytes.len() < 1000 => {
                    let text = String::from_utf8_lossy(&bytes);
                    Answer::Bytes(text.replace(&witness, &elsewhere).into_bytes())
                }
                answer => answer,
            })
        });
        Self { world, desk, front }.with_accounts()
    }

    fn with_accounts(self) -> Self {
        let places = RUNS.into_iter().flatten();
        for (n, place) in (1..).zip(places) {
            for name in platform::names().into_iter().filter(|name| place.has(name)) {
                self.account(name, n, place.name);
            }
        }
        for name in ["facebook", "linkedin", "slack"] {
            self.account(name, 90, HONEST);
        }
        let page =
            "UPDATE accounts SET settings = '{\"page_id\": \"1234\"}' WHERE platform = 'instagram'";
        self.world.execute(page);
        self
    }

    fn account(&self, platform: &str, n: u32, place: &str) {
        let has_ended = place == REFRESH.name;
        let start = if has_ended { "expired-" } else { "" };
        let credentials = Credentials {
            access_token: format!("{start}{place}-{platform}").into(),
            refresh_token: has_ended.then(|| format!("refresh-{place}-{platform}").into()),
            client_id: Some("the-app".to_owned()),
            client_secret: Some("the-secret-of-the-app".to_owned().into()),
        };
        let ends = has_ended.then(|| Clock::host().now() - chrono::TimeDelta::hours(1));
        self.world
            .account_with(platform, n, place, &credentials, ends);
    }

    /// Makes a post due for each account of these places, and for those at peace; how often it was.
    fn due(&self, places: &[Place]) {
        let world = &self.world;
        world.execute("DELETE FROM posts; DELETE FROM runs; UPDATE accounts SET status = 'active', blocked_until = NULL, blocked_reason = NULL");
        let accounts = world.rows("SELECT owner || ' ' || platform || ' ' || id FROM accounts");
        world.due(accounts.iter().filter_map(|account| {
            let words: Vec<&str> = account.split(' ').collect();
            let [owner, platform, id] = words[..] else {
                panic!("three words: {account}");
            };
            let concerned = owner == HONEST || places.iter().any(|place| place.name == owner);
            let body = format!("{owner} on {platform}");
            let post = post(id.parse().unwrap(), &body);
            concerned.then(|| match self.media(owner, platform) {
                Some(media) => post
                    .with("media", media)
                    .with("options", options(owner, platform)),
                None => post.with("options", options(owner, platform)),
            })
        }));
        let look_up = LOOK_UP.name;
        world.execute(&format!(
            "UPDATE posts SET status = 'unconfirmed', attempts = 1, due_at = scheduled_at \
             WHERE account_id IN (SELECT id FROM accounts WHERE owner = '{look_up}')"
        ));
    }

    fn media(&self, owner: &str, platform: &str) -> Option<serde_json::Value> {
        let image = json!([{"path": self.world.path("a.jpg")}]);
        let url = self.front.url.replace("127.0.0.1", "localhost");
        match (owner, platform) {
            ("at-media", "youtube") => {
                Some(json!([{"url": format!("{url}/at-media/{platform}.mp4")}]))
            }
            ("at-media", _) => Some(json!([{"url": format!("{url}/at-media/{platform}.jpg")}])),
            (_, "instagram") => Some(json!([{"url": self.world.sandbox.sample("1080x1080.jpg")}])),
            (_, "youtube") => Some(json!([{"path": self.world.path("clip.mp4")}])),
            ("at-prepare", _) => Some(image),
            _ => None,
        }
    }

    /// One case: each place in its run.
    fn suffers(&self, ill: &Ill) -> u64 {
        let mut most = 0;
        // What comes to an end by itself is not hurried: a machine under load answers late, too.
        let timeout = if ill.ends() { "15s" } else { "4s" };
        let settings = format!("request_timeout = \"{timeout}\"\nupload_timeout = \"{timeout}\"\n");
        std::fs::write(self.world.path("publisher.toml"), settings).unwrap();
        for places in RUNS {
            let what = format!(
                "{} in {:?}",
                ill.name,
                places.iter().map(|place| place.name).collect::<Vec<_>>()
            );
            self.world.block_on(self.world.sandbox.reset());
            self.due(places);
            *self.desk.lock().unwrap() = Desk {
                ill: Some(ill.clone()),
                ..Desk::default()
            };
            let (code, memory) = self.run(&what);
            self.check(places, ill.means, code, &what);
            most = most.max(memory);
        }
        most
    }

    /// The exit code, and the most memory that it had, in KiB.
    fn run(&self, what: &str) -> (i32, u64) {
        let said = self.world.path("said");
        let file = File::create(&said).unwrap();
        let mut command = self.world.publisher(&["run", "-vv", "--time-budget", "8s"]);
        command.env("PUBLISHER_SANDBOX", format!("{}/", self.front.url));
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let began = Instant::now();
        let mut run = command.spawn().unwrap();
        let mut memory = 0;
        let status = loop {
            memory = memory.max(peak_kib(&run));
            if let Some(status) = run.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < LONGEST, "{what}: it does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        let said = std::fs::read_to_string(said).unwrap();
        for secret in ["refresh-at-", "the-secret-of-the-app", "expired-at-"] {
            assert!(!said.contains(secret), "{what}: {said}");
        }
        let code = status
            .code()
            .unwrap_or_else(|| panic!("{what}: {status}: {said}"));
        (code, memory)
    }

    fn check(&self, places: &[Place], means: Means, code: i32, what: &str) {
        let world = &self.world;
        let rows = world.rows(
            "SELECT a.owner || ' ' || a.platform || ' ' || p.status || ' ' || a.status || ' ' || coalesce(p.error, '') \
             FROM posts p JOIN accounts a ON a.id = p.account_id",
        );
        let mut needs_person = false;
        let (mut live, mut perhaps) = (0, 0);
        for row in &rows {
            let words: Vec<&str> = row.split(' ').collect();
            let (owner, platform, status) = (words[0], words[1], words[2]);
            needs_person |= matches!(status, "failed" | "unconfirmed");
            let is_a_no = means == Means::Refusal;
            assert!(
                is_a_no || words[3] == "active",
                "{what}: only a no ends a login: {row}"
            );
            live += i64::from(status == "published");
            perhaps += i64::from(owner == MEDIA.name && status == "unconfirmed");
            let place = places.iter().find(|place| place.name == owner);
            let endings = place.map_or(&["published"][..], |place| place.endings(platform, means));
            assert!(
                endings.contains(&status),
                "{what}: {row}, which is none of {endings:?}: {rows:#?}"
            );
        }
        assert_eq!(code, i32::from(needs_person), "{what}: {rows:#?}");
        let found = world.stat("/published");
        assert!(
            (live..=live + perhaps).contains(&found),
            "{what}: {found} are live: {rows:#?}"
        );
        let desk = self.desk.lock().unwrap();
        assert!(desk.wrong.is_empty(), "{what}: {:?}", desk.wrong);
        for place in places {
            for (platform, ..) in place.requests {
                let here = format!("{} {platform}", place.name);
                assert!(
                    desk.seen.contains(&here),
                    "{what}: it never came to {here}: {rows:#?}"
                );
            }
        }
        let block = "SELECT count(*) || '' FROM accounts WHERE blocked_until > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+25 hours')";
        assert_eq!(
            world.value(block),
            "0",
            "{what}: nobody is shut out for longer than a day"
        );
    }
}

/// Whether a request is ready to take an answer that is packed.
fn asks_for_coding(head: &str) -> bool {
    let head = head.to_lowercase();
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    headers.any(|(name, value)| name == "te" || name == "accept-encoding" && value != "identity")
}

fn options(owner: &str, platform: &str) -> serde_json::Value {
    match (owner, platform) {
        (_, "youtube") => json!({"title": format!("{owner} of youtube")}),
        ("at-after", "facebook" | "linkedin") => json!({"first_comment": "And another thing"}),
        ("at-prepare" | "at-media", "slack") => json!({"upload": true}),
        _ => json!({}),
    }
}

/// The most memory that a process had so far; nothing of one that has ended, nor of one that is still this one: for a
/// moment after it was started, a child has its parent's memory, and its parent's name.
fn peak_kib(process: &Child) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap_or_default();
    if !status.starts_with("Name:\tpublisher\n") {
        return 0;
    }
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

/// `:PORT` of an address.
fn port(url: &str) -> String {
    let (_, port) = url.trim_end_matches('/').rsplit_once(':').unwrap();
    format!(":{port}")
}

#[test]
fn every_hostile_answer_of_every_platform_at_every_place() {
    // Whoever connects here was redirected.
    let witness = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", witness.local_addr().unwrap());
    witness.set_nonblocking(true).unwrap();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&asked);
    let elsewhere = Hostile::answers(move |head| {
        heard.lock().unwrap().push(head.to_ascii_lowercase());
        reply("404 Not Found", "", b"")
    });
    let ills = ills(&address);
    let next = AtomicUsize::new(0);
    let most = Mutex::new((0, ""));
    std::thread::scope(|scope| {
        for _ in 0..WORLDS {
            scope.spawn(|| {
                let ward = Ward::new([&address, &elsewhere.url]);
                while let Some(ill) = ills.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let memory = ward.suffers(ill);
                    let mut most = most.lock().unwrap();
                    *most = (*most).max((memory, ill.name.as_str()));
                }
            });
        }
    });
    let (most, ill) = most.into_inner().unwrap();
    assert!(
        most > 1024 && most < MOST_MEMORY_KIB,
        "the most memory: {most} KiB, at {ill}"
    );
    let asked = asked.lock().unwrap();
    let strange = |head: &&String| !head.starts_with("get /") || head.contains("authorization");
    assert!(!asked.is_empty(), "media are redirected");
    assert_eq!(asked.iter().find(strange), None);
    let connection = witness.accept().map(|(_, from)| from);
    assert!(
        connection.is_err(),
        "a redirect was followed by {connection:?}"
    );
}
