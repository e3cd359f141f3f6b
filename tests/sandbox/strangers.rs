//! What a page of somebody else has a browser ask, and names that lead here.

use reqwest::{Method, StatusCode};

use super::World;

#[tokio::test]
async fn pages_of_others_may_not_ask() {
    let world = World::with_faults(&[]).await;
    let own = world.url.trim_end_matches('/').to_owned();
    let status = async |method: &Method, path: &str, headers: &[(&str, &str)]| {
        let request = world
            .client
            .request(method.clone(), format!("{own}/{path}"));
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        request.send().await.unwrap().status()
    };
    let (get, post) = (Method::GET, Method::POST);
    for (method, path, headers, allowed) in [
        // Programs, and the page itself.
        (&get, "api/posts", &[][..], true),
        (&post, "api/reset", &[], true),
        (
            &post,
            "api/reset",
            &[("origin", &*own), ("sec-fetch-site", "same-origin")],
            true,
        ),
        (
            &get,
            "",
            &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
            true,
        ),
        (
            &get,
            "",
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
            ],
            true,
        ),
        // Forms and scripts of other pages.
        (
            &post,
            "api/reset",
            &[("origin", "https://evil.example")],
            false,
        ),
        (&post, "api/reset", &[("origin", "null")], false),
        (
            &post,
            "api/reset",
            &[("origin", "http://127.0.0.1:1")],
            false,
        ),
        (
            &post,
            "api/reset",
            &[("sec-fetch-site", "cross-site")],
            false,
        ),
        (
            &post,
            "facebook/v25.0/1001/feed",
            &[("sec-fetch-site", "cross-site")],
            false,
        ),
        (
            &post,
            "facebook/v25.0/1001/photos",
            &[("origin", "https://evil.example")],
            false,
        ),
        (
            &get,
            "api/posts",
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")],
            false,
        ),
        (
            &get,
            "",
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "no-cors"),
            ],
            false,
        ),
        // A name that stands for this machine since its page was loaded.
        (&get, "api/posts", &[("host", "evil.example:8025")], false),
        (
            &post,
            "api/reset",
            &[("host", "sandbox.evil.example")],
            false,
        ),
        (&get, "api/posts", &[("host", "localhost:8025")], true),
        (&get, "api/posts", &[("host", "sandbox:8025")], true),
        (&get, "api/posts", &[("host", "[::1]:8025")], true),
    ] {
        let found = status(method, path, headers).await;
        assert_eq!(
            found != StatusCode::FORBIDDEN,
            allowed,
            "{method} /{path} {headers:?}: {found}"
        );
    }
}
