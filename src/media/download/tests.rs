//! Redirects as the public internet would send them: a name that stands for a public server here, but nothing else.

use std::net::SocketAddr;

use reqwest::header::{CONTENT_RANGE, HeaderMap};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::answer::content_range;
use super::*;
use crate::http::testing::verdict;
use crate::media::address;

async fn redirected_to(target: &str) -> Failure {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at: SocketAddr = listener.local_addr().unwrap();
    let answer = format!("HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n");
    let answer = answer.replace("PORT", &at.port().to_string());
    let serving = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        assert!(connection.read(&mut [0; 4096]).await.unwrap() > 0);
        connection.write_all(answer.as_bytes()).await.unwrap();
    });
    let client = address::builder(false).resolve("media.test", at);
    let origin = Origin {
        client: client.build().unwrap(),
        place: Place::Web(format!("http://media.test:{}/", at.port()).parse().unwrap()),
        allow_private: false,
        idle: IDLE,
    };
    let asked = Asked {
        range: None,
        version: None,
        deadline: Instant::now() + IDLE,
    };
    let Err(refused) = origin.ask(&asked).await else {
        panic!("{target} was opened");
    };
    serving.await.unwrap();
    refused
}

#[tokio::test]
async fn a_redirect_into_a_private_network_is_refused() {
    let targets = [
        "http://127.0.0.1:PORT/",
        "http://[::1]:PORT/",
        "http://169.254.169.254/latest/meta-data/",
        "//0.0.0.0:PORT/",
        "http://localhost:PORT/",
    ];
    for target in targets {
        let refused = redirected_to(target).await;
        assert_eq!(verdict(&refused), "rejected [rejected] -", "{target}");
        let message = &refused.reason().message;
        assert!(message.contains("private"), "{target}: {message}");
    }
}

#[test]
fn parts_are_told_by_their_header() {
    let read = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_RANGE, value.parse().unwrap());
        content_range(&headers)
    };
    assert_eq!(read("bytes 0-9/10"), Some((0, Some(10))));
    assert_eq!(read("bytes 5-9/*"), Some((5, None)));
    let wrong = [
        "bytes 5-10/10",
        "bytes 9-5/10",
        "bytes */10",
        "items 0-9/10",
        "bytes 0-9",
        "bytes 0-18446744073709551616/*",
    ];
    for value in wrong {
        assert_eq!(read(value), None, "{value}");
    }
}
