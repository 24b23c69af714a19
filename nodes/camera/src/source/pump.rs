//! The device thread: hands frames to the node.

use super::{
    device::{Device, Settings},
    video::{SourceError, VideoSource},
};
use auriga_msgs::{node, topic, v1};
use auriga_runtime::{Backoff, DeviceSink, Nanos};
use std::time::Duration;
use v1::Severity;

/// The device thread: reads the source until the node stops. A file plays in real time from
/// [`DeviceSink::start_at`]; a live device that is lost is a fault until it delivers again, and is opened again with
/// growing waits.
pub fn pump(settings: &Settings, sink: &DeviceSink<node::Camera>) {
    let subject = settings.device.to_string();
    match settings.device {
        Device::None => {
            sink.standing_fault(Severity::Warning, "camera-absent", "camera", SourceError::NoDevice.to_string());
        }
        Device::File(_) => match play(settings, sink) {
            Ok(()) => sink.end_of_input(),
            Err(e) => sink.standing_fault(Severity::Critical, "camera-file", &subject, e.to_string()),
        },
        Device::V4l2(_) | Device::Gstreamer(_) | Device::Stream(_) => capture(settings, sink, &subject),
    }
}

fn play(settings: &Settings, sink: &DeviceSink<node::Camera>) -> Result<(), SourceError> {
    for item in VideoSource::open(settings)? {
        let (t, mut image) = item?;
        let due = sink.start_at() + Duration::from_nanos(t.0);
        image.header = Some(v1::Header::new(due.0, 0));
        if !sink.sleep_until(due) || !sink.send::<topic::DeviceCameraFront>(image) {
            break;
        }
    }
    Ok(())
}

/// Code of the fault of a device that does not deliver.
const LOST: &str = "camera-lost";

/// Between attempts to open a lost device.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

fn capture(settings: &Settings, sink: &DeviceSink<node::Camera>, subject: &str) {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    while !sink.stopping() {
        let lost = match VideoSource::open(settings) {
            Ok(source) => {
                tracing::info!(device = subject, "camera open");
                deliver(source, sink, subject, &mut backoff)
            }
            Err(e) => Some(e),
        };
        let Some(error) = lost else { return };
        let wait = backoff.wait();
        let text = format!("{error}; trying again in {:.1} s", wait.as_secs_f64());
        // Opening a device can take longer than a fault lasts by itself.
        sink.standing_fault(Severity::Critical, LOST, subject, text);
        sink.sleep_until(Nanos::monotonic() + wait);
    }
}

/// Hands frames on until the source fails; `None` when the node stops.
fn deliver(
    source: VideoSource,
    sink: &DeviceSink<node::Camera>,
    subject: &str,
    backoff: &mut Backoff,
) -> Option<SourceError> {
    for (index, item) in source.enumerate() {
        match item {
            Ok((_, image)) => {
                if index == 0 {
                    backoff.reset();
                    sink.clear_fault(LOST, subject);
                }
                if !sink.send::<topic::DeviceCameraFront>(image) {
                    return None;
                }
            }
            Err(e) => return Some(e),
        }
    }
    None
}
