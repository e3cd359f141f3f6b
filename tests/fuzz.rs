//! Hostile input: whatever comes in, nothing panics, nothing goes on for ever, and no post is said to be live that is
//! not. `PROPTEST_CASES` asks for more cases.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

#[path = "fuzz/journal.rs"]
mod journal;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, FileFailurePersistence};
use publisher::config::File;
use publisher::import::{AccountRow, Accounts, Checker, Format, read};
use publisher::media::{self, Policy};
use publisher::platform;
use publisher::post::Content;
use publisher::sandbox::Fault;
use publisher::schedule;
use serde_json::{Value, json};
use support::hostile::{Hostile, reply};
use support::stage::{Stage, client};

/// The usual 256, or as many as are asked for; failures go to the terminal and not into files.
fn cases() -> Cases {
    Cases {
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        max_shrink_iters: 200,
        ..Cases::default()
    }
}

/// The same, but so many times fewer: each case takes long.
fn a_share_of(parts: u32) -> Cases {
    let whole = cases();
    Cases {
        cases: (whole.cases / parts).max(1),
        ..whole
    }
}

/// Damage to a text or a file, each place in parts of 65,536 of the whole.
#[derive(Clone, Debug)]
enum Damage {
    Cut(u16),
    Flip(u16, u8),
    Insert(u16, Vec<u8>),
    Remove(u16, u8),
    DoubleLine(u16),
    SwapLines(u16, u16),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<u16>().prop_map(Damage::Cut),
        (any::<u16>(), 1..=255_u8).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        (any::<u16>(), spice()).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (any::<u16>(), any::<u8>()).prop_map(|(at, count)| Damage::Remove(at, count)),
        any::<u16>().prop_map(Damage::DoubleLine),
        any::<(u16, u16)>().prop_map(|(one, other)| Damage::SwapLines(one, other)),
    ]
}

/// What is known to upset parsers, and noise.
fn spice() -> impl Strategy<Value = Vec<u8>> {
    let known: [&[u8]; 16] = [
        b"\"",
        b"\\",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\r\n",
        b"[[[[[[[[",
        b"{\"a\":",
        b"1e999",
        b"-1",
        b"18446744073709551616",
        b"\xe2\x80\xae",
        b"\\ud800",
        b"null",
        b"\xf0\x9f\x98\x80",
        b"\xff\xff\xff\xff",
    ];
    prop_oneof![
        proptest::sample::select(known.to_vec()).prop_map(<[u8]>::to_vec),
        proptest::collection::vec(any::<u8>(), 1..12),
    ]
}

fn place(at: u16, length: usize) -> usize {
    length * usize::from(at) / 65_536
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        match damage {
            Damage::Cut(at) => bytes.truncate(place(*at, bytes.len())),
            Damage::Flip(at, bits) => {
                let at = place(*at, bytes.len());
                bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= bits);
            }
            Damage::Insert(at, spice) => {
                let at = place(*at, bytes.len());
                bytes.splice(at..at, spice.iter().copied());
            }
            Damage::Remove(at, count) => {
                let at = place(*at, bytes.len());
                bytes.drain(at..(at + usize::from(*count)).min(bytes.len()));
            }
            Damage::DoubleLine(at) => lines(&mut bytes, |lines| {
                let at = place(*at, lines.len());
                lines.insert(at, lines[at].clone());
            }),
            Damage::SwapLines(one, other) => lines(&mut bytes, |lines| {
                let count = lines.len();
                lines.swap(place(*one, count), place(*other, count));
            }),
        }
    }
    bytes
}

fn lines(bytes: &mut Vec<u8>, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let mut lines: Vec<Vec<u8>> = bytes
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    if !lines.is_empty() {
        change(&mut lines);
        *bytes = lines.concat();
    }
}

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    proptest::collection::vec(damage(), 0..6)
}

