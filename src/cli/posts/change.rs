//! What a person decides: `posts cancel`, `posts retry`, `posts resolve`.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};
use url::Url;

use super::page;
use crate::cli::database;
use crate::cli::output::{complain, emit, emit_json};
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::platform;
use crate::post::PostId;
use crate::schedule::minute;
use crate::store::{Store, instant};

/// Longer than any platform's id.
const LONGEST_ID: usize = 300;

#[derive(Clone, Debug, Args)]
pub(super) struct Cancel {
    #[command(flatten)]
    posts: Named,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Retry {
    #[command(flatten)]
    posts: Named,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Resolve {
    #[command(flatten)]
    posts: Named,
    /// It is live: its address there, or the platform's id of it.
    #[arg(long, value_name = "URL|ID", required_unless_present = "not_published", value_parser = proof)]
    published: Option<Proof>,
    /// It is not there: send it again, due now.
    #[arg(long, conflicts_with = "published")]
    not_published: bool,
}

/// Which posts, and how to tell what became of the wish.
#[derive(Clone, Debug, Args)]
struct Named {
    /// The posts' numbers.
    #[arg(required = true)]
    ids: Vec<PostId>,
    /// As a JSON list: id, changed (true or false), and the status it has now (null: there is no such post).
    #[arg(long)]
    json: bool,
}

/// What a person found on the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Proof {
    Address(Url),
    Id(String),
}

/// An address that people can open, or an id such as `urn:li:share:7` or `1700000000.000100`.
fn proof(text: &str) -> Result<Proof, String> {
    let text = text.trim();
    if let Some((scheme, _)) = text.split_once("://") {
        let url = Url::parse(text).map_err(|why| format!("it is not a URL: {why}"))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(format!(
                "an address of a post begins with https://, not {scheme}://"
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("an address of a post holds no user and no password".to_owned());
        }
        return Ok(Proof::Address(url));
    }
    if text.contains('/') {
        return Err("write the whole address, with https://".to_owned());
    }
    let is_id = |c: char| c.is_ascii_graphic();
    if text.is_empty() || text.len() > LONGEST_ID || !text.chars().all(is_id) {
        return Err("it is neither a URL nor a platform's id of a post".to_owned());
    }
    Ok(Proof::Id(text.to_owned()))
}

/// A change of state, and from which states it is possible.
struct Change<'a> {
    from: &'a [&'a str],
    to: &'a str,
    /// Where it is, if it is live.
    permalink: Option<&'a str>,
    platform_post_id: Option<&'a str>,
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
        platform_post_id: None,
        message: "canceled by a person",
        done: "canceled",
    };
    carry_out(&args.posts, &change, config).await
}

pub(super) async fn retry(args: Retry, config: &Config) -> Result<Exit, Failed> {
    let change = Change {
        from: &["failed", "expired", "canceled"],
        to: "pending",
        permalink: None,
        platform_post_id: None,
        message: "revived by a person",
        done: "due now",
    };
    carry_out(&args.posts, &change, config).await
}

pub(super) async fn resolve(args: Resolve, config: &Config) -> Result<Exit, Failed> {
    let (from, not_there) = (&["unconfirmed"], "a person found that it was not published");
    let change = match &args.published {
        Some(_) if args.posts.ids.len() > 1 => {
            return Err(Failed::usage(
                "--published is the address of one post; resolve the others one by one",
            ));
        }
        Some(proof) => Change {
            from,
            to: "published",
            permalink: match proof {
                Proof::Address(url) => Some(url.as_str()),
                Proof::Id(_) => None,
            },
            platform_post_id: match proof {
                Proof::Id(id) => Some(id),
                Proof::Address(_) => None,
            },
            message: "found by a person",
            done: "published",
        },
        None => Change {
            from,
            to: "pending",
            permalink: None,
            platform_post_id: None,
            message: not_there,
            done: "due now",
        },
    };
    carry_out(&args.posts, &change, config).await
}

/// Changes those posts that are in a state for it, and says which are not.
async fn carry_out(named: &Named, change: &Change<'_>, config: &Config) -> Result<Exit, Failed> {
    let mut store = database::open_checked(config).await?;
    let mut ids = Vec::new();
    for id in &named.ids {
        if !ids.contains(id) {
            ids.push(*id);
        }
    }
    let published_at = match (change.to, ids.as_slice()) {
        ("published", [id]) => first_doubt(*id, change, &mut store).await?,
        _ => None,
    };
    let argument = json!({
        "ids": ids, "from": change.from, "to": change.to, "permalink": change.permalink,
        "platform_post_id": change.platform_post_id, "published_at": published_at, "message": change.message,
    });
    let changed = store.change_posts(&argument).await?;
    let mut found = BTreeMap::new();
    for id in &ids {
        if !changed.contains(id) {
            found.insert(*id, find(*id, &mut store).await?);
        }
    }
    store.close().await;
    tell(named, change, &ids, &found)?;
    Ok(if found.is_empty() {
        Exit::Ok
    } else {
        Exit::Attention
    })
}

