//! A condition with two thresholds and two delays.

use auriga_runtime::Nanos;
use std::time::Duration;

/// Switches on when its upper threshold was exceeded for a while, and off when the value was below its lower threshold
/// for a while.
#[derive(Debug)]
pub struct Hysteresis {
    on_delay: Duration,
    off_delay: Duration,
    active: bool,
    /// Since when the input disagrees with `active`.
    differs_since: Option<Nanos>,
}

impl Hysteresis {
    /// A condition that is off.
    pub fn new(on_delay: Duration, off_delay: Duration) -> Self {
        Self { on_delay, off_delay, active: false, differs_since: None }
    }

    /// `above_on`: the value is at or above the upper threshold; `above_off`: at or above the lower one.
    pub fn update(&mut self, above_on: bool, above_off: bool, now: Nanos) {
        let (input, delay) =
            if self.active { (above_on || above_off, self.off_delay) } else { (above_on, self.on_delay) };
        if input == self.active {
            self.differs_since = None;
        } else if now.since(*self.differs_since.get_or_insert(now)) >= delay {
            self.active = input;
            self.differs_since = None;
        }
    }

    /// Whether the condition is on.
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// Whether it is on only because its off delay has not passed yet.
    pub fn is_clearing(&self) -> bool {
        self.active && self.differs_since.is_some()
    }
}
