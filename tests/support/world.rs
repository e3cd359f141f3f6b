//! A world for a story: a database, the sandbox as the platforms, and the real binary, started as cron would.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use publisher::account::{Credentials, NewAccount};
use publisher::platform;
use publisher::sandbox::{Fault, Sandbox, Settings};
use publisher::secret::{self, Key};
use publisher::store::{Database, Store, migrate};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::database::Raw;
use super::given;
use super::postgres::cluster;

/// The key of every world's accounts.
pub const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Runs a story on both databases, as two tests.
#[macro_export]
macro_rules! on_both {
    ($($(#[$attribute:meta])* fn $name:ident($world:ident: World) $body:block)*) => {$(
        $(#[$attribute])*
        mod $name {
            use super::*;

            fn story($world: &World) $body

            #[test]
            fn sqlite() {
                story(&World::sqlite());
            }

            #[test]
            fn postgres() {
                story(&World::postgres());
            }
        }
    )*};
}

/// More runs than any story needs until nothing changes any more.
pub const ROUNDS: usize = 6;
/// A run that stops asking in good time, so that the next one goes on.
pub const SHORT_RUN: [&str; 4] = ["--fail-on", "none", "--time-budget", "2s"];

/// One story's surroundings.
pub struct World {
    /// Of this story alone.
    pub dir: TempDir,
    /// What the binary gets as `DATABASE_URL`.
    pub database_url: String,
    /// How the test itself looks into the database: not through a pooler.
    pub(super) direct_url: String,
    /// The platforms.
    pub sandbox: Platforms,
    runtime: Runtime,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("stdout is not one JSON object ({e}): {self:?}"))
    }

    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

impl From<Output> for Ended {
    /// Without the lines that a story did not ask for: see [`World::publisher`].
    fn from(output: Output) -> Self {
        let code = output.status.code();
        let (stdout, stderr) = told(output);
        Self {
            code: code.expect("it was not killed"),
            stdout,
            stderr,
        }
    }
}

/// What the program said on stdout and stderr, which has no secret in it; without the lines of `-vv`.
pub fn told(output: Output) -> (String, String) {
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    given::refuse("stdout", &stdout);
    given::refuse("stderr", &stderr);
    let is_more = |line: &str| {
        line.starts_with("DEBUG ")
            || line.starts_with(" INFO ")
            || line.starts_with('{')
                && (line.contains(r#""level":"DEBUG""#) || line.contains(r#""level":"INFO""#))
    };
    let lines = stderr.split_inclusive('\n');
    let stderr = lines.filter(|line| !is_more(line)).collect();
    (stdout, stderr)
}

/// A post to be seeded.
#[derive(Clone, Debug)]
pub struct Post {
    account: i64,
    columns: Map<String, Value>,
}

/// A post of that account with that text, due now.
pub fn post(account: i64, body: &str) -> Post {
    let columns = json!({"body": body}).as_object().unwrap().clone();
    Post { account, columns }
}

impl Post {
    pub fn with(mut self, column: &str, value: impl Into<Value>) -> Self {
        self.columns.insert(column.to_owned(), value.into());
        self
    }

    pub fn late(self, minutes: i64) -> Self {
        let at = publisher::schedule::Clock::host().now() - chrono::TimeDelta::minutes(minutes);
        self.with("scheduled_at", publisher::store::instant(at))
    }
}

impl World {
    /// On an SQLite file of its own, with the schema.
    pub fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("publisher.db").display());
        Self::on(dir, url)
    }

    /// On a PostgreSQL database of its own, with the schema.
    pub fn postgres() -> Self {
        let runtime = runtime();
        let url = runtime.block_on(cluster().database());
        Self::on(tempfile::tempdir().unwrap(), url)
    }

    /// On the database at this URL; it gets the schema.
    pub fn at(url: String) -> Self {
        Self::on(tempfile::tempdir().unwrap(), url)
    }

    fn on(dir: TempDir, database_url: String) -> Self {
        let world = Self {
            dir,
            direct_url: database_url.clone(),
            database_url,
            sandbox: Platforms::start(),
            runtime: runtime(),
        };
        world
            .runtime
            .block_on(migrate::run(&world.database()))
            .unwrap();
        world
    }

    /// The same database, which the binary reaches at another URL.
    pub fn through(mut self, url: impl FnOnce(&str) -> String) -> Self {
        self.database_url = url(&self.direct_url);
        self
    }

    pub fn is_postgres(&self) -> bool {
        self.database_url.starts_with("postgres")
    }

    pub fn database(&self) -> Database {
        self.direct_url.parse().unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn with_store<T>(&self, work: impl AsyncFnOnce(&mut Store) -> T) -> T {
        self.runtime.block_on(async {
            let mut store = Store::open(&self.database()).await.unwrap();
            let result = work(&mut store).await;
            store.close().await;
            result
        })
    }

    /// The account number `n` of that platform and owner; its token tells it from others in the sandbox.
    pub fn account(&self, platform: &str, n: u32, owner: &str) -> i64 {
        let token = match platform {
            // The sandbox takes it for the channel's own.
            "youtube" => format!("token-youtube-{}", external_id(platform, n)),
            _ => format!("token-{platform}-{n}"),
        };
        self.account_with_token(platform, n, owner, &token)
    }

    pub fn account_with_token(&self, platform: &str, n: u32, owner: &str, token: &str) -> i64 {
        let credentials = Credentials {
            access_token: token.to_owned().into(),
            ..Credentials::default()
        };
        self.account_with(platform, n, owner, &credentials, None)
    }

    /// The same with all that may be stored of a token, and its end.
    pub fn account_with(
        &self,
        platform: &str,
        n: u32,
        owner: &str,
        credentials: &Credentials,
        token_expires_at: Option<DateTime<Utc>>,
    ) -> i64 {
        credentials
            .secrets()
            .for_each(|secret| given::give(secret.expose_secret()));
        let external_id = external_id(platform, n);
        let key = Key::parse(KEY).unwrap();
        let account = NewAccount {
            owner: owner.to_owned(),
            platform: platform.to_owned(),
            external_id: external_id.clone(),
            display_name: String::new(),
            timezone: "UTC".to_owned(),
            credentials: Some(secret::seal(&key, platform, &external_id, credentials).unwrap()),
            token_expires_at,
            settings: Map::new(),
        };
        let row = self.with_store(async |store| store.add_account(&account).await.unwrap());
        row["id"].as_i64().unwrap()
    }

    /// Stores the account's token anew: it is bound to the platform's id, which the test has changed.
    pub fn seal_again(&self, account: i64, platform: &str, external_id: &str) {
        let credentials = Credentials {
            access_token: format!("token-{platform}-{account}").into(),
            ..Credentials::default()
        };
        let key = Key::parse(KEY).unwrap();
        let sealed = secret::seal(&key, platform, external_id, &credentials).unwrap();
        self.execute(&format!(
            "UPDATE accounts SET credentials = '{sealed}' WHERE id = {account}"
        ));
    }

    /// Seeds posts; those without a time are due now. Returns their ids.
    pub fn due(&self, posts: impl IntoIterator<Item = Post>) -> Vec<i64> {
        let row = |post: Post| {
            let post = if post.columns.contains_key("scheduled_at") {
                post
            } else {
                post.late(0)
            };
            let mut row = post.columns;
            row.insert("account_id".to_owned(), json!(post.account));
            Value::Object(row)
        };
        let rows: Vec<Value> = posts.into_iter().map(row).collect();
        self.with_store(async |store| store.add_posts(&rows).await.unwrap())
    }

    /// The binary as cron starts it: an empty environment but for the documented variables, no terminal. It says all that
    /// it can, so that secrets are searched for there, too; [`Ended`] leaves out what is said beyond the usual.
    pub fn publisher(&self, arguments: &[&str]) -> Command {
        let mut command = bare_publisher(arguments);
        let is_told = |word: &&str| matches!(*word, "-v" | "-vv" | "-q" | "--quiet");
        if !arguments.iter().any(is_told) {
            command.arg("-vv");
        }
        command
            .current_dir(self.dir.path())
            .env("DATABASE_URL", &self.database_url)
            .env("ENCRYPTION_KEY", KEY)
            .env("PUBLISHER_STATE_DIR", self.path("state"))
            .env("PUBLISHER_MEDIA_DIRECTORIES", self.media_directories());
        // The sandbox would win over the addresses in the file.
        let file = self.path("publisher.toml");
        let settings = file
            .is_file()
            .then(|| std::fs::read_to_string(file).unwrap());
        if !settings.is_some_and(|settings| settings.contains("base_url")) {
            command.env("PUBLISHER_SANDBOX", &self.sandbox.url);
        }
        command
    }

    /// Writes a configuration file with these lines in which each platform is at the address that it is given.
    pub fn platforms_at(&self, lines: &str, url: impl Fn(&str) -> String) {
        let platforms = platform::names().into_iter().map(|name| {
            let url = url(name);
            format!("[platforms.{name}]\nbase_url = \"{url}\"\n")
        });
        let file = format!(
            "{lines}\nallow_private_media = true\n{}",
            platforms.collect::<String>()
        );
        std::fs::write(self.path("publisher.toml"), file).unwrap();
    }

    /// Writes one in which Slack is this server, and the others are the sandbox.
    pub fn slack_at(&self, url: &str) {
        let sandbox = self.sandbox.url.trim_end_matches('/');
        self.platforms_at("", |name| match name {
            "slack" => url.to_owned(),
            _ => format!("{sandbox}/{name}"),
        });
    }

    /// Its own directory, and that of the samples.
    fn media_directories(&self) -> String {
        let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sandbox/samples");
        format!("{}:{samples}", self.dir.path().display())
    }

    /// Runs `publisher run` with these arguments to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        let mut all = vec!["run"];
        all.extend(arguments);
        self.publisher(&all).output().unwrap().into()
    }

    /// Starts `publisher run` with these arguments.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut all = vec!["run"];
        all.extend(arguments);
        self.publisher(&all)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The rows of a query with one column of text.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        self.runtime
            .block_on(async { Raw::connect(&self.direct_url).await.texts(sql).await })
    }

    /// One value, as text.
    pub fn value(&self, sql: &str) -> String {
        let rows = self.rows(sql);
        assert_eq!(rows.len(), 1, "{sql}");
        rows.into_iter().next().unwrap()
    }

    /// Changes the database behind publisher's back.
    pub fn execute(&self, sql: &str) {
        self.runtime
            .block_on(async { Raw::connect(&self.direct_url).await.run(sql).await });
    }

    /// The same, where the database may refuse it: what it says then.
    pub fn try_execute(&self, sql: &str) -> Result<(), String> {
        let tried = self
            .runtime
            .block_on(async { Raw::connect(&self.direct_url).await.try_run(sql).await });
        tried.map_err(|error| error.to_string())
    }

    /// As if the time had come for everything that waits: the next look, the next try, a lease's end.
    pub fn let_time_pass(&self) {
        self.execute(
            "UPDATE posts SET due_at = scheduled_at WHERE status IN ('pending', 'unconfirmed'); \
             UPDATE posts SET lease_until = '2020-01-01T00:00:00.000Z' WHERE status = 'publishing'; \
             UPDATE accounts SET blocked_until = NULL",
        );
    }

    /// How many posts have each status: `failed 1, published 4`.
    pub fn statuses(&self) -> String {
        let rows = self
            .rows("SELECT status || ' ' || count(*) FROM posts GROUP BY status ORDER BY status");
        rows.join(", ")
    }

    /// Everything in the tables, to compare before and after.
    pub fn dump(&self) -> String {
        let mut dump = String::new();
        for table in ["accounts", "posts", "limits", "runs"] {
            let sql = if self.is_postgres() {
                // xmin changes with every write of a row.
                format!("SELECT xmin::text || t::text FROM {table} t ORDER BY 1")
            } else {
                let columns = self.value(&format!(
                    "SELECT group_concat(name, '\", \"') FROM pragma_table_info('{table}')"
                ));
                format!("SELECT json_array(\"{columns}\") FROM {table} ORDER BY 1")
            };
            writeln!(dump, "{table}: {:#?}", self.rows(&sql)).unwrap();
        }
        dump
    }

    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub fn get(&self, path: &str) -> Value {
        self.runtime.block_on(self.sandbox.get(path))
    }

    /// What the platforms count, such as `/duplicates` or `/platforms/slack/max_in_flight`.
    pub fn stat(&self, pointer: &str) -> i64 {
        let stats = self.get("api/stats");
        stats
            .pointer(pointer)
            .and_then(Value::as_i64)
            .unwrap_or_else(|| panic!("no {pointer} in {stats}"))
    }

    pub fn faults(&self, specs: &[&str]) {
        self.runtime.block_on(self.sandbox.faults(specs));
    }

    /// Asks until the answer is yes; an answer that never comes fails the story.
    pub fn await_until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let began = Instant::now();
        while !is_so(self) {
            assert!(
                began.elapsed() < Duration::from_mins(1),
                "waited in vain until {what}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            given::search(self);
        }
    }
}

