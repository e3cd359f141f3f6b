//! What others try who share the machine or the database.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection, PgConnection};

use super::refused;
use crate::on_both;
use crate::support::hostile::{Answer, Hostile, reply};
use crate::support::world::{Ended, World, ended, post, signal};

/// Gives a file to nobody, where the tests may; else to everybody to write, which is as bad.
fn give_away(path: &Path) {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if is_root {
        chown(path, Some(65_534), Some(65_534)).unwrap();
    } else {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).unwrap();
    }
}

fn pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// Where a role may create functions in `public`, one of its own must not run with our rights.
#[test]
fn a_function_of_a_stranger_is_not_called() {
    let world = World::postgres();
    let role = format!("mallory_{}", std::process::id());
    world.execute(&format!(
        "CREATE ROLE {role}; GRANT CREATE ON SCHEMA public TO {role}; GRANT USAGE ON SCHEMA publisher TO {role}; SET ROLE {role}; \
         CREATE FUNCTION public.jsonb_populate_record(base publisher.runs, said jsonb) RETURNS publisher.runs LANGUAGE plpgsql \
         AS $$ BEGIN RAISE EXCEPTION 'a stranger runs as %', current_user; END $$; \
         CREATE FUNCTION public.jsonb_array_length(list jsonb) RETURNS integer LANGUAGE plpgsql \
         AS $$ BEGIN RAISE EXCEPTION 'a stranger runs as %', current_user; END $$"
    ));
    let account = world.account("slack", 1, "alder");
    world.due([post(account, "hi"), post(account, "[[reject]]")]);
    let ended = world.run(&[]).exits(1);
    assert!(!ended.stderr.contains("stranger"), "{ended:?}");
    assert_eq!(world.statuses(), "failed 1, published 1");
    world.tell(&["stats"]).exits(0);
    world.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

/// Any role can take the lock of migrations.
#[test]
fn a_lock_of_a_stranger_holds_no_run_up() {
    let world = World::postgres();
    world.due([post(world.account("slack", 1, "alder"), "hi")]);
    let mut stranger = world.block_on(async {
        let mut connection = PgConnection::connect(&world.database_url).await.unwrap();
        let lock = sqlx::raw_sql("SELECT pg_advisory_lock(5067418302415)");
        lock.execute(&mut connection).await.unwrap();
        connection
    });
    // With the schema as it should be, nobody asks for the lock.
    world.run(&["--migrate"]).exits(0);
    assert_eq!(world.statuses(), "published 1");
    // Where something is missing, a run that waits for it ends when it is told to.
    world.execute("DELETE FROM migrations WHERE version > 1");
    let run = world.start(&["--migrate"]);
    world.await_until("it waits", |world| {
        let waiting = "SELECT count(*) || '' FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        world.value(waiting) == "1"
    });
    let told = Instant::now();
    signal(&run, "TERM");
    let ended = ended(run).exits(143);
    assert!(told.elapsed() < Duration::from_secs(20), "{ended:?}");
    world.block_on(async { stranger.ping().await.unwrap() });
}

/// One that a stranger put into the working directory sent every token to its address.
#[test]
fn a_configuration_of_a_stranger_is_not_believed() {
    let world = World::sqlite();
    world.due([post(world.account("slack", 1, "alder"), "hi")]);
    let thief = Hostile::answers(|_| reply("200 OK", "", b"{}"));
    let file = world.path("publisher.toml");
    let write = || {
        std::fs::write(
            &file,
            format!("[platforms.slack]\nbase_url = \"{}\"\n", thief.url),
        )
        .unwrap();
    };
    write();
    give_away(&file);
    let ended = world.run(&[]);
    refused(ended, 78, &["publisher.toml: "]);
    // What everybody may write is everybody's.
    std::fs::remove_file(&file).unwrap();
    write();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o646)).unwrap();
    refused(world.run(&[]), 78, &["others may write it", "chmod go-w"]);
    // A pipe holds nobody up.
    std::fs::remove_file(&file).unwrap();
    pipe(&file);
    refused(world.run(&[]), 78, &["not a regular file"]);
    std::fs::remove_file(&file).unwrap();
    // Tokens go nowhere in clear text.
    std::fs::write(
        &file,
        "[platforms.slack]\nbase_url = \"http://slack.example.com\"\n",
    )
    .unwrap();
    refused(
        world.run(&[]),
        78,
        &["[platforms.slack] base_url", "clear text"],
    );
    std::fs::remove_file(&file).unwrap();
    let elsewhere = world.run(&["--sandbox", "http://sandbox.example.com"]);
    refused(elsewhere, 2, &["--sandbox", "clear text"]);
    assert_eq!(thief.requests(), 0);
    world.run(&[]).exits(0);
}

