//! The active hazards: ids, and what has to be published.

use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::{collections::BTreeMap, time::Duration};
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
#[derive(Debug)]
pub struct HazardRegistry {
    active: BTreeMap<HazardKey, v1::Hazard>,
    last_id: u64,
    republish_period: Duration,
    /// When the active hazards are due to be published again.
    next_republish: Nanos,
}

impl HazardRegistry {
    /// No hazard. The active ones are published again every `republish_period`.
    pub fn new(republish_period: Duration) -> Self {
        Self { active: BTreeMap::new(), last_id: 0, republish_period, next_republish: Nanos::ZERO }
    }

    /// Sets the assessment of a hazard (`None`: it is over) by the evidence of `header`. Returns what has to be published:
    /// an onset, a change of severity, or an end.
    pub fn set(
        &mut self,
        key: HazardKey,
        assessment: Option<Assessment>,
        header: v1::Header,
        now: Nanos,
    ) -> Option<v1::Hazard> {
        let Some(assessment) = assessment else {
            let mut over = self.active.remove(&key)?;
            over.header = Some(header);
            over.active = false;
            return Some(over);
        };
        if self.active.is_empty() {
            self.next_republish = now + self.republish_period;
        }
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

    /// The active hazards with their newest values, if they are due to be published again at `now`: a node that started
    /// after the onset learns of them, and one that no longer receives them knows that this node is silent. They have no
    /// trace, because the cause was published before.
    pub fn republish(&mut self, now: Nanos) -> Vec<v1::Hazard> {
        if self.republish_due().is_none_or(|due| now < due) {
            return Vec::new();
        }
        self.next_republish = now + self.republish_period;
        let without_trace = |h: &v1::Hazard| {
            let stamp_ns = h.header.map_or(now.0, |header| header.stamp_ns);
            v1::Hazard { header: Some(v1::Header::new(stamp_ns, 0)), ..h.clone() }
        };
        self.active.values().map(without_trace).collect()
    }

    /// When [`Self::republish`] has something to publish; `None` without an active hazard.
    pub fn republish_due(&self) -> Option<Nanos> {
        (!self.active.is_empty()).then_some(self.next_republish)
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

    fn registry() -> HazardRegistry {
        HazardRegistry::new(Duration::from_millis(500))
    }

    #[test]
    fn only_onset_change_of_severity_and_end_are_published_all_with_one_id() {
        let mut r = registry();
        let (header, now) = (v1::Header::new(1, 2), Nanos(1));
        let onset = r.set(HazardKey::ForwardCollision, assessment(Severity::Warning, 2.4), header, now).unwrap();
        assert!(r.set(HazardKey::ForwardCollision, assessment(Severity::Warning, 2.0), header, now).is_none());
        assert_eq!(r.active()[0].time_to_collision_s, Some(2.0), "scenes show the newest values");
        let change = r.set(HazardKey::ForwardCollision, assessment(Severity::Critical, 1.0), header, now).unwrap();
        let end = r.set(HazardKey::ForwardCollision, None, header, now).unwrap();
        assert!(r.set(HazardKey::ForwardCollision, None, header, now).is_none());
        assert_eq!((onset.id, change.id, end.id), (1, 1, 1));
        assert!(onset.active && change.active && !end.active);
        let next = r.set(HazardKey::DepartureRight, assessment(Severity::Warning, 0.0), header, now).unwrap();
        assert_eq!((next.id, next.side()), (2, v1::Side::Right));
    }

    #[test]
    fn active_hazards_are_published_again_with_their_newest_values_and_without_trace() {
        let (mut r, ms) = (registry(), Nanos::from_millis);
        assert_eq!((r.republish_due(), r.republish(ms(9000))), (None, vec![]));
        let key = HazardKey::ForwardCollision;
        r.set(key, assessment(Severity::Warning, 2.4), v1::Header::new(1, 2), ms(10_000));
        r.set(key, assessment(Severity::Warning, 1.9), v1::Header::new(5, 6), ms(10_400));
        assert_eq!(r.republish(ms(10_499)), []);
        let again = r.republish(ms(10_500));
        assert_eq!((again.len(), again[0].id, again[0].active), (1, 1, true));
        assert_eq!((again[0].header, again[0].time_to_collision_s), (Some(v1::Header::new(5, 0)), Some(1.9)));
        assert_eq!(r.republish_due(), Some(ms(11_000)));
        r.set(key, None, v1::Header::new(7, 8), ms(10_700));
        assert_eq!((r.republish_due(), r.republish(ms(11_000))), (None, vec![]));
    }
}
