//! What a PostgreSQL URL says, in the forms in which libpq, hosting providers and other programs' settings write it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::{Url, form_urlencoded};

use crate::trust::is_local;

/// How long a connection may take to be made, unless the URL says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A URL may ask for no more: a run has minutes.
const LONGEST_CONNECT_TIMEOUT: u64 = 60;

const FORM: &str = "use postgres://USER:PASSWORD@HOST/DATABASE";
const ENCODE: &str = "special characters in a user name or password are written as % and two digits: %23 for #, %2F for /, \
                      %3F for ?, %40 for @, %25 for %";

/// What other programs put into the URL for themselves, or what is about connections that this program does not have:
/// pools, caches of statements, sessions that stay open.
const OF_OTHERS: [&str; 39] = [
    "client_encoding",
    "connection_limit",
    "fallback_application_name",
    "gssencmode",
    "gsslib",
    "krbsrvname",
    "load_balance_hosts",
    "max_idle_connection_lifetime",
    "max_connections",
    "max_protocol_version",
    "min_protocol_version",
    "pgbouncer",
    "pool_max_conns",
    "pool_min_conns",
    "pool_mode",
    "pool_size",
    "pool_timeout",
    "prepare_threshold",
    "preparethreshold",
    "prepared_statement_cache_size",
    "prepared_statements",
    "reconnect",
    "require_auth",
    "schema",
    "search_path",
    "single_use_connections",
    "socket_timeout",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslaccept",
    "sslcompression",
    "sslnegotiation",
    "sslsni",
    "statement_cache_capacity",
    "statement_cache_mode",
    "statement_cache_size",
    "tcp_user_timeout",
    "uselibpqcompat",
    "workaround",
];

/// A `postgres://` URL, taken apart. `Debug` shows no password, nor do the errors.
#[derive(Clone)]
pub struct PostgresUrl {
    /// Hosts and database, as they were written.
    shown: String,
    /// How to connect to each host, in their order.
    pub(super) hosts: Vec<PgConnectOptions>,
    /// How long each may take.
    pub(super) connect_timeout: Duration,
    /// Whether a server must be asked first if it takes changes: there is another, or the URL says so.
    pub(super) asks_for_primary: bool,
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl PostgresUrl {
    /// Host (or socket), port and database, whichever way the URL says them.
    pub(in crate::store) fn name(&self) -> String {
        let place = |options: &PgConnectOptions| {
            let socket = options.get_socket().map(|path| path.display().to_string());
            let host = socket.unwrap_or_else(|| options.get_host().to_owned());
            format!("{host}:{}", options.get_port())
        };
        let places: Vec<String> = self.hosts.iter().map(place).collect();
        let options = &self.hosts[0];
        let database = options.get_database();
        let database = database.unwrap_or_else(|| options.get_username());
        format!("postgres://{}/{database}", places.join(","))
    }
}

impl FromStr for PostgresUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = Parts::split(text)?;
        let mut settings = Settings::default();
        for (name, value) in form_urlencoded::parse(parts.query.as_bytes()) {
            settings.set(&name, value.into_owned())?;
        }
        parts.put_into(&mut settings)?;
        let hosts = settings.hosts()?;
        let asks_for_primary = hosts.len() > 1 || settings.asks_for_primary;
        let options: Result<Vec<PgConnectOptions>, String> = hosts
            .iter()
            .map(|(host, port)| settings.options(host, port.as_deref()))
            .collect();
        let places = if parts.places.is_empty() {
            settings.host.as_deref().unwrap_or_default()
        } else {
            parts.places
        };
        let database = settings.of_sqlx.iter().find(|(name, _)| name == "dbname");
        let database = database.map_or("", |(_, name)| name);
        Ok(Self {
            shown: format!("postgres://{places}/{database}"),
            hosts: options?,
            connect_timeout: settings.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
            asks_for_primary,
        })
    }
}

