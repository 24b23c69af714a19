//! How much may be said at the present workload of the driver: nothing, one sentence, or a full reply.

use crate::understand::facts::{Observation, STANDSTILL_MPS};
use auriga_lm::intent::scene::HIGH_LOAD;
use auriga_msgs::{
    Stamped,
    v1::{self, HazardKind, Indicator, Mode, Severity},
};
use auriga_runtime::Nanos;
use std::time::Duration;

/// How much may be said, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Nothing; replies wait.
    Silent,
    /// A short reply.
    Brief,
    /// A reply of full length.
    Full,
}

/// The workload that driving puts on the driver.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DriverWorkload {
    /// The mode of the arbiter; `None` if it is unknown.
    pub mode: Option<Mode>,
    /// `None` if it is unknown.
    pub speed_mps: Option<f64>,
    /// Whether there is a hazard to which the driver has to react.
    pub hazard: bool,
    /// Whether the indicator is on to one side while the car moves.
    pub lane_change: bool,
    /// The driving load of the scene, 0 to 1; `None` if it is unknown.
    pub load: Option<f64>,
}

impl DriverWorkload {
    /// From the newest scene; a scene older than `max_age` is ignored.
    pub fn observe(scene: Option<&v1::Scene>, mode: Option<Mode>, max_age: Duration, now: Nanos) -> Self {
        match scene.filter(|scene| now.since(Nanos(scene.header_copy().stamp_ns)) <= max_age) {
            Some(scene) => {
                let facts = Observation::of(Some(scene), now, max_age).facts;
                Self::of(scene, facts.speed_mps, facts.driving_load, mode)
            }
            None => Self { mode, ..Self::default() },
        }
    }

    /// From a fresh scene, with its checked speed and load.
    fn of(scene: &v1::Scene, speed_mps: Option<f64>, load: Option<f64>, mode: Option<Mode>) -> Self {
        let indicator = scene.vehicle.as_ref().map_or(Indicator::Unspecified, |v| v.indicator());
        let is_moving = speed_mps.is_none_or(|v| v.abs() >= STANDSTILL_MPS);
        Self {
            mode,
            speed_mps,
            hazard: scene.hazards.iter().any(needs_reaction),
            lane_change: is_moving && matches!(indicator, Indicator::Left | Indicator::Right),
            load,
        }
    }

    /// `brief_from_mps`: from this speed on replies are brief.
    pub fn verbosity(&self, brief_from_mps: f64) -> Verbosity {
        if self.hazard || self.mode == Some(Mode::Hazard) {
            return Verbosity::Silent;
        }
        let is_standing = self.speed_mps.is_some_and(|v| v.abs() < STANDSTILL_MPS);
        if is_standing && !matches!(self.mode, Some(Mode::Limp)) {
            return Verbosity::Full;
        }
        let busy_mode = matches!(self.mode, Some(Mode::Demanding | Mode::Limp));
        // Written such that unknown values and not-a-number give a brief reply.
        let slow = self.speed_mps.is_some_and(|v| v.abs() < brief_from_mps);
        let easy = self.load.is_some_and(|load| load < HIGH_LOAD);
        if busy_mode || self.lane_change || !slow || !easy { Verbosity::Brief } else { Verbosity::Full }
    }
}

