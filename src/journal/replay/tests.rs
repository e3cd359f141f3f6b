use serde_json::json;

use super::*;
use crate::journal::line;

fn at(second: u32) -> DateTime<Utc> {
    format!("2026-03-01T09:00:{second:02}Z").parse().unwrap()
}

/// A line that says so of a post.
fn says(second: u32, id: i64, status: &str) -> Vec<u8> {
    let row = json!({"id": id, "status": status});
    line(&Line {
        at: at(second),
        row,
        account: None,
    })
}

/// The first line, of two posts that were never sent.
fn head() -> Vec<u8> {
    let post = |id: i64| Line {
        at: at(0),
        row: json!({"id": id, "status": "pending"}),
        account: None,
    };
    line(&Head {
        journal: FORMAT,
        run: Uuid::nil(),
        database: "sqlite:/a.db".to_owned(),
        host: "host".to_owned(),
        boot: "first".to_owned(),
        at: at(0),
        posts: vec![post(1), post(2)],
    })
}

/// `1 published, 2 pending`, or why it can't be read.
fn told(bytes: &[u8]) -> Result<String, String> {
    let told = read(bytes)?;
    let posts = told.posts.iter();
    let posts = posts.map(|(id, line)| format!("{id} {}", line.row["status"].as_str().unwrap()));
    Ok(posts.collect::<Vec<_>>().join(", "))
}

#[test]
fn after_another_boot_what_seems_unsent_is_left_to_its_lease() {
    let waits = line(&Line {
        at: at(2),
        row: json!({"id": 2, "status": "pending", "entry": {"outcome": "retry"}}),
        account: None,
    });
    let bytes = [
        head(),
        says(1, 1, "unconfirmed"),
        says(2, 1, "published"),
        waits,
    ]
    .concat();
    let told = read(&[bytes, says(3, 3, "pending")].concat()).unwrap();
    let ids = |boot: &str| -> Vec<i64> {
        told.entries(boot)
            .map(|line| line.row["id"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(ids("first"), [1, 2, 3]);
    assert_eq!(ids("second"), [1, 2]);
    // A machine that does not say counts as another.
    assert_eq!(ids(""), [1, 2]);
}

#[test]
fn the_last_line_of_a_post_counts() {
    assert_eq!(told(&head()).unwrap(), "1 pending, 2 pending");
    let lines = [head(), says(1, 1, "unconfirmed"), says(2, 2, "unconfirmed")];
    let more = [says(3, 2, "published")];
    assert_eq!(
        told(&lines.concat()).unwrap(),
        "1 unconfirmed, 2 unconfirmed"
    );
    let all = [lines.concat(), more.concat()].concat();
    assert_eq!(told(&all).unwrap(), "1 unconfirmed, 2 published");
    assert_eq!(read(&all).unwrap().ended, at(3));
}

#[test]
fn torn_at_any_byte_it_says_what_it_said_before_that_line() {
    let lines = [head(), says(1, 1, "unconfirmed"), says(2, 1, "published")];
    let ends: Vec<usize> = (1..=lines.len())
        .map(|n| lines[..n].concat().len())
        .collect();
    let all = lines.concat();
    let expected = [
        "1 pending, 2 pending",
        "1 unconfirmed, 2 pending",
        "1 published, 2 pending",
    ];
    for cut in 0..=all.len() {
        let whole = ends.iter().filter(|end| **end <= cut).count();
        // What a disk may put in the place of the rest.
        for rest in [&b""[..], b"\0\0\0", b"\n", b"garbage\n", b"\xff\n\xfe\n"] {
            // A line end of its own completes a line that lacks nothing else.
            let completed = rest == b"\n" && ends.contains(&(cut + 1));
            let found = told(&[&all[..cut], rest].concat());
            match whole + usize::from(completed) {
                0 => assert!(found.unwrap_err().contains("first line"), "{cut}"),
                n => assert_eq!(found.as_deref(), Ok(expected[n - 1]), "{cut} {rest:?}"),
            }
        }
    }
}

#[test]
fn a_changed_bit_never_gives_a_post_back_that_was_sent() {
    let lines = [
        head(),
        says(1, 1, "unconfirmed"),
        says(2, 2, "unconfirmed"),
        says(3, 2, "failed"),
    ];
    let all = lines.concat();
    // From the end of the line before on, the last one can't be told from a torn one.
    let last = all.len() - lines[3].len() - 1;
    for place in 0..last {
        for bit in 0..8 {
            let mut changed = all.clone();
            changed[place] ^= 1 << bit;
            assert!(told(&changed).is_err(), "byte {place}, bit {bit}");
        }
    }
}

#[test]
fn another_versions_is_left_alone() {
    let other = line(&json!({"journal": 2, "posts": "elsewhere"}));
    let why = told(&other).unwrap_err();
    assert_eq!(why, "it is of another version (2, not 1)");
}
