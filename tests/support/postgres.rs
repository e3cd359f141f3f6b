//! A private PostgreSQL cluster per test binary, made from the installed binaries. It ends with the process.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// A running cluster.
pub struct Cluster {
    port: u16,
    /// See [`watched`].
    _watchdog: Child,
}

/// The cluster of this test binary, started on first use.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(&["-c", "fsync=off"]))
}

impl Cluster {
    /// Starts a cluster with these server options.
    pub fn start(options: &[&str]) -> Self {
        let bin = bin_dir();
        let dir = tempfile::Builder::new()
            .prefix("publisher-pg-")
            .tempdir()
            .unwrap()
            .keep();
        let server_user = run_as_postgres(&dir);
        let data = dir.join("data");
        let initdb = Command::new(server_user[0])
            .args(&server_user[1..])
            .arg(bin.join("initdb"))
            .args([
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "-D",
            ])
            .arg(&data)
            .output()
            .unwrap();
        assert!(
            initdb.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&initdb.stderr)
        );
        let port = free_port();
        let mut server = Command::new(bin.join("postgres"));
        server
            .arg("-D")
            .arg(&data)
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                &format!("port={port}"),
            ])
            .args([
                "-c",
                &format!("unix_socket_directories={}", dir.display()),
                "-c",
                "max_connections=200",
            ])
            .args([
                "-c",
                "shared_preload_libraries=pg_stat_statements",
                "-c",
                "pg_stat_statements.track_utility=off",
            ])
            .args(options);
        let watchdog = watched(&server, &dir, "ready to accept connections");
        Self {
            port,
            _watchdog: watchdog,
        }
    }

    /// A new, empty database; its URL.
    pub async fn database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&self.url("postgres")).await.unwrap();
        admin
            .execute(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .await
            .unwrap();
        self.url(&name)
    }

    /// The URL of a database of this cluster.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Starts a server that ends with this process, however that ends, and whose directory goes with it: a shell waits on
/// its standard input, which closes then. Returns once the server's log says that it is ready.
pub fn watched(server: &Command, dir: &Path, ready: &str) -> Child {
    let mut watchdog = Command::new("sh")
        .arg("-c")
        .arg("\"$@\" & server=$!; trap '' INT TERM; cat >/dev/null; kill -INT $server; wait $server; rm -rf \"$DIR\"")
        .arg("watchdog")
        .args(run_as_postgres(dir))
        .arg(server.get_program())
        .args(server.get_args())
        .env("DIR", dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(watchdog.stderr.take().unwrap()).lines();
    let found = log
        .by_ref()
        .map_while(Result::ok)
        .any(|line| line.contains(ready));
    assert!(found, "{server:?} did not start");
    // The server must never block on a full pipe.
    std::thread::spawn(move || log.map_while(Result::ok).for_each(drop));
    watchdog
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// The words that start a server which refuses to run as root, with a directory that it then owns.
fn run_as_postgres(dir: &Path) -> Vec<&'static str> {
    if !is_root() {
        return vec!["env"];
    }
    assert!(
        Command::new("chown")
            .args(["-R", "postgres"])
            .arg(dir)
            .status()
            .unwrap()
            .success()
    );
    // It executes the server in its own place, so that a signal to it is one to the server.
    vec![
        "setpriv",
        "--reuid=postgres",
        "--regid=postgres",
        "--init-groups",
    ]
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

/// Where the server's binaries are; installs them where that is possible.
fn bin_dir() -> PathBuf {
    find_bin_dir().unwrap_or_else(|| {
        install(&["postgresql"]);
        find_bin_dir().expect("PostgreSQL is not where Debian's package puts it")
    })
}

fn find_bin_dir() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    versions.sort();
    versions
        .into_iter()
        .rfind(|bin| bin.join("postgres").exists())
}

/// Installs Debian packages as root, one process at a time; anywhere else it says what is missing and fails.
pub fn install(packages: &[&str]) {
    let needed = packages.join(" ");
    assert!(
        is_root() && Path::new("/usr/bin/apt-get").exists(),
        "the tests need {needed}: install it (Debian: apt-get install {needed}) and run them again"
    );
    let script = format!(
        "export DEBIAN_FRONTEND=noninteractive; exec 9>/tmp/publisher-tests-apt.lock; flock 9; \
         apt-get update -q && apt-get install -q -y --no-install-recommends {needed}"
    );
    let status = Command::new("sh").arg("-c").arg(script).status().unwrap();
    assert!(status.success(), "apt-get could not install {needed}");
}
