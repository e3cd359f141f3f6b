//! The sandbox's Slack over raw HTTP: it refuses what the documentation refuses, in its words.

use std::time::Duration;

use publisher::sandbox::Settings;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::support::stage::{Stage, client};

/// A stage whose client is not used.
struct Raw(Stage);

impl Raw {
    async fn new() -> Self {
        Self(Stage::with("slack", &[]).await)
    }

    fn at(&self, method: &str) -> RequestBuilder {
        client().post(format!("{}/slack/api/{method}", self.0.url))
    }

    async fn call(&self, method: &str, form: &[(&str, &str)]) -> Value {
        self.as_token("good", method, form).await
    }

    async fn as_token(&self, token: &str, method: &str, form: &[(&str, &str)]) -> Value {
        let request = self.at(method).bearer_auth(token).form(form);
        request.send().await.unwrap().json().await.unwrap()
    }

    async fn message(&self, arguments: Value) -> Value {
        let mut body = json!({"channel": "C0GENERAL"});
        let fields = arguments.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(fields);
        let request = self.at("chat.postMessage").bearer_auth("good").json(&body);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// The upload address and the id of a file of that size.
    async fn address(&self, length: &str) -> (String, String) {
        let form = [("filename", "a.bin"), ("length", length)];
        let reply = self.call("files.getUploadURLExternal", &form).await;
        let text = |name: &str| reply[name].as_str().unwrap().to_owned();
        (text("upload_url"), text("file_id"))
    }

    async fn bytes(&self, url: &str, bytes: &'static str) -> (StatusCode, String) {
        let reply = client().post(url).body(bytes).send().await.unwrap();
        (reply.status(), reply.text().await.unwrap())
    }

    async fn complete(&self, files: &Value, more: &[(&str, &str)]) -> Value {
        let files = files.to_string();
        let form = [&[("files", files.as_str())], more].concat();
        self.call("files.completeUploadExternal", &form).await
    }
}

#[tokio::test]
async fn blocks_are_held_to_their_reference() {
    let raw = Raw::new().await;
    let image = raw.0.sample("800x800.png");
    let section = |text: &str| json!({"type": "section", "text": {"type": "mrkdwn", "text": text}});
    let shown = |url: &str| json!({"type": "image", "image_url": url, "alt_text": "A"});
    let refused = [
        (
            json!([{"type": "poem"}]),
            "unsupported type [json-pointer:/blocks/0/type]",
        ),
        (
            json!([section("")]),
            "more than 0 characters [json-pointer:/blocks/0/text]",
        ),
        (
            json!([section("x"), section(&"x".repeat(3_001))]),
            "less than 3001 characters [json-pointer:/blocks/1/text]",
        ),
        (
            json!([{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]),
            "must be one of: plain_text",
        ),
        (
            json!([{"type": "header", "text": {"type": "plain_text", "text": "x".repeat(151)}}]),
            "less than 151",
        ),
        (json!([{"type": "section"}]), "missing required field: text"),
        (
            json!([{"type": "divider", "color": "red"}]),
            "invalid additional property: color",
        ),
        (
            json!([{"type": "image", "image_url": image}]),
            "missing required field: alt_text",
        ),
        (
            json!([{"type": "image", "image_url": image, "alt_text": "x".repeat(2_001)}]),
            "less than 2001",
        ),
        (json!([shown("ftp://a.b/c.png")]), "must be a valid URL"),
        (
            json!([shown(&format!("{image}?{}", "x".repeat(3_000)))]),
            "less than 3001",
        ),
        (
            json!([shown(&raw.0.sample("nowhere.png"))]),
            "downloading image failed [json-pointer:/blocks/0/image_url]",
        ),
        (
            json!([shown(&raw.0.sample("document.pdf"))]),
            "downloading image failed",
        ),
        (json!(vec![section("x"); 51]), "no more than 50 items"),
        (json!([]), "no more than 50 items"),
    ];
    for (blocks, words) in refused {
        let reply = raw.message(json!({"text": "x", "blocks": blocks})).await;
        assert_eq!(reply["error"], "invalid_blocks", "{blocks:.80}");
        let message = reply["response_metadata"]["messages"][0].as_str().unwrap();
        assert!(message.contains(words), "{message}");
    }
    let reply = raw.message(json!({"text": "x", "blocks": "{}"})).await;
    assert_eq!(reply["error"], "invalid_blocks_format");
    assert_eq!(raw.0.posts().await.len(), 0);
    let fine = json!([section("One"), {"type": "divider"}, shown(&image), section("Two")]);
    assert_eq!(
        raw.message(json!({"text": "x", "blocks": fine})).await["ok"],
        true
    );
    assert_eq!(raw.0.posts().await[0]["text"], "One\nTwo");
}

#[tokio::test]
async fn arguments_that_do_not_fit_together_are_refused() {
    let raw = Raw::new().await;
    let many = vec![json!({}); 101];
    for (arguments, code) in [
        (
            json!({"markdown_text": "x", "text": "x"}),
            "markdown_text_conflict",
        ),
        (json!({"markdown_text": "x".repeat(12_001)}), "msg_too_long"),
        (json!({"text": " "}), "no_text"),
        (
            json!({"text": "x", "unfurl_links": "perhaps"}),
            "invalid_arguments",
        ),
        (
            json!({"text": "x", "reply_broadcast": true}),
            "invalid_arguments",
        ),
        (json!({"attachments": many}), "too_many_attachments"),
        (json!({"attachments": "x"}), "invalid_array_arg"),
        (
            json!({"text": "x", "metadata": "x"}),
            "invalid_metadata_format",
        ),
        (
            json!({"text": "x", "metadata": {"event_type": "", "event_payload": {}}}),
            "invalid_metadata_schema",
        ),
        (
            json!({"text": "x", "metadata": {"event_type": "x"}}),
            "invalid_metadata_schema",
        ),
        (
            json!({"text": "x", "metadata": {"event_type": "x", "event_payload": {"a": "x".repeat(9_000)}}}),
            "metadata_too_large",
        ),
        (
            json!({"text": "x", "thread_ts": "1.000000"}),
            "cannot_reply_to_message",
        ),
        (json!({"text": "x", "colour": "red"}), "invalid_arg_name"),
    ] {
        assert_eq!(
            raw.message(arguments.clone()).await["error"],
            code,
            "{arguments:.80}"
        );
    }
    let metadata = json!({"event_type": "x", "event_payload": {}}).to_string();
    let form = [
        ("channel", "C0GENERAL"),
        ("text", "x"),
        ("metadata", metadata.as_str()),
    ];
    let reply = raw.as_token("xoxp-1", "chat.postMessage", &form).await;
    assert_eq!(reply["error"], "metadata_must_be_sent_from_app");
    assert_eq!(raw.0.posts().await.len(), 0);
    assert_eq!(
        raw.call("files.upload", &[]).await["error"],
        "method_deprecated"
    );
}

#[tokio::test]
async fn what_is_odd_but_harmless_is_warned_of() {
    let raw = Raw::new().await;
    let reply = raw.message(json!({"text": "x".repeat(40_001)})).await;
    let warnings = json!(["missing_charset", "message_truncated"]);
    assert_eq!(reply["response_metadata"]["warnings"], warnings);
    assert_eq!(
        raw.0.posts().await[0]["text"].as_str().unwrap().len(),
        40_000
    );
    let form = raw.at("chat.postMessage").bearer_auth("good");
    let form = form.header(
        "content-type",
        "application/x-www-form-urlencoded; charset=utf-8",
    );
    let reply = form.body("channel=C0GENERAL&text=x").send().await.unwrap();
    assert_eq!(
        reply.json::<Value>().await.unwrap()["warning"],
        "superfluous_charset"
    );
}

#[tokio::test]
async fn a_channel_takes_twenty_messages_at_once_and_then_one_a_second() {
    let raw = Raw::new().await;
    for _ in 0..20 {
        assert_eq!(raw.message(json!({"text": "x"})).await["ok"], true);
    }
    let form = [("channel", "C0GENERAL"), ("text", "x")];
    let refused = raw
        .at("chat.postMessage")
        .bearer_auth("good")
        .form(&form)
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "1");
    let other = raw
        .call("chat.postMessage", &[("channel", "C0OTHER"), ("text", "x")])
        .await;
    assert_eq!(other["ok"], true);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        raw.message(json!({"text": "x"})).await["ok"],
        true,
        "what Retry-After promised"
    );
}

