//! Which mode the vehicle is in, and why: from hazards, driving and overload, with hysteresis and a bound on how often
//! it changes.

pub mod overload;

use crate::config::ModesConfig;
use auriga_msgs::{
    TopicId,
    v1::{self, Gear, HazardKind, Mode, Severity},
};
use auriga_runtime::Nanos;
use overload::Overload;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Hazards remembered at most; fusion has a handful at a time.
const MAX_HAZARDS: usize = 64;
/// Reasons stay short whatever a hazard's text holds.
const MAX_TEXT: usize = 80;
const MINUTE: Duration = Duration::from_secs(60);

fn ms(t: u64) -> Duration {
    Duration::from_millis(t)
}

/// A condition that has to hold for a while before it counts, and to be absent for a while before it does not.
#[derive(Debug, Default)]
pub(crate) struct Hysteresis {
    on: bool,
    /// Since when what is seen differs from `on`.
    differs_since: Option<Nanos>,
}

impl Hysteresis {
    /// `enter`: the condition holds. `stay`: it holds well enough to go on (the lower threshold).
    pub fn update(&mut self, enter: bool, stay: bool, now: Nanos, after: Duration, exit: Duration) {
        let (seen, wait) = if self.on { (enter || stay, exit) } else { (enter, after) };
        if seen == self.on {
            self.differs_since = None;
        } else if now.since(*self.differs_since.get_or_insert(now)) >= wait {
            self.on = seen;
            self.differs_since = None;
        }
    }

    pub fn is_on(&self) -> bool {
        self.on
    }

    /// It is over, but not for long enough yet.
    pub fn is_clearing(&self) -> bool {
        self.on && self.differs_since.is_some()
    }
}

/// A hazard that calls for a mode: warnings and worse.
#[derive(Debug, Clone)]
struct ActiveHazard {
    kind: HazardKind,
    severity: Severity,
    /// Of the last message about it.
    heard: Nanos,
    text: String,
}

impl ActiveHazard {
    /// A driver in danger needs the machine and the silence; a sensor that is lost is a car that can do less.
    fn mode(&self) -> Mode {
        if self.kind == HazardKind::SensorLost { Mode::Limp } else { Mode::Hazard }
    }
}

/// What was last seen of the driving, plausible values only.
#[derive(Debug, Clone, Copy, Default)]
struct Driving {
    speed_mps: Option<f64>,
    lateral_mps2: Option<f64>,
    brake: Option<f64>,
    gear: Gear,
}

/// The state of the vehicle as far as the arbiter cares.
#[derive(Debug)]
pub struct ModeSelector {
    config: ModesConfig,
    forced: Option<Mode>,
    current: Mode,
    hazards: BTreeMap<u64, ActiveHazard>,
    /// When a hazard that calls for the hazard mode was last on.
    last_hazard_at: Option<Nanos>,
    driving: Driving,
    /// When the vehicle's state was last heard.
    heard_vehicle: Nanos,
    parked: Hysteresis,
    demanding: Hysteresis,
    overload: Overload,
    /// Times of the moves of the last minute.
    changes: VecDeque<Nanos>,
}

/// What makes a mode; [`ModeSelector::reason`] puts it into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The hazard of this id.
    Hazard(u64),
    /// The last hazard has ended only just.
    HazardHold,
    Forced,
    Overload,
    Driving,
}

/// A mode and what made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    pub mode: Mode,
    pub cause: Cause,
    /// The mode that `cause` asks for, when it has to wait because there were too many moves.
    pub deferred: Option<Mode>,
    /// The mode before, when this decision is a move.
    pub from: Option<Mode>,
}

impl ModeSelector {
    pub fn new(config: ModesConfig, forced: Option<Mode>) -> Self {
        Self {
            overload: Overload::new(&config),
            config,
            forced,
            // What is not known yet is driving.
            current: Mode::Nominal,
            hazards: BTreeMap::new(),
            last_hazard_at: None,
            driving: Driving::default(),
            heard_vehicle: Nanos::ZERO,
            parked: Hysteresis::default(),
            demanding: Hysteresis::default(),
            changes: VecDeque::new(),
        }
    }

