//! The hazards that are on: one place that gives them ids and says what has to be published.

use auriga_msgs::v1;
use std::collections::BTreeMap;
use v1::{HazardKind, Severity};

/// What can be dangerous, once each at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    ForwardCollision,
    DepartureLeft,
    DepartureRight,
    CameraLost,
    CanLost,
}

impl Slot {
    fn kind(self) -> HazardKind {
        match self {
            Slot::ForwardCollision => HazardKind::ForwardCollision,
            Slot::DepartureLeft | Slot::DepartureRight => HazardKind::LaneDeparture,
            Slot::CameraLost | Slot::CanLost => HazardKind::SensorLost,
        }
    }

    fn side(self) -> v1::Side {
        match self {
            Slot::DepartureLeft => v1::Side::Left,
            Slot::DepartureRight => v1::Side::Right,
            Slot::ForwardCollision | Slot::CameraLost | Slot::CanLost => v1::Side::Unspecified,
        }
    }
}

/// What is known of a danger now.
#[derive(Debug, Clone, PartialEq)]
pub struct Danger {
    pub severity: Severity,
    pub time_to_collision_s: Option<f64>,
    pub distance_m: Option<f64>,
    pub text: String,
}

/// The active hazards.
#[derive(Debug, Default)]
pub struct Register {
    active: BTreeMap<Slot, v1::Hazard>,
    ids: u64,
}

impl Register {
    /// Sets what is known of a danger (`None`: it is over), by evidence of `header`. Returns what is to be published:
    /// an onset, a change of severity, or an end.
    pub fn set(&mut self, slot: Slot, danger: Option<Danger>, header: v1::Header) -> Option<v1::Hazard> {
        let Some(danger) = danger else {
            let mut over = self.active.remove(&slot)?;
            over.header = Some(header);
            over.active = false;
            return Some(over);
        };
        let before = self.active.get(&slot);
        let changed = before.is_none_or(|h| h.severity() != danger.severity);
        let id = before.map_or(self.ids + 1, |h| h.id);
        self.ids = self.ids.max(id);
        let hazard = v1::Hazard {
            header: Some(header),
            kind: slot.kind().into(),
            severity: danger.severity.into(),
            active: true,
            time_to_collision_s: danger.time_to_collision_s,
            distance_m: danger.distance_m,
            text: danger.text,
            id,
            side: slot.side().into(),
        };
        self.active.insert(slot, hazard.clone());
        changed.then_some(hazard)
    }

    pub fn is_active(&self, slot: Slot) -> bool {
        self.active.contains_key(&slot)
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

    fn danger(severity: Severity, ttc: f64) -> Option<Danger> {
        Some(Danger { severity, time_to_collision_s: Some(ttc), distance_m: None, text: String::new() })
    }

    #[test]
    fn onset_change_and_end_are_told_with_one_id_and_nothing_else_is() {
        let mut r = Register::default();
        let header = v1::Header::new(1, 2);
        let onset = r.set(Slot::ForwardCollision, danger(Severity::Warning, 2.4), header).unwrap();
        assert!(r.set(Slot::ForwardCollision, danger(Severity::Warning, 2.0), header).is_none());
        assert_eq!(r.active()[0].time_to_collision_s, Some(2.0), "the scene shows the newest");
        let change = r.set(Slot::ForwardCollision, danger(Severity::Critical, 1.0), header).unwrap();
        let end = r.set(Slot::ForwardCollision, None, header).unwrap();
        assert!(r.set(Slot::ForwardCollision, None, header).is_none());
        assert_eq!((onset.id, change.id, end.id), (1, 1, 1));
        assert!(onset.active && change.active && !end.active);
        let next = r.set(Slot::DepartureRight, danger(Severity::Warning, 0.0), header).unwrap();
        assert_eq!((next.id, next.side()), (2, v1::Side::Right));
    }
}