#[tokio::test]
async fn every_method_wants_its_scope() {
    let raw = Raw::new().await;
    let (_, file) = raw.address("3").await;
    for (method, form, needed) in [
        (
            "chat.postMessage",
            vec![("channel", "C0GENERAL"), ("text", "x")],
            "chat:write",
        ),
        (
            "conversations.join",
            vec![("channel", "C0GENERAL")],
            "channels:join",
        ),
        (
            "conversations.history",
            vec![("channel", "C0GENERAL")],
            "channels:history",
        ),
        (
            "conversations.history",
            vec![("channel", "G0GENERAL")],
            "groups:history",
        ),
        (
            "conversations.replies",
            vec![("channel", "D0GENERAL")],
            "im:history",
        ),
        ("files.getUploadURLExternal", vec![], "files:write"),
        ("files.completeUploadExternal", vec![], "files:write"),
        ("files.info", vec![("file", file.as_str())], "files:read"),
    ] {
        let reply = raw.as_token("scopes(nothing)x", method, &form).await;
        assert_eq!(
            (&reply["error"], &reply["needed"]),
            (&json!("missing_scope"), &json!(needed)),
            "{method}"
        );
        let reply = raw.at(method).form(&form).send().await.unwrap();
        assert_eq!(
            reply.json::<Value>().await.unwrap()["error"],
            "not_authed",
            "{method}"
        );
    }
    // Who may write in public channels need not be in them.
    let form = [("channel", "C0OUTSIDE"), ("text", "x")];
    let writer = "scopes(chat:write,chat:write.public)x";
    assert_eq!(
        raw.as_token(writer, "chat.postMessage", &form).await["ok"],
        true
    );
    assert_eq!(
        raw.call("chat.postMessage", &form).await["error"],
        "not_in_channel"
    );
}

