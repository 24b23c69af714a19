//! The `[runtime]` table of every node's configuration.

use super::ranges::Range;

/// Configuration of a node's shell: the `[runtime]` table. `config.toml` of this crate documents the fields.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeConfig {
    /// Address of the node's Zenoh listener.
    pub zenoh_bind: std::net::IpAddr,
    /// Port of the listener, less the node's number in the topic table.
    pub zenoh_base_port: u16,
    /// Further endpoints to connect to.
    pub zenoh_connect: Vec<String>,
    /// Path of a Zenoh configuration file; empty: Zenoh's defaults.
    pub zenoh_config: String,
    /// When files played as devices begin, in nanoseconds of `CLOCK_MONOTONIC`; 0: at once.
    pub start_at: u64,
    /// Time between two usage messages, in milliseconds.
    pub usage_period_ms: u64,
    /// A tracing filter.
    pub log: String,
    /// Log as JSON lines.
    pub log_json: bool,
    /// `SCHED_FIFO` priority; 0: the ordinary scheduler.
    pub realtime_priority: u8,
    /// Lock the process's memory.
    pub lock_memory: bool,
    /// Shared memory for image topics, in MiB; 0: images go by copy.
    pub shared_memory_mib: usize,
}

impl RuntimeConfig {
    /// The allowed values of its keys.
    pub fn ranges(&self) -> Vec<Range> {
        vec![
            Range::new("runtime.zenoh_base_port", self.zenoh_base_port, 1024.0..=64_535.0),
            Range::new("runtime.usage_period_ms", self.usage_period_ms, 10.0..=10_000.0),
            Range::new("runtime.realtime_priority", self.realtime_priority, 0.0..=99.0).note("0: none"),
            Range::new("runtime.shared_memory_mib", self.shared_memory_mib, 0.0..=4096.0).note("0: none"),
        ]
    }
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        #[derive(serde::Deserialize)]
        struct File {
            runtime: RuntimeConfig,
        }
        toml::from_str::<File>(RUNTIME_DEFAULTS).expect("the shipped config.toml is valid: a test loads it").runtime
    }
}

/// Configuration of a program that has none of its own besides [`RuntimeConfig`].
#[derive(serde::Deserialize)]
pub struct NoConfig {}

/// The commented defaults of [`RuntimeConfig`].
pub const RUNTIME_DEFAULTS: &str = include_str!("../../config.toml");
