//! The store's conformance suite: every case runs on SQLite and on PostgreSQL from one body.
//!
//! The seam is the public `Store` and the tables themselves: a case seeds rows with plain SQL, asks the store, and
//! compares the rows. Every case has a database of its own; a missing PostgreSQL is a failure, never a skip. Cases that
//! one of the two alone can have (SQLite's spellings of instants, PostgreSQL's zones and locks) say so in their name.

#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on fails, and the line says where"
)]

mod support;

/// Runs each case on both databases. A case takes a [`support::database::World`].
macro_rules! on_both_databases {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                use crate::support::database::{Backend, World};
                super::$case(World::migrated(Backend::Sqlite).await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $case() {
                use crate::support::database::{Backend, World};
                super::$case(World::migrated(Backend::Postgres).await).await;
            })+
        }
    };
}

#[path = "store/backlog.rs"]
mod backlog;
#[path = "store/claim.rs"]
mod claim;
#[path = "store/commit.rs"]
mod commit;
#[path = "store/limits.rs"]
mod limits;
#[path = "store/listing.rs"]
mod listing;
#[path = "store/migration.rs"]
mod migration;
#[path = "store/order.rs"]
mod order;
#[path = "store/plans.rs"]
mod plans;
#[path = "store/preview.rs"]
mod preview;
#[path = "store/rows.rs"]
mod rows;
#[path = "store/runs_at_once.rs"]
mod runs_at_once;
#[path = "store/schema.rs"]
mod schema;
#[path = "store/zones.rs"]
mod zones;
