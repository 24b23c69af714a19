//! The command line: its commands, one module each; those that need the simulation are in `simulation/commands`.

mod check;
mod explain;
mod launch;
#[cfg(not(feature = "simulation"))]
mod left_out;
mod top;
mod vehicle;

#[cfg(feature = "simulation")]
use crate::simulation::commands::{drive, generate, replay, sil};
use clap::{Parser, Subcommand};
use std::{io::IsTerminal, process::ExitCode};

/// In-vehicle AR middleware: camera, CAN and cabin speech are fused into one scene, safety work takes precedence over
/// the language model, and a head-up display shows the result.
#[derive(Debug, Parser)]
#[command(name = "auriga", version, max_term_width = 100)]
pub struct Auriga {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Launch(launch::Launch),
    Top(top::Top),
    Explain(explain::Explain),
    Check(check::Check),
    Vehicle(vehicle::Vehicle),
    #[cfg(feature = "simulation")]
    Drive(Box<drive::Drive>),
    #[cfg(feature = "simulation")]
    Replay(replay::Replay),
    #[cfg(feature = "simulation")]
    Sil(sil::Sil),
    #[cfg(feature = "simulation")]
    Generate(generate::Generate),
    #[cfg(not(feature = "simulation"))]
    #[command(flatten)]
    LeftOut(left_out::LeftOut),
}

impl Auriga {
    /// Runs the command and returns the exit code of the process.
    ///
    /// # Errors
    /// Those of the command, and a `RUST_LOG` that is no filter.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        // Warnings and errors of libraries; RUST_LOG sets the filter.
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
            Command::Top(command) => command.run(),
            Command::Explain(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Vehicle(command) => command.run(),
            #[cfg(feature = "simulation")]
            Command::Drive(command) => command.run(),
            #[cfg(feature = "simulation")]
            Command::Replay(command) => command.run(),
            #[cfg(feature = "simulation")]
            Command::Sil(command) => command.run(),
            #[cfg(feature = "simulation")]
            Command::Generate(command) => command.run(),
            #[cfg(not(feature = "simulation"))]
            Command::LeftOut(command) => command.run(),
        }
    }
}
