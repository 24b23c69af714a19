//! The facts for the model, from the newest scene. A value that is missing, too old or implausible is unknown; nothing
//! replaces it.

use super::numbers::{Number, Unit};
use auriga_lm::intent::{
    classifier::context::Lane,
    scene::{Gear, SceneFacts, Tyres},
};
use auriga_msgs::{Stamped, v1};
use auriga_runtime::{
    Nanos,
    plausibility::{self, LANE_M, RADAR_RANGE_M, SPEED_MPS},
};
use std::{ops::RangeInclusive, time::Duration};
use v1::{HazardKind, vss_signal::Value};

/// VSS has tyre pressures in kilopascal.
const KPA_PER_BAR: f64 = 100.0;

/// Below this speed the car counts as standing, in metres per second.
pub const STANDSTILL_MPS: f64 = 0.3;
/// Distance from the middle of the lane, in metres, from which on the car is taken to leave it.
const DRIFTING_M: f64 = 0.5;
/// Hazards that are used, the most urgent.
const MAX_HAZARDS: usize = 8;

/// The facts of a scene, and which of its values were implausible.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observation {
    pub facts: SceneFacts,
    pub lane: Option<Lane>,
    pub raining: Option<bool>,
    /// Names of values outside the range that a car can have.
    pub implausible: Vec<&'static str>,
}

impl Observation {
    /// From the newest scene. Values measured more than `max_age` before `now` are unknown.
    pub fn of(scene: Option<&v1::Scene>, now: Nanos, max_age: Duration) -> Self {
        let mut observation = Self::default();
        let Some(scene) = scene else { return observation };
        let age = now.since(Nanos(scene.header_copy().stamp_ns));
        if age > max_age {
            return observation;
        }
        let is_fresh = |age_ns: Option<i64>| {
            age_ns.is_some_and(|ns| age + Duration::from_nanos(ns.max(0).unsigned_abs()) <= max_age)
        };
        observation.facts.driving_load = observation.within("driving_load", Some(scene.driving_load), 0.0..=1.0);
        observation.facts.hazards = hazards(&scene.hazards);
        if is_fresh(scene.can_age_ns) {
            observation.vehicle(scene.vehicle.as_ref());
            observation.lead(&scene.tracks);
        }
        if is_fresh(scene.camera_age_ns) {
            let offset = scene.lanes.as_ref().and_then(|lanes| lanes.offset_m);
            observation.lane = observation.within("lane offset", offset, LANE_M).map(|offset| match offset {
                o if o >= DRIFTING_M => Lane::DriftingLeft,
                o if o <= -DRIFTING_M => Lane::DriftingRight,
                _ => Lane::Keeping,
            });
        }
        observation
    }

    fn vehicle(&mut self, vehicle: Option<&v1::VehicleState>) {
        let Some(v) = vehicle else { return };
        self.facts.speed_mps = self.within("speed_mps", v.speed_mps, SPEED_MPS);
        self.facts.battery = self.within("battery", v.battery, 0.0..=1.0);
        self.facts.range_km = self.within("range_km", v.range_km, 0.0..=1999.0);
        self.facts.outside_temp_c = self.within("outside_temp_c", v.outside_temp_c, -60.0..=70.0);
        self.facts.gear = match v.gear() {
            v1::Gear::Park => Some(Gear::Park),
            v1::Gear::Reverse => Some(Gear::Reverse),
            v1::Gear::Neutral => Some(Gear::Neutral),
            v1::Gear::Drive => Some(Gear::Drive),
            v1::Gear::Unspecified => None,
        };
        let rain = v.signals.iter().find(|s| s.path == "Vehicle.Body.Raindetection.Intensity");
        if let Some(Value::Number(percent)) = rain.and_then(|s| s.value.as_ref()) {
            self.raining = self.within("rain", Some(*percent), 0.0..=100.0).map(|percent| percent > 0.0);
        }
        let mut tyre = |row, side| {
            let path = format!("Vehicle.Chassis.Axle.Row{row}.Wheel.{side}.Tire.Pressure");
            let signal = v.signals.iter().find(|s| s.path == path)?;
            let Some(Value::Number(kpa)) = &signal.value else { return None };
            self.within("tyre pressure", Some(kpa / KPA_PER_BAR), 0.0..=9.9)
        };
        let all = [tyre(1, "Left"), tyre(1, "Right"), tyre(2, "Left"), tyre(2, "Right")];
        if let [Some(front_left_bar), Some(front_right_bar), Some(rear_left_bar), Some(rear_right_bar)] = all {
            self.facts.tyres = Some(Tyres { front_left_bar, front_right_bar, rear_left_bar, rear_right_bar });
        }
    }

    fn lead(&mut self, tracks: &[v1::Track]) {
        let Some(lead) = tracks.iter().find(|t| t.lead) else { return };
        self.facts.lead_distance_m = self.within("lead distance", Some(lead.x_m), RADAR_RANGE_M);
        // Above 99 s the gap is as good as constant: there is no time to collision.
        let ttc = lead.time_to_collision_s.filter(|t| *t <= 99.0);
        self.facts.time_to_collision_s = self.within("time_to_collision_s", ttc, 0.0..=99.0);
    }