#[tokio::test]
async fn an_address_for_bytes_takes_exactly_those_once() {
    let raw = Raw::new().await;
    for (form, code) in [
        (vec![("filename", "a")], "missing_argument"),
        (vec![("length", "3")], "missing_argument"),
        (
            vec![("filename", "a"), ("length", "0")],
            "invalid_arguments",
        ),
        (
            vec![("filename", "a"), ("length", "x")],
            "invalid_arguments",
        ),
        (
            vec![("filename", "a"), ("length", "1000000001")],
            "file_upload_size_restricted",
        ),
        (
            vec![
                ("filename", "a"),
                ("length", "1000001"),
                ("snippet_type", "text"),
            ],
            "snippet_too_large",
        ),
        (
            vec![("filename", "a.EXE"), ("length", "1")],
            "file_type_not_allowed",
        ),
        (
            vec![("filename", "a"), ("length", "1"), ("size", "1")],
            "invalid_arg_name",
        ),
    ] {
        let reply = raw.call("files.getUploadURLExternal", &form).await;
        assert_eq!(reply["error"], code, "{form:?}");
    }
    let alt = "x".repeat(1_001);
    let form = [
        ("filename", "a"),
        ("length", "1"),
        ("alt_txt", alt.as_str()),
    ];
    assert_eq!(
        raw.call("files.getUploadURLExternal", &form).await["error"],
        "alt_txt_too_large"
    );
    // It reads no JSON.
    let json = raw
        .at("files.getUploadURLExternal")
        .bearer_auth("good")
        .json(&json!({"filename": "a", "length": 1}));
    let reply: Value = json.send().await.unwrap().json().await.unwrap();
    assert_eq!(reply["error"], "missing_argument");

    let (url, file) = raw.address("3").await;
    assert_eq!(raw.bytes(&url, "ab").await.0, 400);
    assert_eq!(raw.bytes(&url, "abcd").await.0, 400);
    let unfinished = json!([{"id": file}]);
    let to = [("channel_id", "C0GENERAL")];
    assert_eq!(
        raw.complete(&unfinished, &to).await["error"],
        "file_not_found"
    );
    assert_eq!(
        raw.bytes(&url, "abc").await,
        (StatusCode::OK, "OK - 3".to_owned())
    );
    assert_eq!(raw.bytes(&url, "abc").await.0, 404, "it was used");
    assert_eq!(raw.0.posts().await.len(), 0);
}

