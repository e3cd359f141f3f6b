//! A run that is suspended past its lease, and woken after others have taken its posts over: it sends nothing more,
//! overwrites nothing, and says which claims it lost.

use std::process::{Child, Stdio};

use chrono::TimeDelta;

use crate::support::clock::ShiftedClock;
use crate::support::proxy::{Gate, Passing, Way};
use crate::support::story::{Story, commits, is_last_request};
use crate::support::world::{Ended, ROUNDS, ended, post, signal};

/// More than any lease.
const LONG: TimeDelta = TimeDelta::hours(1);
const POSTS: u32 = 3;

/// What slept.
#[derive(Clone, Copy, Debug)]
enum Sleeper {
    /// The process: every clock went on.
    Process,
    /// The machine: its monotonic clock stood still.
    Machine,
}

/// Where in its work the run is suspended.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// The database has granted the claim; the run does not know yet. Nothing was asked of a platform.
    Claimed,
    /// The platform has what the post needs; the run does not know yet, and has published nothing.
    Prepared,
    /// The first post's answer has come in meanwhile; the others wait for their turn.
    BetweenPosts,
    /// The first post's answer comes after the run was woken.
    ReplyOutstanding,
}

impl Place {
    fn platform(self) -> &'static str {
        match self {
            Self::Prepared => "instagram",
            _ => "slack",
        }
    }

    fn is_here(self, wire: &Passing<'_>) -> bool {
        wire.way == Way::Back
            && match self {
                Self::Claimed => commits(wire) == 1,
                Self::Prepared => is_last_request(wire.out, "instagram", "/media"),
                Self::BetweenPosts | Self::ReplyOutstanding => {
                    is_last_request(wire.out, "slack", "/chat.postMessage")
                }
            }
    }

    /// How many posts the platform has by then.
    fn live(self) -> i64 {
        match self {
            Self::Claimed | Self::Prepared => 0,
            Self::BetweenPosts | Self::ReplyOutstanding => 1,
        }
    }
}

/// A run that is suspended, and its surroundings.
struct Suspended {
    story: Story,
    clock: ShiftedClock,
    place: Place,
    run: Child,
    /// Closed while the platform's answer is outstanding.
    gate: Option<Gate>,
}

impl Suspended {
    fn at(place: Place, mut story: Story) -> Self {
        let world = &story.world;
        let media =
            serde_json::json!([{"url": world.sandbox.sample("1080x1080.jpg"), "alt": "A loaf"}]);
        story.posts = (1..=POSTS)
            .map(|n| {
                let account = world.account(place.platform(), n, "alder");
                post(account, &format!("post {n}")).with(
                    "media",
                    match place {
                        Place::Prepared => media.clone(),
                        _ => serde_json::json!([]),
                    },
                )
            })
            .collect();
        story.begin();
        let wire = match place {
            Place::Claimed => story.database.as_ref().unwrap(),
            _ => &story.platforms,
        };
        let gate = wire.hold(move |wire| place.is_here(wire));
        let clock = ShiftedClock::new(story.world.path("clock"));
        let cap = format!("{}=1", place.platform());
        // With waves all of it is the first, and the next was asked for.
        story.drains = matches!(place, Place::Prepared | Place::ReplyOutstanding);
        let mut command = story.publisher(&["--cap", &cap]);
        clock.on(&mut command);
        let run = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        assert!(gate.is_reached(), "{place:?}: the run never came there");
        signal(&run, "STOP");
        story
            .world
            .await_until("the run is stopped", |_| is_stopped(&run));
        let gate = if matches!(place, Place::ReplyOutstanding) {
            Some(gate)
        } else {
            gate.open();
            story
                .world
                .await_until("the answer has come in", |_| has_unread_bytes(&run));
            None
        };
        Self {
            story,
            clock,
            place,
            run,
            gate,
        }
    }

    /// Its lease ends, and other runs publish what it had: not through the wire that may be held.
    fn is_replaced(&self) {
        let world = &self.story.world;
        for _ in 0..ROUNDS {
            world.let_time_pass();
            world.run(&["--fail-on", "none"]).exits(0);
            if world.statuses() == format!("published {POSTS}") {
                return;
            }
        }
        panic!("{:?}: {}", self.place, world.statuses());
    }

