//! Parses the command line, starts the runtime, and ends with the command's exit code.

use std::process::ExitCode;

use clap::Parser;
use publisher::cli::{Cli, complain};
use publisher::exit::Exit;

fn main() -> ExitCode {
    let cli = Cli::parse();
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
