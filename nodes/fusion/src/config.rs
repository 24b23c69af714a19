//! The configuration; `config.toml` documents the fields.

use auriga_runtime::config::{ConfigError, check_ranges, shipped};
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
    pub sensors: Sensors,
    /// Radar objects.
    pub tracks: Tracks,
    /// Forward collision warning.
    pub forward_collision: ForwardCollision,
    /// Lane departure warning.
    pub lane_departure: LaneDeparture,
}

/// `[sensors]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sensors {
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
pub struct Tracks {
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
pub struct ForwardCollision {
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
pub struct LaneDeparture {
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
    /// Checks every value.
    ///
    /// # Errors
    /// When a value is out of its range; the error names the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        let (t, f, l) = (&self.tracks, &self.forward_collision, &self.lane_departure);
        let ranges = [
            ("max_wait_ms", self.max_wait_ms as f64, 0.0, 500.0, "0 to 500 ms"),
            ("history_ms", self.history_ms as f64, 200.0, 60_000.0, "200 to 60000 ms"),
            ("max_stamp_ahead_ms", self.max_stamp_ahead_ms as f64, 0.0, 10_000.0, "0 to 10000 ms"),
            ("camera_silent_ms", self.camera_silent_ms as f64, 50.0, 10_000.0, "50 to 10000 ms"),
            ("silent_scene_hz", self.silent_scene_hz, 0.1, 100.0, "0.1 to 100 Hz"),
            ("hazard_republish_ms", self.hazard_republish_ms as f64, 50.0, 10_000.0, "50 to 10000 ms"),
            ("vehicle_half_width_m", self.vehicle_half_width_m, 0.3, 2.0, "0.3 to 2 m"),
            ("sensors.camera_lost_ms", self.sensors.camera_lost_ms as f64, 50.0, 60_000.0, "50 to 60000 ms"),
            ("sensors.can_lost_ms", self.sensors.can_lost_ms as f64, 50.0, 60_000.0, "50 to 60000 ms"),
            ("tracks.range_sigma_m", t.range_sigma_m, 0.01, 10.0, "0.01 to 10 m"),
            ("tracks.lateral_sigma_m", t.lateral_sigma_m, 0.01, 10.0, "0.01 to 10 m"),
            ("tracks.speed_sigma_mps", t.speed_sigma_mps, 0.01, 10.0, "0.01 to 10 m/s"),
            ("tracks.acceleration_psd", t.acceleration_psd, 0.01, 100.0, "0.01 to 100 m2/s3"),
            ("tracks.gate", t.gate, 1.0, 1000.0, "1 to 1000"),
            ("tracks.restart_after", t.restart_after.into(), 1.0, 20.0, "1 to 20"),
            ("tracks.confirm_after", t.confirm_after.into(), 1.0, 20.0, "1 to 20"),
            ("tracks.timeout_ms", t.timeout_ms as f64, 50.0, 5000.0, "50 to 5000 ms"),
            ("tracks.lane_enter_m", t.lane_enter_m, 0.2, 5.0, "0.2 to 5 m"),
            ("tracks.lane_leave_m", t.lane_leave_m, t.lane_enter_m, 5.0, "lane_enter_m to 5 m"),
            ("forward_collision.critical_ttc_s", f.critical_ttc_s, 0.2, 10.0, "0.2 to 10 s"),
            ("forward_collision.warning_ttc_s", f.warning_ttc_s, f.critical_ttc_s, 10.0, "critical_ttc_s to 10 s"),
            (
                "forward_collision.critical_clear_ttc_s",
                f.critical_clear_ttc_s,
                f.critical_ttc_s,
                20.0,
                "critical_ttc_s to 20 s",
            ),
            ("forward_collision.clear_ttc_s", f.clear_ttc_s, f.warning_ttc_s, 30.0, "warning_ttc_s to 30 s"),
            ("forward_collision.confirm_updates", f.confirm_updates.into(), 1.0, 20.0, "1 to 20"),
            ("forward_collision.min_closing_mps", f.min_closing_mps, 0.1, 20.0, "0.1 to 20 m/s"),
            ("forward_collision.max_distance_m", f.max_distance_m, 5.0, 300.0, "5 to 300 m"),
            ("forward_collision.min_speed_mps", f.min_speed_mps, 0.0, 50.0, "0 to 50 m/s"),
            ("forward_collision.oncoming_mps", f.oncoming_mps, 0.0, 200.0, "0 to 200 m/s"),
            ("lane_departure.min_speed_mps", l.min_speed_mps, 1.0, 60.0, "1 to 60 m/s"),
            ("lane_departure.time_to_line_s", l.time_to_line_s, 0.0, 3.0, "0 to 3 s"),
            ("lane_departure.min_lateral_mps", l.min_lateral_mps, 0.01, 5.0, "0.01 to 5 m/s"),
            ("lane_departure.clear_margin_m", l.clear_margin_m, 0.0, 1.0, "0 to 1 m"),
            ("lane_departure.clear_frames", l.clear_frames.into(), 1.0, 100.0, "1 to 100"),
            ("lane_departure.confirm_frames", l.confirm_frames.into(), 1.0, 100.0, "1 to 100"),
            ("lane_departure.min_confidence", l.min_confidence, 0.0, 1.0, "0 to 1"),
        ];
        check_ranges(&ranges)
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
