//! The report on a drive, from its recording: as tables for the terminal and as a page.

use super::{
    page::{Badge, Page, Section},
    tables,
};
use crate::{
    analysis::{DriveRun, Known, Standing, Verdict, describe_spans},
    drive::Drive,
};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Damages that are listed one by one.
const MAX_DAMAGE: usize = 5;

fn or_nothing(text: String) -> String {
    if text.is_empty() { "nothing".into() } else { text }
}

/// A report on a drive.
pub struct Report {
    /// Name of the drive.
    pub name: String,
    /// Folder of the vehicle in calibration/.
    pub vehicle: String,
    /// The run.
    pub run: DriveRun,
    /// Whether it held the safety budgets.
    pub verdict: Verdict,
}

/// Reads a recording. With its `drive`, the full ground truth is known.
///
/// # Errors
/// When the recording or the drive cannot be read.
pub fn from_recording(recording: &Path, drive: Option<&Drive>) -> Result<Report> {
    Ok(Report::of(DriveRun::from_recording(recording, drive)?, recording))
}

/// Reads the recording of one run from all of its files, as [`DriveRun::from_files`].
///
/// # Errors
/// When none of the files holds a message, or the drive cannot be read.
pub fn from_files(files: &[PathBuf], drive: Option<&Drive>, known: Known) -> Result<Report> {
    let name = files.first().map_or(Path::new(""), PathBuf::as_path).to_owned();
    Ok(Report::of(DriveRun::from_files(files, drive, known)?, &name))
}

impl Report {
    fn of(run: DriveRun, recording: &Path) -> Report {
        let info = run.observed.info.clone().unwrap_or_default();
        let stem = || recording.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let name = if info.name.is_empty() { stem() } else { info.name };
        Report { name, vehicle: info.vehicle, verdict: run.verdict(), run }
    }

    /// Whether the safety budgets were held, as far as the machine allows and the recording shows.
    pub fn passed(&self) -> bool {
        !self.verdict.fails(false)
    }

    fn speech_source(&self) -> &'static str {
        let observed = &self.run.observed;
        match (observed.utterances.is_empty(), observed.transcript_track()) {
            (true, _) => "no utterances, or speech not recorded",
            (_, true) => "TRANSCRIPT TRACK (not recognised)",
            (_, false) => "recognised",
        }
    }

    fn facts(&self) -> Vec<(String, String)> {
        let DriveRun { observed, from_s, to_s, live, .. } = &self.run;
        let restarts: Vec<String> = observed.restarts.iter().map(|r| format!("{} at {:.1} s", r.node, r.t_s)).collect();
        let floor = self.run.floor.as_ref().map_or("not measured".into(), |floor| floor.describe());
        let fact = |name: &str, value: String| (name.to_owned(), value);
        vec![
            fact("vehicle", self.vehicle.clone()),
            fact("verdict", self.verdict.standing().label().into()),
            fact("driven", format!("{from_s:.0} s to {to_s:.0} s")),
            fact("not recorded", or_nothing(describe_spans(&self.verdict.unrecorded))),
            fact("damage", or_nothing(self.damage())),
            fact("machine's wake-up", floor),
            fact("run", if *live { "live, in real time".into() } else { "replay, in log time".into() }),
            fact("speech", self.speech_source().into()),
            fact("messages", observed.messages.to_string()),
            fact("lost on reliable topics", observed.lost_reliable().to_string()),
            fact("restarts", if restarts.is_empty() { "none".into() } else { restarts.join(", ") }),
        ]
    }

    fn damage(&self) -> String {
        let damage = &self.run.damage;
        let more = damage.len().saturating_sub(MAX_DAMAGE);
        let mut text = damage.iter().take(MAX_DAMAGE).cloned().collect::<Vec<_>>().join("; ");
        if more > 0 {
            text += &format!("; and {more} more");
        }
        text
    }

    /// The report as text, the verdict first.
    pub fn table(&self) -> String {
        let mut text = format!("{}\n\nDrive {}\n", self.verdict.summary(), self.name);
        for (name, value) in self.facts() {
            text += &format!("  {name:<24}{value}\n");
        }
        let mut tables = Vec::new();
        if self.run.live {
            tables.push(tables::chains(&self.verdict));
        }
        tables.push(tables::topics(&self.verdict));
        tables.push(tables::reactions(&self.run));
        tables.push(tables::dialogue(&self.run));
        tables.push(tables::faults(&self.run));
        for table in tables {
            text += "\n";
            text += &table.plain();
            if !table.note.is_empty() {
                text += &format!("  {}\n", table.note);
            }
        }
        if !self.run.live {
            text += "\nNo latencies: in a replay, time stands still while the nodes compute.\n";
        }
        text
    }

    /// The report as a self-contained page.
    ///
    /// # Errors
    /// When a plot cannot be drawn.
    pub fn html(&self) -> Result<String> {
        self.page()?.html()
    }

    /// Writes the page.
    ///
    /// # Errors
    /// When a plot cannot be drawn or the file cannot be written.
    pub fn write_html(&self, path: &Path) -> Result<()> {
        self.page()?.write(path)
    }

    fn page(&self) -> Result<Page> {
        let badge = match self.verdict.standing() {
            Standing::NotHeld => Badge::of(false, "", "safety budgets NOT HELD"),
            Standing::Held => Badge::of(true, "safety budgets held", ""),
            other => Badge::neutral(other.label()),
        };
        Ok(Page {
            title: format!("Drive {}", self.name),
            about: self.verdict.summary(),
            badge,
            facts: self.facts(),
            sections: vec![Section::new("The drive").with_run(&self.run)?],
        })
    }
}
