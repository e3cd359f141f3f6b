//! # publisher
//!
//! One invocation claims the due posts, publishes them and records what happened; an external cron
//! starts it every minute.

pub mod account;
pub mod http;
pub mod media;
pub mod outcome;
pub mod platform;
pub mod post;
pub mod sandbox;
