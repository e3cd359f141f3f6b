//! What platforms take: how long a text, how large a picture, how many posts a day.
//!
//! The figures are data of the platforms' files, each with its source and the date when that said so. The
//! configuration can correct one (`[platforms.NAME.limits]`), and a platform's own answer wins over any.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::config::PlatformSettings;
use crate::platform;

/// A figure of a platform's documentation.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its name in the configuration, with the unit: `caption_chars`, `video_bytes`, `video_seconds_min`.
    pub name: &'static str,
    /// The figure.
    pub value: f64,
    /// When the source said so, as `YYYY-MM`.
    pub as_of: &'static str,
    /// Who says so.
    pub source: &'static str,
}

/// How many posts may go out in a window: a figure, and what it counts.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// The figure's name.
    pub figure: &'static str,
    /// Whose posts are counted.
    pub per: Per,
    /// `minute`, `hour`, `day` or `month`, as in the table `limits`.
    pub window: &'static str,
}

/// Whose posts a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Each account's own.
    Account,
    /// All of the platform's.
    Platform,
}

/// A platform's figures with the configuration's corrections.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    figures: &'static [Figure],
    corrections: Option<&'a BTreeMap<String, f64>>,
}

impl<'a> Limits<'a> {
    /// As the platform's documentation has them.
    pub fn documented(figures: &'static [Figure]) -> Self {
        Self {
            figures,
            corrections: None,
        }
    }

    /// With the configuration's corrections.
    pub fn corrected(figures: &'static [Figure], settings: Option<&'a PlatformSettings>) -> Self {
        Self {
            figures,
            corrections: settings.map(|settings| &settings.limits),
        }
    }

    /// A figure. Asking for one that the platform does not have is a bug.
    pub fn of(&self, name: &str) -> f64 {
        let corrected = self.corrections.and_then(|own| own.get(name)).copied();
        let documented = || self.figures.iter().find(|figure| figure.name == name);
        corrected
            .or_else(|| documented().map(|figure| figure.value))
            .unwrap_or_else(|| panic!("no figure is called {name}"))
    }

    /// A figure that counts something.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, which is what a figure beyond u64 or below 0 means"
    )]
    pub fn count(&self, name: &str) -> u64 {
        self.of(name) as u64
    }
}

/// The platforms' quotas as the claim takes them: `[{platform, per, window, max}]`.
pub fn quotas(settings: &BTreeMap<String, PlatformSettings>) -> Value {
    let of_platform = |platform: &'static dyn platform::Platform| {
        let limits = Limits::corrected(platform.figures(), settings.get(platform.name()));
        platform.quotas().iter().map(move |quota| {
            let per = match quota.per {
                Per::Account => "account",
                Per::Platform => "platform",
            };
            json!({
                "platform": platform.name(), "per": per, "window": quota.window,
                "max": limits.count(quota.figure),
            })
        })
    };
    platform::all().flat_map(of_platform).collect()
}
