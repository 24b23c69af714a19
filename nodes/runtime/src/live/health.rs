//! What the shell measures of its node: usage, losses, deadlines, silence.

use crate::{chains::LossMonitor, time::Nanos};
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
    pub(super) overflowed: u64,
    loss: LossMonitor,
    /// When each topic was last heard; silence is only counted from the first message on.
    heard: HashMap<TopicId, Nanos>,
}

impl Health {
    pub(super) fn new(start: Nanos, start_at: Nanos, period: Duration) -> Self {
        debug!(lead_ms = start_at.since(start).as_millis() as u64, "files start");
        Self {
            start,
            next: start,
            period,
            messages_in: 0,
            messages_out: 0,
            deadline_misses: 0,
            overflowed: 0,
            loss: LossMonitor::default(),
            heard: HashMap::new(),
        }
    }

    pub(super) fn received(&mut self, any: &Any, publisher: &str, now: Nanos) {
        self.messages_in += 1;
        self.loss.observe(any.topic(), publisher, any.header().seq);
        self.heard.insert(any.topic(), now);
    }

    /// A chain that ends at a topic of ours and begins at its stamp is checked on the way out.
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

    pub(super) fn silent(&mut self, now: Nanos) -> Vec<(TopicId, Duration)> {
        let mut silent: Vec<_> = self
            .heard
            .iter()
            .filter_map(|(&topic, &at)| {
                let limit = Duration::from_millis(topic.spec().timeout_ms?);
                Some((topic, now.since(at))).filter(|(_, silence)| *silence > limit)
            })
            .collect();
        silent.sort();
        self.deadline_misses += silent.len() as u64;
        silent
    }

    pub(super) fn usage(&mut self, node: &str, now: Nanos, dropped: u64, overflowed: u64) -> v1::Usage {
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
            messages_lost: self.loss.lost_reliable + overflowed,
            deadline_misses: self.deadline_misses,
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
