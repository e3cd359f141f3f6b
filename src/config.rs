//! Settings: the flag wins over the environment, that over the file, that over the default.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use crate::account::App;
use crate::exit::Failed;
use crate::media::{self, S3};
use crate::platform;
use crate::store::Database;
use crate::trust;

/// How late a post may be published, unless it or a person says otherwise.
pub const DEFAULT_EXPIRY: Duration = Duration::from_hours(24);

/// Everything a command may need, checked.
#[derive(Debug)]
pub struct Config {
    /// Where the database is.
    pub database: Database,
    /// Nobody named a database: an SQLite file in the data directory is made and migrated on first use.
    pub database_is_default: bool,
    /// Where the key file and the journals live.
    pub state_dir: PathBuf,
    /// `ENCRYPTION_KEY`, not yet looked at.
    pub encryption_key: Option<SecretString>,
    /// Which media may be opened: the file's settings and the `AWS_*` variables.
    pub media: media::Policy,
    /// What `publisher.toml` says, empty without one.
    pub file: File,
}

impl Config {
    /// Where the key is kept if `ENCRYPTION_KEY` is not set (SQLite only).
    pub fn key_file(&self) -> PathBuf {
        self.state_dir.join("encryption.key")
    }

    /// What the file says of a platform.
    pub fn platform(&self, name: &str) -> PlatformSettings {
        self.file.platforms.get(name).cloned().unwrap_or_default()
    }
}

/// `publisher.toml`. Every key is optional; an unknown one is an error.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// As `--database-url`.
    pub database_url: Option<String>,
    /// As `--state-dir`.
    pub state_dir: Option<PathBuf>,
    /// As `--limit`.
    pub limit: Option<u32>,
    /// As `--pace`.
    pub pace: Option<String>,
    /// As `--expiry`.
    pub expiry: Option<Span>,
    /// As `--time-budget`.
    pub time_budget: Option<Span>,
    /// As `--fail-on`.
    pub fail_on: Option<Vec<String>>,
    /// How long a request may take, reply included (60 s).
    pub request_timeout: Option<Span>,
    /// How long an upload may take (10 min).
    pub upload_timeout: Option<Span>,
    /// Whether media URLs may lead to private addresses (no).
    pub allow_private_media: bool,
    /// Which media may be opened beside.
    pub media: MediaSettings,
    /// Per platform.
    pub platforms: BTreeMap<String, PlatformSettings>,
    /// Paces beside the built-in ones.
    pub paces: BTreeMap<String, PaceSettings>,
}

/// `[media]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaSettings {
    /// A local file must be in one of these, symbolic links resolved. Empty: no local files.
    pub directories: Vec<PathBuf>,
    /// Which buckets objects may come from, as `s3://bucket/key`. Empty: none.
    pub buckets: Vec<String>,
    /// Whether the machine's credentials service is asked where the `AWS_*` variables have no keys (no).
    pub s3_instance_role: bool,
    /// Where the object store is that `s3://` addresses name, if it is not Amazon's.
    pub s3_endpoint: Option<Url>,
    /// Its region.
    pub s3_region: Option<String>,
    /// Whether it may be spoken to without TLS (no).
    pub s3_allow_http: bool,
}

/// `[platforms.NAME]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlatformSettings {
    /// Posts in flight at once, as `--cap NAME=N`.
    pub cap: Option<NonZeroUsize>,
    /// Where its API is, instead of the real one.
    pub base_url: Option<Url>,
    /// The API's version, where it has one.
    pub api_version: Option<String>,
    /// Between the starts of two posts of one account.
    pub spacing: Option<Span>,
    /// The application as which the platform knows this program: its id. Needed to refresh tokens.
    pub client_id: Option<String>,
    /// Its secret; better in the environment.
    pub client_secret: Option<SecretString>,
    /// Corrections of what the platform takes, by the figures' names.
    pub limits: BTreeMap<String, f64>,
}

impl PlatformSettings {
    /// The application as which the platform knows this program.
    pub fn app(&self) -> App {
        App {
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
        }
    }
}