fn checker() -> Checker {
    let row = |(id, name): (i64, &str)| AccountRow {
        id,
        platform: name.to_owned(),
        external_id: support::world::external_id(name, 1),
        timezone: "Europe/Berlin".to_owned(),
    };
    let rows = (1..).zip(platform::names()).map(row).collect();
    Checker::new(
        Accounts::new(rows),
        "/srv/posts".into(),
        "2026-03-01T09:00:00Z".parse().unwrap(),
        Duration::from_hours(24),
        Policy::default(),
        std::collections::BTreeMap::new(),
    )
}

fn imported(bytes: Vec<u8>, format: Format) -> Result<(), TestCaseError> {
    match read(bytes, format, &mut checker()) {
        Ok(batch) => batch
            .posts
            .iter()
            .for_each(|post| drop(serde_json::to_value(post).unwrap())),
        Err(problems) => prop_assert!(!problems.report("posts").is_empty()),
    }
    Ok(())
}

const CSV: &str = "account,body,scheduled_at,local_time,timezone,media,alt,priority,external_ref,options,expires_at,kind\n\
    facebook:1000001,\"Hello, \"\"you\"\"\",2026-07-01T09:00Z,,,https://example.com/a.jpg,A,2,r-1,,,\n\
    5,Two,,2026-03-29 02:30,Europe/Berlin,a.jpg;b.png,A;B,-3,r-2,\"{\"\"title\"\": \"\"x\"\"}\",2027-01-01T00:00Z,reel\n";
const POSTS: &str = r#"{"posts": [{"account": "slack:C00000001", "body": "Hi", "local_time": "2026-10-25T02:30",
    "timezone": "America/New_York", "media": [{"url": "https://example.com/a.jpg", "alt": "A"}], "priority": 2},
    {"account": 5, "body": "", "scheduled_at": "2026-07-01T09:00Z", "options": {"title": "T"}, "link": null}]}"#;
const LINE: &str = "{\"account\": 1, \"body\": \"One\", \"scheduled_at\": \"2026-07-01T09:00Z\"}\n\
    {\"account\": 2, \"body\": \"Two\", \"scheduled_at\": \"2026-07-01T09:00Z\", \"media\": [\"a.jpg\"]}\n";
const SETTINGS: &str = "limit = 5\nexpiry = \"24h\"\nfail_on = [\"failed\"]\nrequest_timeout = \"90s\"\n[media]\n\
    directories = [\"/srv\"]\ns3_endpoint = \"https://s3.example.com\"\n[platforms.facebook]\ncap = 4\n\
    base_url = \"http://127.0.0.1:1/x\"\nclient_id = \"1\"\n[platforms.facebook.limits]\n[paces.slow]\n\
    on_time = { at_once = 1, between_starts = \"500ms\" }\n";

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn imports(damages in damages(), noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        for (text, format) in [(CSV, Format::Csv), (POSTS, Format::Json), (LINE, Format::Jsonl)] {
            imported(damaged(text.into(), &damages), format)?;
            imported(noise.clone(), format)?;
        }
    }

    #[test]
    fn settings(damages in damages()) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), damaged(SETTINGS.into(), &damages)).unwrap();
        if let Err(failed) = File::read(file.path()) {
            prop_assert!(!failed.message.is_empty());
        }
    }

    /// What is read is written as it was meant.
    #[test]
    fn faults(spec in r"(\*|facebook|slack|[a-z]{0,9})(/(token|publish|[a-z]{0,6}))?(:(hang|429|processing|reset-at|500|[a-z0-9-]{0,8}))?(:[0-9.e+-]{0,20}[s%]?|:retry-after=[0-9]{0,22}){0,3}", noise in "\\PC{0,40}") {
        if let Ok(fault) = spec.parse::<Fault>() {
            prop_assert_eq!(fault.to_string().parse::<Fault>(), Ok(fault));
        }
        noise.parse::<Fault>().ok();
    }

    #[test]
    fn times(
        text in r"[+-]?[0-9]{0,7}-[0-9]{1,3}-[0-9]{1,3}[ T]?([0-9]{1,3}(:[0-9]{1,3}){0,3}(\.[0-9]{0,12})?)?(Z|[+-][0-9]{0,3}:?[0-9]{0,3})?",
        noise in "\\PC{0,40}",
        zone in prop_oneof![Just("Europe/Berlin".to_owned()), Just("Pacific/Apia".to_owned()), "[A-Za-z/]{0,20}"],
        seconds in any::<i64>(),
    ) {
        let now = "2026-03-01T09:00:00Z".parse().unwrap();
        for text in [&text, &noise] {
            schedule::parse_instant(text).ok();
            schedule::parse_zone(text).ok();
            schedule::parse_when(text, None, now).ok();
            schedule::parse_when(text, Some(&zone), now).ok();
            if let (Ok(local), Ok(zone)) = (schedule::parse_local(text), schedule::parse_zone(&zone)) {
                schedule::local_instant(local, zone);
            }
        }
        schedule::later(now, Duration::from_secs(seconds.unsigned_abs()));
    }
}

