//! The time after a start in which it is unknown whether a hazard stands.

use auriga_runtime::Nanos;
use std::time::Duration;

/// Holds the strictest mode until fusion has stated all active hazards, at most for a limited time: a restarted arbiter
/// must not be more permissive than it was before it died.
#[derive(Debug)]
pub struct StartupHold {
    limit: Duration,
    started: Option<Nanos>,
    over: bool,
}

impl StartupHold {
    /// Holds for at most `limit`. Fusion publishes its active hazards several times in that time if it is alive at all.
    pub fn new(limit: Duration) -> Self {
        Self { limit, started: None, over: false }
    }

    /// Whether it still holds at `now`. The first call is the start.
    pub fn holds(&mut self, now: Nanos) -> bool {
        self.over |= now.since(*self.started.get_or_insert(now)) >= self.limit;
        !self.over
    }

    /// All active hazards are known: it holds no longer.
    pub fn finish(&mut self) {
        self.over = true;
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.over
    }
}