async fn find(id: PostId, store: &mut Store) -> Result<Option<Value>, Failed> {
    let posts = store.posts(&json!({"id": id, "limit": 1})).await?;
    Ok(posts.into_iter().next())
}

/// What a person found was accepted when the doubt began, not when it was last looked for. An address of another
/// platform is a slip of the hand.
async fn first_doubt(
    id: PostId,
    change: &Change<'_>,
    store: &mut Store,
) -> Result<Option<String>, Failed> {
    let Some(post) = find(id, store).await? else {
        return Ok(None);
    };
    let own = post["platform"].as_str().unwrap_or_default();
    if let Some(other) = change.permalink.and_then(|url| platform_of(url, own)) {
        return Err(Failed::usage(format!(
            "that is an address of {other}, and post {id} goes to {own}; nothing was changed"
        )));
    }
    Ok(page::doubt_since(&post).map(instant))
}

/// The platform that the address is of by its name, if that is another one.
fn platform_of(url: &str, own: &str) -> Option<&'static str> {
    let url = Url::parse(url).ok()?;
    let domain = url.domain()?.to_owned();
    let name = domain.trim_end_matches('.').rsplit('.').nth(1)?;
    let known = platform::names().into_iter().find(|known| *known == name);
    known.filter(|known| *known != own)
}

fn tell(
    named: &Named,
    change: &Change<'_>,
    ids: &[PostId],
    unchanged: &BTreeMap<PostId, Option<Value>>,
) -> Result<(), Failed> {
    for (id, post) in unchanged {
        complain(&match post {
            Some(post) => not_now(*id, post, change),
            None => format!("there is no post {id}; see `publisher posts list`"),
        });
    }
    if named.json {
        let entry = |id: &PostId| {
            let status = match unchanged.get(id) {
                None => json!(change.to),
                Some(post) => post
                    .as_ref()
                    .map_or(Value::Null, |post| post["status"].clone()),
            };
            json!({"id": id, "changed": !unchanged.contains_key(id), "status": status})
        };
        return emit_json(&ids.iter().map(entry).collect());
    }
    for id in ids.iter().filter(|id| !unchanged.contains_key(id)) {
        emit(&format!("post {id}: {}", change.done))?;
    }
    Ok(())
}

/// Why a post that is there was not changed.
fn not_now(id: PostId, post: &Value, change: &Change<'_>) -> String {
    let status = post["status"].as_str().unwrap_or_default();
    if status == "publishing" {
        let until = page::instant(post, "lease_until");
        let until = until.map_or_else(String::new, |until| {
            format!(", until {} at most", minute(until))
        });
        return format!("post {id} is in the hands of a run just now{until}; try again after it");
    }
    format!(
        "post {id} is {status}; this is for posts that are {}",
        change.from.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_an_address_or_an_id() {
        for address in [
            "https://www.linkedin.com/feed/update/urn:li:share:7/",
            "http://127.0.0.1:8025/p/1",
        ] {
            assert_eq!(proof(address), Ok(Proof::Address(address.parse().unwrap())));
        }
        for id in [
            "urn:li:share:7",
            "1700000000.000100",
            "1000001_42",
            "dQw4w9WgXcQ",
        ] {
            assert_eq!(proof(id), Ok(Proof::Id(id.to_owned())));
        }
        for (nonsense, why) in [
            ("", "neither"),
            ("two words", "neither"),
            ("\u{1b}[2J", "neither"),
            ("www.facebook.com/1", "https://"),
            ("ftp://example.com/1", "https://"),
            ("https://", "not a URL"),
            ("https://ada:hunter2@example.com/1", "no password"),
        ] {
            let error = proof(nonsense).unwrap_err();
            assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
        }
        assert!(proof(&"x".repeat(LONGEST_ID + 1)).is_err());
    }

    #[test]
    fn an_address_of_another_platform_is_known_by_its_name() {
        let linkedin = "https://www.linkedin.com/feed/update/urn:li:share:7/";
        assert_eq!(platform_of(linkedin, "facebook"), Some("linkedin"));
        assert_eq!(platform_of(linkedin, "linkedin"), None);
        // A workspace may be named after another platform, and a proxy's address says nothing.
        assert_eq!(
            platform_of("https://linkedin.slack.com/archives/C1/p1", "slack"),
            None
        );
        assert_eq!(platform_of("https://facebook.example.com/1", "slack"), None);
        assert_eq!(platform_of("http://127.0.0.1:8025/p/1", "slack"), None);
    }
}
