//! `auriga check`.

use crate::{
    launch::{Host, LocalHost},
    output::print,
};
use anyhow::Context;
use auriga_arbiter::table::{
    WorkloadTable,
    admission::{self, explain, machine::Machine},
};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Analyse the timing of a workload table on this machine, without starting anything.
///
/// The exit code is 1 when the table is not admitted or this machine cannot run it as it was analysed.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// The workload table; default: launch/workloads.toml here, or the installed one.
    table: Option<PathBuf>,
    /// Show what activates what, the terms of each thread, each step of each chain, and the slack.
    #[arg(long)]
    explain: bool,
    /// The table alone, not this machine.
    #[arg(long)]
    no_machine: bool,
    /// Where /proc and /sys are.
    #[arg(long, default_value = "/", hide = true)]
    root: PathBuf,
}

impl Check {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let path = self.table.map_or_else(shipped, Ok)?;
        let table = WorkloadTable::load(&path)?;
        let (admission, mut refusals) = admission::analyse(&table)?;
        let text = if self.explain { explain::all(&table, &admission) } else { explain::chains(&admission) };
        print(text.trim_end());
        if !self.no_machine {
            let machine = Machine::read(&self.root);
            print(explain::machine(&machine).trim_end());
            for warning in machine.warnings(&table, &admission) {
                print(format_args!("warning: {warning}"));
            }
            refusals.extend(machine.refusals(&table, &admission));
        }
        if refusals.is_empty() {
            print(format_args!("{}: admitted", path.display()));
            return Ok(ExitCode::SUCCESS);
        }
        print(explain::refusals(&refusals).trim_end());
        Ok(ExitCode::FAILURE)
    }
}

fn shipped() -> anyhow::Result<PathBuf> {
    let here = Path::new("launch/workloads.toml");
    if here.is_file() {
        return Ok(here.to_owned());
    }
    let share = LocalHost::new().package_share("auriga");
    share
        .map(|share| share.join(here))
        .filter(|path| path.is_file())
        .context("there is no launch/workloads.toml here and none is installed; give the workload table as an argument")
}
