//! The warnings that are shown: the active hazards of fusion, and data that the display itself misses.

use crate::text::truncated;
use auriga_msgs::{Stamped, v1};
use auriga_runtime::Nanos;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use v1::{HazardKind, Severity, Side};

/// Most hazards active at once; of more, the least severe are dropped, of those the oldest evidence first.
const MAX_HAZARDS: usize = 32;
/// Longest detail text, in characters.
const MAX_DETAIL: usize = 60;

/// What a warning is about, the most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WarningKind {
    /// A vehicle ahead may be hit.
    ForwardCollision,
    /// A pedestrian is near the path.
    Pedestrian,
    /// The car leaves its lane.
    LaneDeparture,
    /// A sensor, or the scene as a whole, is missing.
    SensorLost,
}

impl WarningKind {
    /// The name in the page's state.
    pub fn name(self) -> &'static str {
        match self {
            WarningKind::ForwardCollision => "forward-collision",
            WarningKind::Pedestrian => "pedestrian",
            WarningKind::LaneDeparture => "lane-departure",
            WarningKind::SensorLost => "sensor-lost",
        }
    }
}

/// One warning as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Warning {
    /// What it is about.
    pub kind: WarningKind,
    /// Shown in red.
    pub critical: bool,
    /// The side of a lane departure; unspecified for other kinds.
    pub side: Side,
    /// In capitals.
    pub title: &'static str,
    /// A measured value or a short text; may be empty.
    pub detail: String,
}

impl Warning {
    /// A warning about data that the display itself misses.
    pub fn of_missing_data(title: &'static str, detail: String) -> Self {
        Self { kind: WarningKind::SensorLost, critical: false, side: Side::Unspecified, title, detail }
    }
}

/// The active hazards by id.
#[derive(Debug, Default)]
pub struct ActiveHazards {
    active: BTreeMap<u64, ActiveHazard>,
    /// Ids of hazards that ended, and when the end was published: a scene published before that does not bring them back,
    /// one published after it does, because fusion contradicts the end.
    ended: VecDeque<(u64, u64)>,
}

#[derive(Debug)]
struct ActiveHazard {
    hazard: v1::Hazard,
    /// Kept from the start of the hazard: once the car has crossed the line, the line is on its other side.
    side: Side,
}

impl ActiveHazards {
    /// Takes the start, a change or the end of a hazard. `lanes`: of the newest scene.
    pub fn on_hazard(&mut self, hazard: &v1::Hazard, lanes: Option<&v1::Lanes>) {
        self.ended.retain(|(id, _)| *id != hazard.id);
        if hazard.active {
            self.put(hazard, lanes);
        } else {
            self.active.remove(&hazard.id);
            self.ended.push_back((hazard.id, hazard.header_copy().published_ns));
            if self.ended.len() > MAX_HAZARDS {
                self.ended.pop_front();
            }
        }
    }

    /// Takes a scene's list of active hazards. Hazards with newer evidence than the scene stay.
    pub fn on_scene(&mut self, scene: &v1::Scene) {
        let instant = scene.header_copy().stamp_ns;
        let published_ns = scene.header_copy().published_ns;
        let listed = |id: &u64| scene.hazards.iter().any(|h| h.id == *id);
        self.active.retain(|id, active| listed(id) || active.hazard.header_copy().stamp_ns > instant);
        for hazard in scene.hazards.iter().filter(|h| h.active).take(MAX_HAZARDS) {
            let newer = |active: &ActiveHazard| active.hazard.header_copy().stamp_ns > hazard.header_copy().stamp_ns;
            let ended = self.ended.iter().any(|(id, end)| *id == hazard.id && *end >= published_ns);
            if !ended && !self.active.get(&hazard.id).is_some_and(newer) {
                self.put(hazard, scene.lanes.as_ref());
            }
        }
    }

