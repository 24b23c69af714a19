//! When scenes are made: for each camera frame once CAN covers its instant, and periodically while the camera is silent.

use auriga_msgs::{Stamped, v1};
use auriga_runtime::Nanos;
use std::{collections::VecDeque, time::Duration};

/// Camera frames that wait for CAN at most; the wait is shorter than two frames, so more is a flood.
const MAX_PENDING: usize = 8;

/// When a message's content was measured.
pub fn stamp_of<M: Stamped>(message: &M) -> Nanos {
    Nanos(message.header_copy().stamp_ns)
}

/// Camera frames whose scenes wait for CAN, ordered by their stamps.
#[derive(Debug, Default)]
pub struct PendingFrames {
    frames: VecDeque<(v1::Lanes, Nanos)>,
}

impl PendingFrames {
    /// Whether a frame of this stamp waits.
    pub fn contains(&self, stamp: Nanos) -> bool {
        self.frames.iter().any(|(l, _)| stamp_of(l) == stamp)
    }

    /// Adds a frame whose scene is made at `deadline` at the latest.
    pub fn push(&mut self, lanes: v1::Lanes, deadline: Nanos) {
        let place = self.frames.partition_point(|(l, _)| stamp_of(l) < stamp_of(&lanes));
        self.frames.insert(place, (lanes, deadline));
    }

    /// The oldest frame, if it is ready: CAN has reached its instant, its deadline has come, or too many wait. A frame
    /// never overtakes an older one.
    pub fn pop_ready(&mut self, newest_can: Option<Nanos>, now: Nanos) -> Option<v1::Lanes> {
        let (oldest, deadline) = self.frames.front()?;
        let covered = newest_can.is_some_and(|t| t >= stamp_of(oldest));
        let ready = covered || *deadline <= now || self.frames.len() > MAX_PENDING;
        if ready { self.frames.pop_front().map(|(lanes, _)| lanes) } else { None }
    }

    /// The deadline of the oldest frame.
    pub fn next_deadline(&self) -> Option<Nanos> {
        self.frames.front().map(|(_, deadline)| *deadline)
    }
}

/// Scenes without camera: at a fixed rate once it has been silent for a while.
#[derive(Debug)]
pub struct CameralessScenes {
    silent_after: Duration,
    period: Duration,
    next: Nanos,
}

impl CameralessScenes {
    /// Every `period` once the camera has been silent for `silent_after`.
    pub fn new(silent_after: Duration, period: Duration) -> Self {
        Self { silent_after, period, next: Nanos::ZERO }
    }

    /// When the next one is due if nothing comes from the camera. `last_frame`: stamp of its newest frame, or without any
    /// the start of the node, once something else has been received.
    pub fn due(&self, last_frame: Option<Nanos>) -> Option<Nanos> {
        Some((last_frame? + self.silent_after).max(self.next))
    }

    /// One was made at `now`. The next is on the grid of this one: a late tick does not lower the rate.
    pub fn made(&mut self, now: Nanos) {
        let on_grid = self.next + self.period;
        self.next = if on_grid > now { on_grid } else { now + self.period };
    }
}
