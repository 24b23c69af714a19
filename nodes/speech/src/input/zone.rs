//! The seat of the speaker, from two microphones.
//!
//! The nearer microphone receives a voice louder and earlier. Estimated over the utterance: the difference in level, and
//! the difference in time of arrival by generalised cross-correlation with phase transform (GCC-PHAT). Knapp and Carter,
//! "The generalized correlation method for estimation of time delay", 1976.

use crate::input::{
    audio::{SAMPLE_NS, SAMPLE_RATE_HZ, duration},
    front_end::resample::ChannelSelection,
};
use anyhow::{Context, ensure};
use auriga_msgs::v1::SpeakerZone;
use auriga_runtime::Nanos;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex};
use serde::Deserialize;
use std::{collections::VecDeque, path::Path, sync::Arc, time::Duration};

/// Length of a window, 64 ms: several periods of a voice. They overlap by half.
const WINDOW: usize = 1024;
/// Windows below this share of the loudest one's power (-20 dB) are pauses: they hold reverberation.
const PAUSE: f32 = 0.01;
const SPEED_OF_SOUND_MPS: f64 = 343.0;
/// Band of a voice. Below it the car rumbles, above it a voice has little power.
const BAND_HZ: (usize, usize) = (200, 4_000);
/// History kept. A turn may be longer (`longest_turn_s`); then its last part is used.
const HISTORY: Duration = Duration::from_secs(30);

/// `microphone.toml` of a vehicle's calibration.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Microphones {
    /// Channel of the microphone nearer to the driver, counted from 0.
    pub driver_channel: u16,
    /// Channel of the microphone nearer to the passenger, counted from 0.
    pub passenger_channel: u16,
    /// Distance between the two microphones, in m.
    pub spacing_m: f64,
    /// Level of the driver's channel above the passenger's for a sound from the middle, in dB.
    pub driver_louder_db: f32,
    /// Least difference in level that decides for a seat, in dB.
    pub level_db: f32,
    /// Least difference in time of arrival that decides for a seat, in µs.
    pub delay_us: f64,
}

impl Microphones {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// When it cannot be read or a value is out of range; the text names file and key.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("microphones {}", path.display()))?;
        let read: Self = toml::from_str(&text).with_context(|| format!("microphones {}", path.display()))?;
        read.check().with_context(|| format!("microphones {}", path.display()))?;
        Ok(read)
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.driver_channel != self.passenger_channel && self.driver_channel.max(self.passenger_channel) < 64,
            "expected two different channels below 64, found {} and {}",
            self.driver_channel,
            self.passenger_channel
        );
        ensure!((0.02..=3.0).contains(&self.spacing_m), "spacing_m = {}: expected 0.02 to 3", self.spacing_m);
        ensure!(
            (-40.0..=40.0).contains(&self.driver_louder_db),
            "driver_louder_db = {}: expected -40 to 40",
            self.driver_louder_db
        );
        ensure!((0.5..=40.0).contains(&self.level_db), "level_db = {}: expected 0.5 to 40", self.level_db);
        ensure!((20.0..=5000.0).contains(&self.delay_us), "delay_us = {}: expected 20 to 5000", self.delay_us);
        Ok(())
    }

    /// The channels to capture.
    pub fn channels(&self) -> ChannelSelection {
        ChannelSelection::Seats { driver: self.driver_channel, passenger: self.passenger_channel }
    }
}

/// Keeps the last 30 s of the two channels, in memory only, and estimates the seat.
pub struct ZoneEstimator {
    microphones: Option<Microphones>,
    forward: Arc<dyn RealToComplex<f32>>,
    back: Arc<dyn ComplexToReal<f32>>,
    /// Driver, passenger.
    history: VecDeque<[i16; 2]>,
    /// Time after the last sample of the history.
    end: Nanos,
}

/// Driver's channel against the passenger's.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Difference {
    /// Level of the driver's channel above the passenger's.
    level_db: f32,
    /// Delay of the passenger's channel.
    delay_us: f64,
}

impl ZoneEstimator {
    /// `None`: the seat is always unknown.
    pub fn new(microphones: Option<Microphones>) -> Self {
        let mut planner = RealFftPlanner::new();
        let (forward, back) = (planner.plan_fft_forward(WINDOW), planner.plan_fft_inverse(WINDOW));
        Self { microphones, forward, back, history: VecDeque::new(), end: Nanos::ZERO }
    }

    /// Takes interleaved samples of one or two channels, the first of which was captured at `stamp`. Returns the mono
    /// signal for detection and recognition.
    pub fn push(&mut self, stamp: Nanos, interleaved: Vec<i16>, channels: u32) -> Vec<i16> {
        if channels != 2 {
            self.history.clear();
            return interleaved;
        }
        let frames = interleaved.chunks_exact(2).map(|f| [f[0], f[1]]);
        if self.microphones.is_some() {
            if stamp.since(self.end).max(self.end.since(stamp)) > Duration::from_millis(1) {
                self.history.clear();
            }
            self.end = stamp + duration(frames.len());
            self.history.extend(frames.clone());
            let surplus = self.history.len().saturating_sub((HISTORY.as_nanos() / u128::from(SAMPLE_NS)) as usize);
            self.history.drain(..surplus);
        }
        frames.map(|[d, p]| ((i32::from(d) + i32::from(p)) / 2) as i16).collect()
    }

