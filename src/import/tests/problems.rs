//! What is said of a file that is not in order: the whole text, place by place.

use super::*;

/// Columns beside body and `scheduled_at`, their values, and what is said of them.
fn check_values(cases: &[(&str, &str, &str)]) {
    for (columns, values, expected) in cases {
        let text = format!("{columns},body,scheduled_at\n{values},Hi,2026-07-01T07:00Z\n");
        assert_eq!(errors(text, Format::Csv), *expected);
    }
}

#[test]
fn a_wrong_account_is_named_with_its_place() {
    check_values(&[
        (
            "account",
            "facebook:1002",
            "f:2:1: account: there is no account `facebook:1002`; did you mean `facebook:1001`?",
        ),
        (
            "account",
            "99",
            "f:2:1: account: there is no account `99`; see `publisher accounts list`, or add it with `publisher accounts add`",
        ),
        (
            "account",
            "acme",
            "f:2:1: account: `acme` is neither platform:external_id nor an account's number",
        ),
        (
            "account",
            "",
            "f:2:1: account: is missing (platform:external_id, or the account's number)",
        ),
        (
            "account",
            "4",
            "f:2:1: account: this version can't publish to myspace",
        ),
        (
            "account,external_id,platform",
            "1,1001,facebook",
            "f:2:1: account: is given twice: platform and external_id say it, too",
        ),
        (
            "platform,external_id",
            "facebook,",
            "f:2:2: external_id: is missing",
        ),
        (
            "platform,external_id",
            "facebook,100",
            "f:2:2: external_id: there is no account `facebook:100`; did you mean `facebook:1001`?",
        ),
    ]);
}

#[test]
fn every_wrong_value_is_named_with_its_place() {
    check_values(&[
        (
            "account,kind",
            "1,tweet",
            "f:2:2: kind: `tweet` is none of post, story, reel, reply",
        ),
        (
            "account,priority",
            "1,high",
            "f:2:2: priority: must be a whole number",
        ),
        (
            "account,priority",
            "1,3000000000",
            "f:2:2: priority: must be a whole number",
        ),
        (
            "account,max_attempts",
            "1,0",
            "f:2:2: max_attempts: must be a whole number of at least 1",
        ),
        (
            "account,options",
            "1,{",
            "f:2:2: options: is not JSON: EOF while parsing an object at line 1 column 1",
        ),
        (
            "account,options",
            "1,[]",
            "f:2:2: options: must be a JSON object, such as {\"title\": \"…\"}",
        ),
        (
            "account,options,option.a",
            "1,\"{\"\"a\"\": 1}\",2",
            "f:2:3: option.a: is in options, too",
        ),
        (
            "account,media",
            "1,ftp://x/y",
            "f:2:2: media: media 1: `ftp://` is not supported; use https://, s3:// or a path",
        ),
        (
            "account,media",
            "1,a.jpg||b.jpg",
            "f:2:2: media: media 2: is empty",
        ),
        (
            "account,media",
            "1,\"[{\"\"alt\"\": \"\"x\"\"}]\"",
            "f:2:2: media: media 1: give either \"url\" or \"path\"",
        ),
        (
            "account,media,alt",
            "1,https://example.com/a.jpg,one|two",
            "f:2:3: alt: describes 2 media, there are 1",
        ),
        (
            "account,expires_at",
            "1,2026-07-01 09:00",
            "f:2:2: expires_at: is not later than the time at which the post goes out",
        ),
        (
            "account,timezone",
            "1,Europe/Berln",
            "f:2:2: timezone: `Europe/Berln` is not a time zone; did you mean Europe/Berlin?",
        ),
        (
            "account,local_time",
            "1,2026-07-01 09:00",
            "f:2:2: local_time: is given beside scheduled_at; one of them is enough",
        ),
    ]);
}

#[test]
fn a_wrong_time_is_named_with_its_place() {
    for (time, expected) in [
        ("", "f:2:3: scheduled_at: is missing (or give local_time)"),
        (
            "27/12/2026 09:00",
            "f:2:3: scheduled_at: `27/12/2026 09:00` does not begin with the year, so a day and a month can't be told apart; write it as 2026-03-01 09:00",
        ),
        (
            "2026-02-30T09:00Z",
            "f:2:3: scheduled_at: `2026-02-30` is not in the calendar",
        ),
        (
            "2026-07-01T25:00Z",
            "f:2:3: scheduled_at: `25:00` is not a time of day",
        ),
    ] {
        assert_eq!(
            errors(format!("{HEADER}1,Hi,{time}\n"), Format::Csv),
            expected
        );
    }
}

