use serde_json::json;

use super::*;
use crate::schedule::parse_instant;

fn accounts() -> Accounts {
    let row = |(id, platform, external_id): (i64, &str, &str)| AccountRow {
        id,
        platform: platform.to_owned(),
        external_id: external_id.to_owned(),
        timezone: "Europe/Berlin".to_owned(),
    };
    let rows = [
        (1, "facebook", "1001"),
        (2, "slack", "C024BE91L"),
        (3, "linkedin", "urn:li:organization:1001"),
        (4, "myspace", "tom"),
        (5, "instagram", "17841400000001001"),
    ];
    Accounts::new(rows.map(row).into())
}

fn checker() -> Checker {
    Checker::new(
        accounts(),
        "/srv/posts".into(),
        parse_instant("2026-03-01T09:00Z").unwrap(),
        std::time::Duration::from_hours(24),
        crate::media::Policy::default(),
        std::collections::BTreeMap::new(),
    )
}

fn import(bytes: impl Into<Vec<u8>>, format: Format) -> Result<Batch, Problems> {
    read(bytes.into(), format, &mut checker())
}

/// The rows as the database gets them.
fn rows(text: &str, format: Format) -> Vec<Value> {
    let batch = import(text, format).unwrap_or_else(|problems| panic!("{}", problems.report("f")));
    let posts = batch.posts.iter();
    posts.map(|p| serde_json::to_value(p).unwrap()).collect()
}

/// The report without its first line.
fn errors(bytes: impl Into<Vec<u8>>, format: Format) -> String {
    let report = import(bytes, format).unwrap_err().report("f");
    let (first, rest) = report.split_once('\n').unwrap();
    assert!(first.starts_with("nothing was added: "), "{first}");
    rest.to_owned()
}

mod problems;

const HEADER: &str = "account,body,scheduled_at\n";

#[test]
fn the_three_formats_say_the_same() {
    let csv = "account,body,local_time,timezone,media,alt,priority,external_ref\n\
        instagram:17841400000001001,\"Hello, \"\"you\"\"\",2026-07-01 09:00,America/New_York,https://example.com/a.jpg,A,2,r-1\n";
    let object = r#"{"account": 5, "body": "Hello, \"you\"", "local_time": "2026-07-01T09:00", "timezone": "America/New_York",
        "media": [{"url": "https://example.com/a.jpg", "alt": "A"}], "priority": 2,
        "external_ref": "r-1", "link": null}"#;
    let expected = json!({
        "account_id": 5, "kind": "post", "body": "Hello, \"you\"", "link": null,
        "media": [{"url": "https://example.com/a.jpg", "alt": "A"}],
        "options": {}, "scheduled_at": "2026-07-01T13:00:00.000Z",
        "local_time": "2026-07-01T09:00:00", "timezone": "America/New_York",
        "priority": 2, "external_ref": "r-1",
    });
    let expected = vec![expected];
    assert_eq!(rows(csv, Format::Csv), expected);
    for json in [
        format!("\u{feff}[{object}]"),
        format!("[{object}]"),
        format!("\n{{\"posts\": [{object}] }}\n"),
    ] {
        assert_eq!(rows(&json, Format::Json), expected);
    }
    let line = object.replace('\n', " ");
    assert_eq!(rows(&format!("\n{line}\r\n\n"), Format::Jsonl), expected);
    assert_eq!(rows(&format!("\u{feff}{csv}"), Format::Csv), expected);
}

#[test]
fn a_local_time_without_a_zone_is_the_accounts() {
    let text = "platform,external_id,body,local_time\nslack,C024BE91L,Hi,2026-07-01 09:00\n";
    let row = &rows(text, Format::Csv)[0];
    assert_eq!(row["account_id"], 2);
    assert_eq!(row["scheduled_at"], "2026-07-01T07:00:00.000Z");
    assert_eq!(row["timezone"], "Europe/Berlin");
}

#[test]
fn what_the_clocks_do_and_what_is_late_is_said() {
    let text = "account,body,local_time\n\
        1,gap,2026-03-29 02:30\n\
        1,twice,2026-10-25 02:30\n\
        1,late,2026-03-01 09:59\n\
        1,expired,2026-02-28 10:00\n";
    let batch = import(text, Format::Csv).unwrap();
    assert_eq!(batch.posts.len(), 4);
    let (lines, notes): (Vec<usize>, Vec<String>) = batch.notes.into_iter().unzip();
    assert_eq!(lines, [2, 3]);
    assert!(notes[0].contains("does not exist") && notes[1].contains("exists twice"));
    assert_eq!((batch.late, batch.expired), (vec![4], vec![5]));
}

#[test]
fn options_of_a_csv_are_text_flags_and_lists() {
    let text = "account,body,scheduled_at,option.title,option.made_for_kids,option.tags\n\
        slack:C024BE91L,Hi,2026-07-01T07:00Z,[Live] 5,false,\"[\"\"a\"\",\"\"b\"\"]\"\n";
    assert_eq!(
        rows(text, Format::Csv)[0]["options"],
        json!({"title": "[Live] 5", "made_for_kids": false, "tags": ["a", "b"]})
    );
}

#[test]
fn the_name_tells_the_format() {
    for (name, format) in [
        ("a.csv", Some(Format::Csv)),
        ("a.JSON", Some(Format::Json)),
        ("a.ndjson", Some(Format::Jsonl)),
        ("a.txt", None),
        ("-", None),
    ] {
        assert_eq!(Format::of(Path::new(name)), format);
    }
}

#[test]
fn the_examples_are_in_order_and_use_every_column() {
    let csv = include_str!("../../examples/posts.csv");
    let json = include_str!("../../examples/posts.json");
    assert_eq!(rows(csv, Format::Csv).len(), 4);
    assert_eq!(rows(json, Format::Json).len(), 4);
    let header = csv.lines().next().unwrap();
    let unused = check::COLUMNS
        .iter()
        .filter(|column| **column != "scheduled_at")
        .filter(|column| !header.split(',').any(|name| name == **column));
    assert_eq!(unused.collect::<Vec<_>>(), Vec::<&&str>::new());
}
