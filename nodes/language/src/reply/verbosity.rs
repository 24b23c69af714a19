//! How much may be said to the driver now: nothing, a sentence, or a whole answer.

use auriga_lm::intent::scene::HIGH_LOAD;
use auriga_msgs::v1::{self, HazardKind, Indicator, Mode, Severity};

/// The driver's attention, from the least that may be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// What there is to say waits.
    Silent,
    Brief,
    Full,
}

/// What the driving takes of the driver.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DriverWorkload {
    /// The arbiter's; `None` before its first word.
    pub mode: Option<Mode>,
    /// `None`: not known.
    pub speed_mps: Option<f64>,
    /// A danger that the driver has to act on.
    pub hazard: bool,
    /// The indicator is on to one side while the car moves.
    pub lane_change: bool,
    /// 0..1.
    pub load: Option<f64>,
}

/// Slower than this is standing.
pub const STANDING_MPS: f64 = 0.3;

impl DriverWorkload {
    /// From a scene that is fresh. `speed_mps` and `load`: checked already.
    pub fn of(scene: &v1::Scene, speed_mps: Option<f64>, load: Option<f64>, mode: Option<Mode>) -> Self {
        let indicator = scene.vehicle.as_ref().map_or(Indicator::Unspecified, |v| v.indicator());
        let moves = speed_mps.is_none_or(|v| v.abs() >= STANDING_MPS);
        Self {
            mode,
            speed_mps,
            hazard: scene.hazards.iter().any(is_danger),
            lane_change: moves && matches!(indicator, Indicator::Left | Indicator::Right),
            load,
        }
    }

    /// `brief_from_mps`: at this speed and above only brief things are said.
    pub fn talk(&self, brief_from_mps: f64) -> Verbosity {
        if self.hazard || self.mode == Some(Mode::Hazard) {
            return Verbosity::Silent;
        }
        let stands = self.speed_mps.is_some_and(|v| v.abs() < STANDING_MPS);
        if stands && !matches!(self.mode, Some(Mode::Limp)) {
            return Verbosity::Full;
        }
        let busy_mode = matches!(self.mode, Some(Mode::Demanding | Mode::Limp));
        // Written so that what is not known or no number makes it brief.
        let slow = self.speed_mps.is_some_and(|v| v.abs() < brief_from_mps);
        let easy = self.load.is_some_and(|load| load < HIGH_LOAD);
        if busy_mode || self.lane_change || !slow || !easy { Verbosity::Brief } else { Verbosity::Full }
    }
}

/// A hazard that the driver has to act on: a lost sensor is the car's own trouble.
fn is_danger(hazard: &v1::Hazard) -> bool {
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
    fn in_danger_nothing_is_said() {
        assert_eq!(DriverWorkload { hazard: true, ..easy() }.talk(FAST), Verbosity::Silent);
        assert_eq!(DriverWorkload { mode: Some(Mode::Hazard), ..easy() }.talk(FAST), Verbosity::Silent);
        let standing = DriverWorkload { speed_mps: Some(0.0), hazard: true, ..easy() };
        assert_eq!(standing.talk(FAST), Verbosity::Silent);
    }

    #[test]
    fn speed_decides_at_its_borders() {
        let at = |speed: f64| DriverWorkload { speed_mps: Some(speed), ..easy() }.talk(FAST);
        assert_eq!([at(26.99), at(-26.99), at(27.0), at(-27.0), at(f64::NAN)], {
            use Verbosity::*;
            [Full, Full, Brief, Brief, Brief]
        });
        let busy = |speed| DriverWorkload { speed_mps: Some(speed), load: Some(0.9), ..easy() }.talk(FAST);
        assert_eq!([busy(0.29), busy(-0.29), busy(0.3)], [Verbosity::Full, Verbosity::Full, Verbosity::Brief]);
    }

    #[test]
    fn load_mode_and_a_change_of_lane_make_it_brief() {
        let load = |load| DriverWorkload { load, ..easy() }.talk(FAST);
        assert_eq!(
            [load(Some(0.59)), load(Some(0.6)), load(None)],
            [Verbosity::Full, Verbosity::Brief, Verbosity::Brief]
        );
        for (mode, talk) in [
            (None, Verbosity::Full),
            (Some(Mode::Parked), Verbosity::Full),
            (Some(Mode::Thermal), Verbosity::Full),
            (Some(Mode::Demanding), Verbosity::Brief),
            (Some(Mode::Limp), Verbosity::Brief),
        ] {
            assert_eq!(DriverWorkload { mode, ..easy() }.talk(FAST), talk, "{mode:?}");
        }
        assert_eq!(DriverWorkload { lane_change: true, ..easy() }.talk(FAST), Verbosity::Brief);
        assert_eq!(DriverWorkload::default().talk(FAST), Verbosity::Brief, "nothing is known");
    }

    #[test]
    fn a_scene_is_read_for_dangers_and_changes_of_lane() {
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
        fn what_takes_more_of_the_driver_never_lets_more_be_said(
            mode in 0..=6i32, speed in prop::option::of(any::<f64>()), load in prop::option::of(any::<f64>()), lane in any::<bool>(),
        ) {
            let d = DriverWorkload { mode: Mode::try_from(mode).ok(), speed_mps: speed, load, lane_change: lane, hazard: false };
            let more = [
                DriverWorkload { hazard: true, ..d },
                DriverWorkload { lane_change: true, ..d },
                DriverWorkload { load: None, ..d },
                DriverWorkload { speed_mps: None, ..d },
            ];
            prop_assert!(more.iter().all(|more| more.talk(FAST) <= d.talk(FAST)));
            prop_assert!(d.talk(0.0) <= d.talk(FAST));
        }
    }
}