#[tokio::test]
async fn files_are_completed_once_and_only_where_they_may_be() {
    let raw = Raw::new().await;
    let (url, file) = raw.address("3").await;
    raw.bytes(&url, "abc").await;
    let files = json!([{"id": file}]);
    let to = [("channel_id", "C0GENERAL")];
    let too_many: Vec<String> = (0..101).map(|n| format!("C0{n}")).collect();
    let too_many = too_many.join(",");
    for (list, more, code) in [
        (json!([]), vec![to[0]], "invalid_arguments"),
        (
            json!([{"id": file, "name": "a"}]),
            vec![to[0]],
            "invalid_arguments",
        ),
        (json!([{"id": "F0NONE"}]), vec![to[0]], "file_not_found"),
        (
            json!([{"id": file}, {"id": file}]),
            vec![to[0]],
            "file_update_failed",
        ),
        (
            files.clone(),
            vec![("channel_id", "nowhere")],
            "channel_not_found",
        ),
        (
            files.clone(),
            vec![("channels", too_many.as_str())],
            "channels_limit_exceeded",
        ),
        (
            files.clone(),
            vec![to[0], ("channels", "C0GENERAL")],
            "invalid_arguments",
        ),
        (
            files.clone(),
            vec![("channel_id", "C0OUTSIDE")],
            "not_in_channel",
        ),
        (
            files.clone(),
            vec![to[0], ("thread_ts", "1.000000")],
            "cannot_reply_to_message",
        ),
        (
            files.clone(),
            vec![to[0], ("metadata", "{}")],
            "invalid_arg_name",
        ),
    ] {
        assert_eq!(
            raw.complete(&list, &more).await["error"],
            code,
            "{list} {more:?}"
        );
    }
    assert_eq!(
        raw.call("files.info", &[("file", &file)]).await["error"],
        "file_not_found"
    );
    assert_eq!(raw.0.posts().await.len(), 0);
    let reply = raw.complete(&files, &to).await;
    assert_eq!((&reply["ok"], &reply["ts"]), (&json!(true), &Value::Null));
    assert_eq!(
        raw.complete(&files, &to).await["error"],
        "file_update_failed"
    );
    assert_eq!(raw.0.posts().await.len(), 1);
    // Without a channel it stays with its owner.
    let (url, file) = raw.address("3").await;
    raw.bytes(&url, "abc").await;
    assert_eq!(raw.complete(&json!([{"id": file}]), &[]).await["ok"], true);
    assert_eq!(raw.0.posts().await.len(), 1);
}

#[tokio::test]
async fn bytes_may_come_in_a_form() {
    let raw = Raw::new().await;
    for field in ["filename", "file", "body"] {
        let (url, file) = raw.address("3").await;
        let upload = async |field: &'static str, bytes: &'static str| {
            let part = reqwest::multipart::Part::text(bytes).file_name("a.bin");
            let form = reqwest::multipart::Form::new().part(field, part);
            let reply = client().post(&url).multipart(form).send().await.unwrap();
            (reply.status().as_u16(), reply.text().await.unwrap())
        };
        assert_eq!(upload("picture", "abc").await.0, 400, "no such field");
        assert_eq!(upload(field, "abcd").await.0, 400, "more than announced");
        assert_eq!(upload(field, "abc").await, (200, "OK - 3".to_owned()));
        let to = [("channel_id", "C0GENERAL")];
        let reply = raw.complete(&json!([{"id": file}]), &to).await;
        assert_eq!(reply["ok"], true, "{field}: {reply}");
    }
    let (url, _) = raw.address("3").await;
    let torn = client()
        .post(&url)
        .header("content-type", "multipart/form-data; boundary=x")
        .body("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nabc");
    assert_eq!(torn.send().await.unwrap().status(), 400);
    // The sha256 of "abc".
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(raw.0.posts().await[0]["media"][0]["sha256"], digest);
}