fn samples() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sandbox/samples");
    let files = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    assert_eq!(files.len(), 8);
    files
}

/// What a file's header says is bounded by the file, and no header sends its reader around for ever.
#[test]
fn media_headers() {
    let directory = tempfile::tempdir().unwrap();
    let samples: Vec<(PathBuf, Vec<u8>)> = samples()
        .into_iter()
        .map(|path| {
            let bytes = std::fs::read(&path).unwrap();
            (directory.path().join(path.file_name().unwrap()), bytes)
        })
        .collect();
    let examined = |path: &Path, bytes: &[u8]| {
        std::fs::write(path, bytes).unwrap();
        let content: Content =
            serde_json::from_value(json!({"body": "", "media": [{"path": path}]})).unwrap();
        let began = std::time::Instant::now();
        let policy = Policy {
            directories: vec!["/".into()],
            ..Policy::default()
        };
        let (facts, _) = media::examine(&content, &policy);
        assert!(began.elapsed() < Duration::from_secs(5));
        assert_eq!(facts.len(), 1);
    };
    let strategy = (
        proptest::sample::select(samples),
        damages(),
        header_damages(),
        proptest::collection::vec(any::<u8>(), 0..300),
    );
    proptest!(cases(), |((path, bytes) in strategy.0, whole in strategy.1, header in strategy.2, noise in strategy.3)| {
        // The damage is mostly where the header is.
        let (head, rest) = bytes.split_at(bytes.len().min(600));
        examined(&path, &[&damaged(head.to_vec(), &header), rest].concat());
        examined(&path, &damaged(bytes.clone(), &whole));
        examined(&path, &[&head[..head.len().min(16)], &noise].concat());
    });
}

fn header_damages() -> impl Strategy<Value = Vec<Damage>> {
    proptest::collection::vec(damage(), 1..4)
}

/// What is done to a platform's reply.
#[derive(Clone, Debug)]
enum Tampering {
    Nothing,
    /// Its body is damaged.
    Body(Vec<Damage>),
    /// A body that is no answer to anything.
    Noise(Vec<u8>),
    /// Another status, with what the platform said.
    Status(u16),
    /// A number of a header or a member becomes a silly one.
    Number(String),
}

fn tampering() -> impl Strategy<Value = Tampering> {
    let numbers = [
        "18446744073709551615",
        "-1",
        "1e308",
        "0",
        "99999999999",
        "NaN",
    ];
    prop_oneof![
        3 => Just(Tampering::Nothing),
        2 => damages().prop_map(Tampering::Body),
        1 => proptest::collection::vec(any::<u8>(), 0..100).prop_map(Tampering::Noise),
        1 => proptest::sample::select(vec![200, 201, 204, 206, 302, 308, 400, 401, 403, 409, 429, 500, 503]).prop_map(Tampering::Status),
        1 => proptest::sample::select(numbers.to_vec()).prop_map(|number| Tampering::Number(number.to_owned())),
    ]
}

