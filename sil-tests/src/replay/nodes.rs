//! Builds the nodes of a replay from their default configuration and the vehicle of the drive.

use super::{
    config::{self, NODES, Param},
    input::Input,
    options::Options,
};
use anyhow::{Context, Result, bail};
use auriga_runtime::{Nanos, Node, Replay, ReplayControl};
use serde::de::DeserializeOwned;
use std::{path::PathBuf, time::Duration};

/// Where a node is added: to a replay, or in place of one that was killed.
pub trait AddNode {
    fn add_node<N: Node>(&mut self, node: N);
}
impl AddNode for Replay {
    fn add_node<N: Node>(&mut self, node: N) {
        self.add(node);
    }
}
impl AddNode for ReplayControl<'_> {
    fn add_node<N: Node>(&mut self, node: N) {
        self.restart(node);
    }
}

/// Builds nodes, also for restarts.
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
    pub fn add(&self, name: &str, to: &mut impl AddNode) -> Result<()> {
        self.build(name, to).with_context(|| format!("node {name}"))
    }

    fn build(&self, name: &str, to: &mut impl AddNode) -> Result<()> {
        match name {
            "camera" => {
                let config: auriga_camera::Config = self.config(name, auriga_camera::DEFAULTS)?;
                let calibration = auriga_camera::calibration::Calibration::load(&config.calibration)?;
                to.add_node(auriga_camera::CameraNode::new(calibration, Duration::from_millis(config.max_age_ms))?);
            }
            "can" => to.add_node(auriga_can::CanNode::new(&self.config(name, auriga_can::DEFAULTS)?)?),
            "speech" => {
                let config: auriga_speech::Config = self.config(name, auriga_speech::DEFAULTS)?;
                let opened = auriga_speech::recognition::open(&config);
                to.add_node(auriga_speech::SpeechNode::new(&config, opened)?);
            }
            "perception" => {
                to.add_node(auriga_perception::PerceptionNode::new(&self.config(name, auriga_perception::DEFAULTS)?)?)
            }
            "fusion" => to.add_node(auriga_fusion::FusionNode::new(self.config(name, auriga_fusion::DEFAULTS)?)?),
            "language" => {
                to.add_node(auriga_language::LanguageNode::new(&self.config(name, auriga_language::DEFAULTS)?)?)
            }
            "arbiter" => to.add_node(auriga_arbiter::ArbiterNode::new(&self.config(name, auriga_arbiter::DEFAULTS)?)?),
            "hud" => to.add_node(auriga_hud::HudNode::new(&self.config(name, auriga_hud::DEFAULTS)?)?),
            "monitor" => {
                let config = self.config(name, auriga_monitor::DEFAULTS)?;
                to.add_node(auriga_monitor::MonitorNode::new(&config, Some(self.start))?);
            }
            other => bail!("expected one of {}, found {other:?}", NODES.join(", ")),
        }
        Ok(())
    }

    fn config<C: DeserializeOwned>(&self, node: &str, defaults: &str) -> Result<C> {
        config::load(node, defaults, &self.root, &self.vehicle, &self.params)
    }
}
