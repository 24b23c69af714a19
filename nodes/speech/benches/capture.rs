//! Ten minutes of a microphone: how many samples are lost on the way from ALSA to the node?
//!
//! The sound card is ALSA's own `file` device on a pipe that is written at the pace of a clock and holds as much as the
//! buffer of a real card (two periods): whoever reads too late loses samples, as with hardware. Everything behind the
//! pipe is what runs in a car: alsa-lib, cpal's thread, the tape, the resampler, the chunks. The sound is a slow circle
//! (sine and cosine in two channels): its angle tells, to a fraction of a sample, how many samples have gone by.
//!
//!   cargo bench -p auriga-speech --bench capture -- --seconds 600 [--period-ms 20] [--buffer-ms 40]
//!
//! In a car the node has a real-time priority; `chrt -f 10 target/release/…` gives it one here.

use anyhow::{Context, bail, ensure};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use auriga_speech::{
    input::capture::{Ear, Source, run},
    input::device::{self, Direction},
    input::front_end::Cleaning,
    input::front_end::resample::Listen,
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

/// Turns of the circle in a second: losses of up to a second are told apart.
const TURNS_HZ: f64 = 0.5;
/// Which folder the child finds its pipe and configuration in.
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
    // ALSA reads its configuration once, from the environment the process began with: so there is a second process.
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
struct Heard {
    samples: u64,
    /// Of the circle, unwrapped, since the first sample; and the last angle.
    turns: f64,
    angle: Option<f64>,
    /// Chunks later than those before by more than their length.
    gaps: u64,
    next_stamp: Option<u64>,
    oldest: Duration,
    faults: Vec<String>,
}

#[derive(Default)]
struct Ears {
    heard: Mutex<Heard>,
}

impl Ear for &Ears {
    fn stopping(&self) -> bool {
        false
    }
    fn hear(&self, chunk: v1::AudioChunk) {
        let Ok(mut heard) = self.heard.lock() else { return };
        let stamp = chunk.header.map_or(0, |h| h.stamp_ns);
        if heard.next_stamp.is_some_and(|next| stamp > next + 5_000_000) {
            heard.gaps += 1;
        }
        heard.next_stamp = Some(stamp + chunk.pcm_s16le.len() as u64 / 4 * 62_500);
        heard.oldest = heard.oldest.max(Nanos::monotonic().since(Nanos(stamp)));
        for frame in chunk.pcm_s16le.chunks_exact(4) {
            let cosine = f64::from(i16::from_le_bytes([frame[0], frame[1]]));
            let sine = f64::from(i16::from_le_bytes([frame[2], frame[3]]));
            // The filter's first samples are silence.
            if cosine.hypot(sine) < 8_000.0 {
                continue;
            }
            let angle = sine.atan2(cosine) / std::f64::consts::TAU;
            if let Some(before) = heard.angle {
                heard.turns += (angle - before).rem_euclid(1.0);
                heard.samples += 1;
            }
            heard.angle = Some(angle);
        }
    }
    fn fault(&self, _: v1::Severity, code: &'static str, _: &str, text: String) {
        if let Ok(mut heard) = self.heard.lock() {
            heard.faults.push(format!("{code}: {text}"));
        }
    }
}

fn measure(folder: &Path, options: &Options) -> anyhow::Result<()> {
    // ALSA opens the pipe to read and waits for a writer: there is one from now on.
    let pipe = OpenOptions::new().read(true).write(true).open(folder.join("pipe"))?;
    let format = device::capture_format(&device::find(PCM, Direction::Capture)?, 2, options.period)?;
    let (rate, channels) = (format.config.sample_rate, format.config.channels);
    let ears = Arc::new(Ears::default());
    let dropped = AtomicU64::new(0);
    let (_to_source, references) = channel();
    let source = Source {
        device: PCM.into(),
        listen: Listen::Seats { driver: 0, passenger: 1 },
        cleaning: Cleaning { echo: false, noise: false },
        period: options.period,
        references,
    };
    println!("{rate} Hz, {channels} channels, {:?}, {} s", format.sample, options.seconds);
    let listening = ears.clone();
    std::thread::spawn(move || run(&source, &listening.as_ref()));
    let mut card = Card { pipe, rate, channels, sample: format.sample, period: options.period, buffer: options.buffer };
    let sent = card.play(options.seconds, &dropped)?;
    let heard = ears.heard.lock().map_err(|_| anyhow::anyhow!("a thread panicked"))?;
    // The last bit of 16 blurs the angle by about a sample.
    let gone_by = heard.turns / TURNS_HZ * 16_000.0;
    let lost = (gone_by - heard.samples as f64).round().max(0.0);
    println!("sent by the card          {sent:>12} samples");
    println!("overwritten in the card   {:>12} samples", dropped.load(Ordering::Relaxed));
    println!("heard (at 16 kHz)         {:>12} samples in {} s", heard.samples, heard.samples / 16_000);
    println!("lost (at 16 kHz)          {lost:>12} samples");
    println!("chunks out of time        {:>12}", heard.gaps);
    println!("oldest sample of a chunk  {:>12.1} ms", heard.oldest.as_secs_f64() * 1e3);
    for fault in &heard.faults {
        println!("fault: {fault}");
    }
    // A stream on a pipe does not end: cpal's thread waits in alsa-lib for more.
    std::process::exit(0)
}

/// A sound card: writes at the pace of the clock, waits for nobody.
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
        // SAFETY: as above. The pipe itself never fills up: how much the card holds is counted below.
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
                // alsa-lib takes a part of a period for the whole: the card hands over whole ones, or overwrites them.
                if queued(&self.pipe) + period <= buffer {
                    self.pipe.write_all(&bytes)?;
                } else {
                    dropped.fetch_add(period, Ordering::Relaxed);
                }
                sent += period;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        // What lies in the pipe is still heard.
        std::thread::sleep(Duration::from_millis(500));
        Ok(sent)
    }

    fn frame(&self, index: u64, bytes: &mut Vec<u8>) {
        let angle = index as f64 / f64::from(self.rate) * TURNS_HZ * std::f64::consts::TAU;
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
