//! Stopping early: at a signal or at the end of the time budget nothing new starts; a second signal stops waiting, for
//! platforms and, once they are done, for the database.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

/// What a run did is worth waiting so long for a database, however impatient somebody is. Hosts that send SIGTERM give
/// more before they kill.
const GRACE: Duration = Duration::from_secs(5);

/// Listens for SIGTERM and SIGINT from its making on. SIGHUP is left to be what it is: death, which the journal is made
/// for, or nothing under `nohup`.
#[derive(Debug)]
pub struct Stop {
    drain: CancellationToken,
    signals: futures::lock::Mutex<(Signal, Signal)>,
    heard: Cell<u32>,
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
            heard: Cell::new(0),
            exit: Cell::new(None),
        })
    }

    /// The exit code that the first signal asks for, if there was one.
    pub fn exit(&self) -> Option<Exit> {
        self.exit.get()
    }

    /// Whether nothing new may start.
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Ends once nothing new may start.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Ends at the first signal, with the exit code that it asks for.
    pub async fn asked(&self) -> Exit {
        self.heard(1).await
    }

    /// Ends at the second signal: what is under way must not be waited for any longer.
    pub async fn insisted(&self) -> Exit {
        self.heard(2).await
    }

    /// Lets the rest drain at the first signal or at the deadline, and ends when what is in flight must not be waited
    /// for any longer: at the second signal.
    pub async fn watch(&self, deadline: Instant) {
        tokio::select! {
            _ = self.insisted() => return,
            () = tokio::time::sleep_until(deadline.into()) => {
                if !self.drain.is_cancelled() {
                    tracing::info!("the time budget is used up; what has not started waits for the next run");
                    self.drain.cancel();
                }
            }
        }
        self.insisted().await;
    }

    /// Ends once so many signals have come.
    async fn heard(&self, number: u32) -> Exit {
        let mut signals = self.signals.lock().await;
        let (terminate, interrupt) = &mut *signals;
        loop {
            if let Some(exit) = self.exit.get()
                && self.heard.get() >= number
            {
                return exit;
            }
            let exit = tokio::select! {
                _ = terminate.recv() => Exit::Terminated,
                _ = interrupt.recv() => Exit::Interrupted,
            };
            self.drain.cancel();
            self.heard.set(self.heard.get() + 1);
            if self.exit.get().is_none() {
                self.exit.set(Some(exit));
                tracing::info!(
                    "stopping: what is in flight may finish, and is recorded; a second signal stops waiting for it"
                );
            }
        }
    }

    /// Does the last work of a run, which only a further signal after the first keeps it from, and not in its first seconds;
    /// then `None`.
    pub async fn unless_insisted<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let grace = tokio::time::sleep(GRACE);
        let number = (self.heard.get() + 1).max(2);
        let further = async {
            if self.heard.get() == 0 {
                self.asked().await;
                tracing::warn!(
                    "the outcomes are still to be recorded; a second signal stops waiting for the database"
                );
            }
            self.heard(number).await;
            grace.await;
        };
        tokio::select! {
            biased;
            result = work => Some(result),
            () = further => None,
        }
    }
}
