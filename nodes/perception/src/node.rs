//! The perception node: the lane's lines from camera frames, in metres.
//!
//! A frame's way: seen from above through the camera's geometry ([`ground`]); what may be paint in each row
//! ([`marking`]); the road's shape by vote ([`vote`]); both lines by a robust fit, with the support of each
//! ([`model`]); tracked from frame to frame, with a confidence that decays when a line is not seen ([`lanes`]).
//! A line without support is absent, never invented.

use crate::{
    ground::{BirdsEye, Region},
    lanes::LaneDetector,
};
use auriga_msgs::{Stamped, node, topic, v1};
use auriga_runtime::{
    Nanos, Node, Outbox,
    config::{ConfigError, check_ranges, shipped},
    image::packed_bgr8,
};
use serde::Deserialize;
use std::time::Duration;
use v1::Severity;

/// `config.toml` documents the fields.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub near_m: f64,
    pub far_m: f64,
    pub half_width_m: f64,
}

impl Default for Config {
    fn default() -> Self {
        shipped(DEFAULTS)
    }
}

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

impl Config {
    /// Errors name the field.
    fn region(&self) -> Result<Region, ConfigError> {
        let Config { near_m, far_m, half_width_m } = *self;
        check_ranges(&[
            ("near_m", near_m, 1.0, 30.0, "1 to 30 m"),
            ("far_m", far_m, near_m + 10.0, near_m + 60.0, "10 to 60 m beyond near_m"),
            ("half_width_m", half_width_m, 3.0, 15.0, "3 to 15 m"),
        ])?;
        Ok(Region { near_m, far_m, half_width_m })
    }
}

/// How long images may come without a fitting camera info before that is a fault: it is published once a second.
const INFO_GRACE: Duration = Duration::from_millis(2500);

const IMAGE: &str = "camera/front/image";
const INFO: &str = "camera/front/info";

/// The state machine.
pub struct PerceptionNode {
    region: Region,
    info: Option<v1::CameraInfo>,
    detector: Option<LaneDetector>,
    last_stamp: Option<Nanos>,
    /// Since when images come that no camera info fits.
    without_info: Option<Nanos>,
}

impl PerceptionNode {
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        // One thread: the node owns its core, and the result does not depend on how rows are shared out.
        opencv::core::set_num_threads(1)?;
        Ok(Self { region: config.region()?, info: None, detector: None, last_stamp: None, without_info: None })
    }

    fn on_info(&mut self, info: &v1::CameraInfo, now: Nanos, out: &mut Outbox<Self>) {
        let unchanged = |old: &v1::CameraInfo| v1::CameraInfo { header: info.header, ..old.clone() } == *info;
        if self.info.as_ref().is_some_and(unchanged) {
            return;
        }
        self.info = Some(info.clone());
        self.detector = None;
        match BirdsEye::new(info, self.region) {
            Ok(view) => self.detector = Some(LaneDetector::new(view)),
            Err(e) => out.fault(now, Severity::Critical, "camera-info-unusable", INFO, e.to_string()),
        }
    }

    fn on_image(&mut self, image: &v1::Image, now: Nanos, out: &mut Outbox<Self>) {
        let header = image.header_copy();
        let stamp = Nanos(header.stamp_ns);
        if self.last_stamp.is_some_and(|last| stamp <= last) {
            let text = "a frame is not newer than the last one and was dropped";
            return out.fault(now, Severity::Warning, "camera-frame-out-of-order", IMAGE, text);
        }
        let size = (image.width, image.height);
        let fits = self.info.as_ref().is_some_and(|i| (i.width, i.height) == size);
        if !fits {
            return self.wait_for_info(size, now, out);
        }
        self.without_info = None;
        let Some(detector) = &mut self.detector else { return };
        let pixels = match packed_bgr8(image) {
            Ok(pixels) => pixels,
            Err(e) => return out.fault(now, Severity::Warning, "camera-image-malformed", IMAGE, e.to_string()),
        };
        self.last_stamp = Some(stamp);
        match detector.detect(&pixels, stamp) {
            Ok(lanes) => {
                let header = Some(v1::Header::new(header.stamp_ns, header.trace_id));
                out.publish::<topic::PerceptionLanes>(v1::Lanes { header, ..lanes });
            }
            Err(e) => out.fault(now, Severity::Warning, "lanes-failed", IMAGE, e.to_string()),
        }
    }

    fn wait_for_info(&mut self, size: (u32, u32), now: Nanos, out: &mut Outbox<Self>) {
        let since = *self.without_info.get_or_insert(now);
        let known = self.info.as_ref().map(|i| (i.width, i.height));
        if now.since(since) < INFO_GRACE {
            return;
        }
        let text = format!("frames are {size:?} pixels, the camera info is for {known:?}: no lanes until they agree");
        out.fault(now, Severity::Warning, "camera-info-missing", INFO, text);
    }
}

impl Node for PerceptionNode {
    type Name = node::Perception;
    type Effect = ();

    fn on_input(&mut self, input: node::PerceptionInput, now: Nanos, out: &mut Outbox<Self>) {
        match input {
            node::PerceptionInput::CameraFrontImage(image) => self.on_image(&image, now, out),
            node::PerceptionInput::CameraFrontInfo(info) => self.on_info(&info, now, out),
        }
    }

    fn on_tick(&mut self, _now: Nanos, _out: &mut Outbox<Self>) {}
}
