//! Resampling by `rubato`'s band-limited interpolation: captured audio to 16 kHz, synthesised speech to the loudspeaker's
//! rate.

use crate::input::audio::SAMPLE_RATE_HZ;
use rubato::{
    Async, FixedAsync, Indexing, Resampler, SincInterpolationParameters, SincInterpolationType, WindowFunction,
    audioadapter_buffers::direct::SequentialSlice,
};

/// Supported rates in Hz: telephone to studio.
pub const RATES_HZ: std::ops::RangeInclusive<u32> = 4_000..=384_000;
/// Supported number of channels: a microphone array.
pub const MAX_CHANNELS: u16 = 64;

/// Why audio cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum ResampleError {
    /// Rate or number of channels is out of range.
    #[error("expected {} to {} samples per second in 1 to {MAX_CHANNELS} channels, found {rate_hz} in {channels}", RATES_HZ.start(), RATES_HZ.end())]
    Format {
        /// Rate found, in Hz.
        rate_hz: u32,
        /// Channels found.
        channels: u16,
    },
    /// The resampler failed.
    #[error("resampling {rate_hz} Hz: {reason}")]
    Resampler {
        /// Rate of the source, in Hz.
        rate_hz: u32,
        /// The error of `rubato`.
        reason: String,
    },
    /// The source lacks a seat's channel.
    #[error("expected at least {needed} channels, for the seats of microphone.toml, found {channels}")]
    Seats {
        /// Channels needed.
        needed: u16,
        /// Channels found.
        channels: u16,
    },
}

/// Which channels of a source are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChannelSelection {
    /// All of them, mixed to one.
    #[default]
    Mixed,
    /// The microphones of driver and passenger, counted from 0.
    Seats {
        /// Channel of the driver's microphone.
        driver: u16,
        /// Channel of the passenger's microphone.
        passenger: u16,
    },
}

impl ChannelSelection {
    /// Number of channels that the source must have.
    pub fn channels(self) -> u16 {
        match self {
            ChannelSelection::Mixed => 1,
            ChannelSelection::Seats { driver, passenger } => driver.max(passenger).saturating_add(1),
        }
    }
}

/// Converts a source to 16 kHz, in one channel or in two (driver, passenger).
pub struct To16k {
    selection: ChannelSelection,
    channels: usize,
    converters: Vec<ToMono>,
    selected: Vec<f32>,
    converted: [Vec<i16>; 2],
}

impl To16k {
    /// For a source of this rate (Hz) and number of channels.
    ///
    /// # Errors
    /// When they are out of range, or a seat's channel is missing.
    pub fn new(rate_hz: u32, channels: u16, selection: ChannelSelection) -> Result<Self, ResampleError> {
        let mut converters = Vec::new();
        match selection {
            ChannelSelection::Mixed => converters.push(ToMono::new(rate_hz, channels, SAMPLE_RATE_HZ)?),
            ChannelSelection::Seats { .. } => {
                let needed = selection.channels();
                if needed > channels {
                    return Err(ResampleError::Seats { needed, channels });
                }
                for _ in 0..2 {
                    converters.push(ToMono::new(rate_hz, 1, SAMPLE_RATE_HZ)?);
                }
            }
        }
        let selected = Vec::new();
        Ok(Self { selection, channels: channels.into(), converters, selected, converted: Default::default() })
    }

    /// Number of channels of the output.
    pub fn channels_out(&self) -> usize {
        self.converters.len()
    }

    /// Converts interleaved samples of complete frames and appends the output, interleaved, to `out`.
    ///
    /// # Errors
    /// When the resampler fails.
    pub fn push(&mut self, interleaved: &[f32], out: &mut Vec<i16>) -> Result<(), ResampleError> {
        let ChannelSelection::Seats { driver, passenger } = self.selection else {
            return self.converters[0].push(interleaved, out);
        };
        for ((channel, converter), to) in
            [driver, passenger].into_iter().zip(&mut self.converters).zip(&mut self.converted)
        {
            self.selected.clear();
            self.selected.extend(interleaved.chunks_exact(self.channels).map(|frame| frame[usize::from(channel)]));
            converter.push(&self.selected, to)?;
        }
        self.interleave(out);
        Ok(())
    }

    /// Ends the stream: appends what the filters still hold.
    ///
    /// # Errors
    /// When the resampler fails.
    pub fn finish(mut self, out: &mut Vec<i16>) -> Result<(), ResampleError> {
        let converters = std::mem::take(&mut self.converters);
        if self.selection == ChannelSelection::Mixed {
            return converters.into_iter().try_for_each(|c| c.finish(out));
        }
        for (converter, to) in converters.into_iter().zip(&mut self.converted) {
            converter.finish(to)?;
        }
        self.interleave(out);
        Ok(())
    }

    fn interleave(&mut self, out: &mut Vec<i16>) {
        let [driver, passenger] = &mut self.converted;
        out.extend(driver.drain(..).zip(passenger.drain(..)).flat_map(|(d, p)| [d, p]));
    }
}

