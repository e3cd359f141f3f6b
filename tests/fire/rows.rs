//! The database refuses rows.

use crate::between::{Running, all, between, outcomes, the_next_run_records};
use crate::support::story::Story;
use crate::support::world::{Ended, World, post, signal};

/// Makes the database refuse whatever becomes of these posts. `how` is what a trigger of PostgreSQL says to them.
fn refuse(world: &World, posts: &[i64], how: &str) {
    let ids: Vec<String> = posts.iter().map(ToString::to_string).collect();
    let ids = ids.join(", ");
    world.execute(&if !world.is_postgres() {
        format!(
            "CREATE TRIGGER fire BEFORE UPDATE ON posts WHEN NEW.status <> 'publishing' AND NEW.id IN ({ids})
             BEGIN SELECT raise(ABORT, 'not this one'); END"
        )
    } else if how == "CHECK" {
        format!(
            "ALTER TABLE publisher.posts ADD CONSTRAINT \"not this one\" CHECK (status = 'publishing' OR id NOT IN ({ids})) NOT VALID"
        )
    } else {
        format!(
            "CREATE FUNCTION public.fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.status <> 'publishing' AND NEW.id IN ({ids}) THEN {how}; END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER fire BEFORE UPDATE ON publisher.posts FOR EACH ROW EXECUTE FUNCTION public.fire()"
        )
    });
}

fn allow(world: &World) {
    world.execute(if world.is_postgres() {
        "ALTER TABLE publisher.posts DROP CONSTRAINT IF EXISTS \"not this one\";
         DROP FUNCTION IF EXISTS public.fire CASCADE"
    } else {
        "DROP TRIGGER fire"
    });
}

fn ids(world: &World) -> Vec<i64> {
    let ids = world.rows("SELECT CAST(id AS TEXT) FROM posts ORDER BY id");
    ids.iter().map(|id| id.parse().unwrap()).collect()
}

/// Whether on SQLite, how many accounts of each platform, how many posts are refused, how, and what says so.
type Case = (bool, u32, usize, &'static str, &'static str);

const CASES: [Case; 8] = [
    (true, 1, 1, "", "not this one"),
    (true, 4, 3, "", "not this one"),
    (false, 4, 1, "CHECK", "not this one"),
    (false, 4, 3, "RAISE 'not this one'", "[P0001]"),
    // For ever, and of one row alone.
    (
        false,
        1,
        1,
        "RAISE 'not this one' USING ERRCODE = '40001'",
        "[40001]",
    ),
    (
        false,
        1,
        2,
        "RAISE 'not this one' USING ERRCODE = 'AB123'",
        "[AB123]",
    ),
    (
        false,
        1,
        1,
        "RAISE 'not this one' USING ERRCODE = 'XX000'",
        "[XX000]",
    ),
    // The application's trigger is broken, not publisher's schema.
    (false, 1, 1, "PERFORM 1 FROM nowhere", "[42P01]"),
];

fn story((is_sqlite, accounts, ..): &Case) -> Story {
    let story = if *is_sqlite {
        Story::sqlite_of(*accounts)
    } else {
        Story::postgres_of(*accounts)
    };
    story.begin();
    story
}

/// The others are recorded, and what was refused is told; returns how the run ended.
fn is_refused(story: &Story, case: &Case) -> Ended {
    let &(_, _, count, how, says) = case;
    let all = ids(&story.world);
    let refused = &all[all.len() - count..];
    refuse(&story.world, refused, how);
    let run = Running::start(story).ends().exits(74);
    for id in refused {
        let told = format!("the database refused the outcome of post {id}: ");
        assert_eq!(run.stderr.matches(&told).count(), 1, "{case:?}: {run:?}");
    }
    assert!(run.stderr.contains(says), "{case:?}: {run:?}");
    assert!(
        run.stderr
            .contains("the next run records them from its journal"),
        "{case:?}: {run:?}"
    );
    assert_eq!(outcomes(&run), count, "{case:?}: {run:?}");
    let statuses = format!("published {}, publishing {count}", all.len() - count);
    assert_eq!(story.world.statuses(), statuses, "{case:?}: {run:?}");
    run
}

#[test]
fn those_that_are_refused_wait_in_the_journal_and_hold_back_no_other() {
    all(&CASES, |case| {
        let story = story(case);
        is_refused(&story, case);
        allow(&story.world);
        the_next_run_records(&story, &format!("{case:?}"));
    });
}

