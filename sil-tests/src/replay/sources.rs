//! The files of a drive, or a recording of one, as what the devices deliver.

use super::{Options, Source, nodes};
use crate::drive::Drive;
use anyhow::{Context, Result};
use auriga_camera::source::VideoSource;
use auriga_msgs::{Any, TopicId};
use auriga_recorder::mcap_file::Reader;
use auriga_runtime::{Nanos, Timed, merge};
use auriga_speech::{transcript, wav};
use std::{path::Path, time::Duration};

pub(super) type Stream = Box<dyn Iterator<Item = Result<Timed>>>;

/// What is fed to the nodes.
pub(super) struct Input {
    pub stream: Stream,
    /// The drive's time 0.
    pub start: Nanos,
    pub duration_s: f64,
    pub vehicle: String,
    /// Nodes whose messages are played as they were recorded, so that they do not run.
    pub recorded: Vec<&'static str>,
    /// A drive's folder: the monitor reads it too.
    pub drive: Option<Drive>,
    pub transcript_track: bool,
}

pub(super) fn open(options: &Options) -> Result<Input> {
    let mut input = match &options.source {
        Source::Drive(folder) => of_drive(Drive::open(folder)?, options)?,
        Source::Recording(path) => of_recording(path, options)?,
    };
    let (from, to) = (options.from_s, options.to_s);
    anyhow::ensure!(from >= 0.0 && to > from, "from {from} s to {to} s: expected 0 <= from < to");
    let begin = input.start + Duration::from_secs_f64(from);
    let end = Duration::try_from_secs_f64(to).map_or(Nanos(u64::MAX), |to| input.start + to);
    let within = input.stream.skip_while(move |i| i.as_ref().is_ok_and(|(t, _)| *t < begin));
    input.stream = Box::new(within.take_while(move |i| i.as_ref().map_or(true, |(t, _)| *t < end)));
    Ok(input)
}

/// Hands `stream` on with what a fault does to it.
fn broken(options: &Options, start: Nanos, topic: TopicId, stream: Stream) -> Result<Stream> {
    options.faults.apply(topic, start, &options.root, stream)
}

fn of_drive(drive: Drive, options: &Options) -> Result<Input> {
    let start = Nanos::ZERO;
    let mut streams: Vec<Stream> = Vec::new();
    let mut add = |topic, stream| -> Result<()> {
        streams.push(broken(options, start, topic, stream)?);
        Ok(())
    };
    // Lines are handed over before the sound they belong to.
    let recognises = nodes::recognises(options)?;
    let track = drive.transcript_file().filter(|_| !recognises);
    if let Some(path) = &track {
        let begin = start + Duration::from_secs_f64(options.from_s);
        let lines = transcript::load(path, start)?.into_iter().filter(move |(_, line)| line.start_ns >= begin.0);
        let lines = lines.map(move |(due, line)| Ok((due.max(begin), Any::DeviceTranscript(line.into()))));
        add(TopicId::DeviceTranscript, Box::new(lines))?;
    }
    if let Some(path) = drive.can() {
        let frames = auriga_can::log::frames(&path, start)?;
        let frames = frames.map(|item| item.map(|(t, m)| (t, Any::DeviceCan(m.into()))));
        add(TopicId::DeviceCan, Box::new(frames))?;
    }
    if let Some(path) = drive.camera() {
        let source = VideoSource::file(&path)?;
        let frames = source.map(|item| Ok(item.map(|(t, m)| (t, Any::DeviceCameraFront(m.into())))?));
        add(TopicId::DeviceCameraFront, Box::new(frames))?;
    }
    if let Some(path) = drive.speech() {
        let chunks = wav::audio_chunks(&path, start)?;
        let chunks = chunks.map(|item| Ok(item.map(|(t, m)| (t, Any::DeviceAudio(m.into())))?));
        add(TopicId::DeviceAudio, Box::new(chunks))?;
    }
    if let Some(garbage) = options.faults.garbage(start) {
        streams.push(garbage);
    }
    Ok(Input {
        stream: Box::new(merge(streams)),
        start,
        duration_s: drive.manifest.duration_s,
        vehicle: drive.manifest.vehicle.clone(),
        recorded: Vec::new(),
        drive: Some(drive),
        transcript_track: track.is_some(),
    })
}

/// Whether somebody asks for a recogniser.
fn wants_recogniser(options: &Options) -> bool {
    options.params.iter().any(|p| p.node == "speech" && p.key == "model" && !p.value.is_empty())
}

pub(super) fn recording(path: &Path) -> Result<Reader> {
    Reader::open(path).with_context(|| format!("recording {}", path.display()))
}

/// As the drive told it, or the first message.
pub(crate) fn start_of_recording(reader: &Reader, path: &Path) -> Result<Nanos> {
    let told = reader.drive_info().map(|i| i.start_ns).filter(|&ns| ns > 0);
    let start = told.map(Nanos).or(reader.start());
    start.with_context(|| format!("recording {}: there is no message in it", path.display()))
}

fn of_recording(path: &Path, options: &Options) -> Result<Input> {
    let reader = recording(path)?;
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
    let mut streams: Vec<Stream> = vec![broken(options, start, TopicId::DeviceCan, Box::new(messages))?];
    streams.extend(options.faults.garbage(start));
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
