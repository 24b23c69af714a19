//! The hazards that are on: one place that gives them ids and says what has to be published.

use auriga_msgs::v1;
use std::collections::BTreeMap;
use v1::{HazardKind, Severity};

/// What can be dangerous, once each at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HazardKey {
    ForwardCollision,
    DepartureLeft,
    DepartureRight,
    CameraLost,
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

/// What is known of a danger now.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    pub severity: Severity,
    pub time_to_collision_s: Option<f64>,
    pub distance_m: Option<f64>,
    pub text: String,
}

/// The active hazards.
#[derive(Debug, Default)]
pub struct HazardRegistry {
    active: BTreeMap<HazardKey, v1::Hazard>,
    ids: u64,
}

impl HazardRegistry {
    /// Sets what is known of a danger (`None`: it is over), by evidence of `header`. Returns what is to be published:
    /// an onset, a change of severity, or an end.
    pub fn set(&mut self, key: HazardKey, danger: Option<Assessment>, header: v1::Header) -> Option<v1::Hazard> {
        let Some(danger) = danger else {
            let mut over = self.active.remove(&key)?;
            over.header = Some(header);
            over.active = false;
            return Some(over);
        };
        let before = self.active.get(&key);
        let changed = before.is_none_or(|h| h.severity() != danger.severity);
        let id = before.map_or(self.ids + 1, |h| h.id);
        self.ids = self.ids.max(id);
        let hazard = v1::Hazard {
            header: Some(header),
            kind: key.kind().into(),
            severity: danger.severity.into(),
            active: true,
            time_to_collision_s: danger.time_to_collision_s,
            distance_m: danger.distance_m,
            text: danger.text,
            id,
            side: key.side().into(),
        };
        self.active.insert(key, hazard.clone());
        changed.then_some(hazard)
    }

    pub fn is_active(&self, key: HazardKey) -> bool {
        self.active.contains_key(&key)
    }

    /// The active ones, in a fixed order.
    pub fn active(&self) -> Vec<v1::Hazard> {
        self.active.values().cloned().collect()
    }

    /// The worst severity that is on.
    pub fn worst(&self) -> Severity {
        self.active.values().map(v1::Hazard::severity).max().unwrap_or(Severity::Unspecified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn danger(severity: Severity, ttc: f64) -> Option<Assessment> {
        Some(Assessment { severity, time_to_collision_s: Some(ttc), distance_m: None, text: String::new() })
    }

    #[test]
    fn onset_change_and_end_are_told_with_one_id_and_nothing_else_is() {
        let mut r = HazardRegistry::default();
        let header = v1::Header::new(1, 2);
        let onset = r.set(HazardKey::ForwardCollision, danger(Severity::Warning, 2.4), header).unwrap();
        assert!(r.set(HazardKey::ForwardCollision, danger(Severity::Warning, 2.0), header).is_none());
        assert_eq!(r.active()[0].time_to_collision_s, Some(2.0), "the scene shows the newest");
        let change = r.set(HazardKey::ForwardCollision, danger(Severity::Critical, 1.0), header).unwrap();
        let end = r.set(HazardKey::ForwardCollision, None, header).unwrap();
        assert!(r.set(HazardKey::ForwardCollision, None, header).is_none());
        assert_eq!((onset.id, change.id, end.id), (1, 1, 1));
        assert!(onset.active && change.active && !end.active);
        let next = r.set(HazardKey::DepartureRight, danger(Severity::Warning, 0.0), header).unwrap();
        assert_eq!((next.id, next.side()), (2, v1::Side::Right));
    }
}
