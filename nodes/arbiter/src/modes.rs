//! Which mode the vehicle is in, and why: from hazards, driving and overload, with hysteresis and a bound on how often
//! it changes.

use crate::{config::ModesConfig, overload::Overload, workloads::mode_name};
use auriga_msgs::v1::{self, Gear, HazardKind, Mode, Severity};
use auriga_runtime::Nanos;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Hazards remembered at most; fusion has a handful at a time.
const MAX_HAZARDS: usize = 64;
const MINUTE: Duration = Duration::from_secs(60);

fn ms(t: u64) -> Duration {
    Duration::from_millis(t)
}

/// A condition that has to hold for a while before it counts, and to be absent for a while before it does not.
#[derive(Debug, Default)]
pub(crate) struct Held {
    on: bool,
    /// Since when what is seen differs from `on`.
    differs_since: Option<Nanos>,
}

impl Held {
    /// `enter`: the condition holds. `stay`: it holds well enough to go on (the lower threshold).
    pub fn update(&mut self, enter: bool, stay: bool, now: Nanos, after: Duration, exit: Duration) -> bool {
        let (seen, wait) = if self.on { (enter || stay, exit) } else { (enter, after) };
        if seen == self.on {
            self.differs_since = None;
        } else if now.since(*self.differs_since.get_or_insert(now)) >= wait {
            self.on = seen;
            self.differs_since = None;
        }
        self.on
    }

    pub fn is_on(&self) -> bool {
        self.on
    }

    /// When it changes if nothing else happens.
    pub fn pending(&self, after: Duration, exit: Duration) -> Option<Nanos> {
        self.differs_since.map(|t| t + if self.on { exit } else { after })
    }
}

#[derive(Debug, Clone)]
struct ActiveHazard {
    kind: HazardKind,
    severity: Severity,
    since: Nanos,
    text: String,
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
pub struct Modes {
    config: ModesConfig,
    forced: Option<Mode>,
    current: Mode,
    hazards: BTreeMap<u64, ActiveHazard>,
    /// When the last hazard that calls for the hazard mode ended.
    hazard_over: Option<Nanos>,
    driving: Driving,
    parked: Held,
    demanding: Held,
    pub(crate) overload: Overload,
    /// Times of the moves of the last minute.
    moves: VecDeque<Nanos>,
}

/// A mode and the reason for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub mode: Mode,
    pub reason: String,
    pub changed: bool,
}

impl Modes {
    pub fn new(config: ModesConfig, forced: Option<Mode>) -> Self {
        Self {
            overload: Overload::new(&config),
            config,
            forced,
            // What is not known yet is driving.
            current: Mode::Nominal,
            hazards: BTreeMap::new(),
            hazard_over: None,
            driving: Driving::default(),
            parked: Held::default(),
            demanding: Held::default(),
            moves: VecDeque::new(),
        }
    }

    pub fn current(&self) -> Mode {
        self.current
    }

    /// Takes in a hazard's onset, change or end.
    pub fn hazard(&mut self, hazard: &v1::Hazard, now: Nanos) {
        if !hazard.active {
            if self.hazards.remove(&hazard.id).is_some_and(|h| h.calls_for_hazard_mode()) {
                self.hazard_over = Some(now);
            }
            return;
        }
        if self.hazards.len() >= MAX_HAZARDS && !self.hazards.contains_key(&hazard.id) {
            self.hazards.pop_first();
        }
        let (kind, severity) = (hazard.kind(), hazard.severity());
        // Reasons stay short whatever a text holds.
        let text = hazard.text.chars().take(80).collect();
        self.hazards.insert(hazard.id, ActiveHazard { kind, severity, since: now, text });
    }

    /// Forgets hazards raised before `time`: their publisher has been restarted and will raise again what still is.
    pub fn forget_hazards_before(&mut self, time: Nanos, now: Nanos) {
        let before = self.hazards.len();
        self.hazards.retain(|_, h| h.since >= time);
        if self.hazards.len() != before {
            self.hazard_over = Some(now);
        }
    }

    /// Takes in the driving.
    pub fn vehicle(&mut self, state: &v1::VehicleState, now: Nanos) {
        let within = |v: Option<f64>, limit: f64| v.filter(|v| v.abs() <= limit);
        let speed_mps = within(state.speed_mps, 150.0);
        let yaw = within(state.yaw_rate_radps, 10.0);
        self.driving = Driving {
            speed_mps,
            lateral_mps2: speed_mps.zip(yaw).map(|(v, w)| (v * w).abs()),
            brake: within(state.brake, 2.0),
            gear: state.gear(),
        };
        self.judge_driving(now);
    }