/// The URL's pieces, still encoded.
struct Parts<'a> {
    login: Option<&'a str>,
    /// `host:port`, several with commas between them.
    places: &'a str,
    database: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Result<Self, String> {
        let (_, rest) = text
            .split_once("://")
            .ok_or_else(|| format!("it is not a PostgreSQL URL (there is no ://); {FORM}"))?;
        // A password that was not encoded would be taken for a path, and shown.
        let not_encoded = || format!("it is not a PostgreSQL URL; {FORM}; {ENCODE}");
        if rest.contains('#') {
            return Err(not_encoded());
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, places) = match authority.rsplit_once('@') {
            Some((login, places)) => (Some(login), places),
            None => (None, authority),
        };
        let is_cut = query
            .split('&')
            .any(|item| item.contains('@') && !item.contains('='));
        if database.contains('@') || is_cut {
            return Err(not_encoded());
        }
        Ok(Self {
            login,
            places,
            database,
            query,
        })
    }

    /// The query's settings win, as they do for libpq.
    fn put_into(&self, settings: &mut Settings) -> Result<(), String> {
        let mut put = |name: &'static str, text: &str| {
            let value = decode(text)?;
            if !value.is_empty() && !settings.of_sqlx.iter().any(|(known, _)| known == name) {
                settings.of_sqlx.push((name.to_owned(), value));
            }
            Ok::<(), String>(())
        };
        if let Some(login) = self.login {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            put("user", user)?;
            put("password", password)?;
        }
        put("dbname", self.database)?;
        if self.places.is_empty() || settings.host.is_some() {
            return Ok(());
        }
        let (mut hosts, mut ports) = (Vec::new(), Vec::new());
        for place in self.places.split(',') {
            let (host, port) = host_and_port(place)?;
            hosts.push(host);
            ports.push(port.unwrap_or_default().to_owned());
        }
        settings.host = Some(hosts.join(","));
        if settings.port.is_none() {
            settings.port = Some(ports.join(","));
        }
        Ok(())
    }
}

/// An IPv6 address stands in brackets, perhaps with a zone; the directory of a socket is encoded.
fn host_and_port(place: &str) -> Result<(String, Option<&str>), String> {
    if let Some(rest) = place.strip_prefix('[') {
        let (address, rest) = rest
            .split_once(']')
            .ok_or("the bracket of an IPv6 address is not closed; write it as [::1]:5432")?;
        let address = address.replacen("%25", "%", 1);
        if rest.is_empty() {
            return Ok((address, None));
        }
        let port = rest
            .strip_prefix(':')
            .ok_or("behind the bracket of an IPv6 address comes :PORT, or nothing")?;
        return Ok((address, Some(port)));
    }
    let (host, port) = match place.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (place, None),
    };
    if port.is_some_and(|port| port.contains(':')) {
        return Err(format!(
            "there are several colons in a host; an IPv6 address stands in brackets, as [::1]:5432; {ENCODE}"
        ));
    }
    Ok((decode(host)?, port))
}

