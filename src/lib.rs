//! # publisher
//!
//! One invocation claims the due posts, publishes them and records what happened; an external cron
//! starts it every minute.

pub mod sandbox;
