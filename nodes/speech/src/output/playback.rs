//! Playback to a loudspeaker by `cpal`. Speech is queued in a ring; the samples that were played go into another ring, as
//! the echo canceller's reference.

use crate::input::{
    device,
    ring::{Counters, RingReader, RingWriter, ring},
};
use anyhow::{Context, bail};
use auriga_runtime::Nanos;
use cpal::{
    Device, FromSample, OutputCallbackInfo, SampleFormat, SizedSample, Stream, StreamConfig,
    traits::{DeviceTrait, StreamTrait},
};
use rtrb::{Consumer, Producer, RingBuffer};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// Speech that may be queued: more than a sentence, so that the next is synthesised while one is played.
const QUEUE: Duration = Duration::from_secs(20);
/// Duration of the fade at a stop; without it there is a click.
const FADE: Duration = Duration::from_millis(5);

/// Mutes the playback callback from any thread.
#[derive(Debug, Default)]
pub struct PlaybackGate {
    /// Silent, and what is queued is dropped.
    muted: AtomicBool,
    /// Silent, and what is queued is kept.
    paused: AtomicBool,
    /// Samples before this one, counted from the first ever queued, are dropped.
    discard_until: AtomicU64,
}

impl PlaybackGate {
    /// Goes silent until [`PlaybackQueue::discard_and_unmute`].
    pub fn mute(&self) {
        self.muted.store(true, Ordering::Release);
    }

    /// Pauses, or continues where it was.
    pub fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Release);
    }
}

/// The queue of samples to play.
pub struct PlaybackQueue {
    queue: Producer<f32>,
    queued: u64,
    gate: Arc<PlaybackGate>,
}

impl PlaybackQueue {
    /// Queues as many of the samples as fit. Returns their number.
    pub fn push(&mut self, samples: &[f32]) -> usize {
        let count = samples.len().min(self.queue.slots());
        if let Ok(chunk) = self.queue.write_chunk_uninit(count) {
            chunk.fill_from_iter(samples.iter().copied());
            self.queued += count as u64;
        }
        count
    }

    /// Whether everything queued has been handed to the device.
    pub fn is_empty(&self) -> bool {
        self.queue.slots() == self.queue.buffer().capacity()
    }

    /// Drops everything queued until now; what is queued from now on is played.
    pub fn discard_and_unmute(&mut self) {
        self.gate.discard_until.store(self.queued, Ordering::Release);
        self.gate.muted.store(false, Ordering::Release);
    }
}

/// The callback's side of the queue. Neither waits nor allocates.
pub struct Renderer {
    queue: Consumer<f32>,
    taken: u64,
    gate: Arc<PlaybackGate>,
    channels: usize,
    gain: f32,
    fade: f32,
    reference: RingWriter,
}

/// Queue and renderer for a loudspeaker of this rate (Hz), and the ring with one channel of what it plays.
pub fn playback_queue(rate_hz: u32, channels: u16, gate: Arc<PlaybackGate>) -> (PlaybackQueue, Renderer, RingReader) {
    let samples = |time: Duration| (f64::from(rate_hz) * time.as_secs_f64()) as usize;
    let (to_queue, queue) = RingBuffer::new(samples(QUEUE));
    let (reference, reference_reader) = ring(samples(Duration::from_secs(2)));
    let fade = 1.0 / samples(FADE).max(1) as f32;
    // The gate may have been used with another queue.
    gate.discard_until.store(0, Ordering::Release);
    gate.muted.store(false, Ordering::Release);
    let channels = channels.max(1).into();
    let renderer = Renderer { queue, taken: 0, gate: gate.clone(), channels, gain: 1.0, fade, reference };
    (PlaybackQueue { queue: to_queue, queued: 0, gate }, renderer, reference_reader)
}

