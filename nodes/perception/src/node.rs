//! The state machine.

use crate::{
    config::Config,
    ground::{BirdsEye, Region},
    lanes::LaneDetector,
};
use auriga_msgs::{Stamped, node, topic, v1};
use auriga_runtime::{Nanos, Node, Outbox, image::packed_bgr8};
use std::time::Duration;
use v1::{PictureCondition, Severity};

/// Images may come for this long without a matching camera info, which is published once a second, before that is a
/// fault.
const INFO_GRACE: Duration = Duration::from_millis(2500);

/// What is left of the confidence in lines seen in a blurred or damaged picture.
const DOUBTFUL: f32 = 0.5;

const IMAGE: &str = "camera/front/image";
const INFO: &str = "camera/front/info";

/// The perception node's state machine.
pub struct PerceptionNode {
    region: Region,
    info: Option<v1::CameraInfo>,
    detector: Option<LaneDetector>,
    last_stamp: Option<Nanos>,
    /// Since when images come without a matching camera info.
    without_info: Option<Nanos>,
}

impl PerceptionNode {
    /// The state machine before its first input.
    ///
    /// # Errors
    /// When a value of the configuration is out of its range, naming the key.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        // One thread: the node owns its core, and the result does not depend on how OpenCV divides the rows.
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
            Ok(view) => {
                out.clear_fault(now, "camera-info-unusable", INFO);
                self.detector = Some(LaneDetector::new(view));
            }
            Err(e) => out.standing_fault(now, Severity::Critical, "camera-info-unusable", INFO, e.to_string()),
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
        if self.without_info.take().is_some() {
            out.clear_fault(now, "camera-info-missing", INFO);
        }
        let Some(detector) = &mut self.detector else { return };
        let pixels = match packed_bgr8(image) {
            Ok(pixels) => pixels,
            Err(e) => return out.fault(now, Severity::Warning, "camera-image-malformed", IMAGE, e.to_string()),
        };
        self.last_stamp = Some(stamp);
        let picture = image.picture();
        // Lines in a picture that shows nothing, or not the present, are not there.
        let lanes = match picture {
            PictureCondition::Black | PictureCondition::Covered | PictureCondition::Frozen => Ok(v1::Lanes::default()),
            _ => detector.detect(&pixels, stamp),
        };
        match lanes {
            Ok(mut lanes) => {
                if matches!(picture, PictureCondition::Blurred | PictureCondition::Damaged) {
                    lanes.left.iter_mut().chain(&mut lanes.right).for_each(|line| line.confidence *= DOUBTFUL);
                }
                let header = Some(v1::Header::new(header.stamp_ns, header.trace_id));
                out.publish::<topic::PerceptionLanes>(v1::Lanes { header, picture: picture.into(), ..lanes });
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
