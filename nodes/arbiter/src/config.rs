//! The configuration; `config.toml` documents the fields.

use crate::table::MODES;
use auriga_msgs::v1::Mode;
use auriga_runtime::{
    MAX_LEASE,
    config::{ConfigError, Range, check_ranges, shipped},
};
use serde::Deserialize;
use std::path::PathBuf;

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// The arbiter's configuration.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// File of the workload table.
    pub workloads: PathBuf,
    /// Length of a lease, in milliseconds.
    pub lease_ms: u64,
    /// Rate at which grants are renewed, in Hz.
    pub renew_hz: f64,
    /// Mode that is held unless there is a hazard; "": none.
    pub force_mode: String,
    /// How the mode is selected.
    pub modes: ModesConfig,
    /// How workloads are weighted.
    pub forecast: ForecastConfig,
    /// What is done to processes.
    pub actuation: ActuationConfig,
}

/// `[modes]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModesConfig {
    /// How long hazard mode continues after the last hazard, in milliseconds.
    pub hazard_hold_ms: u64,
    /// Longest time after a start for which hazard mode is held until the first scene of fusion, in milliseconds.
    pub startup_hold_ms: u64,
    /// A hazard not reported for this long has ended, in milliseconds.
    pub hazard_timeout_ms: u64,
    /// Most mode changes in a minute; those to hazard and limp are not bounded.
    pub max_changes_per_min: usize,
    /// How long the car must stand before it is parked, in milliseconds.
    pub parked_after_ms: u64,
    /// Above this speed the car is not parked, in m/s.
    pub parked_max_speed_mps: f64,
    /// Lateral acceleration of demanding driving, in m/s².
    pub demanding_lateral_mps2: f64,
    /// Speed of demanding driving, in m/s.
    pub demanding_speed_mps: f64,
    /// Brake pedal of demanding driving, 0 to 1.
    pub demanding_brake: f64,
    /// How long a threshold must be exceeded, in milliseconds.
    pub demanding_after_ms: u64,
    /// How long driving must be calm before demanding ends, in milliseconds.
    pub demanding_exit_ms: u64,
    /// Lower thresholds as a part of the upper ones, 0 to 1.
    pub exit_factor: f64,
    /// Misses of safety nodes per second that mean demanding.
    pub demanding_misses_per_s: f64,
    /// Misses of safety nodes per second that mean limp.
    pub limp_misses_per_s: f64,
    /// A safety node that has not reported its usage for this long is missing, in milliseconds.
    pub node_missing_ms: u64,
    /// How long a rate of misses must last, in milliseconds.
    pub overload_after_ms: u64,
    /// How long the rate must be low before overload ends, in milliseconds.
    pub overload_exit_ms: u64,
}

/// `[forecast]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForecastConfig {
    /// Where weights come from.
    pub source: ForecastSource,
    /// Longest horizon of a forecast, in milliseconds.
    pub max_ms: u64,
    /// How long a falling weight is held, in milliseconds.
    pub hold_ms: u64,
}

/// Where weights on utilities come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForecastSource {
    /// From the demand that the language node expects.
    Predictive,
    /// From workloads that are seen to use up their grant.
    Reactive,
    /// All weights are 1.
    None,
}

/// `[actuation]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActuationConfig {
    /// Whether nodes are put into cgroups.
    pub cgroups: bool,
    /// Group below which "auriga" is made; "": the root.
    pub cgroup_parent: PathBuf,
    /// CPU limit of a node without any running workload, in percent of a core.
    pub stopped_quota_percent: u32,
    /// Whether safety nodes get SCHED_FIFO.
    pub realtime: bool,
    /// Without a supervisor: user id of the nodes' processes; -1: the arbiter's own.
    pub node_uid: i64,
}

impl ActuationConfig {
    /// User id of the nodes' processes; `None`: the arbiter's own.
    pub fn node_uid(&self) -> Option<u32> {
        u32::try_from(self.node_uid).ok()
    }
}

impl Default for Config {
    fn default() -> Self {
        shipped(DEFAULTS)
    }
}

/// What `force_mode` may be.
const FORCED: [&str; 6] = ["", "parked", "nominal", "demanding", "limp", "thermal"];

