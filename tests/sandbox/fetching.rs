//! Media that a platform fetches itself, from a server of the test's own.

use super::*;

use axum::Router;
use axum::body::Body;
use axum::response::Redirect;
use axum::routing::get;
use futures::StreamExt;
use tokio::net::TcpListener;

/// A JPEG's first bytes, up to the segment that holds its size.
fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let size = [height.to_be_bytes(), width.to_be_bytes()].concat();
    [
        &b"\xff\xd8\xff\xe0\0\x04\0\0\xff\xc0\0\x11\x08"[..],
        &size,
        &[0; 64],
    ]
    .concat()
}

async fn serve(routes: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // It ends with the test's runtime.
    tokio::spawn(async { axum::serve(listener, routes).await.unwrap() });
    url
}

impl World {
    /// The code and subcode of a container made from this address, or (0, 0).
    async fn fetched(&self, url: &str) -> (i64, i64) {
        let form = [("image_url", url)];
        let answer = send(self.post("/instagram/v25.0/2001/media").form(&form)).await;
        if answer.status == 200 {
            (0, 0)
        } else {
            graph_code(&answer)
        }
    }
}

#[tokio::test]
async fn the_bytes_decide_and_not_the_name() {
    let large = || async { [jpeg(1000, 1000), vec![0; 9 * 1024 * 1024]].concat() };
    let cut = || async {
        let pieces = [
            Ok(jpeg(9, 9)),
            Err(std::io::Error::other("the disk is gone")),
        ];
        // Its beginning has to be sent before it breaks off.
        let pieces = futures::stream::iter(pieces).then(async |piece| {
            tokio::task::yield_now().await;
            piece
        });
        Body::from_stream(pieces)
    };
    let routes = Router::new()
        .route("/picture", get(|| async { jpeg(1000, 1000) }))
        .route("/picture.png", get(|| async { jpeg(1000, 1000) }))
        .route("/wide.jpg", get(|| async { jpeg(1911, 1000) }))
        .route("/tall.jpg", get(|| async { jpeg(799, 1000) }))
        .route(
            "/sizeless.jpg",
            get(|| async { b"\xff\xd8\xff\xe0".to_vec() }),
        )
        .route("/page.jpg", get(|| async { "<h1>Not found</h1>" }))
        .route("/empty.jpg", get(|| async {}))
        .route("/large.jpg", get(large))
        .route("/cut.jpg", get(cut))
        .route("/gone.jpg", get(|| async { StatusCode::GONE }));
    let server = serve(routes).await;
    let world = World::new().await;
    for (name, code) in [
        ("picture", (0, 0)),
        ("picture.png", (0, 0)),
        ("wide.jpg", (36003, 2_207_009)),
        ("tall.jpg", (36003, 2_207_009)),
        ("sizeless.jpg", (36003, 2_207_009)),
        ("page.jpg", (9004, 2_207_052)),
        ("empty.jpg", (9004, 2_207_052)),
        ("large.jpg", (36000, 2_207_004)),
        ("cut.jpg", (9004, 2_207_052)),
        ("gone.jpg", (9004, 2_207_052)),
    ] {
        assert_eq!(
            world.fetched(&format!("{server}/{name}")).await,
            code,
            "{name}"
        );
    }
}

#[tokio::test]
async fn redirects_are_followed_a_few_times_and_may_lead_to_the_sandbox_itself() {
    let world = World::new().await;
    let sample = world.jpeg();
    let routes = Router::new()
        .route("/here", get(|| async move { Redirect::temporary(&sample) }))
        .route("/circle", get(|| async { Redirect::temporary("/circle") }));
    let server = serve(routes).await;
    assert_eq!(world.fetched(&format!("{server}/here")).await, (0, 0));
    let circle = world.fetched(&format!("{server}/circle")).await;
    assert_eq!(circle, (9004, 2_207_052));
}
