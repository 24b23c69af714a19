//! The time after a start in which it is unknown whether a hazard stands.

use auriga_runtime::Nanos;
use std::time::Duration;

/// Ids of ended hazards kept at most.
const MAX_ENDED: usize = 64;

/// Holds the strictest mode until fusion has stated all active hazards, at most for a limited time: a restarted arbiter
/// must not be more permissive than it was before it died.
#[derive(Debug)]
pub struct StartupHold {
    limit: Duration,
    started: Option<Nanos>,
    over: bool,
    /// Hazards whose end came before the first scene, which may be older.
    ended: Vec<u64>,
}

impl StartupHold {
    /// Holds for at most `limit`. Fusion publishes its active hazards several times in that time if it is alive at all.
    pub fn new(limit: Duration) -> Self {
        Self { limit, started: None, over: false, ended: Vec::new() }
    }

    /// Whether it still holds at `now`. The first call is the start.
    pub fn holds(&mut self, now: Nanos) -> bool {
        self.over |= now.since(*self.started.get_or_insert(now)) >= self.limit;
        !self.over
    }

    /// A hazard has ended.
    pub fn on_end(&mut self, id: u64) {
        if !self.over && self.ended.len() < MAX_ENDED {
            self.ended.push(id);
        }
    }

    /// Whether the end of a hazard is known.
    pub fn has_ended(&self, id: u64) -> bool {
        self.ended.contains(&id)
    }

    /// All active hazards are known: it holds no longer.
    pub fn finish(&mut self) {
        self.over = true;
        self.ended = Vec::new();
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.over
    }
}
