//! What the rest of the sandbox's LinkedIn refuses, over raw HTTP: look-ups, comments, OAuth.

use reqwest::Method;
use serde_json::{Value, json};

use crate::page;
use crate::strictness::{PAGE, answer, call, encoded, posting, refusal, share};
use crate::support::stage::client;

#[tokio::test]
async fn an_author_needs_the_scope_and_the_role() {
    let stage = page(&[]).await;
    for (token, author) in [
        ("scopes(w_member_social)", PAGE),
        ("scopes(w_organization_social)", "urn:li:person:a"),
        ("organizations(41)", PAGE),
        ("member(b)", "urn:li:person:a"),
    ] {
        let mut share = share(Value::Null);
        share["author"] = author.into();
        let request = client().post(format!("{}/linkedin/rest/posts", stage.url));
        let request = request.bearer_auth(token).json(&share);
        let request = request.header("LinkedIn-Version", "202609");
        let request = request.header("X-Restli-Protocol-Version", "2.0.0");
        assert_eq!(refusal(request).await, "403 ACCESS_DENIED", "{token}");
    }
}

#[tokio::test]
async fn posts_are_found_by_author_and_read_by_urn() {
    let stage = page(&[]).await;
    let made = posting(&stage, Value::Null).send().await.unwrap();
    let urn = made.headers()["x-restli-id"].to_str().unwrap();
    let path = format!(
        "rest/posts?q=author&author={}&count=10&sortBy=LAST_MODIFIED",
        encoded(PAGE)
    );
    let find = |path: &str| call(&stage, Method::GET, path).header("X-RestLi-Method", "FINDER");
    let (status, found) = answer(find(&path)).await;
    assert_eq!(status, 200);
    assert_eq!(found["elements"][0]["id"], urn);
    assert_eq!(found["elements"][0]["commentary"], "Hi");
    assert!(found["elements"][0]["createdAt"].is_i64());
    let read = call(&stage, Method::GET, &format!("rest/posts/{}", encoded(urn)));
    assert_eq!(answer(read).await.1["lifecycleState"], "PUBLISHED");

    assert_eq!(
        refusal(call(&stage, Method::GET, &path)).await,
        "400 ILLEGAL_ARGUMENT"
    );
    for (query, expected) in [
        ("author=x", "400 INVALID_VALUE_FOR_FIELD q"),
        ("q=author", "400 MISSING_FIELD author"),
        ("q=author&author=x", "400 INVALID_URN_TYPE author"),
        ("q=author&x=1", "400 QUERY_PARAM_NOT_ALLOWED x"),
        (
            "q=author&author=urn%3Ali%3Aperson%3Aa&count=101",
            "400 INVALID_VALUE_FOR_FIELD count",
        ),
        (
            "q=author&author=urn%3Ali%3Aperson%3Aa&sortBy=X",
            "400 INVALID_VALUE_FOR_FIELD sortBy",
        ),
    ] {
        let path = format!("rest/posts?{query}");
        assert_eq!(refusal(find(&path)).await, expected);
    }
    let path = format!(
        "{}/linkedin/rest/posts?q=author&author={}",
        stage.url,
        encoded(PAGE)
    );
    let closed = client().get(path).bearer_auth("scopes(r_member_social)");
    let closed = closed
        .header("LinkedIn-Version", "202609")
        .header("X-RestLi-Method", "FINDER");
    let closed = closed.header("X-Restli-Protocol-Version", "2.0.0");
    assert_eq!(refusal(closed).await, "403 ACCESS_DENIED");
}

#[tokio::test]
async fn a_comment_is_about_the_post_of_its_path() {
    let stage = page(&[]).await;
    let made = posting(&stage, Value::Null).send().await.unwrap();
    let urn = made.headers()["x-restli-id"].to_str().unwrap();
    let path = |urn: &str| format!("rest/socialActions/{}/comments", encoded(urn));
    let comment = json!({"actor": PAGE, "object": urn, "message": {"text": "More"}});
    let with = |pointer: &str, value: Value| {
        let mut comment = comment.clone();
        *comment.pointer_mut(pointer).unwrap() = value;
        comment
    };
    let other = "urn:li:share:1";
    for (path, body, expected) in [
        (
            path(urn),
            with("/actor", json!(other)),
            "400 INVALID_URN_TYPE actor",
        ),
        (
            path(urn),
            with("/object", json!(other)),
            "400 INVALID_VALUE_FOR_FIELD object",
        ),
        (
            path(urn),
            with("/message/text", json!("")),
            "400 INVALID_VALUE_BLANK_FIELD message/text",
        ),
        (
            path(urn),
            with("/message/text", json!("a".repeat(1251))),
            "400 FIELD_LENGTH_TOO_LONG message/text",
        ),
        (
            path("urn:li:image:1"),
            comment.clone(),
            "400 INVALID_URN_TYPE threadUrn",
        ),
        (
            path(other),
            with("/object", json!(other)),
            "404 RESOURCE_NOT_FOUND",
        ),
    ] {
        let request = call(&stage, Method::POST, &path).json(&body);
        assert_eq!(refusal(request).await, expected);
    }
    let (status, made) = answer(call(&stage, Method::POST, &path(urn)).json(&comment)).await;
    assert_eq!((status, &made["object"]), (201, &json!(urn)));
    let posts = stage.posts().await;
    assert_eq!(posts[0]["comments"][0]["id"], made["id"]);
}

#[tokio::test]
async fn the_token_endpoints_want_a_whole_form() {
    let stage = page(&[]).await;
    let url = |path: &str| format!("{}/linkedin/oauth/v2/{path}", stage.url);
    let app = [("client_id", "i"), ("client_secret", "s")];
    let post = |path: &str, fields: &[(&str, &str)]| {
        let fields = [&app[..], fields].concat();
        client().post(url(path)).form(&fields)
    };
    let error = async |request| {
        let (status, body) = answer(request).await;
        format!("{status} {}", body["error"].as_str().unwrap_or("-"))
    };
    for (request, expected) in [
        (post("accessToken", &[]), "400 invalid_request"),
        (
            post("accessToken", &[("grant_type", "x")]),
            "400 unsupported_grant_type",
        ),
        (
            post("accessToken", &[("grant_type", "refresh_token")]),
            "400 invalid_request",
        ),
        (
            post(
                "accessToken",
                &[
                    ("grant_type", "refresh_token"),
                    ("refresh_token", "revoked-1"),
                ],
            ),
            "400 invalid_request",
        ),
        (
            post(
                "accessToken",
                &[("grant_type", "authorization_code"), ("code", "c")],
            ),
            "400 invalid_request",
        ),
        (post("introspectToken", &[]), "400 invalid_request"),
        (
            client()
                .post(url("introspectToken"))
                .form(&[("token", "t")]),
            "400 invalid_request",
        ),
        (
            client().post(url("accessToken")).json(&json!({})),
            "400 invalid_request",
        ),
        (
            client().post(url("introspectToken")).form(&[
                ("client_id", "i"),
                ("client_secret", "wrong-s"),
                ("token", "t"),
            ]),
            "401 invalid_client",
        ),
    ] {
        assert_eq!(error(request).await, expected);
    }
    let grant = [
        ("grant_type", "authorization_code"),
        ("code", "c"),
        ("redirect_uri", "https://a.example"),
    ];
    let (status, body) = answer(post("accessToken", &grant)).await;
    assert_eq!((status, &body["expires_in"]), (200, &json!(3600)));
    assert!(body["refresh_token"].is_string());
}
