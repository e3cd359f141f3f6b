//! What the tests share.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

pub mod chromium;
pub mod clock;
pub mod database;
pub mod dice;
pub mod files;
pub mod given;
pub mod hostile;
pub mod inbox;
pub mod pgbouncer;
pub mod postgres;
pub mod proxy;
pub mod stage;
pub mod story;
pub mod world;
