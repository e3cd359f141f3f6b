//! What a cron host does to a process: signals at every stage, outputs that are closed or full, disks that are full.
//! The work and its recording are done all the same, or nothing is lost, and the exit code says which.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::process::{Command, Stdio};

use support::files;
use support::world::World;

#[path = "signals/disks.rs"]
mod disks;
#[path = "signals/stages.rs"]
mod stages;
#[path = "signals/streams.rs"]
mod streams;

/// The binary as a shell starts it: the script ends with `exec "$0" "$@"`, and perhaps what is done to its outputs.
fn in_shell(plain: &Command, script: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", script])
        .arg(plain.get_program())
        .args(plain.get_args())
        .env_clear()
        .envs(
            plain
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(plain.get_current_dir().unwrap())
        .stdin(Stdio::null());
    shell
}

/// How many journals there are.
fn journals(world: &World) -> usize {
    files::listed(&world.path("state/journal")).len()
}
