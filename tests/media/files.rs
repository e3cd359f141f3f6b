//! Local files: parts, changes while they are sent, and where they may be.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use futures::StreamExt;
use publisher::http::{Http, Timeouts};
use publisher::media::{self, Policy, examine, open, open_part, public_url};
use publisher::post::Content;
use serde_json::json;

use crate::{chain, file_at, http, http_with, noise, received, verdict};

fn problems(path: &Path, policy: &Policy) -> Vec<String> {
    let content = Content {
        media: vec![json!({"path": path})],
        ..Content::default()
    };
    let (facts, problems) = examine(&content, policy);
    assert_eq!(facts.len(), 1);
    problems
}

#[tokio::test]
async fn a_file_is_sent_whole_or_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noise.bin");
    let bytes = noise(300_000);
    fs::write(&path, &bytes).unwrap();
    let source = open(&file_at(&path), &http(), 300_000).await.unwrap();
    assert_eq!(source.mime, "application/octet-stream");
    assert_eq!(received(source).await, (bytes.clone(), None));
    let source = open_part(&file_at(&path), &http(), 100_000..250_001, 300_000)
        .await
        .unwrap();
    assert_eq!(
        (source.total, source.offset, source.length),
        (300_000, 100_000, 150_001)
    );
    assert_eq!(
        received(source).await,
        (bytes[100_000..250_001].to_vec(), None)
    );
    for range in [5..5, 299_999..300_001] {
        let refused = open_part(&file_at(&path), &http(), range, 300_000).await;
        let refused = verdict(&refused.unwrap_err());
        assert!(
            refused.starts_with("rejected: the media file has 300000 bytes, and"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn the_bytes_tell_the_type_not_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.png");
    fs::write(&path, b"\xff\xd8\xff\xe0 and so on").unwrap();
    let source = open(&file_at(&path), &http(), 1000).await.unwrap();
    assert_eq!(source.mime, "image/jpeg");
    assert_eq!(problems(&path, &http().media), [""; 0]);
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_never_arrives_whole() {
    let changes: [fn(&File); 3] = [
        |file| file.set_len(100_000).unwrap(),
        |mut file| file.write_all(b"more").unwrap(),
        |file| file.set_modified(SystemTime::UNIX_EPOCH).unwrap(),
    ];
    for change in changes {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.mp4");
        fs::write(&path, noise(300_000)).unwrap();
        let source = open(&file_at(&path), &http(), 300_000).await.unwrap();
        let mut chunks = axum::body::Body::new(source.body).into_data_stream();
        let mut arrived = chunks.next().await.unwrap().unwrap().len();
        change(&OpenOptions::new().append(true).open(&path).unwrap());
        let error = loop {
            match chunks.next().await.unwrap() {
                Ok(chunk) => arrived += chunk.len(),
                Err(error) => break chain(&error),
            }
        };
        assert!(
            error.contains("the media file changed while it was sent"),
            "{error}"
        );
        assert!(arrived < 300_000, "{arrived}");
    }
}

#[tokio::test]
async fn files_outside_the_media_directories_stay_closed() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("media"), folder.path().join("private"));
    fs::create_dir_all(inside.join("july")).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(inside.join("july/a.jpg"), "jpeg").unwrap();
    fs::write(outside.join("key"), "secret").unwrap();
    symlink(outside.join("key"), inside.join("key.jpg")).unwrap();
    symlink(inside.join("july/a.jpg"), outside.join("link.jpg")).unwrap();
    let policy = Policy {
        directories: vec![folder.path().join("nowhere"), inside.clone()],
        ..Policy::default()
    };
    let open_ones = [
        inside.join("july/a.jpg"),
        outside.join("link.jpg"),
        inside.join("july/../july/a.jpg"),
    ];
    for path in open_ones {
        assert_eq!(problems(&path, &policy), [""; 0], "{}", path.display());
        open(&file_at(&path), &http_with(policy.clone()), 10)
            .await
            .unwrap();
    }
    let closed = [
        outside.join("key"),
        inside.join("key.jpg"),
        inside.join("../private/key"),
        // Whether it exists is not told either.
        outside.join("missing"),
        inside.join("../private/missing"),
    ];
    for path in closed {
        let told = problems(&path, &policy);
        let why = format!(
            "the file {} is not in the media directories",
            path.display()
        );
        assert!(told[0].starts_with(&format!("media 1: {why}")), "{told:?}");
        let refused = open(&file_at(&path), &http_with(policy.clone()), 10).await;
        assert!(verdict(&refused.unwrap_err()).starts_with(&format!("rejected: {why}")));
        let refused = media::look(1, &file_at(&path), &http_with(policy.clone())).await;
        assert!(refused.is_err());
    }
    assert_eq!(
        problems(&inside.join("missing.jpg"), &policy),
        [format!(
            "media 1: the file {} does not exist",
            inside.join("missing.jpg").display()
        )]
    );
}

/// A file whose place a link takes between the look at it and its opening.
#[test]
fn a_link_that_is_swapped_in_a_race_leads_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("media"), folder.path().join("private"));
    fs::create_dir(&inside).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(inside.join("link.jpg"), "jpeg").unwrap();
    fs::write(outside.join("key"), "hush").unwrap();
    let policy = Policy {
        directories: vec![inside.clone()],
        ..Policy::default()
    };
    let link = inside.join("link.jpg");
    let ended = AtomicBool::new(false);
    let (mut read, mut refused, mut leaked) = (0, 0, None);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let draft = inside.join("draft");
            for is_link in [false, true].into_iter().cycle() {
                if is_link {
                    symlink(outside.join("key"), &draft).unwrap();
                } else {
                    fs::write(&draft, "jpeg").unwrap();
                }
                fs::rename(&draft, &link).unwrap();
                if ended.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let http = http_with(policy);
            for _ in 0..200_000 {
                // Often enough in either state for the moment between them to be met.
                if read >= 1000 && refused >= 1000 {
                    break;
                }
                let Ok(source) = open(&file_at(&link), &http, 10).await else {
                    refused += 1;
                    continue;
                };
                read += 1;
                let (content, _) = received(source).await;
                if content != b"jpeg" {
                    leaked = Some(content);
                    break;
                }
            }
        });
        ended.store(true, Ordering::Relaxed);
    });
    assert_eq!(leaked, None, "after {read} were read, {refused} refused");
    assert!(
        read > 0 && refused > 0,
        "{read} were read, {refused} refused"
    );
}

/// Without a word of directories, none is open.
#[tokio::test]
async fn no_file_is_taken_unless_its_directory_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    fs::write(&path, "jpeg").unwrap();
    for path in [
        &path,
        Path::new("/etc/passwd"),
        Path::new("/proc/self/environ"),
    ] {
        let told = problems(path, &Policy::default());
        assert!(
            told[0].contains("no media are taken from there"),
            "{told:?}"
        );
        let http = Http::new(Timeouts::default(), Policy::default());
        let refused = open(&file_at(path), &http, 10).await.unwrap_err();
        assert!(verdict(&refused).starts_with("rejected: "), "{refused:?}");
    }
}

#[tokio::test]
async fn a_local_file_has_no_public_address() {
    let refused = public_url(&file_at(Path::new("/srv/a.jpg")), &http()).await;
    assert_eq!(
        verdict(&refused.unwrap_err()),
        "rejected: the platform fetches media itself and can't reach the local file /srv/a.jpg; give a public url"
    );
}
