//! What the machine itself takes: the wake-up latency of a thread with the highest real-time priority, measured during
//! the run as `cyclictest` does.

use super::spans::Span;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the file beside a recording.
pub const FLOOR_FILE: &str = "floor.json";

/// Wake-up latencies during a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// Whether the threads had SCHED_FIFO. Without it, what other programs took is in the figures.
    pub realtime: bool,
    /// For each core.
    pub cores: Vec<CoreFloor>,
    /// When a thread woke up late, on any core: merged, ascending.
    pub stalls: Vec<Stall>,
}

/// Latencies on one core.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CoreFloor {
    /// Its number; `None`: the thread could not be pinned.
    pub core: Option<u32>,
    /// Wake-ups.
    pub samples: u64,
    /// Median, in milliseconds.
    pub p50_ms: f64,
    /// 99.9th percentile, in milliseconds.
    pub p999_ms: f64,
    /// The longest, in milliseconds.
    pub max_ms: f64,
}

/// A time during which a core did not run the thread of the highest priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stall {
    /// When the thread was due, in nanoseconds of CLOCK_MONOTONIC.
    pub from_ns: u64,
    /// When it ran, likewise.
    pub to_ns: u64,
}

impl Floor {
    /// The worst core's 99.9th percentile, in milliseconds.
    pub fn p999_ms(&self) -> f64 {
        self.cores.iter().map(|c| c.p999_ms).fold(0.0, f64::max)
    }

    /// The longest latency of any core, in milliseconds.
    pub fn max_ms(&self) -> f64 {
        self.cores.iter().map(|c| c.max_ms).fold(0.0, f64::max)
    }

    /// In words.
    pub fn describe(&self) -> String {
        let cores: Vec<String> = self.cores.iter().filter_map(|c| c.core).map(|c| c.to_string()).collect();
        let pinned = match cores.as_slice() {
            [] => "not pinned".to_owned(),
            cores => format!("on core {}", cores.join(", ")),
        };
        let how = match self.realtime {
            true => "SCHED_FIFO",
            false => "without real-time priority, for which the permission is missing: other programs' work counts too",
        };
        format!("p99.9 {:.2} ms, max {:.1} ms ({pinned}, {how})", self.p999_ms(), self.max_ms())
    }

    /// Stalls as intervals; `seconds` converts nanoseconds of the clock.
    pub(in crate::analysis) fn spans(&self, seconds: impl Fn(u64) -> f64) -> Vec<Span> {
        self.stalls.iter().map(|s| (seconds(s.from_ns), seconds(s.to_ns))).collect()
    }

    /// Merges stalls that overlap; sorts them.
    pub fn merged(mut stalls: Vec<Stall>) -> Vec<Stall> {
        stalls.sort_by_key(|s| s.from_ns);
        let mut all: Vec<Stall> = Vec::with_capacity(stalls.len());
        for stall in stalls {
            match all.last_mut().filter(|last| stall.from_ns <= last.to_ns) {
                Some(last) => last.to_ns = last.to_ns.max(stall.to_ns),
                None => all.push(stall),
            }
        }
        all
    }

    /// Writes it beside a recording.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, recording: &Path) -> Result<()> {
        let path = recording.with_file_name(FLOOR_FILE);
        std::fs::write(&path, serde_json::to_string(self)?).with_context(|| format!("cannot write {}", path.display()))
    }

    /// That of a recording, if it was measured.
    pub fn beside(recording: &Path) -> Option<Floor> {
        serde_json::from_str(&std::fs::read_to_string(recording.with_file_name(FLOOR_FILE)).ok()?).ok()
    }
}
