//! Capture from a sound device by `cpal`.
//!
//! The audio callback runs on a real-time thread: it copies samples and one stamp onto a [`tape`] made beforehand, and
//! does nothing else. A thread of ours takes them off, brings them through the [`front_end`](crate::input::front_end) and hands
//! them to the node; it opens the device anew when that is lost.

use crate::{
    input::device::{self, Direction, Format},
    input::front_end::echo::Reference,
    input::front_end::resample::{Listen, ResampleError},
    input::front_end::{Cleaning, FrontEnd},
    input::ring::{Losses, Reader, Writer, tape},
};
use anyhow::{Context, bail};
use auriga_msgs::{node, topic, v1};
use auriga_runtime::{Backoff, DeviceSink, Nanos};
use cpal::{
    Device, FromSample, InputCallbackInfo, SampleFormat, SizedSample, Stream, StreamConfig,
    traits::{DeviceTrait, StreamTrait},
};
use std::{
    sync::{atomic::Ordering, mpsc::Receiver},
    time::Duration,
};
use v1::Severity;

/// What the tape holds: a stall of our thread may last this long.
const TAPE: Duration = Duration::from_secs(2);
/// How often it is looked at.
const POLL: Duration = Duration::from_millis(2);
/// Time between two attempts to open a device: first, and longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));
/// A device that gives nothing for this long is lost, whether it says so or not.
const SILENT_DEVICE: Duration = Duration::from_secs(3);
/// Of the time between two looks, so much at most is silence of the device: the rest is a stall of ours.
const LONGEST_LOOK: Duration = Duration::from_millis(50);
/// Losses are told at most this often.
const TELL: Duration = Duration::from_secs(1);