impl Renderer {
    /// Fills interleaved frames, the first of which is played at `stamp`.
    pub fn render<S: SizedSample + FromSample<f32>>(&mut self, frames: &mut [S], stamp: Nanos)
    where
        f32: FromSample<S>,
    {
        for frame in frames.chunks_exact_mut(self.channels) {
            let sample = self.next();
            frame.fill(S::from_sample_(sample));
        }
        let first = frames.iter().step_by(self.channels);
        self.reference.write(stamp, first.map(|&s| f32::from_sample_(s)));
    }

    fn next(&mut self) -> f32 {
        let muted = self.gate.muted.load(Ordering::Acquire);
        let discarding = muted || self.taken < self.gate.discard_until.load(Ordering::Acquire);
        let silent = discarding || self.gate.paused.load(Ordering::Acquire);
        self.gain = (self.gain + if silent { -self.fade } else { self.fade }).clamp(0.0, 1.0);
        if silent && self.gain == 0.0 {
            if discarding {
                self.discard(muted);
            }
            if muted || !discarding {
                return 0.0;
            }
            self.gain = 1.0;
        }
        match self.queue.pop() {
            Ok(sample) => {
                self.taken += 1;
                sample * self.gain
            }
            Err(_) => 0.0,
        }
    }

    fn discard(&mut self, all: bool) {
        let behind = self.gate.discard_until.load(Ordering::Acquire).saturating_sub(self.taken);
        let queued = self.queue.slots();
        let count = if all { queued } else { queued.min(usize::try_from(behind).unwrap_or(usize::MAX)) };
        if let Ok(chunk) = self.queue.read_chunk(count) {
            chunk.commit_all();
            self.taken += count as u64;
        }
    }
}

/// An open playback device.
pub struct Loudspeaker {
    /// Where speech is queued.
    pub queue: PlaybackQueue,
    /// Its sample rate in Hz.
    pub rate_hz: u32,
    counters: Arc<Counters>,
    /// Underruns returned by [`Loudspeaker::take_underruns`] so far.
    underruns_taken: u64,
    /// Playback ends when this is dropped.
    _stream: Stream,
}

impl Loudspeaker {
    /// Opens the device of this name. Returns it with the ring of what it plays. The device's own buffer holds two of
    /// `period`, which are still played after a stop.
    ///
    /// # Errors
    /// When the device does not exist or cannot be opened.
    pub fn open(name: &str, period: Duration, gate: Arc<PlaybackGate>) -> anyhow::Result<(Self, RingReader)> {
        let device = device::find(name, device::Direction::Playback)?;
        let device::Format { config, sample } = device::playback_format(&device, period)?;
        let (queue, renderer, reference) = playback_queue(config.sample_rate, config.channels, gate);
        let counters = renderer.reference.counters();
        let stream = match sample {
            SampleFormat::I8 => renderer.stream::<i8>(&device, config),
            SampleFormat::U8 => renderer.stream::<u8>(&device, config),
            SampleFormat::I16 => renderer.stream::<i16>(&device, config),
            SampleFormat::U16 => renderer.stream::<u16>(&device, config),
            SampleFormat::I32 => renderer.stream::<i32>(&device, config),
            SampleFormat::U32 => renderer.stream::<u32>(&device, config),
            SampleFormat::F32 => renderer.stream::<f32>(&device, config),
            SampleFormat::F64 => renderer.stream::<f64>(&device, config),
            other => bail!("its sample format {other} is not supported; choose a plughw: device, which converts"),
        }
        .context("opening the device")?;
        stream.play().context("starting the device")?;
        tracing::info!(device = name, rate_hz = config.sample_rate, channels = config.channels, "loudspeaker open");
        Ok((Self { queue, rate_hz: config.sample_rate, counters, underruns_taken: 0, _stream: stream }, reference))
    }

    /// Whether the device is gone.
    pub fn is_lost(&self) -> bool {
        self.counters.failed.load(Ordering::Relaxed)
    }

    /// Underruns of the device since the last call: gaps in what it played.
    pub fn take_underruns(&mut self) -> u64 {
        let all = self.counters.losses().xruns;
        all - std::mem::replace(&mut self.underruns_taken, all)
    }
}

