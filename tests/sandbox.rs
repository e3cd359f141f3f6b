//! The sandbox over the wire: each platform's flow, its refusals, and the faults.

#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but does not see the helpers of an integration test"
)]

#[path = "sandbox/fetching.rs"]
mod fetching;
#[path = "sandbox/reader.rs"]
mod reader;
#[path = "sandbox/steps.rs"]
mod steps;
#[path = "sandbox/strangers.rs"]
mod strangers;

use std::time::Duration;

use publisher::sandbox::{Fault, Sandbox, Settings};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const GRAIN: usize = 262_144;

/// How long anything here may take; it is never waited out unless a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

struct World {
    url: String,
    client: Client,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

/// What came back: status, headers and the body as JSON (`null` where it is empty).
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl World {
    async fn with_faults(specs: &[&str]) -> Self {
        let sandbox = Sandbox::bind(Settings {
            faults: specs
                .iter()
                .map(|spec| spec.parse::<Fault>().unwrap())
                .collect(),
            ..Settings::default()
        });
        let sandbox = sandbox.await.unwrap();
        let url = sandbox.url().as_str().trim_end_matches('/').to_owned();
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(sandbox.serve(async { stopped.await.unwrap_or_default() }));
        // reqwest wants a provider even where no TLS is spoken. Another test may have been faster.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let client = Client::builder().tls_certs_only([]).timeout(PATIENCE);
        Self {
            url,
            client: client.build().unwrap(),
            stop,
            server,
        }
    }

    async fn new() -> Self {
        Self::with_faults(&[]).await
    }

    fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.bare(Method::POST, path).bearer_auth("good")
    }

    async fn get(&self, path: &str) -> Answer {
        send(self.bare(Method::GET, path).bearer_auth("good")).await
    }

    fn facebook(&self, message: &str) -> RequestBuilder {
        self.post("/facebook/v25.0/1001/feed")
            .form(&[("message", message)])
    }

    fn sample(&self, name: &str) -> String {
        format!("{}/samples/{name}", self.url)
    }

    fn jpeg(&self) -> String {
        self.sample("1080x1080.jpg")
    }

    async fn container(&self, caption: &str) -> String {
        let form = [("image_url", &*self.jpeg()), ("caption", caption)];
        let answer = send(self.post("/instagram/v25.0/2001/media").form(&form)).await;
        answer.body["id"].as_str().unwrap().to_owned()
    }

    fn instagram(&self, container: &str) -> RequestBuilder {
        let form = [("creation_id", container)];
        self.post("/instagram/v25.0/2001/media_publish").form(&form)
    }

    fn linkedin(&self, body: &Value) -> RequestBuilder {
        let request = self.post("/linkedin/rest/posts").json(body);
        let request = request.header("LinkedIn-Version", "202609");
        request.header("X-Restli-Protocol-Version", "2.0.0")
    }

    fn session(&self, video: &Value, size: usize) -> RequestBuilder {
        let path = "/youtube/upload/youtube/v3/videos?uploadType=resumable&part=snippet,status";
        let request = self.post(path).json(video);
        request.header("X-Upload-Content-Length", size)
    }

    /// Starts an upload of this size and returns its address.
    async fn upload(&self, size: usize) -> String {
        let answer = send(self.session(&video("A title"), size)).await;
        assert_eq!(answer.status, 200);
        let location = answer.header("location").to_owned();
        assert!(location.starts_with(&self.url), "{location}");
        location
    }

    fn slack(&self, text: &str) -> RequestBuilder {
        let form = [("channel", "C0GENERAL"), ("text", text)];
        self.post("/slack/api/chat.postMessage").form(&form)
    }

    /// A valid publishing request to each platform.
    async fn publishing(&self, platform: &str) -> RequestBuilder {
        match platform {
            "facebook" => self.facebook("hi"),
            "instagram" => self.instagram(&self.container("hi").await),
            "linkedin" => self.linkedin(&share("hi")),
            "youtube" => self.client.put(self.upload(3).await).body("abc"),
            "slack" => self.slack("hi"),
            other => panic!("no platform {other}"),
        }
    }

    async fn posts(&self) -> Vec<Value> {
        let posts = self.get("/api/posts").await.body;
        posts.as_array().unwrap().clone()
    }

    /// Waits until this many posts are published.
    async fn until_published(&self, count: usize) {
        let published = async {
            while self.posts().await.len() < count {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, published)
            .await
            .expect("the posts arrive");
    }

    async fn stats(&self) -> Value {
        self.get("/api/stats").await.body
    }
}

const PLATFORMS: [&str; 5] = ["facebook", "instagram", "linkedin", "youtube", "slack"];

async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
    Answer {
        status,
        headers,
        body,
    }
}

fn share(commentary: &str) -> Value {
    json!({
        "author": "urn:li:organization:3001",
        "commentary": commentary,
        "visibility": "PUBLIC",
        "distribution": {
            "feedDistribution": "MAIN_FEED",
            "targetEntities": [],
            "thirdPartyDistributionChannels": [],
        },
        "lifecycleState": "PUBLISHED",
        "isReshareDisabledByAuthor": false,
    })
}

fn video(title: &str) -> Value {
    json!({
        "snippet": {"title": title, "description": "About it", "tags": ["one"]},
        "status": {"privacyStatus": "private"},
    })
}

/// A copy with the value at this JSON pointer replaced, or added.
fn with(body: &Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let mut body = body.clone();
    body.pointer_mut(parent).unwrap()[name] = value;
    body
}

fn without(body: &Value, name: &str) -> Value {
    let mut body = body.clone();
    body.as_object_mut().unwrap().remove(name);
    body
}

fn graph_code(answer: &Answer) -> (i64, i64) {
    let error = &answer.body["error"];
    assert!(error["fbtrace_id"].is_string(), "{}", answer.body);
    (
        error["code"].as_i64().unwrap(),
        error["error_subcode"].as_i64().unwrap_or(0),
    )
}

