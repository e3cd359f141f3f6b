//! What the sandbox's LinkedIn refuses of uploads and of posts with media, over raw HTTP.

use std::time::Duration;

use publisher::sandbox::Settings;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::support::stage::{Stage, client};
use crate::{film, page};

pub(crate) const PAGE: &str = "urn:li:organization:42";
const PNG: &[u8] = include_bytes!("../../src/sandbox/samples/800x800.png");
const PDF: &[u8] = include_bytes!("../../src/sandbox/samples/document.pdf");

pub(crate) fn call(stage: &Stage, method: Method, path: &str) -> RequestBuilder {
    client()
        .request(method, format!("{}/linkedin/{path}", stage.url))
        .bearer_auth("good")
        .header("LinkedIn-Version", "202609")
        .header("X-Restli-Protocol-Version", "2.0.0")
}

pub(crate) async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

/// The status and the code of a refusal, with the field where there is one.
pub(crate) async fn refusal(request: RequestBuilder) -> String {
    let (status, body) = answer(request).await;
    let error = &body["errorDetails"]["inputErrors"][0];
    match error["code"].as_str() {
        Some(code) => {
            let field = error["input"]["inputPath"]["fieldPath"].as_str().unwrap();
            format!("{status} {code} {field}")
        }
        None => format!("{status} {}", body["code"].as_str().unwrap_or("-")),
    }
}

async fn begin(stage: &Stage, collection: &str, request: Value) -> Value {
    let path = format!("rest/{collection}?action=initializeUpload");
    let body = json!({"initializeUploadRequest": request});
    let (status, body) = answer(call(stage, Method::POST, &path).json(&body)).await;
    assert_eq!(status, 200, "{body}");
    body["value"].clone()
}

async fn put(url: &Value, bytes: &[u8]) -> Response {
    let request = client().put(url.as_str().unwrap()).body(bytes.to_vec());
    request.send().await.unwrap()
}

/// The URN of a picture that is there.
async fn picture(stage: &Stage) -> String {
    let begun = begin(stage, "images", json!({"owner": PAGE})).await;
    let upload = client().put(begun["uploadUrl"].as_str().unwrap());
    let upload = upload.bearer_auth("good").body(PNG);
    assert_eq!(upload.send().await.unwrap().status(), 201);
    begun["image"].as_str().unwrap().to_owned()
}

pub(crate) fn share(content: Value) -> Value {
    let mut share = json!({
        "author": PAGE, "commentary": "Hi", "visibility": "PUBLIC", "lifecycleState": "PUBLISHED",
        "distribution": {
            "feedDistribution": "MAIN_FEED", "targetEntities": [], "thirdPartyDistributionChannels": [],
        },
    });
    if !content.is_null() {
        share["content"] = content;
    }
    share
}

pub(crate) fn posting(stage: &Stage, content: Value) -> RequestBuilder {
    call(stage, Method::POST, "rest/posts").json(&share(content))
}

pub(crate) fn encoded(urn: &str) -> String {
    urn.replace(':', "%3A")
}

#[tokio::test]
async fn an_upload_is_announced_in_full() {
    let stage = page(&[]).await;
    let video =
        |size: Value| json!({"owner": PAGE, "fileSizeBytes": size, "uploadCaptions": false});
    for (collection, action, request, expected) in [
        (
            "images",
            "initializeUpload",
            json!({}),
            "400 MISSING_FIELD initializeUploadRequest/owner",
        ),
        (
            "images",
            "initializeUpload",
            json!({"owner": "urn:li:share:1"}),
            "400 INVALID_URN_TYPE initializeUploadRequest/owner",
        ),
        (
            "images",
            "initializeUpload",
            json!({"owner": PAGE, "fileSizeBytes": 5}),
            "400 INVALID_VALUE_FOR_FIELD initializeUploadRequest/fileSizeBytes",
        ),
        (
            "images",
            "finalizeUpload",
            json!({}),
            "400 INVALID_VALUE_FOR_FIELD action",
        ),
        (
            "videos",
            "initializeUpload",
            json!({"owner": PAGE}),
            "400 MISSING_FIELD initializeUploadRequest/fileSizeBytes",
        ),
        (
            "videos",
            "initializeUpload",
            video(json!(74_999)),
            "400 INVALID_VALUE_FOR_FIELD initializeUploadRequest/fileSizeBytes",
        ),
        (
            "videos",
            "initializeUpload",
            video(json!(600_000_000)),
            "400 INVALID_VALUE_FOR_FIELD initializeUploadRequest/fileSizeBytes",
        ),
    ] {
        let path = format!("rest/{collection}?action={action}");
        let body = json!({"initializeUploadRequest": request});
        let request = call(&stage, Method::POST, &path).json(&body);
        assert_eq!(refusal(request).await, expected);
    }
}

