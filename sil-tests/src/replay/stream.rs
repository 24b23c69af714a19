//! Messages in the order of their time.

use anyhow::Result;
use auriga_runtime::{Nanos, Timed};

/// Messages of a device, in order.
pub(super) type Stream = Box<dyn Iterator<Item = Result<Timed>>>;

/// The time `s` seconds into a drive that began at `start`.
pub(super) fn at(start: Nanos, s: f64) -> Nanos {
    Nanos(start.0.saturating_add(Nanos::from_secs_f64(s).0))
}
