//! The server is stopped, full, or lets nobody in.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::between::{Running, WAITS, all, between, outcomes, the_next_run_records};
use crate::support::postgres::{Cluster, cluster};
use crate::support::story::Story;
use crate::support::world::World;

/// Ends the run's session, and returns once the server knows.
fn cut_off(story: &Story) {
    let its = "FROM pg_stat_activity WHERE application_name = 'publisher' AND datname = current_database()";
    story
        .world
        .rows(&format!("SELECT pg_terminate_backend(pid)::text {its}"));
    story.world.await_until("its session is gone", |world| {
        world.rows(&format!("SELECT pid::text {its}")).is_empty()
    });
}

pub(crate) fn one_that_comes_back_is_waited_for() {
    let cluster = Cluster::start(&["-c", "fsync=off"]);
    let (story, other) = (Story::on_cluster(&cluster), Story::on_cluster(&cluster));
    story.begin();
    let mut run = between(&story, |_| cluster.crash());
    run.says(WAITS, 1);
    cluster.restart();
    let run = run.ends().exits(0);
    story.published_once("stopped for a second");
    assert!(run.stderr.contains("the next try is in"), "{run:?}");

    story.begin();
    other.begin();
    let mut run = between(&story, |_| cluster.crash());
    let began = Instant::now();
    // Meanwhile nothing is sent that can't be claimed.
    let second = Running::start(&other).ends().exits(75);
    assert!(second.stderr.contains("can't be reached"), "{second:?}");
    assert_eq!(other.world.stat("/requests"), 0);
    run.says(WAITS, 2);
    // The outage itself is what is told of here.
    std::thread::sleep(Duration::from_secs(30).saturating_sub(began.elapsed()));
    cluster.restart();
    run.ends().exits(0);
    story.published_once("stopped for half a minute");
    other.make_up();
    other.published_once("stopped before the claim");
}

/// Takes every connection that is left.
async fn fill(url: &str) -> Vec<PgConnection> {
    let mut taken = Vec::new();
    while let Ok(connection) = PgConnection::connect(url).await {
        taken.push(connection);
    }
    taken
}

#[test]
fn one_without_a_free_connection_is_waited_for_at_the_end_and_left_alone_before() {
    let few = ["max_connections=6", "superuser_reserved_connections=0"];
    let cluster = Cluster::start(&["-c", "fsync=off", "-c", few[0], "-c", few[1]]);
    let story = Story::on_cluster(&cluster);
    story.begin();
    let world = &story.world;
    let url = world.database_url.clone();

    let taken = world.block_on(fill(&url));
    let run = Running::start(&story).ends().exits(75);
    assert!(run.stderr.contains("[53300]"), "{run:?}");
    assert_eq!(world.stat("/requests"), 0);
    drop(taken);
    world.await_until("there is room", |world| {
        world.block_on(PgConnection::connect(&url)).is_ok()
    });

    let mut taken = Vec::new();
    let mut run = between(&story, |_| {
        cut_off(&story);
        taken = world.block_on(fill(&url));
    });
    run.says(WAITS, 2);
    assert!(run.said().contains("[53300]"), "{}", run.said());
    drop(taken);
    run.ends().exits(0);
    story.published_once("no connection was free");
}

/// The story's database, as a role that is not a superuser.
fn as_role(story: &mut Story, role: &str) {
    let world: &mut World = &mut story.world;
    world.execute(&format!(
        "CREATE ROLE {role} LOGIN BYPASSRLS; GRANT USAGE ON SCHEMA publisher TO {role}; \
         GRANT ALL ON ALL TABLES IN SCHEMA publisher TO {role}; \
         GRANT ALL ON ALL SEQUENCES IN SCHEMA publisher TO {role}; \
         GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA publisher TO {role}"
    ));
    world.database_url = world
        .database_url
        .replace("//postgres@", &format!("//{role}@"));
}

#[test]
fn one_that_refuses_the_login_at_the_end_leaves_the_journal() {
    let cases = [
        (
            "ALTER ROLE $r NOLOGIN",
            "ALTER ROLE $r LOGIN",
            "refuses the login",
        ),
        (
            "REVOKE CONNECT ON DATABASE $d FROM PUBLIC",
            "GRANT CONNECT ON DATABASE $d TO PUBLIC",
            "permission denied",
        ),
        (
            "ALTER ROLE $r RENAME TO $r_elsewhere",
            "ALTER ROLE $r_elsewhere RENAME TO $r",
            "refuses the login",
        ),
    ];
    all(&cases, |&(refuse, allow, says)| {
        let mut story = Story::postgres();
        let database = story.world.database_url.rsplit('/').next().unwrap();
        let (database, role) = (database.to_owned(), format!("role_of_{database}"));
        let execute = |world: &World, sql: &str| {
            world.execute(&sql.replace("$r", &role).replace("$d", &database));
        };
        as_role(&mut story, &role);
        story.begin();
        let run = between(&story, |_| {
            execute(&story.world, refuse);
            cut_off(&story);
        });
        let run = run.ends().exits(74);
        let told = [says, "the next run records them from its journal"];
        assert!(
            told.iter().all(|part| run.stderr.contains(part)),
            "{refuse}: {run:?}"
        );
        assert_eq!(outcomes(&run), 5, "{refuse}: {run:?}");
        execute(&story.world, allow);
        the_next_run_records(&story, refuse);
    });
}

#[test]
fn a_database_that_takes_no_connections_for_a_while_is_waited_for() {
    let story = Story::postgres();
    story.begin();
    let world = &story.world;
    let database = world.database_url.rsplit('/').next().unwrap();
    let allow = |is_allowed: bool| {
        let sql = format!("ALTER DATABASE {database} ALLOW_CONNECTIONS {is_allowed}");
        world.block_on(async {
            let mut admin = PgConnection::connect(&cluster().url("postgres"))
                .await
                .unwrap();
            admin.execute(AssertSqlSafe(sql)).await.unwrap();
        });
    };
    let mut run = between(&story, |_| {
        cut_off(&story);
        allow(false);
    });
    run.says("not currently accepting connections", 1);
    allow(true);
    run.ends().exits(0);
    story.published_once("ALLOW_CONNECTIONS");
}
