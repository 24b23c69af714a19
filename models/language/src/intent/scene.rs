//! The facts of the driving scene that the language model reads, and their text format.

use serde::Deserialize;
use std::fmt::Write;

/// The gear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gear {
    /// P.
    Park,
    /// R.
    Reverse,
    /// N.
    Neutral,
    /// D.
    Drive,
}

impl Gear {
    fn letter(self) -> char {
        match self {
            Self::Park => 'P',
            Self::Reverse => 'R',
            Self::Neutral => 'N',
            Self::Drive => 'D',
        }
    }
}

/// Tyre pressures.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tyres {
    /// Front left, in bar.
    pub front_left_bar: f64,
    /// Front right, in bar.
    pub front_right_bar: f64,
    /// Rear left, in bar.
    pub rear_left_bar: f64,
    /// Rear right, in bar.
    pub rear_right_bar: f64,
}

/// A tyre whose pressure is this far below the highest one is low, in bar.
const TYRE_LOW_BAR: f64 = 0.3;

impl Tyres {
    /// The lowest pressure in bar, and the position of the tyre (FL, FR, RL, RR) if it is low.
    pub fn lowest(&self) -> (f64, Option<&'static str>) {
        let all = [
            (self.front_left_bar, "FL"),
            (self.front_right_bar, "FR"),
            (self.rear_left_bar, "RL"),
            (self.rear_right_bar, "RR"),
        ];
        let (mut low, mut high) = (all[0], all[0].0);
        for t in all {
            if t.0 < low.0 {
                low = t;
            }
            high = high.max(t.0);
        }
        (low.0, (high - low.0 > TYRE_LOW_BAR - 1e-9).then_some(low.1))
    }
}

/// Facts of the driving scene. `None` and NaN mean that a value is not known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SceneFacts {
    /// Vehicle speed, m/s.
    pub speed_mps: Option<f64>,
    /// The gear.
    pub gear: Option<Gear>,
    /// Distance to the vehicle ahead in the ego lane, m.
    pub lead_distance_m: Option<f64>,
    /// Time to collision with the vehicle ahead, s.
    pub time_to_collision_s: Option<f64>,
    /// State of charge, 0 to 1.
    pub battery: Option<f64>,
    /// Remaining range, km.
    pub range_km: Option<f64>,
    /// Outside temperature, °C.
    pub outside_temp_c: Option<f64>,
    /// Tyre pressures.
    pub tyres: Option<Tyres>,
    /// Active hazards, most urgent first: `forward_collision`, `lane_departure`, `pedestrian`, `sensor_lost`.
    pub hazards: Vec<String>,
    /// Driver workload, 0 to 1.
    pub driving_load: Option<f64>,
    /// Minutes since midnight, local time.
    pub minute_of_day: Option<u32>,
}

/// Names of hazards as the corpus has them.
pub const HAZARDS: [&str; 4] = ["forward_collision", "lane_departure", "pedestrian", "sensor_lost"];

/// Names of the facts in the preamble, which are also the placeholders of replies.
pub const FACTS: [&str; 10] = ["speed", "gear", "lead", "ttc", "battery", "range", "out", "tyre", "load", "hazard"];

impl SceneFacts {
    /// A fact in its text format; `None` if it is not known. `name`: one of [`FACTS`], or `time`.
    pub fn fact(&self, name: &str) -> Option<String> {
        let number = |value: Option<f64>, low: f64, high: f64| {
            let value = value.filter(|v| v.is_finite())?.round().clamp(low, high);
            Some(format!("{}", value as i64))
        };
        match name {
            "speed" => number(self.speed_mps.map(|v| v.abs() * 3.6), 0.0, 399.0),
            "gear" => self.gear.map(|g| g.letter().to_string()),
            "lead" => number(self.lead_distance_m, 0.0, 299.0),
            "ttc" => number(self.time_to_collision_s, 0.0, 99.0),
            "battery" => number(self.battery.map(|v| v * 100.0), 0.0, 100.0),
            "range" => number(self.range_km, 0.0, 1999.0),
            "out" => number(self.outside_temp_c, -60.0, 70.0),
            "tyre" => {
                let (bar, place) = self.tyres?.lowest();
                (bar.is_finite() && (0.0..10.0).contains(&bar)).then(|| format!("{}{bar:.1}", place.unwrap_or("")))
            }
            "load" => {
                self.driving_load.filter(|v| v.is_finite()).map(|v| if v >= HIGH_LOAD { "high" } else { "low" }.into())
            }
            "hazard" => self.hazards.iter().find(|h| HAZARDS.contains(&h.as_str())).cloned(),
            "time" => self.minute_of_day.filter(|m| *m < 24 * 60).map(|m| format!("{:02}:{:02}", m / 60, m % 60)),
            _ => None,
        }
    }

    /// The preamble of the prompt: all facts, always in the same order.
    pub fn preamble(&self) -> String {
        let mut text = String::new();
        for name in FACTS.iter().chain(&["time"]) {
            let fact = self.fact(name);
            let fact = match *name {
                // "No hazard" is a known value.
                "hazard" => fact.map_or(" none".into(), |f| format!(" {f}")),
                "load" => fact.map_or("?".into(), |f| format!(" {f}")),
                _ => fact.unwrap_or_else(|| "?".into()),
            };
            let separator = if text.is_empty() { "" } else { " " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{separator}{name}{fact}");
        }
        text
    }
}

/// From this driver workload on, replies are brief (0 to 1).
pub const HIGH_LOAD: f64 = 0.6;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn preamble_uses_spoken_units_and_marks_unknown_values() {
        let scene = SceneFacts {
            speed_mps: Some(14.0),
            gear: Some(Gear::Drive),
            battery: Some(0.64),
            range_km: Some(f64::NAN),
            outside_temp_c: Some(-3.2),
            tyres: Some(Tyres { front_left_bar: 1.9, front_right_bar: 2.4, rear_left_bar: 2.3, rear_right_bar: 2.3 }),
            hazards: vec!["forward_collision".into()],
            driving_load: Some(0.7),
            minute_of_day: Some(8 * 60 + 5),
            ..SceneFacts::default()
        };
        assert_eq!(
            scene.preamble(),
            "speed50 gearD lead? ttc? battery64 range? out-3 tyreFL1.9 load high hazard forward_collision time08:05"
        );
        assert_eq!(
            SceneFacts::default().preamble(),
            "speed? gear? lead? ttc? battery? range? out? tyre? load? hazard none time?"
        );
    }

    proptest! {
        #[test]
        fn any_scene_has_a_short_preamble_without_line_breaks(a in any::<f64>(), b in any::<f64>(), m in any::<u32>()) {
            let tyres = Tyres { front_left_bar: a, front_right_bar: b, rear_left_bar: b, rear_right_bar: a };
            let scene = SceneFacts {
                speed_mps: Some(a), lead_distance_m: Some(b), time_to_collision_s: Some(a), battery: Some(b),
                range_km: Some(a), outside_temp_c: Some(b), driving_load: Some(a), minute_of_day: Some(m),
                tyres: Some(tyres), hazards: vec!["\n".into()], ..SceneFacts::default()
            };
            let text = scene.preamble();
            prop_assert!(text.len() < 120 && !text.contains(['\n', '<']), "{}", text);
        }
    }
}