#[test]
fn the_platforms_own_rules_count() {
    let text = format!("{HEADER}1,Hi,2026-07-01T07:00Z\nslack:C024BE91L,,2026-07-01T07:00Z\n");
    assert_eq!(
        errors(text, Format::Csv),
        "f:3:1: a Slack message needs a body, a link or media"
    );
}

#[test]
fn all_problems_of_all_rows_are_said_at_once() {
    let text = format!(
        "{HEADER}9,Hi,tomorrow\n\n1,\"two\nlines\",2026-07-01T07:00Z\n1,Hi\n1,Hi,never\n,,\n1,Hi,\n"
    );
    for text in [text.clone(), text.replace('\n', "\r\n")] {
        assert_eq!(
            errors(text, Format::Csv),
            "f:2:1: account: there is no account `9`; see `publisher accounts list`, or add it with `publisher accounts add`\n\
             f:2:3: scheduled_at: `tomorrow` is not a time; write it as 2026-03-01 09:00\n\
             f:6:1: this record has 2 fields and the header has 3; a field with a comma in it needs quotes\n\
             f:7:3: scheduled_at: `never` is not a time; write it as 2026-03-01 09:00\n\
             f:9:3: scheduled_at: is missing (or give local_time)"
        );
    }
}

#[test]
fn an_external_ref_may_be_used_once() {
    let text = "account,body,scheduled_at,external_ref\n\
        1,a,2026-07-01T07:00Z,x\n1,b,2026-07-01T07:00Z,y\n1,c,2026-07-01T07:00Z,x\n";
    assert_eq!(
        errors(text, Format::Csv),
        "f:4:4: external_ref: `x` is in line 2, too"
    );
}

#[test]
fn a_header_is_checked_first() {
    for (text, expected) in [
        (
            "",
            "f:1:1: the file is empty; its first line names the columns",
        ),
        (
            "account,bdoy,scheduled_at\n",
            "f:1:2: `bdoy` is not a column; did you mean `body`?",
        ),
        (
            "account,body,body,scheduled_at\n",
            "f:1:3: the column `body` is there twice",
        ),
        (
            "account;bdoy;scheduled_at\n",
            "f:1:2: `bdoy` is not a column; did you mean `body`?",
        ),
        (
            "sep=;\naccount;bdoy;scheduled_at\n",
            "f:2:2: `bdoy` is not a column; did you mean `body`?",
        ),
        (
            "Account,BODY,Scheduled At,scheduled-at\n",
            "f:1:4: the column `scheduled_at` is there twice",
        ),
        (
            "account,body\n",
            "f:1:1: there is no scheduled_at, nor local_time",
        ),
        (
            "body,platform,local_time\n",
            "f:1:1: there is no account (platform:external_id, or its number), nor platform and external_id",
        ),
    ] {
        assert_eq!(errors(text, Format::Csv), expected);
    }
    assert!(
        errors("account,zzzzz,local_time\n", Format::Csv)
            .starts_with("f:1:2: `zzzzz` is not a column; there are account, platform, ")
    );
}

#[test]
fn a_quote_that_goes_wrong_is_found_where_it_opens() {
    let open =
        format!("{HEADER}1,ok,2026-07-01T07:00Z\n1,\"never closed,2026-07-01T07:00Z\n1,Hi,x\n");
    assert_eq!(
        errors(open, Format::Csv),
        "f:3:3: this quote is never closed; a quote inside quotes is written twice"
    );
    let early = format!("{HEADER}1,\"a\n \"b\" c\",2026-07-01T07:00Z\n");
    assert_eq!(
        errors(early, Format::Csv),
        "f:2:3: the quote that opens here is closed in line 3 before column 3, where the field goes on; a quote inside quotes is written twice"
    );
    let bare = format!("{HEADER}1,5\" nails,2026-07-01T07:00Z\n");
    assert_eq!(rows(&bare, Format::Csv)[0]["body"], "5\" nails");
}

#[test]
fn encodings_other_than_utf_8_are_refused() {
    let mut latin = format!("{HEADER}1,ok,2026-07-01T07:00Z\n1,ä Caf").into_bytes();
    latin.extend(b"\xe9,2026-07-01T07:00Z\n");
    assert_eq!(
        errors(latin, Format::Csv),
        "f:3:8: byte 0xe9 is not UTF-8; it looks like Latin-1/Windows-1252; save it as UTF-8"
    );
    for (broken, expected) in [
        (
            &b"\xff\xfea\0\n\0b\0c"[..],
            "f:2:2: the file is UTF-16 and ends within a character; was it copied whole?",
        ),
        (
            b"\xfe\xff\0a\xd8\0\0b",
            "f:1:2: half a character of UTF-16 stands alone here; save the file as UTF-8",
        ),
    ] {
        assert_eq!(errors(broken, Format::Json), expected);
    }
    assert_eq!(
        errors("a\nb\0", Format::Csv),
        "f:2:2: there is a NUL character, which no post may have; is the file UTF-16 without a mark at its beginning? Save it as UTF-8"
    );
}

