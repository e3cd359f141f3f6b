//! Objects of a store that speaks S3: every request is signed, and told apart by its own signature.

use std::collections::BTreeMap;
use std::path::PathBuf;

use publisher::config::File;
use publisher::media::{Policy, S3, examine, look, open, open_part, public_url};
use publisher::post::Content;
use secrecy::SecretString;
use serde_json::json;

use crate::server::{Answer, Request, Server};
use crate::{at, http, http_with, noise, received, verdict};

/// The query of a request that carries a signature of version 4, or why it is not one.
fn signature(request: &Request) -> Result<BTreeMap<String, String>, String> {
    let url = url::Url::parse(&format!("http://store{}", request.target())).unwrap();
    let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let field = |name: &str| query.get(name).cloned().ok_or(format!("{name} is missing"));
    if field("X-Amz-Algorithm")? != "AWS4-HMAC-SHA256" {
        return Err("the algorithm is another".to_owned());
    }
    let date = field("X-Amz-Date")?;
    let scope = format!("KEY/{}/eu-central-1/s3/aws4_request", &date[..8]);
    if field("X-Amz-Credential")? != scope {
        return Err(format!("the scope is not {scope}"));
    }
    let lifetime: u32 = field("X-Amz-Expires")?.parse().unwrap();
    if !(1..=3600).contains(&lifetime) || field("X-Amz-SignedHeaders")? != "host" {
        return Err("the lifetime or the headers are wrong".to_owned());
    }
    let signature = field("X-Amz-Signature")?;
    if signature.len() != 64 || !signature.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("the signature is none".to_owned());
    }
    Ok(query)
}

/// A store with one object, whose first connection breaks there.
fn store(object: Vec<u8>, cut: usize) -> Server {
    Server::answers(move |number, request| {
        if let Err(why) = signature(request) {
            return Answer::with_body("403 Forbidden", "", why.as_bytes());
        }
        let (path, _) = request.target().split_once('?').unwrap();
        if path != "/bucket-1/july/a%20b%2Bc%25.mp4" {
            return Answer::status("404 Not Found", "");
        }
        let answer = Answer::file(request, &object, "\"one\"");
        if number == 0 { answer.cut(cut) } else { answer }
    })
}

const OBJECT: &str = "s3://bucket-1/july/a b+c%.mp4";

fn variables() -> Vec<(String, SecretString)> {
    let pairs = [
        ("AWS_ACCESS_KEY_ID", "KEY"),
        ("AWS_SECRET_ACCESS_KEY", "a secret"),
        ("AWS_REGION", "us-west-2"),
        ("AWS_PAGER", "less"),
    ];
    pairs
        .map(|(name, value)| (name.to_owned(), value.into()))
        .into()
}

fn policy(endpoint: &str, allow_http: bool) -> Policy {
    let region = Some("eu-central-1".to_owned());
    let s3 = S3::new(
        Some(endpoint.parse().unwrap()),
        region,
        allow_http,
        variables(),
    )
    .of_buckets(["bucket", "bucket-1"].map(ToOwned::to_owned).into());
    Policy {
        s3: Some(s3),
        ..Policy::default()
    }
}

#[tokio::test]
async fn an_object_is_opened_looked_at_and_resumed() {
    let object = noise(300_000);
    let server = store(object.clone(), 120_000);
    let http = http_with(policy(&server.url, true));
    let source = open(&at(OBJECT), &http, u64::MAX).await.unwrap();
    assert_eq!((source.total, source.mime.as_str()), (300_000, "video/mp4"));
    let (bytes, error) = received(source).await;
    assert_eq!(error, None);
    assert!(bytes == object, "the bytes differ");
    assert_eq!(server.asked("range"), ["-", "bytes=120000-"]);
    let source = open_part(&at(OBJECT), &http, 10..20, u64::MAX)
        .await
        .unwrap();
    assert_eq!(received(source).await, (object[10..20].to_vec(), None));
    let facts = look(1, &at(OBJECT), &http).await.unwrap();
    assert_eq!(facts.bytes, Some(300_000));
    assert_eq!(server.targets().len(), 4);
}

