//! The sandbox's YouTube is as strict as the documentation.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::support::stage::{Stage, client};

const JPEG: &[u8] = include_bytes!("../../src/sandbox/samples/1080x1080.jpg");

struct Wire {
    stage: Stage,
    token: String,
}

struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    fn reason(&self) -> (u16, &str) {
        let reason = &self.body["error"]["errors"][0]["reason"];
        (self.status, reason.as_str().unwrap_or("-"))
    }
}

impl Wire {
    async fn new(token: &str) -> Self {
        let stage = Stage::with("youtube", &[]).await;
        let token = token.to_owned();
        Self { stage, token }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/youtube/{path}", self.stage.url);
        client().request(method, url).bearer_auth(&self.token)
    }

    async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).json(body)).await
    }

    /// A live video's id.
    async fn video(&self, body: &Value) -> String {
        let video = self.uploaded(body).await;
        video["id"].as_str().unwrap().to_owned()
    }

    /// A live video as the answer to its upload has it.
    async fn uploaded(&self, body: &Value) -> Value {
        let path = "upload/youtube/v3/videos?uploadType=resumable&part=snippet,status";
        let request = self.request(Method::POST, path).json(body);
        let request = request.header("X-Upload-Content-Length", 3);
        let reply = request.send().await.unwrap();
        let session = reply.headers()["location"].to_str().unwrap().to_owned();
        let done = send(client().put(session).body("abc")).await;
        assert_eq!(done.status, 200, "{}", done.body);
        done.body
    }

    async fn set_thumbnail(&self, query: &str, mime: &str, body: Vec<u8>) -> Answer {
        let path = format!("upload/youtube/v3/thumbnails/set?{query}");
        let request = self
            .request(Method::POST, &path)
            .header("content-type", mime);
        send(request.body(body)).await
    }
}

async fn send(request: RequestBuilder) -> Answer {
    let reply = request.send().await.unwrap();
    let status = reply.status().as_u16();
    let body = reply.bytes().await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Answer { status, body }
}

fn video(privacy: &str) -> Value {
    json!({"snippet": {"title": "A title", "description": "About it"}, "status": {"privacyStatus": privacy}})
}

#[tokio::test]
async fn metadata_are_checked_field_by_field() {
    let wire = Wire::new("good").await;
    let start = async |query: &str, body: &Value| {
        let path = format!("upload/youtube/v3/videos?{query}");
        let request = wire.request(Method::POST, &path).json(body);
        send(request.header("X-Upload-Content-Length", 3)).await
    };
    let usual = "uploadType=resumable&part=snippet,status";
    for (pointer, value, expected) in [
        ("/snippet/categoryId", json!("21"), "invalidCategoryId"),
        ("/snippet/categoryId", json!(22), "invalidCategoryId"),
        ("/snippet/description", json!(1), "invalidDescription"),
        ("/snippet/tags", json!(["<b>"]), "invalidTags"),
        (
            "/snippet/defaultLanguage",
            json!("english"),
            "invalidVideoMetadata",
        ),
        ("/status/license", json!("mine"), "badRequest"),
        ("/status/embeddable", json!("yes"), "badRequest"),
        ("/status/selfDeclaredMadeForKids", json!(1), "badRequest"),
        ("/status/madeForKids", json!(true), "badRequest"),
    ] {
        let mut body = video("public");
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[name] = value;
        let answer = start(usual, &body).await;
        assert_eq!(answer.reason(), (400, expected), "{pointer}");
    }
    let body = video("public");
    for (query, expected) in [
        ("uploadType=multipart&part=snippet,status", "badRequest"),
        ("uploadType=resumable", "missingRequiredParameter"),
        (
            "uploadType=resumable&part=snippet,statistics",
            "unknownPart",
        ),
        ("uploadType=resumable&part=snippet", "unexpectedPart"),
        (
            "uploadType=resumable&part=snippet,status&notify=false",
            "badRequest",
        ),
        (
            "uploadType=resumable&part=snippet,status&notifySubscribers=no",
            "invalidParameter",
        ),
    ] {
        assert_eq!(
            start(query, &body).await.reason(),
            (400, expected),
            "{query}"
        );
    }
    let path = format!("upload/youtube/v3/videos?{usual}");
    let text = wire
        .request(Method::POST, &path)
        .header("X-Upload-Content-Length", 3);
    assert_eq!(
        send(text.body(body.to_string())).await.reason(),
        (400, "badContent")
    );
    assert_eq!(wire.stage.posts().await.len(), 0);
}

