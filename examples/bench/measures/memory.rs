//! The most memory that a run holds: with many posts, and with one large video.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{Row, World, messages, sandbox};
use crate::databases::{Engine, Seed};
use crate::processes::Sandbox;

const POSTS: usize = 10_000;
const SMALL_VIDEO: u64 = 1 << 20;
const LARGE_VIDEO: u64 = 1 << 30;
/// What the large video may add.
const TARGET_KIB: usize = 16 * 1024;

pub(super) fn take(world: &World) -> Result<Vec<Row>> {
    let sandbox = sandbox(world, Duration::ZERO)?;
    let mut rows = Vec::new();
    for engine in Engine::ALL {
        let template = world.template(engine, "memory", &messages(POSTS))?;
        let database = world.fresh(&template)?;
        let peak = world
            .programs
            .publish_and_weigh(&database, &sandbox, "max-speed", POSTS)?;
        let what = format!("memory: {POSTS} posts, {}", engine.name());
        rows.push(Row::figure(what, mebibytes(peak)));
    }
    let small = video(world, &sandbox, "small", SMALL_VIDEO)?;
    let large = video(world, &sandbox, "large", LARGE_VIDEO)?;
    let added = large.saturating_sub(small);
    rows.push(Row {
        what: "memory: a video of 1 GiB adds to one of 1 MiB".to_owned(),
        figure: mebibytes(added),
        target: format!("< {}", mebibytes(TARGET_KIB)),
        is_met: Some(added < TARGET_KIB),
        medians: format!("{} : {}", mebibytes(large), mebibytes(small)),
    });
    Ok(rows)
}

/// The peak of a run that uploads one video of that size.
fn video(world: &World, sandbox: &Sandbox, name: &str, bytes: u64) -> Result<usize> {
    let path = world.directory.path().join(format!("{name}.mp4"));
    std::fs::File::create(&path)?.set_len(bytes)?;
    let seed = Seed {
        accounts: vec![("youtube", format!("UC{:022}", 1))],
        due: vec![(
            0,
            json!({"body": "A long film", "media": [{"path": path}], "options": {"title": name}}),
        )],
        future: 0,
    };
    let template = world.template(Engine::Sqlite, &format!("video_{name}"), &seed)?;
    let database = world.fresh(&template)?;
    world
        .programs
        .publish_and_weigh(&database, sandbox, "smart", 1)
}

fn mebibytes(kib: usize) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}
