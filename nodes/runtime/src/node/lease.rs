//! Leases: a grant counts until its end, then its holder falls to the floor by itself. So a dead arbiter takes
//! infotainment down within one lease and safety does not notice.

use crate::time::Nanos;
use auriga_msgs::v1;
use std::time::Duration;

/// Longest lease that an arbiter may be configured to grant, and that a receiver believes, counted from its own clock.
pub const MAX_LEASE: Duration = Duration::from_secs(10);

/// The grant of one workload.
#[derive(Debug, Clone)]
pub struct Lease {
    workload: &'static str,
    grant: Option<v1::Grant>,
    published_ns: u64,
}

impl Lease {
    /// A workload without a grant yet.
    pub fn new(workload: &'static str) -> Self {
        Self { workload, grant: None, published_ns: 0 }
    }

    /// Takes this workload's grant from a message. Older messages than the last are ignored. Returns whether `run` or
    /// the level changed.
    pub fn update(&mut self, grants: &v1::Grants) -> bool {
        let published_ns = grants.header.map_or(0, |h| h.published_ns);
        if published_ns < self.published_ns {
            return false;
        }
        let Some(new) = grants.grants.iter().find(|g| g.workload == self.workload) else {
            return false;
        };
        let changed = self.grant.as_ref().is_none_or(|g| (g.run, g.level) != (new.run, new.level));
        self.published_ns = published_ns;
        self.grant = Some(new.clone());
        changed
    }

    /// The grant in force; `None` at the floor: never granted, or the lease has ended.
    pub fn current(&self, now: Nanos) -> Option<&v1::Grant> {
        self.grant.as_ref().filter(|g| now.0 < g.lease_end_ns)
    }

    /// Whether the workload may use the processor.
    pub fn may_run(&self, now: Nanos) -> bool {
        self.current(now).is_some_and(|g| g.run)
    }

    /// When the lease ends.
    pub fn end(&self) -> Option<Nanos> {
        self.grant.as_ref().map(|g| Nanos(g.lease_end_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(published_ns: u64, run: bool, lease_end_ns: u64) -> v1::Grants {
        v1::Grants {
            header: Some(v1::Header { published_ns, ..Default::default() }),
            grants: vec![v1::Grant { workload: "w".into(), run, lease_end_ns, ..Default::default() }],
            ..Default::default()
        }
    }

    #[test]
    fn a_lease_ends_by_itself_and_an_older_grant_does_not_replace_a_newer() {
        let mut lease = Lease::new("w");
        assert!(!lease.may_run(Nanos(0)));
        assert!(lease.update(&grants(10, true, 100)));
        assert!(lease.may_run(Nanos(99)));
        assert!(!lease.may_run(Nanos(100)));
        assert!(lease.update(&grants(20, false, 200)));
        assert!(!lease.update(&grants(15, true, 300)), "late message");
        assert!(!lease.may_run(Nanos(50)));
    }
}
