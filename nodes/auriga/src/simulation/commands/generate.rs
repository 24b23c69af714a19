//! `auriga generate`.

use crate::{
    output::print,
    simulation::progress::{progress_bar, show_fraction},
};
use auriga_sil::{drive::Drive, generator};
use std::{path::PathBuf, process::ExitCode, time::Instant};

/// Generate a drive from a script: camera video, CAN log, cabin sound and ground truth.
#[derive(Debug, clap::Args)]
pub struct Generate {
    /// The script (YAML), such as sil-tests/drive.yaml.
    script: PathBuf,
    /// Folder of the drive; files of an earlier drive in it are replaced.
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
        print(format_args!("{folder}: {seconds:.0} s of driving generated in {:.0} s", began.elapsed().as_secs_f64()));
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