impl Config {
    /// The allowed values of all keys that are numbers or one of a few texts.
    pub fn ranges(&self) -> Vec<Range> {
        const ABOVE_0: f64 = f64::MIN_POSITIVE;
        const MINUTE_MS: f64 = 60_000.0;
        let (m, f, a) = (&self.modes, &self.forecast, &self.actuation);
        let misses = m.demanding_misses_per_s;
        vec![
            Range::new("renew_hz", self.renew_hz, 1.0..=1000.0),
            Range::new("lease_ms", self.lease_ms, 2000.0 / self.renew_hz..=MAX_LEASE.as_millis() as f64)
                .note("at least two renewal periods"),
            Range::one_of("force_mode", &self.force_mode, &FORCED),
            Range::new("modes.hazard_hold_ms", m.hazard_hold_ms, 0.0..=MINUTE_MS),
            Range::new("modes.startup_hold_ms", m.startup_hold_ms, 0.0..=MINUTE_MS),
            Range::new("modes.hazard_timeout_ms", m.hazard_timeout_ms, 1000.0..=3.6e6),
            Range::new("modes.max_changes_per_min", m.max_changes_per_min, 1.0..=1000.0),
            Range::new("modes.parked_after_ms", m.parked_after_ms, 0.0..=MINUTE_MS),
            Range::new("modes.parked_max_speed_mps", m.parked_max_speed_mps, 0.0..=5.0),
            Range::new("modes.demanding_lateral_mps2", m.demanding_lateral_mps2, ABOVE_0..=20.0),
            Range::new("modes.demanding_speed_mps", m.demanding_speed_mps, ABOVE_0..=200.0),
            Range::new("modes.demanding_brake", m.demanding_brake, ABOVE_0..=2.0).note("2: never"),
            Range::new("modes.demanding_after_ms", m.demanding_after_ms, 0.0..=MINUTE_MS),
            Range::new("modes.demanding_exit_ms", m.demanding_exit_ms, 0.0..=MINUTE_MS),
            Range::new("modes.exit_factor", m.exit_factor, 0.0..=1.0),
            Range::new("modes.demanding_misses_per_s", misses, ABOVE_0..=f64::MAX),
            Range::new("modes.limp_misses_per_s", m.limp_misses_per_s, misses..=f64::MAX)
                .note("at least demanding_misses_per_s"),
            Range::new("modes.overload_after_ms", m.overload_after_ms, 0.0..=MINUTE_MS),
            Range::new("modes.overload_exit_ms", m.overload_exit_ms, 0.0..=MINUTE_MS),
            Range::new("modes.node_missing_ms", m.node_missing_ms, 100.0..=MINUTE_MS)
                .note("longer than runtime.usage_period_ms of every safety node"),
            Range::new("forecast.max_ms", f.max_ms, 0.0..=86.4e6),
            Range::new("forecast.hold_ms", f.hold_ms, 0.0..=MINUTE_MS),
            Range::new("actuation.stopped_quota_percent", a.stopped_quota_percent, 1.0..=100.0).note("of one core"),
            Range::new("actuation.node_uid", a.node_uid as f64, -1.0..=f64::from(u32::MAX - 1))
                .note("-1: the arbiter's own"),
        ]
    }

    /// Checks every value.
    ///
    /// # Errors
    /// When a value is out of its range; the error names the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_ranges(&self.ranges())
    }

    /// The mode that `force_mode` names.
    pub fn forced(&self) -> Option<Mode> {
        MODES.into_iter().find(|m| *m != Mode::Hazard && m.name() == self.force_mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_defaults_are_valid() {
        Config::default().check().unwrap();
    }

    #[test]
    fn a_value_out_of_range_is_refused_and_named() {
        let field = |c: Config| c.check().unwrap_err().field;
        assert_eq!(field(Config { lease_ms: 150, ..Config::default() }), "lease_ms");
        assert_eq!(field(Config { renew_hz: f64::NAN, ..Config::default() }), "renew_hz");
        assert_eq!(field(Config { force_mode: "hazard".into(), ..Config::default() }), "force_mode");
        for mode in FORCED {
            let config = Config { force_mode: mode.into(), ..Config::default() };
            assert_eq!((config.check(), config.forced().is_some()), (Ok(()), !mode.is_empty()), "{mode}");
        }
    }
}