/// Whether the driver has to react to a hazard. A lost sensor is a fault of the vehicle.
fn needs_reaction(hazard: &v1::Hazard) -> bool {
    let kinds = [HazardKind::ForwardCollision, HazardKind::LaneDeparture, HazardKind::Pedestrian];
    hazard.active && kinds.contains(&hazard.kind()) && hazard.severity() >= Severity::Warning
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FAST: f64 = 27.0;

    fn easy() -> DriverWorkload {
        DriverWorkload { mode: Some(Mode::Nominal), speed_mps: Some(14.0), load: Some(0.2), ..Default::default() }
    }

    #[test]
    fn nothing_is_said_during_a_hazard() {
        assert_eq!(DriverWorkload { hazard: true, ..easy() }.verbosity(FAST), Verbosity::Silent);
        assert_eq!(DriverWorkload { mode: Some(Mode::Hazard), ..easy() }.verbosity(FAST), Verbosity::Silent);
        let standing = DriverWorkload { speed_mps: Some(0.0), hazard: true, ..easy() };
        assert_eq!(standing.verbosity(FAST), Verbosity::Silent);
    }

    #[test]
    fn the_speed_limits_of_verbosity_are_exact() {
        let at = |speed: f64| DriverWorkload { speed_mps: Some(speed), ..easy() }.verbosity(FAST);
        assert_eq!([at(26.99), at(-26.99), at(27.0), at(-27.0), at(f64::NAN)], {
            use Verbosity::*;
            [Full, Full, Brief, Brief, Brief]
        });
        let busy = |speed| DriverWorkload { speed_mps: Some(speed), load: Some(0.9), ..easy() }.verbosity(FAST);
        assert_eq!([busy(0.29), busy(-0.29), busy(0.3)], [Verbosity::Full, Verbosity::Full, Verbosity::Brief]);
    }

    #[test]
    fn load_mode_and_a_lane_change_make_replies_brief() {
        let load = |load| DriverWorkload { load, ..easy() }.verbosity(FAST);
        assert_eq!(
            [load(Some(0.59)), load(Some(0.6)), load(None)],
            [Verbosity::Full, Verbosity::Brief, Verbosity::Brief]
        );
        for (mode, verbosity) in [
            (None, Verbosity::Full),
            (Some(Mode::Parked), Verbosity::Full),
            (Some(Mode::Thermal), Verbosity::Full),
            (Some(Mode::Demanding), Verbosity::Brief),
            (Some(Mode::Limp), Verbosity::Brief),
        ] {
            assert_eq!(DriverWorkload { mode, ..easy() }.verbosity(FAST), verbosity, "{mode:?}");
        }
        assert_eq!(DriverWorkload { lane_change: true, ..easy() }.verbosity(FAST), Verbosity::Brief);
        assert_eq!(DriverWorkload::default().verbosity(FAST), Verbosity::Brief, "everything is unknown");
    }

    #[test]
    fn hazards_and_lane_changes_come_from_the_scene() {
        let vehicle = v1::VehicleState { indicator: Indicator::Left.into(), ..Default::default() };
        let hazard = |kind: HazardKind, severity: Severity, active| v1::Hazard {
            kind: kind.into(),
            severity: severity.into(),
            active,
            ..Default::default()
        };
        let of = |hazard: v1::Hazard, speed| {
            let scene = v1::Scene { vehicle: Some(vehicle.clone()), hazards: vec![hazard], ..Default::default() };
            let d = DriverWorkload::of(&scene, speed, None, None);
            (d.hazard, d.lane_change)
        };
        use HazardKind::*;
        assert_eq!(of(hazard(Pedestrian, Severity::Warning, true), Some(5.0)), (true, true));
        assert_eq!(of(hazard(Pedestrian, Severity::Info, true), Some(0.2)), (false, false));
        assert_eq!(of(hazard(ForwardCollision, Severity::Critical, false), None), (false, true));
        assert_eq!(of(hazard(SensorLost, Severity::Critical, true), None), (false, true));
    }

    proptest! {
        #[test]
        fn a_higher_workload_never_allows_more_to_be_said(
            mode in 0..=6i32, speed in prop::option::of(any::<f64>()), load in prop::option::of(any::<f64>()), lane in any::<bool>(),
        ) {
            let d = DriverWorkload { mode: Mode::try_from(mode).ok(), speed_mps: speed, load, lane_change: lane, hazard: false };
            let more = [
                DriverWorkload { hazard: true, ..d },
                DriverWorkload { lane_change: true, ..d },
                DriverWorkload { load: None, ..d },
                DriverWorkload { speed_mps: None, ..d },
            ];
            prop_assert!(more.iter().all(|more| more.verbosity(FAST) <= d.verbosity(FAST)));
            prop_assert!(d.verbosity(0.0) <= d.verbosity(FAST));
        }
    }
}
