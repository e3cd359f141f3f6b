//! `publisher sandbox`.

use std::net::SocketAddr;

use super::output::{complain, say};
use crate::config::Span;
use crate::exit::{Exit, Failed};
use crate::sandbox::{Fault, Sandbox, Settings};

/// Serve a local twin of the platforms, as strict as their documentation. Nothing leaves this machine.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Where to listen.
    #[arg(
        long,
        env = "PUBLISHER_SANDBOX_ADDR",
        default_value = "127.0.0.1:8025",
        value_name = "ADDR"
    )]
    addr: SocketAddr,
    /// How long each answer takes.
    #[arg(long, default_value = "200ms", value_name = "TIME")]
    latency: Span,
    /// A fault to inject: a platform (or *), what happens, perhaps a setting and a rate, such as
    /// facebook:500-after-accept:5%, slack:429:retry-after=3 or *:hang.
    #[arg(long = "fault", value_name = "SPEC")]
    faults: Vec<Fault>,
}

/// Serves until a signal comes.
pub async fn run(serve: Serve) -> Result<Exit, Failed> {
    let settings = Settings {
        addr: serve.addr,
        latency: serve.latency.0,
        faults: serve.faults,
    };
    let sandbox = Sandbox::bind(settings).await.map_err(|e| {
        Failed::usage(format!(
            "can't listen on {}: {e}; choose another with --addr",
            serve.addr
        ))
    })?;
    let url = sandbox.url();
    say(&format!(
        "The sandbox listens on {url}\n  publisher run --sandbox {url}\n  {url}api/posts   what was published\n  \
         {url}api/stats   totals, duplicates, the highest number in flight\nCtrl-C ends it.\n"
    ))?;
    let stop = async {
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        let Ok(mut terminate) = terminate else {
            return complain("SIGTERM can't be listened for");
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    sandbox.serve(stop).await?;
    Ok(Exit::Ok)
}
