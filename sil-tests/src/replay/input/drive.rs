//! The files of a drive as messages of devices.

use super::source::{Damage, Input};
use crate::{
    drive::Drive,
    replay::{config, faults::inject, options::Options, stream::Stream},
};
use anyhow::Result;
use auriga_camera::source::VideoSource;
use auriga_msgs::{Any, TopicId};
use auriga_runtime::{Nanos, merge};
use auriga_speech::{input::wav, transcript::file as transcript};
use std::time::Duration;

pub(super) fn open(drive: Drive, options: &Options) -> Result<Input> {
    let start = Nanos::ZERO;
    let mut streams: Vec<Stream> = Vec::new();
    let mut add = |topic, stream| -> Result<()> {
        streams.push(inject::apply(&options.faults, topic, start, &options.root, stream)?);
        Ok(())
    };
    // Lines of the transcript come before their sound.
    let recognises = config::recognises(&options.root, &options.params)?;
    let track = drive.transcript_file().filter(|_| !recognises);
    if let Some(path) = &track {
        let begin = start + Duration::from_secs_f64(options.from_s);
        let lines = transcript::load(path, start)?.into_iter().filter(move |(_, line)| line.start_ns >= begin.0);
        let lines = lines.map(move |(due, line)| Ok((due.max(begin), Any::DeviceTranscript(line.into()))));
        add(TopicId::DeviceTranscript, Box::new(lines))?;
    }
    if let Some(path) = drive.can() {
        // Its times count from the same start as those of the drive's other files.
        let aligned = auriga_can::log::Options { aligned: true, ..Default::default() };
        let mut frames = auriga_can::log::frames_with(&path, start, &aligned)?;
        let frames = std::iter::from_fn(move || {
            let item = frames.next();
            let notices = frames.take_notices();
            notices.iter().for_each(|notice| tracing::warn!(place = notice.place, "{}", notice.text));
            Some(item?.map(|(t, m)| (t, Any::DeviceCan(m.into()))))
        });
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
    if let Some(garbage) = inject::garbage(&options.faults, start) {
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
        damage: Damage::default(),
    })
}
