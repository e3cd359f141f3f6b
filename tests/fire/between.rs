//! A run that stands still between its publishing and its commit, and what can be read of it meanwhile.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::support::proxy::{Act, Way, gate};
use crate::support::story::{Story, is_publishing};
use crate::support::world::{Ended, World};

/// What a run says when a commit, or a claim, is to be tried again.
pub(crate) const WAITS: &str = "can't be recorded yet";
pub(crate) const CLAIM_WAITS: &str = "can't be claimed yet";
/// Leaves the post of Slack unconfirmed: its answer is lost, and the look-up fails.
pub(crate) const IN_DOUBT: [&str; 2] = ["slack:reset-after-accept", "slack/status:500"];
/// Longer than a run may wait for its database.
const LONGEST: Duration = Duration::from_mins(2);

/// A run whose stderr goes to a file.
pub(crate) struct Running {
    pub(crate) child: Child,
    stderr: PathBuf,
    began: Instant,
}

impl Running {
    pub(crate) fn start(story: &Story) -> Self {
        Self::of(story, story.publisher(&[]))
    }

    fn of(story: &Story, mut publisher: Command) -> Self {
        let stderr = story.world.path("stderr");
        let child = publisher
            .stdout(Stdio::null())
            .stderr(File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        let began = Instant::now();
        Self {
            child,
            stderr,
            began,
        }
    }

    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap()
    }

    /// Waits until it has said so, so many times.
    pub(crate) fn says(&mut self, text: &str, times: usize) {
        while self.said().matches(text).count() < times {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && self.began.elapsed() < LONGEST,
                "it never said {text:?}: {ended:?}: {}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn ends(mut self) -> Ended {
        let status = self.child.wait().unwrap();
        assert!(self.began.elapsed() < LONGEST, "it took too long");
        Ended::from(Output {
            status,
            stdout: Vec::new(),
            stderr: self.said().into(),
        })
    }
}

/// Starts a run, does the work when the first post is live and its answer on the way, and lets the run go on.
pub(crate) fn between(story: &Story, work: impl FnOnce(&mut Running)) -> Running {
    between_as(story, story.publisher(&[]), work)
}

/// The same with a run that is started in another way.
pub(crate) fn between_as(
    story: &Story,
    publisher: Command,
    work: impl FnOnce(&mut Running),
) -> Running {
    let (gate, then) = gate();
    let mut then = Some(then);
    story.platforms.decide(move |wire| {
        let is_reply = wire.way == Way::Back && is_publishing(wire.out);
        match is_reply.then(|| then.take()).flatten() {
            Some(then) => Act::PassThen(then),
            None => Act::Pass,
        }
    });
    let mut run = Running::of(story, publisher);
    assert!(gate.is_reached(), "{}", run.said());
    work(&mut run);
    gate.open();
    run
}

/// The lines of outcomes on stderr.
pub(crate) fn outcomes(run: &Ended) -> usize {
    let lines = run.stderr.lines();
    lines.filter(|line| line.starts_with('{')).count()
}

/// A run that ends with 74 and a journal; the next one, once the trouble is over, records it without a request.
pub(crate) fn the_next_run_records(story: &Story, what: &str) {
    assert_eq!(story.journals(), 1, "{what}");
    story.heal();
    let requests = story.world.stat("/requests");
    Ended::from(story.publisher(&[]).output().unwrap()).exits(0);
    story.published_once(what);
    assert_eq!(story.world.stat("/requests"), requests, "{what}");
}

/// Another session with a transaction, which ends when it is dropped.
pub(crate) enum Session<'a> {
    Postgres(&'a World, Option<PgConnection>),
    Sqlite(&'a World, Option<SqliteConnection>),
}

impl<'a> Session<'a> {
    pub(crate) fn begin(world: &'a World, sql: &str) -> Self {
        let url = world.database_url.as_str();
        let mut session = if world.is_postgres() {
            let connection = world.block_on(PgConnection::connect(url)).unwrap();
            Self::Postgres(world, Some(connection))
        } else {
            let connection = world.block_on(SqliteConnection::connect(url)).unwrap();
            Self::Sqlite(world, Some(connection))
        };
        session.execute(sql);
        session
    }

    pub(crate) fn execute(&mut self, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let done = match self {
            Self::Postgres(world, connection) => world
                .block_on(sql.execute(connection.as_mut().unwrap()))
                .map(drop),
            Self::Sqlite(world, connection) => world
                .block_on(sql.execute(connection.as_mut().unwrap()))
                .map(drop),
        };
        done.unwrap();
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        match self {
            Self::Postgres(world, connection) => {
                let connection = connection.take().unwrap();
                world.block_on(connection.close()).ok();
            }
            Self::Sqlite(world, connection) => {
                let connection = connection.take().unwrap();
                world.block_on(connection.close()).ok();
            }
        }
    }
}

/// Runs the cases at once: most of their time is waiting.
pub(crate) fn all<T: Sync>(cases: &[T], case: impl Fn(&T) + Sync) {
    std::thread::scope(|scope| {
        for each in cases {
            scope.spawn(|| case(each));
        }
    });
}

/// Runs the stories at once, for the same reason.
pub(crate) fn at_once(stories: &[(&str, fn())]) {
    std::thread::scope(|scope| {
        for (name, story) in stories {
            let thread = std::thread::Builder::new().name((*name).to_owned());
            thread.spawn_scoped(scope, story).unwrap();
        }
    });
}