/// Whoever asks for the sandbox gets nothing else.
#[test]
fn the_sandbox_wins_over_the_file() {
    let world = World::sqlite();
    world.due([post(world.account("slack", 1, "alder"), "hi")]);
    let other = Hostile::answers(|_| reply("200 OK", "", b"{}"));
    world.slack_at(&other.url);
    let sandbox = world.sandbox.url.clone();
    world.run(&["--sandbox", &sandbox]).exits(0);
    assert_eq!(
        (world.statuses().as_str(), other.requests()),
        ("published 1", 0)
    );
    let mut check = world.publisher(&["accounts", "check"]);
    Ended::from(check.env("PUBLISHER_SANDBOX", &sandbox).output().unwrap()).exits(0);
    assert_eq!(other.requests(), 0);
}

/// A journal that somebody else wrote must not call a post published.
#[test]
fn a_journal_of_a_stranger_is_not_believed() {
    let world = World::sqlite();
    let posts = world.due((0..2).map(|n| post(world.account("slack", n, "alder"), "hi")));
    world.faults(&["slack:hang"]);
    let mut run = world.start(&[]);
    world.await_until("it is in flight", |world| world.stat("/published") > 0);
    run.kill().unwrap();
    run.wait().unwrap();
    world.faults(&[]);
    let journal = crate::support::files::listed(&world.path("state/journal"))
        .pop()
        .unwrap();
    give_away(&journal);
    let beside = journal.with_file_name("planted.jsonl");
    let extension = journal.extension().unwrap();
    pipe(&beside.with_extension(extension));
    let ended = world.run(&["--fail-on", "none"]).exits(0);
    assert!(
        ended
            .stderr
            .contains("journals of other runs are left alone"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("not a regular file"), "{ended:?}");
    assert_eq!(world.statuses(), format!("publishing {}", posts.len()));
    assert!(journal.exists());
}

#[test]
fn a_key_file_of_a_stranger_is_not_believed() {
    let world = World::sqlite();
    world.due([post(world.account("slack", 1, "alder"), "hi")]);
    let key = world.path("state/encryption.key");
    std::fs::create_dir_all(world.path("state")).unwrap();
    let run = || {
        let mut command = world.publisher(&["run"]);
        Ended::from(command.env_remove("ENCRYPTION_KEY").output().unwrap())
    };
    std::fs::write(&key, crate::support::world::KEY).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    run().exits(0);
    give_away(&key);
    refused(run(), 78, &["encryption.key"]);
    std::fs::remove_file(&key).unwrap();
    pipe(&key);
    refused(run(), 78, &["encryption.key", "not a regular file"]);
}

on_both! {
    /// Whoever may write a row, or a file to import, could have any file posted.
    fn a_row_reads_no_file_of_the_machine(world: World) {
        let account = world.account("slack", 1, "alder");
        let secret = world.path("secret.txt");
        std::fs::write(&secret, "the family silver").unwrap();
        let files = [secret.to_str().unwrap(), "/etc/passwd", "/proc/self/environ", "publisher.toml"];
        world.due(files.map(|path| {
            post(account, path).with("media", json!([{"path": path}])).with("options", json!({"upload": true}))
        }));
        let tell = |arguments: &[&str]| {
            let mut command = world.publisher(arguments);
            Ended::from(command.env_remove("PUBLISHER_MEDIA_DIRECTORIES").output().unwrap())
        };
        let ended = tell(&["run"]).exits(1);
        assert!(ended.stderr.contains("no media are taken from there"), "{ended:?}");
        assert_eq!((world.statuses().as_str(), world.stat("/requests")), ("failed 4", 0));
        let csv = format!("account,body,media,scheduled_at\n1,a,{},now\n", secret.display());
        std::fs::write(world.path("a.csv"), csv).unwrap();
        refused(tell(&["posts", "import", "a.csv"]), 1, &["a.csv:2:3: media: ", "PUBLISHER_MEDIA_DIRECTORIES"]);
        // With directories, those alone.
        world.execute("UPDATE posts SET status = 'pending', due_at = scheduled_at");
        let mut run = world.publisher(&["run"]);
        std::fs::create_dir(world.path("media")).unwrap();
        run.env("PUBLISHER_MEDIA_DIRECTORIES", world.path("media"));
        let ended = Ended::from(run.output().unwrap()).exits(1);
        assert!(ended.stderr.contains("is not in the media directories"), "{ended:?}");
        assert_eq!(world.stat("/requests"), 0);
    }
}

on_both! {
    /// A checkpoint names addresses that are given the owner's token, and so is believed only if it was sealed for this
    /// post with the accounts' key.
    fn a_forged_checkpoint_spends_no_token(world: World) {
        // More than one chunk: what is sent before the last is not in doubt.
        const BYTES: usize = 9 << 20;
        std::fs::write(world.path("clip.mp4"), vec![7_u8; BYTES]).unwrap();
        let account = world.account("youtube", 1, "alder");
        let video = |body: &str| {
            post(account, body)
                .with("media", json!([{"path": world.path("clip.mp4")}]))
                .with("options", json!({"title": body}))
        };
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&lines);
        let front = Hostile::before(&world.sandbox.url, move |request| {
            heard.lock().unwrap().push(request.line().to_owned());
            None
        });
        let run = |budget: &str| {
            let mut command = world.publisher(&["run", "--fail-on", "none", "--time-budget", budget]);
            command.env("PUBLISHER_SANDBOX", format!("{}/", front.url));
            Ended::from(command.output().unwrap()).exits(0)
        };
        let told = |part: &str| lines.lock().unwrap().iter().any(|line| line.contains(part));

        // What is stored of an upload under way is sealed.
        world.faults(&["youtube/upload:500"]);
        let first = world.due([video("first")])[0];
        run("2s");
        assert_eq!(world.statuses(), "pending 1");
        assert!(told("upload_id="));
        let dump = world.dump();
        assert!(dump.contains("sealed") && !dump.contains("upload_id"), "{dump}");

        // Forged in clear, copied from another post, or cut: it starts over. In doubt it is left to a person.
        world.faults(&[]);
        let forged = format!("{}/youtube/youtube/v3/channels?part=brandingSettings&upload_id=1", front.url);
        let ids = world.due([video("forged"), video("copied"), video("cut"), video("doubt")]);
        let plain = json!({"session": forged, "size": BYTES, "stored_bytes": 0, "upload": {"session": forged}});
        for (id, checkpoint) in [(ids[0], format!("'{plain}'")), (ids[3], format!("'{plain}'"))] {
            world.execute(&format!("UPDATE posts SET checkpoint = {checkpoint} WHERE id = {id}"));
        }
        world.execute(&format!(
            "UPDATE posts SET checkpoint = (SELECT checkpoint FROM posts WHERE id = {first}) WHERE id = {}", ids[1]
        ));
        world.execute(&format!("UPDATE posts SET checkpoint = '{{\"sealed\": \"v1.00000000.AAAA\"}}' WHERE id = {}", ids[2]));
        world.execute(&format!("UPDATE posts SET status = 'unconfirmed', attempts = 1 WHERE id = {}", ids[3]));
        world.let_time_pass();
        run("60s");
        assert!(!told("/v3/channels"), "{:#?}", lines.lock().unwrap());
        assert_eq!(world.statuses(), "published 4, unconfirmed 1");
        let error = world.value(&format!("SELECT error FROM posts WHERE id = {}", ids[3]));
        assert!(error.contains("its checkpoint was not made by this version with this key"), "{error}");
        assert_eq!(world.stat("/duplicates"), 0);
    }
}

