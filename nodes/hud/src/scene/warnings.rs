//! What the driver is to be warned of: hazards as fusion tells them, and what the display itself finds missing.

use auriga_msgs::{Stamped, v1};
use auriga_runtime::Nanos;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use v1::{HazardKind, Severity};

/// More hazards than this are not on at once; the oldest give way.
const MAX_HAZARDS: usize = 32;

/// Which side of the car.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// What a warning is about, the weightiest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    ForwardCollision,
    Pedestrian,
    LaneDeparture,
    SensorLost,
}

impl Topic {
    /// As the page names it.
    pub fn name(self) -> &'static str {
        match self {
            Topic::ForwardCollision => "forward-collision",
            Topic::Pedestrian => "pedestrian",
            Topic::LaneDeparture => "lane-departure",
            Topic::SensorLost => "sensor-lost",
        }
    }
}

/// One warning as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Warning {
    pub topic: Topic,
    pub critical: bool,
    pub side: Option<Side>,
    pub title: &'static str,
    pub detail: String,
}

impl Warning {
    /// Something the display itself misses.
    pub fn missing(title: &'static str, detail: String) -> Self {
        Self { topic: Topic::SensorLost, critical: false, side: None, title, detail }
    }
}

/// The hazards that are on, by id.
#[derive(Debug, Default)]
pub struct Hazards {
    on: BTreeMap<u64, Known>,
    /// Ids whose end was told: a scene made before the end does not revive them.
    ended: VecDeque<u64>,
}

#[derive(Debug)]
struct Known {
    hazard: v1::Hazard,
    /// Kept from the onset: a car that has crossed the line sees it on its other side.
    side: Option<Side>,
}

impl Hazards {
    /// An onset, a change or an end.
    pub fn on_hazard(&mut self, hazard: &v1::Hazard, lanes: Option<&v1::Lanes>) {
        self.ended.retain(|id| *id != hazard.id);
        if hazard.active {
            self.put(hazard, lanes);
        } else {
            self.on.remove(&hazard.id);
            self.ended.push_back(hazard.id);
            if self.ended.len() > MAX_HAZARDS {
                self.ended.pop_front();
            }
        }
    }

    /// A scene's list of what is on. What is known by newer evidence than the scene's stays.
    pub fn on_scene(&mut self, scene: &v1::Scene) {
        let instant = scene.header_copy().stamp_ns;
        let listed = |id: &u64| scene.hazards.iter().any(|h| h.id == *id);
        self.on.retain(|id, known| listed(id) || known.hazard.header_copy().stamp_ns > instant);
        for hazard in scene.hazards.iter().filter(|h| h.active).take(MAX_HAZARDS) {
            let newer = |known: &Known| known.hazard.header_copy().stamp_ns > hazard.header_copy().stamp_ns;
            if !self.ended.contains(&hazard.id) && !self.on.get(&hazard.id).is_some_and(newer) {
                self.put(hazard, scene.lanes.as_ref());
            }
        }
    }

    fn put(&mut self, hazard: &v1::Hazard, lanes: Option<&v1::Lanes>) {
        let before = self.on.get(&hazard.id).and_then(|k| k.side);
        let side = before.or_else(|| side_of(hazard, lanes));
        self.on.insert(hazard.id, Known { hazard: hazard.clone(), side });
        if self.on.len() > MAX_HAZARDS {
            self.on.pop_first();
        }
    }

    /// What is shown, the weightiest first; without what has no evidence of the last `within`.
    pub fn warnings(&self, now: Nanos, within: Duration) -> Vec<Warning> {
        let recent = |k: &&Known| now.since(Nanos(k.hazard.header_copy().stamp_ns)) <= within;
        let mut warnings: Vec<Warning> = self.on.values().filter(recent).filter_map(warning).collect();
        warnings.sort_by_key(|w| (w.topic, Reverse(w.critical)));
        warnings.dedup_by(|b, a| a.topic == b.topic && a.side == b.side && a.detail == b.detail);
        warnings
    }
}

fn side_of(hazard: &v1::Hazard, lanes: Option<&v1::Lanes>) -> Option<Side> {
    if hazard.kind() != HazardKind::LaneDeparture {
        return None;
    }
    match hazard.side() {
        v1::Side::Left => return Some(Side::Left),
        v1::Side::Right => return Some(Side::Right),
        v1::Side::Unspecified => {}
    }
    // Unsaid: the side of the nearer line.
    let near = |line: &Option<v1::LaneLine>| line.as_ref().map(|l| l.c0_m.abs()).filter(|y| y.is_finite());
    match (near(&lanes?.left), near(&lanes?.right)) {
        (Some(left), Some(right)) => Some(if left < right { Side::Left } else { Side::Right }),
        (Some(_), None) => Some(Side::Left),
        (None, Some(_)) => Some(Side::Right),
        (None, None) => None,
    }
}

