//! `auriga sil`.

use crate::{
    output::print,
    simulation::{
        live::LaunchRunner,
        progress::{progress_bar, show_fraction},
        verdict::{NOT_HELD, SIL_EXIT_CODES},
    },
};
use anyhow::ensure;
use auriga_sil::{
    replay::find_root,
    report,
    scenario::{self, RunOptions},
};
use std::{collections::BTreeSet, path::PathBuf, process::ExitCode};

/// Run scenarios and check their expectations.
///
/// Results are written as JUnit XML (junit.xml) and as a page (index.html). A scenario without injected faults must hold the
/// safety budgets, whatever else it expects.
#[derive(Debug, clap::Args)]
#[command(after_help = SIL_EXIT_CODES, after_long_help = SIL_EXIT_CODES)]
pub struct Sil {
    /// Scenarios (YAML), or folders of them.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Folder for the results.
    #[arg(long, default_value = "out/sil", value_name = "DIR")]
    out: PathBuf,
    /// Run only scenarios whose name contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Skip scenarios that run all processes in real time.
    #[arg(long)]
    no_live: bool,
    /// Fail also where this machine cannot hold a safety budget, or the recording does not show it.
    #[arg(long)]
    strict: bool,
    /// First port of the nodes of live scenarios.
    #[arg(long, env = "AURIGA_BASE_PORT", default_value_t = 17440)]
    base_port: u16,
}

impl Sil {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut scenarios = scenario::load(&self.paths)?;
        if let Some(filter) = &self.filter {
            scenarios.retain(|loaded| loaded.scenario.name.contains(filter.as_str()));
            ensure!(!scenarios.is_empty(), "no scenario name contains {filter:?}");
        }
        let bar = progress_bar("scenarios");
        let mut shown = BTreeSet::new();
        let mut runner = LaunchRunner { base_port: self.base_port };
        let mut options = RunOptions {
            out: self.out.clone(),
            drives: "out/drives".into(),
            root: find_root()?,
            live: if self.no_live { None } else { Some(&mut runner) },
            progress: &mut |what, fraction| {
                // Several are run at a time.
                if shown.insert(what.to_owned()) {
                    bar.set_message(what.to_owned());
                    if bar.is_hidden() {
                        eprintln!("{what}");
                    }
                }
                show_fraction(&bar, fraction);
            },
        };
        let outcomes = scenario::run(&scenarios, &mut options)?;
        report::scenarios::write(&outcomes, &self.out)?;
        bar.finish_and_clear();
        let unheld = |outcome: &scenario::Outcome| outcome.unheld(self.strict).cloned();
        for (outcome, verdict) in outcomes.iter().filter_map(|outcome| Some((outcome, unheld(outcome)?))) {
            print(format_args!("{}: {}", outcome.scenario.name, verdict.summary()));
        }
        for outcome in &outcomes {
            let passed = outcome.passed() && unheld(outcome).is_none();
            let result = match (outcome.skipped, passed) {
                (Some(_), _) => "skipped",
                (None, true) => "passed",
                (None, false) => "FAILED",
            };
            let (name, wall) = (&outcome.scenario.name, outcome.wall.as_secs_f64());
            print(format_args!("{result:<9} {name:<44} {:6.1} s driven in {wall:6.1} s", outcome.played_s));
            let failed = outcome.checks.iter().filter(|check| !check.passed);
            failed
                .for_each(|check| print(format_args!("          expected {}, found {}", check.expected, check.found)));
            outcome.error.iter().for_each(|why| print(format_args!("          {why}")));
            outcome.skipped.iter().for_each(|why| print(format_args!("          {why}")));
        }
        let skipped = outcomes.iter().filter(|outcome| outcome.skipped.is_some()).count();
        let failed = outcomes.iter().filter(|o| o.failed() || unheld(o).is_some()).count();
        let passed = outcomes.len() - skipped - failed;
        print(format_args!("{passed} passed, {failed} failed, {skipped} skipped"));
        print(format_args!("results    {}", self.out.join("index.html").display()));
        // 3 says that nothing but safety budgets is wrong.
        let other = outcomes.iter().any(|o| o.error.is_some() || o.checks.iter().any(|check| !check.passed));
        Ok(match failed {
            0 => ExitCode::SUCCESS,
            _ if other => ExitCode::FAILURE,
            _ => ExitCode::from(NOT_HELD),
        })
    }
}
