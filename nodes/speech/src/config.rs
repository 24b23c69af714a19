//! The node's configuration.

use crate::{
    input::{
        capture::CaptureSettings,
        device,
        front_end::{FrontEndSettings, echo::EchoReference, resample::ChannelSelection},
        zone::Microphones,
    },
    recognition::{types::Vocabulary, wake_word::WakePhrases},
    turns::{attention::Activation, vad::VadSettings},
};
use anyhow::ensure;
use auriga_runtime::config::{Range, check_ranges, shipped};
use serde::Deserialize;
use std::{path::PathBuf, sync::mpsc::Receiver, time::Duration};

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// The configuration. `config.toml` documents each key with unit, default and range.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the capture device; empty: none.
    pub device: String,
    /// WAV file in place of a device; empty: none.
    pub wav: PathBuf,
    /// Folder of the Vosk model; empty: no recogniser.
    pub model: PathBuf,
    /// Words that can be recognised.
    pub vocabulary: Vocabulary,
    /// File of the intents' phrasings, for [`Vocabulary::Catalogue`].
    pub phrasings: PathBuf,
    /// File of vCards whose names are added, for [`Vocabulary::Catalogue`]; empty: none.
    pub phone_book: PathBuf,
    /// Most alternatives published with an utterance.
    pub alternatives: u16,
    /// Which speech is addressed to the system.
    pub activation: Activation,
    /// Wake phrases, for [`Activation::WakeWord`].
    pub wake_phrases: Vec<String>,
    /// Confidence from which a wake phrase counts, 0 to 1.
    pub wake_confidence: f32,
    /// Time after a request or a reply without need of a wake phrase, in s.
    pub follow_up_s: f64,
    /// Transcript track, used without a recogniser; empty: none.
    pub transcript: PathBuf,
    /// Calibration of the seats' microphones; empty: none.
    pub microphones: PathBuf,
    /// Period of the capture device, in ms.
    pub capture_period_ms: u64,
    /// Whether the loudspeaker's signal is removed from the microphone's.
    pub echo_cancellation: bool,
    /// Whether noise is suppressed.
    pub noise_suppression: bool,
    /// Name of the loudspeaker, or "auto"; empty: none.
    pub speaker: String,
    /// Period of the loudspeaker, in ms.
    pub playback_period_ms: u64,
    /// Text-to-speech command: text in, WAV out.
    pub tts_command: String,
    /// Command that speaks and plays, in place of `speaker` and `tts_command`; empty: none.
    pub speak_command: String,
    /// Whether speech stops the reply.
    pub barge_in: bool,
    /// Whether partial results are published.
    pub partials: bool,
    /// Whether the audio is published.
    pub consent_recording: bool,
    /// Score of the detector from which a frame is voice, 0 to 1.
    pub vad_threshold: f64,
    /// Voice needed before a turn begins, in ms.
    pub start_voice_ms: u64,
    /// Silence that ends a turn, in ms.
    pub end_silence_ms: u64,
    /// Silence that ends a turn after an incomplete text, in ms.
    pub incomplete_end_silence_ms: u64,
    /// Longest turn and longest press of the talk button, in s.
    pub longest_turn_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        shipped(DEFAULTS)
    }
}

impl Config {
    /// The allowed values of its numbers.
    pub fn ranges(&self) -> Vec<Range> {
        vec![
            Range::new("alternatives", self.alternatives, 0.0..=20.0),
            Range::new("wake_confidence", self.wake_confidence, 0.0..=1.0),
            Range::new("follow_up_s", self.follow_up_s, 0.0..=120.0),
            Range::new("capture_period_ms", self.capture_period_ms, 5.0..=200.0),
            Range::new("playback_period_ms", self.playback_period_ms, 2.0..=200.0),
            Range::new("vad_threshold", self.vad_threshold, 0.05..=0.99),
            Range::new("start_voice_ms", self.start_voice_ms, 16.0..=1000.0),
            Range::new("end_silence_ms", self.end_silence_ms, 50.0..=3000.0),
            Range::new(
                "incomplete_end_silence_ms",
                self.incomplete_end_silence_ms,
                self.end_silence_ms as f64..=3000.0,
            )
            .note("at least end_silence_ms"),
            Range::new("longest_turn_s", self.longest_turn_s, 1.0..=120.0),
        ]
    }

