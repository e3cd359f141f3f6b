//! The bare programs: what is left of the job without lanes, limits, order, accounts' keys and progress. They run in
//! processes of their own, as `publisher` does: this program starts itself with a hidden argument.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, TryStreamExt};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

use crate::databases::TOKEN;

/// As many as `--pace max-speed` has in flight.
const AT_ONCE: usize = 128;
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// A program, with its arguments.
pub(crate) enum Bare {
    /// Publishes what is due on Slack: database, sandbox.
    Publish(String, String),
    /// Counts what is due: database.
    Probe(String),
    /// Runs a program and prints after it the most memory it held, in KiB.
    Weigh(Vec<String>),
}

/// The program that the command line asks for.
pub(crate) fn asked_for(arguments: &[String]) -> Option<Bare> {
    match arguments {
        [name, database, sandbox] if name == "--bare-publish" => {
            Some(Bare::Publish(database.clone(), sandbox.clone()))
        }
        [name, database] if name == "--bare-probe" => Some(Bare::Probe(database.clone())),
        [name, command @ ..] if name == "--weigh" => Some(Bare::Weigh(command.to_vec())),
        _ => None,
    }
}

impl Bare {
    /// What [`asked_for`] reads.
    pub(crate) fn arguments(&self) -> Vec<String> {
        match self {
            Self::Publish(database, sandbox) => {
                vec![
                    "--bare-publish".to_owned(),
                    database.clone(),
                    sandbox.clone(),
                ]
            }
            Self::Probe(database) => vec!["--bare-probe".to_owned(), database.clone()],
            Self::Weigh(command) => std::iter::once("--weigh".to_owned())
                .chain(command.iter().cloned())
                .collect(),
        }
    }

    pub(crate) fn run(&self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        match self {
            Self::Publish(database, sandbox) => runtime.block_on(publish(database, sandbox)),
            Self::Probe(database) => runtime.block_on(probe(database)),
            Self::Weigh(command) => weigh(command),
        }
    }
}