    /// Takes in a hazard's onset, change or end.
    pub fn hazard(&mut self, hazard: &v1::Hazard, now: Nanos) {
        self.note_hazard(now);
        // One of no severity is a publisher's mistake: not one to make light of.
        let severity = match hazard.severity() {
            Severity::Unspecified => Severity::Warning,
            severity => severity,
        };
        if !hazard.active || severity < Severity::Warning {
            self.hazards.remove(&hazard.id);
            return;
        }
        if self.hazards.len() >= MAX_HAZARDS && !self.hazards.contains_key(&hazard.id) {
            let stalest = self.hazards.iter().min_by_key(|(id, h)| (h.severity, h.heard, **id)).map(|(id, _)| *id);
            stalest.and_then(|id| self.hazards.remove(&id));
        }
        let text = hazard.text.chars().take(MAX_TEXT).map(|c| if c == ';' || c.is_control() { ',' } else { c });
        let active = ActiveHazard { kind: hazard.kind(), severity, heard: now, text: text.collect() };
        self.hazards.insert(hazard.id, active);
    }

    /// Forgets hazards last heard of before `time`: their publisher has been restarted and will raise again what is.
    pub fn forget_hazards_before(&mut self, time: Nanos, now: Nanos) {
        self.note_hazard(now);
        self.hazards.retain(|_, h| h.heard >= time);
    }

    /// Takes in how a node feels.
    pub fn usage(&mut self, usage: &v1::Usage, now: Nanos) {
        self.overload.usage(usage, now);
    }

