//! Media behind addresses, looked at before a post is added: web addresses and objects of a store.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use serde_json::json;

use super::refused;
use crate::on_both;
use crate::support::hostile::{Answer, Hostile, reply};
use crate::support::postgres::free_port;
use crate::support::world::{Ended, World, post};

const PICTURE: &[u8] = include_bytes!("../../src/sandbox/samples/1080x1080.jpg");

fn add(world: &World, account: i64, media: &str, more: &[&str]) -> Ended {
    let account = account.to_string();
    let add = [
        "posts",
        "add",
        "--account",
        &account,
        "--body",
        "Hi",
        "--media",
        media,
    ];
    world.tell(&[&add, more].concat())
}

on_both! {
    fn what_is_wrong_with_media_is_said_before_they_are_due(world: World) {
        let account = world.account("instagram", 1, "alder");
        let sample = |name: &str| world.sandbox.sample(name);
        for (media, parts) in [
            // The wrong shape, the wrong type, not there.
            (sample("4000x100.jpg"), &["--media: ", "4000x100.jpg"][..]),
            (sample("800x800.png"), &["media 1", "image/png"]),
            (sample("document.pdf"), &["media 1", "application/pdf"]),
            (sample("none.jpg"), &["--media: ", "media 1", "404"]),
        ] {
            refused(add(world, account, &media, &[]), 1, parts);
            refused(add(world, account, &media, &["--dry-run"]), 1, parts);
        }
        assert_eq!(world.posts(), 0);
        add(world, account, &sample("1080x1080.jpg"), &[]).exits(0);
        add(world, account, &sample("4000x100.jpg"), &["--no-media-check"]).exits(0);
        assert_eq!(world.posts(), 2);

        let head = "account,body,media,scheduled_at\n";
        let row = |name: &str| format!("1,a,{},2030-01-01T09:00Z\n", sample(name));
        let rows: String = ["1080x1080.jpg", "4000x100.jpg", "1080x1080.jpg", "none.jpg"].map(row).concat();
        let ended = world.import("media.csv", format!("{head}{rows}"));
        refused(ended, 1, &["2 problems", "media.csv:3:3: media: ", "media.csv:5:3: media: media 1 ("]);
        assert_eq!(world.posts(), 2);
    }
}

#[test]
fn what_can_not_be_looked_at_now_is_a_warning() {
    let world = World::sqlite();
    let account = world.account("instagram", 1, "alder");
    let away = format!("http://127.0.0.1:{}/a.jpg", free_port());
    let ended = add(&world, account, &away, &[]).exits(0);
    assert!(
        ended.stderr.contains("warning: media 1 (http://127.0.0.1:"),
        "{ended:?}"
    );
    let busy = Hostile::answers(|_| reply("503 Service Unavailable", "", b""));
    let ended = add(&world, account, &format!("{}/a.jpg", busy.url), &[]).exits(0);
    assert!(ended.stderr.contains("HTTP 503"), "{ended:?}");
    // Each address is asked once.
    let asked = busy.requests();
    let row = format!("1,a,{}/b.jpg,2030-01-01T09:00Z\n", busy.url);
    world
        .import(
            "a.csv",
            format!("account,body,media,scheduled_at\n{}", row.repeat(5)),
        )
        .exits(0);
    assert_eq!(busy.requests() - asked, 1);
}

/// A store that speaks S3, with one picture in a bucket.
fn store() -> Hostile {
    Hostile::answers(|head| {
        let target = head.split(' ').nth(1).unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if !query.contains("X-Amz-Signature=") {
            return reply("400 Bad Request", "", b"");
        }
        match path {
            "/bucket-1/summer%20sale/gr%C3%BC%C3%9Fe.jpg" => {
                reply("200 OK", "Content-Type: image/jpeg\r\n", PICTURE)
            }
            "/bucket-2/mine.jpg" => reply("403 Forbidden", "", b""),
            "/bucket-3/far.jpg" => reply("301 Moved Permanently", "", b""),
            _ => reply("404 Not Found", "", b""),
        }
    })
}

