//! What the page shows, as it is sent.

use super::{compute, dialogue, health};
use serde::Serialize;
use std::sync::Arc;

/// Everything the page shows. `live` is small and sent often; `history` is sent once to a page that has just connected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PageState {
    /// The state at one instant.
    #[serde(flatten)]
    pub live: Live,
    /// The plot's last minute, the oldest sample first.
    pub history: Vec<Arc<compute::Sample>>,
}

/// The state at one instant, with the newest sample of the plot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Live {
    /// Seconds on the node's clock.
    pub t_s: f64,
    /// The drive that is played.
    pub drive: Option<Drive>,
    /// The vehicle, as the HUD shows it.
    pub driving: Driving,
    /// The most important first.
    pub warnings: Vec<Alert>,
    /// The HUD's picture.
    pub hud: Picture,
    /// The grants in force.
    pub compute: compute::Grants,
    /// The newest sample of the plot.
    pub sample: Arc<compute::Sample>,
    /// Latencies, a row for each chain of the topic table.
    pub chains: Vec<compute::Chain>,
    /// Totals of the drive's report.
    pub report: Option<compute::Report>,
    /// Utterances, intents and replies.
    pub dialogue: dialogue::DialogueState,
    /// A row for each node of the topic table.
    pub nodes: Vec<health::NodeState>,
    /// The active faults, the newest first.
    pub faults: Vec<health::FaultState>,
}

/// The drive that is played.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drive {
    /// Name of the drive.
    pub name: String,
    /// Name of the vehicle's calibration.
    pub vehicle: String,
    /// Seed of a generated drive.
    pub seed: u64,
    /// Speech comes from a transcript track.
    pub transcript_track: bool,
    /// Seconds since its start; never negative.
    pub elapsed_s: f64,
    /// Seconds in all; 0: it has no end.
    pub duration_s: f64,
}

/// The vehicle, as the HUD shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Driving {
    /// In `unit`.
    pub speed: Option<f64>,
    /// Unit of the speed.
    pub unit: &'static str,
    /// P, R, N or D.
    pub gear: Option<char>,
    /// Metres from the bumper to the vehicle ahead.
    pub lead_distance_m: Option<f64>,
    /// Time gap to the vehicle ahead, in seconds.
    pub time_gap_s: Option<f64>,
    /// Driving load, 0 to 1.
    pub load: Option<f64>,
}

/// A warning that is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alert {
    /// A stable name: "forward-collision", "pedestrian", "lane-departure", "sensor-lost".
    pub kind: &'static str,
    /// Shown in red.
    pub critical: bool,
    /// In capitals.
    pub title: &'static str,
    /// A measured value or a short text; may be empty.
    pub detail: String,
}

/// The HUD's picture.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Picture {
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// Pictures drawn since the start.
    pub frames: u64,
    /// Pictures per second.
    pub fps: f64,
    /// Age of the camera's frame when drawing began, in milliseconds; absent without camera.
    pub frame_age_ms: Option<f64>,
    /// No camera frames come.
    pub camera_silent: bool,
    /// Granted decoration: "off", "plain" or "full".
    pub decor: &'static str,
}
