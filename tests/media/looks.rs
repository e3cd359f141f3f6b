//! What a URL leads to, from its first bytes.

use publisher::media::{Family, look, public_url};
use publisher::post::Media;

use crate::server::{Answer, Server};
use crate::{at, http, verdict};

/// A PNG of 640 by 480 pixels, as far as its header goes, in a file of that size.
fn png(size: usize) -> Vec<u8> {
    let mut file =
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x02\0\0\0".to_vec();
    file.resize(size, 0);
    file
}

#[tokio::test]
async fn a_look_reads_the_beginning_alone() {
    for knows_ranges in [true, false] {
        let server = Server::answers(move |_, request| {
            if knows_ranges {
                Answer::file(request, &png(5_000_000), "\"one\"")
            } else {
                Answer::with_body("200 OK", "Content-Type: image/jpeg\r\n", &png(5_000_000))
            }
        });
        let facts = look(1, &at(&format!("{}/a.jpg", server.url)), &http())
            .await
            .unwrap();
        assert_eq!(facts.mime.as_deref(), Some("image/png"));
        assert_eq!(facts.family, Some(Family::Image));
        assert_eq!((facts.width, facts.height), (Some(640), Some(480)));
        assert_eq!(facts.bytes, Some(5_000_000));
        assert_eq!(server.asked("range"), ["bytes=0-262143"]);
    }
}

#[tokio::test]
async fn a_look_tells_what_little_there_is() {
    // No length, an end without a word, and a type that only the server tells.
    let server = Server::answers(|_, _| {
        Answer::raw("200 OK", "Content-Type: video/x-flv\r\n", b"FLV and so on")
    });
    let facts = look(1, &at(&server.url), &http()).await.unwrap();
    assert_eq!(facts.mime.as_deref(), Some("video/x-flv"));
    assert_eq!((facts.bytes, facts.width), (Some(13), None));
    let declared = Media {
        mime: Some("application/pdf".to_owned()),
        ..at(&server.url)
    };
    let facts = look(1, &declared, &http()).await.unwrap();
    assert_eq!(facts.family, Some(Family::Document));
}

#[tokio::test]
async fn a_failed_look_names_the_medium_and_no_secret() {
    let server = Server::answers(|_, _| Answer::status("404 Not Found", ""));
    let host = server.url.strip_prefix("http://").unwrap();
    let url = format!("http://me:password@{host}/a.jpg?signature=secret#part");
    let refused = look(2, &at(&url), &http()).await.unwrap_err();
    assert_eq!(
        verdict(&refused),
        format!(
            "rejected: media 2 (http://{host}/a.jpg?…): the media server answered HTTP 404 Not Found; check the address"
        )
    );
    let server = Server::answers(|_, request| Answer::file(request, b"", "\"one\""));
    let refused = look(1, &at(&server.url), &http()).await.unwrap_err();
    let expected = format!(
        "rejected: media 1 ({}/): the media file is empty",
        server.url
    );
    assert_eq!(verdict(&refused), expected);
}

#[tokio::test]
async fn a_web_address_is_public_as_it_is() {
    let url = "https://example.com/a.jpg?x=y";
    assert_eq!(public_url(&at(url), &http()).await.unwrap(), url);
    let http = publisher::http::Http::default();
    let private = public_url(&at("http://10.0.0.1/a.jpg"), &http).await;
    assert_eq!(
        verdict(&private.unwrap_err()),
        "rejected: 10.0.0.1 is a private address; media must be on a public one"
    );
}
