//! A recording of a drive as what the devices deliver.

use super::source::Input;
use crate::replay::{faults::inject, options::Options, stream::Stream};
use anyhow::{Context, Result};
use auriga_msgs::{Any, TopicId};
use auriga_recorder::mcap_file::Reader;
use auriga_runtime::{Nanos, merge};
use std::path::Path;

/// Whether somebody asks for a recogniser.
fn wants_recogniser(options: &Options) -> bool {
    options.params.iter().any(|p| p.node == "speech" && p.key == "model" && !p.value.is_empty())
}

pub(in crate::replay) fn reader(path: &Path) -> Result<Reader> {
    Reader::open(path).with_context(|| format!("recording {}", path.display()))
}

/// As the drive told it, or the first message.
pub(crate) fn start_of_recording(reader: &Reader, path: &Path) -> Result<Nanos> {
    let told = reader.drive_info().map(|i| i.start_ns).filter(|&ns| ns > 0);
    let start = told.map(Nanos).or(reader.start());
    start.with_context(|| format!("recording {}: there is no message in it", path.display()))
}

pub(super) fn open(path: &Path, options: &Options) -> Result<Input> {
    let reader = reader(path)?;
    let info = reader.drive_info().cloned().unwrap_or_default();
    let start = start_of_recording(&reader, path)?;
    // What was heard is played, unless somebody asks for it to be heard again.
    let heard_again = wants_recogniser(options);
    let mut recorded: Vec<&'static str> = vec!["monitor"];
    recorded.extend(played_as_it_is().map(|spec| spec.publisher));
    if !heard_again {
        recorded.push("speech");
    }
    let messages = reader.filter_map(move |item| match item {
        Ok((t, any)) => as_device(any, heard_again).map(|any| Ok((t, any))),
        Err(e) => Some(Err(e)),
    });
    anyhow::ensure!(
        options.faults.delay.is_empty() && options.faults.freeze.is_empty(),
        "faults.delay and faults.freeze: only of a drive's files; a recording keeps its times and pictures"
    );
    let mut streams: Vec<Stream> =
        vec![inject::apply(&options.faults, TopicId::DeviceCan, start, &options.root, Box::new(messages))?];
    streams.extend(inject::garbage(&options.faults, start));
    Ok(Input {
        stream: Box::new(merge(streams)),
        start,
        duration_s: if info.duration_s > 0.0 { info.duration_s } else { f64::INFINITY },
        vehicle: if info.vehicle.is_empty() { "auriga-demo".into() } else { info.vehicle },
        recorded,
        drive: None,
        transcript_track: info.transcript_track,
    })
}

fn played_as_it_is() -> impl Iterator<Item = &'static auriga_msgs::TopicSpec> {
    auriga_msgs::TOPICS.iter().filter(|t| t.replay_as == Some(""))
}

/// A recorded message as what stands for it in replay; `None`: the nodes will say it again.
fn as_device(any: Any, heard_again: bool) -> Option<Any> {
    match any {
        Any::CanFrames(m) => Some(Any::DeviceCan(m)),
        Any::SpeechAudio(m) => heard_again.then_some(Any::DeviceAudio(m)),
        Any::SpeechUtterance(_) if !heard_again => Some(any),
        // What the drive told of itself stays true, and what others than the nodes did.
        Any::DriveInfo(_) | Any::DriveTruth(_) | Any::CabinOutcome(_) => Some(any),
        other => (other.topic().spec().replay_as == Some("")).then_some(other),
    }
}
