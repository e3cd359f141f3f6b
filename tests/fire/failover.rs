//! A database that may not be written, and a standby that takes over.

use sqlx::{Connection, Executor, PgConnection};

use crate::between::{IN_DOUBT, Running, between};
use crate::support::database::Raw;
use crate::support::postgres::Cluster;
use crate::support::story::Story;

/// What a cluster answers.
fn ask(story: &Story, cluster: &Cluster, sql: &str) -> Vec<String> {
    story.world.block_on(async {
        let mut raw = Raw::connect(&cluster.url("postgres")).await;
        raw.texts(sql).await
    })
}

fn tell(story: &Story, cluster: &Cluster, sql: &'static str) {
    story.world.block_on(async {
        let mut connection = PgConnection::connect(&cluster.url("postgres"))
            .await
            .unwrap();
        connection.execute(sql).await.unwrap();
    });
}

fn catches_up(story: &Story, primary: &Cluster, standby: &Cluster) {
    let written = ask(story, primary, "SELECT pg_current_wal_flush_lsn()::text");
    let sql = format!(
        "SELECT (pg_last_wal_replay_lsn() >= '{}')::text",
        written[0]
    );
    story.world.await_until("the standby has it all", |_| {
        ask(story, standby, &sql) == ["true"]
    });
}

fn lead_to(story: &Story, cluster: &Cluster) {
    let wire = story.database.as_ref().unwrap();
    wire.lead_to(&format!("127.0.0.1:{}", cluster.port()));
}

pub(crate) fn a_standby_takes_over() {
    let primary = Cluster::start(&["-c", "fsync=off"]);
    let standby = primary.standby();
    let told = Story::on_cluster(&primary);
    let untold = Story::on_cluster(&primary);
    told.begin();
    untold.begin();
    catches_up(&told, &primary, &standby);

    // As long as it is one, nothing is sent.
    lead_to(&told, &standby);
    let run = Running::start(&told).ends().exits(75);
    assert!(
        run.stderr.contains("is read-only") && run.stderr.contains("[25006]"),
        "{run:?}"
    );
    assert_eq!(told.world.stat("/requests"), 0);
    lead_to(&told, &primary);

    // One claim arrives there, the other one does not.
    untold.world.faults(&IN_DOUBT);
    let mut second = None;
    let first = between(&told, |_| {
        catches_up(&told, &primary, &standby);
        tell(&told, &standby, "ALTER SYSTEM SET primary_conninfo = ''");
        tell(&told, &standby, "SELECT pg_reload_conf()");
        told.world.await_until("it hears no more", |_| {
            ask(
                &told,
                &standby,
                "SELECT pid::text FROM pg_stat_wal_receiver",
            )
            .is_empty()
        });
        second = Some(between(&untold, |_| {
            primary.crash();
            tell(&told, &standby, "SELECT pg_promote()");
            lead_to(&told, &standby);
            lead_to(&untold, &standby);
            assert_eq!(told.world.statuses(), "publishing 5");
            assert_eq!(untold.world.statuses(), "pending 5");
        }));
    });
    first.ends().exits(0);
    told.published_once("the standby knew the claim");
    let run = second.unwrap().ends().exits(1);
    assert_eq!(
        untold.world.statuses(),
        "published 4, unconfirmed 1",
        "{run:?}"
    );
    untold.world.faults(&[]);
    untold.heal();
    untold.make_up();
    untold.published_once("the standby did not know the claim");
}

#[test]
fn a_server_that_was_set_read_only_is_left_alone() {
    let story = Story::postgres();
    story.begin();
    let database = story.world.database_url.rsplit('/').next().unwrap();
    let set = |is_on: &str| {
        story.world.execute(&format!(
            "BEGIN READ WRITE; ALTER DATABASE {database} SET default_transaction_read_only = {is_on}; COMMIT"
        ));
    };
    set("on");
    let run = Running::start(&story).ends().exits(75);
    assert!(run.stderr.contains("is read-only"), "{run:?}");
    assert_eq!(story.world.stat("/requests"), 0);
    set("off");
    let mut run = between(&story, |_| {
        set("on");
        story.world.rows(
            "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity
             WHERE application_name = 'publisher' AND datname = current_database()",
        );
    });
    run.says("is read-only", 1);
    set("off");
    run.ends().exits(0);
    story.published_once("read-only");
}
