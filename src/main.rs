//! The program. Everything it does is in the library, so that others can build theirs around it; see
//! `examples/custom_platform.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    publisher::cli::main()
}