    /// It is woken later than its lease, and ends.
    fn wakes(self, sleeper: Sleeper) -> (Story, Ended) {
        match sleeper {
            Sleeper::Process => self.clock.shift(LONG, LONG),
            Sleeper::Machine => self.clock.shift(LONG, TimeDelta::zero()),
        }
        signal(&self.run, "CONT");
        if let Some(gate) = self.gate {
            gate.open();
        }
        let ended = ended(self.run);
        (self.story, ended)
    }
}

fn is_stopped(run: &Child) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap();
    status.lines().any(|line| line.starts_with("State:\tT"))
}

/// Whether something has arrived on a connection of the process that it has not read: `rx_queue` of a socket of its.
fn has_unread_bytes(run: &Child) -> bool {
    let sockets = std::fs::read_dir(format!("/proc/{}/fd", run.id())).unwrap();
    let sockets: Vec<String> = sockets
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter_map(|link| {
            let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(inode.to_owned())
        })
        .collect();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().skip(1).any(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let unread = columns[4].rsplit(':').next().unwrap();
        unread != "00000000" && sockets.iter().any(|inode| inode == columns[9])
    })
}

/// Everything that a woken run could overwrite.
fn rows(story: &Story) -> String {
    let dump = story.world.dump();
    // It may add its own row to the runs.
    dump.split_once("\nruns: ").unwrap().0.to_owned()
}

/// Others have published all; the run that wakes then changes nothing.
fn replaced(place: Place, story: Story, sleeper: Sleeper) {
    let what = format!("{place:?}, {sleeper:?}");
    let suspended = Suspended::at(place, story);
    let live = suspended.story.world.stat("/published");
    assert_eq!(live, place.live(), "{what}");
    suspended.is_replaced();
    let before = rows(&suspended.story);
    let (story, ended) = suspended.wakes(sleeper);
    story.published_once(&format!("{what}: {ended:?}"));
    assert_eq!(rows(&story), before, "{what}: {ended:?}");
    if matches!(place, Place::Claimed) && ended.code == 75 {
        // By its own clock the answer that it finds has taken an hour.
        assert!(
            ended.stderr.contains("did not answer within 40 s"),
            "{what}: {ended:?}"
        );
        return;
    }
    let ended = ended.exits(1);
    for id in story.world.rows("SELECT CAST(id AS TEXT) FROM posts") {
        let told =
            format!("publisher: post {id} was changed by somebody else while this run had it");
        assert!(
            ended.stderr.contains(&told),
            "{what}: no {told:?} in {ended:?}"
        );
    }
}

/// Nobody was there meanwhile. It records what it knows and sends nothing more; the next run does.
fn alone(place: Place, story: Story, sleeper: Sleeper) {
    let what = format!("{place:?}, {sleeper:?}");
    let (story, ended) = Suspended::at(place, story).wakes(sleeper);
    let (world, live) = (&story.world, place.live());
    assert_eq!(world.stat("/published"), live, "{what}: {ended:?}");
    assert!(
        !ended.stderr.contains("changed by somebody else"),
        "{what}: {ended:?}"
    );
    story.make_up();
    story.published_once(&format!("{what}: {ended:?}"));
    assert!(
        world.stat("/requests") < 100,
        "it did not go round in circles"
    );
}

const ON_THE_PLATFORM: [Place; 3] = [
    Place::Prepared,
    Place::BetweenPosts,
    Place::ReplyOutstanding,
];

#[test]
fn a_suspended_process_sends_nothing_after_its_lease_with_sqlite() {
    for place in ON_THE_PLATFORM {
        replaced(place, Story::sqlite_of(0), Sleeper::Process);
        alone(place, Story::sqlite_of(0), Sleeper::Process);
    }
}

#[test]
fn a_suspended_process_sends_nothing_after_its_lease_with_postgres() {
    for place in [Place::Claimed].into_iter().chain(ON_THE_PLATFORM) {
        replaced(place, Story::postgres_of(0), Sleeper::Process);
        alone(place, Story::postgres_of(0), Sleeper::Process);
    }
}

#[test]
fn a_machine_that_slept_sends_nothing_after_its_lease_with_sqlite() {
    for place in ON_THE_PLATFORM {
        replaced(place, Story::sqlite_of(0), Sleeper::Machine);
        alone(place, Story::sqlite_of(0), Sleeper::Machine);
    }
}

#[test]
fn a_machine_that_slept_sends_nothing_after_its_lease_with_postgres() {
    for place in [Place::Claimed].into_iter().chain(ON_THE_PLATFORM) {
        replaced(place, Story::postgres_of(0), Sleeper::Machine);
        alone(place, Story::postgres_of(0), Sleeper::Machine);
    }
}
