//! The processes that are measured, and the sandbox. Each is ended in time, whatever happens.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::bare::Bare;
use crate::databases::KEY;

/// No process here comes near this.
const LONGEST: Duration = Duration::from_mins(3);

/// Without the distance between a channel's messages, and without a day's quota of videos.
const CONFIGURATION: &str = "[platforms.slack]\nspacing = \"0s\"\n\n[platforms.youtube.limits]\nuploads_per_day = 1000000\n";

/// The programs under test.
pub(crate) struct Programs {
    publisher: PathBuf,
    bench: PathBuf,
    directory: PathBuf,
}

/// A finished run of `publisher run --json`.
pub(crate) struct Ran {
    /// From the start of the process to its end.
    pub(crate) wall: Duration,
    /// What it printed.
    pub(crate) summary: Value,
}

impl Programs {
    /// The release binary beside this one; processes start in `directory`.
    pub(crate) fn find(directory: &Path) -> Result<Self> {
        let bench = std::env::current_exe()?;
        let publisher = bench
            .parent()
            .and_then(Path::parent)
            .context("this program has no directory")?
            .join("publisher");
        ensure!(
            publisher.exists(),
            "{} is not built; build it first: cargo build --release",
            publisher.display()
        );
        // What is measured is the program, not how long it lets platforms rest.
        std::fs::write(directory.join("publisher.toml"), CONFIGURATION)?;
        Ok(Self {
            publisher,
            bench,
            directory: directory.to_owned(),
        })
    }

    /// `publisher run` on that database. Nothing of the caller's environment reaches it.
    pub(crate) fn run(&self, database: &str, arguments: &[&str]) -> Command {
        let mut command = self.clean(&self.publisher);
        command
            .args(["run", "--database-url", database])
            .args(arguments)
            .env("ENCRYPTION_KEY", KEY)
            .env("PUBLISHER_STATE_DIR", self.state());
        command
    }

    /// Where runs keep their journals.
    pub(crate) fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// The same where no journal can be kept.
    pub(crate) fn run_without_journal(&self, database: &str, arguments: &[&str]) -> Command {
        let mut command = self.run(database, arguments);
        // A file is no directory.
        command.env("PUBLISHER_STATE_DIR", self.directory.join("publisher.toml"));
        command
    }

    /// One of the bare programs.
    pub(crate) fn bare(&self, program: &Bare) -> Command {
        let mut command = self.clean(&self.bench);
        command.args(program.arguments());
        command
    }

    fn clean(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .current_dir(&self.directory)
            .stdin(Stdio::null());
        command
    }

    /// Publishes everything that is due, which must be `posts`.
    pub(crate) fn publish(
        &self,
        database: &str,
        sandbox: &Sandbox,
        pace: &str,
        posts: usize,
    ) -> Result<Ran> {
        let arguments = ["--sandbox", &sandbox.url, "--pace", pace, "--json"];
        let (wall, output) = timed(&mut self.run(database, &arguments))?;
        let summary = read_summary(&output.stdout, posts)?;
        Ok(Ran { wall, summary })
    }

    /// The same, and the most memory that it held.
    pub(crate) fn publish_and_weigh(
        &self,
        database: &str,
        sandbox: &Sandbox,
        pace: &str,
        posts: usize,
    ) -> Result<usize> {
        let arguments = ["--sandbox", &sandbox.url, "--pace", pace, "--json"];
        self.weigh(database, &arguments, posts)
    }

    /// The most memory, in KiB, that a run with these arguments held that published so many posts.
    pub(crate) fn weigh(&self, database: &str, arguments: &[&str], posts: usize) -> Result<usize> {
        let run = self.run(database, arguments);
        let mut scales = self.bare(&Bare::Weigh(
            std::iter::once(run.get_program())
                .chain(run.get_args())
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect(),
        ));
        let (_, output) = timed(scales.env("ENCRYPTION_KEY", KEY))?;
        let text = String::from_utf8(output.stdout)?;
        let (summary, peak) = text
            .trim_end()
            .rsplit_once('\n')
            .context("the scales said too little")?;
        read_summary(summary.as_bytes(), posts)?;
        Ok(peak.parse()?)
    }
}

pub(crate) fn read_summary(stdout: &[u8], posts: usize) -> Result<Value> {
    let summary: Value = serde_json::from_slice(stdout).context("the run's summary")?;
    ensure!(
        summary["published"] == posts,
        "{posts} posts were to be published: {summary}"
    );
    Ok(summary)
}

/// Runs a process to its end, which must be good.
pub(crate) fn timed(command: &mut Command) -> Result<(Duration, Output)> {
    let began = Instant::now();
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let watchdog = Watchdog::over(&child);
    let output = child.wait_with_output()?;
    let wall = began.elapsed();
    drop(watchdog);
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok((wall, output))
}

/// Kills a process that runs for too long, unless it is dropped before.
struct Watchdog(Option<mpsc::Sender<()>>);

impl Watchdog {
    fn over(child: &Child) -> Self {
        let pid = child.id().to_string();
        let (alive, watch) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            if watch.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
                eprintln!("bench: process {pid} is killed, it ran for {LONGEST:?}");
                Command::new("kill").args(["-KILL", &pid]).status().ok();
            }
        });
        Self(Some(alive))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.take();
    }
}

/// `publisher sandbox` in a process of its own.
pub(crate) struct Sandbox {
    child: Child,
    /// Without a slash at the end.
    pub(crate) url: String,
}

impl Sandbox {
    pub(crate) fn start(programs: &Programs, latency: Duration) -> Result<Self> {
        let mut child = programs
            .clean(&programs.publisher)
            .args(["sandbox", "--addr", "127.0.0.1:0", "--latency"])
            .arg(format!("{}ms", latency.as_millis()))
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().context("its standard output")?;
        let mut first = String::new();
        BufReader::new(stdout).read_line(&mut first)?;
        let Some((_, url)) = first.trim_end().rsplit_once(' ') else {
            bail!("the sandbox did not say where it listens: {first:?}");
        };
        Ok(Self {
            child,
            url: url.trim_end_matches('/').to_owned(),
        })
    }

    /// Forgets what was published, so that one run leaves nothing to the next.
    pub(crate) async fn reset(&self) -> Result<()> {
        let url = format!("{}/api/reset", self.url);
        crate::bare::client()?
            .post(url)
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    /// `/api/stats`.
    pub(crate) async fn stats(&self) -> Result<Value> {
        let url = format!("{}/api/stats", self.url);
        let reply = crate::bare::client()?.get(url).send().await?;
        Ok(reply.error_for_status()?.json().await?)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
