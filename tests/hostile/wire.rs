//! The ways in which an answer can be hostile, as bytes.

use std::time::Duration;

use crate::support::hostile::{Answer, reply};

/// What an answer means to the one who asked for something to be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    /// Nobody knows.
    Doubt,
    /// No.
    Refusal,
    /// Not now.
    Limit,
}

/// A hostile answer.
#[derive(Clone, Debug)]
pub(crate) struct Ill {
    pub(crate) name: String,
    pub(crate) answer: Answer,
    pub(crate) means: Means,
}

impl Ill {
    /// Whether it comes to an end by itself.
    pub(crate) fn ends(&self) -> bool {
        matches!(self.answer, Answer::Bytes(_))
    }
}

const MEGABYTE: usize = 1 << 20;
const JSON: &str = "content-type: application/json\r\n";
const HTML: &str = "content-type: text/html; charset=utf-8\r\n";
const PAGE: &[u8] =
    b"<!doctype html><html><head><title>Oops</title></head><body><h1>It broke</h1></body></html>";
/// What every platform would take for a yes, but for the way in which it comes.
const YES: &[u8] = br#"{"ok": true, "channel": "C1", "ts": "1.2", "id": "1001_7", "post_id": "1001_7", "success": true}"#;

/// All of them. `witness` is a server that must never hear of anybody.
pub(crate) fn ills(witness: &str) -> Vec<Ill> {
    [
        sizes(),
        heads(),
        encodings(),
        bodies(),
        statuses(),
        redirects(witness),
        waits(),
    ]
    .concat()
}

fn ill(name: &str, means: Means, answer: Answer) -> Ill {
    Ill {
        name: name.to_owned(),
        answer,
        means,
    }
}

fn doubt(name: &str, bytes: Vec<u8>) -> Ill {
    ill(name, Means::Doubt, Answer::Bytes(bytes))
}

fn endless(name: &str, head: &str, part: &[u8], times: usize, pause: Duration) -> Ill {
    let answer = Answer::Endless {
        head: head.as_bytes().to_vec(),
        part: part.to_vec(),
        times,
        pause,
    };
    ill(name, Means::Doubt, answer)
}

fn sizes() -> Vec<Ill> {
    let megabyte = vec![b'x'; MEGABYTE];
    let chunk = [b"100000\r\n", &megabyte[..], b"\r\n"].concat();
    let (fast, slow) = (Duration::from_millis(1), Duration::from_millis(50));
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let long = "HTTP/1.1 200 OK\r\ncontent-length: 52428800\r\n\r\n";
    let until_the_end = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    vec![
        endless("50 MB", long, &megabyte, 50, fast),
        endless("50 MB until the end", until_the_end, &megabyte, 50, fast),
        endless("50 MB in chunks", chunked, &chunk, 50, fast),
        endless("chunks for ever", chunked, &chunk, usize::MAX, fast),
        endless("a body that trickles", long, b"x", usize::MAX, slow),
        endless(
            "chunks that trickle",
            chunked,
            b"1\r\nx\r\n",
            usize::MAX,
            slow,
        ),
        endless("nothing at all", "", b"", usize::MAX, slow),
        endless(
            "a chunk's size for ever",
            chunked,
            b"0000000000000000",
            usize::MAX,
            slow,
        ),
        endless(
            "white space for ever",
            chunked,
            b"4\r\n    \r\n",
            usize::MAX,
            slow,
        ),
    ]
}