    fn put(&mut self, hazard: &v1::Hazard, lanes: Option<&v1::Lanes>) {
        let before = self.active.get(&hazard.id).map(|a| a.side).filter(|side| *side != Side::Unspecified);
        let side = before.unwrap_or_else(|| departure_side(hazard, lanes));
        self.active.insert(hazard.id, ActiveHazard { hazard: hazard.clone(), side });
        if self.active.len() > MAX_HAZARDS {
            let weight = |a: &ActiveHazard| (a.hazard.severity(), a.hazard.header_copy().stamp_ns);
            let least = self.active.iter().min_by_key(|(_, a)| weight(a)).map(|(id, _)| *id);
            least.and_then(|id| self.active.remove(&id));
        }
    }

    /// The warnings to show, the most important first. Hazards whose evidence is older than `max_age` are left out.
    pub fn warnings(&self, now: Nanos, max_age: Duration) -> Vec<Warning> {
        let recent = |a: &&ActiveHazard| now.since(Nanos(a.hazard.header_copy().stamp_ns)) <= max_age;
        let mut warnings: Vec<Warning> = self.active.values().filter(recent).filter_map(warning).collect();
        warnings.sort_by_key(|w| (w.kind, Reverse(w.critical)));
        warnings.dedup_by(|b, a| a.kind == b.kind && a.side == b.side && a.detail == b.detail);
        warnings
    }
}

/// The side of a lane departure: as fusion states it, else the side of the nearer line.
fn departure_side(hazard: &v1::Hazard, lanes: Option<&v1::Lanes>) -> Side {
    if hazard.kind() != HazardKind::LaneDeparture {
        return Side::Unspecified;
    }
    if hazard.side() != Side::Unspecified {
        return hazard.side();
    }
    let distance = |line: &Option<v1::LaneLine>| line.as_ref().map(|l| l.c0_m.abs()).filter(|y| y.is_finite());
    match lanes.map(|lanes| (distance(&lanes.left), distance(&lanes.right))) {
        Some((Some(left), Some(right))) if left < right => Side::Left,
        Some((Some(_), None)) => Side::Left,
        Some((_, Some(_))) => Side::Right,
        _ => Side::Unspecified,
    }
}

