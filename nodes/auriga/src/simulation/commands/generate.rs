//! `auriga generate`.

use crate::{
    output::print,
    simulation::progress::{progress_bar, show_fraction},
};
use auriga_sil::{drive::Drive, generator};
use std::{path::PathBuf, process::ExitCode, time::Instant};

/// Make a drive from a script: camera, bus, cabin sound and the truth behind them.
#[derive(Debug, clap::Args)]
pub struct Generate {
    /// The script (YAML), such as sil-tests/drive.yaml.
    script: PathBuf,
    /// The drive's folder; what is in it of an earlier drive is replaced.
    out: PathBuf,
}

impl Generate {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let began = Instant::now();
        let bar = progress_bar("generating");
        generator::generate(&self.script, &self.out, &mut |fraction| show_fraction(&bar, fraction))?;
        bar.finish_and_clear();
        let drive = Drive::open(&self.out)?;
        let (folder, seconds) = (self.out.display(), drive.manifest.duration_s);
        print(format_args!("{folder}: {seconds:.0} s of driving made in {:.0} s", began.elapsed().as_secs_f64()));
        for event in &drive.manifest.events {
            print(format_args!(
                "{:7.2} to {:6.2} s  {:18} {:.2}",
                event.start_s,
                event.end_s,
                event.kind.name(),
                event.value
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}