fn decode(text: &str) -> Result<String, String> {
    let bytes = text.as_bytes();
    let is_whole = |at: usize| {
        bytes
            .get(at + 1..at + 3)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let mut signs = text.match_indices('%');
    let decoded = percent_decode_str(text).decode_utf8();
    match decoded {
        Ok(decoded) if signs.all(|(at, _)| is_whole(at)) => Ok(decoded.into_owned()),
        _ => Err(format!(
            "a % in it is not followed by the two digits of a character; {ENCODE}"
        )),
    }
}

/// What the URL asks for.
#[derive(Default)]
struct Settings {
    /// What sqlx reads itself, with its values.
    of_sqlx: Vec<(String, String)>,
    /// As libpq has them: lists with commas.
    host: Option<String>,
    port: Option<String>,
    ssl_mode: Option<PgSslMode>,
    has_root: bool,
    /// The server must show who it is, whatever the mode.
    verifies: bool,
    connect_timeout: Option<Duration>,
    asks_for_primary: bool,
    application_name: Option<String>,
}

impl Settings {
    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        let plain = name.to_ascii_lowercase().replace('-', "_");
        match plain.as_str() {
            "host" | "hostaddr" => self.host = Some(value),
            "port" => self.port = Some(value),
            "dbname" | "user" | "password" | "options" => self.of_sqlx.push((plain, value)),
            "sslcert" | "ssl_cert" => self.of_sqlx.push(("sslcert".to_owned(), value)),
            "sslkey" | "ssl_key" => self.of_sqlx.push(("sslkey".to_owned(), value)),
            // Not a file, but whom this machine trusts; here that is the bundled list.
            "sslrootcert" | "ssl_root_cert" | "ssl_ca" if value == "system" => {
                self.verifies = true;
            }
            "sslrootcert" | "ssl_root_cert" | "ssl_ca" => {
                self.has_root = true;
                self.of_sqlx.push(("sslrootcert".to_owned(), value));
            }
            "application_name" => self.application_name = Some(value),
            "sslmode" | "ssl_mode" => self.ssl_mode = Some(ssl_mode(&value)?),
            "ssl" if value == "false" || value == "0" => self.ssl_mode = Some(PgSslMode::Disable),
            "ssl" => self.ssl_mode = Some(PgSslMode::VerifyFull),
            // What binds a login to the channel keeps others from standing in between; so does this.
            "channel_binding" => self.verifies |= value == "require",
            "connect_timeout" => self.connect_timeout = connect_timeout(&value)?,
            "target_session_attrs" => match value.as_str() {
                "read-write" | "primary" => self.asks_for_primary = true,
                // With several hosts the one that takes changes is looked for in any case.
                "any" | "prefer-standby" => {}
                "read-only" | "standby" => {
                    return Err(
                        "target_session_attrs asks for a server that takes no changes; this program makes some: leave it \
                         out, or write read-write"
                            .to_owned(),
                    );
                }
                _ => {
                    return Err(
                        "target_session_attrs is none of read-write, primary, any".to_owned()
                    );
                }
            },
            _ if name.starts_with("options[") => self.of_sqlx.push((name.to_owned(), value)),
            _ if plain.starts_with("keepalives") || OF_OTHERS.contains(&plain.as_str()) => {}
            _ => {
                let name = crate::text::one_line(name, 60);
                tracing::info!(
                    "the database URL's parameter `{name}` is not known here, and has no effect"
                );
            }
        }
        Ok(())
    }

    /// Each host with its port. One that is empty or missing is the environment's.
    fn hosts(&self) -> Result<Vec<(String, Option<String>)>, String> {
        let ports: Vec<&str> = self
            .port
            .iter()
            .flat_map(|ports| ports.split(','))
            .collect();
        let check = |port: &str| match port.parse::<u16>() {
            _ if port.is_empty() => Ok(None),
            Ok(1..) => Ok(Some(port.to_owned())),
            _ => Err(format!(
                "it is not a PostgreSQL URL (a port is a number from 1 to 65535); {FORM}; {ENCODE}"
            )),
        };
        let hosts = self.host.as_deref().unwrap_or_default();
        let hosts: Vec<&str> = hosts.split(',').collect();
        if ports.len() > 1 && ports.len() != hosts.len() {
            return Err(format!(
                "there are {} hosts and {} ports; give each host its port, or one for all",
                hosts.len(),
                ports.len()
            ));
        }
        let each = |(place, host): (usize, &&str)| {
            let port = ports.get(place).or(ports.first()).copied();
            let port = port.map_or(Ok(None), check)?;
            Ok(((*host).to_owned(), port))
        };
        hosts.iter().enumerate().map(each).collect()
    }

    /// How to connect to a host: sqlx adds what the environment and `.pgpass` say.
    fn options(&self, host: &str, port: Option<&str>) -> Result<PgConnectOptions, String> {
        let mut url = Url::parse("postgres:///").expect("it is one");
        let mut query = url.query_pairs_mut();
        if !host.is_empty() {
            query.append_pair("host", host);
        }
        if let Some(port) = port {
            query.append_pair("port", port);
        }
        query.extend_pairs(&self.of_sqlx);
        drop(query);
        let options = PgConnectOptions::from_url(&url)
            .map_err(|_| format!("it is not a PostgreSQL URL; {FORM}"))?;
        let is_local = options.get_socket().is_some() || is_local(options.get_host());
        let mode = match self.ssl_mode {
            _ if self.verifies => PgSslMode::VerifyFull,
            Some(PgSslMode::Require) if self.has_root => PgSslMode::VerifyCa,
            Some(mode) => mode,
            None => match options.get_ssl_mode() {
                PgSslMode::Prefer if !is_local => PgSslMode::VerifyFull,
                mode => mode,
            },
        };
        let name = self.application_name.as_deref().unwrap_or("publisher");
        Ok(options
            .ssl_mode(mode)
            // Poolers refuse the parameter that sqlx sends by default.
            .extra_float_digits(None)
            .application_name(name)
            .disable_statement_logging())
    }
}

fn ssl_mode(text: &str) -> Result<PgSslMode, String> {
    match text {
        // As other programs call it.
        "no-verify" => Ok(PgSslMode::Require),
        _ => text.parse().map_err(|_| {
            "sslmode is none of disable, allow, prefer, require, verify-ca, verify-full".to_owned()
        }),
    }
}

/// In seconds; 0 and less mean no bound to libpq, and the default here.
fn connect_timeout(text: &str) -> Result<Option<Duration>, String> {
    let seconds: i64 = text
        .trim()
        .parse()
        .map_err(|_| "connect_timeout is not a number of seconds")?;
    let seconds = u64::try_from(seconds)
        .unwrap_or(0)
        .min(LONGEST_CONNECT_TIMEOUT);
    Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests;
