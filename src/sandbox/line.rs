//! Connections that can be cut without a reply.
//!
//! A handler can only answer, so the cut happens below it: [`Line::cut`] marks the connection, and
//! the connection then refuses to write whatever the handler returned. hyper gives up on it and the
//! socket closes with a reset instead of a polite end.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Accepts connections; `end` cuts all of them.
pub(super) struct Doorman {
    listener: TcpListener,
    end: CancellationToken,
}

impl Doorman {
    pub(super) fn new(listener: TcpListener, end: CancellationToken) -> Self {
        Self { listener, end }
    }
}

impl Listener for Doorman {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // axum's own accept waits and tries again when the process is out of file descriptors.
        let (stream, addr) = Listener::accept(&mut self.listener).await;
        // Answers are small; held back by Nagle's algorithm they would cost 40 ms each. A socket
        // that refuses the option is slow, not broken.
        stream.set_nodelay(true).ok();
        let connection = Connection {
            stream,
            line: Line::default(),
            end: Box::pin(self.end.clone().cancelled_owned()),
        };
        (connection, addr)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A handler's hold on the connection that its request came by.
#[derive(Clone, Default)]
pub(super) struct Line(Arc<AtomicBool>);

impl Line {
    /// Lets nothing more be written, and resets the connection at the next attempt.
    pub(super) fn cut(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_cut(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Connected<IncomingStream<'_, Doorman>> for Line {
    fn connect_info(stream: IncomingStream<'_, Doorman>) -> Self {
        stream.io().line.clone()
    }
}

pub(super) struct Connection {
    stream: TcpStream,
    line: Line,
    end: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connection {
    /// Fails once this connection was cut, so that hyper drops it.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let ended = self.end.as_mut().poll(cx).is_ready();
        if ended || self.line.is_cut() {
            // Zero linger turns the close into a reset; without it the client sees a clean end.
            self.stream.set_zero_linger()?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