    /// Checks all values.
    ///
    /// # Errors
    /// When a value is out of range or two keys exclude each other; the text names the key.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.device.is_empty() || self.wav.as_os_str().is_empty(),
            "device and wav are both set: give the node one source of audio"
        );
        ensure!(
            matches!(self.speaker.as_str(), "" | "auto") || self.speak_command.is_empty(),
            "speaker and speak_command are both set: only one of them can speak"
        );
        ensure!(
            self.speaker.is_empty() || !self.tts_command.trim().is_empty(),
            "tts_command = \"\": expected a command that writes a WAV file, since speaker is set"
        );
        ensure!(
            self.activation != Activation::WakeWord || WakePhrases::new(&self.wake_phrases).texts().count() > 0,
            "wake_phrases = []: expected at least one with activation = \"wake-word\""
        );
        Ok(check_ranges(&self.ranges())?)
    }

    /// The stages of the front end. Without a loudspeaker of the node there is no reference for the echo canceller.
    pub fn front_end(&self) -> FrontEndSettings {
        FrontEndSettings { echo: self.echo_cancellation && !self.speaker.is_empty(), noise: self.noise_suppression }
    }

    /// The seats' microphones; `None` where the vehicle has no calibration of them.
    ///
    /// # Errors
    /// When the calibration file cannot be read or is invalid.
    pub fn seats(&self) -> anyhow::Result<Option<Microphones>> {
        let given = !self.microphones.as_os_str().is_empty();
        given.then(|| Microphones::load(&self.microphones)).transpose()
    }

    /// Replaces `speaker = "auto"` by what it means on this machine.
    pub fn with_sound_card(mut self) -> Self {
        if self.speaker == "auto" {
            let card = device::has_sound_card();
            let play = card && self.speak_command.is_empty();
            self.speaker = if play { "default".into() } else { String::new() };
            if !card {
                tracing::info!("this machine has no sound card: the reply is only shown");
            }
        }
        self
    }

    /// What is captured from `device`.
    ///
    /// # Errors
    /// As [`Config::seats`].
    pub fn capture(&self, echo_references: Receiver<EchoReference>) -> anyhow::Result<CaptureSettings> {
        Ok(CaptureSettings {
            device: self.device.clone(),
            channels: self.seats()?.map_or(ChannelSelection::Mixed, |seats| seats.channels()),
            front_end: self.front_end(),
            period: Duration::from_millis(self.capture_period_ms),
            echo_references,
        })
    }

    /// Period of the loudspeaker.
    pub fn playback_period(&self) -> Duration {
        Duration::from_millis(self.playback_period_ms)
    }

    pub(crate) fn end_silence(&self) -> Duration {
        Duration::from_millis(self.end_silence_ms)
    }

    pub(crate) fn incomplete_end_silence(&self) -> Duration {
        Duration::from_millis(self.incomplete_end_silence_ms)
    }

    pub(crate) fn vad(&self) -> VadSettings {
        VadSettings {
            threshold: self.vad_threshold as f32,
            start: Duration::from_millis(self.start_voice_ms),
            end_silence: self.end_silence(),
            longest: Duration::from_secs(self.longest_turn_s),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use auriga_runtime::config::{Args, load};

    #[test]
    fn the_shipped_configuration_is_valid() {
        Config::default().check().unwrap();
    }

    #[test]
    fn an_old_key_is_refused_with_its_new_name() {
        let old_keys = [
            ("attention_s", "follow_up_s"),
            ("open_end_silence_ms", "incomplete_end_silence_ms"),
            ("voice", "tts_command"),
            ("voice_threshold", "vad_threshold"),
        ];
        for (old, new) in old_keys {
            let args = Args { params: vec![(old.into(), "1".into())], ..Args::default() };
            let e = format!("{:#}", load::<Config>(DEFAULTS, &args).unwrap_err());
            assert!(e.contains(old) && e.contains(new), "{e}");
        }
    }

    #[test]
    fn an_invalid_value_is_named() {
        type Change = fn(&mut Config);
        let wrong: [(Change, &str); 8] = [
            (|c| c.capture_period_ms = 0, "capture_period_ms"),
            (|c| c.playback_period_ms = 1000, "playback_period_ms"),
            (|c| (c.speaker, c.speak_command) = ("default".into(), "say".into()), "speak_command"),
            (|c| (c.speaker, c.tts_command) = ("default".into(), " ".into()), "tts_command"),
            (|c| c.vad_threshold = f64::NAN, "vad_threshold"),
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
