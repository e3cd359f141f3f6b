//! Slack: <https://docs.slack.dev/reference/methods/chat.postMessage>
//!
//! - **Version**: none in the path.
//! - **Auth**: a bot token (`xoxb-…`) as bearer, with `chat:write`. Beside it, for what needs them: `files:write` and
//!   `files:read` (files), `channels:history` or `groups:history` (to find out what became of a message whose answer
//!   was lost), `channels:join` (public channels that the app is not in), `chat:write.customize` (another name or icon).
//!   A token does not expire unless the app rotates its tokens: then after 12 hours, and each refresh token works once.
//! - **Limits** (2026-08): text 40,000 characters, a section 3,000, 50 blocks, Markdown 12,000; about one message a
//!   second and channel, bursts tolerated.
//! - **Idempotency**: none. Our id travels in `metadata`; a file has its id before its message is sent.
//! - **Look-up**: `files.info` for a file's shares; `conversations.history` or `conversations.replies`, read back to the
//!   post's time, by the metadata. A message with files has none; without its files' ids it is known by its text and
//!   their number.
//! - **Permalink**: the workspace's address, the channel and the `ts`. The first message of a token in a run asks for the
//!   address (`auth.test`).
//! - **Errors**: HTTP 200 with `ok: false` and a code; only rate limits use a status (429).
//! - **Doubts**: how Slack counts characters is not said; they are counted with `&`, `<` and `>` escaped, as they are
//!   sent. Nothing says how long the text beside files may be (taken as a message's), or how many files a message may
//!   have (10, as in Slack's own program). Markdown is sent as it was written. `X-OAuth-Scopes` is used where it comes.
//! - The account's `external_id` is the channel's id. Channel ids are not unique across workspaces by documentation,
//!   but they are in practice.
//! - **Kinds**: `post`, and `reply` with the option `thread_ts` or `reply_to`.
//! - **Media**: PNG, JPEG and GIF by address are shown in the message, fetched by Slack. Anything else, or everything
//!   with the option `upload`, is uploaded; all files are in one message. The channel learns of files a moment later
//!   than we do, so the message's own address is asked for until it is there.

use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use serde_json::{Map, Value};

use super::{Found, Platform, Step};
use crate::account::{Account, Renewed, Standing};
use crate::http::{Api, Session};
use crate::limits::{Figure, Quota};
use crate::outcome::Failure;
use crate::review::Review;

mod checkpoint;
mod content;
mod files;
mod lookup;
mod message;
mod permalink;
mod reply;
mod thread;
mod tokens;
mod validate;

use checkpoint::Checkpoint;
use content::Form;

/// What the documentation says.
const FIGURES: &[Figure] = &[
    Figure {
        name: "text_chars",
        value: 40_000.0,
        as_of: "2018-04",
        source: "docs.slack.dev, truncating really long messages",
    },
    Figure {
        name: "markdown_chars",
        value: 12_000.0,
        as_of: "2026-08",
        source: "chat.postMessage, markdown_text",
    },
    Figure {
        name: "blocks",
        value: 50.0,
        as_of: "2026-08",
        source: "Block Kit, blocks in a message",
    },
    Figure {
        name: "section_chars",
        value: 3_000.0,
        as_of: "2026-08",
        source: "Block Kit, section",
    },
    Figure {
        name: "image_alt_chars",
        value: 2_000.0,
        as_of: "2026-08",
        source: "Block Kit, image",
    },
    Figure {
        name: "image_url_chars",
        value: 3_000.0,
        as_of: "2026-08",
        source: "Block Kit, image",
    },
    Figure {
        name: "title_chars",
        value: 2_000.0,
        as_of: "2026-08",
        source: "Block Kit, image",
    },
    Figure {
        name: "file_alt_chars",
        value: 1_000.0,
        as_of: "2026-08",
        source: "files.getUploadURLExternal, alt_txt",
    },
    Figure {
        name: "file_bytes",
        value: 1_000_000_000.0,
        as_of: "2026-08",
        source: "help page; the API reference names none",
    },
    Figure {
        name: "files",
        value: 10.0,
        as_of: "2026-08",
        source: "Slack's own program; the API reference names none",
    },
];

