//! Flags and environment, turned into a [`Config`]. One file per command in `cli/`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use rustix::process::{Resource, Rlimit, setrlimit};
use secrecy::SecretString;

use crate::account::App;
use crate::config::{Config, File};
use crate::exit::{Exit, Failed};
use crate::platform;
use crate::store::{Database, unquoted};

pub mod accounts;
pub mod database;
pub mod demo;
pub mod limits;
pub mod migration;
mod output;
pub mod posts;
pub mod preview;
pub mod prune;
pub mod run;
pub mod sandbox;
pub mod stats;

pub use output::complain;

/// Publishes the due social-media posts in a database. An external cron starts it every minute.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Start with `publisher demo`: the whole job on a throw-away database, against a built-in sandbox.

Exit codes: 0 nothing due, or all is recorded; 1 a person is needed; 2 wrong usage; 70 a bug; \
74 sent but not recorded; 75 the database is away; 78 configuration; 130, 143 stopped by a signal.

PUBLISHER_MEDIA_DIRECTORIES (DIR:DIR) and PUBLISHER_MEDIA_BUCKETS (NAME,NAME) name where posts may take local media \
and s3:// objects from; without them, or `directories` and `buckets` in [media], there are none.

ENCRYPTION_KEY (32 bytes, as 64 hex digits or base64) opens the accounts' tokens. Where it is not set, SQLite has a \
key file in the state directory, made on first use.";

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Everywhere")]
#[expect(clippy::doc_markdown, reason = "the text of --help")]
struct Global {
    /// Where the database is: postgres://USER:PASSWORD@HOST/DATABASE or sqlite:PATH
    /// [default: sqlite, in $XDG_DATA_HOME/publisher or ~/.local/share/publisher, made on first use].
    #[arg(
        long,
        env = "DATABASE_URL",
        hide_env_values = true,
        global = true,
        value_name = "URL"
    )]
    database_url: Option<String>,
    /// The configuration file [default: publisher.toml here, else in $XDG_CONFIG_HOME/publisher or ~/.config/publisher].
    #[arg(long, env = "PUBLISHER_CONFIG", global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the key file and the journals of runs live [default: $XDG_STATE_HOME/publisher or ~/.local/state/publisher].
    #[arg(long, env = "PUBLISHER_STATE_DIR", global = true, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// How log lines on stderr look.
    #[arg(long, env = "PUBLISHER_LOG_FORMAT", global = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    log_format: LogFormat,
    /// Says more on stderr: -v what happens to each post, -vv also each statement and request.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    /// Says nothing on stderr but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Whether output is coloured.
    #[arg(long, env = "PUBLISHER_COLOR", global = true, value_enum, default_value_t = clap::ColorChoice::Auto, value_name = "WHEN")]
    color: clap::ColorChoice,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publish what is due: what cron starts every minute.
    Run(run::Run),
    /// Watch the whole job on a throw-away database against the built-in sandbox.
    Demo(demo::Demo),
    /// Serve a local twin of the platforms.
    Sandbox(sandbox::Serve),
    /// Create the schema or bring it up to date.
    Migrate(migration::Migrate),
    /// Where posts go: add, list and check accounts.
    Accounts(accounts::Accounts),
    /// What goes out: add, import, list and show posts.
    Posts(posts::Posts),
    /// How much may go out: show, set and clear limits. What is over one waits; of several the strictest holds.
    Limits(limits::Limits),
    /// How things stand: what waits, what is in doubt, what happened of late, and who is needed.
    Stats(stats::Stats),
    /// Remove what ended long ago: settled posts, and the records of runs.
    Prune(prune::Prune),
}