#[tokio::test]
async fn files_go_to_several_channels_at_once_under_any_name() {
    let raw = Raw::new().await;
    let (url, file) = raw.address("3").await;
    raw.bytes(&url, "abc").await;
    let files = json!([{"id": file, "title": "A"}]).to_string();
    let form = [
        ("files", files.as_str()),
        ("channels", "C0GENERAL, G0PRIVATE,C0GENERAL"),
        ("initial_comment", "Look"),
        ("username", "Robin"),
        ("icon_emoji", ":bird:"),
    ];
    let method = "files.completeUploadExternal";
    let reply = raw.as_token("scopes(files:write)x", method, &form).await;
    assert_eq!(reply["needed"], "chat:write.customize", "{reply}");
    assert_eq!(raw.call(method, &form).await["ok"], true);
    let posts = raw.0.posts().await;
    let accounts: Vec<&Value> = posts.iter().map(|post| &post["account"]).collect();
    assert_eq!(accounts, ["C0GENERAL", "G0PRIVATE"]);
    assert_eq!(posts[1]["details"]["username"], "Robin");
    let info = raw.call("files.info", &[("file", &file)]).await;
    let shares = &info["file"]["shares"];
    assert_eq!(shares["public"]["C0GENERAL"][0]["ts"], posts[0]["id"]);
    assert_eq!(shares["private"]["G0PRIVATE"][0]["ts"], posts[1]["id"]);
    let history = raw.call("conversations.history", &[("channel", "C0GENERAL")]);
    let message = &history.await["messages"][0];
    assert_eq!(
        (&message["username"], &message["icons"], &message["user"]),
        (&json!("Robin"), &json!({"emoji": ":bird:"}), &Value::Null)
    );
}

#[tokio::test]
async fn a_message_looks_as_a_bots_does_today() {
    let raw = Raw::new().await;
    let sent = raw.message(json!({"text": "One & <two>"})).await;
    let history = raw.call("conversations.history", &[("channel", "C0GENERAL")]);
    let listed = history.await["messages"][0].clone();
    assert_eq!(sent["message"], listed);
    let icon = "https://a.slack-edge.com/80588/img/plugins/app/bot";
    let text = json!([{"type": "text", "text": "One & <two>"}]);
    assert_eq!(
        listed,
        json!({
            "type": "message", "ts": sent["ts"], "text": "One &amp; &lt;two&gt;",
            "user": "U0SANDBOX", "bot_id": "B0SANDBOX", "app_id": "A0SANDBOX", "team": "T0SANDBOX",
            "bot_profile": {
                "id": "B0SANDBOX", "app_id": "A0SANDBOX", "name": "publisher", "team_id": "T0SANDBOX",
                "deleted": false, "updated": 1_700_000_000,
                "icons": {
                    "image_36": format!("{icon}_36.png"), "image_48": format!("{icon}_48.png"),
                    "image_72": format!("{icon}_72.png"),
                },
            },
            "blocks": [{
                "type": "rich_text", "block_id": "b0000",
                "elements": [{"type": "rich_text_section", "elements": text}],
            }],
        })
    );
    // Blocks come back as they were sent, each with an id.
    let section = json!({"type": "section", "text": {"type": "mrkdwn", "text": "Three"}});
    let mut named = section.clone();
    named["block_id"] = json!("own");
    for thread in [Value::Null, sent["ts"].clone()] {
        let arguments = json!({"text": "3", "blocks": [section, named], "thread_ts": thread});
        let message = &raw.message(arguments).await["message"];
        let mut first = section.clone();
        first["block_id"] = json!("b0000");
        assert_eq!(message["blocks"], json!([first, named]));
        assert_eq!(message["text"], "3");
    }
}

