//! Objects of an S3-compatible store, as `s3://bucket/key`.
//!
//! They are read through addresses that are signed anew for every request, so that an object is downloaded, and its
//! download resumed, just as a file on the web.

use std::time::Duration;

use reqwest::Client;
use secrecy::SecretString;
use url::Url;

use crate::outcome::Failure;

/// Where `s3://` addresses lead, and what opens them.
#[derive(Clone, Debug, Default)]
pub struct S3 {
    /// The store's own address, with the bucket as the first part of the path; none for Amazon's.
    endpoint: Option<Url>,
    /// The region; none: what the environment says, else `us-east-1`.
    region: Option<String>,
    /// Whether the store may be spoken to without TLS.
    allow_http: bool,
    /// The `AWS_*` variables of the environment: keys, token, region, profile of the machine ….
    variables: Vec<(String, SecretString)>,
}

impl S3 {
    /// A store at its own address, which has the bucket as the first part of the path, or Amazon's; in that region, or
    /// the one of the `AWS_*` variables, else `us-east-1`; perhaps without TLS; opened by those variables' keys.
    pub fn new(
        endpoint: Option<Url>,
        region: Option<String>,
        allow_http: bool,
        variables: Vec<(String, SecretString)>,
    ) -> Self {
        Self {
            endpoint,
            region,
            allow_http,
            variables,
        }
    }
}

/// An object that can be asked for.
#[derive(Clone, Debug)]
pub(super) struct Object;

impl Object {
    pub(super) fn of(_address: &str, _s3: Option<&S3>) -> Result<Self, Failure> {
        Err(Failure::rejected("s3:// addresses are not supported yet"))
    }

    /// What asks for it.
    pub(super) fn client(&self) -> &Client {
        unreachable!("there is no object yet")
    }

    /// An address that opens the object for so long.
    pub(super) async fn signed(&self, _lifetime: Duration) -> Result<Url, Failure> {
        Err(Failure::rejected("s3:// addresses are not supported yet"))
    }
}

/// Whether an address is meant as an object's.
pub(super) fn is_s3(address: &str) -> bool {
    address
        .get(..5)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("s3://"))
}

/// Whether it could be opened.
pub(super) fn check(_address: &str, s3: Option<&S3>) -> Result<(), String> {
    match s3 {
        Some(_) => Ok(()),
        None => Err("s3:// addresses need an object store: set s3_region or s3_endpoint in [media], and the AWS_* variables".to_owned()),
    }
}
