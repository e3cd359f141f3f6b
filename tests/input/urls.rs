//! Database URLs as hosting providers and other programs write them, and those that lead nowhere.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Output;

use super::{refused, run_on};
use crate::support::postgres::{cluster, free_port};
use crate::support::world::{Ended, KEY, World, bare_publisher, post};

/// What other programs want of the same URL.
const OF_OTHERS: &str = "pgbouncer=true&connection_limit=1&pool_timeout=10&schema=public&statement_cache_mode=describe\
                         &connect_timeout=5&target_session_attrs=read-write&keepalives=1&keepalives_idle=30&Pool_Size=3\
                         &prepareThreshold=0&gssencmode=disable&application_name=cron";

/// A run with no flags at all on that URL, as cron starts it.
fn plain(world: &World, url: &str) -> Output {
    let mut command = bare_publisher(&["run"]);
    command
        .current_dir(world.dir.path())
        .env("DATABASE_URL", url)
        .env("ENCRYPTION_KEY", KEY)
        .env("PUBLISHER_STATE_DIR", world.path("state"))
        .env("PUBLISHER_SANDBOX", &world.sandbox.url);
    command.output().unwrap()
}

fn reaches(world: &World, url: &str) {
    let account = world.account("slack", 1, "alder");
    world.due([post(account, "hi")]);
    let ended = Ended::from(plain(world, url)).exits(0);
    assert_eq!(ended.stdout + &ended.stderr, "", "{url}");
    assert_eq!(world.statuses(), "published 1", "{url}");
    world.execute("DELETE FROM posts; DELETE FROM accounts");
}

#[test]
fn an_empty_minute_writes_nothing_whatever_others_put_into_the_url() {
    let world = World::postgres();
    let url = format!("{}?{OF_OTHERS}", world.database_url);
    for work in [false, true] {
        if work {
            world.due([post(world.account("slack", 1, "alder"), "hi")]);
        }
        let output = plain(&world, &url);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(
            (output.stdout.len(), output.stderr.len()),
            (0, 0),
            "{output:?}"
        );
    }
    assert_eq!(world.statuses(), "published 1");

    // What nobody knows is remarked on for those who ask, without its value.
    let unknown = format!("{url}&flux_capacitor=hush");
    let output = plain(&world, &unknown);
    assert_eq!(
        (output.stdout.len(), output.stderr.len()),
        (0, 0),
        "{output:?}"
    );
    let mut command = world.publisher(&["run", "-v"]);
    let output = command.env("DATABASE_URL", unknown).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.matches("`flux_capacitor`").count(), 1, "{said}");
    assert!(!said.contains("hush"), "{said}");
}

#[test]
fn every_form_of_a_url_leads_there() {
    let world = World::postgres();
    let url = world.database_url.clone();
    let nobody = free_port();
    let standby = cluster().standby();
    let host = format!("127.0.0.1:{}", cluster().port());
    for form in [
        url.replace("127.0.0.1", "[::1]"),
        // Its zone, by number.
        url.replace("127.0.0.1", "[::1%251]"),
        url.replace("postgres://", "postgresql://"),
        url.replace("postgres://", "postgresql+psycopg://"),
        url.replace(&host, &format!("127.0.0.1:{nobody},{host}")),
        // One that is read-only is passed over.
        url.replace(&host, &format!("127.0.0.1:{},{host}", standby.port())),
        format!("  {url} \n"),
        format!("\"{url}\""),
        format!("'{url}'"),
        url.replace("postgres@", "postgres:not%20asked%23@"),
    ] {
        reaches(&world, &form);
    }
    // Where only those are there that take no changes, that is said.
    let read_only = url.replace(
        &host,
        &format!("127.0.0.1:{},127.0.0.1:{nobody}", standby.port()),
    );
    refused(run_on(&read_only), 75, &["127.0.0.1"]);
    let alone = url.replace(&host, &format!("127.0.0.1:{}", standby.port()));
    let asked = run_on(&format!("{alone}?target_session_attrs=primary"));
    refused(asked, 75, &["no host takes changes"]);
}

#[test]
fn a_key_in_quotes_opens_the_same() {
    let world = World::sqlite();
    world.due([post(world.account("slack", 1, "alder"), "hi")]);
    for key in [format!("\"{KEY}\""), format!(" '{KEY}'\n")] {
        let mut command = world.publisher(&["accounts", "check"]);
        let ended: Ended = command.env("ENCRYPTION_KEY", key).output().unwrap().into();
        ended.exits(0);
    }
}

#[test]
fn a_password_that_is_not_encoded_is_explained_and_not_shown() {
    for url in [
        "postgres://u:hush#word@localhost/x",
        "postgres://u:hush/word@localhost/x",
        "postgres://u:hush%word@localhost/x",
        "postgres://u:12#hush@localhost/x",
        "postgres://u:12?hush@localhost/x",
    ] {
        let ended = run_on(url);
        assert!(!ended.stderr.contains("hush"), "{ended:?}");
        refused(ended, 78, &["%23 for #"]);
    }
}

#[test]
fn a_server_that_does_not_answer_is_given_up_in_the_urls_time() {
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = deaf.local_addr().unwrap();
    let ended = run_on(&format!("postgres://u@{address}/x?connect_timeout=1"));
    refused(ended, 75, &["did not answer within 1 s"]);
}

/// What a server that refuses TLS was told, and how the run ended.
fn told_without_tls(parameters: &str) -> (Ended, Vec<u8>) {
    let fake = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = fake.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut client, _) = fake.accept().unwrap();
        let mut told = vec![0; 8];
        client.read_exact(&mut told).unwrap();
        // The question whether TLS is to be had is as long as this, and a login longer: that is asked for its password.
        let asks_for_tls = told[..4] == [0, 0, 0, 8];
        let answer: &[u8] = if asks_for_tls {
            b"N"
        } else {
            b"R\0\0\0\x08\0\0\0\x03"
        };
        client.write_all(answer).unwrap();
        let mut rest = [0; 1000];
        while let Ok(count @ 1..) = client.read(&mut rest) {
            told.extend_from_slice(&rest[..count]);
            if String::from_utf8_lossy(&told).contains("s3cr3t") {
                break;
            }
        }
        told
    });
    // An address that leads here, and is none of those that are known to.
    let ended = run_on(&format!("postgres://u:s3cr3t@0.0.0.0:{port}/x{parameters}"));
    (ended, server.join().unwrap())
}

#[test]
fn a_server_far_away_must_show_who_it_is_before_it_gets_the_password() {
    for parameters in [
        "",
        "?sslmode=require",
        "?sslmode=disable&channel_binding=require",
    ] {
        let (ended, told) = told_without_tls(parameters);
        refused(ended, 78, &["TLS", "sslrootcert", "sslmode=disable"]);
        assert_eq!(told.len(), 8, "only whether there is TLS: {told:?}");
    }
    let (ended, told) = told_without_tls("?sslmode=disable");
    refused(ended, 75, &["0.0.0.0"]);
    assert!(String::from_utf8_lossy(&told).contains("s3cr3t"));
}
