//! The command line: its commands, one module each; those that need the simulation are in `simulation/commands`.

mod explain;
mod launch;
mod top;

use crate::simulation::commands::{drive, generate, replay, sil};
use clap::{Parser, Subcommand};
use std::{io::IsTerminal, process::ExitCode};

/// Middleware of a car: camera, CAN and cabin speech become one scene, a language model gives way to safety, and a
/// head-up display shows it.
#[derive(Debug, Parser)]
#[command(name = "auriga", version, max_term_width = 100)]
pub struct Auriga {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Launch(launch::Launch),
    Drive(Box<drive::Drive>),
    Replay(replay::Replay),
    Sil(sil::Sil),
    Generate(generate::Generate),
    Explain(explain::Explain),
    Top(top::Top),
}

impl Auriga {
    /// Carries the command out; the code is the process's.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        // What goes wrong beside the command's own errors; RUST_LOG says how much of it.
        let filter = tracing_subscriber::EnvFilter::builder()
            .with_default_directive(tracing::level_filters::LevelFilter::WARN.into())
            .from_env_lossy()
            .add_directive("zenoh=error".parse()?);
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_target(false)
            .without_time()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .init();
        match self.command {
            Command::Launch(command) => command.run(),
            Command::Drive(command) => command.run(),
            Command::Replay(command) => command.run(),
            Command::Sil(command) => command.run(),
            Command::Generate(command) => command.run(),
            Command::Explain(command) => command.run(),
            Command::Top(command) => command.run(),
        }
    }
}
