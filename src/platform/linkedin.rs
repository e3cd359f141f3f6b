//! LinkedIn: to be written.
use futures::future::LocalBoxFuture;
use serde_json::Value;

use super::{Platform, Step};
use crate::account::Account;
use crate::http::Session;
use crate::outcome::Failure;
use crate::post::Content;

/// The LinkedIn client.
#[derive(Debug)]
pub struct LinkedIn;

impl Platform for LinkedIn {
    fn name(&self) -> &'static str {
        "linkedin"
    }
    fn cap(&self) -> usize {
        4
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