    /// The seat of whoever spoke between these times.
    pub fn zone(&self, start: Nanos, end: Nanos) -> SpeakerZone {
        let Some(microphones) = self.microphones else { return SpeakerZone::Unknown };
        let before_end = |time: Nanos| (self.end.since(time).as_nanos() as u64 / SAMPLE_NS) as usize;
        let from = self.history.len().saturating_sub(before_end(start));
        let to = self.history.len().saturating_sub(before_end(end));
        if to < from + WINDOW {
            return SpeakerZone::Unknown;
        }
        let utterance: Vec<[i16; 2]> = self.history.range(from..to).copied().collect();
        self.difference(&utterance, &microphones).map_or(SpeakerZone::Unknown, |d| seat(d, &microphones))
    }

    fn difference(&self, frames: &[[i16; 2]], microphones: &Microphones) -> Option<Difference> {
        let bins = |hz: usize| hz * WINDOW / SAMPLE_RATE_HZ as usize;
        let band = bins(BAND_HZ.0)..bins(BAND_HZ.1);
        let windows: Vec<[Vec<Complex<f32>>; 2]> = frames
            .windows(WINDOW)
            .step_by(WINDOW / 2)
            .map(|window| [0, 1].map(|channel| self.spectrum(window, channel)))
            .collect();
        let power = |spectrum: &[Complex<f32>]| spectrum[band.clone()].iter().map(Complex::norm_sqr).sum::<f32>();
        let powers: Vec<[f32; 2]> = windows.iter().map(|w| [power(&w[0]), power(&w[1])]).collect();
        let loudest = powers.iter().map(|[d, p]| d + p).fold(0.0, f32::max);
        if loudest <= 0.0 {
            return None;
        }
        let mut cross = vec![Complex::default(); WINDOW / 2 + 1];
        let mut sums = [0.0f32; 2];
        for ([driver, passenger], [d, p]) in windows.iter().zip(&powers).filter(|(_, [d, p])| d + p > loudest * PAUSE) {
            sums = [sums[0] + d, sums[1] + p];
            for bin in band.clone() {
                let product = driver[bin].conj() * passenger[bin];
                let size = product.norm();
                if size > 0.0 {
                    cross[bin] += product / size;
                }
            }
        }
        let mut correlation = vec![0.0; WINDOW];
        self.back.process(&mut cross, &mut correlation).ok()?;
        let farthest = (microphones.spacing_m / SPEED_OF_SOUND_MPS * f64::from(SAMPLE_RATE_HZ)).ceil() as i64 + 1;
        let farthest = farthest.min(WINDOW as i64 / 2 - 1);
        let at = |lag: i64| correlation[lag.rem_euclid(WINDOW as i64) as usize];
        let lag = (-farthest..=farthest).max_by(|&a, &b| at(a).total_cmp(&at(b)))?;
        let level_db = 10.0 * (sums[0].max(f32::MIN_POSITIVE) / sums[1].max(f32::MIN_POSITIVE)).log10();
        let delay_us = lag as f64 * SAMPLE_NS as f64 / 1000.0;
        Some(Difference { level_db: level_db - microphones.driver_louder_db, delay_us })
    }

    fn spectrum(&self, window: &[[i16; 2]], channel: usize) -> Vec<Complex<f32>> {
        let mut samples: Vec<f32> = window
            .iter()
            .enumerate()
            .map(|(i, frame)| {
                let hann = 0.5 - 0.5 * (std::f32::consts::TAU * i as f32 / WINDOW as f32).cos();
                f32::from(frame[channel]) * hann
            })
            .collect();
        let mut spectrum = self.forward.make_output_vec();
        // Cannot fail: the lengths are right by construction. A spectrum of zeros decides nothing.
        let _ = self.forward.process(&mut samples, &mut spectrum);
        spectrum
    }
}

