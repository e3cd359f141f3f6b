//! Files of many chunks, over connections that break.

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

use super::support::stage::Stage;
use super::support::world::{self, post};

const MIB: u64 = 1 << 20;

/// A line to the sandbox that is cut when so many bytes in all went over it.
struct Line {
    url: String,
    state: Arc<State>,
}

struct State {
    carried: AtomicU64,
    cuts: Vec<u64>,
    /// How many of the cuts have happened.
    cut: AtomicU64,
    /// After a cut nobody gets through until somebody mends the line.
    breaks: bool,
    broken: AtomicBool,
}

impl Line {
    async fn to(url: &str, cuts: Vec<u64>, breaks: bool) -> Self {
        let target = url.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            carried: AtomicU64::new(0),
            cuts,
            cut: AtomicU64::new(0),
            breaks,
            broken: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                if shared.broken.load(Ordering::Relaxed) {
                    continue;
                }
                let to = TcpStream::connect(&target).await.unwrap();
                tokio::spawn(carry(from, to, Arc::clone(&shared)));
            }
        });
        Self { url, state }
    }

    fn cuts(&self) -> u64 {
        self.state.cut.load(Ordering::Relaxed)
    }

    fn carried(&self) -> u64 {
        self.state.carried.load(Ordering::Relaxed)
    }

    fn mend(&self) {
        self.state.broken.store(false, Ordering::Relaxed);
    }
}

/// Carries both ways until one side ends, or the line is cut.
async fn carry(from: TcpStream, to: TcpStream, state: Arc<State>) {
    let (mut from_read, mut from_write) = from.into_split();
    let (mut to_read, mut to_write) = to.into_split();
    let back = copy(&mut to_read, &mut from_write);
    let forth = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = from_read.read(&mut buffer).await {
            if to_write.write_all(&buffer[..read]).await.is_err() {
                return;
            }
            let carried = state.carried.fetch_add(read as u64, Ordering::Relaxed) + read as u64;
            let next = usize::try_from(state.cut.load(Ordering::Relaxed)).unwrap();
            if state.cuts.get(next).is_some_and(|at| carried >= *at) {
                state.cut.fetch_add(1, Ordering::Relaxed);
                state.broken.store(state.breaks, Ordering::Relaxed);
                return;
            }
        }
    };
    tokio::select! {
        _ = back => {}
        () = forth => {}
    }
}

/// A file whose every block says where it belongs.
fn film(bytes: u64) -> NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
    let mut block = vec![0; 64 * 1024];
    for number in 0..bytes / block.len() as u64 {
        for (at, piece) in block.chunks_mut(8).enumerate() {
            piece.copy_from_slice(&(number << 16 | at as u64).to_le_bytes());
        }
        file.write_all(&block).unwrap();
    }
    file
}

/// By a program of its own: a debug build takes minutes for gigabytes.
fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

const SIZE: u64 = 64 * MIB;
const CUTS: [u64; 5] = [5 * MIB, 21 * MIB, 22 * MIB, 38 * MIB, 60 * MIB];

async fn is_live_and_whole(stage: &Stage, file: &NamedTempFile) {
    let posts = stage.posts().await;
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0]["media"][0]["bytes"], SIZE);
    assert_eq!(posts[0]["media"][0]["sha256"], sha256(file.path()));
}

#[tokio::test]
async fn a_large_file_arrives_whole_over_a_line_that_is_cut_five_times() {
    let mut stage = Stage::with("youtube", &[]).await;
    let line = Line::to(&stage.url, CUTS.to_vec(), false).await;
    stage.platform_url = Some(format!("{}/youtube", line.url));
    let file = film(SIZE);
    let content = json!({"body": "Long", "media": [{"path": file.path()}]});
    let mut ending = stage.publish(content.clone()).await;
    // The sandbox may not have looked at any byte of a chunk yet when it is asked for it.
    while ending.verdict.starts_with("wait") {
        ending = stage.go_on(content.clone(), ending.checkpoint).await;
    }
    assert_eq!(ending.verdict, "done", "{}", ending.message);
    assert_eq!(ending.published.unwrap().warnings, Vec::<String>::new());
    is_live_and_whole(&stage, &file).await;
    assert_eq!(line.cuts(), 5);
    // A cut costs no more than the chunk that it strikes.
    let most = SIZE + 5 * 8 * MIB + MIB;
    assert!(line.carried() < most, "{} bytes were sent", line.carried());
}