fn heads() -> Vec<Ill> {
    // A head is read from its beginning with each part that comes: what is faster only costs a debug build its time.
    let slow = Duration::from_millis(50);
    let status = "HTTP/1.1 200 OK\r\n";
    let many: Vec<String> = (0..10_000).map(|n| format!("x-{n}: {n}\r\n")).collect();
    let many = many.concat();
    let long = format!("x-long: {}\r\n", "x".repeat(MEGABYTE));
    vec![
        endless(
            "headers for ever",
            status,
            &b"x-more: and more\r\n".repeat(100),
            usize::MAX,
            slow,
        ),
        endless(
            "headers that trickle",
            status,
            b"x: y\r\n",
            usize::MAX,
            slow,
        ),
        endless(
            "a header for ever",
            "HTTP/1.1 200 OK\r\nx: ",
            &[b'x'; 65_536],
            usize::MAX,
            slow,
        ),
        endless(
            "a status for ever",
            "HTTP/1.1 200 ",
            &b"OK, and again: OK ".repeat(100),
            usize::MAX,
            slow,
        ),
        endless(
            "hints for ever",
            "",
            b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
            usize::MAX,
            slow,
        ),
        endless(
            "go on, for ever",
            "",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            usize::MAX,
            slow,
        ),
        doubt("10,000 headers", reply("200 OK", &many, YES)),
        doubt("a header of 1 MB", reply("200 OK", &long, YES)),
        doubt("no HTTP", b"220 mail.example.com ESMTP\r\n".to_vec()),
        doubt("another HTTP", b"HTTP/9.9 200 OK\r\n\r\n".to_vec()),
        doubt(
            "two lengths",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}".to_vec(),
        ),
        doubt(
            "a length below zero",
            b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}".to_vec(),
        ),
        doubt(
            "a chunk of 2^72 bytes",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nx".to_vec(),
        ),
        doubt(
            "a body that is cut off",
            [&b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n"[..], YES].concat(),
        ),
        doubt(
            "a switch of protocols",
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"
                .to_vec(),
        ),
    ]
}

/// Nothing is asked for in another coding than its own, so what comes in one is not understood, and not unpacked.
fn encodings() -> Vec<Ill> {
    let bomb = bomb();
    assert!(bomb.len() < MEGABYTE, "it fits into what is read");
    let mut ills: Vec<Ill> = ["gzip", "deflate", "br", "zstd", "gzip, gzip"]
        .map(|coding| {
            let header = format!("{JSON}content-encoding: {coding}\r\n");
            doubt(&format!("a {coding} bomb"), reply("200 OK", &header, &bomb))
        })
        .to_vec();
    let transfer = "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n";
    ills.push(doubt(
        "a bomb as transfer coding",
        [transfer.as_bytes(), &bomb].concat(),
    ));
    ills
}

/// A gzip file of half a megabyte that unpacks to 80 MB of zeros: one literal, and matches of 258 bytes, each 13 bits.
fn bomb() -> Vec<u8> {
    let mut bits: Vec<bool> = Vec::new();
    // The last block, with the fixed codes.
    bits.extend([true, true, false]);
    let mut code = |value: u32, length: u32| {
        bits.extend((0..length).rev().map(|bit| value >> bit & 1 == 1));
    };
    code(0b0011_0000, 8);
    for _ in 0..310_000 {
        // Length 258, distance 1.
        code(0b1100_0101, 8);
        code(0, 5);
    }
    let packed = bits.chunks(8).map(|byte| {
        byte.iter()
            .rev()
            .fold(0, |byte, bit| byte << 1 | u8::from(*bit))
    });
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    head.into_iter().chain(packed).collect()
}