#[tokio::test]
async fn a_session_that_expired_is_gone_and_one_that_never_was_is_not_found() {
    let wire = Wire::new("good").await;
    let put = async |id: &str| {
        let path = format!("upload/youtube/v3/videos?uploadType=resumable&upload_id={id}");
        let probe = wire
            .request(Method::PUT, &path)
            .header("content-range", "bytes */3");
        send(probe).await.reason().0
    };
    assert_eq!(put("sandbox-77").await, 410);
    assert_eq!(put("anything").await, 404);
}

#[tokio::test]
async fn thumbnails_are_small_pictures_of_ones_own_videos() {
    let wire = Wire::new("good").await;
    let id = wire.video(&video("public")).await;
    let set = format!("videoId={id}&uploadType=media");
    let large = [JPEG, &vec![0; 2 * 1024 * 1024]].concat();
    for (query, mime, body, expected) in [
        (
            set.as_str(),
            "image/gif",
            JPEG.to_vec(),
            (400, "badContent"),
        ),
        (&set, "image/png", b"abc".to_vec(), (400, "invalidImage")),
        (&set, "image/jpeg", Vec::new(), (400, "mediaBodyRequired")),
        (&set, "image/jpeg", large, (413, "uploadTooLarge")),
        (
            "uploadType=media",
            "image/jpeg",
            JPEG.to_vec(),
            (400, "missingRequiredParameter"),
        ),
        (
            "videoId=x&uploadType=media",
            "image/jpeg",
            JPEG.to_vec(),
            (404, "videoNotFound"),
        ),
        (
            "videoId=x&uploadType=resumable",
            "image/jpeg",
            JPEG.to_vec(),
            (400, "badRequest"),
        ),
    ] {
        let answer = wire.set_thumbnail(query, mime, body).await;
        assert_eq!(answer.reason(), expected, "{query} {mime}");
    }
    let answer = wire.set_thumbnail(&set, "image/jpeg", JPEG.to_vec()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["kind"], "youtube#thumbnailSetResponse");
    let mut other = Wire::new("channel(UC0000000000000000000001)").await;
    let id = other.video(&video("public")).await;
    other.token = "channel(UC0000000000000000000002)".to_owned();
    let set = format!("videoId={id}&uploadType=media");
    let answer = other.set_thumbnail(&set, "image/jpeg", JPEG.to_vec()).await;
    assert_eq!(answer.reason(), (403, "forbidden"));
}

