//! Runs through PgBouncer in transaction mode: a small pool, many clients, noisy neighbours.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use support::pgbouncer::PgBouncer;
use support::world::{World, ended, post};

#[test]
fn eight_runs_share_two_server_connections_with_noisy_neighbours() {
    let pooler = PgBouncer::start(2);
    let world = World::postgres().through(|direct| pooler.url(direct));
    let accounts: Vec<i64> = (0..40)
        .map(|n| world.account("slack", n, "alder"))
        .collect();
    world.due((0..400).map(|n| post(accounts[n % 40], &format!("post {n}"))));

    let quiet = AtomicBool::new(false);
    let (answers, published) = std::thread::scope(|scope| {
        let neighbours: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| neighbour(&world.database_url, &quiet)))
            .collect();
        let runs: Vec<_> = (0..8).map(|_| world.start(&["--json"])).collect();
        let published: i64 = runs
            .into_iter()
            .map(|run| ended(run).exits(0).json()["published"].as_i64().unwrap())
            .sum();
        quiet.store(true, Ordering::Relaxed);
        let answers: u64 = neighbours
            .into_iter()
            .map(|neighbour| neighbour.join().unwrap())
            .sum();
        (answers, published)
    });
    assert!(answers > 0, "the neighbours were not noisy");
    assert_eq!((published, world.stat("/duplicates")), (400, 0));
    assert_eq!(world.statuses(), "published 400");

    // What the runs set ended with their transactions.
    for (setting, default) in [
        ("statement_timeout", "0"),
        ("jit", "on"),
        ("enable_seqscan", "on"),
    ] {
        for _ in 0..4 {
            assert_eq!(
                world.block_on(shown(&world.database_url, setting)),
                default,
                "{setting}"
            );
        }
    }
}

/// Another application's statements through the same pooler: each answer must be its own.
fn neighbour(url: &str, quiet: &AtomicBool) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut connection = connect(url).await;
        let mut answers = 0;
        while !quiet.load(Ordering::Relaxed) {
            let mut transaction = connection.begin().await.unwrap();
            let sent = i64::try_from(answers).unwrap();
            let got: i64 = sqlx::query_scalar("SELECT $1::bigint + 1")
                .persistent(false)
                .bind(sent)
                .fetch_one(&mut *transaction)
                .await
                .unwrap();
            transaction.commit().await.unwrap();
            assert_eq!(got, sent + 1);
            answers += 1;
        }
        answers
    })
}

async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().unwrap();
    options.extra_float_digits(None).connect().await.unwrap()
}

async fn shown(url: &str, setting: &str) -> String {
    let mut connection = connect(url).await;
    let mut transaction = connection.begin().await.unwrap();
    sqlx::query_scalar("SELECT current_setting($1)")
        .persistent(false)
        .bind(setting)
        .fetch_one(&mut *transaction)
        .await
        .unwrap()
}
