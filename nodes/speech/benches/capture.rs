//! Samples lost between ALSA and the node, over ten minutes of capture.
//!
//! The sound card is ALSA's `file` device on a pipe. The pipe is written in real time and holds as much as the buffer of a
//! real card (two periods): late reads lose samples, as with hardware. Everything behind the pipe is what runs in a car:
//! alsa-lib, cpal's thread, the ring, the resampler, the chunks. The signal is a slow rotation (cosine and sine in two
//! channels): its angle gives the number of samples that have passed, to a fraction of a sample.
//!
//!   cargo bench -p auriga-speech --bench capture -- --seconds 600 [--period-ms 20] [--buffer-ms 40]
//!
//! In a car the node has a real-time priority; `chrt -f 10 target/release/…` gives it one here.

use anyhow::{Context, bail, ensure};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use auriga_speech::input::{
    capture::{AudioSink, CaptureSettings, run},
    device::{self, Direction},
    front_end::{FrontEndSettings, resample::ChannelSelection},
};
use cpal::SampleFormat;
use std::{
    fs::{File, OpenOptions},
    io::Write,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::channel,
    },
    time::Duration,
};

/// Frequency of the rotation. A loss of up to its period is measured without ambiguity.
const ROTATION_HZ: f64 = 0.5;
/// Environment variable with the folder of the child's pipe and configuration.
const FOLDER: &str = "AURIGA_CAPTURE_BENCH";
const PCM: &str = "auriga_pipe";

struct Options {
    seconds: u64,
    period: Duration,
    buffer: Duration,
}

fn options() -> anyhow::Result<Options> {
    let mut options = Options { seconds: 10, period: Duration::from_millis(20), buffer: Duration::from_millis(40) };
    let mut words = std::env::args().skip(1).filter(|w| w != "--bench");
    while let Some(word) = words.next() {
        let mut value =
            || words.next().and_then(|v| v.parse().ok()).with_context(|| format!("{word}: a number is missing"));
        match word.as_str() {
            "--seconds" => options.seconds = value()?,
            "--period-ms" => options.period = Duration::from_millis(value()?),
            "--buffer-ms" => options.buffer = Duration::from_millis(value()?),
            other => bail!("{other}: expected --seconds, --period-ms or --buffer-ms"),
        }
    }
    Ok(options)
}