#[tokio::test]
async fn a_message_with_replies_says_how_many_and_every_message_is_known() {
    let raw = Raw::new().await;
    let parent = raw.message(json!({"text": "Question"})).await["ts"].clone();
    let reply = async |parent: &Value, text: &str| {
        let arguments = json!({"text": text, "thread_ts": parent});
        raw.message(arguments).await["ts"].clone()
    };
    let first = reply(&parent, "One").await;
    let second = reply(&parent, "Two").await;
    let thread = async |ts: &Value| {
        let form = [("channel", "C0GENERAL"), ("ts", ts.as_str().unwrap())];
        raw.call("conversations.replies", &form).await["messages"].clone()
    };
    let history = raw.call("conversations.history", &[("channel", "C0GENERAL")]);
    let listed = history.await["messages"][0].clone();
    let told = thread(&parent).await;
    assert_eq!(told[0], listed);
    assert_eq!(told.as_array().unwrap().len(), 3);
    for (name, value) in [
        ("thread_ts", &parent),
        ("reply_count", &json!(2)),
        ("reply_users_count", &json!(1)),
        ("latest_reply", &second),
    ] {
        assert_eq!(&listed[name], value, "{name}");
    }
    assert_eq!(told[1]["reply_count"], Value::Null);
    // A reply is a message, too: without replies of its own it comes alone.
    let alone = thread(&first).await;
    assert_eq!(alone, json!([told[1]]));
    assert_eq!(alone[0]["thread_ts"], parent);
    // So is what was there before.
    let old = json!("1503435956.000247");
    let third = reply(&old, "Three").await;
    let told = thread(&old).await;
    assert_eq!(told[0]["latest_reply"], third);
    assert_eq!(told[1]["text"], "Three");
}

#[tokio::test]
async fn a_file_shows_its_shares_after_a_while() {
    let settings = Settings {
        processing: Duration::from_hours(1),
        ..Settings::default()
    };
    let raw = Raw(Stage::set("slack", settings).await);
    let (url, file) = raw.address("3").await;
    raw.bytes(&url, "abc").await;
    raw.complete(&json!([{"id": file}]), &[("channel_id", "G0PRIVATE")])
        .await;
    let info = raw.call("files.info", &[("file", &file)]).await;
    assert_eq!(info["file"]["shares"], json!({}));

    let raw = Raw::new().await;
    let (url, file) = raw.address("3").await;
    raw.bytes(&url, "abc").await;
    raw.complete(&json!([{"id": file}]), &[("channel_id", "G0PRIVATE")])
        .await;
    let info = raw.call("files.info", &[("file", &file)]).await;
    let ts = info["file"]["shares"]["private"]["G0PRIVATE"][0]["ts"].clone();
    assert_eq!(ts, raw.0.posts().await[0]["id"]);
    let history = raw
        .call("conversations.history", &[("channel", "G0PRIVATE")])
        .await;
    assert_eq!(history["messages"][0]["files"], json!([{"id": file}]));
}

#[tokio::test]
async fn threads_are_listed_with_their_start_and_channels_without_replies() {
    let raw = Raw::new().await;
    let parent = raw.message(json!({"text": "Question"})).await["ts"].clone();
    let ts = parent.as_str().unwrap();
    let metadata = json!({"event_type": "x", "event_payload": {"id": "1"}});
    raw.message(json!({"text": "Comment", "thread_ts": parent}))
        .await;
    raw.message(json!({"text": "Answer", "thread_ts": parent, "metadata": metadata}))
        .await;
    raw.message(
        json!({"text": "Loud", "thread_ts": parent, "metadata": metadata, "reply_broadcast": true}),
    )
    .await;
    let texts = |reply: &Value| {
        let messages = reply["messages"].as_array().unwrap();
        messages
            .iter()
            .map(|message| message["text"].clone())
            .collect::<Value>()
    };
    let history = raw
        .call("conversations.history", &[("channel", "C0GENERAL")])
        .await;
    assert_eq!(texts(&history), json!(["Loud", "Question"]));
    let thread = [
        ("channel", "C0GENERAL"),
        ("ts", ts),
        ("include_all_metadata", "true"),
    ];
    let replies = raw.call("conversations.replies", &thread).await;
    assert_eq!(
        texts(&replies),
        json!(["Question", "Comment", "Answer", "Loud"])
    );
    assert_eq!(replies["messages"][2]["metadata"], metadata);
    let page = raw
        .call(
            "conversations.replies",
            &[thread[0], thread[1], ("limit", "3")],
        )
        .await;
    let cursor = page["response_metadata"]["next_cursor"].as_str().unwrap();
    let rest = raw
        .call(
            "conversations.replies",
            &[thread[0], thread[1], ("cursor", cursor)],
        )
        .await;
    assert_eq!(texts(&rest), json!(["Loud"]));
    let comment = replies["messages"][1]["ts"].as_str().unwrap();
    let link = raw
        .call(
            "chat.getPermalink",
            &[("channel", "C0GENERAL"), ("message_ts", comment)],
        )
        .await;
    assert!(
        link["permalink"]
            .as_str()
            .unwrap()
            .contains(&format!("thread_ts={ts}")),
        "{link}"
    );
    let posts = raw.0.posts().await;
    assert_eq!(
        (posts.len(), posts[0]["comments"].as_array().unwrap().len()),
        (3, 1)
    );
    for (form, code) in [
        (
            vec![("channel", "C0GENERAL"), ("ts", "1.000000")],
            "thread_not_found",
        ),
        (
            vec![("channel", "C0GENERAL"), ("ts", ts), ("limit", "0")],
            "invalid_limit",
        ),
        (
            vec![("channel", "C0GENERAL"), ("ts", ts), ("oldest", "then")],
            "invalid_ts_oldest",
        ),
        (
            vec![("channel", "C0GENERAL"), ("ts", ts), ("cursor", "x")],
            "invalid_cursor",
        ),
    ] {
        assert_eq!(
            raw.call("conversations.replies", &form).await["error"],
            code,
            "{form:?}"
        );
    }
}

