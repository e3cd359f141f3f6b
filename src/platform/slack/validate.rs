//! What keeps a post from being published on Slack.

use super::content::{self, Form};
use super::thread;
use crate::http::web_address;
use crate::post::Kind;
use crate::review::{Review, named};

const FLAG: &str = "true or false";
const TEXT: &str = "a text";
/// What files can't have: they are shared by another method, which knows none of it.
const MESSAGE_ONLY: [&str; 5] = [
    "unfurl",
    "reply_broadcast",
    "username",
    "icon_emoji",
    "icon_url",
];

pub(super) fn post(review: &mut Review<'_>) {
    let content = review.content;
    for name in ["unfurl", "markdown", "upload", "reply_broadcast"] {
        review.option::<bool>(name, FLAG);
    }
    for name in [
        "title",
        "first_comment",
        "username",
        "icon_emoji",
        "icon_url",
    ] {
        review.option::<String>(name, TEXT);
    }
    let form = Form::of(content, &review.media, &review.limits);
    thread_of(review);
    looks(review);
    text(review, form);
    let comment = content::text(content, "first_comment").unwrap_or_default();
    review.characters(
        "the first comment",
        &content::escaped(comment),
        "text_chars",
    );
    if review.media.len() == 1 {
        let title = content::text(content, "title").unwrap_or_default();
        review.characters("the title", title, "title_chars");
    }
    media(review, form);
}

fn thread_of(review: &mut Review<'_>) {
    let content = review.content;
    if matches!(content.kind, Kind::Story | Kind::Reel) {
        review.problem("stories and reels do not exist on Slack; make it a post");
    }
    let is_reply = content.kind == Kind::Reply;
    match thread::parent(content) {
        Err(problem) => review.problem(problem),
        Ok(None) if is_reply => {
            review.problem("a reply on Slack needs the option `thread_ts` or `reply_to`");
        }
        Ok(Some(_)) if !is_reply => {
            review.problem("`thread_ts` and `reply_to` are for replies; set the kind to reply");
        }
        Ok(_) => {}
    }
    if !is_reply && content::flag(content, "reply_broadcast") == Some(true) {
        review.problem("`reply_broadcast` is for replies; set the kind to reply");
    }
}

/// The name and the icon to post with.
fn looks(review: &mut Review<'_>) {
    let content = review.content;
    let emoji = content::text(content, "icon_emoji");
    let url = content::text(content, "icon_url");
    if emoji.is_some() && url.is_some() {
        review.problem("give either `icon_emoji` or `icon_url`, not both");
    }
    let is_emoji = |emoji: &str| emoji.len() > 2 && emoji.starts_with(':') && emoji.ends_with(':');
    if emoji.is_some_and(|emoji| !is_emoji(emoji)) {
        review.problem("option `icon_emoji` must be an emoji's name, such as :tada:");
    }
    if let Some(Err(problem)) = url.map(web_address) {
        review.problem(format!("icon_url: {problem}"));
    }
}

fn text(review: &mut Review<'_>, form: Form) {
    let content = review.content;
    let text = content::plain(content);
    if text.is_empty() && content.media.is_empty() {
        review.problem("a Slack message needs a body, a link or media");
    }
    if content::is_markdown(content) {
        if !content.media.is_empty() {
            review
                .problem("a message in Markdown can't have media on Slack; leave one of them out");
        }
        return review.characters("the message", &text, "markdown_chars");
    }
    review.characters("the message", &content::escaped(&text), "text_chars");
    if form == Form::Images {
        let limit = usize::try_from(review.limits.count("section_chars")).unwrap_or(usize::MAX);
        let blocks = content::sections(&text, limit.max(1)).len() + content.media.len();
        review.at_most("the message", blocks, "pieces of text and images", "blocks");
    }
}

fn media(review: &mut Review<'_>, form: Form) {
    let alts = match form {
        Form::Text => return,
        Form::Files => "file_alt_chars",
        Form::Images | Form::Unknown => "image_alt_chars",
    };
    let (longest, largest) = (review.limits.count(alts), review.limits.count("file_bytes"));
    let mut problems = Vec::new();
    for (number, medium, facts) in review.numbered() {
        let what = named(number, medium);
        let alt = medium.alt.as_deref().unwrap_or_default().chars().count() as u64;
        if alt > longest {
            problems.push(format!(
                "{what}: the description has {alt} characters; Slack takes {longest}"
            ));
        }
        if form != Form::Files {
            continue;
        }
        match facts.bytes {
            Some(0) => problems.push(format!("{what} is empty")),
            Some(bytes) if bytes > largest => {
                problems.push(format!("{what} has {bytes} bytes; Slack takes {largest}"));
            }
            _ => {}
        }
    }
    for problem in problems {
        review.problem(problem);
    }
    if form != Form::Files {
        return;
    }
    review.at_most("the message", review.media.len(), "files", "files");
    let given = |name: &&str| {
        let value = review.content.options.get(*name);
        value.is_some_and(|value| !value.is_null() && value != false && value != "")
    };
    let unheard: Vec<&str> = MESSAGE_ONLY.into_iter().filter(given).collect();
    for name in unheard {
        review.problem(format!(
            "option `{name}` can't be used with uploaded files on Slack; leave it out"
        ));
    }
}
