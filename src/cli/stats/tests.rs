use serde_json::json;

use super::*;

fn row() -> Row {
    serde_json::from_value(json!({
        "at": "2026-11-22T08:00:00+00:00", "since": "2026-11-21T09:00:00.123456+01:00",
        "now": {
            "due": 5, "held_back": {"needs_login": 2, "blocked": 1, "disabled": 0}, "later": 40,
            "next_due_at": "2026-11-22T08:05:00.000Z", "publishing": 2, "lease_ended": 1, "unconfirmed": 3,
            "unconfirmed_since": "2026-11-20T08:00:00.000Z", "next_look_at": null, "for_a_person": 3, "failed": 0,
        },
        "published": [
            {"platform": "slack", "posts": 999, "p50": 400, "p95": 179_000, "max": 90_000_000},
            {"platform": null, "posts": 999, "p50": 400, "p95": 179_000, "max": 90_000_000},
        ],
        "ended": [
            {"platform": "slack", "status": "failed", "posts": 1},
            {"platform": "linkedin", "status": "expired", "posts": 3},
        ],
        "runs": {
            "count": 7, "exit_codes": {"0": 6, "1": 1},
            "last": {
                "id": "r", "host": "h", "started_at": "2026-11-22T07:59:00Z", "finished_at": "2026-11-22T07:59:30Z",
                "due": 5, "published": 4, "retry": 0, "failed": 1, "expired": 0, "unconfirmed": 0, "released": 0,
                "exit_code": 1,
            },
        },
        "accounts": [{
            "id": 1, "account": "slack:C1", "owner": "acme", "status": "needs_login",
            "blocked_until": "2026-11-22T09:00:00.000Z", "reason": "too many", "due": 2,
        }],
    }))
    .unwrap()
}

#[test]
fn a_person_reads_what_waits_and_why() {
    let report = Report::from(row());
    assert_eq!(
        page::standing(&report),
        [
            [
                "due",
                "5",
                "2 wait for a login; 1 wait for a blocked account"
            ],
            ["later", "40", "the next at 2026-11-22 08:05Z"],
            [
                "publishing",
                "2",
                "1 of a run that died: the next run finds out"
            ],
            [
                "unconfirmed",
                "3",
                "the oldest since 2026-11-20 08:00Z; 3 left to you; see `publisher posts list --status unconfirmed`"
            ],
            ["failed", "0", ""],
        ]
    );
    assert_eq!(
        page::figures(&report),
        [
            ["linkedin", "0", "0", "3", "0.0%", "·", "·", "·"],
            ["slack", "999", "1", "0", "99.9%", "0.4 s", "2 min", "25 h"],
            ["all", "999", "1", "3", "99.6%", "0.4 s", "2 min", "25 h"],
        ]
    );
    assert_eq!(
        page::runs(&report.runs),
        "7 runs had something due: 6 × exit 0, 1 × exit 1. The last one ended 2026-11-22 07:59Z on h: exit 1, 4 of 5 \
         due posts published."
    );
    let held = "needs a login: `publisher accounts add` with a new token; blocked until 2026-11-22 09:00Z: too many";
    assert_eq!(
        page::held(&report.accounts),
        [["1", "slack:C1", "acme", "2", held]]
    );
}

#[test]
fn a_history_that_an_application_wrote_costs_no_more_than_its_instant() {
    for nonsense in [json!(5), json!("yesterday"), json!({}), json!(null)] {
        let now = json!({
            "due": 0, "held_back": {"needs_login": 0, "blocked": 0, "disabled": 0}, "later": 0, "next_due_at": null,
            "publishing": 0, "lease_ended": 0, "unconfirmed": 1, "unconfirmed_since": nonsense,
            "next_look_at": null, "for_a_person": 0, "failed": 0,
        });
        let now: Now = serde_json::from_value(now).unwrap();
        assert_eq!(now.unconfirmed_since, None);
    }
}

#[test]
fn accounts_without_number_do_not_fill_the_screen() {
    let mut row = row();
    let held = || {
        serde_json::from_value::<Held>(json!({
            "id": 1, "account": "slack:C1", "owner": "acme", "status": "active",
            "blocked_until": "2026-11-22T09:00:00.000Z", "reason": null, "due": 0,
        }))
    };
    row.accounts = (0..500).map(|_| held().unwrap()).collect();
    let rows = page::held(&row.accounts);
    assert_eq!((rows.len(), rows[20][1].as_str()), (21, "and 480 more"));
}