#[tokio::test]
async fn comments_and_playlists_are_checked() {
    let wire = Wire::new("good").await;
    let id = wire.video(&video("public")).await;
    let mut kids = video("public");
    kids["status"]["selfDeclaredMadeForKids"] = json!(true);
    let kids = wire.video(&kids).await;
    let comment = |video: &str, text: &str| json!({"snippet": {"videoId": video, "topLevelComment": {"snippet": {"textOriginal": text}}}});
    let threads = "youtube/v3/commentThreads?part=snippet";
    for (body, expected) in [
        (comment(&kids, "Hi"), (403, "commentsDisabled")),
        (comment("x", "Hi"), (404, "videoNotFound")),
        (comment("", "Hi"), (400, "videoIdMissing")),
        (comment(&id, " "), (400, "commentTextRequired")),
        (
            comment(&id, &"x".repeat(10_001)),
            (400, "commentTextTooLong"),
        ),
        (comment(&id, "[[reject]]"), (400, "processingFailure")),
        (
            json!({"snippet": {"videoId": id, "text": "Hi"}}),
            (400, "badRequest"),
        ),
        (json!({"snippet": {"videoId": id}}), (400, "required")),
    ] {
        assert_eq!(
            wire.post(threads, &body).await.reason(),
            expected,
            "{body:.80}"
        );
    }
    let no_part = wire
        .post("youtube/v3/commentThreads", &comment(&id, "Hi"))
        .await;
    assert_eq!(no_part.reason(), (400, "missingRequiredParameter"));
    assert_eq!(wire.post(threads, &comment(&id, "Hi")).await.status, 200);

    let item = |playlist: &str, video: &str, kind: &str| {
        let resource = json!({"kind": kind, "videoId": video});
        json!({"snippet": {"playlistId": playlist, "resourceId": resource}})
    };
    let items = "youtube/v3/playlistItems?part=snippet";
    for (body, expected) in [
        (item("", &id, "youtube#video"), (400, "playlistIdRequired")),
        (item("PL1", &id, "video"), (400, "invalidResourceType")),
        (item("PL1", "x", "youtube#video"), (404, "videoNotFound")),
        (
            item("PLmissing", &id, "youtube#video"),
            (404, "playlistNotFound"),
        ),
        (
            item("PLforeign", &id, "youtube#video"),
            (403, "playlistItemsNotAccessible"),
        ),
        (
            item("UU1", &id, "youtube#video"),
            (400, "playlistOperationUnsupported"),
        ),
    ] {
        assert_eq!(wire.post(items, &body).await.reason(), expected, "{body}");
    }
    assert_eq!(
        wire.post(items, &item("PL1", &id, "youtube#video"))
            .await
            .status,
        200
    );
    let listed = wire
        .get("youtube/v3/playlistItems?part=contentDetails&playlistId=PL1")
        .await
        .body;
    assert_eq!(listed["items"][0]["contentDetails"]["videoId"], json!(id));
}