impl Renderer {
    fn stream<S: SizedSample + FromSample<f32>>(
        mut self,
        device: &Device,
        config: StreamConfig,
    ) -> Result<Stream, cpal::Error>
    where
        f32: FromSample<S>,
    {
        let counters = self.reference.counters();
        device.build_output_stream(
            config,
            move |frames: &mut [S], info: &OutputCallbackInfo| {
                // cpal's instants count from the stream's creation: only their difference can be used with the monotonic
                // clock.
                let times = info.timestamp();
                let played_at = Nanos::monotonic() + times.playback.saturating_duration_since(times.callback);
                self.render(frames, played_at);
            },
            move |error| counters.record_error(&error),
            None,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 16_000;

    fn rendered(renderer: &mut Renderer, frames: usize) -> Vec<f32> {
        let mut block = vec![0.0f32; frames * 2];
        renderer.render(&mut block, Nanos::ZERO);
        assert!(block.chunks_exact(2).all(|f| f[0] == f[1]), "both channels are equal");
        block.into_iter().step_by(2).collect()
    }

    #[test]
    fn queued_samples_are_played_in_order_and_copied_to_the_reference() {
        let (mut queue, mut renderer, mut reference) = playback_queue(RATE, 2, Arc::default());
        let ramp: Vec<f32> = (1..=250).map(|i| i as f32 / 1000.0).collect();
        assert_eq!(queue.push(&ramp), 250);
        let mut all = Vec::new();
        (0..3).for_each(|_| all.extend(rendered(&mut renderer, 100)));
        assert_eq!((&all[..250], &all[250..]), (&ramp[..], &[0.0; 50][..]));
        assert!(queue.is_empty());
        let (mut block, mut recorded) = (Vec::new(), Vec::new());
        while reference.read(&mut block).is_some() {
            recorded.extend_from_slice(&block);
        }
        assert_eq!(recorded, all);
    }

    #[test]
    fn playback_continues_after_a_pause_where_it_was() {
        let gate = Arc::new(PlaybackGate::default());
        let (mut queue, mut renderer, _reference) = playback_queue(RATE, 2, gate.clone());
        let ramp: Vec<f32> = (1..=1000).map(|i| i as f32 / 1000.0).collect();
        queue.push(&ramp);
        assert_eq!(rendered(&mut renderer, 100), ramp[..100]);
        gate.set_paused(true);
        assert_eq!(rendered(&mut renderer, 200)[80..], [0.0; 120], "silent after the fade of 80 samples");
        gate.set_paused(false);
        let after = rendered(&mut renderer, 200);
        let on = ramp.iter().position(|&s| s == after[199]).unwrap();
        assert!((370..=380).contains(&on), "only the fades are lost: {on}");
    }

    #[test]
    fn muting_fades_out_within_5_ms_and_drops_the_queue() {
        let gate = Arc::new(PlaybackGate::default());
        let (mut queue, mut renderer, _reference) = playback_queue(RATE, 2, gate.clone());
        queue.push(&[0.5; 4000]);
        assert_eq!(rendered(&mut renderer, 100), [0.5; 100]);
        gate.mute();
        let after = rendered(&mut renderer, 100);
        let last = after.iter().rposition(|&s| s != 0.0).unwrap();
        assert!(last < 80, "5 ms of fade are 80 samples: {last}");
        assert!(after[..=last].windows(2).all(|w| w[0] >= w[1]), "it fades");
        // While muted, what another thread still queues is silent, too.
        queue.push(&[0.5; 500]);
        assert_eq!(rendered(&mut renderer, 100), [0.0; 100]);
        queue.push(&[0.5; 500]);
        queue.discard_and_unmute();
        queue.push(&[0.25; 50]);
        assert_eq!(rendered(&mut renderer, 100)[..50], [0.25; 50], "the new sentence is complete");
    }
}
