//! How long recorded files are.

use anyhow::Result;
use auriga_runtime::Nanos;
use opencv::videoio::{CAP_ANY, CAP_PROP_FPS, CAP_PROP_FRAME_COUNT, VideoCapture, VideoCaptureTraitConst};
use std::path::Path;

/// The duration of the longest of these files in seconds: a video, a CAN log, a WAV file. 0 where it is not known.
///
/// # Errors
/// When a file cannot be read.
pub fn media_duration_s(camera: Option<&Path>, can: Option<&Path>, speech: Option<&Path>) -> Result<f64> {
    let mut longest = 0.0_f64;
    if let Some(path) = camera {
        longest = longest.max(video_duration_s(path)?);
    }
    if let Some(path) = can {
        for batch in auriga_can::log::frames(path, Nanos::ZERO)? {
            longest = longest.max(batch?.0.as_secs_f64());
        }
    }
    if let Some(path) = speech {
        for chunk in auriga_speech::input::wav::audio_chunks(path, Nanos::ZERO)? {
            longest = longest.max(chunk?.0.as_secs_f64());
        }
    }
    Ok(longest)
}

fn video_duration_s(path: &Path) -> Result<f64> {
    let video = VideoCapture::from_file(path, CAP_ANY)?;
    let (frames, fps) = (video.get(CAP_PROP_FRAME_COUNT)?, video.get(CAP_PROP_FPS)?);
    Ok(if frames > 0.0 && fps > 0.0 { frames / fps } else { 0.0 })
}
