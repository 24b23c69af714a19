//! The nodes of a replay, from their commented defaults and the drive's vehicle, as a launch makes them.

use super::{Options, sources::Input};
use anyhow::{Context, Result, bail};
use auriga_runtime::{
    Nanos, Node, Replay, ReplayControl,
    config::{self, Args},
};
use serde::de::DeserializeOwned;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::Value;

/// One field of a node's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    pub node: String,
    pub key: String,
    pub value: String,
}

/// The nodes that can be replayed, in the order of the table. (The recorder is the replay's own output.)
pub const NODES: [&str; 9] =
    ["camera", "can", "speech", "perception", "fusion", "language", "arbiter", "hud", "monitor"];

/// Folders of the repository that defaults name.
const FOLDERS: [&str; 4] = [".native/", "calibration/", "launch/", "models/"];
/// The vehicle that defaults name.
const DEFAULT_VEHICLE: &str = "auriga-demo";

/// The folder with calibration/, launch/ and models/: above the working directory or the executable.
pub fn find_root() -> Result<PathBuf> {
    let here = std::env::current_dir().context("the working directory")?;
    let executable = std::env::current_exe().unwrap_or_default();
    let mut candidates = here.ancestors().chain(executable.ancestors());
    let root = candidates.find(|f| f.join("calibration").is_dir() && f.join("launch").is_dir());
    root.map(Path::to_owned).with_context(|| {
        format!("no folder with calibration/ and launch/ at or above {}; run from the repository", here.display())
    })
}

/// Where a node that was built goes: into a replay, or in the place of one that was killed.
pub trait Place {
    fn put<N: Node>(&mut self, node: N);
}
impl Place for Replay {
    fn put<N: Node>(&mut self, node: N) {
        self.add(node);
    }
}
impl Place for ReplayControl<'_> {
    fn put<N: Node>(&mut self, node: N) {
        self.restart(node);
    }
}

/// Builds nodes, also again.
pub struct Nodes {
    names: Vec<&'static str>,
    root: PathBuf,
    params: Vec<Param>,
    vehicle: String,
    start: Nanos,
}

impl Nodes {
    pub(super) fn new(options: &Options, input: &Input) -> Nodes {
        let wanted = |name: &str| options.nodes.is_empty() || options.nodes.contains(name);
        let names = NODES.into_iter().filter(|n| wanted(n) && !input.recorded.contains(n)).collect();
        let mut params = vec![];
        let mut set = |node: &str, key: &str, value: String| {
            params.push(Param { node: node.into(), key: key.into(), value });
        };
        if let Some(drive) = &input.drive {
            set("monitor", "drive", drive.folder.display().to_string());
        }
        set("monitor", "transcript_track", input.transcript_track.to_string());
        params.extend(options.params.iter().cloned());
        Nodes { names, root: options.root.clone(), params, vehicle: input.vehicle.clone(), start: input.start }
    }

    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// Builds a node and adds it.
    pub fn add(&self, name: &str, place: &mut impl Place) -> Result<()> {
        self.build(name, place).with_context(|| format!("node {name}"))
    }

    fn build(&self, name: &str, place: &mut impl Place) -> Result<()> {
        match name {
            "camera" => {
                let config: auriga_camera::Config = self.config(name, auriga_camera::DEFAULTS)?;
                let calibration = auriga_camera::calibration::Calibration::load(&config.calibration)?;
                place.put(auriga_camera::CameraNode::new(calibration, Duration::from_millis(config.max_age_ms))?);
            }
            "can" => place.put(auriga_can::CanNode::new(&self.config(name, auriga_can::DEFAULTS)?)?),
            "speech" => {
                let config: auriga_speech::Config = self.config(name, auriga_speech::DEFAULTS)?;
                let opened = auriga_speech::recogniser::open(&config);
                place.put(auriga_speech::SpeechNode::new(&config, opened)?);
            }
            "perception" => {
                place.put(auriga_perception::PerceptionNode::new(&self.config(name, auriga_perception::DEFAULTS)?)?)
            }
            "fusion" => place.put(auriga_fusion::FusionNode::new(self.config(name, auriga_fusion::DEFAULTS)?)?),
            "language" => {
                place.put(auriga_language::LanguageNode::new(&self.config(name, auriga_language::DEFAULTS)?)?)
            }
            "arbiter" => place.put(auriga_arbiter::ArbiterNode::new(&self.config(name, auriga_arbiter::DEFAULTS)?)?),
            "hud" => place.put(auriga_hud::HudNode::new(&self.config(name, auriga_hud::DEFAULTS)?)?),
            "monitor" => {
                let config = self.config(name, auriga_monitor::DEFAULTS)?;
                place.put(auriga_monitor::MonitorNode::new(&config, Some(self.start))?);
            }
            other => bail!("expected one of {}, found {other:?}", NODES.join(", ")),
        }
        Ok(())
    }

    fn config<C: DeserializeOwned>(&self, node: &str, defaults: &str) -> Result<C> {
        config(node, defaults, &self.root, &self.vehicle, &self.params)
    }
}

/// Whether a replay of files recognises speech and does not read it from a track: there is a model that can be used.
pub(super) fn recognises(options: &Options) -> Result<bool> {
    let config: auriga_speech::Config =
        config("speech", auriga_speech::DEFAULTS, &options.root, DEFAULT_VEHICLE, &options.params)?;
    Ok(!config.model.as_os_str().is_empty() && auriga_speech::model::check(&config.model).is_ok())
}

fn config<C: DeserializeOwned>(node: &str, defaults: &str, root: &Path, vehicle: &str, params: &[Param]) -> Result<C> {
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
    let ours = found.into_iter().filter(|(_, text)| FOLDERS.iter().any(|f| text.starts_with(f)));
    Ok(ours.map(|(key, text)| (key, absolute(text))).collect())
}

/// All texts of a configuration, by their dotted names.
fn strings(key: String, value: Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.push((key, text)),
        Value::Table(table) => table.into_iter().for_each(|(k, v)| strings(format!("{key}.{k}"), v, found)),
        _ => {}
    }
}

/// Checks names of nodes that somebody wrote into a file.
pub fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<()> {
    let known: BTreeSet<&str> = NODES.into_iter().collect();
    for name in names {
        anyhow::ensure!(known.contains(name), "node {name:?}: expected one of {}", NODES.join(", "));
    }
    Ok(())
}
