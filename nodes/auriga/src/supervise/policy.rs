//! How long the supervisor waits: between restarts, for a sign of life, and for a process to end.

use auriga_msgs::Criticality;
use auriga_runtime::Backoff;
use std::time::Duration;

/// How long a process may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// In which it could have said something.
    pub silent: Duration,
    /// In all, also when it got no processor.
    pub at_most: Duration,
}

/// Waits of the supervisor.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// From SIGINT to SIGTERM. ROS 2 waits as long.
    pub after_interrupt: Duration,
    /// From SIGTERM to SIGKILL. ROS 2 waits as long.
    pub after_terminate: Duration,
    /// After a run of this length, the next restart counts as the first again.
    pub stable_after: Duration,
    /// The delay of the second restart, unless the launch file asks for a longer first one; each further delay is twice
    /// as long.
    pub min_delay: Duration,
    /// The longest delay, unless the launch file asks for a longer first one.
    pub max_delay: Duration,
    /// This many short runs in a row are a crash loop.
    pub crash_loop_exits: u32,
    /// How often a safety node is restarted without a further delay before the delays grow.
    pub safety_immediate: u32,
    /// The longest delay of a safety node, unless the launch file asks for a longer first one.
    pub safety_max_delay: Duration,
    /// How often the pipes are read and silence is looked for.
    pub check_every: Duration,
    /// How long a safety node may be silent.
    pub safety_limits: Limits,
    /// How long another node may be silent.
    pub other_limits: Limits,
    /// How long a safety node that was up may be away until the watchdogs are no longer fed.
    pub safety_away: Duration,
}

impl Policy {
    /// How long a process of this class may be silent.
    pub fn limits(&self, class: Criticality) -> Limits {
        if class == Criticality::Safety { self.safety_limits } else { self.other_limits }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            after_interrupt: Duration::from_secs(5),
            after_terminate: Duration::from_secs(5),
            stable_after: Duration::from_secs(10),
            min_delay: Duration::from_millis(250),
            max_delay: Duration::from_secs(10),
            crash_loop_exits: 3,
            safety_immediate: 3,
            safety_max_delay: Duration::from_secs(1),
            check_every: Duration::from_millis(25),
            // Three heartbeats. With two checks and the restart itself it stays below 500 ms.
            safety_limits: Limits { silent: Duration::from_millis(300), at_most: Duration::from_millis(1000) },
            // Nearly four heartbeats; below 2 s.
            other_limits: Limits { silent: Duration::from_millis(1500), at_most: Duration::from_secs(5) },
            safety_away: Duration::from_secs(5),
        }
    }
}

/// The restarts of one process.
#[derive(Debug)]
pub(super) struct Restarts {
    stable_after: Duration,
    crash_loop_exits: u32,
    immediate: u32,
    first_delay: Duration,
    backoff: Backoff,
    short_runs: u32,
}

impl Restarts {
    /// `first_delay`: the delay that the launch file asks for.
    pub fn new(policy: &Policy, class: Criticality, first_delay: Duration) -> Restarts {
        let (immediate, max_delay) = match class {
            Criticality::Safety => (policy.safety_immediate, policy.safety_max_delay),
            Criticality::Assist | Criticality::Infotainment => (1, policy.max_delay),
        };
        Restarts {
            immediate,
            stable_after: policy.stable_after,
            crash_loop_exits: policy.crash_loop_exits,
            first_delay,
            backoff: Backoff::new(first_delay.max(policy.min_delay), max_delay.max(first_delay)),
            short_runs: 0,
        }
    }

    /// The delay before the next restart, after a run of this length.
    pub fn delay_after(&mut self, run: Duration) -> Duration {
        if run >= self.stable_after {
            self.short_runs = 0;
            self.backoff.reset();
        }
        self.short_runs = self.short_runs.saturating_add(1);
        if self.short_runs <= self.immediate { self.first_delay } else { self.backoff.wait() }
    }

    /// The number of short runs in a row when a crash loop is to be reported: at first once, then every tenth time.
    pub fn crash_loop(&self) -> Option<u32> {
        let runs = self.short_runs;
        let due = runs == self.crash_loop_exits || runs > self.crash_loop_exits && runs.is_multiple_of(10);
        due.then_some(runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(first_ms: u64, count: usize) -> Vec<u128> {
        delays_of(Criticality::Assist, first_ms, count)
    }

    fn delays_of(class: Criticality, first_ms: u64, count: usize) -> Vec<u128> {
        let mut restarts = Restarts::new(&Policy::default(), class, Duration::from_millis(first_ms));
        (0..count).map(|_| restarts.delay_after(Duration::ZERO).as_millis()).collect()
    }

    #[test]
    fn restart_delays_double_up_to_the_limit_and_start_at_what_the_launch_file_asks() {
        assert_eq!(delays(0, 5), [0, 250, 500, 1000, 2000]);
        assert_eq!(delays(2000, 6), [2000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(delays(30_000, 3), [30_000; 3]);
        assert_eq!(delays(0, 100).last(), Some(&10_000));
    }

    #[test]
    fn a_safety_node_is_restarted_at_once_three_times_and_then_at_least_every_second() {
        assert_eq!(delays_of(Criticality::Safety, 0, 8), [0, 0, 0, 250, 500, 1000, 1000, 1000]);
        assert_eq!(delays_of(Criticality::Safety, 0, 1000).last(), Some(&1000));
        assert_eq!(delays_of(Criticality::Safety, 2000, 5), [2000; 5], "as the launch file asks");
    }

    #[test]
    fn a_stable_run_resets_the_delay() {
        let mut restarts = Restarts::new(&Policy::default(), Criticality::Infotainment, Duration::ZERO);
        let runs_ms = [0, 0, 0, 10_000, 0].map(|ms| restarts.delay_after(Duration::from_millis(ms)).as_millis());
        assert_eq!(runs_ms, [0, 250, 500, 0, 250]);
    }

    #[test]
    fn a_crash_loop_is_reported_at_the_third_short_run_and_then_at_every_tenth() {
        let mut restarts = Restarts::new(&Policy::default(), Criticality::Infotainment, Duration::ZERO);
        let reported: Vec<u32> = (0..25)
            .filter_map(|_| {
                restarts.delay_after(Duration::ZERO);
                restarts.crash_loop()
            })
            .collect();
        assert_eq!(reported, [3, 10, 20]);
    }
}