fn main() -> anyhow::Result<()> {
    let options = options()?;
    if let Some(folder) = std::env::var_os(FOLDER) {
        return measure(&PathBuf::from(folder), &options);
    }
    // ALSA reads its configuration once, from the environment at the start of the process: so a second process measures.
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("asound.conf");
    let pipe = folder.path().join("pipe");
    std::fs::write(
        &config,
        format!(
            "</usr/share/alsa/alsa.conf>\npcm.{PCM} {{ type file slave.pcm null file /dev/null infile {pipe:?} format raw }}\n"
        ),
    )?;
    ensure!(Command::new("mkfifo").arg(&pipe).status()?.success(), "mkfifo failed");
    let status = Command::new(std::env::current_exe()?)
        .args(std::env::args().skip(1))
        .env(FOLDER, folder.path())
        .env("ALSA_CONFIG_PATH", &config)
        .status()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// What arrived.
#[derive(Default)]
struct Received {
    samples: u64,
    /// Rotations since the first sample, unwrapped.
    rotations: f64,
    /// The last angle, in rotations.
    angle: Option<f64>,
    /// Chunks that do not follow the one before.
    gaps: u64,
    next_stamp: Option<u64>,
    oldest: Duration,
    faults: Vec<String>,
}

#[derive(Default)]
struct Sink {
    received: Mutex<Received>,
}

impl AudioSink for &Sink {
    fn stopping(&self) -> bool {
        false
    }
    fn send_audio(&self, chunk: v1::AudioChunk) {
        let Ok(mut received) = self.received.lock() else { return };
        let stamp = chunk.header.map_or(0, |h| h.stamp_ns);
        if received.next_stamp.is_some_and(|next| stamp > next + 5_000_000) {
            received.gaps += 1;
        }
        received.next_stamp = Some(stamp + chunk.pcm_s16le.len() as u64 / 4 * 62_500);
        received.oldest = received.oldest.max(Nanos::monotonic().since(Nanos(stamp)));
        for frame in chunk.pcm_s16le.chunks_exact(4) {
            let cosine = f64::from(i16::from_le_bytes([frame[0], frame[1]]));
            let sine = f64::from(i16::from_le_bytes([frame[2], frame[3]]));
            // The filter's first samples are silence.
            if cosine.hypot(sine) < 8_000.0 {
                continue;
            }
            let angle = sine.atan2(cosine) / std::f64::consts::TAU;
            if let Some(before) = received.angle {
                received.rotations += (angle - before).rem_euclid(1.0);
                received.samples += 1;
            }
            received.angle = Some(angle);
        }
    }
    fn fault(&self, _: v1::Severity, code: &'static str, _: &str, text: String) {
        if let Ok(mut received) = self.received.lock() {
            received.faults.push(format!("{code}: {text}"));
        }
    }
    fn standing_fault(&self, severity: v1::Severity, code: &'static str, subject: &str, text: String) {
        self.fault(severity, code, subject, text);
    }
    fn clear_fault(&self, _: &'static str, _: &str) {}
}

fn measure(folder: &Path, options: &Options) -> anyhow::Result<()> {
    // ALSA opens the pipe to read and waits for a writer: there is one from now on.
    let pipe = OpenOptions::new().read(true).write(true).open(folder.join("pipe"))?;
    let format = device::capture_format(&device::find(PCM, Direction::Capture)?, 2, options.period)?;
    let (rate, channels) = (format.config.sample_rate, format.config.channels);
    let sink = Arc::new(Sink::default());
    let dropped = AtomicU64::new(0);
    let (_to_capture, echo_references) = channel();
    let settings = CaptureSettings {
        device: PCM.into(),
        channels: ChannelSelection::Seats { driver: 0, passenger: 1 },
        front_end: FrontEndSettings { echo: false, noise: false },
        period: options.period,
        echo_references,
    };
    println!("{rate} Hz, {channels} channels, {:?}, {} s", format.sample, options.seconds);
    let thread_sink = sink.clone();
    std::thread::spawn(move || run(&settings, &thread_sink.as_ref()));
    let mut card = Card { pipe, rate, channels, sample: format.sample, period: options.period, buffer: options.buffer };
    let sent = card.play(options.seconds, &dropped)?;
    let received = sink.received.lock().map_err(|_| anyhow::anyhow!("a thread panicked"))?;
    // The last bit of 16 blurs the angle by about a sample.
    let passed = received.rotations / ROTATION_HZ * 16_000.0;
    let lost = (passed - received.samples as f64).round().max(0.0);
    println!("sent by the card          {sent:>12} samples");
    println!("overwritten in the card   {:>12} samples", dropped.load(Ordering::Relaxed));
    println!("received (at 16 kHz)      {:>12} samples in {} s", received.samples, received.samples / 16_000);
    println!("lost (at 16 kHz)          {lost:>12} samples");
    println!("chunks after a gap        {:>12}", received.gaps);
    println!("oldest sample of a chunk  {:>12.1} ms", received.oldest.as_secs_f64() * 1e3);
    for fault in &received.faults {
        println!("fault: {fault}");
    }
    // A stream on a pipe does not end: cpal's thread waits in alsa-lib for more.
    std::process::exit(0)
}

/// A sound card: writes in real time and never waits for the reader.
struct Card {
    pipe: File,
    rate: u32,
    channels: u16,
    sample: SampleFormat,
    period: Duration,
    buffer: Duration,
}

impl Card {
    fn play(&mut self, seconds: u64, dropped: &AtomicU64) -> anyhow::Result<u64> {
        let frame_bytes = self.sample.sample_size() * usize::from(self.channels);
        let frames = |time: Duration| (f64::from(self.rate) * time.as_secs_f64()) as u64;
        let (period, buffer) = (frames(self.period), frames(self.buffer));
        // SAFETY: plain system calls on a descriptor that lives through them; `queued` is the int that FIONREAD fills.
        let queued = |pipe: &File| unsafe {
            let mut queued: libc::c_int = 0;
            libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &mut queued);
            queued as u64 / frame_bytes as u64
        };
        // SAFETY: as above. The pipe itself never fills up: the size of the card's buffer is enforced below.
        unsafe { libc::fcntl(self.pipe.as_raw_fd(), libc::F_SETPIPE_SZ, 1 << 20) };
        println!("periods of {period} frames, {buffer} in the card's buffer");
        let began = Nanos::monotonic();
        let (mut sent, total) = (0u64, seconds * u64::from(self.rate));
        let mut bytes = Vec::new();
        while sent < total {
            let due = (Nanos::monotonic().since(began).as_secs_f64() * f64::from(self.rate)) as u64;
            while sent + period <= due {
                bytes.clear();
                (sent..sent + period).for_each(|frame| self.frame(frame, &mut bytes));
                // alsa-lib would take a partial period for a complete one: the card writes complete periods or drops them.
                if queued(&self.pipe) + period <= buffer {
                    self.pipe.write_all(&bytes)?;
                } else {
                    dropped.fetch_add(period, Ordering::Relaxed);
                }
                sent += period;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        // The capture thread still reads what is in the pipe.
        std::thread::sleep(Duration::from_millis(500));
        Ok(sent)
    }

    fn frame(&self, index: u64, bytes: &mut Vec<u8>) {
        let angle = index as f64 / f64::from(self.rate) * ROTATION_HZ * std::f64::consts::TAU;
        for value in [angle.cos(), angle.sin()] {
            let value = value * 0.8;
            match self.sample {
                SampleFormat::F32 => bytes.extend((value as f32).to_ne_bytes()),
                SampleFormat::I16 => bytes.extend(((value * 32_767.0) as i16).to_ne_bytes()),
                SampleFormat::I32 => bytes.extend(((value * 2_147_483_647.0) as i32).to_ne_bytes()),
                _ => bytes.extend(std::iter::repeat_n(0, self.sample.sample_size())),
            }
        }
        bytes.resize(bytes.len() + self.sample.sample_size() * usize::from(self.channels.saturating_sub(2)), 0);
    }
}