#[tokio::test]
async fn only_a_public_channel_can_be_joined() {
    let raw = Raw::new().await;
    let join = async |channel| {
        raw.call("conversations.join", &[("channel", channel)])
            .await
    };
    assert_eq!(
        join("G0OUTSIDE").await["error"],
        "method_not_supported_for_channel_type"
    );
    assert_eq!(join("C0ARCHIVED").await["error"], "is_archived");
    assert_eq!(join("C0NOWHERE").await["error"], "channel_not_found");
    assert!(join("C0OUTSIDE").await["warning"].is_null());
    assert_eq!(join("C0OUTSIDE").await["warning"], "already_in_channel");
}

#[tokio::test]
async fn tokens_are_given_for_a_code_and_for_a_refresh_token() {
    let raw = Raw::new().await;
    let app = [("client_id", "1.2"), ("client_secret", "s")];
    for (form, code) in [
        (
            vec![("grant_type", "refresh_token"), ("refresh_token", "x")],
            "invalid_client_id",
        ),
        (
            vec![app[0], ("grant_type", "refresh_token")],
            "bad_client_secret",
        ),
        (
            vec![app[0], app[1], ("grant_type", "refresh_token")],
            "invalid_refresh_token",
        ),
        (
            vec![app[0], app[1], ("grant_type", "password")],
            "invalid_grant_type",
        ),
        (vec![app[0], app[1]], "invalid_code"),
        (vec![app[0], app[1], ("scope", "x")], "invalid_arg_name"),
    ] {
        let reply = raw.at("oauth.v2.access").form(&form).send().await.unwrap();
        assert_eq!(
            reply.json::<Value>().await.unwrap()["error"],
            code,
            "{form:?}"
        );
    }
    let code = raw
        .at("oauth.v2.access")
        .form(&[app[0], app[1], ("code", "x")]);
    let granted: Value = code.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&granted["token_type"], &granted["expires_in"]),
        (&json!("bot"), &json!(3_600))
    );
    let refresh_token = granted["refresh_token"].as_str().unwrap();
    assert!(refresh_token.starts_with("xoxe-1-"), "{refresh_token}");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
    ];
    // The app's id and secret may come as Basic, too.
    let basic = || {
        raw.at("oauth.v2.access")
            .basic_auth("1.2", Some("s"))
            .form(&form)
    };
    let granted: Value = basic().send().await.unwrap().json().await.unwrap();
    let token = granted["access_token"].as_str().unwrap();
    assert!(token.starts_with("xoxe.xoxb-"), "{token}");
    assert_eq!(raw.as_token(token, "auth.test", &[]).await["ok"], true);
    let again: Value = basic().send().await.unwrap().json().await.unwrap();
    assert_eq!(again["error"], "invalid_refresh_token");
}