/// The warning of a hazard; `None` for a kind this display does not know.
fn warning(active: &ActiveHazard) -> Option<Warning> {
    let ActiveHazard { hazard, side } = active;
    let critical = hazard.severity() == Severity::Critical;
    let ttc = hazard.time_to_collision_s.filter(|t| (0.0..100.0).contains(t));
    let distance = hazard.distance_m.filter(|d| (0.0..1000.0).contains(d));
    let measured = match (ttc, distance) {
        (Some(t), _) => format!("{t:.1} s"),
        (None, Some(d)) => format!("{d:.0} m"),
        (None, None) => String::new(),
    };
    let (kind, title, detail) = match hazard.kind() {
        HazardKind::ForwardCollision if critical => (WarningKind::ForwardCollision, "BRAKE", measured),
        HazardKind::ForwardCollision => (WarningKind::ForwardCollision, "COLLISION WARNING", measured),
        HazardKind::Pedestrian => (WarningKind::Pedestrian, "PEDESTRIAN", measured),
        HazardKind::LaneDeparture => {
            let side = match side {
                Side::Left => "left",
                Side::Right => "right",
                Side::Unspecified => "",
            };
            (WarningKind::LaneDeparture, "LANE DEPARTURE", side.to_owned())
        }
        HazardKind::SensorLost => (WarningKind::SensorLost, "SENSOR LOST", truncated(&hazard.text, MAX_DETAIL)),
        HazardKind::Unspecified => return None,
    };
    Some(Warning { kind, critical, side: *side, title, detail })
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

    fn shown(hazards: &ActiveHazards) -> Vec<Warning> {
        hazards.warnings(Nanos(0), Duration::MAX)
    }

    fn scene(stamp: u64, hazards: Vec<v1::Hazard>) -> v1::Scene {
        v1::Scene { header: Some(v1::Header::new(stamp, 0)), hazards, ..Default::default() }
    }

    #[test]
    fn warnings_are_sorted_by_importance_and_carry_their_measured_value_and_side() {
        let mut hazards = ActiveHazards::default();
        hazards.on_hazard(&hazard(1, HazardKind::LaneDeparture, 5, true), None);
        hazards.on_hazard(&hazard(2, HazardKind::ForwardCollision, 6, true), None);
        let list = shown(&hazards);
        assert_eq!((list[0].title, list[0].detail.as_str()), ("COLLISION WARNING", "1.9 s"));
        assert_eq!((list[1].title, list[1].side), ("LANE DEPARTURE", Side::Right));
        hazards.on_hazard(&hazard(2, HazardKind::ForwardCollision, 7, false), None);
        assert_eq!(shown(&hazards).len(), 1);
    }

    #[test]
    fn a_scene_older_than_the_evidence_neither_ends_nor_restarts_a_hazard() {
        let mut hazards = ActiveHazards::default();
        let start = hazard(1, HazardKind::ForwardCollision, 100, true);
        hazards.on_hazard(&start, None);
        hazards.on_scene(&scene(90, vec![]));
        assert_eq!(shown(&hazards).len(), 1, "the scene is older than the start");
        hazards.on_hazard(&hazard(1, HazardKind::ForwardCollision, 110, false), None);
        hazards.on_scene(&scene(105, vec![start]));
        assert!(shown(&hazards).is_empty(), "the scene is older than the end");
        hazards.on_hazard(&hazard(2, HazardKind::ForwardCollision, 120, true), None);
        hazards.on_scene(&scene(130, vec![]));
        assert!(shown(&hazards).is_empty(), "the next scene ends a hazard whose end was lost");
    }

    #[test]
    fn an_end_that_the_next_scene_contradicts_hides_nothing() {
        let published = |stamp: u64| Some(v1::Header { published_ns: stamp, ..v1::Header::new(stamp, 0) });
        let mut hazards = ActiveHazards::default();
        let start = hazard(1, HazardKind::Pedestrian, 100, true);
        hazards.on_hazard(&start, None);
        let forged = v1::Hazard { header: published(110), active: false, ..start.clone() };
        hazards.on_hazard(&forged, None);
        assert!(shown(&hazards).is_empty());
        let scene_of =
            |stamp| v1::Scene { header: published(stamp), hazards: vec![start.clone()], ..Default::default() };
        hazards.on_scene(&scene_of(109));
        assert!(shown(&hazards).is_empty(), "published before the end");
        hazards.on_scene(&scene_of(140));
        assert_eq!(shown(&hazards).len(), 1);
    }

    #[test]
    fn many_warnings_do_not_displace_a_critical_one() {
        let mut hazards = ActiveHazards::default();
        let critical = Severity::Critical.into();
        hazards.on_hazard(&v1::Hazard { severity: critical, ..hazard(0, HazardKind::Pedestrian, 1, true) }, None);
        for id in 1..1000 {
            hazards.on_hazard(&hazard(id, HazardKind::LaneDeparture, 5, true), None);
        }
        assert_eq!(hazards.active.len(), MAX_HAZARDS);
        assert!(shown(&hazards)[0].critical);
    }

    #[test]
    fn a_departure_without_a_side_is_to_the_side_of_the_nearer_line() {
        let line = |c0_m| Some(v1::LaneLine { c0_m, ..Default::default() });
        let lanes = v1::Lanes { left: line(0.7), right: line(-2.8), ..Default::default() };
        let mut hazards = ActiveHazards::default();
        let sideless =
            v1::Hazard { side: v1::Side::Unspecified.into(), ..hazard(1, HazardKind::LaneDeparture, 1, true) };
        hazards.on_hazard(&sideless, Some(&lanes));
        assert_eq!(shown(&hazards)[0].side, Side::Left);
    }
}