/// `[paces.NAME]`: what a lateness class may do at once within a platform.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PaceSettings {
    /// Up to 5 minutes late.
    pub on_time: Option<ClassPace>,
    /// Up to an hour late.
    pub recent: Option<ClassPace>,
    /// Up to 24 hours late.
    pub moderate: Option<ClassPace>,
    /// Later.
    pub severe: Option<ClassPace>,
}

/// How many posts of a lateness class are in flight at once within a platform, and how far apart they start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassPace {
    /// At once.
    pub at_once: NonZeroUsize,
    /// Between two starts.
    #[serde(default)]
    pub between_starts: Span,
}

/// A duration as people write it: `500ms`, `90s`, `5m`, `24h`, `7d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a duration; write a number and ms, s, m, h or d, such as 90s or 24h"
            )
        };
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let total = number
            .checked_mul(milliseconds)
            .filter(|total| *total <= 366 * 86_400_000);
        total
            .map(|total| Self(Duration::from_millis(total)))
            .ok_or_else(|| format!("`{text}` is longer than a year"))
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let milliseconds = self.0.as_millis();
        let units = [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1_000, "s"),
            (1, "ms"),
        ];
        let fits =
            |(size, _): &(u128, &str)| milliseconds >= *size && milliseconds.is_multiple_of(*size);
        match units.into_iter().find(fits) {
            Some((size, unit)) => write!(f, "{}{unit}", milliseconds / size),
            None => f.write_str("0s"),
        }
    }
}

impl File {
    /// Which media may be opened, with the `AWS_*` variables of the environment. Without a bucket there is no object
    /// store.
    pub fn media_policy(&self, variables: Vec<(String, SecretString)>) -> media::Policy {
        let settings = &self.media;
        let s3 = (!settings.buckets.is_empty()).then(|| {
            S3::new(
                settings.s3_endpoint.clone(),
                settings.s3_region.clone(),
                settings.s3_allow_http,
                variables,
            )
            .of_buckets(settings.buckets.clone())
            .with_instance_role(settings.s3_instance_role)
        });
        media::Policy {
            allow_private: self.allow_private_media,
            directories: settings.directories.clone(),
            s3,
        }
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, Failed> {
        let text = trust::read(path)
            .map_err(|e| Failed::configuration(format!("{}: {e}", path.display())))?;
        let file: Self = toml::from_str(&text)
            .map_err(|e| Failed::configuration(format!("{}: {e}", path.display())))?;
        if let Some(name) = file
            .platforms
            .keys()
            .find(|name| platform::by_name(name).is_none())
        {
            return Err(Failed::configuration(format!(
                "{}: [platforms.{name}]: there is no such platform; there are {}",
                path.display(),
                platform::names().join(", ")
            )));
        }
        for (name, settings) in &file.platforms {
            check_limits(name, settings)
                .and_then(|()| check_base(name, settings))
                .map_err(|why| Failed::configuration(format!("{}: {why}", path.display())))?;
        }
        Ok(file)
    }
}

/// Whether tokens may go where the configuration sends them.
fn check_base(name: &str, settings: &PlatformSettings) -> Result<(), String> {
    let base = settings
        .base_url
        .as_ref()
        .map_or(Ok(()), trust::check_stand_in);
    base.map_err(|why| format!("[platforms.{name}] base_url: {why}"))
}

/// Whether every corrected figure is one of the platform's, and a number that makes sense.
fn check_limits(name: &str, settings: &PlatformSettings) -> Result<(), String> {
    let figures = platform::by_name(name).map_or(&[][..], platform::Platform::figures);
    for (figure, value) in &settings.limits {
        if !figures.iter().any(|known| known.name == figure) {
            let known: Vec<&str> = figures.iter().map(|figure| figure.name).collect();
            return Err(format!(
                "[platforms.{name}.limits] {figure}: there is no such limit; there are {}",
                known.join(", ")
            ));
        }
        if !value.is_finite() || *value < 0.0 {
            return Err(format!(
                "[platforms.{name}.limits] {figure}: {value} is no limit; write a number from 0 up"
            ));
        }
    }
    Ok(())
}