#[tokio::test]
async fn a_large_file_arrives_whole_in_six_runs() {
    let mut stage = Stage::with("youtube", &[]).await;
    let line = Line::to(&stage.url, CUTS.to_vec(), true).await;
    stage.platform_url = Some(format!("{}/youtube", line.url));
    let file = film(SIZE);
    let content = json!({"body": "Long", "media": [{"path": file.path()}]});
    let mut ending = stage.publish(content.clone()).await;
    let mut runs = 1;
    while ending.verdict != "done" {
        let is_passing = ["wait", "retry", "doubt"]
            .iter()
            .any(|passing| ending.verdict.starts_with(passing));
        assert!(is_passing, "{}: {}", ending.verdict, ending.message);
        assert_eq!(ending.checkpoint.as_ref().unwrap()["number"], 1);
        line.mend();
        runs += 1;
        ending = stage.go_on(content.clone(), ending.checkpoint).await;
    }
    is_live_and_whole(&stage, &file).await;
    assert_eq!(line.cuts(), 5);
    assert!(runs >= 6, "{runs}");
}

/// The most memory that the real binary held while it published one video by way of that address.
fn peak_kib(world: &world::World, path: &Path, token: u32, sandbox: &str) -> u64 {
    let account = world.account("youtube", token, "alder");
    world.due([post(account, "Long").with("media", json!([{"path": path}]))]);
    let mut child = world
        .publisher(&["run", "--time-budget", "1h"])
        .env("PUBLISHER_SANDBOX", sandbox)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let now = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        peak = peak.max(now.unwrap_or(0));
        // The figure only ever grows; it is read often enough to be read shortly before the end.
        std::thread::sleep(Duration::from_millis(5));
    }
    world::ended(child).exits(0);
    peak
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure is what this is run for")]
#[ignore = "2 GiB, which takes minutes: see the head of tests/youtube.rs"]
fn two_gibibytes_over_a_line_cut_five_times_take_no_more_memory_than_one_mebibyte() {
    let world = world::World::sqlite();
    let small = film(MIB);
    let large = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
    large.as_file().set_len(2048 * MIB).unwrap();
    for at in [0, 700 * MIB + 1, 2048 * MIB - 5] {
        large.as_file().write_all_at(b"here", at).unwrap();
    }
    let before = peak_kib(&world, small.path(), 1, &world.sandbox.url);
    let cuts = [100, 500, 501, 1200, 2000].map(|mebibytes| mebibytes * MIB);
    let target = world.sandbox.url.trim_end_matches('/').to_owned();
    let (tell, told) = std::sync::mpsc::channel();
    // It ends with the test's process.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            tell.send(Line::to(&target, cuts.to_vec(), false).await)
                .unwrap();
            std::future::pending::<()>().await;
        });
    });
    let line = told.recv().unwrap();
    let peak = peak_kib(&world, large.path(), 2, &line.url);
    assert_eq!(line.cuts(), 5);
    let posts = world.get("api/posts");
    assert_eq!(posts.as_array().unwrap().len(), 2);
    assert_eq!(posts[1]["media"][0]["bytes"], 2048 * MIB);
    assert_eq!(posts[1]["media"][0]["sha256"], sha256(large.path()));
    println!("VmHWM: {before} KiB with 1 MiB, {peak} KiB with 2 GiB");
    assert!(
        peak < before + 24 * 1024,
        "{peak} KiB, and {before} KiB with a small file"
    );
}
