//! The camera's state machine.

use crate::{
    calibration::Calibration,
    picture::{Finding, PictureWatch},
    rectify::Rectifier,
};
use auriga_msgs::{Stamped, TopicId, node, topic, v1};
use auriga_runtime::{
    Nanos, Node, Outbox,
    image::packed_bgr8,
    plausibility::{SPEED_MPS, stamp_ahead, within},
};
use std::{sync::Arc, time::Duration};
use v1::{PictureCondition, Severity};

/// How often the camera info is published.
const INFO_PERIOD: Duration = Duration::from_secs(1);

/// The subject of faults about frames.
const SUBJECT: &str = "device/camera/front";
/// Frames of an aspect ratio that the calibration is not for.
const SIZE_MISMATCH: &str = "camera-size-mismatch";
/// Frames of another size than the calibration's, for which it is scaled.
const SIZE_SCALED: &str = "camera-size-scaled";
/// A source that delivered and has stopped.
const STALLED: &str = "camera-stalled";
/// A calibration without mounting.
const MOUNTING_ASSUMED: &str = "camera-mounting-assumed";

/// A source that delivers nothing for this long has stalled: as long as readers of `camera/front/image` wait.
const STALL: Duration = Duration::from_millis(500);
/// A speed that is older than this against the frame says nothing of it.
const SPEED_AGE: Duration = Duration::from_millis(500);

/// The camera's state machine: takes raw frames, publishes `camera/front/image` and `camera/front/info`.
pub struct CameraNode {
    calibration: Calibration,
    max_age: Duration,
    /// For the size that arrives, made with the first frame of it.
    rectifier: Option<Rectifier>,
    last_stamp: Option<Nanos>,
    /// When a frame last came, late or not.
    last_arrival: Option<Nanos>,
    stalled: bool,
    watch: PictureWatch,
    /// Of the vehicle, plausible, with its stamp.
    speed_mps: Option<(Nanos, f64)>,
    frames: u64,
    dropped_late: u64,
    dropped_out_of_order: u64,
    next_info: Nanos,
}

impl CameraNode {
    /// `max_age`: frames older than this on arrival are dropped.
    ///
    /// # Errors
    /// A calibration that cannot be.
    pub fn new(calibration: Calibration, max_age: Duration) -> anyhow::Result<Self> {
        calibration.check()?;
        // One thread: the node owns its core, and the result does not depend on how rows are shared out.
        opencv::core::set_num_threads(1)?;
        Ok(Self {
            calibration,
            max_age,
            rectifier: None,
            last_stamp: None,
            last_arrival: None,
            stalled: false,
            watch: PictureWatch::default(),
            speed_mps: None,
            frames: 0,
            dropped_late: 0,
            dropped_out_of_order: 0,
            next_info: Nanos::ZERO,
        })
    }

    /// Frames dropped so far because they were late, and because they were out of order.
    pub fn dropped(&self) -> (u64, u64) {
        (self.dropped_late, self.dropped_out_of_order)
    }

    fn on_frame(&mut self, image: &Arc<v1::Image>, now: Nanos, out: &mut Outbox<Self>) {
        self.last_arrival = Some(now);
        self.arm(out);
        if std::mem::take(&mut self.stalled) {
            out.clear_fault(now, STALLED, SUBJECT);
        }
        let Some(stamp) = self.accept_stamp(Nanos(image.header_copy().stamp_ns), now, out) else { return };
        let pixels = match packed_bgr8(image) {
            Ok(pixels) => pixels,
            Err(e) => return out.fault(now, Severity::Warning, "camera-image-malformed", SUBJECT, e.to_string()),
        };
        if !self.prepare(image.width, image.height, now, out) {
            return;
        }
        let picture = self.judge(image, &pixels, stamp, now, out);
        let Some(rectifier) = &self.rectifier else { return };
        // Without distortion and padding the pixels go on as they came, uncopied.
        let data = if rectifier.is_identity() && image.step == 3 * image.width {
            image.data.clone()
        } else {
            match rectifier.rectify(&pixels) {
                Ok(data) => data.into(),
                Err(e) => return out.fault(now, Severity::Warning, "camera-rectify-failed", SUBJECT, e.to_string()),
            }
        };
        let trace = v1::Header::trace(TopicId::CameraFrontImage, self.frames);
        self.frames += 1;
        out.publish::<topic::CameraFrontImage>(v1::Image {
            header: Some(v1::Header::new(stamp.0, trace)),
            frame_id: self.calibration.frame_id.clone(),
            width: image.width,
            height: image.height,
            step: 3 * image.width,
            encoding: "bgr8".into(),
            data,
            rectified: true,
            picture: picture.into(),
        });
    }

