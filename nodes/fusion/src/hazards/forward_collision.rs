//! Forward collision warning: time to collision with debounce and hysteresis.
//!
//! ISO 15623 (forward vehicle collision warning systems) defines TTC = x_c / v_r, the clearance over the closing
//! speed, and leaves oncoming traffic out. An object that may be a bridge or a sign ([`Lead::confirmed`]) is none of it. The thresholds are this project's: a driver needs about 1.5 s to react and brake
//! (ISO 15623 Annex A takes 0.4 s to 1.5 s of reaction time), so at `critical` braking must begin.

use super::registry::Assessment;
use crate::{config, tracks::Lead};
use auriga_msgs::v1::Severity;
use auriga_runtime::Nanos;
use std::time::Duration;

/// TTC = distance / closing speed, in seconds; `None` unless approaching by at least `min_closing_mps`.
pub fn time_to_collision_s(distance_m: f64, closing_mps: f64, min_closing_mps: f64) -> Option<f64> {
    (closing_mps >= min_closing_mps).then(|| distance_m / closing_mps)
}

/// An active warning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CollisionWarning {
    /// Warning or critical.
    pub severity: Severity,
    /// Time to collision in seconds; `None` when not approaching.
    pub ttc_s: Option<f64>,
    /// Distance to the lead; `None` without one.
    pub distance_m: Option<f64>,
}

impl CollisionWarning {
    /// As a hazard.
    pub fn assessment(&self) -> Assessment {
        let text = match (self.distance_m, self.ttc_s) {
            (Some(d), Some(t)) => format!("vehicle ahead: {d:.0} m, {t:.1} s to collision"),
            (Some(d), None) => format!("vehicle ahead: {d:.0} m"),
            _ => "vehicle ahead".into(),
        };
        let (severity, distance_m) = (self.severity, self.distance_m);
        Assessment { severity, time_to_collision_s: self.ttc_s, distance_m, text }
    }
}

/// The state of the warning.
#[derive(Debug)]
pub struct ForwardCollision {
    config: config::ForwardCollisionConfig,
    active: Option<Severity>,
    /// Radar updates in a row below each threshold, of the lead `lead_id`.
    below_warning: u32,
    below_critical: u32,
    lead_id: Option<u32>,
    lead_stamp: Option<Nanos>,
    clear_since: Option<Nanos>,
}

impl ForwardCollision {
    /// No warning.
    pub fn new(config: config::ForwardCollisionConfig) -> Self {
        Self {
            config,
            active: None,
            below_warning: 0,
            below_critical: 0,
            lead_id: None,
            lead_stamp: None,
            clear_since: None,
        }
    }

    /// Whether the warning is active.
    pub fn is_active(&self) -> bool {
        self.active.is_some()
    }

    /// Takes in the lead at `now`, the time of the evidence. A lead without a new measurement since the last update confirms
    /// nothing.
    pub fn update(&mut self, lead: Option<Lead>, speed_mps: Option<f64>, now: Nanos) -> Option<CollisionWarning> {
        let lead = lead.filter(|l| self.is_plausible(l, speed_mps));
        let ttc = lead.and_then(|l| time_to_collision_s(l.distance_m, l.closing_mps, self.config.min_closing_mps));
        if lead.map(|l| l.id) != self.lead_id {
            (self.below_warning, self.below_critical) = (0, 0);
            (self.lead_id, self.lead_stamp) = (lead.map(|l| l.id), None);
        }
        match lead {
            Some(l) if Some(l.stamp) > self.lead_stamp => {
                self.lead_stamp = Some(l.stamp);
                let below = |limit: f64, count: u32| if ttc.is_some_and(|t| t < limit) { count + 1 } else { 0 };
                self.below_warning = below(self.config.warning_ttc_s, self.below_warning);
                self.below_critical = below(self.config.critical_ttc_s, self.below_critical);
            }
            Some(_) => {}
            None => (self.below_warning, self.below_critical) = (0, 0),
        }
        // Measurements count from the first on, but only those of an object that is confirmed warn.
        let lead = lead.filter(|l| l.confirmed);
        let ttc = ttc.filter(|_| lead.is_some());
        self.step(ttc, now);
        let distance_m = lead.map(|l| l.distance_m);
        self.active.map(|severity| CollisionWarning { severity, ttc_s: ttc, distance_m })
    }

    fn is_plausible(&self, lead: &Lead, speed_mps: Option<f64>) -> bool {
        let c = &self.config;
        // With an unknown own speed the radar still warns; only oncoming traffic cannot be excluded.
        let speed_fits = speed_mps.is_none_or(|v| v >= c.min_speed_mps && lead.closing_mps - v <= c.oncoming_mps);
        lead.distance_m <= c.max_distance_m && speed_fits
    }

