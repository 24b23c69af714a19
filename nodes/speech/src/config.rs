//! What the node is told.

use crate::{
    input::capture::Source, input::device, input::front_end::Cleaning, input::front_end::echo::Reference,
    input::front_end::resample::Listen, input::zone::Microphones, recognition::vocabulary::Vocabulary,
    recognition::wake_word::WakePhrases, turns::attention::Activation, turns::vad,
};
use anyhow::ensure;
use auriga_runtime::config::{check_ranges, shipped};
use serde::Deserialize;
use std::{path::PathBuf, sync::mpsc::Receiver, time::Duration};

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// `config.toml` documents the fields.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub device: String,
    pub wav: PathBuf,
    pub model: PathBuf,
    pub vocabulary: Vocabulary,
    pub phrasings: PathBuf,
    pub phone_book: PathBuf,
    pub alternatives: u16,
    pub activation: Activation,
    pub wake_phrases: Vec<String>,
    pub wake_confidence: f32,
    pub attention_s: f64,
    pub transcript: PathBuf,
    pub microphones: PathBuf,
    pub capture_period_ms: u64,
    pub echo_cancellation: bool,
    pub noise_suppression: bool,
    pub speaker: String,
    pub playback_period_ms: u64,
    pub voice: String,
    pub speak_command: String,
    pub barge_in: bool,
    pub partials: bool,
    pub consent_recording: bool,
    pub voice_threshold: f32,
    pub start_voice_ms: u64,
    pub end_silence_ms: u64,
    pub open_end_silence_ms: u64,
    pub longest_turn_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        shipped(DEFAULTS)
    }
}

impl Config {
    /// Errors name the field and what it may be.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.device.is_empty() || self.wav.as_os_str().is_empty(),
            "device and wav are both set: give the node one source of audio"
        );
        ensure!(
            matches!(self.speaker.as_str(), "" | "auto") || self.speak_command.is_empty(),
            "speaker and speak_command are both set: one of them speaks"
        );
        ensure!(
            self.speaker.is_empty() || !self.voice.trim().is_empty(),
            "voice = \"\": expected a command that writes a WAV file, since speaker is set"
        );
        ensure!(
            (0.05..=0.99).contains(&self.voice_threshold),
            "voice_threshold = {}: expected 0.05 to 0.99",
            self.voice_threshold
        );
        ensure!(
            (0.0..=1.0).contains(&self.wake_confidence),
            "wake_confidence = {}: expected 0 to 1",
            self.wake_confidence
        );
        ensure!(
            self.activation != Activation::WakeWord || WakePhrases::new(&self.wake_phrases).texts().count() > 0,
            "wake_phrases = []: expected at least one with activation = \"wake-word\""
        );
        let ms = |ms: u64| ms as f64;
        check_ranges(&[
            ("capture_period_ms", ms(self.capture_period_ms), 5.0, 200.0, "5 to 200"),
            ("playback_period_ms", ms(self.playback_period_ms), 2.0, 200.0, "2 to 200"),
            ("start_voice_ms", ms(self.start_voice_ms), 16.0, 1000.0, "16 to 1000"),
            ("end_silence_ms", ms(self.end_silence_ms), 50.0, 3000.0, "50 to 3000"),
            (
                "open_end_silence_ms",
                ms(self.open_end_silence_ms),
                ms(self.end_silence_ms),
                3000.0,
                "end_silence_ms to 3000",
            ),
            ("attention_s", self.attention_s, 0.0, 120.0, "0 to 120"),
            ("alternatives", self.alternatives.into(), 0.0, 20.0, "0 to 20"),
            ("longest_turn_s", self.longest_turn_s as f64, 1.0, 120.0, "1 to 120"),
        ])?;
        Ok(())
    }

    /// What is done to the microphone's signal. Without a loudspeaker of our own there is no echo that we know.
    pub fn cleaning(&self) -> Cleaning {
        Cleaning { echo: self.echo_cancellation && !self.speaker.is_empty(), noise: self.noise_suppression }
    }

    /// The seats' microphones; `None` where the vehicle has no calibration of them.
    pub fn seats(&self) -> anyhow::Result<Option<Microphones>> {
        let given = !self.microphones.as_os_str().is_empty();
        given.then(|| Microphones::load(&self.microphones)).transpose()
    }

    /// With "auto" made into what it means on this machine.
    pub fn with_sound_card(mut self) -> Self {
        if self.speaker == "auto" {
            let card = device::sound_card();
            let ours = card && self.speak_command.is_empty();
            self.speaker = if ours { "default".into() } else { String::new() };
            if !card {
                tracing::info!("this machine has no sound card: the reply is only shown");
            }
        }
        self
    }

    /// What is captured from `device`.
    pub fn source(&self, listen: Listen, references: Receiver<Reference>) -> Source {
        Source {
            device: self.device.clone(),
            listen,
            cleaning: self.cleaning(),
            period: Duration::from_millis(self.capture_period_ms),
            references,
        }
    }

    /// What the loudspeaker asks for at once.
    pub fn playback_period(&self) -> Duration {
        Duration::from_millis(self.playback_period_ms)
    }

    pub(crate) fn turns(&self) -> vad::Settings {
        vad::Settings {
            threshold: self.voice_threshold,
            start: Duration::from_millis(self.start_voice_ms),
            end_silence: Duration::from_millis(self.end_silence_ms),
            longest: Duration::from_secs(self.longest_turn_s),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_configuration_is_valid() {
        Config::default().check().unwrap();
    }

    #[test]
    fn a_value_out_of_range_is_named() {
        type Change = fn(&mut Config);
        let wrong: [(Change, &str); 8] = [
            (|c| c.capture_period_ms = 0, "capture_period_ms"),
            (|c| c.playback_period_ms = 1000, "playback_period_ms"),
            (|c| (c.speaker, c.speak_command) = ("default".into(), "say".into()), "speak_command"),
            (|c| (c.speaker, c.voice) = ("default".into(), " ".into()), "voice"),
            (|c| c.voice_threshold = f32::NAN, "voice_threshold"),
            (|c| c.end_silence_ms = 0, "end_silence_ms"),
            (|c| c.longest_turn_s = 1000, "longest_turn_s"),
            (|c| (c.device, c.wav) = ("default".into(), "a.wav".into()), "wav"),
        ];
        for (change, field) in wrong {
            let mut config = Config::default();
            change(&mut config);
            assert!(config.check().unwrap_err().to_string().contains(field), "{field}");
        }
    }
}
