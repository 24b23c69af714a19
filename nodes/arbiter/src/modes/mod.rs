//! Which mode the vehicle is in, and why: from hazards, driving and overload, with hysteresis and a bound on how often
//! it changes.

pub mod driving;
pub mod hazards;
pub mod hysteresis;
pub mod overload;
pub mod startup;

use crate::config::ModesConfig;
use auriga_msgs::v1::{self, Mode};
use auriga_runtime::Nanos;
use driving::DrivingMonitor;
use hazards::ActiveHazards;
use overload::Overload;
use startup::StartupHold;
use std::{collections::VecDeque, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);

/// Selects the mode.
#[derive(Debug)]
pub struct ModeSelector {
    config: ModesConfig,
    forced: Option<Mode>,
    current: Mode,
    startup: StartupHold,
    hazards: ActiveHazards,
    driving: DrivingMonitor,
    overload: Overload,
    /// Times of the mode changes of the last minute.
    changes: VecDeque<Nanos>,
}

/// What made a mode; [`ModeSelector::reason`] puts it into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The hazard of this id.
    Hazard(u64),
    /// The last hazard ended less than `hazard_hold_ms` ago.
    HazardHold,
    /// The configuration's `force_mode`.
    Forced,
    /// The arbiter has started and fusion has not stated the active hazards yet.
    Startup,
    /// This safety node has stopped reporting.
    NodeMissing(&'static str),
    /// Deadline misses of safety nodes.
    Overload,
    /// The vehicle's state.
    Driving,
}

/// A mode and what made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The mode in force.
    pub mode: Mode,
    /// Why.
    pub cause: Cause,
    /// The mode that `cause` asks for, if it is deferred because there were too many changes.
    pub deferred: Option<Mode>,
    /// The mode before, if this decision changes it.
    pub from: Option<Mode>,
}

impl ModeSelector {
    /// Begins in hazard mode, or in `forced`, the mode to hold unless there is a hazard.
    pub fn new(config: ModesConfig, forced: Option<Mode>) -> Self {
        Self {
            startup: StartupHold::new(Duration::from_millis(config.startup_hold_ms)),
            hazards: ActiveHazards::default(),
            driving: DrivingMonitor::new(&config),
            overload: Overload::new(&config),
            config,
            forced,
            current: forced.unwrap_or(Mode::Hazard),
            changes: VecDeque::new(),
        }
    }

    /// Takes in a hazard's onset, change or end. Returns whether there are too many: then the least of them has been
    /// dropped.
    pub fn on_hazard(&mut self, hazard: &v1::Hazard, now: Nanos) -> bool {
        self.hazards.update(hazard, now)
    }

    /// Takes in the hazards of a scene: see [`hazards`]. Returns whether that says something new: it is the first after the
    /// start, or lists a hazard that is not known.
    pub fn on_scene(&mut self, scene: &v1::Scene, now: Nanos) -> bool {
        let is_first = !self.startup.is_over();
        self.startup.finish();
        self.hazards.on_scene(scene, is_first, now) || is_first
    }

    /// Removes the hazards last reported before `time`, at which fusion was restarted.
    pub fn on_fusion_restart(&mut self, time: Nanos, now: Nanos) {
        self.hazards.remove_before(time, now);
    }

    /// Takes in a node's usage.
    pub fn on_usage(&mut self, usage: &v1::Usage, now: Nanos) {
        self.overload.on_usage(usage, now);
    }