/// What the environment says; read once, here.
#[derive(Debug, Default)]
struct Environment {
    home: Option<PathBuf>,
    data: Option<PathBuf>,
    state: Option<PathBuf>,
    config: Option<PathBuf>,
    encryption_key: Option<SecretString>,
    /// `AWS_*`, for media in an object store.
    aws: Vec<(String, SecretString)>,
    /// `PUBLISHER_MEDIA_DIRECTORIES`, with colons between them.
    media_directories: Option<String>,
    /// `PUBLISHER_MEDIA_BUCKETS`, with commas between them.
    media_buckets: Option<String>,
    /// Whether a sandbox stands in for the platforms: its media are on private addresses.
    sandbox: bool,
    /// `PUBLISHER_<PLATFORM>_CLIENT_ID` and `…_SECRET`, where one is set.
    apps: Vec<(&'static str, App)>,
}

impl Environment {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment, beside clap"
    )]
    fn read() -> Self {
        let directory = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        Self {
            home: directory("HOME"),
            data: directory("XDG_DATA_HOME"),
            state: directory("XDG_STATE_HOME"),
            config: directory("XDG_CONFIG_HOME"),
            encryption_key: Self::variable("ENCRYPTION_KEY").map(SecretString::from),
            aws: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
                .filter(|(name, _)| name.starts_with("AWS_"))
                .filter_map(|(name, value)| Some((name, value.into_string().ok()?.into())))
                .collect(),
            media_directories: Self::variable("PUBLISHER_MEDIA_DIRECTORIES"),
            media_buckets: Self::variable("PUBLISHER_MEDIA_BUCKETS"),
            sandbox: std::env::var_os("PUBLISHER_SANDBOX").is_some(),
            apps: platform::names()
                .into_iter()
                .filter_map(Self::app)
                .collect(),
        }
    }

    /// A variable that says something, without the quotes that a file of variables may have left around it.
    #[expect(clippy::disallowed_methods, reason = "part of `read`")]
    fn variable(name: &str) -> Option<String> {
        let value = std::env::var(name).ok()?;
        let value = unquoted(&value);
        (!value.is_empty()).then(|| value.to_owned())
    }

    fn app(platform: &'static str) -> Option<(&'static str, App)> {
        let variable = |what: &str| {
            Self::variable(&format!(
                "PUBLISHER_{}_CLIENT_{what}",
                platform.to_uppercase()
            ))
        };
        let app = App {
            client_id: variable("ID"),
            client_secret: variable("SECRET").map(SecretString::from),
        };
        (app.client_id.is_some() || app.client_secret.is_some()).then_some((platform, app))
    }

    fn directory(&self, own: Option<&PathBuf>, below_home: &str) -> Option<PathBuf> {
        let base = own
            .cloned()
            .or_else(|| Some(self.home.as_ref()?.join(below_home)))?;
        Some(base.join("publisher"))
    }
}

/// The whole program: parses the command line, starts the runtime, and ends with the command's exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // A crash must not leave tokens on a disk. Where that can't be set, the host decides.
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).ok();
    // One thread is enough for work that waits for the network, and starts fastest.
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("the runtime can't start: {error}"));
            return ExitCode::from(Exit::Bug as u8);
        }
    };
    let result = runtime.block_on(cli.execute());
    // Nothing that still waits in the background (a name look-up, a file) may delay the end.
    runtime.shutdown_background();
    match result {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failed) => {
            complain(&failed.message);
            ExitCode::from(failed.exit as u8)
        }
    }
}

impl Cli {
    /// Carries out the command.
    pub async fn execute(self) -> Result<Exit, Failed> {
        log(&self.global);
        // The demo has a database of its own, and the sandbox none.
        match self.command {
            Command::Demo(demo) => return demo::run(demo).await,
            Command::Sandbox(serve) => return sandbox::run(serve).await,
            _ => {}
        }
        let config = config(&self.global, Environment::read())?;
        match self.command {
            Command::Run(command) => run::run(command, &config).await,
            Command::Migrate(command) => migration::run(command, &config).await,
            Command::Accounts(command) => accounts::run(command, &config).await,
            Command::Posts(command) => posts::run(command, &config).await,
            Command::Limits(command) => limits::run(command, &config).await,
            Command::Stats(command) => stats::run(command, &config).await,
            Command::Prune(command) => prune::run(command, &config).await,
            Command::Demo(_) | Command::Sandbox(_) => unreachable!("returned above"),
        }
    }
}

