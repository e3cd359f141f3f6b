//! How close a run comes to what the platforms' caps and their latency allow.
//!
//! The sandbox is asked for 50 ms and answers a little later, as its timer and the machine allow. The bound counts with
//! what a bare client waits for one request after the other; the ratio to a bound of exactly 50 ms is given as well.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Row, World, median, milliseconds, sandbox};
use crate::bare;
use crate::databases::{Engine, Seed, TOKEN, text};
use crate::processes::Sandbox;

const LATENCY: Duration = Duration::from_millis(50);
const POSTS_PER_PLATFORM: usize = 100;
const ACCOUNTS_PER_PLATFORM: usize = 20;
const TURNS: usize = 5;
const TARGET: f64 = 1.05;
/// So many requests tell the latency.
const REQUESTS: usize = 30;
/// The least that makes a video; here it is requests that count.
const VIDEO_BYTES: u64 = 64 * 1024;

pub(super) fn take(world: &World) -> Result<Vec<Row>> {
    let sandbox = sandbox(world, LATENCY)?;
    let video = world.directory.path().join("short.mp4");
    std::fs::File::create(&video)?.set_len(VIDEO_BYTES)?;
    let platforms = publisher::platform::names();
    let mut seed = Seed {
        accounts: Vec::new(),
        due: Vec::new(),
        future: 0,
    };
    for platform in &platforms {
        let first = seed.accounts.len();
        let accounts = (0..ACCOUNTS_PER_PLATFORM).map(|n| (*platform, external_id(platform, n)));
        seed.accounts.extend(accounts);
        let posts = (0..POSTS_PER_PLATFORM).map(|n| {
            (
                first + n % ACCOUNTS_PER_PLATFORM,
                content(platform, n, &video, &sandbox.url),
            )
        });
        seed.due.extend(posts);
    }
    let due = seed.due.len();

    let mut rows = Vec::new();
    for engine in Engine::ALL {
        let template = world.template(engine, "latency", &seed)?;
        let (mut walls, mut stages) = (Vec::new(), Vec::new());
        let (mut latencies, mut bounds) = (Vec::new(), Vec::new());
        let mut nominal = Duration::ZERO;
        for _ in 0..TURNS {
            let database = world.fresh(&template)?;
            world.runtime.block_on(sandbox.reset())?;
            let ran = world.programs.publish(&database, &sandbox, "smart", due)?;
            let stats = world.runtime.block_on(sandbox.stats())?;
            let stage = ran.summary["duration_ms"].as_u64().context("duration_ms")?;
            let latency = world.runtime.block_on(waited(&sandbox))?;
            latencies.push(latency);
            bounds.push(lower_bound(&ran.summary, &stats, latency)?);
            nominal = lower_bound(&ran.summary, &stats, LATENCY)?;
            walls.push(ran.wall);
            stages.push(Duration::from_millis(stage));
        }
        let ratio =
            |times: &[Duration], bound: Duration| median(times).as_secs_f64() / bound.as_secs_f64();
        let bound = median(&bounds);
        let medians = format!(
            "process {} : bound {} at {} a request; from claim to commit {} ({:.2}); at 50 ms {:.2}",
            milliseconds(median(&walls)),
            milliseconds(bound),
            milliseconds(median(&latencies)),
            milliseconds(median(&stages)),
            ratio(&stages, bound),
            ratio(&walls, nominal),
        );
        let what = format!("latency: {due} posts at 50 ms, {}", engine.name());
        rows.push(Row::ratio(what, ratio(&walls, bound), TARGET, medians));
    }
    Ok(rows)
}

/// How long a bare client waits for an answer of the sandbox.
async fn waited(sandbox: &Sandbox) -> Result<Duration> {
    let client = bare::client()?;
    let mut times = Vec::new();
    for _ in 0..REQUESTS {
        let began = Instant::now();
        let request = client.post(format!("{}/slack/api/auth.test", sandbox.url));
        let reply = request.bearer_auth(TOKEN).send().await?;
        reply.error_for_status()?.bytes().await?;
        times.push(began.elapsed());
    }
    Ok(median(&times))
}

/// The slowest lane, were every slot of every lane busy from the first request to the last.
fn lower_bound(summary: &Value, stats: &Value, latency: Duration) -> Result<Duration> {
    let lanes = summary["platforms"].as_object().context("platforms")?;
    let mut slowest = Duration::ZERO;
    for (name, lane) in lanes {
        let stats = &stats["platforms"][name];
        let number = |value: &Value| value.as_f64().with_context(|| format!("{name}: a number"));
        let (posts, cap) = (number(&lane["published"])?, number(&lane["cap"])?);
        let requests_per_post = number(&stats["requests"])? / posts;
        let rounds = (posts / cap).ceil();
        slowest = slowest.max(latency.mul_f64(rounds * requests_per_post));
    }
    Ok(slowest)
}

fn external_id(platform: &str, n: usize) -> String {
    match platform {
        "instagram" => format!("178414{n:011}"),
        "linkedin" => format!("urn:li:organization:{}", 1000 + n),
        "youtube" => format!("UC{n:022}"),
        "slack" => format!("C{n:07}"),
        _ => format!("{}", 1_000_000 + n),
    }
}

/// What each platform is mostly used for.
fn content(platform: &str, n: usize, video: &std::path::Path, sandbox: &str) -> Value {
    match platform {
        "instagram" => json!({
            "body": text(n),
            "media": [{"url": format!("{sandbox}/samples/1080x1080.jpg"), "alt": "A shop window"}],
        }),
        "youtube" => json!({
            "body": text(n), "media": [{"path": video}], "options": {"title": format!("Season {n}")},
        }),
        _ => json!({"body": text(n)}),
    }
}
