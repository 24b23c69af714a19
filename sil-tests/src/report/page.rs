//! Self-contained HTML pages with plots and tables.

use super::{
    plots,
    tables::{self, Table},
};
use crate::{analysis::DriveRun, scenario::Check};
use anyhow::{Context, Result};
use minijinja::{AutoEscape, Environment, value::Serde};
use serde::Serialize;
use std::path::Path;

const TEMPLATE: &str = include_str!("page.html");

/// A result as a word and a colour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Badge {
    pub text: String,
    /// CSS class: good, bad, neutral.
    pub class: &'static str,
}

impl Badge {
    pub fn of(passed: bool, yes: &str, no: &str) -> Badge {
        match passed {
            true => Badge { text: yes.into(), class: "good" },
            false => Badge { text: no.into(), class: "bad" },
        }
    }
    pub fn neutral(text: &str) -> Badge {
        Badge { text: text.into(), class: "neutral" }
    }
}

/// A page.
#[derive(Debug, Clone, Serialize)]
pub struct Page {
    pub title: String,
    pub about: String,
    pub badge: Badge,
    /// Short figures under the title: name and value.
    pub facts: Vec<(String, String)>,
    pub sections: Vec<Section>,
}

/// A part of a page.
#[derive(Debug, Clone, Serialize)]
pub struct Section {
    pub anchor: String,
    pub title: String,
    pub about: String,
    pub badge: Option<Badge>,
    pub facts: Vec<(String, String)>,
    /// Why the run failed, if it did.
    pub error: Option<String>,
    /// Expectations with their badge.
    pub checks: Vec<(Badge, String, String)>,
    /// Whether plots and tables are unfolded.
    pub open: bool,
    pub figures: Vec<Figure>,
    pub tables: Vec<Table>,
}

/// A group of plots.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    pub title: String,
    pub note: String,
    pub svgs: Vec<String>,
}

impl Section {
    pub fn new(title: &str) -> Section {
        Section {
            anchor: title.replace(' ', "-"),
            title: title.into(),
            about: String::new(),
            badge: None,
            facts: Vec::new(),
            error: None,
            checks: Vec::new(),
            open: true,
            figures: Vec::new(),
            tables: Vec::new(),
        }
    }

    pub fn with_checks(mut self, checks: &[Check]) -> Section {
        let row = |c: &Check| (Badge::of(c.passed, "met", "not met"), c.expected.clone(), c.found.clone());
        self.checks = checks.iter().map(row).collect();
        self
    }

    /// Adds the plots and tables of a run.
    pub fn with_run(mut self, run: &DriveRun) -> Result<Section> {
        let verdict = run.verdict();
        let note = "Wide grey lines: ground truth. Thin blue lines: output of the nodes.";
        let svgs = vec![plots::speed(run)?, plots::time_to_collision(run)?, plots::rows(run)?];
        self.figures.push(Figure { title: "Timeline".into(), note: note.into(), svgs });
        self.figures.push(Figure {
            title: "Lane offset".into(),
            note: "No blue line where no lane is detected.".into(),
            svgs: vec![plots::lane_offset(run)?],
        });
        if run.live && run.observed.chains().iter().any(|s| s.count > 0) {
            self.figures.push(Figure {
                title: "Latencies".into(),
                note: "Bars: median, 99.9th percentile, maximum; the mark is the budget. A star: not a safety chain."
                    .into(),
                svgs: vec![plots::chains(&run.observed)?],
            });
            self.tables.push(tables::chains(&verdict));
        }
        self.tables.push(tables::topics(&verdict));
        self.tables.push(tables::reactions(run));
        if !run.observed.utterances.is_empty() {
            self.tables.push(tables::dialogue(run));
        }
        let faults = tables::faults(run);
        if !faults.rows.is_empty() {
            self.tables.push(faults);
        }
        Ok(self)
    }
}

impl Page {
    /// The page as HTML.
    pub fn html(&self) -> Result<String> {
        let mut environment = Environment::new();
        // Texts come from files and from speech and are escaped; only plots are not.
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.add_template("page.html", TEMPLATE).context("the page's template")?;
        Ok(environment.get_template("page.html")?.render(Serde(self))?)
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).with_context(|| format!("the folder of {}", path.display()))?;
        }
        std::fs::write(path, self.html()?).with_context(|| format!("cannot write {}", path.display()))
    }
}