    /// Takes in the driving. Returns the names of values no car can have; they are left out.
    pub fn vehicle(&mut self, state: &v1::VehicleState, now: Nanos) -> Vec<&'static str> {
        let mut implausible = Vec::new();
        let mut within = |name, value: Option<f64>, limit: f64| {
            // A NaN is not within either.
            let plausible = value.filter(|v| v.abs() <= limit);
            if plausible.is_none() && value.is_some() {
                implausible.push(name);
            }
            plausible
        };
        let speed_mps = within("speed_mps", state.speed_mps, 150.0);
        let yaw = within("yaw_rate_radps", state.yaw_rate_radps, 10.0);
        let brake = within("brake", state.brake, 2.0);
        let lateral_mps2 = speed_mps.zip(yaw).map(|(v, w)| (v * w).abs());
        self.driving = Driving { speed_mps, lateral_mps2, brake, gear: state.gear() };
        self.heard_vehicle = now;
        self.update_driving(now);
        implausible
    }

    fn update_driving(&mut self, now: Nanos) {
        let silence = TopicId::VehicleState.spec().timeout_ms.map_or(Duration::MAX, ms);
        if now.since(self.heard_vehicle) > silence {
            // A bus that is silent tells neither that the car stands nor that it is busy.
            self.driving = Driving::default();
        }
        let (c, d) = (&self.config, self.driving);
        let slow = d.speed_mps.is_some_and(|v| v.abs() <= c.parked_max_speed_mps);
        let parked = match d.gear {
            Gear::Park => d.speed_mps.is_none() || slow,
            Gear::Unspecified => slow,
            Gear::Reverse | Gear::Neutral | Gear::Drive => false,
        };
        self.parked.update(parked, false, now, ms(c.parked_after_ms), Duration::ZERO);
        let above = |factor: f64| {
            d.lateral_mps2.is_some_and(|a| a >= c.demanding_lateral_mps2 * factor)
                || d.speed_mps.is_some_and(|v| v.abs() >= c.demanding_speed_mps * factor)
                || d.brake.is_some_and(|b| b >= c.demanding_brake * factor)
        };
        let (after, exit) = (ms(c.demanding_after_ms), ms(c.demanding_exit_ms));
        self.demanding.update(above(1.0), above(c.exit_factor), now, after, exit);
    }

    /// The mode at `now`. Moves to hazard and limp are immediate; others wait while there were too many in a minute.
    pub fn decide(&mut self, now: Nanos) -> Decision {
        self.expire(now);
        self.update_driving(now);
        self.overload.update(now);
        let (wanted, cause) = self.wanted(now);
        if wanted == self.current {
            return Decision { mode: wanted, cause, deferred: None, from: None };
        }
        let bounded = !matches!(wanted, Mode::Hazard | Mode::Limp);
        if bounded && self.changes.len() >= self.config.max_changes_per_min {
            return Decision { mode: self.current, cause, deferred: Some(wanted), from: None };
        }
        self.changes.push_back(now);
        let from = std::mem::replace(&mut self.current, wanted);
        Decision { mode: wanted, cause, deferred: None, from: Some(from) }
    }

    fn worst(&self, mode: Mode) -> Option<u64> {
        let calling = self.hazards.iter().filter(|(_, h)| h.mode() == mode);
        calling.max_by_key(|(id, h)| (h.severity, std::cmp::Reverse(**id))).map(|(id, _)| *id)
    }

    fn note_hazard(&mut self, now: Nanos) {
        if self.worst(Mode::Hazard).is_some() {
            self.last_hazard_at = Some(now);
        }
    }

    fn expire(&mut self, now: Nanos) {
        self.note_hazard(now);
        while self.changes.front().is_some_and(|t| now.since(*t) >= MINUTE) {
            self.changes.pop_front();
        }
        let limit = ms(self.config.hazard_timeout_ms);
        // A lost sensor may stay lost for hours; a collision that is imminent for half a minute is a lost end.
        self.hazards.retain(|_, h| h.kind == HazardKind::SensorLost || now.since(h.heard) < limit);
    }

    fn wanted(&self, now: Nanos) -> (Mode, Cause) {
        if let Some(id) = self.worst(Mode::Hazard) {
            return (Mode::Hazard, Cause::Hazard(id));
        }
        if self.last_hazard_at.is_some_and(|t| now.since(t) < ms(self.config.hazard_hold_ms)) {
            return (Mode::Hazard, Cause::HazardHold);
        }
        if let Some(mode) = self.forced {
            return (mode, Cause::Forced);
        }
        if let Some(id) = self.worst(Mode::Limp) {
            return (Mode::Limp, Cause::Hazard(id));
        }
        match () {
            () if self.overload.limp() => (Mode::Limp, Cause::Overload),
            () if self.demanding.is_on() => (Mode::Demanding, Cause::Driving),
            () if self.overload.demanding() => (Mode::Demanding, Cause::Overload),
            () if self.parked.is_on() => (Mode::Parked, Cause::Driving),
            () => (Mode::Nominal, Cause::Driving),
        }
    }

    /// What led to a decision of this instant, in words.
    pub fn reason(&self, decision: &Decision) -> String {
        let cause = match decision.cause {
            Cause::Hazard(id) => match self.hazards.get(&id) {
                Some(h) => format!("hazard {id}, {}: {}", kind_name(h.kind), h.text),
                None => format!("hazard {id}"),
            },
            Cause::HazardHold => format!("the last hazard ended less than {} ms ago", self.config.hazard_hold_ms),
            Cause::Forced => "forced by force_mode".into(),
            Cause::Overload => self.overload.describe(),
            Cause::Driving if self.demanding.is_clearing() => {
                format!("{}, calm for less than {} ms", self.driving.describe(), self.config.demanding_exit_ms)
            }
            Cause::Driving => self.driving.describe(),
        };
        match decision.deferred {
            None => cause,
            Some(mode) => format!(
                "{cause}, but {mode} has to wait after {} moves in a minute",
                self.changes.len(),
                mode = crate::table::mode_name(mode)
            ),
        }
    }
}

/// "HAZARD_KIND_FORWARD_COLLISION" as "forward-collision".
fn kind_name(kind: HazardKind) -> String {
    kind.as_str_name().trim_start_matches("HAZARD_KIND_").to_lowercase().replace('_', "-")
}

