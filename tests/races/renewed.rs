//! A run that lives longer than its lease: it renews it, and where it can't, sends nothing more.

use std::fs::File;
use std::process::{Child, Stdio};

use chrono::TimeDelta;

use crate::support::clock::ShiftedClock;
use crate::support::proxy::{Act, Gate, Way};
use crate::support::story::{Story, is_last_request};
use crate::support::world::{Ended, World, ended, post, signal};

const POSTS: u32 = 3;
/// A little more than a third of a lease.
const STEP: TimeDelta = TimeDelta::seconds(60);

/// A run whose first post is on its way, and whose clock goes forward as the test says.
struct LongRun {
    story: Story,
    clock: ShiftedClock,
    run: Child,
    /// Before the platform's answer.
    gate: Gate,
    shifted: TimeDelta,
}

impl LongRun {
    fn start(mut story: Story) -> Self {
        let world = &story.world;
        // Its requests and its time budget are not what ends here.
        let settings = "request_timeout = \"2h\"\ntime_budget = \"2h\"\n";
        std::fs::write(world.path("publisher.toml"), settings).unwrap();
        story.posts = (1..=POSTS)
            .map(|n| post(world.account("slack", n, "alder"), &format!("post {n}")))
            .collect();
        story.begin();
        let held = |out: &[u8]| is_last_request(out, "slack", "/chat.postMessage");
        let gate = story
            .platforms
            .hold(move |wire| wire.way == Way::Back && held(wire.out));
        let clock = ShiftedClock::new(world.path("clock"));
        let mut command = story.publisher(&["--json", "--cap", "slack=1"]);
        clock.on(&mut command);
        let stderr = File::create(world.path("stderr")).unwrap();
        let run = command
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        assert!(gate.is_reached(), "no post was sent");
        Self {
            story,
            clock,
            run,
            gate,
            shifted: TimeDelta::zero(),
        }
    }

    /// So much time passes for the run.
    fn passes(&mut self, time: TimeDelta) {
        self.shifted += time;
        self.clock.shift(self.shifted, self.shifted);
    }

    /// A minute passes, and the run renews what it holds.
    fn is_renewed(&mut self) {
        let lease = |world: &World| world.rows("SELECT CAST(lease_until AS TEXT) FROM posts");
        let before = lease(&self.story.world);
        assert_eq!(before.len(), POSTS as usize);
        self.passes(STEP);
        self.story
            .world
            .await_until("every lease is renewed", |world| {
                lease(world)
                    .iter()
                    .zip(&before)
                    .all(|(now, before)| now > before)
            });
    }

    /// What it has said so far.
    fn said(&self) -> String {
        std::fs::read_to_string(self.story.world.path("stderr")).unwrap()
    }

    fn ends(self) -> (Story, Ended) {
        self.gate.open();
        let mut ended = ended(self.run);
        ended.stderr = std::fs::read_to_string(self.story.world.path("stderr")).unwrap();
        (self.story, ended)
    }
}

/// Four minutes with one answer outstanding: the lease of three has been renewed, and the others follow.
fn goes_on(story: Story) {
    let mut run = LongRun::start(story);
    for _ in 0..4 {
        run.is_renewed();
    }
    let (story, ended) = run.ends();
    let summary = ended.exits(0).json();
    assert_eq!(summary["published"], POSTS, "{summary}");
    // The claim, four renewals, two UPDATEs and the run's row.
    assert_eq!(summary["database_statements"], 8, "{summary}");
    story.published_once("renewed");
}

#[test]
fn a_run_that_lives_longer_renews_its_lease_with_sqlite() {
    goes_on(Story::sqlite_of(0));
}

#[test]
fn a_run_that_lives_longer_renews_its_lease_with_postgres() {
    goes_on(Story::postgres_of(0));
}

/// The database is away for the run: it ends what is on its way when the lease does, and starts nothing.
#[test]
fn a_run_that_can_not_renew_its_lease_sends_nothing_after_it() {
    let mut run = LongRun::start(Story::postgres_of(0));
    run.is_renewed();
    let database = run.story.database.as_ref().unwrap();
    database.decide(|_| Act::Reset);
    run.passes(TimeDelta::seconds(175));
    let world = &run.story.world;
    world.await_until("the run has given up", |_| {
        run.said().contains("the claim has ended")
    });
    run.story.heal();
    let (story, ended) = run.ends();
    let ended = ended.exits(1);
    let summary = ended.json();
    let found = (&summary["unconfirmed"], &summary["released"]);
    assert_eq!(found, (&1.into(), &2.into()), "{ended:?}");
    assert_eq!(story.world.stat("/published"), 1);
    story.make_up();
    story.published_once("not renewed");
}

/// Suspended between two renewals, and woken after others have taken its posts over.
#[test]
fn a_run_that_is_suspended_between_two_renewals_sends_nothing_after_its_lease() {
    for story in [Story::sqlite_of(0), Story::postgres_of(0)] {
        let mut run = LongRun::start(story);
        run.is_renewed();
        signal(&run.run, "STOP");
        let world = &run.story.world;
        world.let_time_pass();
        world.run(&["--fail-on", "none"]);
        world.let_time_pass();
        world.run(&["--fail-on", "none"]);
        assert_eq!(world.statuses(), format!("published {POSTS}"));
        run.passes(TimeDelta::hours(1));
        signal(&run.run, "CONT");
        let (story, ended) = run.ends();
        story.published_once(&format!("{ended:?}"));
        assert!(
            ended
                .stderr
                .contains("changed by somebody else while this run had it"),
            "{ended:?}"
        );
    }
}