fn bodies() -> Vec<Ill> {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_objects = format!("{}1{}", "{\"id\":".repeat(100_000), "}".repeat(100_000));
    let texts: [(&str, &[u8]); 17] = [
        ("an empty body", b""),
        ("deep arrays", deep.as_bytes()),
        ("deep objects", deep_objects.as_bytes()),
        ("no UTF-8", b"{\"ok\": true, \"channel\": \"\xff\xfe\", \"ts\": \"1.2\", \"id\": \"\xc3\x28\"}"),
        ("UTF-16", b"\xff\xfe{\0\"\0o\0k\0\"\0:\0t\0r\0u\0e\0}\0"),
        ("zeros", &[0; 5000]),
        ("huge numbers", br#"{"ok": 1e400, "id": 1e999999, "ts": -1e999, "expires_in": 99999999999999999999999999}"#),
        ("keys twice", br#"{"ok": true, "ok": false, "channel": "C1", "channel": "C2", "ts": "1.2", "ts": "1.3", "id": "1", "id": 2}"#),
        ("wrong types", br#"{"ok": "maybe", "id": {"a": 1}, "channel": [], "ts": 1.2, "access_token": [], "error": 7, "data": "x", "value": 3, "items": {}, "success": "no"}"#),
        ("nulls", br#"{"ok": null, "id": null, "channel": null, "ts": null, "access_token": null, "error": null, "data": null, "value": null, "items": null}"#),
        ("empty words", br#"{"ok": true, "id": "", "channel": "", "ts": "", "access_token": "", "data": [{}], "value": {}, "items": [{}], "file_id": "", "upload_url": ""}"#),
        ("ids that are none", br#"{"ok": true, "id": "../../me?access_token=x", "post_id": "a b", "channel": "C1/../x", "ts": "now\u0000", "video_id": "\n", "success": true}"#),
        ("an array", b"[]"),
        ("null", b"null"),
        ("text", b"\"ok\""),
        ("half of it", br#"{"ok": true, "channel": "C1", "id": "1001_"#),
        ("two values", br#"{"ok": true, "id": "1001_7"}{"ok": true, "id": "1001_8"}"#),
    ];
    let mut ills: Vec<Ill> = texts
        .map(|(name, body)| doubt(name, reply("200 OK", JSON, body)))
        .to_vec();
    ills.push(doubt("a page that says 200", reply("200 OK", HTML, PAGE)));
    ills.push(doubt(
        "a picture",
        reply(
            "200 OK",
            "content-type: image/png\r\n",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        ),
    ));
    ills
}

fn statuses() -> Vec<Ill> {
    let refused = |name, status, body: &[u8]| {
        ill(
            name,
            Means::Refusal,
            Answer::Bytes(reply(status, HTML, body)),
        )
    };
    let wrong = br#"{"error": "no object", "ok": false, "message": 7, "status": [], "code": {}}"#;
    vec![
        doubt(
            "204",
            b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_vec(),
        ),
        doubt(
            "304",
            b"HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n".to_vec(),
        ),
        doubt(
            "206",
            reply(
                "206 Partial Content",
                "content-range: bytes 0-3/4\r\n",
                b"yes!",
            ),
        ),
        doubt("a page with 500", reply("500 Oops", HTML, PAGE)),
        doubt("a page with 502", reply("502 Bad Gateway", HTML, PAGE)),
        doubt("600", reply("600 What", HTML, PAGE)),
        doubt("999", reply("999 What", "", b"")),
        refused("a page with 400", "400 Bad Request", PAGE),
        refused("a page with 410", "410 Gone", PAGE),
        refused("400 in the wrong shape", "400 Bad Request", wrong),
    ]
}

fn redirects(witness: &str) -> Vec<Ill> {
    let places = [
        ("301 Moved", format!("{witness}/301")),
        ("302 Found", format!("{witness}/302")),
        ("303 See Other", format!("{witness}/303")),
        ("307 Temporary", format!("{witness}/307")),
        ("308 Permanent", format!("{witness}/308")),
        ("302 Found", witness.replace("127.0.0.1", "localhost")),
        (
            "307 Temporary",
            witness.replace("127.0.0.1", "[::ffff:127.0.0.1]"),
        ),
        ("302 Found", "file:///etc/passwd".to_owned()),
        ("307 Temporary", "/".to_owned()),
        (
            "308 Permanent",
            "http://169.254.169.254/latest/meta-data/".to_owned(),
        ),
        ("302 Found", String::new()),
    ];
    places
        .map(|(status, place)| {
            let location = format!("location: {place}\r\n");
            doubt(
                &format!("{status} to {place:?}"),
                reply(status, &location, b""),
            )
        })
        .to_vec()
}

fn waits() -> Vec<Ill> {
    let names = [
        "0",
        "-5",
        "NaN",
        "inf",
        "1e18",
        "99999999999999999999999",
        "Wed, 21 Oct 2099 07:28:00 GMT",
        "",
        "soon",
    ];
    names
        .map(|wait| {
            let header = format!("retry-after: {wait}\r\n");
            let answer = Answer::Bytes(reply("429 Too Many Requests", &header, b""));
            ill(&format!("429 for {wait:?}"), Means::Limit, answer)
        })
        .to_vec()
}
