//! How long to wait: between restarts, and for a process to end.

use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// From SIGINT to SIGTERM, and from SIGTERM to SIGKILL. ROS 2's are the same.
    pub after_interrupt: Duration,
    pub after_terminate: Duration,
    /// A process that ran this long ran well: its next restart is the first again.
    pub well_after: Duration,
    /// The second restart waits this long (or as long as the launch file says), the next twice as long, and so on.
    pub least_delay: Duration,
    pub most_delay: Duration,
    /// As many ends in a row, none after it had run well, are a crash loop.
    pub crash_loop: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            after_interrupt: Duration::from_secs(5),
            after_terminate: Duration::from_secs(5),
            well_after: Duration::from_secs(10),
            least_delay: Duration::from_millis(250),
            most_delay: Duration::from_secs(10),
            crash_loop: 3,
        }
    }
}

impl Policy {
    /// The wait before a restart after the `quick`-th end in a row (from 1) that came too soon; `first` is what the
    /// launch file asks for.
    pub fn delay(&self, first: Duration, quick: u32) -> Duration {
        if quick <= 1 {
            return first;
        }
        let doubled = first.max(self.least_delay).saturating_mul(2_u32.saturating_pow(quick - 2));
        doubled.min(self.most_delay.max(first))
    }

    /// Whether it is to be told now: once at first, then rarely.
    pub fn is_crash_loop(&self, quick: u32) -> bool {
        quick == self.crash_loop || (quick > self.crash_loop && quick.is_multiple_of(10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_limit_and_never_fall_below_what_the_file_asks() {
        let policy = Policy::default();
        let millis = |first: u64, quick| policy.delay(Duration::from_millis(first), quick).as_millis();
        assert_eq!([1, 2, 3, 4, 5].map(|quick| millis(0, quick)), [0, 250, 500, 1000, 2000]);
        assert_eq!([1, 2, 3, 50, u32::MAX].map(|quick| millis(2000, quick)), [2000, 2000, 4000, 10_000, 10_000]);
        assert_eq!([1, 2, 9].map(|quick| millis(30_000, quick)), [30_000; 3]);
    }
}
