//! The file of a scenario.

use super::expect::Expectations;
use crate::{
    generator::script::Script,
    replay::{check_node_names, faults::Faults},
};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// A scenario's file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    /// A sentence or two on what it shows.
    #[serde(default)]
    pub about: String,
    #[serde(default)]
    pub drive: DriveSpec,
    #[serde(default)]
    pub mode: Mode,
    /// The part of the drive that is played; all of it unless told.
    #[serde(default)]
    pub from_s: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_s: Option<f64>,
    /// Configuration of nodes over their defaults: node, then dotted field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    pub faults: Faults,
    pub expect: Expectations,
}

/// What is driven.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriveSpec {
    /// A script for the generator, beside the scenario; the shipped one unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<PathBuf>,
    /// A drive's folder or a recording, instead of a script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<PathBuf>,
    /// Fields of the script that are other than in its file: seed, light, duration_s and so on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub overrides: BTreeMap<String, serde_yaml_ng::Value>,
}

/// How it is played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// All state machines in one process, in log time.
    #[default]
    Replay,
    /// All processes, in real time.
    Live,
}

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    #[error("scenario {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    /// The parser's message names the field, the line and the column.
    #[error("scenario {path}: {source}")]
    Parse { path: PathBuf, source: serde_yaml_ng::Error },
    #[error("scenario {path}: {what}")]
    Value { path: PathBuf, what: String },
    #[error("{path}: no scenario (*.yaml) there")]
    None { path: PathBuf },
}

/// A scenario and the file it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    pub path: PathBuf,
    pub scenario: Scenario,
}

/// Larger files are no scenarios.
const MAX_BYTES: u64 = 1 << 20;

/// Reads scenarios: each path a file, or a folder of which all `*.yaml` are taken in the order of their names.
pub fn load(paths: &[PathBuf]) -> Result<Vec<Loaded>, ScenarioError> {
    let mut all = Vec::new();
    for path in paths {
        let before = all.len();
        for file in files(path)? {
            let read = |source| ScenarioError::Read { path: file.clone(), source };
            if std::fs::metadata(&file).map_err(read)?.len() > MAX_BYTES {
                return Err(ScenarioError::Value { path: file, what: format!("larger than {MAX_BYTES} bytes") });
            }
            let text = std::fs::read_to_string(&file).map_err(read)?;
            all.push(Loaded { scenario: parse(&text, &file)?, path: file });
        }
        if all.len() == before {
            return Err(ScenarioError::None { path: path.clone() });
        }
    }
    Ok(all)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, ScenarioError> {
    let read = |source| ScenarioError::Read { path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(read)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(read)? {
        let file = entry.map_err(read)?.path();
        if file.extension().is_some_and(|e| e == "yaml") && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads a scenario from text; `path` is for messages.
pub fn parse(text: &str, path: &Path) -> Result<Scenario, ScenarioError> {
    let scenario: Scenario =
        serde_yaml_ng::from_str(text).map_err(|source| ScenarioError::Parse { path: path.to_owned(), source })?;
    let wrong = |e: anyhow::Error| ScenarioError::Value { path: path.to_owned(), what: format!("{e:#}") };
    scenario.check().map_err(wrong)?;
    Ok(scenario)
}

impl Scenario {
    fn check(&self) -> Result<()> {
        let plain = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        anyhow::ensure!(plain(&self.name), "name {:?}: expected letters, digits, '-', '_', '.'", self.name);
        let to_s = self.to_s.unwrap_or(f64::INFINITY);
        anyhow::ensure!(
            self.from_s >= 0.0 && to_s > self.from_s,
            "from_s {} and to_s {to_s}: expected 0 <= from_s < to_s",
            self.from_s
        );
        let scripted = self.drive.script.is_some() || !self.drive.overrides.is_empty();
        anyhow::ensure!(!(scripted && self.drive.recorded.is_some()), "drive: either a script or recorded, not both");
        check_node_names(self.params.keys().map(String::as_str)).context("params")?;
        self.faults.check()?;
        anyhow::ensure!(
            self.mode == Mode::Replay || self.faults.are_live(),
            "faults: of a live drive only `kill` can be had; use mode: replay"
        );
        self.expect.check().context("expect")
    }
}

impl DriveSpec {
    /// The script of a generated drive, with what is other in this scenario. `beside`: the scenario's folder.
    pub fn script(&self, beside: &Path, shipped: &Path) -> Result<Script> {
        let path = self.script.as_ref().map_or(shipped.to_owned(), |s| beside.join(s));
        if self.overrides.is_empty() {
            return Ok(Script::load(&path)?);
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("drive script {}", path.display()))?;
        let mut script: serde_yaml_ng::Mapping = serde_yaml_ng::from_str(&text)?;
        for (key, value) in &self.overrides {
            let slot = script.get_mut(key.as_str());
            let slot = slot.with_context(|| format!("drive.overrides: {} has no field {key}", path.display()))?;
            *slot = value.clone();
        }
        Ok(Script::parse(&serde_yaml_ng::to_string(&script)?, &path)?)
    }
}
