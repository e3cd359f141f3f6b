use chrono::TimeDelta;
use serde_json::json;

use super::*;

fn now() -> DateTime<Utc> {
    "2026-03-01T09:00:00Z".parse().unwrap()
}

/// The second of five tries, an hour before it expires.
fn post() -> ClaimedPost {
    serde_json::from_value(json!({
        "id": 1, "action": "publish", "scheduled_at": "2026-02-28T10:00:00Z", "expires_at": "2026-03-01T10:00:00Z",
        "attempts": 2, "max_attempts": 5, "checkpoint": null,
        "account": {"id": 7, "owner": "o", "platform": "slack", "external_id": "C1", "credentials": null,
                    "token_expires_at": null},
    }))
    .unwrap()
}

fn retry(after: Option<u64>) -> Failure {
    let reason = Reason::new("timeout", "no answer");
    Failure::Retry {
        after: after.map(Duration::from_secs),
        reason,
    }
}

fn outcome(failure: Failure, post: &ClaimedPost, delay_seconds: u64) -> Outcome {
    Outcome::of(failure, post, now(), Duration::from_secs(delay_seconds))
}

#[test]
fn a_try_comes_after_the_back_off_or_the_platforms_own_wish_whichever_is_later() {
    for (after, delay, expected) in [(None, 90, 90), (Some(60), 90, 90), (Some(600), 90, 600)] {
        let Outcome::Retry {
            due_at,
            counts: true,
            block: None,
            ..
        } = outcome(retry(after), &post(), delay)
        else {
            panic!("{after:?} is not tried again");
        };
        assert_eq!(due_at - now(), TimeDelta::seconds(expected));
    }
}

#[test]
fn there_is_no_try_after_the_last_or_after_the_expiry() {
    let mut last = post();
    last.attempts = 5;
    let Outcome::Failed { reason } = outcome(retry(None), &last, 60) else {
        panic!("the last try is not the last");
    };
    assert_eq!(reason.message, "no answer (it was the last of 5 tries)");
    assert!(matches!(
        outcome(retry(None), &post(), 3599),
        Outcome::Retry { .. }
    ));
    assert!(matches!(
        outcome(retry(None), &post(), 3600),
        Outcome::Failed { .. }
    ));
}

#[test]
fn a_rate_limit_counts_no_try_and_looks_again_no_later_than_the_expiry() {
    for (seconds, expected) in [(60, 60), (86_400, 3600)] {
        let limited = Failure::RateLimited {
            after: Duration::from_secs(seconds),
            scope: Scope::Platform,
            reason: Reason::new("rate_limited", "slow down"),
        };
        let Outcome::Retry {
            due_at,
            counts,
            block,
            ..
        } = outcome(limited, &post(), 1)
        else {
            panic!("a rate limit is no failure");
        };
        assert!(!counts);
        assert_eq!(due_at - now(), TimeDelta::seconds(expected));
        let until = now() + Duration::from_secs(seconds);
        assert_eq!(block, Some(Block::Until(until, Scope::Platform)));
    }
}

#[test]
fn messages_are_one_line_without_commands_for_the_terminal() {
    let reason = Reason::new("rejected", "one\n\ttwo \u{1b}[31mred\0");
    assert_eq!(reason.message, r"one two \u{1b}[31mred\u{0}");
    assert!(
        Reason::new("rejected", "x".repeat(2000))
            .message
            .chars()
            .count()
            <= 1001
    );
}