    fn judge_driving(&mut self, now: Nanos) {
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
        self.judge_driving(now);
        self.overload.judge(now);
        let (mut mode, mut reason) = self.wanted(now);
        let bounded = !matches!(mode, Mode::Hazard | Mode::Limp);
        if mode != self.current && bounded && self.moves.len() >= self.config.max_changes_per_min {
            reason = format!("{}: {} moves in a minute, {} has to wait ({reason})", mode_name(self.current), self.moves.len(), mode_name(mode));
            mode = self.current;
        }
        let changed = mode != self.current;
        if changed {
            self.moves.push_back(now);
            self.current = mode;
        }
        Decision { mode, reason, changed }
    }

    fn expire(&mut self, now: Nanos) {
        while self.moves.front().is_some_and(|t| now.since(*t) >= MINUTE) {
            self.moves.pop_front();
        }
        let limit = ms(self.config.hazard_timeout_ms);
        let before = self.hazards.len();
        // A lost sensor may stay lost for hours; a collision that is imminent for half a minute is a lost end.
        self.hazards.retain(|_, h| h.kind == HazardKind::SensorLost || now.since(h.since) < limit);
        if self.hazards.len() != before {
            self.hazard_over = Some(now);
        }
    }

    fn wanted(&self, now: Nanos) -> (Mode, String) {
        let worst = |calls: fn(&ActiveHazard) -> bool| {
            self.hazards.iter().filter(|(_, h)| calls(h)).max_by_key(|(id, h)| (h.severity, std::cmp::Reverse(**id)))
        };
        if let Some((id, h)) = worst(ActiveHazard::calls_for_hazard_mode) {
            let kind = h.kind.as_str_name().trim_start_matches("HAZARD_KIND_").to_lowercase().replace('_', "-");
            return (Mode::Hazard, format!("hazard {id}: {kind}, {}", h.text));
        }
        let hold = ms(self.config.hazard_hold_ms);
        if self.current == Mode::Hazard && self.hazard_over.is_some_and(|t| now.since(t) < hold) {
            return (Mode::Hazard, format!("hazard: over for less than {} ms", hold.as_millis()));
        }
        if let Some(mode) = self.forced {
            return (mode, format!("{}: forced by force_mode", mode_name(mode)));
        }
        if let Some((id, h)) = worst(ActiveHazard::calls_for_limp_mode) {
            return (Mode::Limp, format!("limp: hazard {id}: {}", h.text));
        }
        let load = self.overload.describe();
        if self.overload.limp() {
            return (Mode::Limp, format!("limp: {load}"));
        }
        let driving = self.driving.describe();
        if self.demanding.on {
            return (Mode::Demanding, format!("demanding: {driving}"));
        }
        if self.overload.demanding() {
            return (Mode::Demanding, format!("demanding: {load}"));
        }
        if self.parked.on {
            return (Mode::Parked, format!("parked: {driving}"));
        }
        (Mode::Nominal, format!("nominal: {driving}"))
    }

    /// When time alone may change the mode.
    pub fn next_change(&self, now: Nanos) -> Option<Nanos> {
        let c = &self.config;
        let hold = self.hazard_over.filter(|_| self.current == Mode::Hazard).map(|t| t + ms(c.hazard_hold_ms));
        let timeout = self.hazards.values().filter(|h| h.kind != HazardKind::SensorLost).map(|h| h.since + ms(c.hazard_timeout_ms)).min();
        let waits = [
            hold,
            timeout,
            self.parked.pending(ms(c.parked_after_ms), Duration::ZERO),
            self.demanding.pending(ms(c.demanding_after_ms), ms(c.demanding_exit_ms)),
        ];
        waits.into_iter().flatten().filter(|t| *t > now).min()
    }
}

impl ActiveHazard {
    /// A driver in danger needs the machine and the silence; a sensor that is lost is a car that can do less.
    fn calls_for_hazard_mode(&self) -> bool {
        self.kind != HazardKind::SensorLost && self.severity >= Severity::Warning
    }

    fn calls_for_limp_mode(&self) -> bool {
        self.kind == HazardKind::SensorLost && self.severity >= Severity::Warning
    }
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
