//! A private PgBouncer in transaction mode in front of the private PostgreSQL. It ends with the process.

use std::path::Path;
use std::process::{Child, Command};

use super::postgres::{cluster, free_port, install, watched};

/// A running pooler.
pub struct PgBouncer {
    port: u16,
    /// As with the cluster: it ends when its standard input closes.
    _watchdog: Child,
}

impl PgBouncer {
    /// Starts a pooler with so many server connections for each database.
    pub fn start(pool_size: u32) -> Self {
        if !Path::new("/usr/sbin/pgbouncer").exists() {
            install(&["pgbouncer"]);
        }
        let dir = tempfile::Builder::new()
            .prefix("publisher-pgbouncer-")
            .tempdir()
            .unwrap()
            .keep();
        let port = free_port();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = {pool_size}\nmax_client_conn = 500\n",
            cluster().port()
        );
        std::fs::write(dir.join("pgbouncer.ini"), settings).unwrap();
        let mut server = Command::new("/usr/sbin/pgbouncer");
        server.arg(dir.join("pgbouncer.ini"));
        let watchdog = watched(&server, &dir, "process up");
        Self {
            port,
            _watchdog: watchdog,
        }
    }

    /// The same database through the pooler.
    pub fn url(&self, direct: &str) -> String {
        let database = direct.rsplit('/').next().unwrap();
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}
