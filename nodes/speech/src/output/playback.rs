//! Our own loudspeaker, by `cpal`: what is to be played lies in a ring, and what was played goes back on a tape, as the
//! echo canceller's reference.

use crate::{
    input::device,
    input::ring::{Counts, Reader, Writer, tape},
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

/// Speech that may wait to be played: more than a sentence, and the next is synthesised while this one is heard.
const QUEUE: Duration = Duration::from_secs(20);
/// What is cut off fades out so fast: no click.
const FADE: Duration = Duration::from_millis(5);

/// Tells the callback from anywhere to be silent.
#[derive(Debug, Default)]
pub struct Gate {
    silent: AtomicBool,
    /// Nothing is heard, and nothing is lost.
    held: AtomicBool,
    /// Samples up to this one, counted from the first ever queued, are not to be played.
    cut: AtomicU64,
}

impl Gate {
    /// From now on nothing is heard, until [`Feed::open`].
    pub fn shut(&self) {
        self.silent.store(true, Ordering::Release);
    }

    /// From now on nothing is heard, or it goes on where it was.
    pub fn hold(&self, hold: bool) {
        self.held.store(hold, Ordering::Release);
    }
}

/// Where samples are queued.
pub struct Feed {
    queue: Producer<f32>,
    queued: u64,
    gate: Arc<Gate>,
}

impl Feed {
    /// Queues as many of the samples as there is room for and says how many.
    pub fn push(&mut self, samples: &[f32]) -> usize {
        let count = samples.len().min(self.queue.slots());
        if let Ok(chunk) = self.queue.write_chunk_uninit(count) {
            chunk.fill_from_iter(samples.iter().copied());
            self.queued += count as u64;
        }
        count
    }

    /// Whether all that was queued has been handed to the device.
    pub fn is_empty(&self) -> bool {
        self.queue.slots() == self.queue.buffer().capacity()
    }

    /// What is queued is never heard; what is queued from now on is.
    pub fn open(&mut self) {
        self.gate.cut.store(self.queued, Ordering::Release);
        self.gate.silent.store(false, Ordering::Release);
    }
}

/// The callback's part: neither waits nor allocates.
pub struct Line {
    queue: Consumer<f32>,
    taken: u64,
    gate: Arc<Gate>,
    channels: usize,
    gain: f32,
    fade: f32,
    played: Writer,
}

/// Queue and callback of a loudspeaker, and the tape with one channel of what it plays.
pub fn line(rate_hz: u32, channels: u16, gate: Arc<Gate>) -> (Feed, Line, Reader) {
    let of = |time: Duration| (f64::from(rate_hz) * time.as_secs_f64()) as usize;
    let (to_queue, queue) = RingBuffer::new(of(QUEUE));
    let (played, reference) = tape(of(Duration::from_secs(2)));
    let fade = 1.0 / of(FADE).max(1) as f32;
    // What was cut from another line is none of this one's.
    gate.cut.store(0, Ordering::Release);
    gate.silent.store(false, Ordering::Release);
    let line = Line { queue, taken: 0, gate: gate.clone(), channels: channels.max(1).into(), gain: 1.0, fade, played };
    (Feed { queue: to_queue, queued: 0, gate }, line, reference)
}

impl Line {
    /// Fills interleaved frames, the first of which is heard at `stamp`.
    pub fn fill<S: SizedSample + FromSample<f32>>(&mut self, frames: &mut [S], stamp: Nanos)
    where
        f32: FromSample<S>,
    {
        for frame in frames.chunks_exact_mut(self.channels) {
            let sample = self.next();
            frame.fill(S::from_sample_(sample));
        }
        let first = frames.iter().step_by(self.channels);
        self.played.write(stamp, first.map(|&s| f32::from_sample_(s)));
    }

    fn next(&mut self) -> f32 {
        let silent = self.gate.silent.load(Ordering::Acquire);
        let cutting = silent || self.taken < self.gate.cut.load(Ordering::Acquire);
        let fades = cutting || self.gate.held.load(Ordering::Acquire);
        self.gain = (self.gain + if fades { -self.fade } else { self.fade }).clamp(0.0, 1.0);
        if fades && self.gain == 0.0 {
            if cutting {
                self.drop_queued(silent);
            }
            if silent || !cutting {
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

    fn drop_queued(&mut self, all: bool) {
        let behind = self.gate.cut.load(Ordering::Acquire).saturating_sub(self.taken);
        let there = self.queue.slots();
        let count = if all { there } else { there.min(usize::try_from(behind).unwrap_or(usize::MAX)) };
        if let Ok(chunk) = self.queue.read_chunk(count) {
            chunk.commit_all();
            self.taken += count as u64;
        }
    }
}

/// A device that plays.
pub struct Loudspeaker {
    pub feed: Feed,
    pub rate_hz: u32,
    counts: Arc<Counts>,
    /// Times that the device ran empty, as told before.
    told: u64,
    /// Playing ends when it is dropped.
    _stream: Stream,
}

impl Loudspeaker {
    /// Opens the device of this name, and gives the tape of what it plays. `period` is what the device asks for at once;
    /// twice that lies in its own buffer, and is still heard after a stop.
    pub fn open(name: &str, period: Duration, gate: Arc<Gate>) -> anyhow::Result<(Self, Reader)> {
        let device = device::find(name, device::Direction::Playback)?;
        let device::Format { config, sample } = device::playback_format(&device, period)?;
        let (feed, line, reference) = line(config.sample_rate, config.channels, gate);
        let counts = line.played.counts();
        let stream = match sample {
            SampleFormat::I8 => line.stream::<i8>(&device, config),
            SampleFormat::U8 => line.stream::<u8>(&device, config),
            SampleFormat::I16 => line.stream::<i16>(&device, config),
            SampleFormat::U16 => line.stream::<u16>(&device, config),
            SampleFormat::I32 => line.stream::<i32>(&device, config),
            SampleFormat::U32 => line.stream::<u32>(&device, config),
            SampleFormat::F32 => line.stream::<f32>(&device, config),
            SampleFormat::F64 => line.stream::<f64>(&device, config),
            other => bail!("its sample format {other} is not supported; choose a plughw: device, which converts"),
        }
        .context("opening the device")?;
        stream.play().context("starting the device")?;
        tracing::info!(device = name, rate_hz = config.sample_rate, channels = config.channels, "loudspeaker open");
        Ok((Self { feed, rate_hz: config.sample_rate, counts, told: 0, _stream: stream }, reference))
    }

    /// Whether the device is gone.
    pub fn lost(&self) -> bool {
        self.counts.failed.load(Ordering::Relaxed)
    }

    /// How often the device has run empty since this was asked last: pauses within what it plays.
    pub fn underruns(&mut self) -> u64 {
        let all = self.counts.losses().xruns;
        all - std::mem::replace(&mut self.told, all)
    }
}

impl Line {
    fn stream<S: SizedSample + FromSample<f32>>(
        mut self,
        device: &Device,
        config: StreamConfig,
    ) -> Result<Stream, cpal::Error>
    where
        f32: FromSample<S>,
    {
        let counts = self.played.counts();
        device.build_output_stream(
            config,
            move |frames: &mut [S], info: &OutputCallbackInfo| {
                // cpal's instants count from the stream's creation: only their difference means something on our clock.
                let times = info.timestamp();
                let heard = Nanos::monotonic() + times.playback.saturating_duration_since(times.callback);
                self.fill(frames, heard);
            },
            move |error| counts.error(&error),
            None,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 16_000;

    fn heard(line: &mut Line, frames: usize) -> Vec<f32> {
        let mut block = vec![0.0f32; frames * 2];
        line.fill(&mut block, Nanos::ZERO);
        assert!(block.chunks_exact(2).all(|f| f[0] == f[1]), "both channels have it");
        block.into_iter().step_by(2).collect()
    }

    #[test]
    fn what_is_queued_is_heard_once_and_in_order_and_stands_on_the_tape() {
        let (mut feed, mut line, mut tape) = line(RATE, 2, Arc::default());
        let ramp: Vec<f32> = (1..=250).map(|i| i as f32 / 1000.0).collect();
        assert_eq!(feed.push(&ramp), 250);
        let mut all = Vec::new();
        (0..3).for_each(|_| all.extend(heard(&mut line, 100)));
        assert_eq!((&all[..250], &all[250..]), (&ramp[..], &[0.0; 50][..]));
        assert!(feed.is_empty());
        let (mut block, mut taped) = (Vec::new(), Vec::new());
        while tape.read(&mut block).is_some() {
            taped.extend_from_slice(&block);
        }
        assert_eq!(taped, all);
    }

    #[test]
    fn what_is_held_goes_on_where_it_was() {
        let gate = Arc::new(Gate::default());
        let (mut feed, mut line, _tape) = line(RATE, 2, gate.clone());
        let ramp: Vec<f32> = (1..=1000).map(|i| i as f32 / 1000.0).collect();
        feed.push(&ramp);
        assert_eq!(heard(&mut line, 100), ramp[..100]);
        gate.hold(true);
        assert_eq!(heard(&mut line, 200)[80..], [0.0; 120], "silent after the fade of 80 samples");
        gate.hold(false);
        let after = heard(&mut line, 200);
        let on = ramp.iter().position(|&s| s == after[199]).unwrap();
        assert!((370..=380).contains(&on), "only the fades lie between: {on}");
    }

    #[test]
    fn a_shut_gate_silences_within_the_fade_and_an_opened_one_forgets_what_was_queued() {
        let gate = Arc::new(Gate::default());
        let (mut feed, mut line, _tape) = line(RATE, 2, gate.clone());
        feed.push(&[0.5; 4000]);
        assert_eq!(heard(&mut line, 100), [0.5; 100]);
        gate.shut();
        let after = heard(&mut line, 100);
        let last = after.iter().rposition(|&s| s != 0.0).unwrap();
        assert!(last < 80, "5 ms of fade are 80 samples: {last}");
        assert!(after[..=last].windows(2).all(|w| w[0] >= w[1]), "it fades");
        // Until it is opened what is still queued by a busy thread is silent, too.
        feed.push(&[0.5; 500]);
        assert_eq!(heard(&mut line, 100), [0.0; 100]);
        feed.push(&[0.5; 500]);
        feed.open();
        feed.push(&[0.25; 50]);
        assert_eq!(heard(&mut line, 100)[..50], [0.25; 50], "the new sentence is whole");
    }
}
