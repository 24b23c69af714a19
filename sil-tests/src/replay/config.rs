//! Configuration of the nodes of a replay: their commented defaults, with paths below the repository and of the drive's
//! vehicle.

use anyhow::{Context, Result};
use auriga_runtime::config::{self, Args};
use serde::de::DeserializeOwned;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use toml::Value;

/// A parameter of a node's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// The node.
    pub node: String,
    /// Dotted key.
    pub key: String,
    /// Its value, as TOML or plain text.
    pub value: String,
}

/// The nodes that can be replayed, in the order of the node table. The replay itself takes the place of the recorder.
pub const NODES: [&str; 9] =
    ["camera", "can", "speech", "perception", "fusion", "language", "arbiter", "hud", "monitor"];

/// Folders of the repository that defaults name.
const FOLDERS: [&str; 4] = [".native/", "calibration/", "launch/", "models/"];
/// The vehicle that defaults name.
const DEFAULT_VEHICLE: &str = "auriga-demo";

/// The folder with calibration/, launch/ and models/: at or above the working directory or the executable.
///
/// # Errors
/// When there is none.
pub fn find_root() -> Result<PathBuf> {
    let here = std::env::current_dir().context("the working directory")?;
    let executable = std::env::current_exe().unwrap_or_default();
    let mut candidates = here.ancestors().chain(executable.ancestors());
    let root = candidates.find(|f| f.join("calibration").is_dir() && f.join("launch").is_dir());
    root.map(Path::to_owned).with_context(|| {
        format!("no folder with calibration/ and launch/ at or above {}; run from the repository", here.display())
    })
}

/// Whether a replay of files recognises speech: there is a usable model. Otherwise the transcript track is used.
pub(super) fn recognises(root: &Path, params: &[Param]) -> Result<bool> {
    let config: auriga_speech::Config = load("speech", auriga_speech::DEFAULTS, root, DEFAULT_VEHICLE, params)?;
    Ok(!config.model.as_os_str().is_empty() && auriga_speech::recognition::model::check(&config.model).is_ok())
}

pub(super) fn load<C: DeserializeOwned>(
    node: &str,
    defaults: &str,
    root: &Path,
    vehicle: &str,
    params: &[Param],
) -> Result<C> {
    let own = params.iter().filter(|p| p.node == node).map(|p| (p.key.clone(), p.value.clone()));
    let mut params = paths(defaults, root, vehicle)?;
    params.extend(own);
    Ok(config::load(defaults, &Args { params, ..Default::default() })?.0)
}

/// Paths that defaults name are relative to the repository and of its demonstration vehicle.
fn paths(defaults: &str, root: &Path, vehicle: &str) -> Result<Vec<(String, String)>> {
    let table = config::effective(defaults, &Args::default())?;
    let mut found = Vec::new();
    for (key, value) in table.into_iter().filter(|(key, _)| key != "runtime") {
        strings(key, value, &mut found);
    }
    let (default, vehicle) = [DEFAULT_VEHICLE, vehicle].map(|name| format!("calibration/{name}/")).into();
    let absolute = |text: String| root.join(text.replace(&default, &vehicle)).display().to_string();
    let paths = found.into_iter().filter(|(_, text)| FOLDERS.iter().any(|f| text.starts_with(f)));
    Ok(paths.map(|(key, text)| (key, absolute(text))).collect())
}

/// All strings of a configuration, by their dotted keys.
fn strings(key: String, value: Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.push((key, text)),
        Value::Table(table) => table.into_iter().for_each(|(k, v)| strings(format!("{key}.{k}"), v, found)),
        _ => {}
    }
}

/// Checks names of nodes in a file.
pub(crate) fn check_node_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<()> {
    let known: BTreeSet<&str> = NODES.into_iter().collect();
    for name in names {
        anyhow::ensure!(known.contains(name), "node {name:?}: expected one of {}", NODES.join(", "));
    }
    Ok(())
}