const OPTIONS: &[(&str, &str)] = &[
    (
        "first_comment",
        "a reply in the message's own thread, sent right after it",
    ),
    (
        "thread_ts",
        "of a reply: the `ts` of the message that it answers",
    ),
    (
        "reply_to",
        "of a reply: the message that it answers, as C024BE91L:1503435956.000247 or as its permalink",
    ),
    (
        "reply_broadcast",
        "of a reply: whether the channel sees it too",
    ),
    (
        "unfurl",
        "whether links get a preview (default: only the post's link)",
    ),
    (
        "markdown",
        "whether the body is Markdown instead of Slack's own markup",
    ),
    (
        "upload",
        "whether images are uploaded instead of fetched by Slack",
    ),
    ("title", "the title of the only image or file"),
    (
        "username",
        "the name to post as (scope chat:write.customize)",
    ),
    (
        "icon_emoji",
        "the emoji to post with, as :tada: (scope chat:write.customize)",
    ),
    (
        "icon_url",
        "the picture to post with (scope chat:write.customize)",
    ),
];

/// The Slack client.
#[derive(Debug)]
pub struct Slack;

impl Platform for Slack {
    fn name(&self) -> &'static str {
        "slack"
    }

    fn title(&self) -> &'static str {
        "Slack"
    }

    fn cap(&self) -> usize {
        8
    }

    fn base_url(&self, _account: &Account) -> &'static str {
        "https://slack.com"
    }

    fn spacing(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn figures(&self) -> &'static [Figure] {
        FIGURES
    }

    fn quotas(&self) -> &'static [Quota] {
        // About one message a second and channel, which is the spacing; nothing is said of longer windows.
        &[]
    }

    fn options(&self) -> &'static [(&'static str, &'static str)] {
        OPTIONS
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn validate(&self, review: &mut Review<'_>) {
        validate::post(review);
    }

    fn validate_account(&self, external_id: &str) -> Result<(), String> {
        if thread::is_channel(external_id) {
            return Ok(());
        }
        Err(format!(
            "`{external_id}` is not a Slack channel id (such as C024BE91L; see the channel's details)"
        ))
    }

    fn validate_settings(&self, _settings: &Map<String, Value>) -> Vec<String> {
        Vec::new()
    }

    fn step<'a>(
        &'a self,
        session: &'a Session<'a>,
        checkpoint: Option<&'a Value>,
    ) -> LocalBoxFuture<'a, Result<Step, Failure>> {
        async move {
            match checkpoint.map(Checkpoint::read).transpose()? {
                None | Some(Checkpoint::Doubt { .. }) => begin(session).await,
                Some(Checkpoint::Message) => message::send(session, message::Joined::Yes).await,
                Some(Checkpoint::Files(files)) => files::step(session, files).await,
                Some(Checkpoint::Shared(shared)) => files::shared(session, shared).await,
            }
        }
        .boxed_local()
    }

    fn look_up<'a>(
        &'a self,
        session: &'a Session<'a>,
        checkpoint: Option<&'a Value>,
    ) -> LocalBoxFuture<'a, Result<Found, Failure>> {
        lookup::look(session, checkpoint).boxed_local()
    }

    fn lag(&self) -> Duration {
        Duration::from_mins(1)
    }

    fn can_refresh(&self, api: &Api<'_>) -> bool {
        api.credentials.refresh_token.is_some() && api.app().is_some()
    }

    fn refresh_ahead(&self) -> Duration {
        Duration::from_mins(10)
    }

    fn refresh<'a>(&'a self, api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Renewed, Failure>> {
        tokens::refresh(api).boxed_local()
    }

    fn check<'a>(&'a self, api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Standing, Failure>> {
        tokens::check(api).boxed_local()
    }
}

async fn begin(session: &Session<'_>) -> Result<Step, Failure> {
    // Before anything is uploaded for a reply that goes nowhere.
    content::thread_of(session)?;
    let media = content::media(session)?;
    match Form::of(&session.post.content, &media, &session.api.limits) {
        Form::Text | Form::Images => message::send(session, message::Joined::No).await,
        // What Slack may not be able to show is uploaded, which it takes in any case.
        Form::Files | Form::Unknown => files::step(session, checkpoint::Files::default()).await,
    }
}

#[cfg(test)]
mod tests;