#[test]
fn json_problems_have_their_place() {
    for (text, expected) in [
        ("", "f:1:1: expected `[`, but the text ends"),
        ("3", "f:1:1: expected `[`, found `3`"),
        (
            "[\n  {\"account\": 1,\n   \"body\": \"ä\", oops}\n]",
            "f:3:17: expected value",
        ),
        (
            "[\n{\"body\": \"a\nb\"}]",
            "f:2:12: control character (\\u0000-\\u001F) found while parsing a string",
        ),
        (
            "[{\"account\": 1, \"body\": 1}",
            "f:1:2: scheduled_at: is missing (or give local_time)\nf:1:25: body: must be text\nf:1:27: expected `,` or `]`, but the text ends",
        ),
        (
            "[{\"account\": 1, \"body\": 1} {}]",
            "f:1:2: scheduled_at: is missing (or give local_time)\nf:1:25: body: must be text\nf:1:28: expected `,` or `]`, found `{`",
        ),
        (
            "[] []",
            "f:1:4: more follows behind the end (one object per line is --format jsonl)",
        ),
        (
            "[{\"body\": \"a\", \"body\": \"b\"}]",
            "f:1:16: `body` is there twice",
        ),
        (
            "{\"rows\": []}",
            "f:1:2: `rows` is not known here: the file is a list of posts, or an object with that list as \"posts\" (one object per line is --format jsonl)",
        ),
    ] {
        assert_eq!(errors(text, Format::Json), expected, "{text}");
    }
    let text = "[\n  7,\n  {\"account\": 1, \"body\": 5.5,\n   \"scheduled_at\": \"2026-07-01T07:00Z\", \"priority\": \"1\"},\n\
        {\"account\": \"1\",\n \"bdoy\": \"x\\u0000\", \"media\": 3, \"scheduled_at\": true}]";
    assert_eq!(
        errors(text, Format::Json),
        "f:2:3: a post is an object: {\"account\": …}\n\
         f:3:26: body: must be text\n\
         f:4:53: priority: must be a whole number\n\
         f:6:10: bdoy: `bdoy` is not a column; did you mean `body`?\n\
         f:6:49: scheduled_at: must be text\n\
         f:6:30: media: must be a list"
    );
    // Blank text is as good as none.
    let blank = "[{\"account\": 1, \"body\": \"x\", \"scheduled_at\": \" \"}]";
    assert_eq!(
        errors(blank, Format::Json),
        "f:1:46: scheduled_at: is missing (or give local_time)"
    );
    let nul = "{\"account\": 1, \"body\": \"x\\u0000\", \"scheduled_at\": \"2026-07-01T07:00Z\"}";
    assert_eq!(
        errors(nul, Format::Jsonl),
        "f:1:24: body: has a NUL character"
    );
}

#[test]
fn a_broken_line_does_not_hide_the_next_one() {
    let text = "{\"account\": 1, \"body\": \"x\", \"scheduled_at\": \"2026-07-01T07:00Z\"}\n{\"account\"}\n[]\n{} {}\n";
    assert_eq!(
        errors(text, Format::Jsonl),
        "f:2:11: expected `:`, found `}`\n\
         f:3:1: expected `{`, found `[`\n\
         f:4:4: more follows behind the end (one object per line is --format jsonl)"
    );
}

#[test]
fn a_hundred_problems_are_shown_and_the_rest_counted() {
    let text = format!("{HEADER}{}", "1,Hi,never\n".repeat(130));
    let report = import(text, Format::Csv).unwrap_err().report("f");
    assert!(report.starts_with("nothing was added: 130 problems\nf:2:3: "));
    assert!(report.ends_with("\nand 30 more"));
    assert_eq!(report.lines().count(), 102);
}

#[test]
fn a_value_in_a_column_without_a_name_is_none() {
    let text =
        "account;body;scheduled_at;;\n1;Hi;2026-07-01T07:00Z;;\n1;Hi;2026-07-01T07:00Z;;lost\n";
    let found = errors(text, Format::Csv);
    assert!(found.starts_with("f:3:5: `` is not a column"), "{found}");
}

#[test]
fn the_separator_is_named_where_a_record_has_too_many_fields() {
    for (separator, name) in [(",", "comma"), (";", "semicolon"), ("\t", "tab")] {
        let text = "account|body|scheduled_at\n1|a|b|2026-07-01T07:00Z\n".replace('|', separator);
        assert_eq!(
            errors(text, Format::Csv),
            format!(
                "f:2:1: this record has 4 fields and the header has 3; a field with a {name} in it needs quotes"
            )
        );
    }
}
