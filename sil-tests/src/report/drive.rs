//! The report on a drive, from its recording: as a table for the terminal and as a page.

use super::{
    page::{Badge, Page, Section},
    tables,
};
use crate::{
    analysis::{Verdict, View, is_safety_chain},
    drive::Drive,
};
use anyhow::Result;
use std::path::Path;

/// A report.
pub struct Report {
    pub name: String,
    pub vehicle: String,
    pub view: View,
}

/// Reads a recording. With the `drive` it was made of, its truth is known in full.
pub fn from_recording(recording: &Path, drive: Option<&Drive>) -> Result<Report> {
    let view = View::of_recording(recording, drive)?;
    let info = view.observed.info.clone().unwrap_or_default();
    let stem = || recording.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = if info.name.is_empty() { stem() } else { info.name };
    Ok(Report { name, vehicle: info.vehicle, view })
}

impl Report {
    /// Whether no safety chain that was exercised broke its budget and nothing reliable was lost.
    pub fn sound(&self) -> bool {
        let broken = |s: &auriga_msgs::v1::ChainStats| Verdict::of(s) == Verdict::NotHeld && is_safety_chain(&s.chain);
        !self.view.observed.chains().iter().any(broken) && self.view.observed.lost_reliable() == 0
    }

    fn speech_source(&self) -> &'static str {
        let observed = &self.view.observed;
        match (observed.utterances.is_empty(), observed.transcript_track()) {
            (true, _) => "nothing said, or speech not recorded",
            (_, true) => "TRANSCRIPT TRACK (not recognised)",
            (_, false) => "recognised",
        }
    }

    fn facts(&self) -> Vec<(String, String)> {
        let View { observed, from_s, to_s, live, .. } = &self.view;
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

    /// For the terminal.
    pub fn table(&self) -> String {
        let mut text = format!("Drive {}\n", self.name);
        for (name, value) in self.facts() {
            text += &format!("  {name:<24}{value}\n");
        }
        let mut tables = Vec::new();
        if self.view.live {
            tables.push(tables::chains(&self.view));
        }
        tables.push(tables::reactions(&self.view));
        tables.push(tables::dialogue(&self.view));
        tables.push(tables::faults(&self.view));
        for table in tables {
            text += "\n";
            text += &table.plain();
            if !table.note.is_empty() {
                text += &format!("  {}\n", table.note);
            }
        }
        if !self.view.live {
            text += "\nLatencies are not told: in replay time stands still while the nodes work.\n";
        }
        text
    }

    /// As a page that needs nothing besides itself.
    pub fn html(&self) -> Result<String> {
        self.page()?.html()
    }

    pub fn write_html(&self, path: &Path) -> Result<()> {
        self.page()?.write(path)
    }

    fn page(&self) -> Result<Page> {
        let badge = match self.view.live {
            true => Badge::of(self.sound(), "safety budgets held", "safety budgets NOT held"),
            false => Badge::calm("replay"),
        };
        Ok(Page {
            title: format!("Drive {}", self.name),
            about: String::new(),
            badge,
            facts: self.facts(),
            sections: vec![Section::new("The drive").with_view(&self.view)?],
        })
    }
}