fn warning(known: &Known) -> Option<Warning> {
    let Known { hazard, side } = known;
    let critical = hazard.severity() == Severity::Critical;
    let ttc = hazard.time_to_collision_s.filter(|t| (0.0..100.0).contains(t));
    let distance = hazard.distance_m.filter(|d| (0.0..1000.0).contains(d));
    let measured = match (ttc, distance) {
        (Some(t), _) => format!("{t:.1} s"),
        (None, Some(d)) => format!("{d:.0} m"),
        (None, None) => String::new(),
    };
    let (topic, title, detail) = match hazard.kind() {
        HazardKind::ForwardCollision if critical => (Topic::ForwardCollision, "BRAKE", measured),
        HazardKind::ForwardCollision => (Topic::ForwardCollision, "COLLISION WARNING", measured),
        HazardKind::Pedestrian => (Topic::Pedestrian, "PEDESTRIAN", measured),
        HazardKind::LaneDeparture => {
            let side = match side {
                Some(Side::Left) => "left",
                Some(Side::Right) => "right",
                None => "",
            };
            (Topic::LaneDeparture, "LANE DEPARTURE", side.to_owned())
        }
        HazardKind::SensorLost => (Topic::SensorLost, "SENSOR LOST", shortened(&hazard.text)),
        HazardKind::Unspecified => return None,
    };
    Some(Warning { topic, critical, side: *side, title, detail })
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hazard(id: u64, kind: HazardKind, stamp: u64, active: bool) -> v1::Hazard {
        v1::Hazard {
            header: Some(v1::Header::new(stamp, 0)),
            kind: kind.into(),
            severity: Severity::Warning.into(),
            active,
            time_to_collision_s: Some(1.94),
            side: v1::Side::Right.into(),
            id,
            ..Default::default()
        }
    }

    fn shown(hazards: &Hazards) -> Vec<Warning> {
        hazards.warnings(Nanos(0), Duration::MAX)
    }

    fn scene(stamp: u64, hazards: Vec<v1::Hazard>) -> v1::Scene {
        v1::Scene { header: Some(v1::Header::new(stamp, 0)), hazards, ..Default::default() }
    }

    #[test]
    fn warnings_come_by_weight_with_their_measure_and_side() {
        let mut hazards = Hazards::default();
        hazards.on_hazard(&hazard(1, HazardKind::LaneDeparture, 5, true), None);
        hazards.on_hazard(&hazard(2, HazardKind::ForwardCollision, 6, true), None);
        let list = shown(&hazards);
        assert_eq!((list[0].title, list[0].detail.as_str()), ("COLLISION WARNING", "1.9 s"));
        assert_eq!((list[1].title, list[1].side), ("LANE DEPARTURE", Some(Side::Right)));
        hazards.on_hazard(&hazard(2, HazardKind::ForwardCollision, 7, false), None);
        assert_eq!(shown(&hazards).len(), 1);
    }

    #[test]
    fn an_older_scene_neither_ends_nor_revives_a_hazard() {
        let mut hazards = Hazards::default();
        let onset = hazard(1, HazardKind::ForwardCollision, 100, true);
        hazards.on_hazard(&onset, None);
        hazards.on_scene(&scene(90, vec![]));
        assert_eq!(shown(&hazards).len(), 1, "the scene is older than the onset");
        hazards.on_hazard(&hazard(1, HazardKind::ForwardCollision, 110, false), None);
        hazards.on_scene(&scene(105, vec![onset]));
        assert!(shown(&hazards).is_empty(), "the scene is older than the end");
        hazards.on_hazard(&hazard(2, HazardKind::ForwardCollision, 120, true), None);
        hazards.on_scene(&scene(130, vec![]));
        assert!(shown(&hazards).is_empty(), "a lost end is made good by the next scene");
    }

    #[test]
    fn without_a_word_the_nearer_line_tells_the_side() {
        let line = |c0_m| Some(v1::LaneLine { c0_m, ..Default::default() });
        let lanes = v1::Lanes { left: line(0.7), right: line(-2.8), ..Default::default() };
        let mut hazards = Hazards::default();
        let unsaid = v1::Hazard { side: v1::Side::Unspecified.into(), ..hazard(1, HazardKind::LaneDeparture, 1, true) };
        hazards.on_hazard(&unsaid, Some(&lanes));
        assert_eq!(shown(&hazards)[0].side, Some(Side::Left));
    }
}
