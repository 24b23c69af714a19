//! The report on a drive, from its recording: as tables for the terminal and as a page.

use super::{
    page::{Badge, Page, Section},
    tables,
};
use crate::{
    analysis::{BudgetResult, DriveRun, is_safety_chain},
    drive::Drive,
};
use anyhow::Result;
use std::path::Path;

/// A report on a drive.
pub struct Report {
    /// Name of the drive.
    pub name: String,
    /// Folder of the vehicle in calibration/.
    pub vehicle: String,
    /// The run.
    pub run: DriveRun,
}

/// Reads a recording. With its `drive`, the full ground truth is known.
///
/// # Errors
/// When the recording or the drive cannot be read.
pub fn from_recording(recording: &Path, drive: Option<&Drive>) -> Result<Report> {
    let run = DriveRun::from_recording(recording, drive)?;
    let info = run.observed.info.clone().unwrap_or_default();
    let stem = || recording.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = if info.name.is_empty() { stem() } else { info.name };
    Ok(Report { name, vehicle: info.vehicle, run })
}

impl Report {
    /// Whether all safety chains that were exercised met their budgets, and no message was lost on a reliable topic.
    pub fn passed(&self) -> bool {
        let exceeded = |s: &auriga_msgs::v1::ChainStats| {
            BudgetResult::of(s) == BudgetResult::Exceeded && is_safety_chain(&s.chain)
        };
        !self.run.observed.chains().iter().any(exceeded) && self.run.observed.lost_reliable() == 0
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
        let fact = |name: &str, value: String| (name.to_owned(), value);
        vec![
            fact("vehicle", self.vehicle.clone()),
            fact("driven", format!("{from_s:.0} s to {to_s:.0} s")),
            fact("run", if *live { "live, in real time".into() } else { "replay, in log time".into() }),
            fact("speech", self.speech_source().into()),
            fact("messages", observed.messages.to_string()),
            fact("lost on reliable topics", observed.lost_reliable().to_string()),
            fact("restarts", if restarts.is_empty() { "none".into() } else { restarts.join(", ") }),
        ]
    }

    /// The report as text.
    pub fn table(&self) -> String {
        let mut text = format!("Drive {}\n", self.name);
        for (name, value) in self.facts() {
            text += &format!("  {name:<24}{value}\n");
        }
        let mut tables = Vec::new();
        if self.run.live {
            tables.push(tables::chains(&self.run));
        }
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
        let badge = match self.run.live {
            true => Badge::of(self.passed(), "safety budgets met", "safety budgets EXCEEDED"),
            false => Badge::neutral("replay"),
        };
        Ok(Page {
            title: format!("Drive {}", self.name),
            about: String::new(),
            badge,
            facts: self.facts(),
            sections: vec![Section::new("The drive").with_run(&self.run)?],
        })
    }
}
