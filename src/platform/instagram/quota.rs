//! How many posts the account may make by Instagram's own word.

use reqwest::Method;
use serde::Deserialize;

use super::errors::accept;
use crate::http::{Api, Effect};
use crate::outcome::Failure;
use crate::platform::graph;

#[derive(Deserialize)]
pub(super) struct Quota {
    #[serde(rename = "quota_usage")]
    pub(super) used: u64,
    pub(super) config: Config,
}

#[derive(Deserialize)]
pub(super) struct Config {
    #[serde(rename = "quota_total")]
    pub(super) total: u64,
    /// In seconds.
    #[serde(rename = "quota_duration")]
    pub(super) duration: Option<u64>,
}

/// Reads it; `None` if Instagram names none.
pub(super) async fn read(api: &Api<'_>) -> Result<Option<Quota>, Failure> {
    #[derive(Deserialize)]
    struct Quotas {
        data: Vec<Quota>,
    }
    let edge = format!("{}/content_publishing_limit", api.account.external_id);
    let request = api
        .request(Method::GET, &graph::api_path(api, &edge))
        .query(&[("fields", "quota_usage,config")]);
    let reply = api.send(request, Effect::Reads).await?;
    let Quotas { data } = accept(&reply, Effect::Reads)?;
    Ok(data.into_iter().next())
}
