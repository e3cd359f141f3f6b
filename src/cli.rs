//! Flags and environment. One file per command in `cli/`.

pub mod accounts;
pub mod database;
mod output;
pub mod posts;