#[tokio::test]
async fn scopes_are_asked_for_by_method() {
    let mut wire = Wire::new("good").await;
    let id = wire.video(&video("public")).await;
    wire.token = "scopes(https://www.googleapis.com/auth/youtube.upload)".to_owned();
    let denied = (403, "insufficientPermissions");
    let comment =
        json!({"snippet": {"videoId": id, "topLevelComment": {"snippet": {"textOriginal": "Hi"}}}});
    assert_eq!(
        wire.post("youtube/v3/commentThreads?part=snippet", &comment)
            .await
            .reason(),
        denied
    );
    assert_eq!(
        wire.post("youtube/v3/playlistItems?part=snippet", &json!({}))
            .await
            .reason(),
        denied
    );
    assert_eq!(
        wire.get("youtube/v3/channels?part=id&mine=true")
            .await
            .reason(),
        denied
    );
    let set = format!("videoId={id}&uploadType=media");
    assert_eq!(
        wire.set_thumbnail(&set, "image/jpeg", JPEG.to_vec())
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn videos_say_whose_they_are() {
    for (token, own) in [
        ("good", None),
        (
            "channel(UC0000000000000000000001)",
            Some("UC0000000000000000000001"),
        ),
        (
            "token-UC0000000000000000000002",
            Some("UC0000000000000000000002"),
        ),
    ] {
        let wire = Wire::new(token).await;
        let mine = wire.get("youtube/v3/channels?part=snippet&mine=true").await;
        let mine = mine.body["items"][0].clone();
        let channel = mine["id"].as_str().unwrap();
        if let Some(own) = own {
            assert_eq!(channel, own);
        }
        let uploaded = wire.uploaded(&video("public")).await;
        let id = uploaded["id"].as_str().unwrap();
        let path = format!("youtube/v3/videos?part=snippet&id={id}");
        let video = wire.get(&path).await.body["items"][0].clone();
        let uploads = channel.replacen("UC", "UU", 1);
        let path = format!("youtube/v3/playlistItems?part=snippet&playlistId={uploads}");
        let item = wire.get(&path).await.body["items"][0].clone();
        for resource in [&uploaded, &video, &item] {
            let snippet = &resource["snippet"];
            assert_eq!(snippet["channelId"], channel, "{token}");
            assert_eq!(snippet["channelTitle"], mine["snippet"]["title"]);
        }
        // What was not asked for does not come.
        for resource in [&video, &item] {
            let parts: Vec<&String> = resource.as_object().unwrap().keys().collect();
            assert_eq!(parts, ["etag", "id", "kind", "snippet"], "{token}");
        }
    }
}

#[tokio::test]
async fn a_playlist_that_nobody_knows_is_not_found() {
    let wire = Wire::new("channel(UC0000000000000000000001)").await;
    let list = async |playlist: &str| {
        let path = format!("youtube/v3/playlistItems?part=snippet&playlistId={playlist}");
        wire.get(&path).await
    };
    let message = "The playlist identified with the request's <code>playlistId</code> parameter cannot be found.";
    for unknown in ["PL1", "UU0000000000000000000009", "anything"] {
        let answer = list(unknown).await;
        assert_eq!(answer.status, 404, "{unknown}");
        let detail = json!({
            "message": message, "domain": "youtube.playlistItem", "reason": "playlistNotFound",
            "location": "playlistId", "locationType": "parameter",
        });
        let error = json!({"code": 404, "message": message, "errors": [detail]});
        assert_eq!(answer.body, json!({"error": error}), "{unknown}");
    }
    let own = list("UU0000000000000000000001").await;
    assert_eq!(own.body["items"], json!([]), "{}", own.body);
    let id = wire.video(&video("public")).await;
    let resource = json!({"kind": "youtube#video", "videoId": id});
    let item = json!({"snippet": {"playlistId": "PL1", "resourceId": resource}});
    wire.post("youtube/v3/playlistItems?part=snippet", &item)
        .await;
    assert_eq!(list("PL1").await.body["pageInfo"]["totalResults"], 1);
}

#[tokio::test]
async fn videos_are_found_in_the_lists() {
    let mut wire = Wire::new("channel(UC0000000000000000000001)").await;
    let public = wire.video(&video("public")).await;
    let private = wire.video(&video("private")).await;
    let channel = wire
        .get("youtube/v3/channels?part=contentDetails,snippet&mine=true")
        .await
        .body;
    assert_eq!(channel["items"][0]["id"], "UC0000000000000000000001");
    let uploads = channel["items"][0]["contentDetails"]["relatedPlaylists"]["uploads"]
        .as_str()
        .unwrap();
    let list = format!("youtube/v3/playlistItems?part=snippet,status&playlistId={uploads}");
    let ids = |list: &Value| {
        let items = list["items"].as_array().unwrap().iter();
        let id = |item: &Value| {
            item["snippet"]["resourceId"]["videoId"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        items.map(id).collect::<Vec<_>>()
    };
    assert_eq!(
        ids(&wire.get(&list).await.body),
        [private.clone(), public.clone()]
    );
    let first = wire.get(&format!("{list}&maxResults=1")).await.body;
    assert_eq!(ids(&first), std::slice::from_ref(&private));
    let next = first["nextPageToken"].as_str().unwrap();
    let second = wire
        .get(&format!("{list}&maxResults=1&pageToken={next}"))
        .await
        .body;
    assert_eq!(
        (ids(&second), &second["nextPageToken"]),
        (vec![public.clone()], &Value::Null)
    );
    assert_eq!(second["items"][0]["status"]["privacyStatus"], "public");

    let both =
        format!("youtube/v3/videos?part=status,processingDetails&id={public},{private},none");
    let found = wire.get(&both).await.body;
    assert_eq!(found["items"].as_array().unwrap().len(), 2);
    assert_eq!(found["items"][0]["status"]["uploadStatus"], "processed");
    assert_eq!(
        found["items"][0]["processingDetails"]["processingStatus"],
        "succeeded"
    );
    assert_eq!(found["items"][0]["snippet"], Value::Null, "not asked for");

    wire.token = "channel(UC0000000000000000000002)".to_owned();
    assert_eq!(
        ids(&wire.get(&list).await.body),
        std::slice::from_ref(&public),
        "strangers see what is public"
    );
    assert_eq!(wire.get(&both).await.reason(), (403, "forbidden"));
    for (path, expected) in [
        (
            "youtube/v3/videos?part=status",
            (400, "missingRequiredParameter"),
        ),
        ("youtube/v3/videos?id=x", (400, "missingRequiredParameter")),
        (
            "youtube/v3/videos?part=everything&id=x",
            (400, "unknownPart"),
        ),
        (
            "youtube/v3/channels?part=id",
            (400, "missingRequiredParameter"),
        ),
        (
            "youtube/v3/channels?part=id&mine=true&id=UC1",
            (400, "incompatibleParameters"),
        ),
        (
            "youtube/v3/playlistItems?part=id",
            (400, "missingRequiredParameter"),
        ),
        (
            "youtube/v3/playlistItems?part=id&playlistId=PLmissing",
            (404, "playlistNotFound"),
        ),
        (
            "youtube/v3/playlistItems?part=id&playlistId=PL1&maxResults=51",
            (400, "invalidParameter"),
        ),
        (
            "youtube/v3/playlistItems?part=id&playlistId=PL1&pageToken=x",
            (400, "invalidPageToken"),
        ),
        ("youtube/v4/videos?part=id&id=x", (404, "notFound")),
    ] {
        assert_eq!(wire.get(path).await.reason(), expected, "{path}");
    }
}

#[tokio::test]
async fn a_video_is_processed_for_a_while() {
    let settings = publisher::sandbox::Settings {
        processing: std::time::Duration::from_hours(1),
        ..publisher::sandbox::Settings::default()
    };
    let stage = Stage::set("youtube", settings).await;
    let wire = Wire {
        stage,
        token: "good".to_owned(),
    };
    let id = wire.video(&video("public")).await;
    let status = wire
        .get(&format!(
            "youtube/v3/videos?part=status,processingDetails&id={id}"
        ))
        .await
        .body;
    assert_eq!(status["items"][0]["status"]["uploadStatus"], "uploaded");
    assert_eq!(
        status["items"][0]["processingDetails"]["processingStatus"],
        "processing"
    );
}

#[tokio::test]
async fn the_token_endpoint_takes_a_form_with_all_fields() {
    let wire = Wire::new("").await;
    let ask = async |form: &[(&str, &str)]| {
        let url = format!("{}/youtube/token", wire.stage.url);
        let answer = send(client().post(url).form(form)).await;
        let error = answer.body["error"].as_str().unwrap_or("-").to_owned();
        (answer.status, error)
    };
    let refresh = ("grant_type", "refresh_token");
    let (id, secret, token) = (
        ("client_id", "i"),
        ("client_secret", "s"),
        ("refresh_token", "r"),
    );
    for (form, expected) in [
        (vec![refresh, id, secret, token], (200, "-")),
        (vec![id, secret, token], (400, "invalid_request")),
        (
            vec![("grant_type", "password"), id, secret],
            (400, "unsupported_grant_type"),
        ),
        (vec![refresh, id, token], (400, "invalid_request")),
        (vec![refresh, id, secret], (400, "invalid_request")),
        (
            vec![refresh, id, secret, ("refresh_token", "revoked-1")],
            (400, "invalid_grant"),
        ),
        (
            vec![refresh, ("client_id", "wrong-1"), secret, token],
            (401, "invalid_client"),
        ),
        (
            vec![refresh, ("client_id", "foreign-1"), secret, token],
            (401, "unauthorized_client"),
        ),
    ] {
        let (status, error) = ask(&form).await;
        assert_eq!((status, error.as_str()), expected, "{form:?}");
    }
}