/// Mixes one stream to one channel and resamples it. Sample `n` of the output lies `n / to_hz` s after the stream's first
/// sample: the filter's delay is compensated.
pub struct ToMono {
    rate_hz: u32,
    to_hz: u32,
    channels: usize,
    /// `None` when the rates are equal.
    resampler: Option<Async<f32>>,
    /// Mono samples that do not fill a block of the resampler yet.
    pending: Vec<f32>,
    block: Vec<f32>,
    /// Output samples still to be dropped: the filter's delay.
    delay: usize,
    taken: u64,
    given: u64,
}

impl ToMono {
    /// From this rate (Hz) and number of channels to this rate.
    ///
    /// # Errors
    /// When a rate or the number of channels is out of range.
    pub fn new(rate_hz: u32, channels: u16, to_hz: u32) -> Result<Self, ResampleError> {
        if !RATES_HZ.contains(&to_hz) {
            return Err(ResampleError::Format { rate_hz: to_hz, channels: 1 });
        }
        if !RATES_HZ.contains(&rate_hz) || !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(ResampleError::Format { rate_hz, channels });
        }
        let mut resampler = None;
        if rate_hz != to_hz {
            // Aliases from 1 kHz above the band on stay below -70 dB, far below a cabin's noise.
            let parameters = SincInterpolationParameters {
                sinc_len: 256,
                f_cutoff: 0.92,
                oversampling_factor: 256,
                interpolation: SincInterpolationType::Linear,
                window: WindowFunction::BlackmanHarris2,
            };
            let ratio = f64::from(to_hz) / f64::from(rate_hz);
            // Blocks of 5 ms: the latency of the converter.
            let block = (rate_hz / 200) as usize;
            resampler = Some(
                Async::new_sinc(ratio, 1.0, &parameters, block, 1, FixedAsync::Input)
                    .map_err(|e| ResampleError::Resampler { rate_hz, reason: e.to_string() })?,
            );
        }
        Ok(Self {
            rate_hz,
            to_hz,
            channels: channels.into(),
            block: vec![0.0; resampler.as_ref().map_or(0, |r| r.output_frames_max())],
            delay: resampler.as_ref().map_or(0, |r| r.output_delay()),
            resampler,
            pending: Vec::new(),
            taken: 0,
            given: 0,
        })
    }

    /// Converts interleaved samples of complete frames, full scale being 1, and appends the output to `out`.
    ///
    /// # Errors
    /// When the resampler fails.
    pub fn push(&mut self, interleaved: &[f32], out: &mut Vec<i16>) -> Result<(), ResampleError> {
        for frame in interleaved.chunks_exact(self.channels) {
            let mono = frame.iter().sum::<f32>() / self.channels as f32;
            // A driver may deliver NaN; it would stay in the filter for ever.
            self.pending.push(if mono.is_finite() { mono } else { 0.0 });
            self.taken += 1;
        }
        self.drain(out)
    }

    /// Ends the stream: appends what the filter still holds.
    ///
    /// # Errors
    /// When the resampler fails.
    pub fn finish(mut self, out: &mut Vec<i16>) -> Result<(), ResampleError> {
        let expected = (self.taken as f64 * f64::from(self.to_hz) / f64::from(self.rate_hz)).round() as u64;
        while self.given < expected {
            let before = out.len();
            let needed = self.resampler.as_ref().map_or(0, |r| r.input_frames_next());
            self.pending.resize(self.pending.len().max(needed), 0.0);
            self.drain(out)?;
            let surplus = self.given.saturating_sub(expected) as usize;
            out.truncate(out.len().saturating_sub(surplus).max(before));
            if needed == 0 {
                break;
            }
        }
        Ok(())
    }

    fn drain(&mut self, out: &mut Vec<i16>) -> Result<(), ResampleError> {
        let Some(resampler) = &mut self.resampler else {
            self.given += self.pending.len() as u64;
            out.extend(self.pending.drain(..).map(to_i16));
            return Ok(());
        };
        let failed =
            |e: &dyn std::fmt::Display| ResampleError::Resampler { rate_hz: self.rate_hz, reason: e.to_string() };
        let mut used = 0;
        while self.pending.len() - used >= resampler.input_frames_next() {
            let frames = resampler.output_frames_max();
            let input = SequentialSlice::new(&self.pending, 1, self.pending.len()).map_err(|e| failed(&e))?;
            let mut output = SequentialSlice::new_mut(&mut self.block, 1, frames).map_err(|e| failed(&e))?;
            let indexing =
                Indexing { input_offset: used, output_offset: 0, partial_len: None, active_channels_mask: None };
            let (taken, given) =
                resampler.process_into_buffer(&input, &mut output, Some(&indexing)).map_err(|e| failed(&e))?;
            used += taken;
            let dropped = self.delay.min(given);
            self.delay -= dropped;
            self.given += (given - dropped) as u64;
            out.extend(self.block[dropped..given].iter().copied().map(to_i16));
        }
        self.pending.drain(..used);
        Ok(())
    }
}