/// The field and the code of a validation envelope.
fn input_error(answer: &Answer) -> (&str, &str) {
    assert_eq!(answer.status, 400);
    let error = &answer.body["errorDetails"]["inputErrors"][0];
    let path = error["input"]["inputPath"]["fieldPath"].as_str().unwrap();
    (path, error["code"].as_str().unwrap())
}

fn reason(answer: &Answer) -> (u16, &str) {
    let error = &answer.body["error"];
    assert_eq!(error["code"], answer.status.as_u16());
    (
        answer.status.as_u16(),
        error["errors"][0]["reason"].as_str().unwrap(),
    )
}

fn slack_error(answer: &Answer) -> &str {
    assert_eq!(answer.body["ok"], false);
    assert_eq!(answer.status, 200);
    answer.body["error"].as_str().unwrap()
}

#[tokio::test]
async fn facebook_publishes_by_form_by_json_and_by_query() {
    let world = World::new().await;
    let plain = send(world.facebook("one")).await;
    assert_eq!(plain.status, 200);
    let id = plain.body["id"].as_str().unwrap();
    assert!(id.starts_with("1001_"), "{id}");
    assert_eq!(plain.body, json!({ "id": id }));

    let body = json!({"message": "two", "link": "https://example.com/"});
    let both = world
        .post("/facebook/v20.0/1001/feed?fields=id,permalink_url")
        .json(&body);
    let both = send(both).await.body;
    let permalink = both["permalink_url"].as_str().unwrap();
    assert!(
        permalink.starts_with("https://www.facebook.com/1001/posts/"),
        "{permalink}"
    );

    let query = "/facebook/v26.0/1002/feed?message=three&access_token=good";
    assert_eq!(send(world.bare(Method::POST, query)).await.status, 200);

    let node = format!(
        "/facebook/v25.0/{}?fields=permalink_url",
        both["id"].as_str().unwrap()
    );
    assert_eq!(world.get(&node).await.body, both);

    let posts = world.posts().await;
    let texts: Vec<_> = posts
        .iter()
        .map(|post| post["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["one", "two", "three"]);
    assert_eq!(posts[1]["platform"], "facebook");
    assert_eq!(posts[1]["account"], "1001");
    assert_eq!(posts[1]["link"], "https://example.com/");
    assert_eq!(posts[1]["sequence"], 2);
    assert_eq!(posts[1]["permalink"], permalink);
    assert!(posts[1]["published_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn facebook_lists_a_pages_posts_newest_first() {
    let world = World::new().await;
    for text in ["one", "two", "three"] {
        send(world.facebook(text)).await;
    }
    let list = "/facebook/v25.0/1001/published_posts";
    let fields =
        "fields=id,message,created_time,permalink_url,status_type,attachments{media_type,target}";
    let answer = world.get(&format!("{list}?{fields}&limit=2")).await.body;
    let data = answer["data"].as_array().unwrap();
    let messages: Vec<_> = data.iter().map(|post| &post["message"]).collect();
    assert_eq!(messages, ["three", "two"]);
    assert!(data[0]["created_time"].as_str().unwrap().ends_with("+0000"));

    let other = world.get("/facebook/v25.0/1002/published_posts").await.body;
    assert_eq!(other, json!({"data": []}));
    let unknown = world.get(&format!("{list}?fields=id,colour")).await;
    assert_eq!(graph_code(&unknown), (100, 0));
    let greedy = world.get(&format!("{list}?limit=101")).await;
    assert_eq!(graph_code(&greedy), (100, 0));
}

#[tokio::test]
async fn facebook_refuses_what_the_graph_api_refuses() {
    let world = World::new().await;
    let feed = "/facebook/v25.0/1001/feed";
    let long = "é".repeat(63_207);
    for (form, code) in [
        (vec![("published", "true")], (100, 0)),
        (vec![("message", " ")], (100, 0)),
        (vec![("message", long.as_str())], (100, 0)),
        (vec![("message", "hi"), ("colour", "red")], (100, 0)),
        (vec![("link", "example.com")], (100, 0)),
        (vec![("message", "hi"), ("fields", "colour")], (100, 0)),
        (vec![("message", "hi"), ("published", "false")], (100, 0)),
        (vec![("message", "a [[reject]] b")], (368, 1_404_102)),
    ] {
        let answer = send(world.post(feed).form(&form)).await;
        assert_eq!(
            (answer.status.as_u16(), graph_code(&answer)),
            (400, code),
            "{form:.60?}"
        );
    }
    for (token, status, code) in [
        ("expired-1", 400, (190, 463)),
        ("revoked-1", 400, (190, 458)),
        ("noscope-1", 403, (200, 0)),
        ("", 400, (104, 0)),
    ] {
        let request = world.bare(Method::POST, feed).bearer_auth(token);
        let answer = send(request.form(&[("message", "hi")])).await;
        assert_eq!(
            (answer.status.as_u16(), graph_code(&answer)),
            (status, code),
            "{token}"
        );
    }
    for version in ["v19.0", "v27.0", "latest"] {
        let path = format!("/facebook/{version}/1001/feed");
        let answer = send(world.post(&path).form(&[("message", "hi")])).await;
        assert_eq!(
            (answer.status.as_u16(), graph_code(&answer).0),
            (400, 2500),
            "{version}"
        );
    }
    let missing = world.get("/facebook/v25.0/1001_1").await;
    assert_eq!(graph_code(&missing), (100, 33));
    assert_eq!(world.posts().await.len(), 0);

    let longest = "é".repeat(63_206);
    assert_eq!(send(world.facebook(&longest)).await.status, 200);
}

#[tokio::test]
async fn instagram_publishes_a_container_once() {
    let world = World::new().await;
    let container = world.container("Hello #world").await;
    let status = format!("/instagram/v25.0/{container}?fields=status_code");
    assert_eq!(world.get(&status).await.body["status_code"], "FINISHED");

    let media = send(world.instagram(&container)).await.body["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(world.get(&status).await.body["status_code"], "PUBLISHED");
    let again = send(world.instagram(&container)).await;
    assert_eq!(graph_code(&again), (9007, 2_207_027));

    let node = format!("/instagram/v25.0/{media}?fields=permalink,shortcode,timestamp");
    let node = world.get(&node).await.body;
    let permalink = format!(
        "https://www.instagram.com/p/{}/",
        node["shortcode"].as_str().unwrap()
    );
    assert_eq!(node["permalink"], permalink);
    let list = world
        .get("/instagram/v25.0/2001/media?fields=id,caption&limit=10")
        .await
        .body;
    let only = json!([{"id": media, "caption": "Hello #world"}]);
    assert_eq!(list["data"], only);
    assert_eq!(list["paging"]["next"], Value::Null, "it is the last page");
    let limit = "/instagram/v25.0/2001/content_publishing_limit?fields=quota_usage,config";
    let limit = &world.get(limit).await.body["data"][0];
    assert_eq!(
        (&limit["quota_usage"], &limit["config"]["quota_duration"]),
        (&json!(1), &json!(86400))
    );

    let posts = world.posts().await;
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0]["id"], media);
    let image = &posts[0]["media"][0];
    assert_eq!(image["url"], world.jpeg());
    assert_eq!(
        (&image["type"], &image["width"]),
        (&json!("image"), &json!(1080))
    );
}

#[tokio::test]
async fn instagram_containers_take_their_time_when_told_to() {
    let world = World::with_faults(&["instagram:processing:0.2s"]).await;
    let container = world.container("slow").await;
    let early = send(world.instagram(&container)).await;
    assert_eq!(graph_code(&early), (9007, 2_207_027));
    let path = format!("/instagram/v25.0/{container}?fields=status_code,status");
    assert_eq!(world.get(&path).await.body["status_code"], "IN_PROGRESS");
    let finished = async { while world.get(&path).await.body["status_code"] != "FINISHED" {} };
    timeout(PATIENCE, finished).await.unwrap();
    assert_eq!(send(world.instagram(&container)).await.status, 200);
}

#[tokio::test]
async fn instagram_refuses_what_the_graph_api_refuses() {
    let world = World::new().await;
    let caption = "é".repeat(2201);
    let tags = "#a ".repeat(31);
    let alt = "a".repeat(1001);
    let sample = |name: &str| world.sample(name);
    let (jpeg, png, wide) = (
        sample("1080x1080.jpg"),
        sample("800x800.png"),
        sample("4000x100.jpg"),
    );
    let (film, document, lost) = (
        sample("video-5s.mp4"),
        sample("document.pdf"),
        sample("lost.jpg"),
    );
    // A port where nobody listens any more.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}/a.jpg", listener.local_addr().unwrap());
    drop(listener);
    let image = |url| vec![("image_url", url)];
    for (form, code) in [
        (vec![("caption", "no image")], (100, 0)),
        (image("ftp://example.com/a.jpg"), (9004, 2_207_052)),
        (image(&closed), (9004, 2_207_052)),
        (image(&lost), (9004, 2_207_052)),
        (image(&document), (9004, 2_207_052)),
        (image(&film), (36001, 2_207_005)),
        (image(&png), (36001, 2_207_005)),
        (image(&wide), (36003, 2_207_009)),
        (
            vec![("image_url", &jpeg), ("caption", &caption)],
            (36004, 2_207_010),
        ),
        (
            vec![("image_url", &jpeg), ("caption", &tags)],
            (36004, 2_207_010),
        ),
        (
            vec![("image_url", &jpeg), ("caption", "[[reject]]")],
            (36004, 2_207_010),
        ),
        (vec![("image_url", &jpeg), ("alt_text", &alt)], (100, 0)),
        (
            vec![("image_url", &jpeg), ("media_type", "VIDEO")],
            (100, 2_207_023),
        ),
        (vec![("image_url", &jpeg), ("colour", "red")], (100, 0)),
    ] {
        let answer = send(world.post("/instagram/v25.0/2001/media").form(&form)).await;
        assert_eq!(
            (answer.status.as_u16(), graph_code(&answer)),
            (400, code),
            "{form:.60?}"
        );
    }
    let fine = [
        ("image_url", sample("1200x630.jpg")),
        ("caption", "#a ".repeat(30)),
    ];
    let fine = send(world.post("/instagram/v25.0/2001/media").form(&fine)).await;
    assert_eq!(fine.status, 200, "{}", fine.body);

    let unknown = send(world.instagram("17")).await;
    assert_eq!(graph_code(&unknown), (24, 2_207_008));
    let container = fine.body["id"].as_str().unwrap();
    let other = world.post("/instagram/v25.0/2002/media_publish");
    let other = send(other.form(&[("creation_id", container)])).await;
    assert_eq!(graph_code(&other), (24, 2_207_006));
    let expired = world.bare(Method::POST, "/instagram/v25.0/2001/media_publish");
    let expired = expired
        .bearer_auth("expired-1")
        .form(&[("creation_id", container)]);
    assert_eq!(graph_code(&send(expired).await), (190, 463));
    assert_eq!(world.posts().await.len(), 0);
}

#[tokio::test]
async fn linkedin_publishes_and_shows_the_text_that_readers_see() {
    let world = World::new().await;
    let article = json!({"article": {"source": "https://example.com/", "title": "Read me"}});
    let body = with(&share(r"Look \(here\) #now"), "/content", article);
    let answer = send(world.linkedin(&body)).await;
    assert_eq!((answer.status.as_u16(), &answer.body), (201, &json!("")));
    let urn = answer.header("x-restli-id");
    assert!(urn.starts_with("urn:li:share:"), "{urn}");

    send(world.linkedin(&share("cut (here)"))).await;
    let posts = world.posts().await;
    assert_eq!(posts[0]["id"], urn);
    assert_eq!(
        posts[0]["permalink"],
        format!("https://www.linkedin.com/feed/update/{urn}/")
    );
    assert_eq!(posts[0]["text"], "Look (here) #now");
    assert_eq!(posts[0]["link"], "https://example.com/");
    assert_eq!(posts[0]["title"], "Read me");
    assert_eq!(posts[1]["text"], "cut ");
}

#[tokio::test]
async fn linkedin_names_the_post_that_a_second_one_repeats() {
    let world = World::with_faults(&["linkedin:500-after-accept:50%"]).await;
    let urn = send(world.linkedin(&share("first"))).await;
    assert_eq!(urn.status, 201);
    let doubtful = send(world.linkedin(&share("second"))).await;
    assert_eq!(doubtful.status, 500);
    let again = send(world.linkedin(&share("second"))).await;
    assert_eq!(again.status, 422);
    let posts = world.posts().await;
    let message = format!(
        "Content is a duplicate of {}",
        posts[1]["id"].as_str().unwrap()
    );
    assert_eq!(again.body["message"], message);
    let error = json!({"code": "DUPLICATE_POST", "description": message});
    assert_eq!(again.body["errorDetails"]["inputErrors"], json!([error]));
    assert_eq!(again.body["code"], Value::Null);
    let other_author = with(&share("second"), "/author", json!("urn:li:person:x_Y-9"));
    assert_eq!(send(world.linkedin(&other_author)).await.status, 201);
    assert_eq!(posts.len(), 2);
}

#[tokio::test]
async fn linkedin_wants_its_headers() {
    let world = World::new().await;
    let request = || world.post("/linkedin/rest/posts").json(&share("hi"));
    let rest = "X-Restli-Protocol-Version";
    let missing = send(request().header(rest, "2.0.0")).await;
    assert_eq!(
        (missing.status.as_u16(), &missing.body["code"]),
        (400, &json!("VERSION_MISSING"))
    );
    for version in ["202507", "202612", "2026"] {
        let request = request()
            .header(rest, "2.0.0")
            .header("Linkedin-Version", version);
        let answer = send(request).await;
        assert_eq!(answer.status, 426, "{version}");
        assert_eq!(answer.body["code"], "NONEXISTENT_VERSION");
    }
    let protocol = send(request().header("LinkedIn-Version", "202609")).await;
    assert_eq!(protocol.status, 400);
    for (token, status, code, service) in [
        ("", 401, "EMPTY_ACCESS_TOKEN", 65604),
        ("expired-1", 401, "EXPIRED_ACCESS_TOKEN", 65602),
        ("revoked-1", 401, "REVOKED_ACCESS_TOKEN", 65601),
        ("noscope-1", 403, "ACCESS_DENIED", 100),
    ] {
        let request = world
            .bare(Method::POST, "/linkedin/rest/posts")
            .bearer_auth(token);
        let answer = send(request.json(&share("hi"))).await;
        assert_eq!(answer.status, status, "{token}");
        assert_eq!(answer.body["code"], code);
        assert_eq!(answer.body["serviceErrorCode"], service);
    }
    assert_eq!(world.posts().await.len(), 0);
}

#[tokio::test]
async fn linkedin_points_at_the_field_that_is_wrong() {
    let world = World::new().await;
    let good = share("hi");
    let article = |article: Value| with(&good, "/content", json!({ "article": article }));
    let images = json!({"multiImage": {"images": [{"id": "urn:li:image:1"}]}});
    for (body, error) in [
        (without(&good, "author"), ("author", "MISSING_FIELD")),
        (
            with(&good, "/author", json!("urn:li:group:1")),
            ("author", "INVALID_URN_TYPE"),
        ),
        (share(" "), ("commentary", "INVALID_VALUE_BLANK_FIELD")),
        (
            share(&"é".repeat(3001)),
            ("commentary", "FIELD_LENGTH_TOO_LONG"),
        ),
        (
            with(&good, "/visibility", json!("ALL")),
            ("visibility", "INVALID_VALUE_FOR_FIELD"),
        ),
        (
            without(&good, "distribution"),
            ("distribution", "MISSING_FIELD"),
        ),
        (
            with(&good, "/lifecycleState", json!("DRAFT")),
            ("lifecycleState", "INVALID_VALUE_FOR_FIELD"),
        ),
        (
            with(&good, "/colour", json!("red")),
            ("colour", "INVALID_VALUE_FOR_FIELD"),
        ),
        (
            with(&good, "/distribution/x", json!(1)),
            ("distribution/x", "INVALID_VALUE_FOR_FIELD"),
        ),
        (
            article(json!({"title": "T"})),
            ("content/article/source", "MISSING_FIELD"),
        ),
        (
            article(json!({"source": "https://a.example"})),
            ("content/article/title", "MISSING_FIELD"),
        ),
        (
            article(json!({"source": "a.example", "title": "T"})),
            ("content/article/source", "INVALID_URL"),
        ),
        (
            with(&good, "/content", images),
            ("content/multiImage/images", "INVALID_VALUE_FOR_FIELD"),
        ),
        (
            with(&good, "/content", json!({})),
            ("content", "INVALID_VALUE_FOR_FIELD"),
        ),
    ] {
        let answer = send(world.linkedin(&body)).await;
        assert_eq!(input_error(&answer), error);
    }
    let rejected = send(world.linkedin(&share(r"\[\[reject\]\]"))).await;
    assert_eq!(
        (rejected.status.as_u16(), &rejected.body["code"]),
        (422, &json!("UNPROCESSABLE_ENTITY"))
    );
    assert_eq!(world.posts().await.len(), 0);
    assert_eq!(
        send(world.linkedin(&share(&"é".repeat(3000)))).await.status,
        201
    );
}

#[tokio::test]
async fn youtube_takes_a_video_in_one_piece_and_knows_it_afterwards() {
    let world = World::new().await;
    let bytes: Vec<u8> = (0..600_001_u32)
        .map(|i| u8::try_from(i % 251).unwrap())
        .collect();
    let session = world.upload(bytes.len()).await;
    let probe = || {
        world
            .client
            .put(&session)
            .header("Content-Range", format!("bytes */{}", bytes.len()))
    };
    let empty = send(probe()).await;
    assert_eq!((empty.status.as_u16(), empty.header("range")), (308, ""));

    let done = send(world.client.put(&session).body(bytes.clone())).await;
    assert_eq!(done.status, 200);
    assert_eq!(done.body["kind"], "youtube#video");
    assert_eq!(done.body["snippet"]["title"], "A title");
    assert_eq!(done.body["status"]["uploadStatus"], "uploaded");
    let id = done.body["id"].as_str().unwrap();
    assert_eq!(id.len(), 11);
    assert_eq!(send(probe()).await.body, done.body);
    assert_eq!(
        send(world.client.put(&session).body(bytes.clone()))
            .await
            .body,
        done.body
    );

    let posts = world.posts().await;
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0]["id"], id);
    assert_eq!(posts[0]["title"], "A title");
    assert_eq!(posts[0]["text"], "About it");
    let file = &posts[0]["media"][0];
    assert_eq!(
        (&file["type"], &file["bytes"]),
        (&json!("video"), &json!(bytes.len()))
    );
    assert_eq!(file["sha256"], format!("{:x}", Sha256::digest(&bytes)));
    assert_eq!(
        posts[0]["permalink"],
        format!("https://www.youtube.com/watch?v={id}")
    );
}

#[tokio::test]
async fn youtube_takes_a_video_in_chunks() {
    let world = World::new().await;
    let bytes = vec![7_u8; GRAIN * 2 + 5];
    let session = world.upload(bytes.len()).await;
    let chunk = |from: usize, to: usize| {
        let range = format!("bytes {from}-{}/{}", to - 1, bytes.len());
        let request = world.client.put(&session).header("Content-Range", range);
        send(request.body(bytes[from..to].to_vec()))
    };
    assert_eq!(chunk(0, 1000).await.status, 400, "no multiple of 262144");
    assert_eq!(
        chunk(GRAIN, GRAIN * 2).await.status,
        400,
        "not the next byte"
    );
    let first = chunk(0, GRAIN).await;
    assert_eq!(
        (first.status.as_u16(), first.header("range")),
        (308, "bytes=0-262143")
    );
    assert_eq!(chunk(0, GRAIN).await.status, 400, "sent before");
    assert_eq!(
        chunk(GRAIN, GRAIN * 2).await.header("range"),
        "bytes=0-524287"
    );
    let probe = world
        .client
        .put(&session)
        .header("Content-Range", "bytes */9");
    assert_eq!(send(probe).await.status, 400, "another total");
    assert_eq!(world.posts().await.len(), 0);
    assert_eq!(chunk(GRAIN * 2, bytes.len()).await.status, 200);
    let digest = format!("{:x}", Sha256::digest(&bytes));
    assert_eq!(world.posts().await[0]["media"][0]["sha256"], digest);
}

#[tokio::test]
async fn youtube_keeps_what_came_before_the_connection_broke() {
    let world = World::new().await;
    let bytes = vec![3_u8; GRAIN * 3];
    let session = world.upload(bytes.len()).await;
    let sent = reqwest::Body::wrap_stream(futures::stream::iter([
        Ok(bytes[..GRAIN * 2 + 77].to_vec()),
        Err(std::io::Error::other("the disk is gone")),
    ]));
    world
        .client
        .put(&session)
        .body(sent)
        .send()
        .await
        .unwrap_err();
    let probe = || {
        world
            .client
            .put(&session)
            .header("Content-Range", format!("bytes */{}", bytes.len()))
    };
    let kept = async { while send(probe()).await.header("range") != "bytes=0-524287" {} };
    timeout(PATIENCE, kept).await.unwrap();
    let range = format!("bytes {}-{}/{}", GRAIN * 2, bytes.len() - 1, bytes.len());
    let rest = world.client.put(&session).header("Content-Range", range);
    assert_eq!(
        send(rest.body(bytes[GRAIN * 2..].to_vec())).await.status,
        200
    );
    assert_eq!(
        world.posts().await[0]["media"][0]["sha256"],
        format!("{:x}", Sha256::digest(&bytes))
    );
}

#[tokio::test]
async fn youtube_refuses_what_the_data_api_refuses() {
    let world = World::new().await;
    let good = video("A title");
    let snippet = |name: &str, value: Value| with(&good, &format!("/snippet/{name}"), value);
    let tags = json!(["a".repeat(250), "b".repeat(250)]);
    for (body, expected) in [
        (video(""), "invalidTitle"),
        (video("a < b"), "invalidTitle"),
        (video(&"é".repeat(101)), "invalidTitle"),
        (video("[[reject]]"), "invalidTitle"),
        (
            snippet("description", json!("é".repeat(2501))),
            "invalidDescription",
        ),
        (snippet("tags", tags), "invalidTags"),
        (snippet("colour", json!("red")), "badRequest"),
        (
            with(&good, "/status/privacyStatus", json!("secret")),
            "invalidVideoMetadata",
        ),
        (
            with(
                &json!({"snippet": good["snippet"], "status": {"privacyStatus": "public"}}),
                "/status/publishAt",
                json!("2030-01-01T00:00:00Z"),
            ),
            "invalidPublishAt",
        ),
        (without(&good, "status"), "unexpectedPart"),
    ] {
        let answer = send(world.session(&body, 3)).await;
        assert_eq!(reason(&answer), (400, expected), "{body:.80}");
    }
    let path = "/youtube/upload/youtube/v3/videos?uploadType=resumable&part=snippet,status";
    let no_size = send(world.post(path).json(&good)).await;
    assert_eq!(reason(&no_size), (400, "mediaBodyRequired"));
    let image = world
        .session(&good, 3)
        .header("X-Upload-Content-Type", "image/png");
    assert_eq!(reason(&send(image).await), (400, "badContent"));
    for (token, expected) in [
        ("", (401, "required")),
        ("expired-1", (401, "authError")),
        ("revoked-1", (401, "authError")),
        ("noscope-1", (403, "insufficientPermissions")),
    ] {
        let request = world
            .bare(Method::POST, path)
            .bearer_auth(token)
            .json(&good);
        let answer = send(request.header("X-Upload-Content-Length", 3)).await;
        assert_eq!(reason(&answer), expected, "{token}");
    }
    let lost = world.bare(Method::PUT, &format!("{path}&upload_id=lost"));
    assert_eq!(reason(&send(lost.body("abc")).await).0, 404);
    let session = world.upload(3).await;
    assert_eq!(
        send(world.client.put(&session).body("abcd")).await.status,
        400
    );
    assert_eq!(world.posts().await.len(), 0);
}

#[tokio::test]
async fn slack_publishes_and_its_history_shows_the_senders_id() {
    let world = World::new().await;
    let first = send(world.slack("a &lt;b&gt; &amp; c")).await.body;
    assert_eq!(first["ok"], true);
    assert_eq!(first["message"]["text"], "a &lt;b&gt; &amp; c");
    let ts = first["ts"].as_str().unwrap();

    let metadata = json!({"event_type": "publisher_post", "event_payload": {"id": "42"}});
    let image = json!([{"type": "image", "image_url": world.jpeg(), "alt_text": "A"}]);
    let body = json!({"channel": "C0GENERAL", "text": "two", "metadata": metadata, "blocks": image, "unfurl_links": true});
    let second = send(world.post("/slack/api/chat.postMessage").json(&body))
        .await
        .body;
    assert!(second["ts"].as_str().unwrap() > ts);

    let history = format!("/slack/api/conversations.history?channel=C0GENERAL&oldest={ts}");
    let after = world.get(&history).await.body;
    assert_eq!(after["messages"].as_array().unwrap().len(), 1);
    assert!(after["messages"][0]["metadata"].is_null());
    let all = world
        .get(&format!(
            "{history}&inclusive=true&include_all_metadata=true"
        ))
        .await
        .body;
    assert_eq!(all["messages"][0]["metadata"], metadata);
    assert_eq!(all["messages"][1]["ts"], ts);
    assert_eq!(all["has_more"], false);

    let page = world
        .get("/slack/api/conversations.history?channel=C0GENERAL&limit=1")
        .await
        .body;
    assert_eq!(
        (&page["messages"][0]["text"], &page["has_more"]),
        (&json!("two"), &json!(true))
    );
    let cursor = page["response_metadata"]["next_cursor"].as_str().unwrap();
    let next = format!("/slack/api/conversations.history?channel=C0GENERAL&cursor={cursor}");
    assert_eq!(world.get(&next).await.body["messages"][0]["ts"], ts);

    let link = format!("/slack/api/chat.getPermalink?channel=C0GENERAL&message_ts={ts}");
    let permalink = world.get(&link).await.body["permalink"].clone();
    let posts = world.posts().await;
    assert_eq!(posts[0]["permalink"], permalink);
    assert_eq!(posts[0]["text"], "a <b> & c");
    assert_eq!(posts[0]["id"], ts);
    assert_eq!(posts[0]["details"], json!({}));
    let details = json!({"metadata": metadata, "notification": "two", "unfurl_links": true});
    assert_eq!(posts[1]["details"], details);
    let image = &posts[1]["media"][0];
    assert_eq!(
        (&image["url"], &image["alt"]),
        (&json!(world.jpeg()), &json!("A"))
    );
    assert_eq!(
        send(world.post("/slack/api/auth.test")).await.body["ok"],
        true
    );
}

#[tokio::test]
async fn slack_refuses_with_ok_false() {
    let world = World::new().await;
    let path = "/slack/api/chat.postMessage";
    for (form, code) in [
        (vec![("channel", "C012")], "no_text"),
        (vec![("channel", "C012"), ("text", "")], "no_text"),
        (
            vec![("channel", "general"), ("text", "hi")],
            "channel_not_found",
        ),
        (vec![("channel", "C1"), ("text", "hi")], "channel_not_found"),
        (vec![("text", "hi")], "channel_not_found"),
        (
            vec![("channel", "C012"), ("text", "hi"), ("colour", "red")],
            "invalid_arg_name",
        ),
        (
            vec![("channel", "C012"), ("text", "hi"), ("metadata", "{}")],
            "invalid_metadata_schema",
        ),
        (
            vec![("channel", "C012"), ("text", "[[reject]]")],
            "invalid_blocks",
        ),
    ] {
        let answer = send(world.post(path).form(&form)).await;
        assert_eq!(slack_error(&answer), code, "{form:.60?}");
    }
    for (token, code) in [
        ("", "not_authed"),
        ("expired-1", "token_expired"),
        ("revoked-1", "token_revoked"),
        ("noscope-1", "missing_scope"),
    ] {
        let request = world.bare(Method::POST, path).bearer_auth(token);
        let answer = send(request.form(&[("channel", "C012"), ("text", "hi")])).await;
        assert_eq!(slack_error(&answer), code, "{token}");
    }
    let basic = world.bare(Method::POST, path).basic_auth("me", Some("x"));
    assert_eq!(
        slack_error(&send(basic.form(&[("channel", "C012")])).await),
        "invalid_auth"
    );
    let broken = world
        .post(path)
        .header("Content-Type", "application/json")
        .body("{");
    assert_eq!(slack_error(&send(broken).await), "invalid_json");
    let missing = "/slack/api/chat.getPermalink?channel=C012&message_ts=1.000000";
    assert_eq!(slack_error(&world.get(missing).await), "message_not_found");
    assert_eq!(world.posts().await.len(), 0);
    assert_eq!(
        send(world.slack(&"é".repeat(40_000))).await.body["ok"],
        true
    );
}

#[tokio::test]
async fn a_fault_before_publishing_leaves_nothing_behind() {
    for (kind, statuses) in [
        ("500", [500, 500, 500, 500, 500]),
        ("429:retry-after=90", [400, 400, 429, 403, 429]),
        ("401", [400, 400, 401, 401, 200]),
        ("rejected", [400, 400, 422, 400, 200]),
    ] {
        let world = World::with_faults(&[&format!("*:{kind}")]).await;
        for (platform, status) in PLATFORMS.into_iter().zip(statuses) {
            let answer = send(world.publishing(platform).await).await;
            assert_eq!(answer.status, status, "{platform}:{kind}: {}", answer.body);
        }
        assert_eq!(world.posts().await.len(), 0, "{kind}");
    }
}

#[tokio::test]
async fn each_platform_says_it_is_busy_in_its_own_way() {
    let world = World::with_faults(&["*:429:retry-after=90"]).await;
    let facebook = send(world.facebook("hi")).await;
    assert_eq!(graph_code(&facebook), (80001, 0));
    let usage: Value = serde_json::from_str(facebook.header("x-business-use-case-usage")).unwrap();
    assert_eq!(
        usage["0"][0]["estimated_time_to_regain_access"], 2,
        "minutes"
    );
    let instagram = send(world.publishing("instagram").await).await;
    assert_eq!(graph_code(&instagram), (80002, 0));
    let linkedin = send(world.publishing("linkedin").await).await;
    assert_eq!(linkedin.body["code"], "TOO_MANY_REQUESTS");
    assert_eq!(linkedin.header("retry-after"), "");
    let youtube = send(world.publishing("youtube").await).await;
    assert_eq!(reason(&youtube), (403, "rateLimitExceeded"));
    let slack = send(world.slack("hi")).await;
    assert_eq!(
        (slack.header("retry-after"), &slack.body["error"]),
        ("90", &json!("ratelimited"))
    );
}

#[tokio::test]
async fn a_fault_after_publishing_hides_a_post_that_is_there() {
    for platform in PLATFORMS {
        let world = World::with_faults(&["*:500-after-accept"]).await;
        let answer = send(world.publishing(platform).await).await;
        assert_eq!(answer.status, 500, "{platform}");
        assert_eq!(world.posts().await.len(), 1, "{platform}");

        let refused = World::with_faults(&["*:500"]).await;
        let refused = send(refused.publishing(platform).await).await;
        let mut bodies = [answer.body, refused.body];
        for body in &mut bodies {
            if let Some(trace) = body.pointer_mut("/error/fbtrace_id") {
                *trace = Value::Null;
            }
        }
        assert_eq!(
            bodies[0], bodies[1],
            "{platform}: the answer must not tell them apart"
        );
    }
}

#[tokio::test]
async fn a_reset_connection_brings_no_reply() {
    for platform in PLATFORMS {
        for (kind, published) in [("reset", 0), ("reset-after-accept", 1)] {
            let world = World::with_faults(&[&format!("{platform}:{kind}")]).await;
            let error = world.publishing(platform).await.send().await.unwrap_err();
            assert!(
                error.is_request() && !error.is_timeout(),
                "{platform}: {error:?}"
            );
            assert!(!error.is_connect(), "{platform}: {error:?}");
            assert!(is_reset(&error), "{platform}: {error:?}");
            assert_eq!(world.posts().await.len(), published, "{platform}:{kind}");
        }
    }
}

fn is_reset(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionReset)
        || error.source().is_some_and(is_reset)
}

