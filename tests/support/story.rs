//! A story of five platforms and a database whose wires can be broken, and what of a run can be recognised on them.

use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::files;
use super::postgres::Cluster;
use super::proxy::{Passing, Proxy};
use super::world::{Ended, Post, ROUNDS, SHORT_RUN, World, post};

/// The end of a request's first line that publishes, for each platform.
pub const PUBLISHING: [(&str, &str); 5] = [
    ("facebook", "/feed"),
    ("instagram", "/media_publish"),
    ("linkedin", "/rest/posts"),
    ("youtube", "PUT /youtube/"),
    ("slack", "/chat.postMessage"),
];

/// A world whose wires can be cut, and the posts of a round.
pub struct Story {
    pub world: World,
    pub database: Option<Proxy>,
    pub platforms: Proxy,
    pub posts: Vec<Post>,
    /// Whether runs go on in waves, of a few posts each.
    pub drains: bool,
}

impl Story {
    /// With one account and one post for each platform.
    pub fn sqlite() -> Self {
        Self::on(World::sqlite(), None, 1)
    }

    pub fn postgres() -> Self {
        Self::postgres_of(1)
    }

    /// With so many accounts for each platform, each of which has a post.
    pub fn sqlite_of(accounts: u32) -> Self {
        Self::on(World::sqlite(), None, accounts)
    }

    pub fn postgres_of(accounts: u32) -> Self {
        let mut wire = None;
        let world = World::postgres().through(|url| {
            let (before, rest) = url.split_once('@').unwrap();
            let (server, database) = rest.split_once('/').unwrap();
            let proxy = Proxy::to(server);
            let url = format!("{before}@{}/{database}", proxy.address);
            wire = Some(proxy);
            url
        });
        Self::on(world, wire, accounts)
    }

    /// On a cluster of its own, with one account for each platform. The test itself looks through the same proxy, which
    /// may lead to another server later.
    pub fn on_cluster(cluster: &Cluster) -> Self {
        let url = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(cluster.database());
        let proxy = Proxy::to(&format!("127.0.0.1:{}", cluster.port()));
        let url = url.replace(&format!("127.0.0.1:{}", cluster.port()), &proxy.address);
        Self::on(World::at(url), Some(proxy), 1)
    }

    fn on(world: World, database: Option<Proxy>, accounts: u32) -> Self {
        let server = world.sandbox.url.strip_prefix("http://").unwrap();
        let platforms = Proxy::to(server.trim_end_matches('/'));
        std::fs::write(world.path("clip.mp4"), vec![7_u8; 300_000]).unwrap();
        let posts = (1..=accounts).flat_map(|n| one_for_each(&world, n));
        Self {
            posts: posts.collect(),
            world,
            database,
            platforms,
            drains: false,
        }
    }

    /// The same with runs that go on in waves.
    pub fn drained(self) -> Self {
        Self {
            drains: true,
            ..self
        }
    }

    pub fn heal(&self) {
        self.database.iter().for_each(Proxy::heal);
        self.platforms.heal();
    }

    /// Nothing is left of the round before, and the posts are due.
    pub fn begin(&self) {
        self.heal();
        self.world.execute("DELETE FROM posts; DELETE FROM runs");
        self.world.block_on(self.world.sandbox.reset());
        self.lose_journal();
        self.world.due(self.posts.clone());
    }

    /// A run whose wires are the story's. Those that make up for it take them, too: an upload goes on where it began.
    pub fn publisher(&self, arguments: &[&str]) -> Command {
        let sandbox = format!("http://{}/", self.platforms.address);
        let mut run = self.world.publisher(&["run"]);
        run.args(arguments).env("PUBLISHER_SANDBOX", sandbox);
        if self.drains {
            run.args(["--drain", "--limit", "3"]);
        }
        run
    }

    pub fn start(&self) -> Child {
        let mut run = self.publisher(&SHORT_RUN);
        run.stdout(Stdio::null()).stderr(Stdio::null());
        run.spawn().unwrap()
    }

