//! LinkedIn's "little text", the markup of a post's commentary. Hashtags and mentions are what they are meant to be;
//! everything else is escaped, since a reserved character that stands alone can silently cut the text off.
//!
//! A body has hashtags as `#word` and mentions as `@[Name](urn:li:organization:123)`, or a person's URN.

use std::fmt::Write;

use unicode_normalization::char::is_combining_mark;

/// What means something in little text unless a backslash is in front.
const RESERVED: &[char] = &[
    '\\', '|', '{', '}', '@', '[', ']', '(', ')', '<', '>', '#', '*', '_', '~',
];

/// What begins the template of a hashtag.
const HASHTAG: &str = "{hashtag|";

/// A body as LinkedIn wants it.
pub(super) fn written(body: &str) -> String {
    let mut written = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(c) = rest.chars().next() {
        let before = &body[..body.len() - rest.len()];
        if let Some((name, urn, after)) = mention(rest) {
            let name = escaped(name);
            write!(written, "@[{name}]({urn})").expect("a String takes everything");
            rest = after;
        } else if let Some((tag, after)) = hashtag(rest, before) {
            write!(written, "{HASHTAG}\\#|{tag}}}").expect("a String takes everything");
            rest = after;
        } else {
            push_escaped(&mut written, c);
            rest = &rest[c.len_utf8()..];
        }
    }
    written
}

