//! Downloads over connections that break, from servers that lie.

use std::time::{Duration, Instant};

use publisher::media::{open, open_part};

use crate::server::{Answer, Server};
use crate::{MIB, at, http, impatient, noise, received, verdict};

/// A file that is sent up to there once, and from then on as this server likes.
fn cut_once(
    file: &[u8],
    headers: &'static str,
    at: usize,
    then: impl Fn(&crate::server::Request, &[u8]) -> Answer + Send + Sync + 'static,
) -> Server {
    let file = file.to_vec();
    Server::answers(move |number, request| match number {
        0 => Answer::with_body("200 OK", headers, &file).cut(at),
        _ => then(request, &file),
    })
}

#[tokio::test]
async fn a_download_that_breaks_five_times_arrives_bit_by_bit() {
    let file = noise(32 * MIB);
    let cuts = [0, 1, 5 * MIB + 3, 17 * MIB, 32 * MIB - 1];
    let served = file.clone();
    let server = Server::answers(move |number, request| {
        let answer = Answer::file(request, &served, "\"one\"");
        let start = request.range().map_or(0, |(start, _)| start);
        match cuts.get(number) {
            Some(cut) => answer.cut(cut - start),
            None => answer,
        }
    });
    let source = open(&at(&server.url), &http(), u64::MAX).await.unwrap();
    assert_eq!(
        (source.total, source.offset, source.length),
        (32 << 20, 0, 32 << 20)
    );
    let (bytes, error) = received(source).await;
    assert_eq!(error, None);
    assert!(bytes == file, "the bytes differ");
    let ranges: Vec<String> = cuts.iter().map(|cut| format!("bytes={cut}-")).collect();
    assert_eq!(server.asked("range")[1..], ranges);
    assert_eq!(server.asked("if-range")[1..], ["\"one\""; 5]);
    assert_eq!(server.asked("accept-encoding"), ["identity"; 6]);
}

/// What a server answers that has another file by now.
type Changed = fn(&crate::server::Request, &[u8]) -> Answer;

