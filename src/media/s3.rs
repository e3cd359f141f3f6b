//! Objects of an S3-compatible store, as `s3://bucket/key` (the key as it is, without percent signs).
//!
//! They are read through addresses that are signed anew for every request, so that an object is downloaded, and its
//! download resumed, just as a file on the web. `object_store` finds the credentials and the store's address; it sends
//! nothing but what asks a machine's or a container's credentials service, and that through a client of ours.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{ClientOptions, RetryConfig};
use reqwest::{Client, Method};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::http::client_builder;
use crate::outcome::{Failure, Reason};

mod key;

const SCHEME: &str = "s3://";
/// A key is no longer, in bytes.
const KEY_LIMIT: usize = 1024;
/// How long one request to a credentials service may take.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(5);
/// Such a service answers with some hundred bytes.
const REPLY_LIMIT: usize = 64 * 1024;

/// Where `s3://` addresses lead, and what opens them.
#[derive(Clone)]
pub struct S3 {
    endpoint: Option<Url>,
    region: Option<String>,
    allow_http: bool,
    /// Which of its buckets media may come from.
    buckets: Vec<String>,
    /// Whether the machine may be asked for keys where the variables have none.
    instance_role: bool,
    variables: Vec<(String, SecretString)>,
    /// Made when they are first needed.
    made: Arc<Mutex<Made>>,
}

#[derive(Default)]
struct Made {
    client: Option<Client>,
    buckets: HashMap<String, Arc<AmazonS3>>,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3")
            .field("endpoint", &self.endpoint.as_ref().map(super::shown_url))
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl S3 {
    /// A store at its own address, which has the bucket as the first part of the path, or Amazon's; in that region, or
    /// the one of the `AWS_*` variables, else `us-east-1`; perhaps without TLS; opened by those variables' keys. None of
    /// its buckets is open.
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
            buckets: Vec::new(),
            instance_role: false,
            variables,
            made: Arc::default(),
        }
    }

    /// Opens these buckets.
    #[must_use]
    pub fn of_buckets(mut self, buckets: Vec<String>) -> Self {
        self.buckets = buckets;
        self
    }

    /// Where the variables have no keys, asks the machine's credentials service (at a fixed address in its network).
    #[must_use]
    pub fn with_instance_role(mut self, may_ask: bool) -> Self {
        self.instance_role = may_ask;
        self
    }

    /// Whether an object of that bucket may be asked for, and with what.
    fn check(&self, bucket: &str) -> Result<(), String> {
        if !self.buckets.iter().any(|open| open == bucket) {
            return Err(format!(
                "the bucket {bucket} is not among those that media may come from (`buckets` in [media], or \
                 PUBLISHER_MEDIA_BUCKETS)"
            ));
        }
        let has = |name: &str| {
            self.variables
                .iter()
                .any(|(known, value)| known == name && !value.expose_secret().is_empty())
        };
        // What a container or a cluster hands over is named in a variable of its own.
        let is_given = has("AWS_ACCESS_KEY_ID") && has("AWS_SECRET_ACCESS_KEY")
            || has("AWS_WEB_IDENTITY_TOKEN_FILE")
            || has("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
            || has("AWS_CONTAINER_CREDENTIALS_FULL_URI");
        if is_given || self.instance_role {
            return Ok(());
        }
        Err(
            "there are no keys for the object store: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
             s3_instance_role = true in [media] where the machine has a role"
                .to_owned(),
        )
    }

    fn bucket(&self, name: &str) -> Result<(Arc<AmazonS3>, Client), Failure> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let client = made.client.get_or_insert_with(|| {
            client_builder()
                .build()
                .expect("a client with bundled roots and fixed settings can be built")
        });
        let client = client.clone();
        if let Some(store) = made.buckets.get(name) {
            return Ok((store.clone(), client));
        }
        let store = self.builder(name, &client).build().map_err(|error| {
            Failure::rejected(format!("the object store's settings are wrong: {error}"))
        })?;
        let store = Arc::new(store);
        made.buckets.insert(name.to_owned(), store.clone());
        Ok((store, client))
    }

    fn builder(&self, bucket: &str, client: &Client) -> AmazonS3Builder {
        let retry = RetryConfig {
            max_retries: 2,
            retry_timeout: 2 * CREDENTIALS_TIMEOUT,
            ..RetryConfig::default()
        };
        let known = |name: &str| AmazonS3ConfigKey::from_str(&name.to_ascii_lowercase()).ok();
        let variables = self.variables.iter();
        let mut builder = variables
            .filter_map(|(name, value)| Some((known(name)?, value)))
            .fold(AmazonS3Builder::new(), |builder, (key, value)| {
                builder.with_config(key, value.expose_secret())
            })
            .with_bucket_name(bucket)
            .with_retry(retry)
            .with_http_connector(Connector(client.clone()));
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &self.endpoint {
            builder = builder
                .with_config(AmazonS3ConfigKey::S3Endpoint, endpoint.as_str())
                .with_virtual_hosted_style_request(false);
        }
        builder
    }
}