    pub fn journals(&self) -> usize {
        files::listed(&self.world.path("state/journal")).len()
    }

    /// Runs until every post is published, or the runs change nothing any more.
    pub fn make_up(&self) {
        for _ in 0..ROUNDS {
            self.world.let_time_pass();
            Ended::from(self.publisher(&SHORT_RUN).output().unwrap()).exits(0);
            if self.world.statuses() == self.all_published() {
                break;
            }
        }
    }

    fn all_published(&self) -> String {
        format!("published {}", self.posts.len())
    }

    /// Every post is live once, and the database knows.
    pub fn published_once(&self, what: &str) {
        let world = &self.world;
        // A permalink is read after the post is live, and may be missing.
        let count = self.posts.len();
        let known = "SELECT CAST(count(*) AS TEXT) FROM posts WHERE platform_post_id IS NOT NULL";
        let found = (
            world.statuses(),
            world.value(known),
            world.stat("/published"),
            world.stat("/duplicates"),
            self.journals(),
        );
        let live = i64::try_from(count).unwrap();
        let right = (self.all_published(), count.to_string(), live, 0, 0);
        let details = || {
            world.rows("SELECT id || ' ' || status || ' ' || coalesce(error, '') || ' ' || history FROM posts")
        };
        assert_eq!(found, right, "{what}: {:#?}", details());
    }

    /// The state directory is on a disk that goes with the process, as on a cron host without one.
    pub fn lose_journal(&self) {
        if self.world.path("state").exists() {
            std::fs::remove_dir_all(self.world.path("state")).unwrap();
        }
    }
}

/// A post for the `n`th account of each platform.
fn one_for_each(world: &World, n: u32) -> [Post; 5] {
    let account = |platform, owner| world.account(platform, n, owner);
    let image = json!([{"url": world.sandbox.sample("1080x1080.jpg"), "alt": "A loaf"}]);
    let video = json!([{"path": world.path("clip.mp4")}]);
    [
        post(account("facebook", "alder"), &format!("Hello, Page {n}")),
        post(
            account("instagram", "alder"),
            &format!("Hello, follower {n}"),
        )
        .with("media", image),
        post(account("linkedin", "birch"), &format!("Hello, network {n}")),
        post(account("youtube", "birch"), "What you see is a clip")
            .with("media", video)
            .with("options", json!({"title": format!("Clip {n}")})),
        post(account("slack", "cedar"), &format!("Hello, team {n}")),
    ]
}

/// Whether the claim's argument was sent.
pub fn claims(wire: &Passing<'_>) -> bool {
    count(wire.out, b"\"lease_seconds\":") > 0
}

pub fn commits(wire: &Passing<'_>) -> usize {
    count(wire.out, b"Q\0\0\0\x0bCOMMIT\0")
}

/// Of how many of the two UPDATEs arguments were sent: the first has what was published in columns, the second in rows.
pub fn updates(wire: &Passing<'_>) -> usize {
    let has_first = count(wire.out, b"\"outcome\":\"published\"") > 0;
    usize::from(has_first) + count(wire.out, b"\"rows\":[")
}

/// Whether the last request on a connection is one that publishes.
pub fn is_last_request(out: &[u8], platform: &str, line: &str) -> bool {
    let Some(end) = rfind(out, b" HTTP/1.1\r\n") else {
        return false;
    };
    let start = rfind(&out[..end], b"\n").map_or(0, |at| at + 1);
    // After a body without a line's end the next request's line begins where it may.
    let head = String::from_utf8_lossy(&out[start..end]);
    head.contains(&format!("/{platform}/")) && head.contains(line)
}

pub fn rfind(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).rposition(|window| window == part)
}

pub fn count(text: &[u8], part: &[u8]) -> usize {
    text.windows(part.len())
        .filter(|window| window == &part)
        .count()
}

/// Whether it is one that publishes, on whichever platform.
pub fn is_publishing(out: &[u8]) -> bool {
    let mut lines = PUBLISHING.iter();
    lines.any(|(platform, line)| is_last_request(out, platform, line))
}
