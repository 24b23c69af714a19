//! Noise suppression by WebRTC's suppressor in the pure-Rust port `sonora`.

use crate::input::audio::SAMPLE_RATE_HZ;
use sonora::{AudioProcessing, StreamConfig, config::NoiseSuppression};

/// Samples of a frame and channel: 10 ms.
pub const FRAME: usize = SAMPLE_RATE_HZ as usize / 100;

/// A noise suppressor for one or two channels.
pub struct NoiseSuppressor {
    processing: AudioProcessing,
    output: Vec<i16>,
}

impl NoiseSuppressor {
    /// For this many interleaved channels.
    pub fn new(channels: usize) -> Self {
        let config = sonora::Config { noise_suppression: Some(NoiseSuppression::default()), ..Default::default() };
        let stream = StreamConfig::new(SAMPLE_RATE_HZ, channels as u16);
        let processing = AudioProcessing::builder().config(config).capture_config(stream).render_config(stream).build();
        Self { processing, output: vec![0; FRAME * channels] }
    }

    /// Processes a frame (interleaved, [`FRAME`] samples of each channel) in place.
    ///
    /// # Errors
    /// When the suppressor fails; the frame then stays as it was.
    pub fn process(&mut self, frame: &mut [i16]) -> Result<(), sonora::Error> {
        self.processing.process_capture_i16(frame, &mut self.output)?;
        frame.copy_from_slice(&self.output);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_noise_is_attenuated_and_a_tone_is_kept() {
        let mut state = 7u32;
        let mut hiss = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 16) as f64 / 65_536.0 * 600.0 - 300.0
        };
        let mut suppressor = NoiseSuppressor::new(1);
        let (mut before, mut after, mut tone) = (0.0, 0.0, 0.0);
        for frame in 0..400 {
            let sounds = frame >= 350;
            let input: Vec<i16> = (0..FRAME)
                .map(|i| {
                    let at = (frame * FRAME + i) as f64 / f64::from(SAMPLE_RATE_HZ);
                    let sine = (at * 500.0 * std::f64::consts::TAU).sin() * 5_000.0;
                    (hiss() + if sounds { sine } else { 0.0 }) as i16
                })
                .collect();
            let mut output = input.clone();
            suppressor.process(&mut output).unwrap();
            let power = |s: &[i16]| s.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>();
            match frame {
                200..350 => (before, after) = (before + power(&input), after + power(&output)),
                360.. => tone += power(&output) / power(&input) / 40.0,
                _ => {}
            }
        }
        assert!(after < before / 4.0, "{:.1} dB", 10.0 * (after / before).log10());
        assert!(tone > 0.7, "{tone}");
    }
}
