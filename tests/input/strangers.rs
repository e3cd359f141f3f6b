//! What others try who share the machine or the database.

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

use crate::support::world::{World, ended, post, signal};

/// Where a role may create functions in `public`, one of its own must not run with our rights.
#[test]
fn a_function_of_a_stranger_is_not_called() {
    let world = World::postgres();
    let role = format!("mallory_{}", std::process::id());
    world.execute(&format!(
        "CREATE ROLE {role}; GRANT CREATE ON SCHEMA public TO {role}; GRANT USAGE ON SCHEMA publisher TO {role}; SET ROLE {role}; \
         CREATE FUNCTION public.jsonb_populate_record(base publisher.runs, said jsonb) RETURNS publisher.runs LANGUAGE plpgsql \
         AS $$ BEGIN RAISE EXCEPTION 'a stranger runs as %', current_user; END $$; \
         CREATE FUNCTION public.jsonb_array_length(list jsonb) RETURNS integer LANGUAGE plpgsql \
         AS $$ BEGIN RAISE EXCEPTION 'a stranger runs as %', current_user; END $$"
    ));
    let account = world.account("slack", 1, "alder");
    world.due([post(account, "hi"), post(account, "[[reject]]")]);
    let ended = world.run(&[]).exits(1);
    assert!(!ended.stderr.contains("stranger"), "{ended:?}");
    assert_eq!(world.statuses(), "failed 1, published 1");
    world.tell(&["stats"]).exits(0);
    world.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

/// Any role can take the lock of migrations.
#[test]
fn a_lock_of_a_stranger_holds_no_run_up() {
    let world = World::postgres();
    world.due([post(world.account("slack", 1, "alder"), "hi")]);
    let mut stranger = world.block_on(async {
        let mut connection = PgConnection::connect(&world.database_url).await.unwrap();
        let lock = sqlx::raw_sql("SELECT pg_advisory_lock(5067418302415)");
        lock.execute(&mut connection).await.unwrap();
        connection
    });
    // With the schema as it should be, nobody asks for the lock.
    world.run(&["--migrate"]).exits(0);
    assert_eq!(world.statuses(), "published 1");
    // Where something is missing, a run that waits for it ends when it is told to.
    world.execute("DELETE FROM migrations WHERE version > 1");
    let run = world.start(&["--migrate"]);
    world.await_until("it waits", |world| {
        let waiting = "SELECT count(*) || '' FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        world.value(waiting) == "1"
    });
    let told = Instant::now();
    signal(&run, "TERM");
    let ended = ended(run).exits(143);
    assert!(told.elapsed() < Duration::from_secs(20), "{ended:?}");
    world.block_on(async { stranger.ping().await.unwrap() });
}
