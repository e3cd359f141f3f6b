//! # publisher
//!
//! One invocation claims the due posts, publishes them and records what happened; an external cron
//! starts it every minute.

pub mod cli;
pub mod config;
pub mod exit;

pub mod account;
pub mod outcome;
pub mod post;
pub mod schedule;
pub mod secret;
pub mod suggest;

pub mod http;
pub mod media;
pub mod platform;

pub mod store;

pub mod import;

pub mod sandbox;
