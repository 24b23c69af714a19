//! A recording of a drive as messages of devices.

use super::source::{Damage, Input};
use crate::replay::{faults::inject, options::Options, stream::Stream};
use anyhow::{Context, Result};
use auriga_msgs::{Any, TopicId};
use auriga_recorder::mcap_file::Reader;
use auriga_runtime::{Nanos, merge};
use std::path::Path;

/// Whether a recogniser was configured explicitly.
fn recogniser_configured(options: &Options) -> bool {
    options.params.iter().any(|p| p.node == "speech" && p.key == "model" && !p.value.is_empty())
}

pub(in crate::replay) fn reader(path: &Path) -> Result<Reader> {
    Reader::open(path).with_context(|| format!("recording {}", path.display()))
}

/// The start in the recorded drive information, or the first message.
pub(crate) fn start_of_recording(reader: &Reader, path: &Path) -> Result<Nanos> {
    let recorded = reader.drive_info().map(|i| i.start_ns).filter(|&ns| ns > 0);
    let start = recorded.map(Nanos).or(reader.start());
    start.with_context(|| format!("recording {}: it contains no message", path.display()))
}

pub(super) fn open(path: &Path, options: &Options) -> Result<Input> {
    let reader = reader(path)?;
    let info = reader.drive_info().cloned().unwrap_or_default();
    let start = start_of_recording(&reader, path)?;
    // Recorded utterances are played, unless a recogniser is configured explicitly.
    let recognise = recogniser_configured(options);
    let mut played: Vec<&'static str> = vec!["monitor"];
    played.extend(played_unchanged().map(|spec| spec.publisher));
    if !recognise {
        played.push("speech");
    }
    let damage = Damage::default();
    let report = damage.clone();
    let readable = reader.readable(move |what| report.borrow_mut().push(what));
    let messages = readable.filter_map(move |(t, any)| Some(Ok((t, as_device(any, recognise)?))));
    anyhow::ensure!(
        options.faults.delay.is_empty() && options.faults.freeze.is_empty(),
        "faults.delay and faults.freeze: supported only for the files of a drive, not for a recording"
    );
    let mut streams: Vec<Stream> =
        vec![inject::apply(&options.faults, TopicId::DeviceCan, start, &options.root, Box::new(messages))?];
    streams.extend(inject::garbage(&options.faults, start));
    Ok(Input {
        stream: Box::new(merge(streams)),
        start,
        duration_s: if info.duration_s > 0.0 { info.duration_s } else { f64::INFINITY },
        vehicle: if info.vehicle.is_empty() { "auriga-demo".into() } else { info.vehicle },
        recorded: played,
        drive: None,
        transcript_track: info.transcript_track,
        damage,
    })
}

fn played_unchanged() -> impl Iterator<Item = &'static auriga_msgs::TopicSpec> {
    auriga_msgs::TOPICS.iter().filter(|t| t.replay_as == Some(""))
}

/// The message to play for a recorded one; `None`: the nodes publish it anew.
fn as_device(any: Any, recognise: bool) -> Option<Any> {
    match any {
        Any::CanFrames(m) => Some(Any::DeviceCan(m)),
        Any::SpeechAudio(m) => recognise.then_some(Any::DeviceAudio(m)),
        Any::SpeechUtterance(_) if !recognise => Some(any),
        // Information on the drive, and results of other systems.
        Any::DriveInfo(_) | Any::DriveTruth(_) | Any::CabinOutcome(_) => Some(any),
        other => (other.topic().spec().replay_as == Some("")).then_some(other),
    }
}