    /// Takes in the vehicle's state. Returns the names of the values that no car can have; they are ignored.
    pub fn on_vehicle(&mut self, state: &v1::VehicleState, now: Nanos) -> Vec<&'static str> {
        self.driving.update(state, now)
    }

    /// The mode at `now`. Changes to hazard and limp are immediate; others are deferred while there were too many in a
    /// minute.
    pub fn decide(&mut self, now: Nanos) -> Decision {
        self.hazards.expire(Duration::from_millis(self.config.hazard_timeout_ms), now);
        self.driving.evaluate(now);
        self.overload.evaluate(now);
        while self.changes.front().is_some_and(|t| now.since(*t) >= MINUTE) {
            self.changes.pop_front();
        }
        let starting = self.startup.holds(now);
        let (target, cause) = self.target(starting, now);
        if target == self.current {
            return Decision { mode: target, cause, deferred: None, from: None };
        }
        let bounded = !matches!(target, Mode::Hazard | Mode::Limp);
        if bounded && self.changes.len() >= self.config.max_changes_per_min {
            return Decision { mode: self.current, cause, deferred: Some(target), from: None };
        }
        self.changes.push_back(now);
        let from = std::mem::replace(&mut self.current, target);
        Decision { mode: target, cause, deferred: None, from: Some(from) }
    }

    fn target(&self, starting: bool, now: Nanos) -> (Mode, Cause) {
        if let Some(id) = self.hazards.worst(Mode::Hazard) {
            return (Mode::Hazard, Cause::Hazard(id));
        }
        if self.hazards.was_active_within(Duration::from_millis(self.config.hazard_hold_ms), now) {
            return (Mode::Hazard, Cause::HazardHold);
        }
        if let Some(mode) = self.forced {
            return (mode, Cause::Forced);
        }
        if starting {
            return (Mode::Hazard, Cause::Startup);
        }
        if let Some(id) = self.hazards.worst(Mode::Limp) {
            return (Mode::Limp, Cause::Hazard(id));
        }
        if let Some(node) = self.overload.missing(now) {
            return (Mode::Limp, Cause::NodeMissing(node));
        }
        match () {
            () if self.overload.is_limp() => (Mode::Limp, Cause::Overload),
            () if self.driving.is_demanding() => (Mode::Demanding, Cause::Driving),
            () if self.overload.is_demanding() => (Mode::Demanding, Cause::Overload),
            () if self.driving.is_parked() => (Mode::Parked, Cause::Driving),
            () => (Mode::Nominal, Cause::Driving),
        }
    }

    /// What led to a decision of this instant, in words.
    pub fn reason(&self, decision: &Decision) -> String {
        let cause = match decision.cause {
            Cause::Hazard(id) => self.hazards.describe(id),
            Cause::HazardHold => format!("the last hazard ended less than {} ms ago", self.config.hazard_hold_ms),
            Cause::Forced => "forced by force_mode".into(),
            Cause::Startup => "just started, the active hazards are not known yet".into(),
            Cause::NodeMissing(node) => {
                format!("the safety node {node} has not reported for {} ms", self.config.node_missing_ms)
            }
            Cause::Overload => self.overload.describe(),
            Cause::Driving => self.driving.describe(),
        };
        match decision.deferred {
            None => cause,
            Some(mode) => format!(
                "{cause}, but {mode} is deferred after {} mode changes in a minute",
                self.changes.len(),
                mode = mode.name()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use auriga_msgs::v1::{Gear, HazardKind, Severity};

    fn modes() -> ModeSelector {
        let mut modes = ModeSelector::new(Config::default().modes, None);
        modes.on_scene(&v1::Scene::default(), t(0));
        assert_eq!(modes.decide(t(0)).mode, Mode::Nominal);
        modes
    }

    fn t(ms: u64) -> Nanos {
        Nanos::from_millis(ms)
    }

    fn hazard(id: u64, kind: HazardKind, severity: Severity, active: bool) -> v1::Hazard {
        let (kind, severity) = (kind.into(), severity.into());
        v1::Hazard { id, kind, severity, active, text: "vehicle ahead: 12 m".into(), ..Default::default() }
    }

    fn driving(speed_mps: f64, gear: Gear) -> v1::VehicleState {
        v1::VehicleState { speed_mps: Some(speed_mps), gear: gear.into(), ..Default::default() }
    }

    /// Feeds the state that `of` gives every 10 ms and returns the mode changes with their times.
    fn drive(modes: &mut ModeSelector, from: u64, to: u64, of: impl Fn(u64) -> v1::VehicleState) -> Vec<(u64, Mode)> {
        let mut changes = Vec::new();
        for at in (from..to).step_by(10) {
            modes.on_vehicle(&of(at), t(at));
            let d = modes.decide(t(at));
            changes.extend(d.from.map(|_| (at, d.mode)));
        }
        changes
    }

    #[test]
    fn hazard_mode_begins_at_once_and_is_held_after_the_hazard_ends() {
        let mut m = modes();
        let (kind, critical) = (HazardKind::ForwardCollision, Severity::Critical);
        m.on_hazard(&hazard(7, kind, critical, true), t(1000));
        let d = m.decide(t(1000));
        assert_eq!((d.mode, d.cause, d.from), (Mode::Hazard, Cause::Hazard(7), Some(Mode::Nominal)));
        assert_eq!(m.reason(&d), "hazard 7, forward-collision: vehicle ahead: 12 m");
        m.on_hazard(&hazard(7, kind, critical, false), t(5000));
        assert_eq!(m.decide(t(6499)).cause, Cause::HazardHold);
        assert_eq!(m.decide(t(6500)).mode, Mode::Nominal);
    }

    #[test]
    fn a_hazard_reduced_to_severity_info_is_held_like_one_that_ends() {
        let mut m = modes();
        m.on_hazard(&hazard(1, HazardKind::Pedestrian, Severity::Warning, true), t(0));
        m.on_hazard(&hazard(1, HazardKind::Pedestrian, Severity::Info, true), t(100));
        assert_eq!(m.decide(t(200)).cause, Cause::HazardHold);
        assert_eq!(m.decide(t(1700)).mode, Mode::Nominal);
    }

    #[test]
    fn a_hazard_without_severity_counts_as_a_warning_and_one_of_severity_info_does_not_count() {
        let mut m = modes();
        m.on_hazard(&hazard(1, HazardKind::Unspecified, Severity::Info, true), t(0));
        assert_eq!(m.decide(t(0)).mode, Mode::Nominal);
        m.on_hazard(&hazard(2, HazardKind::Unspecified, Severity::Unspecified, true), t(10));
        assert_eq!(m.decide(t(10)).mode, Mode::Hazard);
    }

    #[test]
    fn a_lost_sensor_means_limp_until_it_is_back() {
        let mut m = modes();
        for at in (0..3_600_000).step_by(500) {
            m.on_hazard(&hazard(3, HazardKind::SensorLost, Severity::Warning, true), t(at));
            assert_eq!(m.decide(t(at + 499)).mode, Mode::Limp);
        }
        m.on_hazard(&hazard(3, HazardKind::SensorLost, Severity::Warning, false), t(3_600_001));
        assert_eq!(m.decide(t(3_600_001)).mode, Mode::Nominal);
    }

    #[test]
    fn a_hazard_expires_without_reports_and_ends_when_fusion_restarts() {
        let mut m = modes();
        let onset = hazard(1, HazardKind::ForwardCollision, Severity::Critical, true);
        let mut lost = hazard(2, HazardKind::SensorLost, Severity::Warning, true);
        // The sender's clock does not matter.
        lost.header = Some(v1::Header::new(u64::MAX, 0));
        m.on_hazard(&onset, t(0));
        m.on_hazard(&lost, t(0));
        assert_eq!(m.decide(t(1999)).mode, Mode::Hazard);
        assert_eq!(m.decide(t(2000)).cause, Cause::HazardHold);
        assert_eq!(m.decide(t(3500)).mode, Mode::Nominal);
        m.on_hazard(&onset, t(40_000));
        m.on_fusion_restart(t(41_000), t(41_500));
        assert_eq!(m.decide(t(41_500)).cause, Cause::HazardHold);
    }

    #[test]
    fn after_a_start_hazard_mode_holds_until_fusion_has_stated_the_active_hazards() {
        let mut m = ModeSelector::new(Config::default().modes, None);
        let d = m.decide(t(1000));
        assert_eq!((d.mode, d.cause, d.from), (Mode::Hazard, Cause::Startup, None));
        assert_eq!(m.decide(t(1200)).mode, Mode::Hazard);
        let standing = hazard(4, HazardKind::LaneDeparture, Severity::Warning, true);
        m.on_scene(&v1::Scene { hazards: vec![standing.clone()], ..Default::default() }, t(1300));
        assert_eq!(m.decide(t(1300)).cause, Cause::Hazard(4));
        m.on_hazard(&v1::Hazard { active: false, ..standing }, t(1400));
        assert_eq!(m.decide(t(2900)).mode, Mode::Nominal);
    }

    #[test]
    fn the_first_scene_does_not_revive_a_hazard_whose_end_came_before_it() {
        let mut m = ModeSelector::new(Config::default().modes, None);
        m.decide(t(1000));
        let over = hazard(4, HazardKind::LaneDeparture, Severity::Warning, true);
        m.on_hazard(&v1::Hazard { active: false, ..over.clone() }, t(1010));
        m.on_scene(&v1::Scene { hazards: vec![over], ..Default::default() }, t(1020));
        assert_eq!(m.decide(t(1020)).mode, Mode::Nominal);
    }

    /// A message of fusion's with the time at which it was published.
    fn published<M: auriga_msgs::Stamped>(mut message: M, ms: u64) -> M {
        *message.header_slot() = Some(v1::Header { published_ns: t(ms).0, ..v1::Header::new(t(ms).0, 0) });
        message
    }

    #[test]
    fn an_end_that_fusions_scenes_contradict_does_not_free_anything() {
        let mut m = modes();
        let onset = hazard(7, HazardKind::Pedestrian, Severity::Critical, true);
        m.on_hazard(&published(onset.clone(), 1000), t(1000));
        // Forged, or of another life of fusion: by its active flag, or by its severity.
        for (at, forged) in
            [(1100, v1::Hazard { active: false, ..onset.clone() }), (1200, v1::Hazard { severity: 1, ..onset.clone() })]
        {
            m.on_hazard(&published(forged, at), t(at));
            assert_eq!(m.decide(t(at)).cause, Cause::HazardHold);
            let scene = v1::Scene { hazards: vec![onset.clone()], ..Default::default() };
            assert!(!m.on_scene(&published(scene.clone(), at), t(at + 5)), "published before the end");
            assert!(m.on_scene(&published(scene, at + 40), t(at + 40)));
            assert_eq!(m.decide(t(at + 40)).cause, Cause::Hazard(7));
        }
        // A true end: no later scene lists it.
        m.on_hazard(&published(v1::Hazard { active: false, ..onset }, 1300), t(1300));
        assert!(!m.on_scene(&published(v1::Scene::default(), 1340), t(1340)));
        assert_eq!(m.decide(t(2800)).mode, Mode::Nominal);
    }

    #[test]
    fn a_hazard_whose_onset_was_lost_is_known_from_the_next_scene() {
        let mut m = modes();
        let listed = hazard(3, HazardKind::ForwardCollision, Severity::Critical, true);
        let scene = v1::Scene { hazards: vec![listed], ..Default::default() };
        assert!(m.on_scene(&published(scene.clone(), 1000), t(1000)));
        assert_eq!(m.decide(t(1000)).cause, Cause::Hazard(3));
        assert!(!m.on_scene(&published(scene, 1040), t(1040)), "known now");
    }

    #[test]
    fn without_any_scene_the_hold_after_a_start_ends_by_its_limit() {
        let mut m = ModeSelector::new(Config::default().modes, None);
        assert_eq!(m.decide(t(1000)).mode, Mode::Hazard);
        assert_eq!(m.decide(t(5999)).mode, Mode::Hazard);
        assert_eq!(m.decide(t(6000)).mode, Mode::Nominal);
    }

    #[test]
    fn the_worst_hazard_is_kept_when_there_are_too_many() {
        let mut m = modes();
        m.on_hazard(&hazard(0, HazardKind::Pedestrian, Severity::Critical, true), t(0));
        for id in 1..1000 {
            let too_many = m.on_hazard(&hazard(id, HazardKind::SensorLost, Severity::Warning, true), t(id));
            assert_eq!(too_many, id >= hazards::MAX_HAZARDS as u64);
        }
        assert_eq!(m.hazards.len(), hazards::MAX_HAZARDS);
        assert_eq!(m.decide(t(1000)).cause, Cause::Hazard(0));
    }

    #[test]
    fn parked_mode_begins_after_standing_for_a_while_and_ends_when_the_car_moves() {
        let mut m = modes();
        let changes = drive(&mut m, 1000, 10_000, |at| match at {
            ..5000 => driving(0.0, Gear::Park),
            _ => driving(3.0, Gear::Drive),
        });
        assert_eq!(changes, [(3000, Mode::Parked), (5000, Mode::Nominal)]);
    }

    #[test]
    fn a_silent_bus_ends_parked_mode() {
        let mut m = modes();
        drive(&mut m, 1000, 4000, |_| driving(0.0, Gear::Park));
        assert_eq!(m.decide(t(4400)).mode, Mode::Parked);
        let d = m.decide(t(4600));
        assert_eq!((d.mode, m.reason(&d).as_str()), (Mode::Nominal, "no vehicle state"));
    }

    #[test]
    fn noise_around_the_speed_threshold_does_not_toggle_the_mode() {
        let mut m = modes();
        let noisy = |at: u64| driving(38.0 + if (at / 10).is_multiple_of(2) { 1.0 } else { -1.0 }, Gear::Drive);
        assert_eq!(drive(&mut m, 0, 60_000, noisy), [], "never above for long enough");
        let above_then_noisy = |at: u64| if at < 61_000 { driving(40.0, Gear::Drive) } else { noisy(at) };
        assert_eq!(drive(&mut m, 60_000, 120_000, above_then_noisy), [(60_200, Mode::Demanding)]);
    }

    #[test]
    fn mode_changes_are_bounded_in_every_minute_except_to_hazard() {
        let mut m = modes();
        // 4 s braking, 4 s not: the hysteresis follows, the bound does not.
        let braking = |at: u64| v1::VehicleState {
            brake: Some(if (at / 4000).is_multiple_of(2) { 0.9 } else { 0.0 }),
            ..driving(20.0, Gear::Drive)
        };
        let changes = drive(&mut m, 0, 300_000, braking);
        for (start, _) in &changes {
            let within = changes.iter().filter(|(at, _)| (*start..start + 60_000).contains(at)).count();
            assert!(within <= 12, "{within} mode changes in the minute from {start} ms");
        }
        assert!(changes.len() > 24, "{}", changes.len());
        // The bound is used up, a hazard still counts.
        while m.changes.len() < 12 {
            m.changes.push_back(t(299_990));
        }
        m.on_hazard(&hazard(1, HazardKind::Pedestrian, Severity::Critical, true), t(300_000));
        assert_eq!(m.decide(t(300_000)).mode, Mode::Hazard);
        m.on_hazard(&hazard(1, HazardKind::Pedestrian, Severity::Critical, false), t(300_010));
        let d = m.decide(t(302_000));
        assert_eq!((d.mode, d.cause, d.deferred), (Mode::Hazard, Cause::Driving, Some(Mode::Demanding)));
        assert!(m.changes.len() >= 12);
        let expected =
            format!("calm for less than 3000 ms, but demanding is deferred after {} mode changes", m.changes.len());
        assert!(m.reason(&d).contains(&expected), "{}", m.reason(&d));
    }

    #[test]
    fn a_forced_mode_yields_only_to_a_hazard() {
        let mut m = ModeSelector::new(Config::default().modes, Some(Mode::Thermal));
        m.on_hazard(&hazard(2, HazardKind::SensorLost, Severity::Warning, true), t(0));
        assert_eq!(m.decide(t(0)).mode, Mode::Thermal);
        m.on_hazard(&hazard(1, HazardKind::Pedestrian, Severity::Warning, true), t(10));
        assert_eq!(m.decide(t(10)).mode, Mode::Hazard);
    }

    #[test]
    fn implausible_values_are_named_and_ignored() {
        let mut m = modes();
        let implausible = v1::VehicleState { brake: Some(f64::NEG_INFINITY), ..driving(f64::NAN, Gear::Drive) };
        assert_eq!(m.on_vehicle(&implausible, t(0)), ["speed_mps", "brake"]);
        let d = m.decide(t(0));
        assert_eq!(m.reason(&d), "gear drive");
    }
}
