//! The `[runtime]` table of every node's configuration.

/// What the shell itself is told: the `[runtime]` table, commented in `config.toml` of this crate.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeConfig {
    pub zenoh_bind: std::net::IpAddr,
    pub zenoh_base_port: u16,
    pub zenoh_connect: Vec<String>,
    pub zenoh_config: String,
    pub start_at: u64,
    pub usage_period_ms: u64,
    pub log: String,
    pub log_json: bool,
    pub realtime_priority: u8,
    pub lock_memory: bool,
    pub shared_memory_mib: usize,
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

/// For programs that need the shell's configuration alone.
#[derive(serde::Deserialize)]
pub struct NoConfig {}

/// The commented defaults of [`RuntimeConfig`].
pub const RUNTIME_DEFAULTS: &str = include_str!("../../config.toml");
