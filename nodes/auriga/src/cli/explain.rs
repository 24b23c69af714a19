//! `auriga explain`.

use crate::output::print;
use anyhow::ensure;
use auriga_arbiter::explain;
use auriga_msgs::{Any, v1};
use auriga_recorder::mcap_file::Reader;
use auriga_runtime::Nanos;
use std::{path::PathBuf, process::ExitCode, sync::Arc};

/// Show what the arbiter decided in a recording, and why.
#[derive(Debug, clap::Args)]
pub struct Explain {
    /// The recording (MCAP).
    recording: PathBuf,
    /// The decision in force at this second of the drive; without it, every decision that changed something.
    #[arg(long, value_name = "SECONDS")]
    at: Option<f64>,
    /// Also show renewals, which change nothing.
    #[arg(long)]
    all: bool,
}

impl Explain {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let reader = Reader::open(&self.recording)?;
        let start = reader.drive_info().map(|info| Nanos(info.start_ns)).or(reader.start()).unwrap_or_default();
        let mut decisions = 0_u64;
        let mut last: Option<Arc<v1::Grants>> = None;
        let name = self.recording.display();
        for (time, any) in reader.readable(|damage| eprintln!("warning: {name}: {damage}")) {
            let Any::ArbiterGrants(grants) = any else { continue };
            decisions += 1;
            if let Some(at) = self.at {
                if time > start + std::time::Duration::from_secs_f64(at.max(0.0)) {
                    break;
                }
                last = Some(grants);
            } else if grants.switched || self.all {
                print(describe(&grants, start));
            }
        }
        ensure!(decisions > 0, "{}: no arbiter/grants in this recording", self.recording.display());
        if let Some(at) = self.at {
            match last {
                Some(grants) => print(describe(&grants, start)),
                None => print(format_args!("no decision before {at} s")),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The decision in words, with times in seconds from the start of the drive.
fn describe(grants: &v1::Grants, start: Nanos) -> String {
    let mut grants = grants.clone();
    let relative = |ns: &mut u64| *ns = ns.saturating_sub(start.0);
    if let Some(header) = &mut grants.header {
        relative(&mut header.stamp_ns);
        relative(&mut header.published_ns);
    }
    grants.grants.iter_mut().for_each(|grant| relative(&mut grant.lease_end_ns));
    explain(&grants)
}
