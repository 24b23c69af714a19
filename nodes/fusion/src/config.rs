//! The configuration; `config.toml` documents the fields.

use auriga_runtime::config::{ConfigError, Range, check_ranges, shipped};
use serde::Deserialize;

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// The fusion node's configuration.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How long the scene of a camera frame waits for CAN, in milliseconds.
    pub max_wait_ms: u64,
    /// How long vehicle states are kept, in milliseconds.
    pub history_ms: u64,
    /// Scenes are made without camera after this long without lanes, in milliseconds.
    pub camera_silent_ms: u64,
    /// Rate of scenes without camera, in Hz.
    pub silent_scene_hz: f64,
    /// How often active hazards are published again, in milliseconds.
    pub hazard_republish_ms: u64,
    /// Half of the vehicle's width over its tyres, in metres.
    pub vehicle_half_width_m: f64,
    /// Whether scenes hold the words of the last utterance.
    pub utterance_text_in_scene: bool,
    /// When a modality is lost.
    pub sensors: SensorsConfig,
    /// Radar objects.
    pub tracks: TracksConfig,
    /// Forward collision warning.
    pub forward_collision: ForwardCollisionConfig,
    /// Lane departure warning.
    pub lane_departure: LaneDepartureConfig,
}

/// `[sensors]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensorsConfig {
    /// The camera is lost after this long without lanes, in milliseconds.
    pub camera_lost_ms: u64,
    /// CAN is lost after this long without vehicle state, in milliseconds.
    pub can_lost_ms: u64,
    /// Whether a camera that never came is lost.
    pub expect_camera: bool,
    /// Whether a CAN bus that never came is lost.
    pub expect_can: bool,
    /// How long after the start an expected modality is lost, in milliseconds.
    pub startup_grace_ms: u64,
}

/// `[tracks]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracksConfig {
    /// Standard deviation of the range, in metres.
    pub range_sigma_m: f64,
    /// Standard deviation of the lateral position, in metres.
    pub lateral_sigma_m: f64,
    /// Standard deviation of the range rate, in m/s.
    pub speed_sigma_mps: f64,
    /// Power spectral density of the relative acceleration, in m²/s³.
    pub acceleration_psd: f64,
    /// Normalised innovation squared beyond which a measurement is rejected.
    pub gate: f64,
    /// Rejected measurements in a row after which the track restarts.
    pub restart_after: u32,
    /// Measurements from which on a track is used.
    pub confirm_after: u32,
    /// An object that moves this fast over ground is no bridge, sign or manhole cover, in m/s.
    pub moving_mps: f64,
    /// Measurements in a row that must show it.
    pub moving_after: u32,
    /// A track ends after this long without measurement, in milliseconds.
    pub timeout_ms: u64,
    /// Shortest time between two messages of tracks, in milliseconds.
    pub publish_interval_ms: u64,
    /// An object this close to the lane's centre enters the lane, in metres.
    pub lane_enter_m: f64,
    /// An object this far from the lane's centre leaves the lane, in metres.
    pub lane_leave_m: f64,
    /// Older lanes are not used for the corridor, in milliseconds.
    pub lanes_max_age_ms: u64,
}

/// `[forward_collision]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardCollisionConfig {
    /// Time to collision of a warning, in seconds.
    pub warning_ttc_s: f64,
    /// Time to collision of a critical warning, in seconds.
    pub critical_ttc_s: f64,
    /// Time to collision above which critical falls to warning, in seconds.
    pub critical_clear_ttc_s: f64,
    /// Time to collision above which the warning ends, in seconds.
    pub clear_ttc_s: f64,
    /// How long it must be above that, in milliseconds.
    pub clear_after_ms: u64,
    /// Measurements in a row that must agree.
    pub confirm_updates: u32,
    /// Slower approaches are ignored, in m/s.
    pub min_closing_mps: f64,
    /// Farther objects are ignored, in metres.
    pub max_distance_m: f64,
    /// No warning below this own speed, in m/s.
    pub min_speed_mps: f64,
    /// Objects approaching faster than this over ground are oncoming traffic, in m/s.
    pub oncoming_mps: f64,
}

/// `[lane_departure]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneDepartureConfig {
    /// No warning below this own speed, in m/s.
    pub min_speed_mps: f64,
    /// Time to line crossing that raises the warning, in seconds.
    pub time_to_line_s: f64,
    /// Lateral speed it needs, in m/s.
    pub min_lateral_mps: f64,
    /// Distance inside the line that ends the warning, in metres.
    pub clear_margin_m: f64,
    /// Frames in a row inside the line that end it.
    pub clear_frames: u32,
    /// Frames in a row that raise it.
    pub confirm_frames: u32,
    /// Lines below this confidence are not used, 0 to 1.
    pub min_confidence: f64,
    /// How long an indicator counts after it went off, in milliseconds.
    pub indicator_hold_ms: u64,
    /// The warning ends after this long without line, in milliseconds.
    pub lost_after_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        shipped(DEFAULTS)
    }
}