    /// What the picture is worth; raises and clears the faults about it.
    fn judge(
        &mut self,
        image: &v1::Image,
        pixels: &[u8],
        stamp: Nanos,
        now: Nanos,
        out: &mut Outbox<Self>,
    ) -> PictureCondition {
        // A speed may be measured a little after the frame.
        let fresh = |at: Nanos| at.since(stamp).max(stamp.since(at)) <= SPEED_AGE;
        let speed = self.speed_mps.filter(|(at, _)| fresh(*at)).map(|(_, speed)| speed);
        let damaged = image.picture() == PictureCondition::Damaged;
        let (condition, findings) = self.watch.update(pixels, image.width as usize, stamp, speed, damaged);
        for Finding { condition, active } in findings {
            let Some((code, text)) = picture_fault(condition) else { continue };
            if active {
                out.standing_fault(now, Severity::Warning, code, SUBJECT, text);
            } else {
                out.clear_fault(now, code, SUBJECT);
            }
        }
        condition
    }

    fn on_vehicle(&mut self, state: &v1::VehicleState, now: Nanos) {
        let stamp = Nanos(state.header_copy().stamp_ns);
        // Every later one would look old beside it.
        if stamp_ahead(stamp, now).is_some() {
            return;
        }
        let speed = within(state.speed_mps, SPEED_MPS).ok().flatten();
        let newer = self.speed_mps.is_none_or(|(at, _)| at < stamp);
        if let Some(speed) = speed.filter(|_| newer) {
            self.speed_mps = Some((stamp, speed));
        }
    }

    /// Raises the fault of a source that has stopped delivering.
    fn check_stall(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let silent = self.last_arrival.map(|last| now.since(last)).filter(|silent| *silent >= STALL);
        let Some(silent) = silent.filter(|_| !self.stalled) else { return };
        self.stalled = true;
        let text = format!(
            "no frame for {} ms: the source has stalled or ended; check the camera's cable, driver or pipeline",
            silent.as_millis()
        );
        out.standing_fault(now, Severity::Warning, STALLED, SUBJECT, text);
    }

    /// Asks for a tick when the clock next decides something.
    fn arm(&self, out: &mut Outbox<Self>) {
        let stall = self.last_arrival.filter(|_| !self.stalled).map(|last| last + STALL);
        out.tick_at(stall.map_or(self.next_info, |at| at.min(self.next_info)));
    }

    /// The stamp to go on with; `None` when the frame is to be dropped.
    fn accept_stamp(&mut self, stamp: Nanos, now: Nanos, out: &mut Outbox<Self>) -> Option<Nanos> {
        let mut stamp = stamp;
        if let Some(ahead) = stamp_ahead(stamp, now) {
            let ahead = ahead.as_millis();
            let text =
                format!("a frame's stamp is {ahead} ms ahead of the clock; it is stamped with its arrival instead");
            out.fault(now, Severity::Warning, "camera-stamp-ahead", SUBJECT, text);
            stamp = now;
        }
        if let Some(last) = self.last_stamp.filter(|&last| stamp <= last) {
            self.dropped_out_of_order += 1;
            let behind = last.since(stamp).as_millis();
            let text = format!("{} frames dropped: stamped {behind} ms before the last one", self.dropped_out_of_order);
            out.fault(now, Severity::Warning, "camera-frame-out-of-order", SUBJECT, text);
            return None;
        }
        let age = now.since(stamp);
        if age > self.max_age {
            self.dropped_late += 1;
            let text = format!(
                "{} frames dropped: {} ms old on arrival, max_age_ms is {}",
                self.dropped_late,
                age.as_millis(),
                self.max_age.as_millis()
            );
            out.fault(now, Severity::Info, "camera-frame-late", SUBJECT, text);
            return None;
        }
        self.last_stamp = Some(stamp);
        Some(stamp)
    }