/// A key is any text, and what looks like a path is none.
#[tokio::test]
async fn keys_with_empty_parts_and_dots_are_keys() {
    for (key, path) in [
        ("july//a.jpg", "/bucket-1/july//a.jpg"),
        ("july/../a.jpg", "/bucket-1/july%2F..%2Fa.jpg"),
        ("a..b.jpg", "/bucket-1/a..b.jpg"),
    ] {
        let object = noise(1000);
        let body = object.clone();
        let server = Server::answers(move |_, request| {
            signature(request).unwrap();
            match request.target().split_once('?') {
                Some((asked, _)) if asked == path => Answer::file(request, &body, "\"one\""),
                _ => Answer::status("404 Not Found", ""),
            }
        });
        let http = http_with(policy(&server.url, true));
        let none = look(1, &at(&format!("s3://bucket-1/{key}x")), &http).await;
        let told = verdict(&none.unwrap_err());
        assert!(told.contains(&format!("(s3://bucket-1/{key}x)")), "{told}");
        let source = open(&at(&format!("s3://bucket-1/{key}")), &http, u64::MAX).await;
        let source = source.unwrap_or_else(|failure| panic!("{key}: {}", verdict(&failure)));
        assert_eq!(received(source).await, (object, None), "{key}");
    }
}

#[tokio::test]
async fn a_platform_gets_an_address_that_opens_the_object_for_an_hour() {
    let object = noise(1000);
    let server = store(object.clone(), 1000);
    let http = http_with(policy(&server.url, true));
    let url = public_url(&at(OBJECT), &http).await.unwrap();
    assert!(url.contains("X-Amz-Expires=3600"), "{url}");
    assert!(!url.contains("secret"), "{url}");
    // Opened by somebody without any key.
    let source = open(&at(&url), &crate::http(), u64::MAX).await.unwrap();
    assert_eq!(received(source).await, (object, None));
}

#[tokio::test]
async fn a_store_that_refuses_is_explained() {
    let server = store(Vec::new(), 0);
    let http = http_with(policy(&server.url, true));
    let missing = at("s3://bucket-1/other.mp4");
    let refused = look(3, &missing, &http).await.unwrap_err();
    assert_eq!(
        verdict(&refused),
        "rejected: media 3 (s3://bucket-1/other.mp4): there is no such object, or no such bucket (the object store answered HTTP 404 Not Found)"
    );
    let denied = Server::answers(|_, _| Answer::status("403 Forbidden", ""));
    let http = http_with(policy(&denied.url, true));
    let refused = open(&missing, &http, u64::MAX).await.unwrap_err();
    assert!(
        verdict(&refused).contains("keys are wrong or may not read it"),
        "{refused:?}"
    );
    let region = Server::answers(|_, _| Answer::status("400 Bad Request", ""));
    let http = http_with(policy(&region.url, true));
    let refused = open(&missing, &http, u64::MAX).await.unwrap_err();
    assert!(
        verdict(&refused).contains("in another region"),
        "{refused:?}"
    );
    let elsewhere = Server::answers(|_, _| Answer::status("301 Moved Permanently", ""));
    let http = http_with(policy(&elsewhere.url, true));
    let refused = open(&missing, &http, u64::MAX).await.unwrap_err();
    assert_eq!(
        verdict(&refused),
        "rejected: the object store answered HTTP 301 Moved Permanently: is the bucket in another region (s3_region in [media])?"
    );
    let http = http_with(policy("http://127.0.0.1:9", false));
    let refused = open(&missing, &http, u64::MAX).await.unwrap_err();
    assert_eq!(
        verdict(&refused),
        "rejected: the object store's address is not https; s3_allow_http = true in [media] allows that"
    );
}