/// The binary with an empty environment and no terminal.
pub fn bare_publisher(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_publisher"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// A well-formed id for the account number `n` of that platform.
pub fn external_id(platform: &str, n: u32) -> String {
    match platform {
        "facebook" => format!("{}", 1_000_000 + n),
        "instagram" => format!("{}", 17_841_400_000_000_000_u64 + u64::from(n)),
        "linkedin" => format!("urn:li:organization:{}", 2000 + n),
        "youtube" => format!("UC{n:022}"),
        "slack" => format!("C{n:08}"),
        _ => panic!("no platform {platform}"),
    }
}

/// Sends a signal to a process that this test started.
pub fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(status.success());
}

pub fn ended(child: Child) -> Ended {
    child.wait_with_output().unwrap().into()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// The sandbox on a thread of its own, until it is dropped.
pub struct Platforms {
    pub url: String,
    client: reqwest::Client,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Platforms {
    pub fn start() -> Self {
        Self::with(Duration::ZERO)
    }

    pub fn with(latency: Duration) -> Self {
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime().block_on(async {
                let settings = Settings {
                    latency,
                    ..Settings::default()
                };
                let sandbox = Sandbox::bind(settings).await.unwrap();
                tell.send(sandbox.url().to_string()).unwrap();
                let stop = async {
                    ended.await.ok();
                };
                sandbox.serve(stop).await.unwrap();
            });
        });
        let client = publisher::http::client_builder().build().unwrap();
        Self {
            url: told.recv().unwrap(),
            client,
            end: Some(end),
            thread: Some(thread),
        }
    }

    /// The address of one of the sandbox's own files, under a name rather than an address: posts are
    /// not to hold private addresses.
    pub fn sample(&self, name: &str) -> String {
        let url = self.url.replace("127.0.0.1", "localhost");
        format!("{url}samples/{name}")
    }

    pub async fn reset(&self) {
        let reply = self
            .client
            .post(format!("{}api/reset", self.url))
            .send()
            .await
            .unwrap();
        assert!(reply.status().is_success());
    }

    pub async fn get(&self, path: &str) -> Value {
        self.client
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// A page as a browser gets it.
    pub(super) async fn page(&self, path: &str) -> String {
        let asked = self.client.get(format!("{}{path}", self.url)).send();
        asked.await.unwrap().text().await.unwrap()
    }

    async fn faults(&self, specs: &[&str]) {
        for spec in specs {
            Fault::from_str(spec).unwrap();
        }
        let reply = self
            .client
            .post(format!("{}api/faults", self.url))
            .json(specs)
            .send()
            .await
            .unwrap();
        assert!(reply.status().is_success());
    }
}

impl Drop for Platforms {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Whether two files have the same bytes.
pub fn same_bytes(one: &Path, other: &Path) -> bool {
    std::fs::read(one).unwrap() == std::fs::read(other).unwrap()
}