/// What stands between a client and the sandbox.
#[derive(Default)]
struct Meddler {
    /// What is done to the next replies; all others are left as they are.
    plan: std::collections::VecDeque<Tampering>,
    /// Everything that was said with a success.
    said: String,
}

type Shared = Arc<Mutex<Meddler>>;

/// A server that hands every request on to `upstream`, and meddles with the answers.
async fn meddling(upstream: String) -> (String, Shared) {
    let meddler = Shared::default();
    let state = (upstream, Arc::clone(&meddler));
    let router = axum::Router::new().fallback(hand_on).with_state(state);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await });
    (url, meddler)
}

async fn hand_on(
    axum::extract::State((upstream, meddler)): axum::extract::State<(String, Shared)>,
    request: axum::extract::Request,
) -> axum::response::Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 24).await.unwrap();
    let url = format!("{upstream}{}", parts.uri);
    let asked = client()
        .request(parts.method, url)
        .headers(parts.headers)
        .body(body);
    let answer = asked.send().await.unwrap();
    let (mut status, mut headers) = (answer.status(), answer.headers().clone());
    let mut body = answer.bytes().await.unwrap().to_vec();
    headers.remove("content-length");
    headers.remove("transfer-encoding");
    let mut meddler = meddler.lock().unwrap();
    match meddler.plan.pop_front() {
        None | Some(Tampering::Nothing) => {}
        Some(Tampering::Body(damages)) => body = damaged(body, &damages),
        Some(Tampering::Noise(noise)) => body = noise,
        Some(Tampering::Status(forged)) => {
            status = forged.try_into().unwrap();
        }
        Some(Tampering::Number(number)) => {
            headers.insert("retry-after", number.parse().unwrap());
            let usage = format!("{{\"1\": [{{\"estimated_time_to_regain_access\": {number}}}]}}");
            headers.insert("x-business-use-case-usage", usage.parse().unwrap());
            if let Ok(Value::Object(mut members)) = serde_json::from_slice(&body) {
                members
                    .values_mut()
                    .filter(|value| value.is_number())
                    .for_each(|value| {
                        *value = serde_json::from_str(&number).unwrap_or(json!(number));
                    });
                body = serde_json::to_vec(&members).unwrap();
            }
        }
    }
    if status.is_success() {
        // Also as its parser reads it.
        let parsed = serde_json::from_slice::<Value>(&body).unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        write!(meddler.said, "{headers:?} {text} {parsed}").unwrap();
    }
    let mut response = axum::response::Response::new(body.into());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// What each platform publishes in as many steps as it has.
