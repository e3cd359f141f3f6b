//! Connections that took too long by any clock are not used.
//!
//! A process that is stopped while it connects finds the connection made when it wakes up, however late that is; the
//! time-out then comes too late, for what is ready is looked at first. Its request, which was allowed when the claim
//! still held, must not leave now.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tower_layer::Layer;
use tower_service::Service;

use crate::schedule::Term;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Gives every connection so long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promptly(pub(super) Duration);

impl<S> Layer<S> for Promptly {
    type Service = Prompt<S>;

    fn layer(&self, connector: S) -> Prompt<S> {
        Prompt {
            connector,
            within: self.0,
        }
    }
}

/// What connects, within a time.
#[derive(Clone, Debug)]
pub(super) struct Prompt<S> {
    connector: S,
    within: Duration,
}

impl<S, R> Service<R> for Prompt<S>
where
    S: Service<R, Error = Error>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, to: R) -> Self::Future {
        let (term, connecting) = (Term::of(self.within), self.connector.call(to));
        Box::pin(async move {
            let connection = connecting.await?;
            if term.is_over() {
                return Err("it was made too late: this process stood still meanwhile".into());
            }
            Ok(connection)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::client_builder;

    #[tokio::test]
    async fn what_connects_too_late_sends_nothing() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let client = client_builder().connector_layer(Promptly(Duration::ZERO));
        let request = client.build().unwrap().post(url).body("hello").send();
        let (sent, arrived) = tokio::join!(request, async {
            use tokio::io::AsyncReadExt;
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_to_end(&mut Vec::new()).await.unwrap()
        });
        assert!(sent.unwrap_err().is_connect());
        assert_eq!(arrived, 0);
    }
}
