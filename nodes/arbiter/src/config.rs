//! What can be set, checked; `config.toml` documents the fields.

use crate::table::{MODES, mode_name};
use auriga_msgs::v1::Mode;
use auriga_runtime::config::{ConfigError, check_ranges, shipped};
use serde::Deserialize;
use std::path::PathBuf;

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// See `config.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub workloads: PathBuf,
    pub lease_ms: u64,
    pub renew_hz: f64,
    pub force_mode: String,
    pub modes: ModesConfig,
    pub forecast: ForecastConfig,
    pub actuation: ActuationConfig,
}

/// `[modes]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModesConfig {
    pub hazard_hold_ms: u64,
    pub hazard_timeout_ms: u64,
    pub max_changes_per_min: usize,
    pub parked_after_ms: u64,
    pub parked_max_speed_mps: f64,
    pub demanding_lateral_mps2: f64,
    pub demanding_speed_mps: f64,
    pub demanding_brake: f64,
    pub demanding_after_ms: u64,
    pub demanding_exit_ms: u64,
    pub exit_factor: f64,
    pub demanding_misses_per_s: f64,
    pub limp_misses_per_s: f64,
    pub overload_after_ms: u64,
    pub overload_exit_ms: u64,
}

/// `[forecast]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForecastConfig {
    pub source: ForecastSource,
    pub max_ms: u64,
    pub hold_ms: u64,
}

/// Where weights on utilities come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForecastSource {
    Predictive,
    Reactive,
    None,
}

/// `[actuation]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActuationConfig {
    pub cgroups: bool,
    pub cgroup_parent: PathBuf,
    pub stopped_quota_percent: u32,
    pub realtime: bool,
}

impl Default for Config {
    fn default() -> Self {
        shipped(DEFAULTS)
    }
}

impl Config {
    /// Every value in its range; the error names the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        let m = &self.modes;
        let positive = f64::MIN_POSITIVE;
        let ranges = [
            ("renew_hz", self.renew_hz, 1.0, 1000.0, "1 to 1000 Hz"),
            ("lease_ms", self.lease_ms as f64, 2000.0 / self.renew_hz, 10_000.0, "two renewal periods to 10000 ms"),
            ("modes.max_changes_per_min", m.max_changes_per_min as f64, 1.0, 1000.0, "1 to 1000"),
            ("modes.hazard_hold_ms", m.hazard_hold_ms as f64, 0.0, 60_000.0, "0 to 60000 ms"),
            ("modes.hazard_timeout_ms", m.hazard_timeout_ms as f64, 1000.0, 3.6e6, "1000 to 3600000 ms"),
            ("modes.parked_max_speed_mps", m.parked_max_speed_mps, 0.0, 5.0, "0 to 5 m/s"),
            ("modes.demanding_lateral_mps2", m.demanding_lateral_mps2, positive, 20.0, "above 0, to 20 m/s2"),
            ("modes.demanding_speed_mps", m.demanding_speed_mps, positive, 200.0, "above 0, to 200 m/s"),
            ("modes.demanding_brake", m.demanding_brake, positive, 2.0, "above 0, to 2 (never)"),
            ("modes.exit_factor", m.exit_factor, 0.0, 1.0, "0 to 1"),
            ("modes.demanding_misses_per_s", m.demanding_misses_per_s, positive, 1e9, "above 0"),
            (
                "modes.limp_misses_per_s",
                m.limp_misses_per_s,
                m.demanding_misses_per_s,
                1e9,
                "demanding_misses_per_s or more",
            ),
            ("forecast.hold_ms", self.forecast.hold_ms as f64, 0.0, 60_000.0, "0 to 60000 ms"),
            (
                "actuation.stopped_quota_percent",
                self.actuation.stopped_quota_percent.into(),
                1.0,
                100.0,
                "1 to 100 percent of a core",
            ),
        ];
        check_ranges(&ranges)?;
        self.forced().map(|_| ())
    }

    /// The mode held by `force_mode`.
    pub fn forced(&self) -> Result<Option<Mode>, ConfigError> {
        if self.force_mode.is_empty() {
            return Ok(None);
        }
        let mode = MODES.into_iter().find(|m| *m != Mode::Hazard && mode_name(*m) == self.force_mode);
        mode.map(Some).ok_or_else(|| ConfigError {
            field: "force_mode",
            found: format!("{:?}", self.force_mode),
            expected: "\"\", \"parked\", \"nominal\", \"demanding\", \"limp\" or \"thermal\"".into(),
        })
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
    fn a_value_out_of_range_is_named() {
        let field = |c: Config| c.check().unwrap_err().field;
        assert_eq!(field(Config { lease_ms: 150, ..Config::default() }), "lease_ms");
        assert_eq!(field(Config { renew_hz: f64::NAN, ..Config::default() }), "renew_hz");
        assert_eq!(field(Config { force_mode: "hazard".into(), ..Config::default() }), "force_mode");
    }
}
