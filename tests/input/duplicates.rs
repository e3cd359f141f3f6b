//! The same text for the same account at about the same time, added twice.

use super::refused;
use crate::on_both;
use crate::support::world::{Ended, World};

impl World {
    fn add(&self, account: i64, body: &str, at: &str, more: &[&str]) -> Ended {
        let account = account.to_string();
        let add = [
            "posts",
            "add",
            "--account",
            &account,
            "--body",
            body,
            "--at",
            at,
        ];
        self.tell(&[&add, more].concat())
    }

    /// The ids of what `posts list --duplicates` shows.
    fn duplicates(&self, more: &[&str]) -> Vec<i64> {
        let listed = self.tell(&[&["posts", "list", "--duplicates", "--json"], more].concat());
        let listed = listed.exits(0).json();
        let ids = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|post| post["id"].as_i64().unwrap());
        let mut ids: Vec<i64> = ids.collect();
        ids.sort_unstable();
        ids
    }
}

fn warns(ended: Ended, of: &str) {
    let ended = ended.exits(0);
    let said = format!("says the same as {of}, which goes out ");
    assert!(
        ended.stderr.contains("warning: ") && ended.stderr.contains(&said),
        "{ended:?}"
    );
}

fn is_quiet(ended: Ended) {
    let ended = ended.exits(0);
    assert!(!ended.stderr.contains("says the same"), "{ended:?}");
}

on_both! {
    fn what_is_added_twice_is_told_or_refused(world: World) {
        let [one, two] = [1, 2].map(|n| world.account("slack", n, "alder"));
        is_quiet(world.add(one, "Good morning, caf\u{e9}", "2030-01-01T09:00Z", &[]));
        // Blanks, line ends and the form of characters make no other text; an hour no other day.
        warns(world.add(one, " Good  morning,\ncafe\u{301} ", "2030-01-01T10:00Z", &[]), "post 1");
        let refusal = world.add(one, "Good morning, caf\u{e9}", "2030-01-02T09:00Z", &["--refuse-duplicates"]);
        refused(refusal, 1, &["nothing was added", "says the same as post 1, which goes out 2030-01-01 09:00Z"]);
        assert_eq!(world.posts(), 2);
        // Another account, another day, another text, another state.
        is_quiet(world.add(two, "Good morning, caf\u{e9}", "2030-01-01T09:00Z", &["--refuse-duplicates"]));
        is_quiet(world.add(one, "Good morning, caf\u{e9}", "2030-01-02T10:01Z", &["--refuse-duplicates"]));
        is_quiet(world.add(one, "GOOD MORNING, CAF\u{c9}", "2030-01-01T09:00Z", &["--refuse-duplicates"]));
        assert_eq!(world.duplicates(&[]), [1, 2]);
        assert_eq!(world.duplicates(&["--account", &two.to_string()]), Vec::<i64>::new());
        world.tell(&["posts", "cancel", "1"]).exits(0);
        world.tell(&["posts", "cancel", "2"]).exits(0);
        assert_eq!(world.duplicates(&[]), Vec::<i64>::new());
        is_quiet(world.add(one, "Good morning, caf\u{e9}", "2030-01-01T08:00Z", &["--refuse-duplicates"]));
        // A dry run says it, too.
        warns(world.add(one, "Good morning, caf\u{e9}", "2030-01-01T08:00Z", &["--dry-run"]), "post 6");
    }

    fn a_file_that_says_it_twice_is_told_by_line(world: World) {
        world.account("slack", 1, "alder");
        let head = "account,body,scheduled_at,external_ref\n";
        let rows = "1,a,2030-01-01T09:00Z,r1\n1,b,2030-01-01T09:00Z,r2\n1,a,2030-01-01T09:30Z,r3\n";
        let ended = world.import("twice.csv", format!("{head}{rows}"));
        warns(ended, "line 2");
        assert_eq!(world.posts(), 3);
        // Read again, its rows are there under their own ids: none is a second one.
        is_quiet(world.import("twice.csv", format!("{head}{rows}")));
        std::fs::write(world.path("more.csv"), format!("{head}1,b,2030-01-01T09:00Z,r4\n1,c,2030-01-01T09:00Z,r5\n")).unwrap();
        let ended = world.tell(&["posts", "import", "more.csv", "--refuse-duplicates"]);
        refused(ended, 1, &["more.csv:2:1: says the same as post 2"]);
        assert_eq!(world.posts(), 3);
        let listed = world.tell(&["posts", "list", "--duplicates"]).exits(0);
        assert_eq!(listed.stdout.lines().count(), 3, "{listed:?}");
    }

    /// Also what is in doubt, on its way, or put off.
    fn what_is_not_settled_counts(world: World) {
        let account = world.account("slack", 1, "alder");
        world.add(account, "a", "now", &[]).exits(0);
        for state in [
            "status = 'unconfirmed', attempts = 1",
            "status = 'publishing', attempts = 1, claim = '6f1c2d9e-0d5b-4c3a-9a51-0c7d2f1b8e44', lease_until = '2030-01-01T00:00:00.000Z'",
            "status = 'pending', attempts = 1, claim = NULL, lease_until = NULL",
        ] {
            world.execute(&format!("UPDATE posts SET {state}"));
            warns(world.add(account, "a", "+1h", &["--dry-run"]), "post 1");
        }
        world.let_time_pass();
        warns(world.add(account, "a", "+1h", &["--dry-run"]), "post 1");
    }
}