/// Log lines go to stderr, from warnings on unless asked for more or less.
fn log(global: &Global) {
    use tracing::Level;
    use tracing_subscriber::fmt;

    let level = match (global.quiet, global.verbose) {
        (true, _) => Level::ERROR,
        (false, 0) => Level::WARN,
        (false, 1) => Level::INFO,
        (false, _) => Level::DEBUG,
    };
    let colored = match global.color {
        clap::ColorChoice::Always => true,
        clap::ColorChoice::Never => false,
        clap::ColorChoice::Auto => std::io::IsTerminal::is_terminal(&std::io::stderr()),
    };
    let lines = fmt()
        .with_max_level(level)
        .with_writer(move || Log { colored })
        // It would say on stderr that stderr can't be written, and panic where even that fails.
        .log_internal_errors(false)
        .with_target(false)
        .with_ansi(colored);
    // A program that carries out several commands has said how already.
    match global.log_format {
        LogFormat::Text => lines.without_time().try_init().ok(),
        LogFormat::Json => lines.json().flatten_event(true).try_init().ok(),
    };
}

/// Stderr, for whole log lines: what strangers wrote in one commands no terminal, also where the line has colours.
struct Log {
    colored: bool,
}

impl std::io::Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let shown = match (self.colored, text.starts_with('{')) {
            (_, true) => crate::text::visible_json(&text),
            (true, false) => crate::text::visible_colored(&text),
            (false, false) => crate::text::visible(&text),
        };
        std::io::stderr().lock().write_all(shown.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn config(global: &Global, environment: Environment) -> Result<Config, Failed> {
    let mut file = file(global, &environment)?;
    if let Some(buckets) = &environment.media_buckets {
        let names = buckets.split([',', ' ']).filter(|name| !name.is_empty());
        file.media.buckets = names.map(ToOwned::to_owned).collect();
    }
    if let Some(directories) = &environment.media_directories {
        file.media.directories = std::env::split_paths(directories).collect();
    }
    file.allow_private_media |= environment.sandbox;
    for (name, app) in &environment.apps {
        let settings = file.platforms.entry((*name).to_owned()).or_default();
        settings.client_id = app.client_id.clone().or(settings.client_id.take());
        settings.client_secret = app.client_secret.clone().or(settings.client_secret.take());
    }
    let named = global
        .database_url
        .clone()
        .or_else(|| file.database_url.clone());
    let database = match &named {
        Some(url) => url
            .parse()
            .map_err(|why| Failed::configuration(format!("the database URL is wrong: {why}")))?,
        None => Database::Sqlite(default_database(&environment)?),
    };
    let state_dir = global.state_dir.clone().or_else(|| file.state_dir.clone());
    let state_dir =
        state_dir.or_else(|| environment.directory(environment.state.as_ref(), ".local/state"));
    let state_dir = state_dir.unwrap_or_else(|| match &database {
        Database::Sqlite(path) => path.parent().unwrap_or(Path::new("")).to_owned(),
        Database::Postgres(_) => PathBuf::from("/var/lib/publisher"),
    });
    Ok(Config {
        database,
        database_is_default: named.is_none(),
        state_dir,
        encryption_key: environment.encryption_key,
        media: file.media_policy(environment.aws),
        file,
    })
}

fn file(global: &Global, environment: &Environment) -> Result<File, Failed> {
    if let Some(path) = &global.config {
        return File::read(path);
    }
    let here = Some(PathBuf::from("publisher.toml"));
    let user = environment
        .directory(environment.config.as_ref(), ".config")
        .map(|dir| dir.join("publisher.toml"));
    match [here, user]
        .into_iter()
        .flatten()
        .find(|path| path.exists())
    {
        Some(path) => File::read(&path),
        None => Ok(File::default()),
    }
}

fn default_database(environment: &Environment) -> Result<PathBuf, Failed> {
    let directory = environment.directory(environment.data.as_ref(), ".local/share");
    directory.map(|directory| directory.join("publisher.db")).ok_or_else(|| {
        Failed::configuration("there is no database: set DATABASE_URL (HOME is not set, so there is no default place)")
    })
}