/// The seat by level and delay; unknown where they contradict each other.
fn seat(Difference { level_db, delay_us }: Difference, microphones: &Microphones) -> SpeakerZone {
    let sign = |value: f64, from: f64| (f64::from(u8::from(value >= from)) - f64::from(u8::from(value <= -from))) as i8;
    let level = sign(level_db.into(), microphones.level_db.into());
    let delay = sign(delay_us, microphones.delay_us);
    match (level, delay) {
        (1, 0 | 1) | (0, 1) => SpeakerZone::Driver,
        (-1, 0 | -1) | (0, -1) => SpeakerZone::Passenger,
        _ => SpeakerZone::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MICROPHONES: Microphones = Microphones {
        driver_channel: 0,
        passenger_channel: 1,
        spacing_m: 0.6,
        driver_louder_db: 0.0,
        level_db: 2.0,
        delay_us: 150.0,
    };

    fn hiss(count: usize, mut state: u64) -> Vec<f64> {
        (0..count)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f64 / (1u64 << 23) as f64 - 1.0
            })
            .collect()
    }

    /// A pulsed voice-like sound in both channels: the passenger's later by `lag` samples and weaker by `gain`, in noise.
    fn two_channels(seconds: f64, lag: i64, gain: f64, noise: f64) -> Vec<i16> {
        let count = (seconds * f64::from(SAMPLE_RATE_HZ)) as usize;
        let source = hiss(count + 200, 7);
        let (at_driver, at_passenger) = (hiss(count, 11), hiss(count, 13));
        (0..count)
            .flat_map(|i| {
                let swell = 0.6 + 0.4 * (i as f64 / 2000.0).sin();
                let sound = |at: i64| source[(at + 100) as usize] * swell * 6000.0;
                let d = sound(i as i64) + at_driver[i] * noise;
                let p = sound(i as i64 - lag) * gain + at_passenger[i] * noise;
                [d as i16, p as i16]
            })
            .collect()
    }

    fn estimated(interleaved: Vec<i16>) -> SpeakerZone {
        let mut zones = ZoneEstimator::new(Some(MICROPHONES));
        let mut at = Nanos::from_millis(1000);
        for piece in interleaved.chunks(640) {
            zones.push(at, piece.to_vec(), 2);
            at = at + duration(piece.len() / 2);
        }
        zones.zone(Nanos::from_millis(1100), Nanos::from_millis(1900))
    }

    #[test]
    fn level_and_delay_give_the_seat() {
        use SpeakerZone::{Driver, Passenger, Unknown};
        let cases = [
            (12, 0.5, 300.0, Driver),
            (-12, 2.0, 300.0, Passenger),
            // In noise as loud as the voice.
            (12, 0.6, 4000.0, Driver),
            (-12, 1.7, 4000.0, Passenger),
            // Only one of the two decides.
            (12, 1.0, 300.0, Driver),
            (0, 0.5, 300.0, Driver),
            (-12, 1.0, 300.0, Passenger),
            // From the middle, or contradicting each other.
            (0, 1.0, 300.0, Unknown),
            (12, 2.0, 300.0, Unknown),
        ];
        for (lag, gain, noise, expect) in cases {
            assert_eq!(estimated(two_channels(1.0, lag, gain, noise)), expect, "{lag} samples, {gain}, noise {noise}");
        }
    }

    #[test]
    fn one_channel_silence_or_a_short_sound_gives_no_seat() {
        let mut zones = ZoneEstimator::new(Some(MICROPHONES));
        assert_eq!(zones.push(Nanos::ZERO, vec![5; 16_000], 1), vec![5; 16_000]);
        assert_eq!(zones.zone(Nanos::ZERO, Nanos::from_millis(900)), SpeakerZone::Unknown);
        assert_eq!(estimated(vec![0; 32_000]), SpeakerZone::Unknown);
        assert_eq!(zones.push(Nanos::ZERO, vec![100, 200], 2), [150]);
        assert_eq!(zones.zone(Nanos::ZERO, Nanos::from_millis(1)), SpeakerZone::Unknown);
        assert_eq!(ZoneEstimator::new(None).zone(Nanos::ZERO, Nanos::from_millis(900)), SpeakerZone::Unknown);
    }

    #[test]
    fn an_invalid_calibration_names_file_and_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("microphone.toml");
        let good = "driver_channel = 0\npassenger_channel = 1\nspacing_m = 0.6\ndriver_louder_db = 0.0\nlevel_db = 2.0\ndelay_us = 150.0\n";
        std::fs::write(&path, good).unwrap();
        assert_eq!(Microphones::load(&path).unwrap(), MICROPHONES);
        for (from, to, expect) in [
            ("passenger_channel = 1", "passenger_channel = 0", "different channels"),
            ("spacing_m = 0.6", "spacing_m = 60.0", "spacing_m"),
            ("delay_us = 150.0", "delay_us = 0.0", "delay_us"),
            ("level_db = 2.0", "", "level_db"),
        ] {
            std::fs::write(&path, good.replace(from, to)).unwrap();
            let e = format!("{:#}", Microphones::load(&path).unwrap_err());
            assert!(e.contains("microphone.toml") && e.contains(expect), "{e}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_audio_makes_the_estimator_panic(chunks in prop::collection::vec((any::<u64>(), 0u32..3, prop::collection::vec(any::<i16>(), 0..3000)), 0..6), from in any::<u64>(), to in any::<u64>()) {
            let mut zones = ZoneEstimator::new(Some(MICROPHONES));
            for (stamp, channels, samples) in chunks {
                zones.push(Nanos(stamp), samples, channels);
            }
            zones.zone(Nanos(from), Nanos(to));
        }
    }
}
