//! The file of a scenario.

use super::expect::Expectations;
use crate::{
    generator::script::Script,
    replay::{check_node_names, faults::Faults},
};
use anyhow::{Context, Result};
use auriga_runtime::config::{RenamedKey, refuse_renamed};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The content of a scenario file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// A sentence or two on what it shows.
    #[serde(default)]
    pub about: String,
    /// What is driven; the shipped drive by default.
    #[serde(default)]
    pub drive: DriveSpec,
    /// How it is run.
    #[serde(default)]
    pub mode: Mode,
    /// Start of the part that is played, in seconds of the drive.
    #[serde(default)]
    pub from_s: f64,
    /// End of that part; the end of the drive by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_s: Option<f64>,
    /// Configuration of nodes over their defaults: node, then dotted key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, BTreeMap<String, String>>,
    /// Faults to inject.
    #[serde(default)]
    pub faults: Faults,
    /// What is expected.
    pub expect: Expectations,
}

/// What is driven.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriveSpec {
    /// A script for the generator, relative to the scenario file; the shipped one by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<PathBuf>,
    /// Folder of a drive or a recording, instead of a script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<PathBuf>,
    /// Fields of the script that are replaced: seed, light, duration_s and so on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub overrides: BTreeMap<String, serde_yaml_ng::Value>,
}

/// How a scenario is run.
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
#[allow(missing_docs)]
pub enum ScenarioError {
    #[error("scenario {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    /// The parser's message names the field, the line and the column.
    #[error("scenario {path}: {source}")]
    Parse { path: PathBuf, source: serde_yaml_ng::Error },
    #[error(transparent)]
    Renamed(#[from] RenamedKey),
    #[error("scenario {path}: {what}")]
    Value { path: PathBuf, what: String },
    #[error("{path}: contains no scenario (*.yaml)")]
    None { path: PathBuf },
}

/// A scenario and its file.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The file.
    pub path: PathBuf,
    /// Its content.
    pub scenario: Scenario,
}

/// Larger files are refused.
const MAX_BYTES: u64 = 1 << 20;

/// Reads scenarios: each path is a file, or a folder whose `*.yaml` files are read in the order of their names.
///
/// # Errors
/// Names the file, and the field or line that is wrong.
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
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, path: &Path) -> Result<Scenario, ScenarioError> {
    if let Ok(file) = serde_yaml_ng::from_str::<serde_yaml_ng::Value>(text) {
        refuse_renamed("scenario", &path.display().to_string(), &file)?;
    }
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
        anyhow::ensure!(!(scripted && self.drive.recorded.is_some()), "drive: script and overrides exclude recorded");
        check_node_names(self.params.keys().map(String::as_str)).context("params")?;
        self.faults.check()?;
        anyhow::ensure!(
            self.mode == Mode::Replay || self.faults.supported_live(),
            "faults: mode live supports only `kill`; use mode: replay"
        );
        self.expect.check().context("expect")
    }
}

impl DriveSpec {
    /// The script of a generated drive, with the overrides. `beside`: folder of the scenario file; `shipped`: the shipped
    /// script.
    ///
    /// # Errors
    /// When the script cannot be used or lacks an overridden field.
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
