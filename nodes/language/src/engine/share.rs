//! The CPU share of a class of work: its lease, and a token bucket that keeps the work to it.
//!
//! The workload table gives each level some milliseconds of CPU per period, and the grant repeats them as a share of the
//! machine. The bucket fills at that rate up to one period's worth: a request after a silence is served at once, a driver
//! who speaks without pause gets the share and no more.

use super::workloads::Workload;
use auriga_msgs::v1;
use auriga_runtime::{Lease, Nanos};
use std::time::Duration;

/// One workload's lease and budget.
#[derive(Debug)]
pub struct Share {
    table: Workload,
    lease: Lease,
    /// Header of the newest grants that named this workload.
    granted: v1::Header,
    /// As last published on `language/slices`; `None` before the first time.
    reported: Option<bool>,
    /// CPU time that may be used now, in nanoseconds of one core; negative: debt.
    credit: i64,
    /// The time up to which the bucket has been filled.
    filled_until: Nanos,
    /// The fill rate since then, as a fraction of one core.
    rate: f64,
}

/// A change of whether the work may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    pub running: bool,
    /// When the grant was published; the end of the lease if that has run out.
    pub stamp: Nanos,
    /// Trace of the grant; 0 if the lease has run out.
    pub trace: u64,
}

impl Share {
    /// Without a lease, with a full bucket.
    pub fn new(table: Workload) -> Self {
        let lease = Lease::new(table.name);
        let mut share = Self {
            table,
            lease,
            granted: Default::default(),
            reported: None,
            credit: 0,
            filled_until: Nanos::ZERO,
            rate: 0.0,
        };
        share.rate = share.rate_at(Nanos::ZERO);
        share.credit = share.capacity();
        share
    }