/// Of a run that ended, and of one that was killed before its commit.
pub(crate) fn those_that_are_refused_for_ever_keep_no_later_run_from_publishing() {
    all(&CASES, |case| {
        for is_killed in [false, true] {
            let story = story(case);
            let world = &story.world;
            if is_killed {
                let posts = ids(world);
                let run = between(&story, |run| {
                    refuse(world, &posts[posts.len() - case.2..], case.3);
                    signal(&run.child, "KILL");
                    run.child.wait().unwrap();
                });
                drop(run);
            } else {
                is_refused(&story, case);
            }
            let live = world.stat("/published");
            // A body of its own: else it might be taken for the other. What else waits for an account with a row that
            // was refused belongs to that run, until its lease ends: it stays in order.
            let same = story.posts.last().unwrap().clone();
            let other = world.account("slack", 99, "another owner");
            let new = world.due([post(other, "Hello again"), same.with("body", "Hello again")]);
            story.heal();
            let mut next = story.publisher(&["--fail-on", "none", "--platform", "slack"]);
            let next = Ended::from(next.output().unwrap());
            let what = format!("{case:?}, killed: {is_killed}: {next:?}");
            assert_ne!(next.code, 75, "{what}");
            let is = |id: i64, status: &str| {
                let sql = format!("SELECT status FROM posts WHERE id = {id}");
                assert_eq!(world.value(&sql), status, "{what}");
            };
            is(new[0], "published");
            let refused = format!(
                "SELECT CAST(count(*) AS TEXT) FROM posts WHERE status = 'publishing'
                 AND account_id = (SELECT account_id FROM posts WHERE id = {})",
                new[1]
            );
            let is_held = world.value(&refused) != "0";
            is(new[1], if is_held { "pending" } else { "published" });
            assert_eq!(
                (world.stat("/published"), world.stat("/duplicates")),
                (live + 1 + i64::from(!is_held), 0),
                "{what}"
            );
            // The journal waits until the database takes them.
            assert_eq!(story.journals(), 1, "{what}");
            allow(world);
            story.make_up();
            let statuses = format!("published {}", story.posts.len() + 2);
            let found = (
                world.statuses(),
                story.journals(),
                world.stat("/duplicates"),
            );
            assert_eq!(found, (statuses, 0, 0), "{what}");
        }
    });
}

/// Refuses the rows of runs, or that an account needs a login.
fn refuse_beside(world: &World, table: &str, when: &str) {
    world.execute(&if world.is_postgres() {
        format!("ALTER TABLE publisher.{table} ADD CONSTRAINT \"not so\" CHECK (NOT ({when})) NOT VALID")
    } else {
        ["INSERT", "UPDATE"]
            .map(|what| {
                let when = when.replace("status", "NEW.status").replace("due ", "NEW.due ");
                format!(
                    "CREATE TRIGGER not_so_{what} BEFORE {what} ON {table} WHEN {when} BEGIN SELECT raise(ABORT, 'not so'); END"
                )
            })
            .join("; ")
    });
}

#[test]
fn a_runs_own_row_that_is_refused_costs_no_post() {
    all(&[Story::sqlite as fn() -> Story, Story::postgres], |make| {
        let story = make();
        story.begin();
        refuse_beside(&story.world, "runs", "due > 0");
        let run = Running::start(&story).ends().exits(74);
        assert!(
            run.stderr.contains("the run's own row") && run.stderr.contains("not so"),
            "{run:?}"
        );
        assert_eq!(outcomes(&run), 0, "{run:?}");
        story.published_once("the run's own row");

        // Nor does that of a run that was killed.
        story.world.execute("DELETE FROM posts");
        story.world.block_on(story.world.sandbox.reset());
        story.world.due(story.posts.clone());
        drop(between(&story, |run| {
            signal(&run.child, "KILL");
            run.child.wait().unwrap();
        }));
        story.heal();
        let next = story.publisher(&["--fail-on", "none", "--platform", "slack"]);
        let next = Ended::from({ next }.output().unwrap());
        assert!(next.stderr.contains("the run's own row"), "{next:?}");
        assert_eq!(story.journals(), 0, "{next:?}");
        assert!(
            !story.world.statuses().contains("publishing"),
            "{}: {next:?}",
            story.world.statuses()
        );
        assert_ne!(next.code, 75, "{next:?}");
    });
}

#[test]
fn what_is_refused_of_an_account_costs_no_post() {
    all(&[Story::sqlite as fn() -> Story, Story::postgres], |make| {
        let story = make();
        story.begin();
        refuse_beside(&story.world, "accounts", "status = 'needs_login'");
        story.world.faults(&["slack:401"]);
        let run = Running::start(&story).ends().exits(74);
        assert!(
            run.stderr.contains("what this run says of an account")
                && run.stderr.contains("needs_login"),
            "{run:?}"
        );
        assert_eq!(story.world.statuses(), "pending 1, published 4", "{run:?}");
        assert_eq!(
            story.world.value("SELECT CAST(count(*) AS TEXT) FROM runs"),
            "1"
        );
        assert_eq!(story.journals(), 0);
    });
}
