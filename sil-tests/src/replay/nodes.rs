//! The nodes of a replay, from their commented defaults and the drive's vehicle, as a launch makes them.

use super::{
    config::{self, NODES, Param},
    input::Input,
    options::Options,
};
use anyhow::{Context, Result, bail};
use auriga_runtime::{Nanos, Node, Replay, ReplayControl};
use serde::de::DeserializeOwned;
use std::{path::PathBuf, time::Duration};

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
        config::load(node, defaults, &self.root, &self.vehicle, &self.params)
    }
}