    /// The value if it is plausible; otherwise notes its name.
    fn within(&mut self, name: &'static str, value: Option<f64>, range: RangeInclusive<f64>) -> Option<f64> {
        plausibility::within(value, range).unwrap_or_else(|_| {
            self.implausible.push(name);
            None
        })
    }
}

/// The names of active hazards as the model knows them, the most urgent first.
pub fn hazards(active: &[v1::Hazard]) -> Vec<String> {
    let mut active: Vec<&v1::Hazard> = active.iter().filter(|h| h.active).collect();
    active.sort_by_key(|h| (std::cmp::Reverse(h.severity), h.id));
    let name = |h: &&v1::Hazard| match h.kind() {
        HazardKind::ForwardCollision => Some("forward_collision".to_owned()),
        HazardKind::LaneDeparture => Some("lane_departure".to_owned()),
        HazardKind::Pedestrian => Some("pedestrian".to_owned()),
        HazardKind::SensorLost => Some("sensor_lost".to_owned()),
        HazardKind::Unspecified => None,
    };
    active.iter().filter_map(name).take(MAX_HAZARDS).collect()
}

/// The values of the facts in the units in which they are said.
pub fn values(facts: &SceneFacts) -> Vec<(f64, Unit)> {
    let mut values = Vec::new();
    let mut add = |value: Option<f64>, unit| values.extend(value.map(|v| (v, unit)));
    add(facts.speed_mps.map(|v| v.abs() * 3.6), Unit::KilometresPerHour);
    add(facts.lead_distance_m, Unit::Metres);
    add(facts.time_to_collision_s, Unit::Seconds);
    add(facts.battery.map(|b| b * 100.0), Unit::Percent);
    add(facts.range_km, Unit::Kilometres);
    add(facts.outside_temp_c, Unit::Degrees);
    add(facts.tyres.map(|t| t.lowest().0), Unit::Bar);
    add(facts.minute_of_day.map(|m| f64::from(m / 60)), Unit::None);
    add(facts.minute_of_day.map(|m| f64::from(m % 60)), Unit::None);
    values
}

