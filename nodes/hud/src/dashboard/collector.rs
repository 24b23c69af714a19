//! Collects the page's state from messages.

use super::{
    compute::Compute,
    dialogue::Dialogue,
    health::Health,
    page_state::{Alert, Drive, Driving, Live, PageState, Picture},
};
use crate::{
    config::Units,
    scene::{view::View, warnings::Warning},
    text::truncated,
};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::sync::Arc;

/// Longest name of a drive or a vehicle, in characters.
const MAX_NAME: usize = 120;

/// The parts of [`PageState`] that are collected from messages.
#[derive(Default)]
pub struct Collector {
    /// Grants and latencies.
    pub compute: Compute,
    /// Utterances, intents and replies.
    pub dialogue: Dialogue,
    /// Nodes and faults.
    pub health: Health,
    /// The drive with its start.
    drive: Option<(Nanos, Arc<v1::DriveInfo>)>,
}

impl Collector {
    /// Takes the description of the drive, which is published again every second.
    pub fn on_drive(&mut self, info: Arc<v1::DriveInfo>, now: Nanos) {
        // A drive that does not state its start began when its description first came.
        let start = match &self.drive {
            _ if info.start_ns > 0 => Nanos(info.start_ns),
            Some((start, old)) if old.name == info.name && old.seed == info.seed => *start,
            _ => now,
        };
        self.drive = Some((start, info));
    }

    /// Whether the drive's speech is a transcript track.
    pub fn drive_has_transcript_track(&self) -> bool {
        self.drive.as_ref().is_some_and(|(_, info)| info.transcript_track)
    }

    /// The state at `now`; takes the next sample of the plot.
    pub fn state(&mut self, now: Nanos, driving: Driving, warnings: &[Warning], hud: Picture) -> PageState {
        let sample = self.compute.sample(now, !warnings.is_empty());
        let live = Live {
            t_s: now.as_secs_f64(),
            drive: self.drive.as_ref().map(|(start, info)| drive(info, now.since(*start).as_secs_f64())),
            driving,
            warnings: warnings.iter().map(alert).collect(),
            hud,
            compute: self.compute.grants(now),
            sample,
            chains: self.compute.chains(),
            report: self.compute.report(),
            dialogue: self.dialogue.state(now),
            nodes: self.health.nodes(now),
            faults: self.health.faults(now),
        };
        PageState { live, history: self.compute.history() }
    }
}

fn drive(info: &v1::DriveInfo, elapsed_s: f64) -> Drive {
    Drive {
        name: truncated(&info.name, MAX_NAME),
        vehicle: truncated(&info.vehicle, MAX_NAME),
        seed: info.seed,
        transcript_track: info.transcript_track,
        elapsed_s,
        duration_s: Some(info.duration_s).filter(|d| d.is_finite() && *d > 0.0).unwrap_or(0.0),
    }
}

fn alert(warning: &Warning) -> Alert {
    let Warning { kind, critical, title, detail, .. } = warning;
    Alert { kind: kind.name(), critical: *critical, title, detail: detail.clone() }
}

/// The vehicle of a view. `load`: the scene's driving load.
pub fn driving(view: &View, units: Units, load: Option<f64>) -> Driving {
    Driving {
        speed: view.speed_mps.map(|v| units.from_mps(v)),
        unit: units.label(),
        gear: view.gear,
        lead_distance_m: view.lead.map(|l| l.distance_m),
        time_gap_s: view.lead.and_then(|l| l.time_gap_s),
        load: load.filter(|l| l.is_finite()).map(|l| l.clamp(0.0, 1.0)),
    }
}
