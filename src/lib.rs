//! # publisher
//!
//! One invocation claims the due posts, publishes them and records what happened; an external cron
//! starts it every minute.

pub mod cli;
pub mod config;
pub mod run;

pub mod claim;
pub mod publish;

pub mod commit;
pub mod exit;
pub mod stop;
pub mod summary;

pub mod account;
pub mod outcome;
pub mod post;
pub mod schedule;
pub mod secret;

pub mod http;
pub mod media;
pub mod platform;

pub mod import;
pub mod store;
pub mod suggest;

pub mod progress;

pub mod sandbox;
