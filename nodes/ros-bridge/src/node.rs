//! The ROS bridge: the topics of the table that have a ROS name, as standard ROS 2 messages over DDS. It only speaks;
//! nothing comes from ROS into the vehicle.
//!
//! The state machine here turns our messages into ROS's ([`convert`], [`message`]); the shell gives them ROS time
//! ([`clock`]) and publishes them ([`dds`]).

use crate::{convert, message::RosMessage};
use anyhow::ensure;
use auriga_msgs::{RosSpec, Stamped, TopicId, node, node::RosBridgeInput, v1::Severity};
use auriga_runtime::{Nanos, Node, Outbox};
use serde::Deserialize;
use std::{net::IpAddr, time::Duration};

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// So long may a bus take to bring both speed and yaw rate before it is said that one never comes.
const TWIST_GRACE: Duration = Duration::from_secs(2);

/// `config.toml` documents the fields.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub domain_id: u16,
    pub allow_network: bool,
    pub networks: Vec<IpAddr>,
    pub vehicle_frame: String,
}

/// What the bridge asks of its shell: to publish a message under a ROS name, measured at `stamp`.
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    pub ros: RosSpec,
    pub stamp: Nanos,
    pub message: RosMessage,
}

/// The state machine.
pub struct RosBridgeNode {
    vehicle_frame: String,
    /// Since when vehicle states lack what a twist needs.
    no_twist_since: Option<Nanos>,
}

impl RosBridgeNode {
    /// Checks the configuration; errors name the field.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        // RTPS 2.5, 9.6.2.3: port numbers end there.
        ensure!(config.domain_id <= 232, "domain_id = {}: expected 0 to 232", config.domain_id);
        ensure!(
            config.allow_network || config.networks.iter().all(IpAddr::is_loopback),
            "networks = {:?}: set allow_network = true to be heard beyond this machine",
            config.networks
        );
        Ok(Self { vehicle_frame: config.vehicle_frame.clone(), no_twist_since: None })
    }

    fn convert(&mut self, input: &RosBridgeInput, now: Nanos, out: &mut Outbox<Self>) -> Option<(Nanos, RosMessage)> {
        let subject = topic_of(input).spec().name;
        let result = match input {
            RosBridgeInput::CameraFrontImage(m) => convert::image(m).map(|r| (stamp(m.as_ref()), RosMessage::Image(r))),
            RosBridgeInput::CameraFrontInfo(m) => {
                convert::camera_info(m).map(|r| (stamp(m.as_ref()), RosMessage::CameraInfo(r.into())))
            }
            RosBridgeInput::VehicleState(m) => {
                let twist = convert::twist(m, &self.vehicle_frame);
                self.watch_twist(twist.is_some(), now, out);
                Ok((stamp(m.as_ref()), RosMessage::TwistStamped(twist?)))
            }
            RosBridgeInput::FusionHazard(m) => Ok((stamp(m.as_ref()), RosMessage::DiagnosticArray(convert::hazard(m)))),
            RosBridgeInput::Fault(m) => Ok((stamp(m.as_ref()), RosMessage::DiagnosticArray(convert::fault(m)))),
        };
        result.map_err(|e| out.fault(now, Severity::Warning, "no-ros-message", subject, e.to_string())).ok()
    }

    fn watch_twist(&mut self, complete: bool, now: Nanos, out: &mut Outbox<Self>) {
        if complete {
            self.no_twist_since = None;
        } else if now.since(*self.no_twist_since.get_or_insert(now)) > TWIST_GRACE {
            let text = "the bus brings no speed or no yaw rate; a twist needs both, so none is published";
            out.fault(now, Severity::Warning, "no-ros-message", TopicId::VehicleState.spec().name, text);
        }
    }
}

fn stamp<M: Stamped>(message: &M) -> Nanos {
    Nanos(message.header_copy().stamp_ns)
}

/// A topic that is new on the ROS side of the table does not compile until it stands here.
fn topic_of(input: &RosBridgeInput) -> TopicId {
    match input {
        RosBridgeInput::CameraFrontImage(_) => TopicId::CameraFrontImage,
        RosBridgeInput::CameraFrontInfo(_) => TopicId::CameraFrontInfo,
        RosBridgeInput::VehicleState(_) => TopicId::VehicleState,
        RosBridgeInput::FusionHazard(_) => TopicId::FusionHazard,
        RosBridgeInput::Fault(_) => TopicId::Fault,
    }
}

impl Node for RosBridgeNode {
    type Name = node::RosBridge;
    type Effect = Publish;

    fn on_input(&mut self, input: RosBridgeInput, now: Nanos, out: &mut Outbox<Self>) {
        let Some(ros) = topic_of(&input).spec().ros else { return };
        if let Some((stamp, message)) = self.convert(&input, now, out) {
            out.effect(Publish { ros, stamp, message });
        }
    }

    fn on_tick(&mut self, _now: Nanos, _out: &mut Outbox<Self>) {}
}
