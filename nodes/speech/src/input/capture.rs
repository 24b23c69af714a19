//! Capture from a sound device by `cpal`.
//!
//! The audio callback runs on a real-time thread: it writes samples and one time stamp to a [`ring`] and does nothing
//! else. The capture thread reads the ring, runs the [front end](crate::input::front_end), hands chunks to the node, and
//! reopens the device when it is lost.

use crate::input::{
    device::{self, Direction, Format},
    front_end::{
        FrontEnd, FrontEndSettings,
        echo::EchoReference,
        resample::{ChannelSelection, ResampleError},
    },
    ring::{Losses, RingReader, RingWriter, ring},
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

/// Capacity of the ring: a stall of the capture thread may last this long.
const RING: Duration = Duration::from_secs(2);
/// How often the ring is read.
const POLL: Duration = Duration::from_millis(2);
/// Wait between two attempts to open a device: first and longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));
/// A device without samples for this long is lost, whether it reports an error or not.
const SILENT_DEVICE: Duration = Duration::from_secs(3);
/// Of the time between two reads at most this much counts as silence of the device; the rest is a stall of this thread.
const MAX_POLL_GAP: Duration = Duration::from_millis(50);
/// Losses are reported at most this often.
const REPORT_PERIOD: Duration = Duration::from_secs(1);

/// The fault of a device that cannot be opened or is lost.
const DEVICE_LOST: &str = "audio-device";
/// The fault of a device without the seats' channels.
const CHANNELS_MISSING: &str = "audio-channels";

/// Where captured audio goes.
pub trait AudioSink {
    /// Whether the node is shutting down.
    fn stopping(&self) -> bool;
    /// Hands a chunk to the node.
    fn send_audio(&self, chunk: v1::AudioChunk);
    /// Raises a fault of the device.
    fn fault(&self, severity: Severity, code: &'static str, subject: &str, text: String);
    /// Raises a fault that lasts until it is cleared.
    fn standing_fault(&self, severity: Severity, code: &'static str, subject: &str, text: String);
    /// Clears a fault; does nothing when it is not active.
    fn clear_fault(&self, code: &'static str, subject: &str);
}

impl AudioSink for DeviceSink<node::Speech> {
    fn stopping(&self) -> bool {
        DeviceSink::stopping(self)
    }
    fn send_audio(&self, chunk: v1::AudioChunk) {
        self.send::<topic::DeviceAudio>(chunk);
    }
    fn fault(&self, severity: Severity, code: &'static str, subject: &str, text: String) {
        DeviceSink::fault(self, severity, code, subject, text);
    }
    fn standing_fault(&self, severity: Severity, code: &'static str, subject: &str, text: String) {
        DeviceSink::standing_fault(self, severity, code, subject, text);
    }
    fn clear_fault(&self, code: &'static str, subject: &str) {
        DeviceSink::clear_fault(self, code, subject);
    }
}

/// Which device is captured, and how.
pub struct CaptureSettings {
    /// Name of the device ([`device::find`]).
    pub device: String,
    /// Which of its channels are used.
    pub channels: ChannelSelection,
    /// Processing of the signal.
    pub front_end: FrontEndSettings,
    /// Period of the device. Its own buffer holds two (`cpal`'s choice), so the real-time thread may be late by one.
    pub period: Duration,
    /// Receives the echo reference each time the node's loudspeaker is opened.
    pub echo_references: Receiver<EchoReference>,
}

/// Captures until the node shuts down. Errors become faults, and the device is opened again.
pub fn run(settings: &CaptureSettings, sink: &impl AudioSink) {
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    let mut reference = None;
    while !sink.stopping() {
        if let Err(e) = capture(settings, &mut reference, &mut backoff, sink) {
            sink.fault(Severity::Warning, DEVICE_LOST, &settings.device, format!("{e:#}; trying again"));
        }
        let again = Nanos::monotonic() + backoff.wait();
        while !sink.stopping() && Nanos::monotonic() < again {
            std::thread::sleep(POLL);
        }
    }
}

/// Captures until the node shuts down (`Ok`) or the device is lost.
fn capture(
    settings: &CaptureSettings,
    reference: &mut Option<EchoReference>,
    backoff: &mut Backoff,
    sink: &impl AudioSink,
) -> anyhow::Result<()> {
    let mut microphone = Microphone::open(settings)?;
    let mut front_end = front_end(&microphone, settings, sink)?;
    let (mut samples, mut delivers) = (Vec::new(), false);
    let (mut last_poll, mut silence) = (Nanos::monotonic(), Duration::ZERO);
    let (mut reported, mut next_report) = (Losses::default(), Nanos::ZERO);
    while !sink.stopping() {
        let now = Nanos::monotonic();
        silence += now.since(std::mem::replace(&mut last_poll, now)).min(MAX_POLL_GAP);
        if let Some(newest) = settings.echo_references.try_iter().last() {
            *reference = Some(newest);
        }
        while let Some(block) = microphone.ring.read(&mut samples) {
            if !std::mem::replace(&mut delivers, true) {
                sink.clear_fault(DEVICE_LOST, &settings.device);
            }
            silence = Duration::ZERO;
            backoff.reset();
            if let Some(chunk) = front_end.process(&block, &samples, reference)? {
                sink.send_audio(chunk);
            }
        }
        let counters = microphone.ring.counters();
        let losses = counters.losses();
        if losses != reported && now >= next_report {
            (reported, next_report) = (losses, now + REPORT_PERIOD);
            sink.fault(Severity::Warning, "audio-overrun", &settings.device, losses.to_string());
        }
        if counters.failed.load(Ordering::Relaxed) || silence > SILENT_DEVICE {
            bail!("the device is lost");
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// A device without the seats' channels is captured as one mixed channel, and seats stay unknown.
fn front_end(
    microphone: &Microphone,
    settings: &CaptureSettings,
    sink: &impl AudioSink,
) -> Result<FrontEnd, ResampleError> {
    let (rate_hz, channels) = (microphone.rate_hz, microphone.channels);
    let front_end = |selection| FrontEnd::new(rate_hz, channels, selection, settings.front_end);
    match front_end(settings.channels) {
        Err(e @ ResampleError::Seats { .. }) => {
            let text = format!("{e}; the speaker's seat stays unknown");
            sink.standing_fault(Severity::Warning, CHANNELS_MISSING, &settings.device, text);
            front_end(ChannelSelection::Mixed)
        }
        result => {
            sink.clear_fault(CHANNELS_MISSING, &settings.device);
            result
        }
    }
}

struct Microphone {
    rate_hz: u32,
    channels: u16,
    ring: RingReader,
    /// Capture ends when this is dropped.
    _stream: Stream,
}

impl Microphone {
    fn open(settings: &CaptureSettings) -> anyhow::Result<Self> {
        let device = device::find(&settings.device, Direction::Capture)?;
        let Format { config, sample } = device::capture_format(&device, settings.channels.channels(), settings.period)
            .or_else(|_| device::capture_format(&device, 1, settings.period))?;
        let per_second = config.sample_rate as usize * usize::from(config.channels);
        let (writer, ring) = ring(per_second * RING.as_secs() as usize);
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
            device = settings.device,
            rate_hz = config.sample_rate,
            channels = config.channels,
            period = ?config.buffer_size,
            "microphone open"
        );
        Ok(Self { rate_hz: config.sample_rate, channels: config.channels, ring, _stream: stream })
    }
}

fn stream<S: SizedSample>(mut writer: RingWriter, device: &Device, config: StreamConfig) -> Result<Stream, cpal::Error>
where
    f32: FromSample<S>,
{
    let counters = writer.counters();
    device.build_input_stream(
        config,
        move |data: &[S], info: &InputCallbackInfo| {
            // cpal's instants count from the stream's creation: only their difference can be used with the monotonic clock.
            let times = info.timestamp();
            let stamp = Nanos::monotonic() - times.callback.saturating_duration_since(times.capture);
            writer.write(stamp, data.iter().map(|&s| f32::from_sample_(s)));
        },
        move |error| counters.record_error(&error),
        None,
    )
}
