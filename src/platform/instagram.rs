//! Instagram: to be written.
use futures::future::LocalBoxFuture;
use serde_json::Value;

use super::{Platform, Step};
use crate::account::Account;
use crate::http::Session;
use crate::outcome::Failure;
use crate::post::Content;

/// The Instagram client.
#[derive(Debug)]
pub struct Instagram;

impl Platform for Instagram {
    fn name(&self) -> &'static str {
        "instagram"
    }
    fn cap(&self) -> usize {
        5
    }
    fn base_url(&self, _account: &Account) -> &'static str {
        "https://example.invalid"
    }
    fn validate(&self, _content: &Content) -> Vec<String> {
        Vec::new()
    }
    fn validate_account(&self, _external_id: &str) -> Result<(), String> {
        Ok(())
    }
    fn step<'a>(
        &'a self,
        _session: &'a Session<'a>,
        _checkpoint: Option<&'a Value>,
    ) -> LocalBoxFuture<'a, Result<Step, Failure>> {
        Box::pin(async { Err(Failure::rejected("not written yet")) })
    }
}
