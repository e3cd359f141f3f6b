//! Faults of the wire: what they are, and what they mean for the post.

use std::error::Error;
use std::io;

use super::connect::UnknownHost;
use super::{EXCERPT_LIMIT, Effect, in_doubt};
use crate::outcome::{Failure, Reason};
use crate::text::one_line;

/// What a transport error means. Its text never shows the URL, which may carry a secret.
pub(crate) fn transport(error: reqwest::Error, effect: Effect) -> Failure {
    let error = error.without_url();
    let texts: Vec<String> = causes(&error).map(ToString::to_string).collect();
    let message = one_line(&texts.join(": "), EXCERPT_LIMIT);
    // Before there is a connection nothing can have been sent.
    if error.is_connect() || error.is_builder() {
        let reason = Reason::new(before_connected(&error), message);
        return Failure::Retry {
            after: None,
            reason,
        };
    }
    let class = if error.is_timeout() {
        "timeout"
    } else {
        "connection"
    };
    in_doubt(effect, Reason::new(class, message))
}

/// Which part of connecting failed: they have different menders.
fn before_connected(error: &reqwest::Error) -> &'static str {
    if causes(error).any(<dyn Error>::is::<UnknownHost>) {
        "dns"
    } else if causes(error).any(is_tls) {
        "tls"
    } else {
        "connect"
    }
}

/// Whether it is TLS's, or wraps what is: an I/O error does not give what is inside as its source.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let io_error = error.downcast_ref::<io::Error>();
    match io_error.and_then(io::Error::get_ref) {
        Some(inside) => is_tls(inside),
        None => error.is::<rustls::Error>(),
    }
}

/// The error and what is behind it.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::http::client_builder;
    use crate::http::testing::verdict;

    async fn fault(url: String) -> (String, String) {
        let client = client_builder().build().unwrap();
        let error = client.post(url).body("hello").send().await.unwrap_err();
        let failure = transport(error, Effect::Publishes);
        (verdict(&failure), failure.reason().message.clone())
    }

    #[tokio::test]
    async fn a_name_that_is_nobodys_a_port_that_is_closed_and_a_server_without_tls_are_told_apart()
    {
        // RFC 6761 keeps this name from ever being anybody's.
        let (dns, why) = fault("http://platform.invalid/".to_owned()).await;
        assert_eq!(dns, "retry [dns] -");
        assert!(why.contains("can't be resolved"), "{why}");

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
        };
        let ((tls, why), ()) = tokio::join!(fault(format!("https://{address}/")), server);
        assert_eq!(tls, "retry [tls] -", "{why}");

        drop(listener);
        let (refused, why) = fault(format!("https://{address}/")).await;
        assert_eq!(refused, "retry [connect] -", "{why}");
        assert!(!why.contains(&address.to_string()), "{why}");
    }
}
