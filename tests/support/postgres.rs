//! A private PostgreSQL cluster per test binary, made from the installed binaries. It ends with the process.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// A cluster, which runs unless it was crashed.
pub struct Cluster {
    port: u16,
    dir: PathBuf,
    options: Vec<String>,
    /// See [`watched`]. One for each start; they end together, since each removes the directory.
    watchdogs: Mutex<Vec<Child>>,
}

/// The cluster of this test binary, started on first use.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(&["-c", "fsync=off"]))
}

impl Cluster {
    /// Starts a cluster with these server options.
    pub fn start(options: &[&str]) -> Self {
        let cluster = Self::in_new_directory(options.iter().map(|option| (*option).to_owned()));
        cluster.execute(
            "initdb",
            &[
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
        );
        cluster.serve("ready to accept connections");
        cluster
    }

    /// A streaming standby of this cluster, asynchronous and open for reading.
    pub fn standby(&self) -> Self {
        let standby = Self::in_new_directory(self.options.iter().cloned());
        let port = self.port.to_string();
        let source = ["-h", "127.0.0.1", "-U", "postgres", "-p", &port];
        let how = [
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--wal-method=stream",
            "--no-sync",
        ];
        standby.execute("pg_basebackup", &[&source[..], &how].concat());
        standby.serve("ready to accept read-only connections");
        standby
    }

    fn in_new_directory(options: impl Iterator<Item = String>) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("publisher-pg-")
            .tempdir()
            .unwrap()
            .keep();
        Self {
            port: free_port(),
            dir,
            options: options.collect(),
            watchdogs: Mutex::default(),
        }
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Runs one of PostgreSQL's own programs on the data directory.
    fn execute(&self, program: &str, arguments: &[&str]) {
        let server_user = run_as_postgres(&self.dir);
        let output = Command::new(server_user[0])
            .args(&server_user[1..])
            .arg(bin_dir().join(program))
            .args(arguments)
            .arg("-D")
            .arg(self.data())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn serve(&self, ready: &str) {
        let settings = [
            "listen_addresses=127.0.0.1,::1".to_owned(),
            format!("port={}", self.port),
            format!("unix_socket_directories={}", self.dir.display()),
            "max_connections=200".to_owned(),
            "shared_preload_libraries=pg_stat_statements".to_owned(),
            "pg_stat_statements.track_utility=off".to_owned(),
        ];
        let mut server = Command::new(bin_dir().join("postgres"));
        server.arg("-D").arg(self.data());
        for setting in settings {
            server.arg("-c").arg(setting);
        }
        server.args(&self.options);
        let watchdog = watched(&server, &self.dir, ready);
        self.watchdogs.lock().unwrap().push(watchdog);
    }

    /// Ends the server as a power cut would, and returns once it is gone.
    pub fn crash(&self) {
        let pid_file = self.data().join("postmaster.pid");
        let pid = std::fs::read_to_string(&pid_file).unwrap();
        let pid = pid.lines().next().unwrap();
        let status = Command::new("kill").args(["-QUIT", pid]).status().unwrap();
        assert!(status.success());
        let began = Instant::now();
        while pid_file.exists() {
            assert!(began.elapsed() < Duration::from_secs(30), "it lives on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts the server again after a crash.
    pub fn restart(&self) {
        self.serve("ready to accept connections");
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

/// A port that is free, and stays so: below those that the system gives to whoever connects or asks for any port, and
/// never given twice by this process.
pub fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let ephemeral = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let ephemeral = ephemeral.unwrap_or_default();
    let end = ephemeral
        .split_whitespace()
        .next()
        .and_then(|port| port.parse().ok());
    let ports = end.unwrap_or(32_768).max(FIRST + 1_000) - FIRST;
    // Processes that are started one after another begin far apart.
    let begin = std::process::id().wrapping_mul(977);
    (0..ports)
        .map(|_| begin.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % ports + FIRST)
        .map(|port| u16::try_from(port).expect("a port"))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a port is free")
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