/// A database that is made is its owner's alone, wherever it was named.
#[test]
fn a_database_that_is_made_is_its_owners_alone() {
    let world = World::sqlite();
    let path = world.path("named.db");
    let mut command = world.publisher(&["migrate"]);
    command.env("DATABASE_URL", format!("sqlite:{}", path.display()));
    Ended::from(command.output().unwrap()).exits(0);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    // One that was there keeps the mode that it was given.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660)).unwrap();
    let mut again = world.publisher(&["migrate"]);
    again.env("DATABASE_URL", format!("sqlite:{}", path.display()));
    Ended::from(again.output().unwrap()).exits(0);
    assert_eq!(mode(&path), 0o660);
}

/// What a crash would write to a disk has tokens in it.
#[test]
fn a_run_leaves_no_core() {
    let world = World::sqlite();
    world.due([post(world.account("slack", 1, "alder"), "hi")]);
    world.faults(&["slack:hang"]);
    let mut run = world.start(&["--time-budget", "2s"]);
    world.await_until("it is in flight", |world| world.stat("/published") == 1);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", run.id())).unwrap();
    run.kill().unwrap();
    run.wait().unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let words: Vec<&str> = core.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{core}");
}

/// A type of a medium goes into a header.
#[test]
fn a_type_that_ends_its_header_is_refused() {
    let world = World::sqlite();
    let account = world.account("slack", 1, "alder");
    let image = world.sandbox.sample("1080x1080.jpg");
    let types = [
        "image/jpeg\r\nx-evil: 1",
        "image/jpeg\n",
        "jpeg",
        "/",
        "image/jp\u{e9}g",
    ];
    world.due(
        types.map(|mime| post(account, mime).with("media", json!([{"url": image, "type": mime}]))),
    );
    let ended = world.run(&[]).exits(1);
    assert_eq!(
        ended.stderr.matches("is not a MIME type").count(),
        types.len(),
        "{ended:?}"
    );
    assert_eq!(
        (world.statuses().as_str(), world.stat("/requests")),
        ("failed 5", 0)
    );
}