#[tokio::test]
async fn addresses_that_name_no_object_are_told_before_anything_is_sent() {
    let no_store = "no media are taken from an object store";
    let cases = [
        ("s3://bucket", "s3://bucket names no object"),
        ("s3://bucket/folder/", "s3://bucket/folder/ names no object"),
        // What stands before the @ may be a secret, and is not repeated.
        ("s3://a@evil.example/x", "s3:// addresses have no user"),
        ("s3:///x", "`` is not a bucket's name"),
        ("S3://bucket/a\u{7}b", "`a\u{7}b` can't be an object's key"),
        ("s3://bucket/ok.jpg", no_store),
    ];
    for (address, expected) in cases {
        let content = Content {
            media: vec![json!({"url": address})],
            ..Content::default()
        };
        let problems = examine(&content, &Policy::default()).1;
        assert!(
            problems[0].starts_with(&format!("media 1: {expected}")),
            "{problems:?}"
        );
        if expected != no_store {
            let set_up = examine(&content, &policy("https://store.example", false)).1;
            assert_eq!(set_up, problems);
        }
    }
    let refused = open(&at("s3://bucket/ok.jpg"), &http(), 10)
        .await
        .unwrap_err();
    assert!(verdict(&refused).starts_with(&format!("rejected: {no_store}")));
}

/// Whatever the operator's keys open, only the buckets that are named are asked for; and nobody asks the machine for keys
/// unless that is wanted.
#[test]
fn only_named_buckets_are_open_and_no_service_is_asked_unbidden() {
    let problems = |policy: &Policy, address: &str| {
        let content = Content {
            media: vec![json!({"url": address})],
            ..Content::default()
        };
        examine(&content, policy).1
    };
    let named = policy("https://store.example", false);
    assert_eq!(problems(&named, "s3://bucket-1/a.jpg"), [""; 0]);
    for address in [
        "s3://payroll/a.jpg",
        "S3://payroll/a.jpg",
        "s3://bucket-10/a.jpg",
    ] {
        let told = problems(&named, address);
        assert!(
            told[0].contains("is not among those that media may come from"),
            "{told:?}"
        );
    }
    let without_keys = |may_ask| Policy {
        s3: Some(
            S3::new(
                None,
                None,
                false,
                vec![("AWS_REGION".to_owned(), "us-west-2".into())],
            )
            .of_buckets(vec!["bucket-1".to_owned()])
            .with_instance_role(may_ask),
        ),
        ..Policy::default()
    };
    let told = problems(&without_keys(false), "s3://bucket-1/a.jpg");
    assert!(told[0].contains("s3_instance_role = true"), "{told:?}");
    assert_eq!(
        problems(&without_keys(true), "s3://bucket-1/a.jpg"),
        [""; 0]
    );
}

#[test]
fn the_keys_are_never_shown() {
    let shown = format!("{:?}", policy("https://me:word@store.example", false));
    assert!(shown.contains("https://store.example"), "{shown}");
    assert!(
        !shown.contains("secret") && !shown.contains("word"),
        "{shown}"
    );
}

#[test]
fn the_settings_file_names_directories_and_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("publisher.toml");
    let text = r#"
        [media]
        directories = ["/srv/media"]
        s3_endpoint = "https://store.example"
        s3_region = "eu-central-1"
        buckets = ["bucket-1"]
    "#;
    std::fs::write(&path, text).unwrap();
    let policy = File::read(&path).unwrap().media_policy(Vec::new());
    assert_eq!(policy.directories, [PathBuf::from("/srv/media")]);
    assert!(!policy.allow_private);
    let shown = format!("{:?}", policy.s3.unwrap());
    assert!(shown.contains("https://store.example") && shown.contains("eu-central-1"));
    // Without a bucket there is no store, whatever the variables are there for.
    assert!(File::default().media_policy(Vec::new()).s3.is_none());
    assert!(File::default().media_policy(variables()).s3.is_none());
    std::fs::write(&path, "[media]\ndirectory = \"/srv\"\n").unwrap();
    assert!(File::read(&path).is_err());
}