on_both! {
    fn objects_of_a_store_are_added_looked_at_and_published(world: World) {
        let store = store();
        let settings = format!(
            "[media]\nbuckets = [\"bucket-1\", \"bucket-2\", \"bucket-3\"]\ns3_endpoint = \"{}\"\ns3_region = \"eu-central-1\"\ns3_allow_http = true\n",
            store.url
        );
        std::fs::write(world.path("publisher.toml"), settings).unwrap();
        let tell = |arguments: &[&str]| {
            let mut command = world.publisher(arguments);
            command.env("AWS_ACCESS_KEY_ID", "a-key").env("AWS_SECRET_ACCESS_KEY", "a-secret-of-aws");
            Ended::from(command.output().unwrap())
        };
        let object = "s3://bucket-1/summer sale/grüße.jpg";
        for (n, platform) in (1..).zip(["instagram", "facebook", "linkedin", "slack"]) {
            let account = world.account(platform, n, "alder").to_string();
            let add = |media: &str| {
                tell(&["posts", "add", "--account", &account, "--body", platform, "--media", media])
            };
            add(object).exits(0);
            refused(add("s3://bucket-1/other.jpg"), 1, &["there is no such object"]);
            refused(add("s3://bucket-2/mine.jpg"), 1, &["may not read it"]);
            refused(add("s3://bucket-3/far.jpg"), 1, &["another region"]);
        }
        let csv = format!("account,body,media,scheduled_at\n1,from a file,{object},now\n1,x,S3://bucket-1/none.jpg,now\n");
        std::fs::write(world.path("a.csv"), &csv).unwrap();
        refused(tell(&["posts", "import", "a.csv"]), 1, &["a.csv:3:3: media: media 1 (S3://bucket-1/none.jpg)", "no such object"]);
        std::fs::write(world.path("a.csv"), csv.lines().take(2).collect::<Vec<_>>().join("\n")).unwrap();
        tell(&["posts", "import", "a.csv"]).exits(0);
        tell(&["run"]).exits(0);
        assert_eq!(world.statuses(), "published 5");
        let posts = world.get("api/posts");
        for post in posts.as_array().unwrap() {
            assert_eq!(post["media"][0]["bytes"], json!(PICTURE.len()), "{post}");
        }
        // The operator's keys may open others, too.
        refused(tell(&["posts", "add", "--account", "1", "--body", "a", "--media", "s3://payroll/a.jpg"]), 1,
            &["the bucket payroll is not among those", "PUBLISHER_MEDIA_BUCKETS"]);
        // Without a store that is said.
        std::fs::remove_file(world.path("publisher.toml")).unwrap();
        refused(world.tell(&["posts", "add", "--account", "1", "--body", "a", "--media", object]), 1, &["no media are taken from an object store"]);
    }
}

/// What Instagram says of an address that it can't open.
const NOT_FETCHED: &[u8] = include_bytes!("../fixtures/instagram/not_fetched.json");

/// A world whose Instagram can't fetch what is at such an address, so many times.
fn fetches_badly(world: &World, address: &'static str, times: usize) -> Hostile {
    let left = AtomicUsize::new(times);
    Hostile::before(&world.sandbox.url, move |request| {
        let body = String::from_utf8_lossy(&request.body);
        let concerns = request.line().starts_with("POST /instagram/") && body.contains(address);
        let fails = concerns
            && left
                .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
                .is_ok();
        fails.then(|| {
            Answer::Bytes(reply(
                "400 Bad Request",
                "Content-Type: application/json\r\n",
                NOT_FETCHED,
            ))
        })
    })
}

#[test]
fn an_address_that_opens_for_us_is_tried_through_all_attempts() {
    let world = World::sqlite();
    let account = world.account("instagram", 1, "alder");
    let pictures = Hostile::answers(|_| reply("200 OK", "Content-Type: image/jpeg\r\n", PICTURE));
    let media = json!([
        {"url": format!("{}/first.jpg", pictures.url)}, {"url": format!("{}/second.jpg", pictures.url)},
    ]);
    let front = fetches_badly(&world, "/second.jpg", 3);
    world.due([post(account, "two").with("media", media)]);
    let run = || {
        let mut command = world.publisher(&["run"]);
        command.env("PUBLISHER_SANDBOX", format!("{}/", front.url));
        Ended::from(command.output().unwrap())
    };
    for attempts in 1..=3 {
        run().exits(0);
        assert_eq!(
            world.value("SELECT status || ' ' || attempts FROM posts"),
            format!("pending {attempts}")
        );
        let error = world.value("SELECT error FROM posts");
        assert!(
            error.contains("media 2") && error.contains("can't fetch the media"),
            "{error}"
        );
        world.let_time_pass();
    }
    run().exits(0);
    assert_eq!(world.statuses(), "published 1");
    let posts = world.get("api/posts");
    assert_eq!(posts[0]["media"].as_array().unwrap().len(), 2);
}

#[test]
fn one_that_opens_for_nobody_is_final() {
    let world = World::sqlite();
    let account = world.account("instagram", 1, "alder");
    let asked = AtomicUsize::new(0);
    // It goes away between our look and theirs.
    let pictures = Hostile::answers(move |_| match asked.fetch_add(1, Relaxed) {
        0 => reply("200 OK", "Content-Type: image/jpeg\r\n", PICTURE),
        _ => reply("404 Not Found", "", b""),
    });
    let front = fetches_badly(&world, "/gone.jpg", 9);
    world.due([post(account, "one").with(
        "media",
        json!([{"url": format!("{}/gone.jpg", pictures.url)}]),
    )]);
    let mut command = world.publisher(&["run"]);
    command.env("PUBLISHER_SANDBOX", format!("{}/", front.url));
    let ended = Ended::from(command.output().unwrap());
    refused(ended, 1, &["does not open for us either", "404"]);
    assert_eq!(world.statuses(), "failed 1");
}