/// A byte now and then would hold a run up until each time-out of its own.
#[test]
fn a_drip_is_not_waited_for() {
    let world = World::sqlite();
    let picture = include_bytes!("../../src/sandbox/samples/1080x1080.jpg");
    let front = Hostile::before(&world.sandbox.url, |request| {
        let line = request.line();
        let drip = |head: &str, first: &[u8]| Answer::Endless {
            head: [
                format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes(),
                first,
            ]
            .concat(),
            part: b"x".to_vec(),
            times: usize::MAX,
            pause: Duration::from_millis(200),
        };
        if line.contains("/chat.postMessage") {
            return Some(drip(
                "content-type: application/json\r\ncontent-length: 500",
                b"{",
            ));
        }
        // All that a look needs comes at once.
        let head = "content-type: image/jpeg\r\ncontent-length: 5000000";
        line.contains("/slow.jpg")
            .then(|| drip(head, &picture[..5_000]))
    });
    let image = json!([{"url": format!("{}/slow.jpg", front.url)}]);
    world.due([
        post(world.account("slack", 1, "alder"), "a reply"),
        post(world.account("linkedin", 1, "alder"), "a medium").with("media", image),
    ]);
    let began = Instant::now();
    let mut run = world.publisher(&["run", "--fail-on", "none", "--time-budget", "5s"]);
    run.env("PUBLISHER_SANDBOX", format!("{}/", front.url));
    Ended::from(run.output().unwrap()).exits(0);
    // A request has a minute, and an upload ten.
    assert!(
        began.elapsed() < Duration::from_secs(55),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(world.statuses(), "pending 1, unconfirmed 1");
    let errors = world.rows("SELECT coalesce(error, '') FROM posts ORDER BY body");
    assert!(errors[1].contains("less than 1 KiB a second"), "{errors:?}");
}
