//! What the shell measures of its node: usage, losses, deadlines, silence.

use super::supervision::Restarted;
use crate::{chains::LossMonitor, checks::sequence::Continuity, time::Nanos};
use auriga_msgs::{Any, CHAINS, TopicId, v1};
use std::{collections::HashMap, time::Duration};
use tracing::debug;

/// What the shell measures of its node.
pub(super) struct Health {
    start: Nanos,
    pub(super) next: Nanos,
    period: Duration,
    messages_in: u64,
    messages_out: u64,
    deadline_misses: u64,
    /// As last published in a fault.
    pub(super) lost_in_mailbox: u64,
    loss: LossMonitor,
    /// When each topic was last heard; silence is only counted from the first message on.
    heard: HashMap<TopicId, Heard>,
    /// Topics that were silent for longer than their timeout and have been heard since.
    back: Vec<TopicId>,
    restarted: Restarted,
}

/// A restart is published as a fault in the node's first seconds: other nodes are connected one by one in that time.
const PUBLISH_RESTART_FOR: Duration = Duration::from_secs(3);

struct Heard {
    at: Nanos,
    /// Timeouts that have gone by since.
    missed: u64,
}

impl Health {
    pub(super) fn new(start: Nanos, start_at: Nanos, period: Duration, restarted: Restarted) -> Self {
        debug!(lead_ms = start_at.since(start).as_millis() as u64, "files start");
        Self {
            start,
            next: start,
            period,
            messages_in: 0,
            messages_out: 0,
            deadline_misses: 0,
            lost_in_mailbox: 0,
            loss: LossMonitor::default(),
            heard: HashMap::new(),
            back: Vec::new(),
            restarted,
        }
    }

    /// Takes in a message. Returns what its sequence number says.
    pub(super) fn received(&mut self, any: &Any, publisher: &str, now: Nanos) -> Continuity {
        self.messages_in += 1;
        let continuity = self.loss.observe(any.topic(), publisher, any.header().seq);
        let before = self.heard.insert(any.topic(), Heard { at: now, missed: 0 });
        self.back.extend(before.filter(|heard| heard.missed > 0).map(|_| any.topic()));
        continuity
    }

    /// A chain that ends at a topic of this node and begins at its stamp is checked when it is published.
    pub(super) fn published(&mut self, any: &Any, now: Nanos) {
        self.messages_out += 1;
        let header = any.header();
        let late = CHAINS.iter().any(|c| {
            c.to == any.topic()
                && c.from.is_none()
                && (c.source.is_none() || c.source == header.source())
                && now.since(Nanos(header.stamp_ns)).as_nanos() as f64 > c.budget_ms * 1e6
        });
        self.deadline_misses += u64::from(late);
    }

    /// Topics that were silent and have been heard since the last call.
    pub(super) fn heard_again(&mut self) -> Vec<TopicId> {
        std::mem::take(&mut self.back)
    }

    /// Topics that have been silent for longer than their timeout. Each timeout that goes by is a missed deadline, however
    /// often this is called.
    pub(super) fn silent(&mut self, now: Nanos) -> Vec<(TopicId, Duration)> {
        let mut silent = Vec::new();
        for (&topic, heard) in &mut self.heard {
            let Some(timeout_ms) = topic.spec().timeout_ms else { continue };
            let silence = now.since(heard.at);
            let missed = (silence.as_nanos() / Duration::from_millis(timeout_ms.max(1)).as_nanos()) as u64;
            self.deadline_misses += missed.saturating_sub(heard.missed);
            heard.missed = heard.missed.max(missed);
            if missed > 0 {
                silent.push((topic, silence));
            }
        }
        silent.sort();
        silent
    }

    /// What the supervisor said of the process before this one, while that is to be published.
    pub(super) fn restart(&self, now: Nanos) -> Option<String> {
        let Restarted { count, reason } = &self.restarted;
        let due = *count > 0 && now.since(self.start) < PUBLISH_RESTART_FOR;
        due.then(|| format!("restarted by the supervisor ({count} times since the launch): {reason}"))
    }

    pub(super) fn usage(&mut self, node: &str, now: Nanos, dropped: u64, lost_in_mailbox: u64) -> v1::Usage {
        self.next = now + self.period;
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        v1::Usage {
            header: Some(v1::Header::new(now.0, 0)),
            node: node.into(),
            pid: std::process::id(),
            uptime_ns: now.since(self.start).as_nanos() as u64,
            cpu_ns: cpu.tv_sec as u64 * 1_000_000_000 + cpu.tv_nsec as u64,
            rss_bytes: resident_bytes(),
            messages_in: self.messages_in,
            messages_out: self.messages_out,
            messages_dropped: dropped,
            messages_lost: self.loss.lost_reliable.saturating_add(lost_in_mailbox),
            deadline_misses: self.deadline_misses,
            restarts: self.restarted.count,
            restart_reason: self.restarted.reason.clone(),
            ..Default::default()
        }
    }
}

/// Second field of /proc/self/statm, in pages; 0 where there is no /proc.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split_whitespace().nth(1).and_then(|p| p.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(seq: u64) -> Any {
        let header = Some(v1::Header { seq, ..v1::Header::new(1, 0) });
        Any::VehicleState(v1::VehicleState { header, ..Default::default() }.into())
    }

    /// Missed deadlines over 5 s of silence with a usage period.
    fn misses_of_silence(period_ms: u64) -> u64 {
        let at = Nanos::from_millis;
        let mut health = Health::new(at(0), at(0), Duration::from_millis(period_ms), Restarted::default());
        health.received(&state(0), "can", at(0));
        (period_ms..=5000).step_by(period_ms as usize).for_each(|ms| drop(health.silent(at(ms))));
        health.deadline_misses
    }

    #[test]
    fn missed_deadlines_of_a_silent_topic_do_not_depend_on_the_usage_period() {
        // vehicle/state has a timeout of 500 ms.
        assert_eq!(misses_of_silence(100), 10);
        assert_eq!(misses_of_silence(1000), 10);
    }

    #[test]
    fn a_silent_topic_that_is_heard_again_is_named_once() {
        let at = Nanos::from_millis;
        let mut health = Health::new(at(0), at(0), Duration::from_millis(200), Restarted::default());
        health.received(&state(0), "can", at(0));
        assert!(health.silent(at(499)).is_empty());
        assert_eq!(health.silent(at(600)), [(TopicId::VehicleState, Duration::from_millis(600))]);
        health.received(&state(1), "can", at(700));
        assert_eq!(health.heard_again(), [TopicId::VehicleState]);
        assert!(health.heard_again().is_empty() && health.silent(at(800)).is_empty());
    }

    #[test]
    fn a_restart_is_stated_in_each_usage_and_published_as_a_fault_in_the_first_seconds() {
        let at = Nanos::from_millis;
        let restarted = Restarted { count: 2, reason: "hung: stopped by a signal".into() };
        let mut health = Health::new(at(0), at(0), Duration::from_millis(200), restarted);
        assert!(health.restart(at(2000)).is_some_and(|text| text.contains("2 times") && text.contains("hung")));
        assert_eq!(health.restart(at(3000)), None);
        let usage = health.usage("can", at(60_000), 0, 0);
        assert_eq!((usage.restarts, usage.restart_reason.as_str()), (2, "hung: stopped by a signal"));
        let fresh = Health::new(at(0), at(0), Duration::from_millis(200), Restarted::default());
        assert_eq!(fresh.restart(at(0)), None);
    }
}