impl Config {
    /// The allowed values of all keys that are numbers.
    pub fn ranges(&self) -> Vec<Range> {
        let mut ranges = vec![
            Range::new("max_wait_ms", self.max_wait_ms, 0.0..=500.0).note("0: never waits"),
            Range::new("history_ms", self.history_ms, 200.0..=60_000.0),
            Range::new("camera_silent_ms", self.camera_silent_ms, 50.0..=10_000.0),
            Range::new("silent_scene_hz", self.silent_scene_hz, 0.1..=100.0),
            Range::new("hazard_republish_ms", self.hazard_republish_ms, 50.0..=10_000.0),
            Range::new("vehicle_half_width_m", self.vehicle_half_width_m, 0.3..=2.0),
            Range::new("sensors.camera_lost_ms", self.sensors.camera_lost_ms, 50.0..=60_000.0),
            Range::new("sensors.can_lost_ms", self.sensors.can_lost_ms, 50.0..=60_000.0),
            Range::new("sensors.startup_grace_ms", self.sensors.startup_grace_ms, 0.0..=600_000.0),
        ];
        ranges.extend(self.tracks.ranges());
        ranges.extend(self.forward_collision.ranges());
        ranges.extend(self.lane_departure.ranges());
        ranges
    }

    /// Checks every value.
    ///
    /// # Errors
    /// When a value is out of its range; the error names the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_ranges(&self.ranges())
    }
}

impl TracksConfig {
    fn ranges(&self) -> [Range; 14] {
        [
            Range::new("tracks.range_sigma_m", self.range_sigma_m, 0.01..=10.0),
            Range::new("tracks.lateral_sigma_m", self.lateral_sigma_m, 0.01..=10.0),
            Range::new("tracks.speed_sigma_mps", self.speed_sigma_mps, 0.01..=10.0),
            Range::new("tracks.acceleration_psd", self.acceleration_psd, 0.01..=100.0).unit("m²/s³"),
            Range::new("tracks.gate", self.gate, 1.0..=1000.0),
            Range::new("tracks.restart_after", self.restart_after, 1.0..=20.0),
            Range::new("tracks.confirm_after", self.confirm_after, 1.0..=20.0),
            Range::new("tracks.moving_mps", self.moving_mps, 0.5..=10.0),
            Range::new("tracks.moving_after", self.moving_after, 1.0..=20.0),
            Range::new("tracks.timeout_ms", self.timeout_ms, 50.0..=5000.0),
            Range::new("tracks.publish_interval_ms", self.publish_interval_ms, 0.0..=10_000.0),
            Range::new("tracks.lane_enter_m", self.lane_enter_m, 0.2..=5.0),
            Range::new("tracks.lane_leave_m", self.lane_leave_m, self.lane_enter_m..=5.0).note("at least lane_enter_m"),
            Range::new("tracks.lanes_max_age_ms", self.lanes_max_age_ms, 0.0..=10_000.0),
        ]
    }
}

impl ForwardCollisionConfig {
    fn ranges(&self) -> [Range; 10] {
        let (warning, critical) = (self.warning_ttc_s, self.critical_ttc_s);
        [
            Range::new("forward_collision.critical_ttc_s", critical, 0.2..=10.0),
            Range::new("forward_collision.warning_ttc_s", warning, critical..=10.0).note("at least critical_ttc_s"),
            Range::new("forward_collision.critical_clear_ttc_s", self.critical_clear_ttc_s, critical..=20.0)
                .note("at least critical_ttc_s"),
            Range::new("forward_collision.clear_ttc_s", self.clear_ttc_s, warning..=30.0)
                .note("at least warning_ttc_s"),
            Range::new("forward_collision.clear_after_ms", self.clear_after_ms, 0.0..=10_000.0),
            Range::new("forward_collision.confirm_updates", self.confirm_updates, 1.0..=20.0),
            Range::new("forward_collision.min_closing_mps", self.min_closing_mps, 0.1..=20.0),
            Range::new("forward_collision.max_distance_m", self.max_distance_m, 5.0..=300.0),
            Range::new("forward_collision.min_speed_mps", self.min_speed_mps, 0.0..=50.0),
            Range::new("forward_collision.oncoming_mps", self.oncoming_mps, 0.0..=200.0),
        ]
    }
}

impl LaneDepartureConfig {
    fn ranges(&self) -> [Range; 9] {
        [
            Range::new("lane_departure.min_speed_mps", self.min_speed_mps, 1.0..=60.0),
            Range::new("lane_departure.time_to_line_s", self.time_to_line_s, 0.0..=3.0),
            Range::new("lane_departure.min_lateral_mps", self.min_lateral_mps, 0.01..=5.0),
            Range::new("lane_departure.clear_margin_m", self.clear_margin_m, 0.0..=1.0),
            Range::new("lane_departure.clear_frames", self.clear_frames, 1.0..=100.0),
            Range::new("lane_departure.confirm_frames", self.confirm_frames, 1.0..=100.0),
            Range::new("lane_departure.min_confidence", self.min_confidence, 0.0..=1.0),
            Range::new("lane_departure.indicator_hold_ms", self.indicator_hold_ms, 0.0..=60_000.0),
            Range::new("lane_departure.lost_after_ms", self.lost_after_ms, 0.0..=10_000.0),
        ]
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
        let mut config = Config::default();
        config.lane_departure.min_speed_mps = f64::NAN;
        assert_eq!(config.check().unwrap_err().field, "lane_departure.min_speed_mps");
        let mut config = Config::default();
        config.forward_collision.warning_ttc_s = 1.0;
        assert_eq!(config.check().unwrap_err().field, "forward_collision.warning_ttc_s");
    }
}