    /// The name of the workload in the table.
    pub fn name(&self) -> &'static str {
        self.table.name
    }

    /// Takes the arbiter's grants. Grants older than the last are ignored.
    pub fn update(&mut self, grants: &v1::Grants, now: Nanos) {
        self.refill(now);
        let header = grants.header.unwrap_or_default();
        let is_named = grants.grants.iter().any(|g| g.workload == self.table.name);
        if !is_named || header.published_ns < self.granted.published_ns {
            return;
        }
        self.lease.update(grants);
        self.granted = header;
        self.refill(now);
    }

    /// Whether the work may use the processor. Without a lease the floor of the workload decides.
    pub fn may_run(&self, now: Nanos) -> bool {
        self.lease.current(now).map_or(self.table.floor_runs, |g| g.run) && self.rate_at(now) > 0.0
    }

    /// The level granted; 0, the floor, without a lease.
    pub fn level(&self, now: Nanos) -> u32 {
        self.lease.current(now).map_or(0, |g| g.level)
    }

    /// When the lease ends; `None` if it has ended.
    pub fn lease_end(&self, now: Nanos) -> Option<Nanos> {
        self.lease.end().filter(|end| *end > now)
    }

    /// Whether the work may run, if that has changed since the last call.
    pub fn change(&mut self, now: Nanos) -> Option<Change> {
        self.refill(now);
        let running = self.may_run(now);
        if self.reported.unwrap_or(self.table.floor_runs) == running {
            return None;
        }
        self.reported = Some(running);
        let by_grant = self.lease.current(now).is_some();
        let (stamp, trace) = match self.lease.end() {
            Some(end) if !by_grant => (end.min(now), 0),
            _ => (Nanos(self.granted.published_ns), self.granted.trace_id),
        };
        Some(Change { running, stamp, trace })
    }

    /// The work has used `busy` of CPU time.
    pub fn charge(&mut self, busy: Duration, now: Nanos) {
        self.refill(now);
        self.credit = self.credit.saturating_sub(i64::try_from(busy.as_nanos()).unwrap_or(i64::MAX));
    }

    /// When the next slice may run: now while there is credit.
    pub fn ready_at(&mut self, now: Nanos) -> Nanos {
        self.refill(now);
        if self.credit > 0 || self.rate <= 0.0 {
            return now;
        }
        // One nanosecond more: the credit has to be above zero then.
        now + Duration::from_nanos(((1 - self.credit) as f64 / self.rate).ceil() as u64)
    }

    /// Fills the bucket up to `now`. A workload that was off the processor returns with a full bucket.
    fn refill(&mut self, now: Nanos) {
        let filled = (now.since(self.filled_until).as_nanos() as f64 * self.rate) as i64;
        let rate = self.rate_at(now);
        let returns = self.rate <= 0.0 && rate > 0.0;
        self.rate = rate;
        self.filled_until = self.filled_until.max(now);
        let capacity = self.capacity();
        self.credit = if returns { capacity } else { self.credit.saturating_add(filled).min(capacity) };
    }

    /// The fill rate as a fraction of one core. A grant to run whose share is not a positive number counts as the floor.
    fn rate_at(&self, now: Nanos) -> f64 {
        let floor = if self.table.floor_runs { self.table.floor_rate } else { 0.0 };
        match self.lease.current(now) {
            Some(g) if !g.run => 0.0,
            Some(g) if g.cpu_share > 0.0 => (g.cpu_share * self.table.cores).min(1.0),
            _ => floor,
        }
    }

    fn capacity(&self) -> i64 {
        (self.table.period.as_nanos() as f64 * self.rate) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(floor_runs: bool) -> Workload {
        let period = Duration::from_secs(1);
        Workload { name: "w", period, floor_rate: 0.05, floor_runs, cores: 2.0 }
    }

    fn ms(t: u64) -> Nanos {
        Nanos::from_millis(t)
    }

    fn grants(at: u64, run: bool, cpu_share: f64, end: u64) -> v1::Grants {
        let grant =
            v1::Grant { workload: "w".into(), run, cpu_share, lease_end_ns: ms(end).0, level: 1, ..Default::default() };
        let header = Some(v1::Header { published_ns: ms(at).0, trace_id: at, ..Default::default() });
        v1::Grants { header, grants: vec![grant], ..Default::default() }
    }

    #[test]
    fn without_a_lease_a_workload_is_at_its_floor() {
        assert!(Share::new(table(true)).may_run(ms(0)));
        assert!(!Share::new(table(false)).may_run(ms(0)));
        let mut share = Share::new(table(false));
        share.update(&grants(10, true, 0.3, 310), ms(10));
        assert!(share.may_run(ms(309)) && share.level(ms(309)) == 1);
        assert!(!share.may_run(ms(310)) && share.level(ms(310)) == 0);
    }

    #[test]
    fn a_change_is_reported_once_with_the_time_of_the_grant_or_of_the_end_of_the_lease() {
        let mut share = Share::new(table(false));
        assert_eq!(share.change(ms(0)), None, "paused at the floor");
        share.update(&grants(10, true, 0.3, 310), ms(11));
        assert_eq!(share.change(ms(11)), Some(Change { running: true, stamp: ms(10), trace: 10 }));
        assert_eq!(share.change(ms(12)), None);
        share.update(&grants(20, false, 0.0, 320), ms(21));
        assert_eq!(share.change(ms(21)), Some(Change { running: false, stamp: ms(20), trace: 20 }));
        share.update(&grants(30, true, 0.3, 330), ms(31));
        assert_eq!(share.change(ms(31)).map(|c| c.running), Some(true));
        assert_eq!(share.change(ms(340)), Some(Change { running: false, stamp: ms(330), trace: 0 }));
    }

    #[test]
    fn old_grants_are_ignored() {
        let mut share = Share::new(table(false));
        share.update(&grants(50, true, 0.3, 350), ms(50));
        share.update(&grants(40, false, 0.3, 340), ms(51));
        assert!(share.may_run(ms(51)));
        let mut share = Share::new(table(false));
        share.update(&grants(50, true, 0.3, 60), ms(100));
        assert!(!share.may_run(ms(100)), "the lease had ended before the grants arrived");
    }

    #[test]
    fn a_full_bucket_allows_a_burst_and_then_the_rate_is_the_share() {
        let mut share = Share::new(table(false));
        share.update(&grants(0, true, 0.1, 60_000), ms(0));
        let slice = Duration::from_millis(2);
        let (mut now, mut busy) = (ms(0), Duration::ZERO);
        let mut first_second = Duration::ZERO;
        while now < ms(10_000) {
            now = share.ready_at(now);
            share.charge(slice, now);
            busy += slice;
            now = now + slice;
            if now <= ms(250) {
                first_second = busy;
            }
        }
        // 0.1 of two cores is 200 ms per second, plus the burst of the first period.
        assert!((2180..=2220).contains(&busy.as_millis()), "{busy:?}");
        assert!(first_second >= Duration::from_millis(240), "the burst runs without pause: {first_second:?}");
    }

    #[test]
    fn debt_delays_the_next_slice() {
        let mut share = Share::new(table(false));
        share.update(&grants(0, true, 0.1, 60_000), ms(0));
        share.charge(Duration::from_millis(260), ms(0));
        // 60 ms more than the burst of 200 ms, at a rate of a fifth of a core.
        assert_eq!(share.ready_at(ms(0)).as_millis_f64().round(), 300.0);
    }

    #[test]
    fn a_share_that_is_not_a_positive_number_counts_as_the_floor() {
        for broken in [f64::NAN, -1.0, 0.0] {
            let mut share = Share::new(table(true));
            share.update(&grants(0, true, broken, 1000), ms(0));
            assert!(share.may_run(ms(1)), "{broken}");
            let mut share = Share::new(table(false));
            share.update(&grants(0, true, broken, 1000), ms(0));
            assert!(!share.may_run(ms(1)), "{broken}");
        }
    }
}
