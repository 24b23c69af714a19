//! Capture from a sound device by `cpal`.
//!
//! The audio callback runs on a real-time thread: it copies samples and one stamp into rings made beforehand, and does
//! nothing else. What does not fit is dropped and counted. A thread of ours takes it out, converts it and hands it to
//! the node; it opens the device anew when that is lost.

use crate::{
    resample::ToMono16k,
    vad::{SAMPLE_NS, SAMPLE_RATE_HZ},
    wav::CHUNK,
};
use anyhow::{Context, bail};
use auriga_msgs::{node, topic, v1};
use auriga_runtime::{DeviceSink, Nanos};
use cpal::{
    BufferSize, Device, DeviceId, FromSample, InputCallbackInfo, SampleFormat, SizedSample, Stream, StreamConfig,
    SupportedBufferSize,
    traits::{DeviceTrait, HostTrait, StreamTrait},
};
use rtrb::{Consumer, Producer, RingBuffer};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use v1::Severity;

/// What the device hands over at once; its own buffer is twice that, and a stall of the real-time thread may last as
/// long. A device's own choice may be so short that every busy moment of the machine costs samples. As long as a
/// [`CHUNK`]: a longer one would delay the answer, a shorter one would not hasten it.
const PERIOD: Duration = Duration::from_nanos(CHUNK as u64 * SAMPLE_NS);
/// What the rings hold: a stall of our thread may last this long.
const RING: Duration = Duration::from_secs(2);
/// Blocks of the shortest usual period (1 ms) in [`RING`].
const RING_BLOCKS: usize = 2048;
/// How often the rings are looked into.
const POLL: Duration = Duration::from_millis(5);
/// Time between two attempts to open a device.
const RETRY: Duration = Duration::from_secs(2);
/// A device that gives nothing for this long is lost, whether it says so or not.
const SILENT_DEVICE: Duration = Duration::from_secs(3);
/// Of the time between two looks, so much at most is silence of the device: the rest is a stall of ours.
const LONGEST_LOOK: Duration = Duration::from_millis(50);
/// Stamps further off than this from the count of samples mean that samples were lost.
const LOST: Duration = Duration::from_millis(50);
/// Losses are told at most this often.
const TELL: Duration = Duration::from_secs(1);
/// Share of the difference between stamps and count of samples that is taken over with each block: jitter goes, drift
/// is followed.
const DRIFT_SHARE: f64 = 1.0 / 16.0;

/// A block as the callback found it.
struct Block {
    /// Capture of its first sample.
    stamp: Nanos,
    samples: usize,
    /// Audio was lost before it.
    after_loss: bool,
}

/// Captures from the device of this name until the node stops. Errors become faults, and the device is tried again.
pub fn run(name: &str, devices: &DeviceSink<node::Speech>) {
    while !devices.stopping() {
        if let Err(e) = capture(name, devices) {
            devices.fault(Severity::Warning, "audio-device", name, format!("{e:#}; trying again"));
        }
        devices.sleep_until(Nanos::monotonic() + RETRY);
    }
}