#[tokio::test]
async fn pictures_want_the_token_and_videos_do_not() {
    let stage = page(&[]).await;
    let image = begin(&stage, "images", json!({"owner": PAGE})).await;
    assert_eq!(put(&image["uploadUrl"], PNG).await.status(), 401);
    let document = begin(&stage, "documents", json!({"owner": PAGE})).await;
    assert_eq!(put(&document["uploadUrl"], PDF).await.status(), 401);
    let video = json!({"owner": PAGE, "fileSizeBytes": 100_000});
    let video = begin(&stage, "videos", video).await;
    let url = video["uploadInstructions"][0]["uploadUrl"]
        .as_str()
        .unwrap();
    let part = client().put(url).bearer_auth("good").body(vec![7; 100_000]);
    assert_eq!(refusal(part).await, "400 ILLEGAL_ARGUMENT");
}

#[tokio::test]
async fn an_address_is_good_for_one_upload_of_its_own_bytes() {
    let stage = page(&[]).await;
    let image = begin(&stage, "images", json!({"owner": PAGE})).await;
    let url = image["uploadUrl"].as_str().unwrap();
    let upload = || client().put(url).bearer_auth("good").body(PNG);
    assert_eq!(upload().send().await.unwrap().status(), 201);
    assert_eq!(refusal(upload()).await, "400 EXPIRED_UPLOAD_URL");
    let unknown = format!("{}/linkedin/dms-uploads/nothing/0", stage.url);
    let unknown = client().put(unknown).bearer_auth("good").body(PNG);
    assert_eq!(refusal(unknown).await, "400 EXPIRED_UPLOAD_URL");

    let size = 5_000_000;
    let video = json!({"owner": PAGE, "fileSizeBytes": size});
    let video = begin(&stage, "videos", video).await;
    let parts = &video["uploadInstructions"];
    assert_eq!(parts[0]["lastByte"], 4_194_303);
    assert_eq!(parts[1]["lastByte"], size - 1);
    let second = vec![7; size - 4_194_304];
    // The first is missing; there is a byte too many, or too few.
    assert_eq!(put(&parts[1]["uploadUrl"], &second).await.status(), 400);
    assert_eq!(
        put(&parts[0]["uploadUrl"], &vec![7; 4_194_305])
            .await
            .status(),
        400
    );
    assert_eq!(
        put(&parts[0]["uploadUrl"], &vec![7; 4_194_303])
            .await
            .status(),
        400
    );
    assert_eq!(
        put(&parts[0]["uploadUrl"], &vec![7; 4_194_304])
            .await
            .status(),
        200
    );
    assert_eq!(put(&parts[1]["uploadUrl"], &second).await.status(), 200);
}

#[tokio::test]
async fn a_video_is_completed_with_every_parts_own_etag() {
    let stage = page(&[]).await;
    let size = 100_000;
    let film = std::fs::read(film(size).path()).unwrap();
    let begun = begin(
        &stage,
        "videos",
        json!({"owner": PAGE, "fileSizeBytes": size}),
    )
    .await;
    let url = &begun["uploadInstructions"][0]["uploadUrl"];
    let etag = |response: Response| response.headers()["etag"].to_str().unwrap().to_owned();
    let (stale, etag) = (etag(put(url, &film).await), etag(put(url, &film).await));
    assert_ne!(stale, etag);
    let finish = |video: &Value, token: &Value, ids: Value| {
        let request = json!({"video": video, "uploadToken": token, "uploadedPartIds": ids});
        let request = json!({"finalizeUploadRequest": request});
        call(&stage, Method::POST, "rest/videos?action=finalizeUpload").json(&request)
    };
    let (urn, token) = (&begun["video"], &begun["uploadToken"]);
    let wrong_ids = "400 INVALID_VALUE_FOR_FIELD finalizeUploadRequest/uploadedPartIds";
    for ids in [
        json!([]),
        json!([stale]),
        json!(["x"]),
        json!([etag, etag]),
        json!(etag),
    ] {
        assert_eq!(refusal(finish(urn, token, ids)).await, wrong_ids);
    }
    assert_eq!(
        refusal(finish(urn, &json!("x"), json!([etag]))).await,
        "400 INVALID_VALUE_FOR_FIELD finalizeUploadRequest/uploadToken"
    );
    assert_eq!(
        refusal(finish(&json!("urn:li:video:none"), token, json!([etag]))).await,
        "400 INVALID_VIDEO_ID finalizeUploadRequest/video"
    );
    let early = json!({"media": {"id": urn}});
    let waiting = "400 MEDIA_ASSET_WAITING_UPLOAD content/media/id";
    assert_eq!(refusal(posting(&stage, early.clone())).await, waiting);
    assert_eq!(answer(finish(urn, token, json!([etag]))).await.0, 200);
    assert_eq!(
        refusal(finish(urn, token, json!([etag]))).await,
        "400 UPDATING_ASSET_FAILED finalizeUploadRequest/video"
    );
    assert_eq!(answer(posting(&stage, early)).await.0, 201);
}

