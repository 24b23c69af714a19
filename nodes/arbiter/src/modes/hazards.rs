//! The active hazards as fusion reports them.
//!
//! Fusion says twice what is active: by messages at onset, change and end, and by the list in each scene. A single message
//! can be lost, or forged; so an end counts only as long as no scene that was published after it lists the hazard as
//! active, and a hazard that a scene lists and no message has reported is active too.

use auriga_msgs::{
    Stamped,
    v1::{self, HazardKind, Mode, Severity},
};
use auriga_runtime::Nanos;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Hazards kept at most; fusion has a handful at a time.
pub(super) const MAX_HAZARDS: usize = 64;
/// Ends remembered at most.
const MAX_ENDED: usize = 64;
/// Characters kept of a hazard's text, so that a reason stays short.
const MAX_TEXT: usize = 80;

/// A hazard of severity warning or worse.
#[derive(Debug, Clone)]
struct Active {
    kind: HazardKind,
    severity: Severity,
    /// When the last message about it came.
    received: Nanos,
    text: String,
}

impl Active {
    /// A lost sensor calls for limp mode, every other hazard for hazard mode.
    fn mode(&self) -> Mode {
        if self.kind == HazardKind::SensorLost { Mode::Limp } else { Mode::Hazard }
    }
}

/// The active hazards by id.
#[derive(Debug, Default)]
pub struct ActiveHazards {
    by_id: BTreeMap<u64, Active>,
    /// Ids of ended hazards, and when their end was published.
    ended: VecDeque<(u64, u64)>,
    /// When a hazard that calls for hazard mode was last active.
    last_active: Option<Nanos>,
}

impl ActiveHazards {
    /// Takes in a hazard's onset, change or end. Returns whether there are more than [`MAX_HAZARDS`]: then the least of them
    /// has been dropped.
    pub fn update(&mut self, hazard: &v1::Hazard, now: Nanos) -> bool {
        self.record_active(now);
        self.ended.retain(|(id, _)| *id != hazard.id);
        // A missing severity is a mistake of the publisher; it must not make the hazard harmless.
        let severity = match hazard.severity() {
            Severity::Unspecified => Severity::Warning,
            severity => severity,
        };
        if !hazard.active || severity < Severity::Warning {
            self.by_id.remove(&hazard.id);
            if self.ended.len() >= MAX_ENDED {
                self.ended.pop_front();
            }
            self.ended.push_back((hazard.id, hazard.header_copy().published_ns));
            return false;
        }
        let too_many = self.by_id.len() >= MAX_HAZARDS && !self.by_id.contains_key(&hazard.id);
        if too_many {
            let least = self.by_id.iter().min_by_key(|(id, h)| (h.severity, h.received, **id)).map(|(id, _)| *id);
            least.and_then(|id| self.by_id.remove(&id));
        }
        // `;` separates the parts of a reason.
        let text = hazard.text.chars().take(MAX_TEXT).map(|c| if c == ';' || c.is_control() { ',' } else { c });
        let active = Active { kind: hazard.kind(), severity, received: now, text: text.collect() };
        self.by_id.insert(hazard.id, active);
        too_many
    }

    /// Takes in the hazards that a scene lists and that are not known, unless their end was published after the scene; of
    /// the first scene after the start also those that are known. Returns whether a hazard was added.
    pub fn on_scene(&mut self, scene: &v1::Scene, is_first: bool, now: Nanos) -> bool {
        let published_ns = scene.header_copy().published_ns;
        let counts = |h: &v1::Hazard| h.active && h.severity() != Severity::Info;
        let has_ended =
            |id: u64, ended: &VecDeque<(u64, u64)>| ended.iter().any(|(i, end)| *i == id && *end >= published_ns);
        let mut added = false;
        for hazard in scene.hazards.iter().filter(|h| counts(h)).take(MAX_HAZARDS) {
            let known = self.by_id.contains_key(&hazard.id);
            if (is_first || !known) && !has_ended(hazard.id, &self.ended) {
                self.update(hazard, now);
                added |= !known;
            }
        }
        added
    }

    /// Removes the hazards last reported before `time`: their publisher was restarted and will report again what stands.
    pub fn remove_before(&mut self, time: Nanos, now: Nanos) {
        self.record_active(now);
        self.by_id.retain(|_, h| h.received >= time);
    }

    /// Removes what was not reported for `timeout` on the receiver's clock: fusion publishes every active hazard again and
    /// again, so its end was lost or fusion is silent.
    pub fn expire(&mut self, timeout: Duration, now: Nanos) {
        self.record_active(now);
        self.by_id.retain(|_, h| now.since(h.received) < timeout);
    }

    /// Id of the worst hazard that calls for `mode`.
    pub fn worst(&self, mode: Mode) -> Option<u64> {
        let calling = self.by_id.iter().filter(|(_, h)| h.mode() == mode);
        calling.max_by_key(|(id, h)| (h.severity, std::cmp::Reverse(**id))).map(|(id, _)| *id)
    }

    /// Whether a hazard that calls for hazard mode was active less than `hold` ago.
    pub fn was_active_within(&self, hold: Duration, now: Nanos) -> bool {
        self.last_active.is_some_and(|t| now.since(t) < hold)
    }

    /// A hazard in words, for the reason of a decision.
    pub fn describe(&self, id: u64) -> String {
        match self.by_id.get(&id) {
            Some(h) => format!("hazard {id}, {}: {}", h.kind.name(), h.text),
            None => format!("hazard {id}"),
        }
    }

    /// How many are active.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    fn record_active(&mut self, now: Nanos) {
        if self.worst(Mode::Hazard).is_some() {
            self.last_active = Some(now);
        }
    }
}
