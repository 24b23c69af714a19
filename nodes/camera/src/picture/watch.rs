//! What is wrong with the pictures of a camera, over time.

use super::{brightness::Brightness, sharpness::is_blurred};
use auriga_msgs::v1::PictureCondition;
use auriga_runtime::Nanos;
use std::time::Duration;

/// A condition is a fault when it has lasted this long: one bad picture is a glitch.
const RAISE_AFTER: Duration = Duration::from_millis(300);
/// It is over when it has not been seen for this long.
const CLEAR_AFTER: Duration = Duration::from_millis(500);
/// A picture that stands still for this long while the vehicle moves is frozen.
const FROZEN_AFTER: Duration = Duration::from_millis(400);
/// The same where the speed is not known, to the last bit: of a standing vehicle sensors still have noise.
const FROZEN_UNKNOWN_AFTER: Duration = Duration::from_secs(3);
/// In 0.4 s a vehicle moves by more than a metre from here on.
const MOVING_MPS: f64 = 3.0;
/// Between two looks at the sharpness: a lens gets out of focus or wet slowly.
const SHARPNESS_EVERY: Duration = Duration::from_millis(100);

/// The conditions in the order in which one counts before another.
const ORDER: [PictureCondition; 5] = [
    PictureCondition::Black,
    PictureCondition::Covered,
    PictureCondition::Frozen,
    PictureCondition::Damaged,
    PictureCondition::Blurred,
];

/// A condition that has become a fault, or has ended as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// Which one.
    pub condition: PictureCondition,
    /// False: over.
    pub active: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Condition {
    since: Option<Nanos>,
    seen: Option<Nanos>,
    active: bool,
}

/// Watches the pictures of a camera.
///
/// ```
/// use auriga_camera::picture::PictureWatch;
/// use auriga_msgs::v1::PictureCondition;
/// use auriga_runtime::Nanos;
///
/// let mut watch = PictureWatch::default();
/// let (condition, findings) = watch.update(&[0; 3 * 64 * 48], 64, Nanos::ZERO, None, false);
/// assert_eq!(condition, PictureCondition::Black);
/// assert!(findings.is_empty(), "one black picture is not yet a fault");
/// ```
#[derive(Debug, Default)]
pub struct PictureWatch {
    /// The picture since which nothing has changed, and when it was.
    still: Option<(Nanos, Brightness)>,
    blurred: bool,
    sharpness_at: Option<Nanos>,
    conditions: [Condition; ORDER.len()],
}

impl PictureWatch {
    /// Takes in a picture, packed bgr8 rows of `width` pixels, exposed at `at`. `speed_mps`: of the vehicle, if known.
    /// `damaged`: the decoder met errors. Returns what the picture is worth, and what has become or ceased to be a fault.
    pub fn update(
        &mut self,
        pixels: &[u8],
        width: usize,
        at: Nanos,
        speed_mps: Option<f64>,
        damaged: bool,
    ) -> (PictureCondition, Vec<Finding>) {
        let brightness = Brightness::of(pixels, width);
        let black = brightness.is_black();
        let covered = !black && brightness.is_even();
        let frozen = self.stands_still(brightness, at, speed_mps) && !black && !covered;
        if self.sharpness_at.is_none_or(|last| at.since(last) >= SHARPNESS_EVERY || at < last) {
            self.sharpness_at = Some(at);
            self.blurred = is_blurred(pixels, width).unwrap_or(self.blurred && !black && !covered);
        }
        let seen = [black, covered, frozen, damaged, self.blurred];
        let mut findings = Vec::new();
        for ((condition, state), seen) in ORDER.into_iter().zip(&mut self.conditions).zip(seen) {
            if let Some(active) = state.update(seen, at) {
                findings.push(Finding { condition, active });
            }
        }
        let worst = ORDER.into_iter().zip(seen).find(|(_, seen)| *seen);
        (worst.map_or(PictureCondition::Clear, |(condition, _)| condition), findings)
    }

    fn stands_still(&mut self, brightness: Brightness, at: Nanos, speed_mps: Option<f64>) -> bool {
        match &self.still {
            Some((since, still)) if *since <= at && brightness.is_same(still) => {
                let lasted = at.since(*since);
                match speed_mps {
                    Some(v) => v.abs() >= MOVING_MPS && lasted >= FROZEN_AFTER,
                    None => brightness == *still && lasted >= FROZEN_UNKNOWN_AFTER,
                }
            }
            _ => {
                self.still = Some((at, brightness));
                false
            }
        }
    }
}

impl Condition {
    /// What becomes of the fault: raised, over, or as it was.
    fn update(&mut self, seen: bool, at: Nanos) -> Option<bool> {
        if seen {
            let since = *self.since.get_or_insert(at);
            self.seen = Some(at);
            let raised = !self.active && at.since(since) >= RAISE_AFTER;
            self.active |= raised;
            return raised.then_some(true);
        }
        let over = self.seen.is_none_or(|last| at.since(last) >= CLEAR_AFTER);
        if !self.active || over {
            self.since = None;
        }
        let ended = self.active && over;
        self.active &= !over;
        ended.then_some(false)
    }
}