/// Full scale is 1 in floating point and 32768 in 16 bits; louder samples are clipped.
fn to_i16(sample: f32) -> i16 {
    // `as` saturates.
    (sample * 32_768.0).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn convert(rate: u32, channels: u16, mono: &[f32], piece: usize) -> Vec<i16> {
        let mut to = ToMono::new(rate, channels, SAMPLE_RATE_HZ).unwrap();
        let all: Vec<f32> = mono.iter().flat_map(|&s| std::iter::repeat_n(s, channels.into())).collect();
        let mut out = Vec::new();
        for piece in all.chunks(piece * usize::from(channels)) {
            to.push(piece, &mut out).unwrap();
        }
        to.finish(&mut out).unwrap();
        out
    }

    fn tone(rate: u32, hz: f32, seconds: f32) -> Vec<f32> {
        let n = (rate as f32 * seconds) as usize;
        let step = std::f64::consts::TAU * f64::from(hz) / f64::from(rate);
        (0..n).map(|i| 0.5 * (step * i as f64).sin() as f32).collect()
    }

    #[test]
    fn a_tone_keeps_time_and_level_at_any_rate() {
        for (rate, channels) in [(8_000, 1), (16_000, 2), (22_050, 1), (44_100, 2), (48_000, 6), (96_000, 1)] {
            let out = convert(rate, channels, &tone(rate, 440.0, 0.5), 333);
            assert_eq!(out.len(), 8000, "{rate}");
            // The filter's delay is compensated to a sample of either rate.
            let expect = tone(16_000, 440.0, 0.5);
            let off = |lag: usize| {
                (500..7500).map(|i| (f32::from(out[i + lag]) / 32_768.0 - expect[i + 2]).abs()).fold(0.0, f32::max)
            };
            let worst = (0..5).map(off).fold(f32::INFINITY, f32::min);
            assert!(worst < 0.05, "{rate} Hz: off by {worst}");
            let loudest = out[500..7500].iter().map(|s| s.unsigned_abs()).max().unwrap();
            assert!((16_300..16_450).contains(&loudest), "{rate} Hz: {loudest}");
        }
    }

    #[test]
    fn frequencies_above_8_khz_do_not_alias() {
        let out = convert(48_000, 1, &tone(48_000, 10_000.0, 0.5), 480);
        let loudest = out[500..7500].iter().map(|s| s.unsigned_abs()).max().unwrap();
        assert!(loudest < 6, "{loudest} of 16384");
    }

    #[test]
    fn rates_and_channels_out_of_range_are_refused() {
        for (rate, channels) in [(0, 1), (3_999, 1), (400_000, 1), (16_000, 0), (16_000, 65)] {
            assert!(ToMono::new(rate, channels, SAMPLE_RATE_HZ).is_err());
        }
    }

    #[test]
    fn the_seats_channels_are_selected_and_stay_aligned() {
        let (driver, passenger) = (tone(48_000, 300.0, 0.2), tone(48_000, 500.0, 0.2));
        let frames: Vec<f32> = driver.iter().zip(&passenger).flat_map(|(d, p)| [0.9, *p, *d]).collect();
        let mut to = To16k::new(48_000, 3, ChannelSelection::Seats { driver: 2, passenger: 1 }).unwrap();
        let mut out = Vec::new();
        frames.chunks(3 * 77).for_each(|piece| to.push(piece, &mut out).unwrap());
        to.finish(&mut out).unwrap();
        let channel = |c: usize| out.iter().skip(c).step_by(2).copied().collect::<Vec<i16>>();
        assert_eq!(channel(0), convert(48_000, 1, &driver, 77));
        assert_eq!(channel(1), convert(48_000, 1, &passenger, 77));
        let e = To16k::new(48_000, 2, ChannelSelection::Seats { driver: 0, passenger: 2 }).err().unwrap().to_string();
        assert!(e.contains("3 channels") && e.contains("found 2"), "{e}");
    }

    #[test]
    fn speech_is_resampled_to_the_loudspeakers_rate() {
        let mut to = ToMono::new(22_050, 1, 48_000).unwrap();
        let mut out = Vec::new();
        to.push(&tone(22_050, 440.0, 0.5), &mut out).unwrap();
        to.finish(&mut out).unwrap();
        assert_eq!(out.len(), 24_000);
        let loudest = out[1000..23_000].iter().map(|s| s.unsigned_abs()).max().unwrap();
        assert!((16_300..16_450).contains(&loudest), "{loudest}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_output_does_not_depend_on_the_block_size(rate in prop::sample::select(vec![8_000u32, 11_025, 16_000, 44_100]), piece in 1usize..700) {
            let input = tone(rate, 300.0, 0.1);
            prop_assert_eq!(convert(rate, 1, &input, piece), convert(rate, 1, &input, 97));
        }

        #[test]
        fn no_sample_value_makes_it_panic(samples in proptest::collection::vec(prop::num::f32::ANY, 0..500)) {
            let mut to = ToMono::new(44_100, 2, SAMPLE_RATE_HZ).unwrap();
            let mut out = Vec::new();
            to.push(&samples, &mut out).unwrap();
            to.finish(&mut out).unwrap();
        }
    }
}