fn contents(stage: &Stage, video: &Path) -> Vec<Value> {
    match stage.platform.name() {
        "facebook" => vec![
            json!({"body": "Hi"}),
            json!({"body": "Hi", "media": [{"url": stage.sample("1080x1080.jpg")}]}),
            json!({"body": "Hi", "media": [{"path": video}]}),
        ],
        "instagram" => vec![
            json!({"body": "Hi", "media": [{"url": stage.sample("1080x1080.jpg")}]}),
            json!({"body": "Hi", "kind": "reel", "media": [{"url": stage.sample("reel-9s.mp4")}]}),
        ],
        "youtube" => vec![json!({"body": "Hi", "media": [{"path": video}]})],
        _ => vec![
            json!({"body": "Hi"}),
            json!({"body": "Hi", "media": [{"url": stage.sample("1080x1080.jpg")}]}),
        ],
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Every flow, every step of it answered by a platform that lost its mind.
#[test]
fn replies() {
    let video = samples()
        .into_iter()
        .find(|path| path.ends_with("reel-9s.mp4"))
        .unwrap();
    for name in platform::names() {
        let runtime = runtime();
        let (stage, meddler) = runtime.block_on(async {
            let mut stage = Stage::with(name, &[]).await;
            let (url, meddler) = meddling(stage.url.clone()).await;
            stage.platform_url = Some(format!("{url}/{name}"));
            (stage, meddler)
        });
        let contents = contents(&stage, &video);
        let plans = proptest::collection::vec(tampering(), 1..6);
        proptest!(a_share_of(4), |(plan in plans, content in proptest::sample::select(contents))| {
            *meddler.lock().unwrap() = Meddler { plan: plan.clone().into(), ..Meddler::default() };
            let began = std::time::Instant::now();
            let (ending, live) = runtime.block_on(async {
                stage.reset().await;
                let ending = stage.go_on_unseen(content).await;
                (ending, stage.posts().await.len())
            });
            prop_assert!(began.elapsed() < Duration::from_secs(20), "{name} takes for ever: {plan:?}");
            let meddler = meddler.lock().unwrap();
            prop_assert!(live <= 1, "{name} published {live} times");
            if ending.verdict == "done" {
                let id = ending.published.unwrap().id;
                prop_assert!(!id.trim().is_empty(), "{name} is done without an id");
                let known = |part: &str| meddler.said.contains(part) || stage.external_id.contains(part);
                prop_assert!(id.split(['_', ':']).all(known), "{name}: nobody said {id}");
            }
            let in_doubt = ["done", "wait", "doubt", "unconfirmed"];
            let may_be_live = in_doubt.iter().any(|word| ending.verdict.starts_with(word));
            let is_noise = plan.iter().all(|what| matches!(what, Tampering::Nothing | Tampering::Noise(_)));
            prop_assert!(live == 0 || may_be_live || !is_noise,
                "{name} is live, and would be sent again: {} {}", ending.verdict, ending.message);
        });
    }
}

/// Tokens, too: whatever a platform gives for one, nothing panics.
#[test]
fn tokens() {
    for name in platform::names() {
        let runtime = runtime();
        let plans = proptest::collection::vec(tampering(), 1..4);
        proptest!(a_share_of(4), |(plan in plans)| {
            runtime.block_on(async {
                let mut stage = Stage::with(name, &[]).await;
                let (url, meddler) = meddling(stage.url.clone()).await;
                stage.platform_url = Some(format!("{url}/{name}"));
                stage.credentials = json!({
                    "access_token": "good", "refresh_token": "refresh", "client_id": "a", "client_secret": "b",
                });
                meddler.lock().unwrap().plan = plan.into();
                if let Ok(renewed) = stage.refresh().await {
                    renewed.lives.map(|lives| schedule::later(stage.now.parse().unwrap(), lives));
                    let stored = serde_json::from_value(stage.credentials.clone()).unwrap();
                    publisher::tokens::renewed_credentials(stored, renewed).ok();
                }
                stage.check().await.ok();
            });
        });
    }
}

/// Noise that is not even HTTP.
#[test]
fn wires() {
    let video = samples()
        .into_iter()
        .find(|path| path.ends_with("reel-9s.mp4"))
        .unwrap();
    let noise: Arc<Mutex<Vec<u8>>> = Arc::default();
    let answered = Arc::clone(&noise);
    let hostile = Hostile::answers(move |_| answered.lock().unwrap().clone());
    for name in platform::names() {
        let runtime = runtime();
        let mut stage = runtime.block_on(Stage::with(name, &[]));
        stage.platform_url = Some(hostile.url.clone());
        let contents = contents(&stage, &video);
        let answer = (
            proptest::collection::vec(any::<u8>(), 0..300),
            damages(),
            any::<bool>(),
        );
        proptest!(a_share_of(8), |((bytes, damages, is_http) in answer, content in proptest::sample::select(contents))| {
            let whole = reply("200 OK", "content-type: application/json\r\n", &bytes);
            *noise.lock().unwrap() = if is_http { damaged(whole, &damages) } else { bytes };
            let ending = runtime.block_on(stage.go_on_unseen(content));
            prop_assert_ne!(ending.verdict, "done");
        });
    }
}
