//! PostgreSQL's schema as a guest in somebody else's database: described, closed to strangers, in a place of its own.

use crate::support::database::{Backend, World};

#[tokio::test]
async fn every_table_column_and_function_is_commented() {
    let world = World::migrated(Backend::Postgres).await;
    let silent = world
        .raw()
        .await
        .texts(
            "SELECT c.relname || coalesce('.' || a.attname, '')
             FROM pg_class c
             LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             WHERE c.relnamespace = 'publisher'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p')
               AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)
             UNION ALL
             SELECT p.oid::regprocedure::text FROM pg_proc p
             WHERE p.pronamespace = 'publisher'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL
             ORDER BY 1",
        )
        .await;
    assert!(silent.is_empty(), "no comment on {silent:?}");
}

/// Also where the database's owner has made grants to everybody the default.
#[tokio::test]
async fn nothing_is_granted_to_everybody() {
    let world = World::empty(Backend::Postgres).await;
    let mut raw = world.raw().await;
    raw.run(
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
         ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC;
         ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO PUBLIC;
         ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC",
    )
    .await;
    publisher::store::migrate::run(&world.database)
        .await
        .unwrap();
    let granted = raw
        .texts(
            "SELECT what || ': ' || g.privilege_type
             FROM (SELECT nspname::text AS what, coalesce(nspacl, acldefault('n', nspowner)) AS acl
                   FROM pg_namespace WHERE nspname = 'publisher'
                   UNION ALL
                   SELECT relname, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", relowner))
                   FROM pg_class WHERE relnamespace = 'publisher'::regnamespace AND relkind IN ('r', 'S', 'v', 'm', 'p')
                   UNION ALL
                   SELECT proname, coalesce(proacl, acldefault('f', proowner))
                   FROM pg_proc WHERE pronamespace = 'publisher'::regnamespace) o,
                  LATERAL aclexplode(o.acl) g
             WHERE g.grantee = 0
             ORDER BY 1",
        )
        .await;
    assert!(granted.is_empty(), "everybody may {granted:?}");
}

#[tokio::test]
async fn row_level_security_is_on() {
    let world = World::migrated(Backend::Postgres).await;
    let mut raw = world.raw().await;
    let open = raw
        .texts(
            "SELECT relname::text FROM pg_class
             WHERE relnamespace = 'publisher'::regnamespace AND relkind IN ('r', 'p') AND NOT relrowsecurity",
        )
        .await;
    assert!(open.is_empty(), "no row level security on {open:?}");
    assert_eq!(
        raw.number("SELECT count(*) FROM pg_class WHERE relnamespace = 'publisher'::regnamespace AND relkind = 'r'")
            .await,
        5
    );
}

/// A role that an application was given INSERT for, and no more than that, sees no token.
#[tokio::test]
async fn a_stranger_with_rights_on_the_tables_sees_no_row() {
    let world = World::migrated(Backend::Postgres).await;
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.post(account, 1).await;
    raw.run("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger")
        .await;
    raw.run(
        "GRANT USAGE ON SCHEMA publisher TO stranger; GRANT ALL ON ALL TABLES IN SCHEMA publisher TO stranger; \
         SET ROLE stranger",
    )
    .await;
    for table in ["accounts", "posts", "limits", "runs", "migrations"] {
        let rows = raw.number(&format!("SELECT count(*) FROM {table}")).await;
        assert_eq!(rows, 0, "{table}");
    }
}

/// Names resolve to the schema's own tables, whatever the session's `search_path` offers.
#[tokio::test]
async fn another_table_of_the_same_name_is_left_alone() {
    let world = World::empty(Backend::Postgres).await;
    let mut raw = world.raw().await;
    raw.run("CREATE TABLE public.posts (id bigint); CREATE TABLE public.accounts (id bigint)")
        .await;
    publisher::store::migrate::run(&world.database)
        .await
        .unwrap();
    let account = raw.account("ada", "slack").await;
    let id = raw.post(account, 1).await;
    let claim = world
        .store()
        .await
        .claim(&crate::support::database::request())
        .await
        .unwrap();
    assert_eq!(claim.posts[0].id, id);
    assert_eq!(raw.number("SELECT count(*) FROM public.posts").await, 0);
}
