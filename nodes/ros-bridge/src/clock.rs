//! Conversion of the nodes' monotonic clock to ROS time (the system's clock, since 1970).

use crate::message::Time;
use auriga_runtime::Nanos;
use std::time::{SystemTime, UNIX_EPOCH};

/// The offset of ROS time to `CLOCK_MONOTONIC`. It is measured for each message, so that it follows when the system's
/// clock is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RosClock {
    offset_ns: i128,
}

impl RosClock {
    /// Measures the offset: the system's clock is read between two readings of the monotonic one, whose mean is used.
    pub fn measure() -> RosClock {
        let before = Nanos::monotonic().0;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i128);
        let after = Nanos::monotonic().0;
        Self::with_offset(since_1970 - i128::from(before + (after - before) / 2))
    }

    /// A clock with this offset in nanoseconds.
    pub fn with_offset(offset_ns: i128) -> RosClock {
        RosClock { offset_ns }
    }

    /// ROS time at `stamp`.
    pub fn at(self, stamp: Nanos) -> Time {
        Time::from_nanos(i128::from(stamp.0) + self.offset_ns)
    }
}