#[tokio::test]
async fn a_states_path_has_an_encoded_urn_of_that_kind() {
    let stage = page(&[]).await;
    let urn = picture(&stage).await;
    let look = |path: String, token: &str| {
        let request = client().get(format!("{}/linkedin/rest/{path}", stage.url));
        let request = request
            .header("LinkedIn-Version", "202609")
            .bearer_auth(token);
        request.header("X-Restli-Protocol-Version", "2.0.0")
    };
    let path = format!("images/{}", encoded(&urn));
    let (status, body) = answer(look(path.clone(), "good")).await;
    assert_eq!((status, &body["status"]), (200, &json!("AVAILABLE")));
    assert_eq!(body["owner"], PAGE);
    for (path, token, expected) in [
        (path, "scopes(w_member_social)", "403 ACCESS_DENIED"),
        (format!("images/{urn}"), "good", "400 ILLEGAL_ARGUMENT"),
        (
            format!("videos/{}", encoded(&urn)),
            "good",
            "400 INVALID_URN_TYPE id",
        ),
        (
            "images/urn%3Ali%3Aimage%3Anone".to_owned(),
            "good",
            "404 RESOURCE_NOT_FOUND",
        ),
    ] {
        assert_eq!(refusal(look(path, token)).await, expected);
    }
}

#[tokio::test]
async fn media_are_used_by_their_owner_once_they_are_ready() {
    let stage = Stage::set(
        "linkedin",
        Settings {
            processing: Duration::from_hours(1),
            ..Settings::default()
        },
    )
    .await;
    let processing = picture(&stage).await;
    let early = json!({"media": {"id": processing}});
    let waiting = "400 MEDIA_ASSET_WAITING_UPLOAD content/media/id";
    assert_eq!(refusal(posting(&stage, early)).await, waiting);

    let stage = page(&[]).await;
    let image = picture(&stage).await;
    let bad = begin(&stage, "images", json!({"owner": PAGE})).await;
    let upload = client().put(bad["uploadUrl"].as_str().unwrap());
    let upload = upload.bearer_auth("good").body(PDF).send().await;
    assert_eq!(upload.unwrap().status(), 201);
    let media = |media: Value| json!({"media": media});
    let many =
        |id: &str, count: usize| json!({"multiImage": {"images": vec![json!({"id": id}); count]}});
    let article = |thumbnail: &str| json!({"article": {"source": "https://a.example", "title": "T", "thumbnail": thumbnail}});
    for (content, expected) in [
        (
            media(json!({"id": "urn:li:image:none"})),
            "400 INVALID_IMAGE_ID content/media/id",
        ),
        (
            media(json!({"id": "urn:li:video:none"})),
            "400 INVALID_VIDEO_ID content/media/id",
        ),
        (
            media(json!({"id": "urn:li:document:none"})),
            "400 INVALID_URN_ID content/media/id",
        ),
        (
            media(json!({"id": "urn:li:share:1"})),
            "400 INVALID_URN_TYPE content/media/id",
        ),
        (
            media(json!({"id": bad["image"]})),
            "400 MEDIA_ASSET_PROCESSING_FAILED content/media/id",
        ),
        (
            media(json!({"id": image, "altText": " "})),
            "400 INVALID_VALUE_BLANK_FIELD content/media/altText",
        ),
        (
            media(json!({"id": image, "altText": "a".repeat(4087)})),
            "400 FIELD_LENGTH_TOO_LONG content/media/altText",
        ),
        (
            many(&image, 1),
            "400 INVALID_VALUE_FOR_FIELD content/multiImage/images",
        ),
        (
            many(&image, 21),
            "400 INVALID_VALUE_FOR_FIELD content/multiImage/images",
        ),
        (
            many("urn:li:video:none", 2),
            "400 INVALID_URN_TYPE content/multiImage/images/id",
        ),
        (
            article("urn:li:document:none"),
            "400 INVALID_URN_TYPE content/article/thumbnail",
        ),
        (
            article("urn:li:image:none"),
            "400 INVALID_IMAGE_ID content/article/thumbnail",
        ),
    ] {
        assert_eq!(refusal(posting(&stage, content)).await, expected);
    }
    let mut others = share(media(json!({"id": image})));
    others["author"] = "urn:li:organization:43".into();
    let others = call(&stage, Method::POST, "rest/posts").json(&others);
    assert_eq!(
        refusal(others).await,
        "400 INVALID_IMAGE_ID content/media/id"
    );
    assert_eq!(
        answer(posting(&stage, media(json!({"id": image})))).await.0,
        201
    );
}

#[tokio::test]
async fn a_document_needs_a_title() {
    let stage = page(&[]).await;
    let begun = begin(&stage, "documents", json!({"owner": PAGE})).await;
    let upload = client().put(begun["uploadUrl"].as_str().unwrap());
    let upload = upload.bearer_auth("good").body(PDF).send().await;
    assert_eq!(upload.unwrap().status(), 201);
    let content = json!({"media": {"id": begun["document"]}});
    assert_eq!(
        refusal(posting(&stage, content)).await,
        "400 MISSING_FIELD content/media/title"
    );
}
