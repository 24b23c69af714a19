//! What the vehicle's state says of the driving: parked, demanding, or neither.

use super::hysteresis::Hysteresis;
use crate::config::ModesConfig;
use auriga_msgs::{
    TopicId,
    v1::{self, Gear},
};
use auriga_runtime::{
    Nanos,
    plausibility::{PEDAL, SPEED_MPS, YAW_RATE_RADPS, within},
};
use std::time::Duration;

/// The newest vehicle state, plausible values only.
#[derive(Debug, Clone, Copy, Default)]
struct Driving {
    speed_mps: Option<f64>,
    lateral_mps2: Option<f64>,
    brake: Option<f64>,
    gear: Gear,
}

/// Watches the vehicle's state.
#[derive(Debug)]
pub struct DrivingMonitor {
    config: ModesConfig,
    driving: Driving,
    /// When a vehicle state last came.
    received: Nanos,
    parked: Hysteresis,
    demanding: Hysteresis,
}

impl DrivingMonitor {
    /// Nothing known yet: neither parked nor demanding.
    pub fn new(config: &ModesConfig) -> Self {
        let ms = Duration::from_millis;
        Self {
            driving: Driving::default(),
            received: Nanos::ZERO,
            parked: Hysteresis::new(ms(config.parked_after_ms), Duration::ZERO),
            demanding: Hysteresis::new(ms(config.demanding_after_ms), ms(config.demanding_exit_ms)),
            config: config.clone(),
        }
    }

    /// Takes a vehicle state in. Returns the names of the values that no car can have; they are ignored.
    pub fn update(&mut self, state: &v1::VehicleState, now: Nanos) -> Vec<&'static str> {
        let mut implausible = Vec::new();
        let mut check = |name, value, range| {
            within(value, range).unwrap_or_else(|_| {
                implausible.push(name);
                None
            })
        };
        let speed_mps = check("speed_mps", state.speed_mps, SPEED_MPS);
        let yaw = check("yaw_rate_radps", state.yaw_rate_radps, YAW_RATE_RADPS);
        let brake = check("brake", state.brake, PEDAL);
        let lateral_mps2 = speed_mps.zip(yaw).map(|(v, w)| (v * w).abs());
        self.driving = Driving { speed_mps, lateral_mps2, brake, gear: state.gear() };
        self.received = now;
        self.evaluate(now);
        implausible
    }

    /// Re-evaluates the conditions at `now`. A vehicle state older than its topic's timeout is forgotten: a silent bus
    /// shows neither that the car stands nor that it is busy.
    pub fn evaluate(&mut self, now: Nanos) {
        let timeout = TopicId::VehicleState.spec().timeout_ms.map_or(Duration::MAX, Duration::from_millis);
        if now.since(self.received) > timeout {
            self.driving = Driving::default();
        }
        let (c, d) = (&self.config, self.driving);
        let slow = d.speed_mps.is_some_and(|v| v.abs() <= c.parked_max_speed_mps);
        let parked = match d.gear {
            Gear::Park => d.speed_mps.is_none() || slow,
            Gear::Unspecified => slow,
            Gear::Reverse | Gear::Neutral | Gear::Drive => false,
        };
        self.parked.update(parked, false, now);
        let above = |factor: f64| {
            d.lateral_mps2.is_some_and(|a| a >= c.demanding_lateral_mps2 * factor)
                || d.speed_mps.is_some_and(|v| v.abs() >= c.demanding_speed_mps * factor)
                || d.brake.is_some_and(|b| b >= c.demanding_brake * factor)
        };
        self.demanding.update(above(1.0), above(c.exit_factor), now);
    }

    /// Whether the car is parked.
    pub fn is_parked(&self) -> bool {
        self.parked.is_active()
    }

    /// Whether driving asks much of the driver.
    pub fn is_demanding(&self) -> bool {
        self.demanding.is_active()
    }

    /// The values of the newest state, for the reason of a decision.
    pub fn describe(&self) -> String {
        let d = &self.driving;
        let mut parts = Vec::new();
        if let Some(v) = d.speed_mps {
            parts.push(format!("speed {v:.1} m/s"));
        }
        if let Some(a) = d.lateral_mps2.filter(|a| *a >= 0.5) {
            parts.push(format!("lateral {a:.1} m/s2"));
        }
        if let Some(b) = d.brake.filter(|b| *b > 0.05) {
            parts.push(format!("brake {:.0} %", b * 100.0));
        }
        if d.gear != Gear::Unspecified {
            parts.push(format!("gear {}", d.gear.as_str_name().trim_start_matches("GEAR_").to_lowercase()));
        }
        let values = if parts.is_empty() { "no vehicle state".into() } else { parts.join(", ") };
        if self.demanding.is_clearing() {
            return format!("{values}, calm for less than {} ms", self.config.demanding_exit_ms);
        }
        values
    }
}