    fn step(&mut self, ttc: Option<f64>, now: Nanos) {
        let c = &self.config;
        if ttc.is_some() && self.below_critical >= c.confirm_updates {
            self.active = Some(Severity::Critical);
        } else if ttc.is_some() && self.below_warning >= c.confirm_updates && self.active.is_none() {
            self.active = Some(Severity::Warning);
        }
        if self.active == Some(Severity::Critical) && ttc.is_some_and(|t| t > c.critical_clear_ttc_s) {
            self.active = Some(Severity::Warning);
        }
        if ttc.is_some_and(|t| t <= c.clear_ttc_s) {
            self.clear_since = None;
            return;
        }
        let since = *self.clear_since.get_or_insert(now);
        if now.since(since) >= Duration::from_millis(c.clear_after_ms) {
            self.active = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn monitor() -> ForwardCollision {
        ForwardCollision::new(Config::default().forward_collision)
    }

    fn ms(t: u64) -> Nanos {
        Nanos::from_millis(t)
    }

    fn lead(t: u64, distance_m: f64, closing_mps: f64) -> Option<Lead> {
        Some(Lead { id: 1, stamp: ms(t), distance_m, closing_mps, confirmed: true })
    }

    fn severity(warning: Option<CollisionWarning>) -> Option<Severity> {
        warning.map(|w| w.severity)
    }

    #[test]
    fn one_measurement_does_not_raise_the_warning_however_often_it_is_seen() {
        let mut m = monitor();
        assert_eq!(m.update(lead(0, 20.0, 10.0), Some(15.0), ms(0)), None);
        assert_eq!(m.update(lead(0, 20.0, 10.0), Some(15.0), ms(10)), None);
        let v = m.update(lead(50, 19.5, 10.0), Some(15.0), ms(50));
        let expected = CollisionWarning { severity: Severity::Warning, ttc_s: Some(1.95), distance_m: Some(19.5) };
        assert_eq!(v, Some(expected));
    }

    #[test]
    fn severity_has_hysteresis() {
        let mut m = monitor();
        let at =
            |m: &mut ForwardCollision, t, ttc: f64| severity(m.update(lead(t, ttc * 10.0, 10.0), Some(15.0), ms(t)));
        at(&mut m, 0, 2.4);
        assert_eq!(at(&mut m, 50, 2.3), Some(Severity::Warning));
        assert_eq!(at(&mut m, 100, 1.5), Some(Severity::Warning));
        assert_eq!(at(&mut m, 150, 1.5), Some(Severity::Critical));
        assert_eq!(at(&mut m, 200, 1.8), Some(Severity::Critical), "hysteresis");
        assert_eq!(at(&mut m, 250, 2.3), Some(Severity::Warning));
    }

    #[test]
    fn the_warning_ends_after_a_while_above_the_clearing_time() {
        let mut m = monitor();
        let at = |m: &mut ForwardCollision, t, ttc: f64| severity(m.update(lead(t, ttc * 5.0, 5.0), Some(15.0), ms(t)));
        at(&mut m, 0, 2.0);
        at(&mut m, 50, 2.0);
        assert!(at(&mut m, 100, 3.0).is_some(), "between the thresholds it stays");
        assert!(at(&mut m, 900, 3.4).is_some());
        assert!(at(&mut m, 950, 4.0).is_some());
        assert!(at(&mut m, 1600, 4.0).is_some());
        assert!(at(&mut m, 1650, 4.0).is_none());
    }

    #[test]
    fn the_warning_ends_after_a_while_without_a_lead() {
        let mut m = monitor();
        m.update(lead(0, 10.0, 10.0), Some(15.0), ms(0));
        m.update(lead(50, 9.5, 10.0), Some(15.0), ms(50));
        assert!(m.is_active());
        m.update(None, Some(15.0), ms(100));
        assert!(m.is_active());
        m.update(None, Some(15.0), ms(800));
        assert!(!m.is_active());
    }

    #[test]
    fn far_slow_and_oncoming_objects_and_a_standing_car_raise_no_warning() {
        for (distance, closing, speed) in [(130.0, 60.0, 60.0), (0.5, 0.5, 15.0), (20.0, 30.0, 15.0), (1.5, 1.5, 0.5)] {
            let mut m = monitor();
            for k in 0..10 {
                let v = m.update(lead(k * 50, distance, closing), Some(speed), ms(k * 50));
                assert_eq!(v, None, "{distance} m, {closing} m/s at {speed} m/s");
            }
        }
    }

    #[test]
    fn measurements_of_different_objects_do_not_confirm_each_other() {
        let mut m = monitor();
        for k in 0..20u64 {
            let l =
                Lead { confirmed: true, id: (k % 2) as u32, stamp: ms(k * 50), distance_m: 10.0, closing_mps: 10.0 };
            assert_eq!(m.update(Some(l), Some(15.0), ms(k * 50)), None);
        }
    }

    #[test]
    fn an_unconfirmed_object_warns_with_the_measurement_that_confirms_it_and_not_before() {
        let mut m = monitor();
        let at = |t: u64, confirmed| Lead { id: 1, stamp: ms(t), distance_m: 14.0, closing_mps: 10.0, confirmed };
        for k in 0..10 {
            assert_eq!(m.update(Some(at(k * 50, false)), Some(15.0), ms(k * 50)), None);
        }
        assert_eq!(severity(m.update(Some(at(500, true)), Some(15.0), ms(500))), Some(Severity::Critical));
    }

    #[test]
    fn with_unknown_own_speed_the_radar_still_warns() {
        let mut m = monitor();
        m.update(lead(0, 10.0, 10.0), None, ms(0));
        assert_eq!(severity(m.update(lead(50, 10.0, 10.0), None, ms(50))), Some(Severity::Critical));
    }
}
