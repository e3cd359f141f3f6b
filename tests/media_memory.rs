//! Memory does not grow with a medium: a process of its own, so that nothing else counts.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::io::{Read, Write};
use std::net::TcpListener;

use futures::StreamExt;
use publisher::http::{Http, Timeouts};
use publisher::media::{Policy, open};
use publisher::post::Media;

const LIMIT_KIB: u64 = 24 * 1024;

/// The most memory that this process ever had.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

/// Opens the medium and counts what comes.
async fn streamed(media: &Media) -> u64 {
    let policy = Policy {
        allow_private: true,
        directories: vec!["/".into()],
        ..Policy::default()
    };
    let http = Http::new(Timeouts::default(), policy);
    let source = open(media, &http, u64::MAX).await.unwrap();
    let mut chunks = axum::body::Body::new(source.body).into_data_stream();
    let mut bytes = 0;
    while let Some(chunk) = chunks.next().await {
        bytes += chunk.unwrap().len() as u64;
    }
    bytes
}

/// Sends zeros to one client.
fn server(length: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        // A connection that is closed with the request unread is reset, and what was sent may be lost.
        assert!(client.read(&mut [0; 4096]).unwrap() > 0);
        write!(
            client,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        )
        .unwrap();
        let chunk = vec![0; 64 * 1024];
        for _ in 0..length / chunk.len() as u64 {
            client.write_all(&chunk).unwrap();
        }
    });
    url
}

#[tokio::test]
async fn a_large_file_and_a_large_download_are_never_in_memory() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(1 << 30).unwrap();
    let before = peak_kib();
    let path = file.path().to_str().map(str::to_owned);
    let local = Media {
        path,
        ..Media::default()
    };
    assert_eq!(streamed(&local).await, 1 << 30);
    let grown = peak_kib() - before;
    assert!(grown < LIMIT_KIB, "a file: {grown} KiB");
    let remote = Media {
        url: Some(server(1 << 28)),
        ..Media::default()
    };
    assert_eq!(streamed(&remote).await, 1 << 28);
    let grown = peak_kib() - before;
    assert!(grown < LIMIT_KIB, "a download: {grown} KiB");
}