#[tokio::test]
async fn a_file_that_changes_midway_ends_in_an_error() {
    let file = noise(3000);
    let cases: [(&str, Changed, &str); 7] = [
        (
            "another tag and size",
            |request, file| Answer::file(request, &file[1..], "\"two\""),
            "the file changed on its server (another ETag)",
        ),
        (
            "a part with another tag",
            |_, file| {
                let headers = "ETag: \"two\"\r\nContent-Range: bytes 1000-2999/3000\r\n";
                Answer::with_body("206 Partial Content", headers, &file[1000..])
            },
            "the file changed on its server (another ETag)",
        ),
        (
            "a part of a larger file",
            |_, file| {
                let headers = "Content-Range: bytes 1000-2999/3001\r\n";
                Answer::with_body("206 Partial Content", headers, &file[1000..])
            },
            "the file changed on its server (another size)",
        ),
        (
            "another time, no ranges",
            |_, file| {
                let headers = "Last-Modified: Thu, 01 Jan 2026 00:00:01 GMT\r\n";
                Answer::with_body("200 OK", headers, file)
            },
            "the file changed on its server (another Last-Modified)",
        ),
        (
            "an answer that proves nothing",
            |_, file| Answer::raw("200 OK", "", file),
            "the file changed on its server (neither size nor ETag)",
        ),
        (
            "a part that starts too late",
            |_, file| {
                let headers = "ETag: \"one\"\r\nContent-Range: bytes 1001-2999/3000\r\n";
                Answer::with_body("206 Partial Content", headers, &file[1001..])
            },
            "the server sends another part than was asked for",
        ),
        (
            "nothing",
            |_, _| Answer::status("404 Not Found", ""),
            "the media server answered HTTP 404 Not Found; check the address",
        ),
    ];
    let headers = "ETag: \"one\"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n";
    for (name, then, expected) in cases {
        let server = cut_once(&file, headers, 1000, then);
        let source = open(&at(&server.url), &http(), u64::MAX).await.unwrap();
        let (bytes, error) = received(source).await;
        assert_eq!(bytes, file[..1000], "{name}");
        let expected = format!("the media download stopped at byte 1000 of 3000: {expected}");
        let error = error.unwrap_or_else(|| panic!("{name}: no error"));
        assert!(error.contains(&expected), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_server_without_ranges_is_read_again_from_its_start() {
    let file = noise(300_000);
    for headers in ["ETag: \"one\"\r\n", "ETag: W/\"one\"\r\n", ""] {
        let server = cut_once(&file, headers, 200_000, move |_, file| {
            Answer::with_body("200 OK", headers, file)
        });
        let source = open(&at(&server.url), &http(), u64::MAX).await.unwrap();
        let (bytes, error) = received(source).await;
        assert_eq!(error, None, "{headers}");
        assert!(bytes == file, "the bytes differ");
        let strong = if headers.contains(" \"") {
            "\"one\""
        } else {
            "-"
        };
        assert_eq!(server.asked("if-range"), ["-", strong]);
    }
}

#[tokio::test]
async fn parts_are_exactly_what_was_asked_for() {
    let file = noise(MIB);
    for knows_ranges in [true, false] {
        let served = file.clone();
        let server = Server::answers(move |number, request| {
            let answer = if knows_ranges {
                Answer::file(request, &served, "\"one\"")
            } else {
                Answer::with_body("200 OK", "", &served)
            };
            // The first connection of each part breaks within it.
            let lead = if knows_ranges { 0 } else { 600_000 };
            if number % 2 == 0 {
                answer.cut(lead + 100)
            } else {
                answer
            }
        });
        let media = at(&server.url);
        let source = open_part(&media, &http(), 600_000..900_000, u64::MAX)
            .await
            .unwrap();
        assert_eq!(
            (source.total, source.offset, source.length),
            (1 << 20, 600_000, 300_000)
        );
        let (bytes, error) = received(source).await;
        assert_eq!(error, None);
        assert!(bytes == file[600_000..900_000], "the bytes differ");
        assert_eq!(
            server.asked("range"),
            ["bytes=600000-899999", "bytes=600100-899999"]
        );
        let beyond = open_part(&media, &http(), 600_000..1_048_577, u64::MAX).await;
        assert_eq!(
            verdict(&beyond.unwrap_err()),
            "rejected: the media file has 1048576 bytes, and the bytes from 600000 to 1048577 are wanted: was it exchanged?"
        );
    }
}

#[tokio::test]
async fn a_server_that_announces_more_than_it_has_is_given_up() {
    let server = Server::answers(|_, request| {
        let start = request.range().map_or(0, |(start, _)| start);
        let body = &b"0123456789"[start..];
        match start {
            0 => Answer::raw("200 OK", "Content-Length: 20\r\n", body),
            _ => Answer::raw(
                "206 Partial Content",
                "Content-Range: bytes 10-19/20\r\n",
                body,
            ),
        }
    });
    let source = open(&at(&server.url), &http(), u64::MAX).await.unwrap();
    assert_eq!(source.length, 20);
    let (bytes, error) = received(source).await;
    assert_eq!(bytes, b"0123456789");
    let error = error.unwrap();
    assert!(error.contains("stopped at byte 10 of 20"), "{error}");
    assert!(
        error.contains("and 5 more tries brought nothing"),
        "{error}"
    );
    assert_eq!(server.targets().len(), 6);
}

#[tokio::test]
async fn a_server_that_sends_more_than_it_announces_is_cut_short() {
    let server = Server::answers(|_, request| match request.range() {
        None => Answer::raw("200 OK", "Content-Length: 4\r\n", b"0123456789"),
        // A part that is longer than was asked for.
        Some(_) => Answer::with_body(
            "206 Partial Content",
            "Content-Range: bytes 1-9/10\r\n",
            b"123456789",
        ),
    });
    let media = at(&server.url);
    let source = open(&media, &http(), u64::MAX).await.unwrap();
    assert_eq!(received(source).await, (b"0123".to_vec(), None));
    let source = open_part(&media, &http(), 1..4, u64::MAX).await.unwrap();
    assert_eq!(received(source).await, (b"123".to_vec(), None));
}

#[tokio::test]
async fn a_connection_that_falls_silent_counts_as_broken() {
    let file = noise(100_000);
    let served = file.clone();
    let server = Server::answers(move |number, request| {
        let answer = Answer::file(request, &served, "\"one\"");
        match number {
            0 => answer.cut(40_000).holding(),
            // Silent before its first byte.
            1 => answer.cut(0).holding(),
            _ => answer,
        }
    });
    let http = impatient(Duration::from_millis(300));
    let source = open(&at(&server.url), &http, u64::MAX).await.unwrap();
    let (bytes, error) = received(source).await;
    assert_eq!(error, None);
    assert!(bytes == file, "the bytes differ");
    assert_eq!(server.asked("range"), ["-", "bytes=40000-", "bytes=40000-"]);
}

#[tokio::test]
async fn a_download_ends_with_the_time_for_uploads() {
    // A byte for each connection: always progress, never an end.
    let server =
        Server::answers(|_, request| Answer::file(request, &[b'x'; 1000], "\"one\"").cut(1));
    let mut http = http();
    http.timeouts.upload = Duration::from_secs(1);
    let began = Instant::now();
    let source = open(&at(&server.url), &http, u64::MAX).await.unwrap();
    let (_, error) = received(source).await;
    let error = error.unwrap();
    assert!(
        error.contains("of 1000: ") && error.contains("the time is up"),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn answers_that_can_not_be_sent_on_are_refused() {
    let cases = [
        (
            Answer::with_body("200 OK", "Content-Encoding: gzip\r\n", b"packed"),
            "rejected: the media server sends the file packed (gzip), unasked",
        ),
        (
            Answer::with_body("206 Partial Content", "", b"part"),
            "rejected: the media server sends a part and doesn't say which",
        ),
        (
            Answer::with_body(
                "206 Partial Content",
                "Content-Range: bytes 9-2/10\r\n",
                b"part",
            ),
            "rejected: the media server sends a part and doesn't say which",
        ),
        (
            Answer::raw("200 OK", "", b"some"),
            "rejected: the media server doesn't say how large the file is (Content-Length)",
        ),
        (
            Answer::with_body("200 OK", "", b"0123456789a"),
            "rejected: the media file has 11 bytes; the platform takes 10",
        ),
        (
            Answer::status("200 OK", ""),
            "rejected: the media file is empty",
        ),
        (
            Answer::status("503 Busy", ""),
            "retry: the media server answered HTTP 503 Service Unavailable",
        ),
    ];
    for (answer, expected) in cases {
        let answer = std::sync::Mutex::new(Some(answer));
        let server = Server::answers(move |_, _| answer.lock().unwrap().take().unwrap());
        let refused = open(&at(&server.url), &http(), 10).await.unwrap_err();
        assert_eq!(verdict(&refused), expected);
    }
}
