//! What a drive gives to the nodes: only what was put in can come out.

use crate::drive::Drive;
use auriga_runtime::Nanos;
use opencv::videoio::{CAP_ANY, CAP_PROP_FPS, CAP_PROP_FRAME_COUNT, VideoCapture, VideoCaptureTraitConst};
use std::path::Path;

/// Most frames or batches of one input that are looked at: more than a day of a camera.
const MAX_TIMES: usize = 20_000_000;

/// One input of a drive.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Input {
    /// Nothing is known: what the recording shows counts.
    #[default]
    Unknown,
    /// The drive has no such device.
    Absent,
    /// When it gives something, in seconds of the drive, ascending.
    Times(Vec<f64>),
}

/// The inputs of safety work.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inputs {
    /// Frames of the front camera.
    pub camera: Input,
    /// Batches of frames of the bus.
    pub can: Input,
}

impl Inputs {
    /// The inputs of a drive that is played from these files. A file that cannot be read is an unknown input: the node
    /// that plays it reports it.
    pub fn of_files(camera: Option<&Path>, can: Option<&Path>) -> Inputs {
        let input = |path: Option<&Path>, times: fn(&Path) -> Option<Vec<f64>>| match path {
            None => Input::Absent,
            Some(path) => times(path).filter(|times| !times.is_empty()).map_or(Input::Unknown, Input::Times),
        };
        Inputs { camera: input(camera, video_times), can: input(can, can_times) }
    }

    /// The inputs of a drive's folder.
    pub fn of_drive(drive: &Drive) -> Inputs {
        Inputs::of_files(drive.camera().as_deref(), drive.can().as_deref())
    }
}

impl Input {
    /// The times, where they are known.
    pub fn times(&self) -> Option<&[f64]> {
        match self {
            Input::Times(times) => Some(times),
            Input::Unknown | Input::Absent => None,
        }
    }
}

fn video_times(path: &Path) -> Option<Vec<f64>> {
    let video = VideoCapture::from_file(path, CAP_ANY).ok()?;
    let (frames, fps) = (video.get(CAP_PROP_FRAME_COUNT).ok()?, video.get(CAP_PROP_FPS).ok()?);
    (frames > 0.0 && fps > 0.0).then(|| (0..(frames as usize).min(MAX_TIMES)).map(|n| n as f64 / fps).collect())
}

fn can_times(path: &Path) -> Option<Vec<f64>> {
    let batches = auriga_can::log::frames(path, Nanos::ZERO).ok()?.take(MAX_TIMES);
    let mut times: Vec<f64> = batches.map_while(|batch| Some(batch.ok()?.0.as_secs_f64())).collect();
    times.sort_by(f64::total_cmp);
    Some(times)
}