/// Until the node stops (`Ok`) or the device is lost.
fn capture(name: &str, devices: &DeviceSink<node::Speech>) -> anyhow::Result<()> {
    let mut capture = Capture::open(name)?;
    let mut converter = ToMono16k::new(capture.rate_hz, capture.channels)?;
    let mut clock = SampleClock::new(capture.rate_hz);
    let (mut ready, mut first_ready) = (Vec::new(), 0u64);
    let (mut last_look, mut silence) = (Nanos::monotonic(), Duration::ZERO);
    let (mut told, mut next_telling) = (Losses::default(), Nanos::ZERO);
    while !devices.stopping() {
        let now = Nanos::monotonic();
        silence += now.since(std::mem::replace(&mut last_look, now)).min(LONGEST_LOOK);
        while let Some((block, samples)) = capture.next_block() {
            silence = Duration::ZERO;
            if block.after_loss {
                clock.start_anew();
            }
            clock.block(block.stamp, samples.len() / usize::from(capture.channels));
            converter.push(&samples, &mut ready)?;
            while ready.len() >= CHUNK {
                let pcm: Vec<u8> = ready.drain(..CHUNK).flat_map(i16::to_le_bytes).collect();
                let stamp = clock.time_of(first_ready);
                first_ready += CHUNK as u64;
                devices.send::<topic::DeviceAudio>(v1::AudioChunk {
                    header: Some(v1::Header::new(stamp.0, 0)),
                    sample_rate_hz: SAMPLE_RATE_HZ,
                    channels: 1,
                    pcm_s16le: pcm.into(),
                });
            }
        }
        let losses = capture.shared.losses();
        if losses != told && now >= next_telling {
            (told, next_telling) = (losses, now + TELL);
            devices.fault(Severity::Warning, "audio-overrun", name, losses.to_string());
        }
        if capture.shared.failed.load(Ordering::Relaxed) || silence > SILENT_DEVICE {
            bail!("the device is lost");
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// What the callbacks tell our thread without waiting for it.
#[derive(Default)]
struct Shared {
    /// Times that the device's buffer was full.
    overruns: AtomicU64,
    /// Samples that found the rings full.
    dropped: AtomicU64,
    failed: AtomicBool,
}

impl Shared {
    fn losses(&self) -> Losses {
        Losses { overruns: self.overruns.load(Ordering::Relaxed), dropped: self.dropped.load(Ordering::Relaxed) }
    }
}

/// Audio lost since the device was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Losses {
    overruns: u64,
    dropped: u64,
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Losses { overruns, dropped } = self;
        write!(
            f,
            "audio is lost: the device's buffer ran over {overruns} times, ours by {dropped} samples; the machine is too \
             busy for the microphone"
        )
    }
}

struct Capture {
    rate_hz: u32,
    channels: u16,
    samples: Consumer<f32>,
    blocks: Consumer<Block>,
    shared: Arc<Shared>,
    /// Capture ends when it is dropped.
    _stream: Stream,
}

impl Capture {
    fn open(name: &str) -> anyhow::Result<Self> {
        let device = find(name)?;
        let supported = device.default_input_config().context("asking the device for its format")?;
        let mut config = supported.config();
        config.buffer_size = buffer_size(config.sample_rate, supported.buffer_size());
        let per_second = config.sample_rate as usize * usize::from(config.channels);
        let (to_samples, samples) = RingBuffer::new(per_second * RING.as_secs() as usize);
        let (to_blocks, blocks) = RingBuffer::new(RING_BLOCKS);
        let shared = Arc::new(Shared::default());
        let callback =
            Callback { samples: to_samples, blocks: to_blocks, shared: shared.clone(), losses: Losses::default() };
        let stream = match supported.sample_format() {
            SampleFormat::I8 => callback.stream::<i8>(&device, config),
            SampleFormat::U8 => callback.stream::<u8>(&device, config),
            SampleFormat::I16 => callback.stream::<i16>(&device, config),
            SampleFormat::U16 => callback.stream::<u16>(&device, config),
            SampleFormat::I32 => callback.stream::<i32>(&device, config),
            SampleFormat::U32 => callback.stream::<u32>(&device, config),
            SampleFormat::F32 => callback.stream::<f32>(&device, config),
            SampleFormat::F64 => callback.stream::<f64>(&device, config),
            other => bail!("its sample format {other} is not supported; choose a plughw: device, which converts"),
        }
        .context("opening the device")?;
        stream.play().context("starting the device")?;
        tracing::info!(device = name, rate_hz = config.sample_rate, channels = config.channels, "microphone open");
        Ok(Self { rate_hz: config.sample_rate, channels: config.channels, samples, blocks, shared, _stream: stream })
    }

    fn next_block(&mut self) -> Option<(Block, Vec<f32>)> {
        let block = self.blocks.pop().ok()?;
        // The samples were put in before their block.
        let chunk = self.samples.read_chunk(block.samples).ok()?;
        let samples = chunk.into_iter().collect();
        Some((block, samples))
    }
}

struct Callback {
    samples: Producer<f32>,
    blocks: Producer<Block>,
    shared: Arc<Shared>,
    /// Before the last block.
    losses: Losses,
}

impl Callback {
    fn stream<S: SizedSample>(mut self, device: &Device, config: StreamConfig) -> Result<Stream, cpal::Error>
    where
        f32: FromSample<S>,
    {
        let shared = self.shared.clone();
        device.build_input_stream(
            config,
            move |data: &[S], info: &InputCallbackInfo| self.take(data, info),
            move |error| {
                // An overrun inside ALSA: the stream goes on, the stamps show the gap.
                match error.kind() {
                    cpal::ErrorKind::Xrun => drop(shared.overruns.fetch_add(1, Ordering::Relaxed)),
                    cpal::ErrorKind::DeviceChanged | cpal::ErrorKind::RealtimeDenied => {}
                    _ => shared.failed.store(true, Ordering::Relaxed),
                }
            },
            None,
        )
    }

    /// On the real-time thread.
    fn take<S: SizedSample>(&mut self, data: &[S], info: &InputCallbackInfo)
    where
        f32: FromSample<S>,
    {
        // cpal's instants count from the stream's creation: only their difference means something on our clock.
        let times = info.timestamp();
        let stamp = Nanos::monotonic() - times.callback.saturating_duration_since(times.capture);
        match self.samples.write_chunk_uninit(data.len()) {
            Ok(chunk) if !self.blocks.is_full() => {
                let samples = chunk.fill_from_iter(data.iter().map(|&s| f32::from_sample_(s)));
                let losses = self.shared.losses();
                let after_loss = losses != std::mem::replace(&mut self.losses, losses);
                // There is room, seen just above; nobody else writes.
                let _ = self.blocks.push(Block { stamp, samples, after_loss });
            }
            _ => drop(self.shared.dropped.fetch_add(data.len() as u64, Ordering::Relaxed)),
        }
    }
}

/// [`PERIOD`], or what comes nearest to it on this device.
fn buffer_size(rate_hz: u32, supported: &SupportedBufferSize) -> BufferSize {
    let wanted = (f64::from(rate_hz) * PERIOD.as_secs_f64()) as u32;
    match *supported {
        SupportedBufferSize::Range { min, max } => BufferSize::Fixed(wanted.max(min).min(max)),
        SupportedBufferSize::Unknown => BufferSize::Default,
    }
}

fn find(name: &str) -> anyhow::Result<Device> {
    let host = cpal::default_host();
    if name == "default" {
        return host.default_input_device().context("there is no capture device");
    }
    let label = |d: &Device| d.description().map(|d| d.name().to_owned()).unwrap_or_default();
    let id = |d: &Device| d.id().map(|i| i.id().to_owned()).unwrap_or_default();
    let mut known = Vec::new();
    for device in host.input_devices().context("listing the capture devices")? {
        if label(&device) == name || id(&device) == name {
            return Ok(device);
        }
        known.push(id(&device));
    }
    host.device_by_id(&DeviceId::new(host.id(), name))
        .with_context(|| format!("no capture device of this name; there are: {}", known.join(", ")))
}

/// Times of samples out of stamps of blocks: free of the stamps' jitter, following the drift of the device's clock.
struct SampleClock {
    ns_per_frame: f64,
    /// A frame, counted from the first, and its time.
    anchor: Option<(u64, f64)>,
    frames: u64,
}

impl SampleClock {
    fn new(rate_hz: u32) -> Self {
        Self { ns_per_frame: 1e9 / f64::from(rate_hz), anchor: None, frames: 0 }
    }

    /// What comes next has its own time: audio was lost before it.
    fn start_anew(&mut self) {
        self.anchor = None;
    }

    /// The next `frames` were captured from `stamp` on.
    fn block(&mut self, stamp: Nanos, frames: usize) {
        let stamp = stamp.0 as f64;
        let time = match self.anchor {
            None => stamp,
            Some((frame, time)) => {
                let expected = time + (self.frames - frame) as f64 * self.ns_per_frame;
                let off = stamp - expected;
                if off.abs() > LOST.as_nanos() as f64 { stamp } else { expected + off * DRIFT_SHARE }
            }
        };
        self.anchor = Some((self.frames, time));
        self.frames += frames as u64;
    }

    /// Time of a sample of the 16 kHz stream.
    fn time_of(&self, sample: u64) -> Nanos {
        let (frame, time) = self.anchor.unwrap_or_default();
        Nanos((time + sample as f64 * SAMPLE_NS as f64 - frame as f64 * self.ns_per_frame) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_of_stamps_is_smoothed_and_lost_samples_are_seen() {
        let mut clock = SampleClock::new(48_000);
        let start = 5_000_000_000u64;
        for block in 0..500u64 {
            let jitter = [0, 3_000_000, 1_000_000][block as usize % 3];
            clock.block(Nanos(start + block * 10_000_000 + jitter), 480);
        }
        let off = clock.time_of(16_000).0 as f64 - (start + 1_000_000_000) as f64;
        assert!(off.abs() < 3e6, "{off} ns");
        // A tenth of a second is missing: what follows is later by that.
        clock.block(Nanos(start + 5_100_000_000), 480);
        let off = clock.time_of(80_000).0 as f64 - (start + 5_100_000_000) as f64;
        assert!(off.abs() < 1e6, "{off} ns");
        // A loss that is known need not be long to be seen at once.
        clock.start_anew();
        clock.block(Nanos(start + 5_140_000_000), 480);
        let off = clock.time_of(80_160).0 as f64 - (start + 5_140_000_000) as f64;
        assert!(off.abs() < 1e5, "{off} ns");
    }

    #[test]
    fn the_buffer_is_as_long_as_wanted_where_the_device_can() {
        let range = |min, max| buffer_size(48_000, &SupportedBufferSize::Range { min, max });
        assert_eq!(range(16, 100_000), BufferSize::Fixed(960));
        assert_eq!(range(2048, 4096), BufferSize::Fixed(2048));
        assert_eq!(range(16, 512), BufferSize::Fixed(512));
        assert_eq!(buffer_size(48_000, &SupportedBufferSize::Unknown), BufferSize::Default);
    }

    #[test]
    fn a_device_that_is_not_there_is_an_error_that_names_what_there_is() {
        let e = match find("no such microphone") {
            Ok(device) => match device.default_input_config() {
                Ok(_) => panic!("a microphone of that name"),
                Err(e) => e.to_string(),
            },
            Err(e) => format!("{e:#}"),
        };
        assert!(!e.is_empty());
    }
}