enum Connected {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

async fn connect(database: &str) -> Result<Connected> {
    if let Some(path) = database.strip_prefix("sqlite:") {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(BUSY_TIMEOUT)
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging();
        return Ok(Connected::Sqlite(options.connect().await?));
    }
    let options: PgConnectOptions = database.parse()?;
    let connection = options.disable_statement_logging().connect().await?;
    Ok(Connected::Postgres(connection))
}

async fn probe(database: &str) -> Result<()> {
    let due: i64 = match connect(database).await? {
        Connected::Postgres(mut connection) => {
            let sql =
                "SELECT count(*) FROM publisher.posts WHERE status = 'pending' AND due_at <= now()";
            let due = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
            connection.close().await?;
            due
        }
        Connected::Sqlite(mut connection) => {
            let sql = "SELECT count(*) FROM posts WHERE status = 'pending' \
                       AND due_at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";
            let due = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
            connection.close().await?;
            due
        }
    };
    ensure!(due == 0, "{due} posts are due");
    Ok(())
}

struct Claimed {
    id: i64,
    body: String,
    channel: String,
}

struct Published {
    id: i64,
    platform_post_id: String,
    permalink: String,
}

async fn publish(database: &str, sandbox: &str) -> Result<()> {
    let mut connection = connect(database).await?;
    let posts = claim(&mut connection).await?;
    let client = client()?;
    let site = workspace(&client, sandbox).await?;
    let published: Vec<Published> = futures::stream::iter(posts)
        .map(|post| send(&client, sandbox, &site, post))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    record(&mut connection, &published).await?;
    match connection {
        Connected::Postgres(connection) => connection.close().await?,
        Connected::Sqlite(connection) => connection.close().await?,
    }
    println!("{}", published.len());
    Ok(())
}

async fn claim(connection: &mut Connected) -> Result<Vec<Claimed>> {
    let rows: Vec<(i64, String, String)> = match connection {
        Connected::Postgres(connection) => {
            let sql = "UPDATE publisher.posts p \
                       SET status = 'publishing', claim = gen_random_uuid(), attempts = attempts + 1, \
                           lease_until = now() + interval '15 minutes' \
                       FROM publisher.accounts a \
                       WHERE a.id = p.account_id AND p.status = 'pending' AND p.due_at <= now() \
                       RETURNING p.id, p.body, a.external_id";
            sqlx::query_as(sql).fetch_all(connection).await?
        }
        Connected::Sqlite(connection) => {
            let sql = "UPDATE posts \
                       SET status = 'publishing', claim = 'bare', attempts = attempts + 1, \
                           lease_until = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '15 minutes'), \
                           updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') \
                       WHERE status = 'pending' AND due_at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now') \
                       RETURNING id, body, (SELECT external_id FROM accounts WHERE id = account_id)";
            sqlx::query_as(sql).fetch_all(connection).await?
        }
    };
    let claimed = |(id, body, channel)| Claimed { id, body, channel };
    Ok(rows.into_iter().map(claimed).collect())
}

/// The workspace's address, from which the permalinks follow.
async fn workspace(client: &reqwest::Client, sandbox: &str) -> Result<String> {
    let reply: Value = client
        .post(format!("{sandbox}/slack/api/auth.test"))
        .bearer_auth(TOKEN)
        .send()
        .await?
        .json()
        .await?;
    let site = reply["url"].as_str();
    Ok(site.with_context(|| format!("no url: {reply}"))?.to_owned())
}

/// The request that the Slack client sends for each message.
async fn send(
    client: &reqwest::Client,
    sandbox: &str,
    site: &str,
    post: Claimed,
) -> Result<Published> {
    let reply: Value = client
        .post(format!("{sandbox}/slack/api/chat.postMessage"))
        .bearer_auth(TOKEN)
        .json(&json!({
            "channel": post.channel,
            "text": post.body,
            "unfurl_links": false,
            "metadata": {"event_type": "publisher_post", "event_payload": {"id": post.id.to_string()}},
        }))
        .send()
        .await?
        .json()
        .await?;
    let ts = reply["ts"]
        .as_str()
        .with_context(|| format!("no ts: {reply}"))?;
    let channel = &post.channel;
    Ok(Published {
        id: post.id,
        platform_post_id: format!("{channel}:{ts}"),
        permalink: format!("{site}archives/{channel}/p{}", ts.replace('.', "")),
    })
}

/// Two bulk UPDATEs in one transaction; nothing here fails, so the second has no rows.
async fn record(connection: &mut Connected, published: &[Published]) -> Result<()> {
    let failed: Vec<i64> = Vec::new();
    match connection {
        Connected::Postgres(connection) => {
            let column = |get: fn(&Published) -> &str| -> Vec<String> {
                published.iter().map(|post| get(post).to_owned()).collect()
            };
            let mut transaction = connection.begin().await?;
            let sql = "UPDATE publisher.posts p \
                       SET status = 'published', lease_until = NULL, published_at = now(), \
                           platform_post_id = r.platform_post_id, permalink = r.permalink \
                       FROM unnest($1::bigint[], $2::text[], $3::text[]) AS r (id, platform_post_id, permalink) \
                       WHERE p.id = r.id";
            sqlx::query(sql)
                .bind(published.iter().map(|post| post.id).collect::<Vec<i64>>())
                .bind(column(|post| &post.platform_post_id))
                .bind(column(|post| &post.permalink))
                .execute(&mut *transaction)
                .await?;
            sqlx::query("UPDATE publisher.posts SET status = 'failed', lease_until = NULL WHERE id = ANY ($1)")
                .bind(failed)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
        }
        Connected::Sqlite(connection) => {
            let row = |post: &Published| json!([post.id, post.platform_post_id, post.permalink]);
            let rows: Vec<Value> = published.iter().map(row).collect();
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
            let sql = "UPDATE posts \
                       SET status = 'published', lease_until = NULL, \
                           platform_post_id = r.value->>1, permalink = r.value->>2, \
                           published_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), \
                           updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') \
                       FROM json_each(?1) AS r WHERE posts.id = r.value->>0";
            sqlx::query(sql)
                .bind(Value::from(rows).to_string())
                .execute(&mut *transaction)
                .await?;
            sqlx::query(
                "UPDATE posts SET status = 'failed', lease_until = NULL \
                 WHERE id IN (SELECT value FROM json_each(?1))",
            )
            .bind(json!(failed).to_string())
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
        }
    }
    Ok(())
}

/// A client without settings; it trusts nobody, for it talks to the sandbox alone.
pub(crate) fn client() -> Result<reqwest::Client> {
    // A second call finds the same provider there.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    Ok(reqwest::Client::builder().tls_certs_only([]).build()?)
}

fn weigh(command: &[String]) -> Result<()> {
    let Some((program, arguments)) = command.split_first() else {
        bail!("there is nothing to weigh");
    };
    // What this process was before it became `program` counts as well, so it stays small.
    let status = Command::new(program).args(arguments).status()?;
    ensure!(status.success(), "it ended with {status}");
    println!("{}", getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss());
    Ok(())
}
