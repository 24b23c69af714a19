//! The configuration with its defaults and ranges.

use auriga_runtime::config::{ConfigError, Range, check_ranges, shipped};
use serde::Deserialize;
use std::time::Duration;

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// The configuration; `config.toml` describes each field with its range.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port of the live page; empty: no page.
    pub page_bind: String,
    /// Host names under which the page may be requested, besides localhost and addresses.
    pub page_hosts: Vec<String>,
    /// Most browsers connected at once.
    pub page_clients: usize,
    /// Unit of the speed shown.
    pub units: Units,
    /// What the overlay is drawn on.
    pub background: Background,
    /// Milliseconds from the end of drawing to light on the combiner; only with a black background.
    pub display_latency_ms: u64,
    /// Size of the picture as a multiple of the camera's.
    pub scale: u32,
    /// Quality of the JPEG picture.
    pub jpeg_quality: i32,
    /// After this many milliseconds without a camera frame dark pictures are drawn.
    pub camera_silent_ms: u64,
    /// A scene older than this many milliseconds is not shown.
    pub scene_lost_ms: u64,
    /// Lanes and objects are moved to the picture's instant by at most this many milliseconds.
    pub max_compensation_ms: u64,
    /// A dialogue line is shown for this many milliseconds after its last change.
    pub dialogue_shown_ms: u64,
}

/// Unit of the speed shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Units {
    /// km/h.
    #[serde(rename = "km/h")]
    KilometresPerHour,
    /// Miles per hour.
    #[serde(rename = "mph")]
    MilesPerHour,
}

impl Units {
    /// "km/h" or "mph".
    pub fn label(self) -> &'static str {
        match self {
            Units::KilometresPerHour => "km/h",
            Units::MilesPerHour => "mph",
        }
    }

    /// A speed in this unit.
    pub fn from_mps(self, speed_mps: f64) -> f64 {
        match self {
            Units::KilometresPerHour => speed_mps * 3.6,
            // An international mile is 1609.344 m.
            Units::MilesPerHour => speed_mps * 3600.0 / 1609.344,
        }
    }
}

/// What the overlay is drawn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Background {
    /// The camera's frame; the overlay is moved to the frame's exposure.
    Camera,
    /// Black, for a see-through combiner; the overlay is moved to the instant at which it will be seen.
    Black,
}

impl Background {
    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Background::Camera => "camera",
            Background::Black => "black",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        shipped(DEFAULTS)
    }
}

impl Config {
    /// The allowed values of its keys.
    pub fn ranges(&self) -> Vec<Range> {
        let (units, background) = (self.units.label(), self.background.name());
        vec![
            Range::new("page_clients", self.page_clients, 1.0..=64.0),
            Range::one_of("units", units, &["km/h", "mph"]),
            Range::one_of("background", background, &["camera", "black"]),
            Range::new("display_latency_ms", self.display_latency_ms, 0.0..=200.0),
            Range::new("scale", self.scale, 1.0..=4.0),
            Range::new("jpeg_quality", self.jpeg_quality, 1.0..=100.0),
            Range::new("camera_silent_ms", self.camera_silent_ms, 20.0..=2000.0),
            Range::new("scene_lost_ms", self.scene_lost_ms, 100.0..=5000.0),
            Range::new("max_compensation_ms", self.max_compensation_ms, 0.0..=1000.0),
            Range::new("dialogue_shown_ms", self.dialogue_shown_ms, 0.0..=600_000.0),
        ]
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// When a value is out of its range, naming the key.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_ranges(&self.ranges())
    }

    pub(crate) fn camera_silent(&self) -> Duration {
        Duration::from_millis(self.camera_silent_ms)
    }

    pub(crate) fn scene_lost(&self) -> Duration {
        Duration::from_millis(self.scene_lost_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_an_error_names_the_field() {
        let shipped = Config::default();
        assert_eq!(shipped.check(), Ok(()));
        let e = Config { jpeg_quality: 0, ..shipped.clone() }.check().unwrap_err().to_string();
        assert!(e.contains("jpeg_quality"), "{e}");
        let e = Config { scene_lost_ms: 0, ..shipped }.check().unwrap_err().to_string();
        assert!(e.contains("scene_lost_ms"), "{e}");
    }

    #[test]
    fn speeds_are_converted_to_the_unit() {
        assert!((Units::KilometresPerHour.from_mps(10.0) - 36.0).abs() < 1e-9);
        assert!((Units::MilesPerHour.from_mps(44.704) - 100.0).abs() < 1e-9);
    }
}
