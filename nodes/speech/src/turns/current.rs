//! The turn under way, and the last one that was addressed to the system.

use auriga_runtime::Nanos;
use std::time::Duration;

/// Partial results are published at most this often.
const PARTIAL_PERIOD: Duration = Duration::from_millis(200);

/// State of the turn under way, or of the last one.
#[derive(Debug, Default)]
pub(crate) struct CurrentTurn {
    /// Time of its first voiced sample.
    pub(crate) start: Nanos,
    /// Time of the first sample that the recogniser got; word times count from there.
    pub(crate) recogniser_start: Nanos,
    /// It is addressed to the system without a wake phrase.
    pub(crate) addressed: bool,
    /// The partial result published last, and when.
    partial: String,
    partial_at: Nanos,
    /// Start and end of the last turn that was addressed.
    last_addressed: Option<(Nanos, Nanos)>,
}

impl CurrentTurn {
    /// A turn begins.
    pub(crate) fn begin(&mut self, start: Nanos, recogniser_start: Nanos, addressed: bool, now: Nanos) {
        let last_addressed = self.last_addressed;
        *self = Self { start, recogniser_start, addressed, partial: String::new(), partial_at: now, last_addressed };
    }

    /// The turn ended.
    pub(crate) fn end(&mut self, start: Nanos, end: Nanos) {
        if self.addressed {
            self.last_addressed = Some((start, end));
        }
    }

    /// Whether a span overlaps the last turn that was addressed.
    pub(crate) fn overlaps_addressed(&self, start: Nanos, end: Nanos) -> bool {
        self.last_addressed.is_some_and(|(s, e)| start < e && s < end)
    }

    /// Whether it is time for a partial result.
    pub(crate) fn partial_due(&self, now: Nanos) -> bool {
        now.since(self.partial_at) >= PARTIAL_PERIOD
    }

    /// Takes a partial result. False when it is empty or the same as before: then there is nothing to publish.
    pub(crate) fn set_partial(&mut self, text: &str, now: Nanos) -> bool {
        let changed = !text.is_empty() && text != self.partial;
        if changed {
            (self.partial, self.partial_at) = (text.to_owned(), now);
        }
        changed
    }
}
