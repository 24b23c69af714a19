//! The state machine.

use crate::{config::Config, convert, message::RosMessage};
use auriga_msgs::{RosSpec, Stamped, TopicId, node, node::RosBridgeInput, v1::Severity};
use auriga_runtime::{Nanos, Node, Outbox};
use std::time::Duration;

/// Vehicle states may lack the speed or the yaw rate for this long after the start before that is a fault.
const TWIST_GRACE: Duration = Duration::from_secs(2);
/// The fault of a message that has no ROS counterpart.
const NO_ROS_MESSAGE: &str = "no-ros-message";

/// The effect of the bridge: the shell publishes a ROS message.
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    /// ROS name and type of the topic.
    pub ros: RosSpec,
    /// Time of the measurement, on the node's clock.
    pub stamp: Nanos,
    /// The message; its stamp is not set yet.
    pub message: RosMessage,
}

/// The ROS bridge's state machine.
pub struct RosBridgeNode {
    vehicle_frame: String,
    /// Since when vehicle states lack the speed or the yaw rate.
    no_twist_since: Option<Nanos>,
}

impl RosBridgeNode {
    /// The state machine before its first input.
    ///
    /// # Errors
    /// When the configuration is not valid, naming the field.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        config.check()?;
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
        result.map_err(|e| out.fault(now, Severity::Warning, NO_ROS_MESSAGE, subject, e.to_string())).ok()
    }

    fn watch_twist(&mut self, complete: bool, now: Nanos, out: &mut Outbox<Self>) {
        let topic = TopicId::VehicleState.spec().name;
        if complete {
            if self.no_twist_since.take().is_some() {
                out.clear_fault(now, NO_ROS_MESSAGE, topic);
            }
        } else if now.since(*self.no_twist_since.get_or_insert(now)) > TWIST_GRACE {
            let text = "the vehicle state has no speed or no yaw rate; a twist needs both, so none is published";
            out.fault(now, Severity::Warning, NO_ROS_MESSAGE, topic, text);
        }
    }
}

fn stamp<M: Stamped>(message: &M) -> Nanos {
    Nanos(message.header_copy().stamp_ns)
}

/// The topic of an input. A topic that gets a ROS name in the table does not compile until it is added here.
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