impl Driving {
    fn describe(&self) -> String {
        let mut parts = Vec::new();
        if let Some(v) = self.speed_mps {
            parts.push(format!("speed {v:.1} m/s"));
        }
        if let Some(a) = self.lateral_mps2.filter(|a| *a >= 0.5) {
            parts.push(format!("lateral {a:.1} m/s2"));
        }
        if let Some(b) = self.brake.filter(|b| *b > 0.05) {
            parts.push(format!("brake {:.0} %", b * 100.0));
        }
        if self.gear != Gear::Unspecified {
            parts.push(format!("gear {}", self.gear.as_str_name().trim_start_matches("GEAR_").to_lowercase()));
        }
        if parts.is_empty() { "no vehicle state".into() } else { parts.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn modes() -> ModeSelector {
        ModeSelector::new(Config::default().modes, None)
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

    /// Feeds the state that `of` gives every 10 ms and returns the moves with their times.
    fn drive(modes: &mut ModeSelector, from: u64, to: u64, of: impl Fn(u64) -> v1::VehicleState) -> Vec<(u64, Mode)> {
        let mut moves = Vec::new();
        for at in (from..to).step_by(10) {
            modes.vehicle(&of(at), t(at));
            let d = modes.decide(t(at));
            moves.extend(d.from.map(|_| (at, d.mode)));
        }
        moves
    }

    #[test]
    fn a_hazard_counts_at_once_and_is_held_for_a_while_after_its_end() {
        let mut m = modes();
        let (kind, critical) = (HazardKind::ForwardCollision, Severity::Critical);
        m.hazard(&hazard(7, kind, critical, true), t(1000));
        let d = m.decide(t(1000));
        assert_eq!((d.mode, d.cause, d.from), (Mode::Hazard, Cause::Hazard(7), Some(Mode::Nominal)));
        assert_eq!(m.reason(&d), "hazard 7, forward-collision: vehicle ahead: 12 m");
        m.hazard(&hazard(7, kind, critical, false), t(5000));
        assert_eq!(m.decide(t(6499)).cause, Cause::HazardHold);
        assert_eq!(m.decide(t(6500)).mode, Mode::Nominal);
    }

    #[test]
    fn a_hazard_that_weakens_to_a_hint_is_held_like_one_that_ends() {
        let mut m = modes();
        m.hazard(&hazard(1, HazardKind::Pedestrian, Severity::Warning, true), t(0));
        m.hazard(&hazard(1, HazardKind::Pedestrian, Severity::Info, true), t(100));
        assert_eq!(m.decide(t(200)).cause, Cause::HazardHold);
        assert_eq!(m.decide(t(1700)).mode, Mode::Nominal);
    }

    #[test]
    fn a_hazard_without_severity_is_taken_for_a_warning_and_a_hint_for_none() {
        let mut m = modes();
        m.hazard(&hazard(1, HazardKind::Unspecified, Severity::Info, true), t(0));
        assert_eq!(m.decide(t(0)).mode, Mode::Nominal);
        m.hazard(&hazard(2, HazardKind::Unspecified, Severity::Unspecified, true), t(10));
        assert_eq!(m.decide(t(10)).mode, Mode::Hazard);
    }

    #[test]
    fn a_lost_sensor_is_limp_until_it_is_back_however_long() {
        let mut m = modes();
        m.hazard(&hazard(3, HazardKind::SensorLost, Severity::Warning, true), t(0));
        assert_eq!(m.decide(t(3_600_000)).mode, Mode::Limp);
        m.hazard(&hazard(3, HazardKind::SensorLost, Severity::Warning, false), t(3_600_001));
        assert_eq!(m.decide(t(3_600_001)).mode, Mode::Nominal);
    }

    #[test]
    fn a_hazard_whose_end_is_lost_or_whose_publisher_was_restarted_is_forgotten() {
        let mut m = modes();
        let onset = hazard(1, HazardKind::ForwardCollision, Severity::Critical, true);
        m.hazard(&onset, t(0));
        assert_eq!(m.decide(t(29_999)).mode, Mode::Hazard);
        m.decide(t(30_000));
        assert_eq!(m.decide(t(31_500)).mode, Mode::Nominal);
        m.hazard(&onset, t(40_000));
        m.forget_hazards_before(t(41_000), t(42_000));
        assert_eq!(m.decide(t(42_000)).cause, Cause::HazardHold);
    }

    #[test]
    fn more_hazards_than_are_kept_never_push_out_the_worst() {
        let mut m = modes();
        m.hazard(&hazard(0, HazardKind::Pedestrian, Severity::Critical, true), t(0));
        for id in 1..1000 {
            m.hazard(&hazard(id, HazardKind::SensorLost, Severity::Warning, true), t(id));
        }
        assert_eq!(m.hazards.len(), MAX_HAZARDS);
        assert_eq!(m.decide(t(1000)).cause, Cause::Hazard(0));
    }

    #[test]
    fn standing_for_a_while_is_parked_and_moving_off_is_not() {
        let mut m = modes();
        let moves = drive(&mut m, 1000, 10_000, |at| match at {
            ..5000 => driving(0.0, Gear::Park),
            _ => driving(3.0, Gear::Drive),
        });
        assert_eq!(moves, [(3000, Mode::Parked), (5000, Mode::Nominal)]);
    }

    #[test]
    fn a_bus_that_falls_silent_says_nothing_of_the_driving() {
        let mut m = modes();
        drive(&mut m, 1000, 4000, |_| driving(0.0, Gear::Park));
        assert_eq!(m.decide(t(4400)).mode, Mode::Parked);
        let d = m.decide(t(4600));
        assert_eq!((d.mode, m.reason(&d).as_str()), (Mode::Nominal, "no vehicle state"));
    }

    #[test]
    fn speed_that_trembles_about_the_threshold_does_not_make_modes_tremble() {
        let mut m = modes();
        let noisy = |at: u64| driving(38.0 + if (at / 10).is_multiple_of(2) { 1.0 } else { -1.0 }, Gear::Drive);
        assert_eq!(drive(&mut m, 0, 60_000, noisy), [], "never above for long enough");
        let above_then_noisy = |at: u64| if at < 61_000 { driving(40.0, Gear::Drive) } else { noisy(at) };
        assert_eq!(drive(&mut m, 60_000, 120_000, above_then_noisy), [(60_200, Mode::Demanding)]);
    }

    #[test]
    fn moves_are_bounded_in_every_minute_except_to_hazard() {
        let mut m = modes();
        // 4 s braking, 4 s not: the hysteresis follows, the bound does not.
        let braking = |at: u64| v1::VehicleState {
            brake: Some(if (at / 4000).is_multiple_of(2) { 0.9 } else { 0.0 }),
            ..driving(20.0, Gear::Drive)
        };
        let moves = drive(&mut m, 0, 300_000, braking);
        for (start, _) in &moves {
            let within = moves.iter().filter(|(at, _)| (*start..start + 60_000).contains(at)).count();
            assert!(within <= 12, "{within} moves in the minute from {start} ms");
        }
        assert!(moves.len() > 24, "{}", moves.len());
        // The bound is used up, a hazard still counts.
        while m.changes.len() < 12 {
            m.changes.push_back(t(299_990));
        }
        m.hazard(&hazard(1, HazardKind::Pedestrian, Severity::Critical, true), t(300_000));
        assert_eq!(m.decide(t(300_000)).mode, Mode::Hazard);
        m.hazard(&hazard(1, HazardKind::Pedestrian, Severity::Critical, false), t(300_010));
        let d = m.decide(t(302_000));
        assert_eq!((d.mode, d.cause, d.deferred), (Mode::Hazard, Cause::Driving, Some(Mode::Demanding)));
        assert!(
            m.reason(&d).contains("calm for less than 3000 ms, but demanding has to wait after 12 moves"),
            "{}",
            m.reason(&d)
        );
    }

    #[test]
    fn a_forced_mode_gives_way_to_a_hazard_only() {
        let mut m = ModeSelector::new(Config::default().modes, Some(Mode::Thermal));
        m.hazard(&hazard(2, HazardKind::SensorLost, Severity::Warning, true), t(0));
        assert_eq!(m.decide(t(0)).mode, Mode::Thermal);
        m.hazard(&hazard(1, HazardKind::Pedestrian, Severity::Warning, true), t(10));
        assert_eq!(m.decide(t(10)).mode, Mode::Hazard);
    }

    #[test]
    fn values_no_car_has_are_named_and_left_out() {
        let mut m = modes();
        let absurd = v1::VehicleState { brake: Some(f64::NEG_INFINITY), ..driving(f64::NAN, Gear::Drive) };
        assert_eq!(m.vehicle(&absurd, t(0)), ["speed_mps", "brake"]);
        let d = m.decide(t(0));
        assert_eq!(m.reason(&d), "gear drive");
    }
}
