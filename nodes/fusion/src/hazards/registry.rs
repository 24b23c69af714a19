//! The active hazards: ids, and what has to be published.

use auriga_msgs::v1;
use std::collections::BTreeMap;
use v1::{HazardKind, Severity};

/// A hazard that can be active once at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HazardKey {
    /// Collision with the lead.
    ForwardCollision,
    /// Lane departure to the left.
    DepartureLeft,
    /// Lane departure to the right.
    DepartureRight,
    /// No lanes.
    CameraLost,
    /// No vehicle state.
    CanLost,
}

impl HazardKey {
    fn kind(self) -> HazardKind {
        match self {
            HazardKey::ForwardCollision => HazardKind::ForwardCollision,
            HazardKey::DepartureLeft | HazardKey::DepartureRight => HazardKind::LaneDeparture,
            HazardKey::CameraLost | HazardKey::CanLost => HazardKind::SensorLost,
        }
    }

    fn side(self) -> v1::Side {
        match self {
            HazardKey::DepartureLeft => v1::Side::Left,
            HazardKey::DepartureRight => v1::Side::Right,
            HazardKey::ForwardCollision | HazardKey::CameraLost | HazardKey::CanLost => v1::Side::Unspecified,
        }
    }
}

/// What is known of an active hazard.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// How severe it is.
    pub severity: Severity,
    /// Time to collision, where there is one.
    pub time_to_collision_s: Option<f64>,
    /// Distance to the obstacle or line, where there is one.
    pub distance_m: Option<f64>,
    /// For people.
    pub text: String,
}

/// The active hazards.
#[derive(Debug, Default)]
pub struct HazardRegistry {
    active: BTreeMap<HazardKey, v1::Hazard>,
    last_id: u64,
}

impl HazardRegistry {
    /// Sets the assessment of a hazard (`None`: it is over) by the evidence of `header`. Returns what has to be published:
    /// an onset, a change of severity, or an end.
    pub fn set(&mut self, key: HazardKey, assessment: Option<Assessment>, header: v1::Header) -> Option<v1::Hazard> {
        let Some(assessment) = assessment else {
            let mut over = self.active.remove(&key)?;
            over.header = Some(header);
            over.active = false;
            return Some(over);
        };
        let before = self.active.get(&key);
        let changed = before.is_none_or(|h| h.severity() != assessment.severity);
        let id = before.map_or(self.last_id + 1, |h| h.id);
        self.last_id = self.last_id.max(id);
        let hazard = v1::Hazard {
            header: Some(header),
            kind: key.kind().into(),
            severity: assessment.severity.into(),
            active: true,
            time_to_collision_s: assessment.time_to_collision_s,
            distance_m: assessment.distance_m,
            text: assessment.text,
            id,
            side: key.side().into(),
        };
        self.active.insert(key, hazard.clone());
        changed.then_some(hazard)
    }

    /// Whether a hazard is active.
    pub fn is_active(&self, key: HazardKey) -> bool {
        self.active.contains_key(&key)
    }

    /// The active hazards, ordered by key.
    pub fn active(&self) -> Vec<v1::Hazard> {
        self.active.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assessment(severity: Severity, ttc: f64) -> Option<Assessment> {
        Some(Assessment { severity, time_to_collision_s: Some(ttc), distance_m: None, text: String::new() })
    }

    #[test]
    fn only_onset_change_of_severity_and_end_are_published_all_with_one_id() {
        let mut r = HazardRegistry::default();
        let header = v1::Header::new(1, 2);
        let onset = r.set(HazardKey::ForwardCollision, assessment(Severity::Warning, 2.4), header).unwrap();
        assert!(r.set(HazardKey::ForwardCollision, assessment(Severity::Warning, 2.0), header).is_none());
        assert_eq!(r.active()[0].time_to_collision_s, Some(2.0), "scenes show the newest values");
        let change = r.set(HazardKey::ForwardCollision, assessment(Severity::Critical, 1.0), header).unwrap();
        let end = r.set(HazardKey::ForwardCollision, None, header).unwrap();
        assert!(r.set(HazardKey::ForwardCollision, None, header).is_none());
        assert_eq!((onset.id, change.id, end.id), (1, 1, 1));
        assert!(onset.active && change.active && !end.active);
        let next = r.set(HazardKey::DepartureRight, assessment(Severity::Warning, 0.0), header).unwrap();
        assert_eq!((next.id, next.side()), (2, v1::Side::Right));
    }
}
