//! SIGTERM and SIGINT at every stage of a run, once, twice and three times; SIGHUP.

use std::process::{Child, Stdio};
use std::time::Duration;

use crate::support::proxy::{Gate, Passing, Way, opens};
use crate::support::story::{Story, claims, commits, is_last_request, updates};
use crate::support::world::{Ended, ended, post, signal};

const POSTS: u32 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting,
    /// The database's answer to the claim is held.
    Claiming,
    /// So is the platform's to the first post.
    Publishing,
    /// So is the database's to the first UPDATE.
    Committing,
    /// So is its word that everything is committed.
    Committed,
}

impl Stage {
    const ALL: [Self; 5] = [
        Self::Connecting,
        Self::Claiming,
        Self::Publishing,
        Self::Committing,
        Self::Committed,
    ];

    fn is_here(self, wire: &Passing<'_>) -> bool {
        match self {
            Self::Connecting => opens(wire),
            Self::Claiming => wire.way == Way::Back && claims(wire),
            Self::Publishing => {
                wire.way == Way::Back && is_last_request(wire.out, "slack", "/chat.postMessage")
            }
            Self::Committing => wire.way == Way::Back && updates(wire) > 0,
            Self::Committed => wire.way == Way::Back && commits(wire) == 2,
        }
    }

    /// What a run is that was stopped there, once the wire goes on: its exit code (where it is not the signal's) and
    /// how many posts it has published.
    fn comes_to(self) -> (Option<i32>, u32) {
        match self {
            Self::Connecting | Self::Claiming => (None, 0),
            Self::Publishing => (None, 1),
            // All of the work was done, and nothing was stopped.
            Self::Committing | Self::Committed => (Some(0), POSTS),
        }
    }
}

/// Posts of one platform, one after the other.
fn story() -> Story {
    let mut story = Story::postgres_of(0);
    let world = &story.world;
    let posts = (1..=POSTS).map(|n| post(world.account("slack", n, "alder"), &format!("post {n}")));
    story.posts = posts.collect();
    story
}

/// A run that stands still at that stage.
fn standing(story: &Story, stage: Stage) -> (Child, Gate) {
    story.begin();
    let wire = match stage {
        Stage::Publishing => &story.platforms,
        _ => story.database.as_ref().unwrap(),
    };
    let gate = wire.hold(move |wire| stage.is_here(wire));
    let mut command = story.publisher(&["--cap", "slack=1"]);
    let run = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(gate.is_reached(), "{stage:?}: the run never came there");
    (run, gate)
}

fn statuses(published: u32) -> String {
    match published {
        0 => format!("pending {POSTS}"),
        POSTS => format!("published {POSTS}"),
        _ => format!("pending {}, published {published}", POSTS - published),
    }
}

/// The signal again and again until the run ends: two that come close together may be delivered as one.
fn insist(run: Child, name: &str) -> Ended {
    let mut run = run;
    let began = std::time::Instant::now();
    while run.try_wait().unwrap().is_none() {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "it goes on waiting"
        );
        signal(&run, name);
        std::thread::sleep(Duration::from_millis(20));
    }
    ended(run)
}

const SIGNALS: [(&str, i32); 2] = [("TERM", 143), ("INT", 130)];

#[test]
fn one_signal_lets_each_stage_come_to_its_end() {
    let story = story();
    for stage in Stage::ALL {
        for (name, code) in SIGNALS {
            let what = format!("{name} while {stage:?}");
            let (run, gate) = standing(&story, stage);
            signal(&run, name);
            let run = if stage == Stage::Connecting {
                // Nothing was begun that would have to be waited for.
                let run = ended(run);
                gate.open();
                run
            } else {
                gate.open();
                ended(run)
            };
            let (own, published) = stage.comes_to();
            let what = format!("{what}: {run:?}");
            assert_eq!(run.code, own.unwrap_or(code), "{what}");
            assert_eq!(run.stdout, "", "{what}");
            let world = &story.world;
            assert_eq!(world.statuses(), statuses(published), "{what}");
            assert_eq!(world.stat("/published"), i64::from(published), "{what}");
            let tried = world.value("SELECT sum(attempts)::text FROM posts");
            assert_eq!(
                tried,
                published.to_string(),
                "what was not started was not tried: {what}"
            );
            assert_eq!(story.journals(), 0, "{what}");
            let rows = world.rows("SELECT exit_code::text FROM runs");
            let row = (stage != Stage::Connecting).then(|| run.code.to_string());
            assert_eq!(rows, Vec::from_iter(row), "{what}");
            story.make_up();
            story.published_once(&what);
        }
    }
}

#[test]
fn a_second_signal_stops_waiting_for_the_claim() {
    let story = story();
    for (name, code) in SIGNALS {
        let (run, gate) = standing(&story, Stage::Claiming);
        let run = insist(run, name).exits(code);
        gate.open();
        assert!(
            run.stderr.contains("come back when their lease ends"),
            "{run:?}"
        );
        assert_eq!(story.world.stat("/requests"), 0);
        story.make_up();
        story.published_once(&format!("{run:?}"));
    }
}

#[test]
fn a_second_signal_stops_waiting_for_the_platform_and_a_third_changes_nothing() {
    let story = story();
    for (name, code) in SIGNALS {
        let (run, gate) = standing(&story, Stage::Publishing);
        let run = insist(run, name).exits(code);
        gate.open();
        assert!(
            run.stderr
                .contains("the run was stopped before the platform answered"),
            "{run:?}"
        );
        assert_eq!(
            story.world.statuses(),
            format!("pending {}, unconfirmed 1", POSTS - 1)
        );
        assert_eq!(story.journals(), 0);
        story.make_up();
        story.published_once(&format!("{run:?}"));
    }
}

/// A second signal while the database is slow to take the outcomes ends the waiting; they are not thrown away.
#[test]
fn no_signal_keeps_what_a_run_did_from_being_recorded() {
    let story = story();
    for stage in [Stage::Committing, Stage::Committed] {
        let (run, gate) = standing(&story, stage);
        let run = insist(run, "TERM").exits(74);
        assert_eq!(story.journals(), 1, "{run:?}");
        gate.open();
        story.heal();
        story.make_up();
        story.published_once(&format!("{stage:?}: {run:?}"));
    }
}

/// What a terminal or an ssh session sends when it goes away. `nohup` turns it off, so it keeps its default, death; and
/// that is a death like any other.
#[test]
fn a_hangup_loses_nothing() {
    let story = story();
    for stage in Stage::ALL {
        let (mut run, gate) = standing(&story, stage);
        signal(&run, "HUP");
        assert_eq!(run.wait().unwrap().code(), None, "it died of the signal");
        gate.open();
        story.heal();
        story.make_up();
        story.published_once(&format!("HUP while {stage:?}"));
    }
}
