//! Commands that this build leaves out.

use anyhow::bail;
use clap::Subcommand;
use std::{ffi::OsString, process::ExitCode};

/// The commands of the feature `simulation`, so that they are named in the help and answered with the way to get them.
#[derive(Debug, Subcommand)]
pub enum LeftOut {
    /// Left out of this build (feature `simulation`).
    Drive(Ignored),
    /// Left out of this build (feature `simulation`).
    Replay(Ignored),
    /// Left out of this build (feature `simulation`).
    Sil(Ignored),
    /// Left out of this build (feature `simulation`).
    Generate(Ignored),
}

/// Any arguments.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Ignored {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _arguments: Vec<OsString>,
}

impl LeftOut {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let name = match self {
            LeftOut::Drive(_) => "drive",
            LeftOut::Replay(_) => "replay",
            LeftOut::Sil(_) => "sil",
            LeftOut::Generate(_) => "generate",
        };
        bail!(
            "this auriga was built without the feature `simulation`, which the command `{name}` needs; build it with the \
             default features: cargo build --release -p auriga"
        )
    }
}
