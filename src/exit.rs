//! Exit codes, and the errors that end a command with one of them.

use std::fmt;

use crate::store::StoreError;

/// How the process ends. The cron host records the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Nothing due, or all due posts are settled or will be retried by themselves.
    Ok = 0,
    /// Recorded, but a person is needed.
    Attention = 1,
    /// Wrong usage (clap's own code).
    Usage = 2,
    /// A bug in publisher.
    Bug = 70,
    /// Something was sent and could not be recorded.
    Unrecorded = 74,
    /// The database could not be reached, is locked or is read-only; nothing was sent.
    Unavailable = 75,
    /// Configuration: a bad file, a missing key, another schema.
    Configuration = 78,
    /// Stopped by SIGINT; everything started is recorded.
    Interrupted = 130,
    /// Stopped by SIGTERM; everything started is recorded.
    Terminated = 143,
}

/// An error that ends the command, with its exit code.
#[derive(Debug)]
pub struct Failed {
    /// The code.
    pub exit: Exit,
    /// What happened, where, and how to mend it.
    pub message: String,
}

impl Failed {
    /// Any code with a message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }

    /// Bad data that a person gave: nothing was written.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Exit::Attention, message)
    }

    /// A command line that can't be carried out.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A configuration that a person must change.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(Exit::Configuration, message)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failed {}

/// Before anything was sent; a run that has sent something decides for itself.
impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        let exit = match error {
            StoreError::Unavailable(_) | StoreError::Contended(_) => Exit::Unavailable,
            StoreError::Configuration(_) => Exit::Configuration,
            StoreError::Refused(_) => Exit::Bug,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Attention, error.to_string())
    }
}