/// The body with the names of mentions alone, as people see it and as LinkedIn counts it.
pub(super) fn plain(body: &str) -> String {
    let mut plain = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(c) = rest.chars().next() {
        if let Some((name, _, after)) = mention(rest) {
            plain.push_str(name);
            rest = after;
        } else {
            plain.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    plain
}

/// A commentary as a body has it, for comparing what LinkedIn lists with what was sent. LinkedIn makes templates of
/// hashtags, also of those that came as plain text.
pub(super) fn body_of(commentary: &str) -> String {
    let mut body = String::with_capacity(commentary.len());
    let mut rest = commentary;
    while let Some(c) = rest.chars().next() {
        let template = rest.strip_prefix(HASHTAG);
        if let Some((tag, after)) = template.and_then(|template| template.split_once('}')) {
            // `\#|jobs`
            body.extend(tag.chars().filter(|c| !matches!(c, '|' | '\\')));
            rest = after;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        let escaped = (c == '\\').then(|| rest.chars().next()).flatten();
        match escaped.filter(|c| RESERVED.contains(c)) {
            Some(escaped) => {
                body.push(escaped);
                rest = &rest[1..];
            }
            None => body.push(c),
        }
    }
    body
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    text.chars().for_each(|c| push_escaped(&mut escaped, c));
    escaped
}

fn push_escaped(text: &mut String, c: char) {
    if RESERVED.contains(&c) {
        text.push('\\');
    }
    text.push(c);
}

/// The mention that a text begins with: its name, whose it is, and what follows.
fn mention(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = text.strip_prefix("@[")?.split_once("](")?;
    let (urn, after) = rest.split_once(')')?;
    let (kind, id) = urn.strip_prefix("urn:li:")?.split_once(':')?;
    let is_id = match kind {
        "organization" => id.bytes().all(|b| b.is_ascii_digit()),
        "person" => id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')),
        _ => false,
    };
    let is_name = !name.trim().is_empty() && !name.contains(['[', ']', '\n']);
    (is_id && !id.is_empty() && is_name).then_some((name, urn, after))
}

/// The hashtag that a text begins with, without its sign, and what follows. Within a word or an address there is none,
/// nor is a number one.
fn hashtag<'a>(text: &'a str, before: &str) -> Option<(&'a str, &'a str)> {
    let of_word = |c: char| c.is_alphanumeric() || is_combining_mark(c);
    let tag = text.strip_prefix('#')?;
    let end = tag.find(|c| !of_word(c)).unwrap_or(tag.len());
    let (tag, after) = tag.split_at(end);
    let stands_alone = !before.ends_with(|c| of_word(c) || matches!(c, '#' | '&' | '/' | '_'));
    let has_letter = tag.chars().any(char::is_alphabetic);
    let word = before.rsplit(char::is_whitespace).next();
    let in_address = word.is_some_and(|word| word.contains("://"));
    (stands_alone && has_letter && !in_address).then_some((tag, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashtags_and_mentions_are_what_they_are_meant_to_be() {
        for (body, commentary) in [
            ("#jobs", r"{hashtag|\#|jobs}"),
            (
                "We hire: #jobs, #Ümläute2026!",
                r"We hire: {hashtag|\#|jobs}, {hashtag|\#|Ümläute2026}!",
            ),
            (
                "(#jobs) #snake_case",
                r"\({hashtag|\#|jobs}\) {hashtag|\#|snake}\_case",
            ),
            ("#नमस्ते #日本", r"{hashtag|\#|नमस्ते} {hashtag|\#|日本}"),
            ("line\n#jobs", "line\n{hashtag|\\#|jobs}"),
            // No hashtags: in a word, a number, alone, doubled, in an address.
            ("C# is", r"C\# is"),
            ("#1 of # all ##x &#39;", r"\#1 of \# all \#\#x &\#39;"),
            (
                "https://a.b/c#part #x",
                r"https://a.b/c\#part {hashtag|\#|x}",
            ),
            ("https://a.b/?q=#part", r"https://a.b/?q=\#part"),
            (
                "by @[Dev Co](urn:li:organization:123)!",
                "by @[Dev Co](urn:li:organization:123)!",
            ),
            (
                "@[Ada (L_1)](urn:li:person:aB-1_x)",
                r"@[Ada \(L\_1\)](urn:li:person:aB-1_x)",
            ),
            // No mentions.
            ("@me a@b.c", r"\@me a\@b.c"),
            (
                "@[x](urn:li:organization:12a)",
                r"\@\[x\]\(urn:li:organization:12a\)",
            ),
            ("@[x](urn:li:share:1)", r"\@\[x\]\(urn:li:share:1\)"),
            ("@[](urn:li:person:a)", r"\@\[\]\(urn:li:person:a\)"),
            ("@[x](urn:li:person:)", r"\@\[x\]\(urn:li:person:\)"),
            ("@[x](https://a.b)", r"\@\[x\]\(https://a.b\)"),
        ] {
            assert_eq!(written(body), commentary, "{body}");
            assert_eq!(body_of(commentary), body, "{body}");
        }
    }

    #[test]
    fn everything_else_is_escaped_and_comes_back() {
        let reserved = r"\|{}@[]()<>#*_~";
        assert_eq!(written(reserved), r"\\\|\{\}\@\[\]\(\)\<\>\#\*\_\~");
        assert_eq!(written("ä b\n!?&\"'/%"), "ä b\n!?&\"'/%");
        for text in [
            reserved,
            r"a \ b",
            r"\\",
            "plain",
            "{hashtag|x}",
            r"{hashtag|\#|x}",
            "🙂 \u{202e}abc",
        ] {
            assert_eq!(body_of(&written(text)), text);
        }
    }

    #[test]
    fn what_linkedin_lists_is_read_in_either_form() {
        for (listed, body) in [
            ("go #rust", "go #rust"),
            (r"go {hashtag|\#|rust} now", "go #rust now"),
            (r"go \#rust", "go #rust"),
            (r"a \{hashtag|b", "a {hashtag|b"),
            (r"end \", r"end \"),
            (r"C:\dir", r"C:\dir"),
        ] {
            assert_eq!(body_of(listed), body);
        }
    }

    #[test]
    fn people_see_names_alone() {
        assert_eq!(
            plain("by @[Dev Co](urn:li:organization:1) & @[x](nobody) #jobs"),
            "by Dev Co & @[x](nobody) #jobs"
        );
    }
}
