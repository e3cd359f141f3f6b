//! Paces: how many posts of a platform are in flight at once, and how far apart they start.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::config::{ClassPace, PaceSettings, PlatformSettings};
use crate::schedule::Lateness;

/// What `max-speed` allows a platform: no cap of ours, but a process may only have so many open connections.
const MAX_SPEED_CAP: usize = 128;

/// How many lateness classes there are.
pub(super) const CLASSES: usize = Lateness::Critical as usize + 1;

/// What one lateness class may do within a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) at_once: usize,
    pub(super) between_starts: Duration,
}

/// One [`Class`] per [`Lateness`].
pub(super) type Classes = [Class; CLASSES];

/// How fast a run goes.
#[derive(Clone, Debug)]
pub enum Pace {
    /// The platforms' caps.
    Smart,
    /// The caps, and within each platform fewer at once the later they are, with pauses between starts.
    Gentle,
    /// No caps.
    MaxSpeed,
    /// From the configuration file.
    Custom(PaceSettings),
}

impl Pace {
    /// A built-in pace.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "smart" => Some(Self::Smart),
            "gentle" => Some(Self::Gentle),
            "max-speed" => Some(Self::MaxSpeed),
            _ => None,
        }
    }

    /// How many posts of a platform with that own cap are in flight at once. A cap that a person asked for holds at
    /// every pace.
    pub fn cap(&self, platform_cap: usize, asked_for: Option<NonZeroUsize>) -> usize {
        match (asked_for, self) {
            (Some(cap), _) => cap.get(),
            (None, Self::MaxSpeed) => MAX_SPEED_CAP,
            (None, _) => platform_cap,
        }
    }

    /// How far apart two posts of one account start. The configuration's word holds at every pace.
    pub fn spacing(&self, own: Duration, settings: Option<&PlatformSettings>) -> Duration {
        match (settings.and_then(|settings| settings.spacing), self) {
            (Some(spacing), _) => spacing.0,
            (None, Self::MaxSpeed) => Duration::ZERO,
            (None, _) => own,
        }
    }

    pub(super) fn classes(&self) -> Classes {
        let open = Class {
            at_once: usize::MAX,
            between_starts: Duration::ZERO,
        };
        let class = |at_once, milliseconds| Class {
            at_once,
            between_starts: Duration::from_millis(milliseconds),
        };
        match self {
            Self::Smart | Self::MaxSpeed => [open; CLASSES],
            Self::Gentle => [
                class(3, 500),
                class(2, 750),
                class(2, 1000),
                class(1, 0),
                class(1, 0),
            ],
            Self::Custom(settings) => {
                let from = |setting: Option<ClassPace>| {
                    setting.map_or(open, |class| Class {
                        at_once: class.at_once.get(),
                        between_starts: class.between_starts.0,
                    })
                };
                let severe = from(settings.severe);
                [
                    from(settings.on_time),
                    from(settings.recent),
                    from(settings.moderate),
                    severe,
                    severe,
                ]
            }
        }
    }
}
