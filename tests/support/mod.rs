//! What the tests share.

#![allow(dead_code, missing_docs, reason = "each test binary uses a part of it")]

pub mod database;
pub mod postgres;
