//! What is drawn over one picture.

use super::warnings::{Warning, WarningKind};
use auriga_msgs::v1::{ObjectClass, Side};

/// A line of the lane, from near to far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Line {
    /// Points (x ahead of the camera, y to the left) in metres.
    pub points: Vec<(f64, f64)>,
    /// 0 to 1.
    pub confidence: f32,
}

/// A road user.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Object {
    /// Metres ahead of the camera.
    pub x_m: f64,
    /// Metres to the left of the camera.
    pub y_m: f64,
    /// Vehicle, pedestrian or cyclist.
    pub class: ObjectClass,
    /// Metres ahead of the front bumper.
    pub distance_m: f64,
    /// Distance over the speed of the own car; `None` at walking pace, in reverse, and for gaps too long to matter.
    pub time_gap_s: Option<f64>,
}

/// Everything that is drawn over one picture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct View {
    /// The left line of the own lane.
    pub left: Option<Line>,
    /// The right line of the own lane.
    pub right: Option<Line>,
    /// The vehicle ahead in the own lane.
    pub lead: Option<Object>,
    /// The other road users, at most [`MAX_OBJECTS`].
    pub others: Vec<Object>,
    /// The most important first.
    pub warnings: Vec<Warning>,
    /// Metres per second, not negative; `None` when it is unknown or too old.
    pub speed_mps: Option<f64>,
    /// P, R, N or D.
    pub gear: Option<char>,
    /// The left indicator is in the lit half of its period.
    pub indicate_left: bool,
    /// The right indicator is in the lit half of its period.
    pub indicate_right: bool,
}

/// Most objects drawn besides the vehicle ahead; of more, the nearest are drawn.
pub const MAX_OBJECTS: usize = 32;

impl View {
    /// The first warning of this kind.
    pub fn warning(&self, kind: WarningKind) -> Option<&Warning> {
        self.warnings.iter().find(|w| w.kind == kind)
    }

    /// Whether there is a lane departure warning for this side.
    pub fn departs(&self, side: Side) -> bool {
        self.warnings.iter().any(|w| w.kind == WarningKind::LaneDeparture && w.side == side)
    }
}
