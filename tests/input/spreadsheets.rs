//! The same two posts as Excel, `LibreOffice`, Numbers and Google Sheets write them: other separators, other encodings,
//! headers as people type them, times as spreadsheets show them.

use std::path::Path;

use super::{fed, refused};
use crate::on_both;
use crate::support::world::World;

on_both! {
    fn every_spreadsheet_says_the_same(world: World) {
        world.account("slack", 1, "alder");
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spreadsheets");
        let mut files = crate::support::files::listed(&directory);
        files.sort();
        assert_eq!(files.len(), 10);
        let columns = if world.is_postgres() {
            "to_char(scheduled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || coalesce(' ' || timezone, '') || ' ' || body"
        } else {
            "replace(substr(scheduled_at, 1, 16), 'T', ' ') || coalesce(' ' || timezone, '') || ' ' || body"
        };
        for file in files {
            let ended = world.tell(&["posts", "import", file.to_str().unwrap()]).exits(0);
            let zone = "note: a post's times without a UTC offset are taken in America/New_York, their timezone (first: ";
            assert!(ended.stderr.contains(zone), "{ended:?}");
            let posts = world.rows(&format!("SELECT {columns} FROM posts ORDER BY id"));
            let expected = [
                "2030-07-01 07:00 Hello, world",
                "2030-12-27 14:00 America/New_York Zwei Zeilen; \"Grüße\",\nund 5\" Nägel 🙂",
            ];
            assert_eq!(posts, expected, "{}", file.display());
            world.execute("DELETE FROM posts");
        }
    }

    fn a_time_without_an_offset_is_the_accounts(world: World) {
        world.account("slack", 1, "alder");
        world.execute("UPDATE accounts SET timezone = 'Europe/Berlin'");
        let ended = world.import("a.csv", "account,body,scheduled_at\n1,a,2030-07-01 09:00\n1,b,2030-07-01 10:00\n").exits(0);
        let said = "note: 2 posts' times without a UTC offset are taken in Europe/Berlin, the account's zone (first: a.csv:2)";
        assert!(ended.stderr.contains(said), "{ended:?}");
        let ended = world.tell(&["posts", "add", "--account", "1", "--body", "c", "--at", "2030-07-01 11:00"]).exits(0);
        assert!(ended.stdout.contains("2030-07-01 09:00Z"), "{ended:?}");
        assert!(ended.stderr.contains("a time without a UTC offset is taken in Europe/Berlin"), "{ended:?}");
        world.import("b.csv", "account,body,scheduled_at\n1,d,27/12/2030 09:00\n");
        let ended = world.tell(&["posts", "import", "b.csv"]);
        refused(ended, 1, &["b.csv:2:3: scheduled_at: `27/12/2030 09:00` does not begin with the year"]);
        assert_eq!(world.posts(), 3);
    }

    /// The same reader for every time that a person gives.
    fn times_are_read_alike_everywhere(world: World) {
        let account = world.account("slack", 1, "alder").to_string();
        for time in ["2030-07-01T09:00Z", "2030-07-01T11:00:00+02:00", "2030-07-01 11:00 Europe/Berlin"] {
            world.tell(&["run", "--dry-run", "--now", time]).exits(0);
            let add = ["accounts", "add", "slack", "C00000001", "--owner", "alder", "--token-expires-at", time];
            fed(world.publisher(&add), b"a-token-of-slack").exits(0);
            let post = ["posts", "add", "--account", &account, "--body", "a", "--at", time, "--expires-at", "+8000d"];
            let late = world.tell(&post);
            refused(late, 2, &["longer than a year"]);
            world.tell(&[&post[..8], &["--expires-at", "2031-01-01 00:00 UTC"]].concat()).exits(0);
        }
        let at = world.rows("SELECT DISTINCT CAST(scheduled_at AS TEXT) FROM posts");
        assert_eq!(at.len(), 1, "{at:?}");
        for word in ["now", "+2h", "+90s"] {
            world.tell(&["run", "--dry-run", "--now", word]).exits(0);
        }
        refused(world.tell(&["run", "--dry-run", "--now", "27/12/2026 09:00Z"]), 2, &["does not begin with the year"]);
        refused(world.tell(&["run", "--dry-run", "--now", "2026-12-27 09:00"]), 2, &["nor a time zone"]);
    }
}
