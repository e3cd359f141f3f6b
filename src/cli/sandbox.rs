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
    /// How long containers, videos and documents take at the platforms until they can be used.
    #[arg(long, default_value = "0s", value_name = "TIME")]
    processing: Span,
    /// How long an access token is good that the sandbox itself gave out.
    #[arg(long, default_value = "1h", value_name = "TIME")]
    token_lifetime: Span,
    /// A fault to inject: a platform (or *), perhaps a step (publish if none; prepare, upload, status,
    /// comment or token), what happens, perhaps a setting and a rate, such as
    /// facebook:500-after-accept:5%, */status:429:retry-after=3 or youtube:reset-at:60%.
    #[arg(long = "fault", value_name = "SPEC")]
    faults: Vec<Fault>,
}

/// Serves until a signal comes.
pub async fn run(serve: Serve) -> Result<Exit, Failed> {
    let settings = Settings {
        addr: serve.addr,
        latency: serve.latency.0,
        processing: serve.processing.0,
        token_lifetime: serve.token_lifetime.0,
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
        "The sandbox listens on {url}\n  publisher run --sandbox {url}\n  {url}   what was published, to look at\n  \
         {url}api/posts   the same as JSON\n  {url}api/stats   totals, duplicates, the highest number in flight\nCtrl-C ends it.\n"
    ))?;
    if !serve.addr.ip().is_loopback() {
        complain(&format!(
            "warning: whoever reaches {} can post to the sandbox, read what was posted, and reset it",
            serve.addr
        ));
    }
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