    /// Makes the tables when frames of a new size begin; false when the calibration cannot serve that size.
    fn prepare(&mut self, width: u32, height: u32, now: Nanos, out: &mut Outbox<Self>) -> bool {
        let in_use = self.rectifier.as_ref().map(Rectifier::calibration);
        if in_use.is_some_and(|c| (c.width, c.height) == (width, height)) {
            return true;
        }
        self.rectifier = None;
        let scaled = match self.calibration.scaled_to(width, height) {
            Ok(scaled) => scaled,
            Err(e) => {
                out.fault(now, Severity::Critical, SIZE_MISMATCH, SUBJECT, e.to_string());
                return false;
            }
        };
        if (width, height) != (self.calibration.width, self.calibration.height) {
            let (w, h) = (self.calibration.width, self.calibration.height);
            let text =
                format!("frames are {width}x{height}, the calibration is for {w}x{h}: its intrinsics are scaled");
            out.standing_fault(now, Severity::Info, SIZE_SCALED, SUBJECT, text);
        } else {
            out.clear_fault(now, SIZE_SCALED, SUBJECT);
        }
        out.clear_fault(now, SIZE_MISMATCH, SUBJECT);
        match Rectifier::new(scaled) {
            Ok(rectifier) => self.rectifier = Some(rectifier),
            Err(e) => {
                out.fault(now, Severity::Critical, "camera-rectify-failed", SUBJECT, e.to_string());
                return false;
            }
        }
        // Readers need the geometry before the first image of this size.
        self.publish_info(now, out);
        true
    }

    fn publish_info(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let calibration = self.rectifier.as_ref().map_or(&self.calibration, Rectifier::calibration);
        out.publish::<topic::CameraFrontInfo>(calibration.rectified_info(v1::Header::new(now.0, 0)));
        let first = self.next_info == Nanos::ZERO;
        self.next_info = now + INFO_PERIOD;
        if first && self.calibration.mounting_assumed {
            let text = "the calibration has no mounting; 1.3 m above the road, level, 2 m behind the bumper is taken: \
                        distances are rough. Add `mounting: {height_m, pitch_rad, yaw_rad, bumper_ahead_m}` to it";
            out.standing_fault(now, Severity::Warning, MOUNTING_ASSUMED, SUBJECT, text);
        }
    }
}

/// Code and text of the fault that a condition of the picture is.
fn picture_fault(condition: PictureCondition) -> Option<(&'static str, &'static str)> {
    Some(match condition {
        PictureCondition::Unspecified | PictureCondition::Clear => return None,
        PictureCondition::Black => (
            "camera-black",
            "pictures are black: no lanes are taken from them; check the camera's cover, exposure and cable",
        ),
        PictureCondition::Covered => (
            "camera-covered",
            "pictures show an even surface: no lanes are taken from them; clean the lens and the windscreen before it",
        ),
        PictureCondition::Frozen => (
            "camera-frozen",
            "the picture stands still while the vehicle moves: no lanes are taken from it; restart the camera",
        ),
        PictureCondition::Blurred => (
            "camera-blurred",
            "pictures have no sharp edge: confidence in what is seen is halved; clean or focus the lens",
        ),
        PictureCondition::Damaged => (
            "camera-stream-damaged",
            "the decoder meets errors and guesses parts of pictures: confidence in what is seen is halved; check the \
             file or the link",
        ),
    })
}

impl Node for CameraNode {
    type Name = node::Camera;
    type Effect = ();

    fn on_input(&mut self, input: node::CameraInput, now: Nanos, out: &mut Outbox<Self>) {
        match input {
            node::CameraInput::DeviceCameraFront(image) => self.on_frame(&image, now, out),
            node::CameraInput::VehicleState(state) => self.on_vehicle(&state, now),
        }
    }

    fn on_tick(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        self.check_stall(now, out);
        if now >= self.next_info {
            self.publish_info(now, out);
        }
        self.arm(out);
    }
}
