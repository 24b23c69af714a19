//! The facts of the driving scene that the language model knows, and how they are written for it.

use serde::Deserialize;
use std::fmt::Write;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gear {
    Park,
    Reverse,
    Neutral,
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

/// Pressures in bar.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tyres {
    pub front_left_bar: f64,
    pub front_right_bar: f64,
    pub rear_left_bar: f64,
    pub rear_right_bar: f64,
}

/// A tyre this far below the fullest one is named.
const TYRE_LOW_BAR: f64 = 0.3;

impl Tyres {
    /// The lowest pressure, and the place of the tyre when it is low.
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

/// What the model is told of the world. `None`, or a number that is none, is "not known".
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SceneFacts {
    pub speed_mps: Option<f64>,
    pub gear: Option<Gear>,
    /// To the vehicle ahead in our lane.
    pub lead_distance_m: Option<f64>,
    pub time_to_collision_s: Option<f64>,
    /// 0..1.
    pub battery: Option<f64>,
    pub range_km: Option<f64>,
    pub outside_temp_c: Option<f64>,
    pub tyres: Option<Tyres>,
    /// Active hazards, most urgent first: `forward_collision`, `lane_departure`, `pedestrian`, `sensor_lost`.
    pub hazards: Vec<String>,
    /// 0..1: how much the driving takes of the driver.
    pub driving_load: Option<f64>,
    /// Minutes since midnight, local time.
    pub minute_of_day: Option<u32>,
}

/// Names of hazards as the corpus has them.
pub const HAZARDS: [&str; 4] = ["forward_collision", "lane_departure", "pedestrian", "sensor_lost"];

/// The names of the facts in the preamble; the corpus uses the same in its reply templates.
pub const FACTS: [&str; 10] = ["speed", "gear", "lead", "ttc", "battery", "range", "out", "tyre", "load", "hazard"];

impl SceneFacts {
    /// A fact as the model reads it; `None` when it is not known. `name`: one of [`FACTS`], or `time`.
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

    /// The preamble: all facts, always in the same order.
    pub fn preamble(&self) -> String {
        let mut text = String::new();
        for name in FACTS.iter().chain(&["time"]) {
            let fact = self.fact(name);
            let fact = match *name {
                // No hazard is knowledge, not a gap.
                "hazard" => fact.map_or(" none".into(), |f| format!(" {f}")),
                "load" => fact.map_or("?".into(), |f| format!(" {f}")),
                _ => fact.unwrap_or_else(|| "?".into()),
            };
            let gap = if text.is_empty() { "" } else { " " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{gap}{name}{fact}");
        }
        text
    }
}

/// From this driving load on, replies are brief.
pub const HIGH_LOAD: f64 = 0.6;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_scene_reads_in_spoken_units_and_says_what_is_not_known() {
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
        fn any_scene_has_a_preamble_of_one_line(a in any::<f64>(), b in any::<f64>(), m in any::<u32>()) {
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
