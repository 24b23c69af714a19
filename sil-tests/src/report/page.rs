//! Pages for people: one self-contained HTML file with its drawings in it, for scenarios and for reports alike.

use super::{
    plots,
    tables::{self, Table},
};
use crate::{analysis::View, scenario::Check};
use anyhow::{Context, Result};
use minijinja::{AutoEscape, Environment, value::Serde};
use serde::Serialize;
use std::path::Path;

const TEMPLATE: &str = include_str!("page.html");

/// How something went, in a word and a colour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Badge {
    pub text: String,
    /// A class of the page's style: good, bad, calm.
    pub class: &'static str,
}

impl Badge {
    pub fn of(passed: bool, yes: &str, no: &str) -> Badge {
        match passed {
            true => Badge { text: yes.into(), class: "good" },
            false => Badge { text: no.into(), class: "bad" },
        }
    }
    pub fn calm(text: &str) -> Badge {
        Badge { text: text.into(), class: "calm" }
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
    /// What went wrong with the whole, if it did.
    pub error: Option<String>,
    /// Expectations with their badge.
    pub checks: Vec<(Badge, String, String)>,
    /// Drawings and tables are shown at once and not only when asked for.
    pub open: bool,
    pub figures: Vec<Figure>,
    pub tables: Vec<Table>,
}

/// A drawing.
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
        let row = |c: &Check| (Badge::of(c.passed, "seen", "not so"), c.expected.clone(), c.found.clone());
        self.checks = checks.iter().map(row).collect();
        self
    }

    /// The drawings and tables of a run.
    pub fn with_view(mut self, view: &View) -> Result<Section> {
        let note = "Broad and grey: the truth. Thin and blue: what the nodes made of the sensors.";
        let svgs = vec![plots::speed(view)?, plots::time_to_collision(view)?, plots::rows(view)?];
        self.figures.push(Figure { title: "What happened".into(), note: note.into(), svgs });
        self.figures.push(Figure {
            title: "Place in the lane".into(),
            note: "Where no lane is detected there is no blue line.".into(),
            svgs: vec![plots::lane_offset(view)?],
        });
        if view.live && view.observed.chains().iter().any(|s| s.count > 0) {
            self.figures.push(Figure {
                title: "Latencies".into(),
                note:
                    "Bars to the median, the 99.9th percentile and the largest; the mark is the budget. A star: not a \
                       safety chain."
                        .into(),
                svgs: vec![plots::chains(&view.observed)?],
            });
            self.tables.push(tables::chains(view));
        }
        self.tables.push(tables::reactions(view));
        if !view.observed.utterances.is_empty() {
            self.tables.push(tables::dialogue(view));
        }
        let faults = tables::faults(view);
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
        // Texts come from files and from speech: all of them are escaped, drawings alone are not.
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