#[tokio::test]
async fn a_reset_upload_can_be_resumed_or_is_complete() {
    let world = World::with_faults(&["youtube:reset:50%", "youtube:reset-after-accept:50%"]).await;
    let session = world.upload(3).await;
    let put = || world.client.put(&session);
    let probe = || put().header("Content-Range", "bytes */3");
    assert_eq!(send(probe()).await.status, 308, "a probe is not struck");
    assert_eq!(
        send(put().body("abc")).await.status,
        200,
        "the first is not struck"
    );
    let session = world.upload(3).await;
    let put = || world.client.put(&session);
    let probe = || put().header("Content-Range", "bytes */3");
    put().body("abc").send().await.unwrap_err();
    assert_eq!(send(probe()).await.status, 308);
    assert_eq!(send(put().body("abc")).await.status, 200);
}

#[tokio::test]
async fn a_hanging_platform_has_published_all_the_same() {
    let world = World::with_faults(&["slack:hang", "facebook:hang:0.05s"]).await;
    let late = send(world.facebook("late")).await;
    assert_eq!(late.status, 200);
    let hanging = tokio::spawn(world.slack("hi").send());
    world.until_published(2).await;
    assert!(!hanging.is_finished());
    hanging.abort();
}

#[tokio::test]
async fn a_rate_strikes_every_nth_valid_request() {
    let world = World::with_faults(&["slack:500:25%"]).await;
    let mut statuses = Vec::new();
    for index in 0..8 {
        send(world.slack("")).await;
        statuses.push(
            send(world.slack(&format!("post {index}")))
                .await
                .status
                .as_u16(),
        );
    }
    assert_eq!(statuses, [200, 200, 200, 500, 200, 200, 200, 500]);
}

