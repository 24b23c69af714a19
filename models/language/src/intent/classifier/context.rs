//! The context of an utterance: the fused scene and the last operations, as a feature vector that becomes the only token of the
//! encoder's second segment. "What was that" asks for the warning after a hazard, and for a repetition otherwise; "a bit
//! more" continues the last operation.

use crate::intent::scene::{Gear, HAZARDS, HIGH_LOAD, SceneFacts};

/// Position in the lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Within the lane.
    Keeping,
    /// Drifting to the left.
    DriftingLeft,
    /// Drifting to the right.
    DriftingRight,
}

/// What is known at the time of an utterance.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Context {
    /// The driving scene.
    pub scene: SceneFacts,
    /// Position in the lane, if known.
    pub lane: Option<Lane>,
    /// Whether it rains, if known.
    pub raining: Option<bool>,
    /// Names of the intents of the last operations, newest first; the first two are used.
    pub recent: Vec<String>,
}

/// Features that do not depend on the catalogue; see [`Context::features`].
const FIXED: usize = 5 + 5 + 4 + HAZARDS.len() + 5 + 5 + 4;

impl Context {
    /// Number of features for a catalogue with this many intents.
    pub fn size(intents: usize) -> usize {
        FIXED + intents
    }

    /// The feature vector, values 0 to 1. One-hot groups: speed (unknown, standing, slow, medium, fast), gear (unknown, P, R, N,
    /// D), lane (unknown, keeping, left, right), time (unknown, morning, day, evening, night), temperature (unknown, cold, mild,
    /// warm). Flags: each hazard, rain, high driver workload, low battery, low tyre, close vehicle ahead. One feature for each
    /// intent: 1 for the last operation, 0.5 for the one before.
    pub fn features(&self, intents: &[String]) -> Vec<f32> {
        let s = &self.scene;
        let number = |name: &str| s.fact(name).and_then(|v| v.parse::<i64>().ok());
        let band = |value: Option<i64>, limits: [i64; 3]| {
            value.map_or(0, |v| 1 + limits.iter().filter(|limit| v >= **limit).count())
        };
        let mut all = Vec::with_capacity(Self::size(intents.len()));
        one_of(&mut all, 5, band(number("speed"), [2, 55, 95]));
        one_of(
            &mut all,
            5,
            match s.gear {
                None => 0,
                Some(Gear::Park) => 1,
                Some(Gear::Reverse) => 2,
                Some(Gear::Neutral) => 3,
                Some(Gear::Drive) => 4,
            },
        );
        one_of(&mut all, 4, self.lane.map_or(0, |lane| 1 + lane as usize));
        all.extend(HAZARDS.iter().map(|h| flag(s.hazards.iter().any(|found| found == h))));
        let hour = s.minute_of_day.filter(|m| *m < 24 * 60).map(|m| i64::from(m / 60));
        // Morning from 6, day from 10, evening from 18, night from 22 o'clock.
        one_of(&mut all, 5, band(hour.map(|h| (h + 18) % 24), [4, 12, 16]));
        one_of(&mut all, 4, number("out").map_or(0, |v| 1 + usize::from(v >= 4) + usize::from(v >= 22)));
        all.push(flag(self.raining == Some(true)));
        all.push(flag(s.driving_load.is_some_and(|v| v >= HIGH_LOAD)));
        all.push(flag(number("battery").is_some_and(|v| v < 20)));
        all.push(flag(s.tyres.is_some_and(|t| t.lowest().1.is_some())));
        all.push(flag(number("ttc").is_some_and(|v| v < 5)));
        let done = |i: usize, name: &String| self.recent.get(i).is_some_and(|r| r == name);
        all.extend(intents.iter().map(|name| if done(0, name) { 1.0 } else { 0.5 * flag(done(1, name)) }));
        all
    }
}

fn flag(holds: bool) -> f32 {
    f32::from(u8::from(holds))
}

fn one_of(all: &mut Vec<f32>, count: usize, which: usize) {
    all.extend((0..count).map(|i| flag(i == which)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_fact_changes_the_features_and_unknown_differs_from_all_values() {
        let intents = ["call".to_string(), "fan".to_string()];
        let nothing = Context::default().features(&intents);
        assert_eq!(nothing.len(), Context::size(2));
        // Speed, gear, lane, time and temperature are unknown.
        assert_eq!(nothing.iter().sum::<f32>(), 5.0);
        let scene = |change: &dyn Fn(&mut SceneFacts)| {
            let mut scene = SceneFacts::default();
            change(&mut scene);
            Context { scene, ..Context::default() }.features(&intents)
        };
        let all = [
            scene(&|s| s.speed_mps = Some(0.0)),
            scene(&|s| s.speed_mps = Some(14.0)),
            scene(&|s| s.speed_mps = Some(40.0)),
            scene(&|s| s.gear = Some(Gear::Park)),
            scene(&|s| s.hazards = vec!["pedestrian".into()]),
            scene(&|s| s.hazards = vec!["lane_departure".into()]),
            scene(&|s| s.minute_of_day = Some(3 * 60)),
            scene(&|s| s.minute_of_day = Some(13 * 60)),
            scene(&|s| s.outside_temp_c = Some(-3.0)),
            scene(&|s| s.driving_load = Some(0.9)),
            scene(&|s| s.battery = Some(0.1)),
            Context { lane: Some(Lane::DriftingLeft), ..Context::default() }.features(&intents),
            Context { raining: Some(true), ..Context::default() }.features(&intents),
            Context { recent: vec!["fan".into()], ..Context::default() }.features(&intents),
            Context { recent: vec!["call".into(), "fan".into()], ..Context::default() }.features(&intents),
            nothing,
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b), "{i}");
        }
    }

    proptest! {
        #[test]
        fn features_are_between_0_and_1_for_any_scene(a in any::<f64>(), b in any::<f64>(), m in any::<u32>()) {
            let scene = SceneFacts {
                speed_mps: Some(a), battery: Some(b), outside_temp_c: Some(a), driving_load: Some(b),
                time_to_collision_s: Some(a), minute_of_day: Some(m), ..SceneFacts::default()
            };
            let features = Context { scene, ..Context::default() }.features(&[]);
            prop_assert!(features.len() == Context::size(0) && features.iter().all(|v| (0.0..=1.0).contains(v)));
        }
    }
}
