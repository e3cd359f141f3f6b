use std::fs;
use std::io::Write;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::address::is_public;
use super::*;
use crate::http::Timeouts;
use crate::http::testing::verdict;

fn media(value: serde_json::Value) -> Media {
    serde_json::from_value(value).unwrap()
}

/// Takes any file of this machine.
fn everywhere() -> Policy {
    Policy {
        directories: vec!["/".into()],
        ..Policy::default()
    }
}

fn problems_of(media: serde_json::Value) -> Vec<String> {
    let content = Content {
        media: serde_json::from_value(media).unwrap(),
        ..Content::default()
    };
    examine(&content, &everywhere()).1
}

#[test]
fn addresses_of_the_operators_network_are_not_public() {
    let private = [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.31.255.255",
        "192.0.0.1",
        "192.168.0.1",
        "198.18.0.1",
        "203.0.113.7",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2001:0:1::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2001:2::1",
        "2001:20::1",
        "2001:2f:ffff::1",
        "3fff::1",
        "3fff:fff:ffff::1",
        "192.88.99.1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];
    for address in private {
        assert!(!is_public(address.parse().unwrap()), "{address}");
    }
    let public = [
        "1.1.1.1",
        "93.184.216.34",
        "100.128.0.1",
        "172.32.0.1",
        "2606:4700::1111",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
    ];
    for address in public {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
}

#[test]
fn problems_name_what_this_machine_can_see() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("empty.jpg"), "").unwrap();
    fs::write(path("fine.jpg"), "jpeg").unwrap();
    let media = json!([
        {"path": path("missing.jpg")},
        {"path": path("")},
        {"path": path("empty.jpg")},
        {"path": path("fine.jpg")},
        {"url": "https://example.com/a.jpg"},
        {"url": "ftp://example.com/a.jpg"},
        {"url": "a.jpg"},
        {"url": "http://169.254.169.254/latest/meta-data"},
        {"url": "http://[::ffff:10.0.0.1]/a.jpg"},
        {"url": "http://2130706433/a.jpg"},
    ]);
    let private = "is a private address; media must be on a public one";
    assert_eq!(
        problems_of(media),
        [
            format!("media 1: the file {} does not exist", path("missing.jpg")),
            format!("media 2: {} is a directory; name a file", path("")),
            format!("media 3: the file {} is empty", path("empty.jpg")),
            "media 6: addresses start with http:// or https://, not ftp:".to_owned(),
            "media 7: the address is not a URL: relative URL without a base".to_owned(),
            format!("media 8: 169.254.169.254 {private}"),
            format!("media 9: ::ffff:10.0.0.1 {private}"),
            format!("media 10: 127.0.0.1 {private}"),
        ]
    );
    assert_eq!(
        problems_of(json!([{"path": "a", "url": "b"}])),
        [r#"media 1: give either "url" or "path""#]
    );
}

#[tokio::test]
async fn a_file_is_opened_with_its_size_and_type() {
    let mut file = tempfile::Builder::new().suffix(".MP4").tempfile().unwrap();
    file.write_all(b"0123456789").unwrap();
    let media = media(json!({"path": file.path()}));
    let http = Http::new(crate::http::Timeouts::default(), everywhere());
    let source = open(&media, &http, 10).await.unwrap();
    assert_eq!((source.length, source.mime.as_str()), (10, "video/mp4"));
    let failure = open(&media, &http, 9).await.unwrap_err();
    assert_eq!(
        failure.reason().message,
        "the media file has 10 bytes; the platform takes 9"
    );
}

/// A web server that gives these answers, one per connection.
async fn web(answers: Vec<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for answer in answers {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let read = connection.read(&mut request).await.unwrap();
            assert!(read > 0);
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    format!("http://{address}")
}

fn answer(head: &str) -> String {
    format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n")
}

async fn opened(base: &str, allow_private: bool) -> Result<Source, Failure> {
    let policy = Policy {
        allow_private,
        ..Policy::default()
    };
    let http = Http::new(Timeouts::default(), policy);
    open(&media(json!({"url": base})), &http, 1000).await
}

#[tokio::test]
async fn a_download_follows_redirects_and_takes_the_servers_type() {
    let found = answer("200 OK\r\nContent-Length: 4\r\nContent-Type: video/webm; a=b") + "webm";
    let base = web(vec![answer("302 Found\r\nLocation: /there"), found]).await;
    let source = opened(&base, true).await.unwrap();
    assert_eq!((source.length, source.mime.as_str()), (4, "video/webm"));
}

#[tokio::test]
async fn private_networks_are_refused_by_name_and_by_address() {
    let refused = |result: Result<Source, Failure>| verdict(&result.unwrap_err());
    let by_name = opened("http://localhost:9/a.mp4", false).await;
    assert_eq!(refused(by_name), "rejected [rejected] -");
    let by_address = opened("http://127.0.0.1:9/a.mp4", false).await;
    assert_eq!(refused(by_address), "rejected [rejected] -");
    let allowed = opened("http://localhost:9/a.mp4", true).await;
    assert_eq!(refused(allowed), "retry [connect] -");
}

#[tokio::test]
async fn what_a_media_server_answers_decides() {
    let cases = [
        (
            "404 Not Found\r\nContent-Length: 0",
            "rejected [rejected] -",
        ),
        (
            "503 Busy\r\nRetry-After: 7\r\nContent-Length: 0",
            "retry in 7s [media_unavailable] -",
        ),
        (
            "200 OK\r\nTransfer-Encoding: chunked",
            "rejected [rejected] -",
        ),
        ("200 OK\r\nContent-Length: 0", "rejected [rejected] -"),
        ("200 OK\r\nContent-Length: 1001", "rejected [rejected] -"),
        (
            "302 Found\r\nLocation: file:///etc/passwd",
            "rejected [rejected] -",
        ),
    ];
    for (head, expected) in cases {
        let base = web(vec![answer(head)]).await;
        let failure = opened(&base, true).await.unwrap_err();
        assert_eq!(verdict(&failure), expected, "{head}");
    }
    let base = web(vec![answer("302 Found\r\nLocation: /"); 6]).await;
    let failure = opened(&base, true).await.unwrap_err();
    assert_eq!(
        failure.reason().message,
        "the media address redirects more than 5 times"
    );
}
