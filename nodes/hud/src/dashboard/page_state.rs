//! What the page shows, kept by the state machine: every list here is bounded, whatever comes in.

use super::{
    compute::{self, Compute, Sample},
    dialogue::{self, Dialogue},
    health::{self, Health},
};
use crate::scene::{warnings::Warning, world::View};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use serde::Serialize;
use std::sync::Arc;

/// Everything the page shows. `live` is small and sent often; `history` is for those who have just come.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PageState {
    #[serde(flatten)]
    pub live: Live,
    pub history: Vec<Arc<Sample>>,
}

/// The state at one instant, with the newest sample of the plot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Live {
    /// Seconds on the node's clock.
    pub t_s: f64,
    pub drive: Option<Drive>,
    pub driving: Driving,
    pub warnings: Vec<Alert>,
    pub hud: Picture,
    pub compute: compute::Now,
    pub sample: Arc<Sample>,
    pub chains: Vec<compute::Chain>,
    pub report: Option<compute::Report>,
    pub dialogue: dialogue::Now,
    pub nodes: Vec<health::NodeState>,
    pub faults: Vec<health::FaultState>,
}

/// The drive that is being played.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drive {
    pub name: String,
    pub vehicle: String,
    pub seed: u64,
    pub transcript_track: bool,
    /// Since its time 0; never negative.
    pub elapsed_s: f64,
    /// 0: it runs on.
    pub duration_s: f64,
}

/// The vehicle, as the HUD shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Driving {
    pub speed: Option<f64>,
    pub unit: &'static str,
    pub gear: Option<char>,
    pub lead_distance_m: Option<f64>,
    pub time_gap_s: Option<f64>,
    /// 0..1.
    pub load: Option<f64>,
}

/// A warning that is on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alert {
    pub topic: &'static str,
    pub critical: bool,
    pub title: &'static str,
    pub detail: String,
}

/// The HUD's picture.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub frames: u64,
    pub fps: f64,
    /// Age of the camera's frame when drawing began; absent without camera. The whole way to the HUD is a chain.
    pub frame_age_ms: Option<f64>,
    pub camera_silent: bool,
    pub decor: &'static str,
}

/// The parts of [`PageState`] that are collected from messages.
#[derive(Default)]
pub struct Board {
    pub compute: Compute,
    pub dialogue: Dialogue,
    pub health: Health,
    drive: Option<(Nanos, Arc<v1::DriveInfo>)>,
}

impl Board {
    pub fn on_drive(&mut self, info: Arc<v1::DriveInfo>, now: Nanos) {
        // Told again every second: a drive that does not say when it began did so when it was told first.
        let began = match &self.drive {
            _ if info.start_ns > 0 => Nanos(info.start_ns),
            Some((began, old)) if old.name == info.name && old.seed == info.seed => *began,
            _ => now,
        };
        self.drive = Some((began, info));
    }

    pub fn drive_has_transcript_track(&self) -> bool {
        self.drive.as_ref().is_some_and(|(_, info)| info.transcript_track)
    }

    /// The state at `now`.
    pub fn state(&mut self, now: Nanos, driving: Driving, warnings: &[Warning], hud: Picture) -> PageState {
        let sample = self.compute.sample(now, !warnings.is_empty());
        let drive = self.drive.as_ref().map(|(began, info)| Drive {
            name: clipped(&info.name, 120),
            vehicle: clipped(&info.vehicle, 120),
            seed: info.seed,
            transcript_track: info.transcript_track,
            elapsed_s: now.since(*began).as_secs_f64(),
            duration_s: Some(info.duration_s).filter(|d| d.is_finite() && *d > 0.0).unwrap_or(0.0),
        });
        let live = Live {
            t_s: now.as_secs_f64(),
            drive,
            driving,
            warnings: warnings.iter().map(alert).collect(),
            hud,
            compute: self.compute.now(now),
            sample,
            chains: self.compute.chains(),
            report: self.compute.report(),
            dialogue: self.dialogue.now(now),
            nodes: self.health.nodes(now),
            faults: self.health.faults(now),
        };
        PageState { live, history: self.compute.history() }
    }
}

fn alert(w: &Warning) -> Alert {
    Alert { topic: w.topic.name(), critical: w.critical, title: w.title, detail: w.detail.clone() }
}

/// What the page says of driving.
pub fn driving(view: &View, speed: Option<f64>, unit: &'static str, load: Option<f64>) -> Driving {
    Driving {
        speed,
        unit,
        gear: view.gear,
        lead_distance_m: view.lead.map(|l| l.distance_m),
        time_gap_s: view.lead.and_then(|l| l.time_gap_s),
        load: load.filter(|l| l.is_finite()).map(|l| l.clamp(0.0, 1.0)),
    }
}

/// The text's beginning, without control characters.
pub(crate) fn clipped(text: &str, letters: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(letters).collect()
}
