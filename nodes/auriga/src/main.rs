//! The `auriga` command.

use auriga::cli::Auriga;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    Auriga::parse().run().unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
