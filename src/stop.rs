//! Stopping early: at a signal or at the end of the time budget nothing new starts; a second signal stops waiting, for
//! platforms and, once they are done, for the database.

use std::cell::Cell;
use std::time::Instant;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

/// Listens for SIGTERM and SIGINT from its making on.
#[derive(Debug)]
pub struct Stop {
    drain: CancellationToken,
    signals: futures::lock::Mutex<(Signal, Signal)>,
    exit: Cell<Option<Exit>>,
}

impl Stop {
    /// Starts to listen.
    pub fn listen() -> std::io::Result<Self> {
        let signals = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        Ok(Self {
            drain: CancellationToken::new(),
            signals: futures::lock::Mutex::new(signals),
            exit: Cell::new(None),
        })
    }

    /// The exit code that the first signal asks for, if there was one.
    pub fn exit(&self) -> Option<Exit> {
        self.exit.get()
    }

    /// Ends once nothing new may start.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Lets the rest drain at the first signal or at the deadline, and ends when what is in flight must not be waited
    /// for any longer: at the second signal.
    pub async fn watch(&self, deadline: Instant) {
        let mut signals = self.signals.lock().await;
        let (terminate, interrupt) = &mut *signals;
        loop {
            let exit = tokio::select! {
                _ = terminate.recv() => Exit::Terminated,
                _ = interrupt.recv() => Exit::Interrupted,
                () = tokio::time::sleep_until(deadline.into()), if !self.drain.is_cancelled() => {
                    tracing::info!("the time budget is used up; what has not started waits for the next run");
                    self.drain.cancel();
                    continue;
                }
            };
            self.drain.cancel();
            if self
                .exit
                .replace(Some(self.exit.get().unwrap_or(exit)))
                .is_some()
            {
                return;
            }
            tracing::info!(
                "stopping: what is in flight may finish; a second signal stops waiting for it"
            );
        }
    }

    /// Does the last work of a run, which a first signal must not keep it from; `None` if another one ends it.
    pub async fn unless_insisted<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            result = work => Some(result),
            () = self.insisted() => None,
        }
    }

    async fn insisted(&self) {
        let mut signals = self.signals.lock().await;
        let (terminate, interrupt) = &mut *signals;
        loop {
            let exit = tokio::select! {
                _ = terminate.recv() => Exit::Terminated,
                _ = interrupt.recv() => Exit::Interrupted,
            };
            if self
                .exit
                .replace(Some(self.exit.get().unwrap_or(exit)))
                .is_some()
            {
                return;
            }
            tracing::warn!(
                "the outcomes are still to be recorded; a second signal stops waiting for the database"
            );
        }
    }
}
