//! Instagram's own error codes; the others are Meta's.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::http::{Effect, Reply, in_doubt, unreadable};
use crate::outcome::{Failure, Pause, Scope};
use crate::platform::graph::{self, GraphError};

/// After a fault of Instagram's own the documentation asks for a pause of half a minute to two minutes.
pub(super) const PAUSE: Duration = Duration::from_mins(1);
/// The daily limit is a rolling window; nothing says when it has room again.
const DAILY_LIMIT_PAUSE: Duration = Duration::from_hours(6);
/// A spam block lasts for hours, by the reports of those who met it.
const SPAM_PAUSE: Duration = Duration::from_hours(6);

/// The reply's content, or what its error means.
pub(super) fn accept<T: DeserializeOwned>(reply: &Reply, effect: Effect) -> Result<T, Failure> {
    if !reply.status.is_success() {
        return Err(classify(reply, effect));
    }
    reply.json().ok_or_else(|| unreadable(reply, effect))
}

/// Code and subcode of a refusal; 0 where there is none.
fn codes(reply: &Reply) -> Option<(i64, i64)> {
    let error = GraphError::of(reply).filter(|_| reply.status.is_client_error())?;
    Some((error.code?, error.subcode.unwrap_or_default()))
}

/// Whether the reply says that there is no such container.
pub(super) fn is_unknown(reply: &Reply) -> bool {
    matches!(
        codes(reply),
        Some((24, 2_207_006 | 2_207_008) | (100, 33) | (-2, 2_207_020))
    )
}

/// Whether the reply to publishing says that the container is not ready.
pub(super) fn is_not_ready(reply: &Reply) -> bool {
    codes(reply) == Some((9007, 2_207_027))
}

/// Whether the reply calls it spam; it may be published all the same.
pub(super) fn is_spam(reply: &Reply) -> bool {
    codes(reply) == Some((4, 2_207_051))
}

/// Whether the reply says that the medium's address did not open.
pub(super) fn is_unfetched(reply: &Reply) -> bool {
    matches!(codes(reply), Some((9004, _)))
}

pub(super) fn classify(reply: &Reply, effect: Effect) -> Failure {
    let Some((error, codes)) = GraphError::of(reply).zip(codes(reply)) else {
        return graph::classify(reply, effect);
    };
    let limited = |after, message: &str| Failure::RateLimited {
        after,
        scope: Scope::Account,
        reason: error.reason("rate_limited", message),
    };
    match codes {
        (1, 2_207_057) => Failure::Rejected {
            reason: error.reason(
                "rejected",
                "the video is shorter than `thumb_offset_ms`; choose a moment in it",
            ),
        },
        (-2 | -1, _) => in_doubt(
            effect,
            error.reason(
                "server_error",
                format!("Instagram had trouble: {}", error.words()),
            ),
        ),
        (4, 2_207_051) => limited(
            SPAM_PAUSE,
            "Instagram takes the account's posts for spam just now",
        ),
        (9, _) => limited(
            DAILY_LIMIT_PAUSE,
            "the account has reached Instagram's number of posts in 24 hours",
        ),
        (24, 2_207_006 | 2_207_008) => Failure::Retry {
            after: Some(PAUSE),
            reason: error.reason("upload_gone", "Instagram knows the upload no more"),
        },
        (25, _) => Failure::NeedsLogin {
            reason: error.reason(
                "needs_login",
                "Instagram restricts the account; its owner must log in there",
            ),
        },
        (9004, _) => Failure::Rejected {
            reason: error.reason(
                "rejected",
                "Instagram can't fetch the media; check that each address opens for everyone",
            ),
        },
        // A new token may do. Without Meta's words: they can quote the old one.
        (102 | 104, _) | (190, 0 | 463 | 467) => Failure::Unauthorized {
            reason: error.reason(
                "needs_login",
                "Meta does not accept the token (any more); connect the account again",
            ),
        },
        _ => graph::classify(reply, effect),
    }
}

/// How long the account had better rest, if a reply that went well says that its calls are used up.
pub(super) fn used_up(reply: &Reply) -> Option<Pause> {
    Some(Pause {
        after: graph::named_wait(reply)?,
        scope: Scope::Account,
        why: "Meta's limit of calls for this account is used up".to_owned(),
    })
}
