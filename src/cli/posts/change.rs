//! What a person decides: `posts cancel`, `posts retry`, `posts resolve`.

use clap::Args;
use serde_json::json;
use url::Url;

use crate::cli::database;
use crate::cli::output::{complain, emit};
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::post::PostId;

#[derive(Clone, Debug, Args)]
pub(super) struct Cancel {
    /// The posts' numbers.
    #[arg(required = true)]
    ids: Vec<PostId>,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Retry {
    /// The posts' numbers.
    #[arg(required = true)]
    ids: Vec<PostId>,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Resolve {
    /// The post's number.
    id: PostId,
    /// It is live, here.
    #[arg(long, value_name = "URL", required_unless_present = "not_published")]
    published: Option<Url>,
    /// It is not there: send it again.
    #[arg(long, conflicts_with = "published")]
    not_published: bool,
}

/// A change of state, and from which states it is possible.
struct Change<'a> {
    from: &'a [&'a str],
    to: &'a str,
    permalink: Option<&'a str>,
    /// For the history.
    message: &'a str,
    /// For the person.
    done: &'a str,
}

pub(super) async fn cancel(args: Cancel, config: &Config) -> Result<Exit, Failed> {
    let change = Change {
        from: &["pending"],
        to: "canceled",
        permalink: None,
        message: "canceled by a person",
        done: "canceled",
    };
    carry_out(&args.ids, &change, config).await
}

pub(super) async fn retry(args: Retry, config: &Config) -> Result<Exit, Failed> {
    let change = Change {
        from: &["failed", "expired", "canceled"],
        to: "pending",
        permalink: None,
        message: "revived by a person",
        done: "due now",
    };
    carry_out(&args.ids, &change, config).await
}

pub(super) async fn resolve(args: Resolve, config: &Config) -> Result<Exit, Failed> {
    let change = match &args.published {
        Some(url) => Change {
            from: &["unconfirmed"],
            to: "published",
            permalink: Some(url.as_str()),
            message: "found by a person",
            done: "published",
        },
        None => Change {
            from: &["unconfirmed"],
            to: "pending",
            permalink: None,
            message: "a person found that it was not published",
            done: "due now",
        },
    };
    carry_out(&[args.id], &change, config).await
}

/// Changes those posts that are in a state for it, and says which are not.
async fn carry_out(ids: &[PostId], change: &Change<'_>, config: &Config) -> Result<Exit, Failed> {
    let mut store = database::open_checked(config).await?;
    let argument = json!({
        "ids": ids, "from": change.from, "to": change.to, "permalink": change.permalink,
        "message": change.message,
    });
    let changed = store.change_posts(&argument).await?;
    let mut exit = Exit::Ok;
    for id in ids {
        if changed.contains(id) {
            emit(&format!("post {id}: {}", change.done))?;
            continue;
        }
        exit = Exit::Attention;
        let found = store.posts(&json!({"id": id, "limit": 1})).await?;
        let status = found.first().and_then(|post| post["status"].as_str());
        complain(&match status {
            Some(status) => format!(
                "post {id} is {status}; this is for posts that are {}",
                change.from.join(", ")
            ),
            None => format!("there is no post {id}; see `publisher posts list`"),
        });
    }
    store.close().await;
    Ok(exit)
}
