use serde_json::json;

use super::*;

fn at(second: u32) -> DateTime<Utc> {
    format!("2026-03-01T09:00:{second:02}Z").parse().unwrap()
}

/// What is said of a post.
fn says(second: u32, id: i64, status: &str) -> Line {
    let mut row = json!({"id": id, "status": status});
    if status == "published" {
        let known = json!({"platform_post_id": "1", "published_at": at(second), "entry": {}});
        let fields = row.as_object_mut().unwrap();
        fields.extend(known.as_object().unwrap().clone());
    }
    Line {
        at: at(second),
        row,
        account: None,
    }
}

fn written(chain: &mut Chain, content: &impl serde::Serialize) -> Vec<u8> {
    let mut line = Vec::new();
    chain.append(content, &mut line);
    line
}

/// The lines of a journal that begins with two posts that were never sent.
fn lines(more: impl IntoIterator<Item = Line>) -> Vec<Vec<u8>> {
    let head = Head {
        journal: FORMAT,
        run: Uuid::nil(),
        database: "sqlite:/a.db".to_owned(),
        host: "host".to_owned(),
        boot: "first".to_owned(),
        at: at(0),
        posts: vec![says(0, 1, "pending"), says(0, 2, "pending")],
    };
    let mut chain = Chain::default();
    let mut lines = vec![written(&mut chain, &head)];
    lines.extend(more.into_iter().map(|line| written(&mut chain, &line)));
    lines
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
    let mut waits = says(2, 2, "pending");
    waits.row["entry"] = json!({"outcome": "retry"});
    let lines = lines([
        says(1, 1, "unconfirmed"),
        says(2, 1, "published"),
        waits,
        says(3, 3, "pending"),
    ]);
    let told = read(&lines.concat()).unwrap();
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
    let lines = lines([
        says(1, 1, "unconfirmed"),
        says(2, 2, "unconfirmed"),
        says(3, 2, "published"),
    ]);
    let told = |count: usize| told(&lines[..count].concat()).unwrap();
    assert_eq!(told(1), "1 pending, 2 pending");
    assert_eq!(told(3), "1 unconfirmed, 2 unconfirmed");
    assert_eq!(told(4), "1 unconfirmed, 2 published");
    assert_eq!(read(&lines.concat()).unwrap().ended, at(3));
}

#[test]
fn torn_at_any_byte_it_says_what_it_said_before_that_line() {
    let lines = lines([says(1, 1, "unconfirmed"), says(2, 1, "published")]);
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
        for rest in [&b""[..], b"\0\0\0"] {
            let found = told(&[&all[..cut], rest].concat());
            match whole {
                0 => assert!(found.unwrap_err().contains("line 1 is damaged"), "{cut}"),
                n => assert_eq!(found.as_deref(), Ok(expected[n - 1]), "{cut} {rest:?}"),
            }
        }
    }
}

#[test]
fn a_changed_bit_never_gives_a_post_back_that_was_sent() {
    let all = lines([
        says(1, 1, "unconfirmed"),
        says(2, 2, "unconfirmed"),
        says(3, 2, "failed"),
    ])
    .concat();
    // Without its end, the last line can't be told from a torn one; then the one before counts, which says less.
    for place in 0..all.len() - 1 {
        for bit in 0..8 {
            let mut changed = all.clone();
            changed[place] ^= 1 << bit;
            assert!(told(&changed).is_err(), "byte {place}, bit {bit}");
        }
    }
}

#[test]
fn lines_that_are_missing_doubled_or_out_of_place_are_noticed() {
    let lines = lines([
        says(1, 1, "unconfirmed"),
        says(2, 2, "unconfirmed"),
        says(3, 1, "published"),
        says(3, 2, "published"),
    ]);
    for place in 0..lines.len() - 1 {
        let (mut missing, mut doubled, mut swapped) = (lines.clone(), lines.clone(), lines.clone());
        missing.remove(place);
        doubled.insert(place, lines[place].clone());
        swapped.swap(place, place + 1);
        for damaged in [missing, doubled, swapped] {
            assert!(told(&damaged.concat()).is_err(), "line {place}");
        }
    }
}

#[test]
fn another_versions_is_left_alone() {
    let other = written(
        &mut Chain::default(),
        &json!({"journal": 1, "posts": "elsewhere"}),
    );
    let why = told(&other).unwrap_err();
    assert_eq!(why, "it is of another version (1, not 2)");
}