/// An object that can be asked for.
#[derive(Debug)]
pub(super) struct Object {
    store: Arc<AmazonS3>,
    client: Client,
    key: String,
    allow_http: bool,
}

impl Object {
    pub(super) fn of(address: &str, s3: Option<&S3>) -> Result<Self, Failure> {
        let s3 = s3.ok_or_else(|| Failure::rejected(NO_STORE))?;
        let (bucket, key) = parts(address).map_err(Failure::rejected)?;
        s3.check(bucket).map_err(Failure::rejected)?;
        let (store, client) = s3.bucket(bucket)?;
        Ok(Self {
            store,
            client,
            key: key.to_owned(),
            allow_http: s3.allow_http,
        })
    }

    /// What asks for it: it may go where the operator's settings lead, also inwards.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// An address that opens the object for so long.
    pub(super) async fn signed(&self, lifetime: Duration) -> Result<Url, Failure> {
        let closed = |error| Failure::Retry {
            after: None,
            reason: Reason::new(
                "media_unavailable",
                format!("the object store's credentials can't be had: {error}"),
            ),
        };
        let safe = Path::from(key::SAFE);
        let safe = self.store.signed_url(Method::GET, &safe, lifetime).await;
        let safe = safe.map_err(closed)?;
        let credential = self.store.credentials().get_credential().await;
        let credential = credential.map_err(closed)?;
        let url = key::address(&safe, &self.key, &credential.secret_key);
        let url = url.ok_or_else(|| {
            Failure::rejected("the object's key can't be written as a part of an address")
        })?;
        if url.scheme() != "https" && !self.allow_http {
            return Err(Failure::rejected(
                "the object store's address is not https; s3_allow_http = true in [media] allows that",
            ));
        }
        Ok(url)
    }
}

const NO_STORE: &str = "no media are taken from an object store: name its buckets (`buckets` in [media], or \
                        PUBLISHER_MEDIA_BUCKETS)";

/// Whether an address is meant as an object's.
pub(super) fn is_s3(address: &str) -> bool {
    let scheme = address.get(..SCHEME.len());
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
}

/// Whether an address names an object.
pub(super) fn is_named(address: &str) -> bool {
    is_s3(address) && parts(address).is_ok()
}

/// Whether it could be opened.
pub(super) fn check(address: &str, s3: Option<&S3>) -> Result<(), String> {
    let (bucket, _) = parts(address)?;
    s3.ok_or_else(|| NO_STORE.to_owned())?.check(bucket)
}

/// The bucket and the key, which is any text. A bucket's name becomes part of a host or a path, so nothing else may hide
/// in it.
fn parts(address: &str) -> Result<(&str, &str), String> {
    let rest = address.get(SCHEME.len()..).unwrap_or_default();
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if bucket.contains('@') {
        return Err("s3:// addresses have no user (s3://bucket/key)".to_owned());
    }
    if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(allowed) || bucket.contains("..") {
        return Err(format!(
            "`{bucket}` is not a bucket's name (s3://bucket/key)"
        ));
    }
    if key.is_empty() || key.ends_with('/') {
        return Err(format!("{address} names no object; write s3://bucket/key"));
    }
    if key.len() > KEY_LIMIT || key.contains(char::is_control) {
        return Err(format!(
            "`{key}` can't be an object's key: it has control characters, or more than {KEY_LIMIT} bytes"
        ));
    }
    Ok((bucket, key))
}

/// Gives `object_store` our client: bundled roots, and no second set of libraries for HTTP and TLS.
#[derive(Debug)]
struct Connector(Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Requests(self.0.clone())))
    }
}

#[derive(Debug)]
struct Requests(Client);

impl HttpService for Requests {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
    {
        Box::pin(self.answer(request))
    }
}

impl Requests {
    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string());
        let url = url.map_err(|error| HttpError::new(HttpErrorKind::Request, error))?;
        let body = body.as_bytes().cloned().unwrap_or_default();
        let sent = self
            .0
            .request(parts.method, url)
            .headers(parts.headers)
            .timeout(CREDENTIALS_TIMEOUT)
            .body(body)
            .send();
        let mut reply = sent.await.map_err(fault)?;
        let mut body = Vec::new();
        while let Some(chunk) = reply.chunk().await.map_err(fault)? {
            if body.len() + chunk.len() > REPLY_LIMIT {
                let why = std::io::Error::other("the reply is too large");
                return Err(HttpError::new(HttpErrorKind::Decode, why));
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = HttpResponse::new(body.into());
        *response.status_mut() = reply.status();
        *response.headers_mut() = std::mem::take(reply.headers_mut());
        Ok(response)
    }
}

fn fault(error: reqwest::Error) -> HttpError {
    let kind = if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_connect() {
        HttpErrorKind::Connect
    } else {
        HttpErrorKind::Unknown
    };
    HttpError::new(kind, error.without_url())
}
