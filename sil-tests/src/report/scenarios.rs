//! Results of scenarios: JUnit XML and a page.

use super::page::{Badge, Page, Section};
use crate::scenario::{Mode, Outcome};
use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::path::Path;

/// Name of the JUnit file.
pub const JUNIT: &str = "junit.xml";
/// Name of the page.
pub const PAGE: &str = "index.html";

/// Writes both files into `out`.
///
/// # Errors
/// When a plot cannot be drawn or a file cannot be written.
pub fn write(outcomes: &[Outcome], out: &Path) -> Result<()> {
    let path = out.join(JUNIT);
    std::fs::write(&path, junit(outcomes)?).with_context(|| format!("cannot write {}", path.display()))?;
    page(outcomes)?.write(&out.join(PAGE))
}

/// JUnit XML: a suite for each scenario, a case for each expectation.
///
/// # Errors
/// When it cannot be serialised.
pub fn junit(outcomes: &[Outcome]) -> Result<String> {
    let mut report = Report::new("auriga-sil");
    for outcome in outcomes {
        let name = &outcome.scenario.name;
        let mut suite = TestSuite::new(name.clone());
        suite.set_time(outcome.wall);
        if let Some(why) = outcome.skipped {
            let mut status = TestCaseStatus::skipped();
            status.set_message(why);
            suite.add_test_case(TestCase::new(name.clone(), status));
        }
        if let Some(error) = &outcome.error {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(error.clone());
            suite.add_test_case(TestCase::new("it can be run", status));
        }
        if let Some(verdict) = outcome.unheld(false) {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(verdict.summary());
            suite.add_test_case(TestCase::new("safety budgets held", status));
        }
        for check in &outcome.checks {
            let status = if check.passed {
                TestCaseStatus::success()
            } else {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(check.found.clone());
                status
            };
            let mut case = TestCase::new(check.expected.clone(), status);
            case.set_classname(name.clone());
            if check.passed {
                case.set_system_out(check.found.clone());
            }
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    Ok(report.to_string()?)
}

fn page(outcomes: &[Outcome]) -> Result<Page> {
    let failed = outcomes.iter().filter(|o| o.failed()).count();
    let checks = outcomes.iter().map(|o| o.checks.len()).sum::<usize>();
    let passed = outcomes.iter().flat_map(|o| &o.checks).filter(|c| c.passed).count();
    let skipped = outcomes.iter().filter(|o| o.skipped.is_some()).count();
    let facts = [
        ("scenarios", outcomes.len().to_string()),
        ("failed", failed.to_string()),
        ("skipped", skipped.to_string()),
        ("expectations met", format!("{passed} of {checks}")),
        ("driven", format!("{:.0} s", outcomes.iter().map(|o| o.played_s).sum::<f64>())),
        ("took", format!("{:.0} s", outcomes.iter().map(|o| o.wall.as_secs_f64()).sum::<f64>())),
    ];
    Ok(Page {
        title: "Software in the loop".into(),
        about: "Each scenario is a drive through all nodes, most of them with injected faults.".into(),
        badge: Badge::of(failed == 0, "all passed", &format!("{failed} failed")),
        facts: facts.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        sections: outcomes.iter().map(section).collect::<Result<_>>()?,
    })
}

fn section(outcome: &Outcome) -> Result<Section> {
    let scenario = &outcome.scenario;
    let mut section = Section::new(&scenario.name).with_checks(&outcome.checks);
    section.about = scenario.about.clone();
    section.open = outcome.failed();
    section.badge = Some(match outcome.skipped {
        Some(_) => Badge::neutral("skipped"),
        None => Badge::of(outcome.passed(), "passed", "failed"),
    });
    section.error = outcome.error.clone().or(outcome.skipped.map(Into::into));
    let mode = match scenario.mode {
        Mode::Live => "live, all processes, real time",
        Mode::Replay => "replay, all nodes, log time",
    };
    section.facts = vec![("run".into(), mode.into()), ("driven".into(), format!("{:.1} s", outcome.played_s))];
    if scenario.mode == Mode::Replay && outcome.played_s > 0.0 {
        let speed = outcome.played_s / outcome.wall.as_secs_f64().max(1e-9);
        section.facts.push(("speed".into(), format!("{speed:.1} × real time")));
    }
    if let Some(verdict) = &outcome.verdict {
        section.facts.push(("safety budgets".into(), verdict.standing().label().into()));
    }
    if !scenario.faults.is_empty() {
        section.facts.push(("faults".into(), scenario.faults.describe()));
    }
    match &outcome.run {
        Some(run) => section.with_run(run),
        None => Ok(section),
    }
}
