//! What the worlds of a test binary gave out in confidence. Whatever the program says in any of them, and whatever it
//! leaves behind, is searched for all of it.

use std::collections::BTreeSet;
use std::sync::Mutex;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use super::files;
use super::world::{KEY, World};

/// A shorter secret could be part of an innocent word, and its finding would say nothing.
const SHORTEST: usize = 8;

static GIVEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Notes that this must never be seen again.
pub fn give(secret: &str) {
    assert!(
        secret.len() >= SHORTEST,
        "`{secret}` could be found in innocent words: give a test's tokens {SHORTEST} characters or more"
    );
    GIVEN.lock().unwrap().insert(secret.to_owned());
}

/// There is none of it in the text.
pub fn refuse(place: &str, text: &str) {
    let given = GIVEN.lock().unwrap().clone();
    for secret in given.iter().map(String::as_str).chain([KEY]) {
        if let Some(at) = text.find(secret) {
            let around: String = text[..at].chars().rev().take(300).collect();
            let around: String = around.chars().rev().collect();
            panic!("the secret {secret} is in {place}: …{around}{secret}…");
        }
    }
}

/// There is none of it in what a world leaves: the journals and whatever else is in its state directory, its database,
/// and what the platforms show.
pub fn search(world: &World) {
    for (path, content) in files::contents(&world.path("state")) {
        refuse(
            &path.display().to_string(),
            &String::from_utf8_lossy(&content),
        );
    }
    let rows = world.block_on(tables(&world.direct_url));
    refuse("the database", &rows);
    for page in ["", "api/posts", "api/stats"] {
        let shown = world.block_on(world.sandbox.page(page));
        refuse(&format!("the sandbox's /{page}"), &shown);
    }
}

/// Every row of every table.
async fn tables(url: &str) -> String {
    if url.starts_with("postgres") {
        let mut connection = PgConnection::connect(url).await.unwrap();
        let all = "SELECT schema_to_xml('publisher', true, false, '')::text";
        return sqlx::query_scalar(all)
            .fetch_one(&mut connection)
            .await
            .unwrap();
    }
    let options: SqliteConnectOptions = url.parse().unwrap();
    let mut connection = options.read_only(true).connect().await.unwrap();
    let each = "SELECT group_concat('SELECT ''' || name || ' '' || json_array(' || columns || ') FROM \"' || name || '\"', ' UNION ALL ') \
        FROM (SELECT m.name, group_concat('\"' || p.name || '\"', ', ') AS columns FROM sqlite_schema m, pragma_table_info(m.name) p \
              WHERE m.type = 'table' GROUP BY m.name)";
    let sql: String = sqlx::query_scalar(each)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_all(&mut connection)
        .await
        .unwrap();
    rows.join("\n")
}