/// Where captured audio goes.
pub trait Ear {
    /// Whether nobody listens any more.
    fn stopping(&self) -> bool;
    fn hear(&self, chunk: v1::AudioChunk);
    fn fault(&self, severity: Severity, code: &'static str, subject: &str, text: String);
}

impl Ear for DeviceSink<node::Speech> {
    fn stopping(&self) -> bool {
        DeviceSink::stopping(self)
    }
    fn hear(&self, chunk: v1::AudioChunk) {
        self.send::<topic::DeviceAudio>(chunk);
    }
    fn fault(&self, severity: Severity, code: &'static str, subject: &str, text: String) {
        DeviceSink::fault(self, severity, code, subject, text);
    }
}

/// What is captured, and how.
pub struct Source {
    pub device: String,
    pub listen: Listen,
    pub cleaning: Cleaning,
    /// What the device hands over at once; its own buffer is twice that (`cpal`'s choice), so the real-time thread may be
    /// late by as much.
    pub period: Duration,
    /// What our loudspeaker plays, whenever it is opened.
    pub references: Receiver<Reference>,
}

/// Captures until nobody listens. Errors become faults, and the device is tried again.
pub fn run(source: &Source, ear: &impl Ear) {
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    let mut reference = None;
    while !ear.stopping() {
        if let Err(e) = capture(source, &mut reference, &mut backoff, ear) {
            ear.fault(Severity::Warning, "audio-device", &source.device, format!("{e:#}; trying again"));
        }
        let again = Nanos::monotonic() + backoff.wait();
        while !ear.stopping() && Nanos::monotonic() < again {
            std::thread::sleep(POLL);
        }
    }
}

/// Until nobody listens (`Ok`) or the device is lost.
fn capture(
    source: &Source,
    reference: &mut Option<Reference>,
    backoff: &mut Backoff,
    ear: &impl Ear,
) -> anyhow::Result<()> {
    let mut microphone = Microphone::open(source)?;
    let mut front_end = front_end(&microphone, source, ear)?;
    let mut samples = Vec::new();
    let (mut last_look, mut silence) = (Nanos::monotonic(), Duration::ZERO);
    let (mut told, mut next_telling) = (Losses::default(), Nanos::ZERO);
    while !ear.stopping() {
        let now = Nanos::monotonic();
        silence += now.since(std::mem::replace(&mut last_look, now)).min(LONGEST_LOOK);
        if let Some(newest) = source.references.try_iter().last() {
            *reference = Some(newest);
        }
        while let Some(block) = microphone.tape.read(&mut samples) {
            silence = Duration::ZERO;
            backoff.reset();
            if let Some(chunk) = front_end.block(&block, &samples, reference)? {
                ear.hear(chunk);
            }
        }
        let counts = microphone.tape.counts();
        let losses = counts.losses();
        if losses != told && now >= next_telling {
            (told, next_telling) = (losses, now + TELL);
            ear.fault(Severity::Warning, "audio-overrun", &source.device, losses.to_string());
        }
        if counts.failed.load(Ordering::Relaxed) || silence > SILENT_DEVICE {
            bail!("the device is lost");
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// A device that lacks the seats' channels is heard all the same, without telling seats.
fn front_end(microphone: &Microphone, source: &Source, ear: &impl Ear) -> Result<FrontEnd, ResampleError> {
    let (rate_hz, channels) = (microphone.rate_hz, microphone.channels);
    FrontEnd::new(rate_hz, channels, source.listen, source.cleaning).or_else(|e| {
        if !matches!(e, ResampleError::Seats { .. }) {
            return Err(e);
        }
        ear.fault(Severity::Warning, "audio-channels", &source.device, format!("{e}; seats are not told apart"));
        FrontEnd::new(rate_hz, channels, Listen::Mixed, source.cleaning)
    })
}

struct Microphone {
    rate_hz: u32,
    channels: u16,
    tape: Reader,
    /// Capture ends when it is dropped.
    _stream: Stream,
}

impl Microphone {
    fn open(source: &Source) -> anyhow::Result<Self> {
        let device = device::find(&source.device, Direction::Capture)?;
        let Format { config, sample } = device::capture_format(&device, source.listen.channels(), source.period)
            .or_else(|_| device::capture_format(&device, 1, source.period))?;
        let per_second = config.sample_rate as usize * usize::from(config.channels);
        let (writer, tape) = tape(per_second * TAPE.as_secs() as usize);
        let stream = match sample {
            SampleFormat::I8 => stream::<i8>(writer, &device, config),
            SampleFormat::U8 => stream::<u8>(writer, &device, config),
            SampleFormat::I16 => stream::<i16>(writer, &device, config),
            SampleFormat::U16 => stream::<u16>(writer, &device, config),
            SampleFormat::I32 => stream::<i32>(writer, &device, config),
            SampleFormat::U32 => stream::<u32>(writer, &device, config),
            SampleFormat::F32 => stream::<f32>(writer, &device, config),
            SampleFormat::F64 => stream::<f64>(writer, &device, config),
            other => bail!("its sample format {other} is not supported; choose a plughw: device, which converts"),
        }
        .context("opening the device")?;
        stream.play().context("starting the device")?;
        tracing::info!(
            device = source.device,
            rate_hz = config.sample_rate,
            channels = config.channels,
            period = ?config.buffer_size,
            "microphone open"
        );
        Ok(Self { rate_hz: config.sample_rate, channels: config.channels, tape, _stream: stream })
    }
}

fn stream<S: SizedSample>(mut writer: Writer, device: &Device, config: StreamConfig) -> Result<Stream, cpal::Error>
where
    f32: FromSample<S>,
{
    let counts = writer.counts();
    device.build_input_stream(
        config,
        move |data: &[S], info: &InputCallbackInfo| {
            // cpal's instants count from the stream's creation: only their difference means something on our clock.
            let times = info.timestamp();
            let stamp = Nanos::monotonic() - times.callback.saturating_duration_since(times.capture);
            writer.write(stamp, data.iter().map(|&s| f32::from_sample_(s)));
        },
        move |error| counts.error(&error),
        None,
    )
}
