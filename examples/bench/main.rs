//! Measures `publisher` against what it could be at best: a lower bound, or a bare program that does no more than the
//! job needs.
//!
//! ```text
//! cargo build --release && cargo run --release --example bench [-- NAME…]
//! ```
//!
//! It runs the release binary on SQLite and on a private PostgreSQL cluster with the server's own (durable) settings,
//! against the sandbox in a process of its own. Whatever is compared runs in turns (A B A B …), and the median of the
//! turns' ratios counts: other work on the machine slows down both sides. It ends with 1 if a target is missed.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark talks on its standard streams"
)]

mod bare;
mod databases;
mod processes;

mod measures;

#[path = "../../tests/support/postgres.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "it belongs to the tests, which use all of it"
)]
mod postgres;

use std::process::ExitCode;

use anyhow::{Result, bail};
use comfy_table::{Table, presets};

use measures::{MEASURES, Row, World};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match bare::asked_for(&arguments) {
        Some(program) => program.run().map(|()| true),
        None => measure(&arguments),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the named measures, or all; whether every target is met.
fn measure(names: &[String]) -> Result<bool> {
    for name in names {
        if !MEASURES.iter().any(|measure| measure.name == name) {
            let known: Vec<&str> = MEASURES.iter().map(|measure| measure.name).collect();
            bail!(
                "there is no measure `{name}`; there are {}",
                known.join(", ")
            );
        }
    }
    let world = World::new()?;
    let mut rows = Vec::new();
    for measure in MEASURES {
        if names.is_empty() || names.iter().any(|name| name == measure.name) {
            eprintln!("{}: {} …", measure.name, measure.what);
            rows.extend((measure.take)(&world)?);
        }
    }
    println!("{}", table(&rows));
    Ok(rows.iter().all(Row::is_met))
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["measure", "figure", "target", "met", "medians"]);
    for row in rows {
        table.add_row(row.cells());
    }
    table
}