/// Whether the number is one of the values, rounded. A value or a number without a unit matches any unit.
pub fn is_one_of(number: &Number, values: &[(f64, Unit)]) -> bool {
    let same_unit = |unit: Unit| number.unit == Unit::None || unit == Unit::None || unit == number.unit;
    values.iter().any(|(value, unit)| same_unit(*unit) && number.is_rounded(*value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::understand::numbers::numbers;
    use proptest::prelude::*;

    const AGE: Duration = Duration::from_secs(2);

    fn scene() -> v1::Scene {
        let signal = |path: &str, kpa: f64| v1::VssSignal {
            path: format!("Vehicle.Chassis.Axle.{path}.Tire.Pressure"),
            value: Some(Value::Number(kpa)),
            ..Default::default()
        };
        let vehicle = v1::VehicleState {
            speed_mps: Some(13.9),
            range_km: Some(212.4),
            battery: Some(0.64),
            outside_temp_c: Some(8.0),
            gear: v1::Gear::Drive.into(),
            signals: vec![
                signal("Row1.Wheel.Left", 240.0),
                signal("Row1.Wheel.Right", 242.0),
                signal("Row2.Wheel.Left", 238.0),
                signal("Row2.Wheel.Right", 190.0),
            ],
            ..Default::default()
        };
        let lead = v1::Track { x_m: 24.6, lead: true, time_to_collision_s: Some(1e6), ..Default::default() };
        v1::Scene {
            header: Some(v1::Header::new(Nanos::from_millis(5000).0, 1)),
            vehicle: Some(vehicle),
            tracks: vec![v1::Track::default(), lead],
            can_age_ns: Some(10_000_000),
            driving_load: 0.3,
            ..Default::default()
        }
    }

    #[test]
    fn a_fresh_scene_gives_all_facts() {
        let observation = Observation::of(Some(&scene()), Nanos::from_millis(5100), AGE);
        assert_eq!(observation.implausible, [""; 0]);
        assert_eq!(
            observation.facts.preamble(),
            "speed50 gearD lead25 ttc? battery64 range212 out8 tyreRR1.9 load low hazard none time?"
        );
    }

    #[test]
    fn absent_or_old_values_are_unknown() {
        assert_eq!(Observation::of(None, Nanos::from_millis(1), AGE), Observation::default());
        let old = Observation::of(Some(&scene()), Nanos::from_millis(7001), AGE);
        assert_eq!(old, Observation::default());
        // The scene is fresh, but the CAN bus has been silent.
        let silent = v1::Scene { can_age_ns: Some(3_000_000_000), ..scene() };
        let observation = Observation::of(Some(&silent), Nanos::from_millis(5000), AGE);
        assert_eq!(observation.facts, SceneFacts { driving_load: Some(0.3), ..Default::default() });
        let never = v1::Scene { can_age_ns: None, ..scene() };
        assert_eq!(Observation::of(Some(&never), Nanos::from_millis(5000), AGE).facts.speed_mps, None);
    }

    #[test]
    fn implausible_values_are_unknown_and_reported_by_name() {
        let mut implausible = scene();
        let vehicle = implausible.vehicle.as_mut().unwrap();
        (vehicle.speed_mps, vehicle.battery, vehicle.range_km) = (Some(f64::NAN), Some(7.0), Some(-1.0));
        implausible.tracks[1].x_m = f64::INFINITY;
        implausible.driving_load = -3.0;
        let observation = Observation::of(Some(&implausible), Nanos::from_millis(5000), AGE);
        assert_eq!(observation.implausible, ["driving_load", "speed_mps", "battery", "range_km", "lead distance"]);
        let f = observation.facts;
        assert_eq!((f.speed_mps, f.battery, f.range_km, f.lead_distance_m), (None, None, None, None));
        assert_eq!(f.outside_temp_c, Some(8.0));
    }

    #[test]
    fn lane_and_rain_come_from_camera_and_bus() {
        let of = |offset_m: f64, rain: f64, camera_age_ns| {
            let mut s = scene();
            s.lanes = Some(v1::Lanes { offset_m: Some(offset_m), ..Default::default() });
            s.camera_age_ns = camera_age_ns;
            let path = "Vehicle.Body.Raindetection.Intensity".into();
            let signal = v1::VssSignal { path, value: Some(Value::Number(rain)), ..Default::default() };
            s.vehicle.as_mut().unwrap().signals.push(signal);
            let observation = Observation::of(Some(&s), Nanos::from_millis(5000), AGE);
            (observation.lane, observation.raining, observation.implausible.len())
        };
        assert_eq!(of(0.49, 0.0, Some(0)), (Some(Lane::Keeping), Some(false), 0));
        assert_eq!(of(0.5, 0.4, Some(0)), (Some(Lane::DriftingLeft), Some(true), 0));
        assert_eq!(of(-0.5, 101.0, Some(0)), (Some(Lane::DriftingRight), None, 1));
        assert_eq!(of(f64::NAN, f64::NAN, Some(0)), (None, None, 2));
        assert_eq!(of(0.0, 0.0, None).0, None, "there never was a camera image");
    }

    #[test]
    fn only_the_most_urgent_of_many_hazards_are_used() {
        let hazard = |id: u64| v1::Hazard {
            id,
            kind: HazardKind::SensorLost.into(),
            severity: if id == 777 { v1::Severity::Critical } else { v1::Severity::Warning }.into(),
            active: true,
            ..Default::default()
        };
        let mut all: Vec<_> = (0..1000).map(hazard).collect();
        all[777].kind = HazardKind::Pedestrian.into();
        let named = hazards(&all);
        assert_eq!((named.len(), named[0].as_str()), (MAX_HAZARDS, "pedestrian"));
    }

    #[test]
    fn hazards_are_sorted_by_severity() {
        let hazard = |id, kind: HazardKind, severity: v1::Severity, active| v1::Hazard {
            id,
            kind: kind.into(),
            severity: severity.into(),
            active,
            ..Default::default()
        };
        let active = [
            hazard(1, HazardKind::SensorLost, v1::Severity::Warning, true),
            hazard(2, HazardKind::ForwardCollision, v1::Severity::Critical, true),
            hazard(3, HazardKind::LaneDeparture, v1::Severity::Critical, false),
        ];
        assert_eq!(hazards(&active), ["forward_collision", "sensor_lost"]);
    }

    #[test]
    fn a_number_matches_a_value_only_in_its_unit() {
        let values = values(&Observation::of(Some(&scene()), Nanos::from_millis(5000), AGE).facts);
        let holds = |text: &str| numbers(text).iter().all(|n| is_one_of(n, &values));
        for text in ["212 kilometres", "64 percent", "50 km/h", "eight degrees", "1.9 bar", "25 metres", "212"] {
            assert!(holds(text), "{text}");
        }
        for text in ["64 kilometres", "212 percent", "213 kilometres", "nine degrees", "2.4 bar", "112"] {
            assert!(!holds(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_scene_gives_plausible_facts(v in any::<f64>(), x in any::<f64>(), age in any::<i64>(), stamp in any::<u64>()) {
            let mut s = scene();
            s.header = Some(v1::Header::new(stamp, 0));
            s.can_age_ns = Some(age);
            s.vehicle.as_mut().unwrap().speed_mps = Some(v);
            s.tracks[1].x_m = x;
            let observation = Observation::of(Some(&s), Nanos::from_millis(5000), AGE);
            prop_assert!(observation.facts.speed_mps.is_none_or(|v| SPEED_MPS.contains(&v)));
            prop_assert!(observation.facts.lead_distance_m.is_none_or(|x| RADAR_RANGE_M.contains(&x)));
        }
    }
}