#[tokio::test]
async fn faults_are_replaced_while_it_runs() {
    let world = World::with_faults(&["slack:500"]).await;
    let faults = |specs: Value| send(world.post("/api/faults").json(&specs));
    let bad = faults(json!(["slack:reset", "slack:503"])).await;
    assert_eq!(bad.status, 400);
    let message = bad.body.as_str().unwrap();
    assert!(
        message.starts_with("fault \"slack:503\": there is no kind \"503\"; use 500,"),
        "{message}"
    );
    assert_eq!(
        send(world.slack("hi")).await.status,
        500,
        "the old ones are still there"
    );
    let good = faults(json!(["slack:429:retry-after=7"])).await;
    assert_eq!(good.body, json!(["slack:429:retry-after=7"]));
    assert_eq!(send(world.slack("hi")).await.header("retry-after"), "7");
    faults(json!([])).await;
    assert_eq!(send(world.slack("hi")).await.body["ok"], true);
}

#[tokio::test]
async fn duplicates_and_requests_are_counted_and_forgotten() {
    let world = World::new().await;
    for text in ["one", "one", "two"] {
        send(world.facebook(text)).await;
        send(world.slack(text)).await;
    }
    send(world.slack("")).await;
    let stats = world.stats().await;
    assert_eq!(
        (
            &stats["requests"],
            &stats["published"],
            &stats["duplicates"]
        ),
        (&json!(7), &json!(6), &json!(2))
    );
    assert_eq!(
        stats["platforms"]["slack"],
        json!({"requests": 4, "published": 3, "duplicates": 1, "comments": 0, "duplicate_comments": 0, "max_in_flight": 1, "max_in_flight_per_account": 1})
    );
    assert_eq!(stats["platforms"]["youtube"]["requests"], 0);
    let duplicates: Vec<bool> = world
        .posts()
        .await
        .iter()
        .map(|post| post["duplicate"].as_bool().unwrap())
        .collect();
    assert_eq!(duplicates, [false, false, true, true, false, false]);

    let before = world.posts().await;
    assert_eq!(send(world.post("/api/reset")).await.status, 204);
    let stats = world.stats().await;
    assert_eq!(
        (&stats["requests"], &stats["duplicates"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(world.posts().await.len(), 0);
    send(world.facebook("one")).await;
    let posts = world.posts().await;
    assert_eq!(
        (&posts[0]["duplicate"], &posts[0]["sequence"]),
        (&json!(false), &json!(1))
    );
    let ids: Vec<_> = before.iter().map(|post| &post["id"]).collect();
    assert!(!ids.contains(&&posts[0]["id"]), "an id never comes back");
}

#[tokio::test]
async fn requests_in_flight_are_counted_by_platform_and_account() {
    let world = World::with_faults(&["slack:hang"]).await;
    let hanging: Vec<_> = [("C0AA", "1"), ("C0AA", "2"), ("C0BB", "3")]
        .map(|form| [("channel", form.0), ("text", form.1)])
        .map(|form| world.post("/slack/api/chat.postMessage").form(&form))
        .map(|request| tokio::spawn(request.send()))
        .into();
    world.until_published(3).await;
    send(world.post("/api/reset")).await;
    let slack = &world.stats().await["platforms"]["slack"];
    assert_eq!(
        (&slack["max_in_flight"], &slack["max_in_flight_per_account"]),
        (&json!(3), &json!(2))
    );

    hanging.iter().for_each(JoinHandle::abort);
    let landed = async {
        loop {
            send(world.post("/api/reset")).await;
            if world.stats().await["platforms"]["slack"]["max_in_flight"] == 0 {
                break;
            }
        }
    };
    timeout(PATIENCE, landed)
        .await
        .expect("a client that is gone is not in flight");
}

#[tokio::test]
async fn latency_delays_the_platforms_and_not_the_scripts() {
    let sandbox = Sandbox::bind(Settings {
        latency: PATIENCE * 10,
        ..Settings::default()
    });
    let sandbox = sandbox.await.unwrap();
    let quick = World::new().await;
    let world = World {
        url: sandbox.url().as_str().trim_end_matches('/').to_owned(),
        server: tokio::spawn(sandbox.serve(std::future::pending())),
        ..quick
    };
    let slow = tokio::spawn(world.slack("hi").send());
    world.until_published(1).await;
    assert!(!slow.is_finished());
    slow.abort();
    world.server.abort();
}

#[tokio::test]
async fn other_paths_and_large_bodies_are_refused_in_the_platforms_words() {
    let world = World::new().await;
    let large = || "x".repeat(1024 * 1024 + 1);
    for (platform, path, envelope) in [
        ("facebook", "v25.0/1001/nowhere/at/all", "/error/fbtrace_id"),
        ("instagram", "v25.0/2001/nowhere", "/error/fbtrace_id"),
        ("linkedin", "rest/nowhere", "/message"),
        ("youtube", "youtube/v3/nowhere", "/error/errors/0/reason"),
        ("slack", "api/nowhere", "/error"),
    ] {
        let path = format!("/{platform}/{path}");
        let lost = world.get(&path).await;
        assert_eq!(lost.status, 404, "{path}");
        assert!(
            lost.body.pointer(envelope).is_some(),
            "{path}: {}",
            lost.body
        );
        let large = send(world.post(&path).body(large())).await;
        assert_eq!(large.status, 413, "{path}");
        assert!(
            large.body.pointer(envelope).is_some(),
            "{path}: {}",
            large.body
        );
    }
    assert_eq!(world.get("/myspace/x").await.status, 404);
    let index = world.get("/api").await.body;
    assert!(index.as_str().unwrap().contains("/api/posts"));
}

#[tokio::test]
async fn it_ends_promptly_although_clients_hold_on() {
    let world = World::with_faults(&["slack:hang"]).await;
    let idle = tokio::net::TcpStream::connect(world.url.trim_start_matches("http://"));
    let idle = idle.await.unwrap();
    let hanging = tokio::spawn(world.slack("hi").send());
    world.until_published(1).await;
    world.stop.send(()).unwrap();
    let ended = timeout(Duration::from_secs(5), world.server).await;
    ended.expect("it ends").unwrap().unwrap();
    let cut = timeout(Duration::from_secs(5), hanging).await;
    cut.expect("the connection was cut").unwrap().unwrap_err();
    drop(idle);
}
