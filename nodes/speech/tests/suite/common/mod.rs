//! Audio for the tests, and a node that gets it.
#![allow(dead_code)]

use auriga_msgs::{Any, node::SpeechInput, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use auriga_speech::{Config, Effect, SpeechNode, turns::attention::Activation};
use std::{process::Command, sync::Arc};

pub const RATE: usize = 16_000;

/// A configuration with which all speech is addressed to the system.
pub fn always() -> Config {
    Config { activation: Activation::Always, ..Config::default() }
}

pub fn ms(ms: u64) -> Nanos {
    Nanos::from_millis(ms)
}

pub fn silence(seconds: f64) -> Vec<i16> {
    vec![0; (seconds * RATE as f64) as usize]
}

/// A vowel: harmonics of a 120 Hz voice with three formants, modulated at 4 Hz like syllables.
pub fn vowel(seconds: f64) -> Vec<i16> {
    let formants = [(700.0, 1.0), (1220.0, 0.6), (2600.0, 0.3)];
    (0..(seconds * RATE as f64) as usize)
        .map(|i| {
            let t = i as f64 / RATE as f64;
            let pitch = 120.0 + 10.0 * (std::f64::consts::TAU * 1.5 * t).sin();
            let voice: f64 = (1..30)
                .map(|h| {
                    let f = pitch * f64::from(h);
                    let gain: f64 = formants.iter().map(|(c, g)| g * (-((f - c) / 120.0).powi(2)).exp()).sum();
                    (gain + 0.01) * (std::f64::consts::TAU * f * t).sin()
                })
                .sum();
            let syllable = 0.65 - 0.35 * (std::f64::consts::TAU * 4.0 * t).cos();
            (voice * syllable * 4000.0) as i16
        })
        .collect()
}

/// White noise, the same in every run.
pub fn noise(seconds: f64, level: f64) -> Vec<i16> {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    (0..(seconds * RATE as f64) as usize)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 40) as f64 / (1u64 << 24) as f64 * 2.0 - 1.0).mul_add(level, 0.0) as i16
        })
        .collect()
}

/// Speech by espeak-ng without leading and trailing silence; `None` (the test is skipped) when it is not installed.
pub fn espeak(text: &str) -> Option<Vec<i16>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    let done = Command::new("espeak-ng").arg("-w").arg(&path).arg(text).status();
    if !done.is_ok_and(|s| s.success()) {
        auriga_testing::skip("espeak-ng is not installed");
        return None;
    }
    let mut samples = Vec::new();
    for item in auriga_speech::input::wav::audio_chunks(&path, Nanos::ZERO).unwrap() {
        samples.extend(item.unwrap().1.pcm_s16le.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])));
    }
    let loud = |s: &i16| s.unsigned_abs() > 200;
    let (first, last) = (samples.iter().position(loud).unwrap(), samples.iter().rposition(loud).unwrap());
    Some(samples[first..=last].to_vec())
}

pub fn chunk(stamp: Nanos, samples: &[i16]) -> v1::AudioChunk {
    v1::AudioChunk {
        header: Some(v1::Header::new(stamp.0, 0)),
        sample_rate_hz: RATE as u32,
        channels: 1,
        pcm_s16le: samples.iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<u8>>().into(),
    }
}

/// A node with its outbox, its messages and its effects.
pub struct Rig {
    pub node: SpeechNode,
    pub out: Outbox<SpeechNode>,
    pub messages: Vec<(Nanos, Any)>,
    pub effects: Vec<Effect>,
    pub time: Nanos,
}

impl Rig {
    pub fn new(config: &Config) -> Self {
        Self::with(SpeechNode::new(config, Ok(None)).unwrap())
    }

    pub fn with(node: SpeechNode) -> Self {
        let mut rig = Self { node, out: Outbox::default(), messages: vec![], effects: vec![], time: Nanos::ZERO };
        rig.tick(Nanos::ZERO);
        rig
    }

    pub fn input(&mut self, input: SpeechInput, now: Nanos) {
        self.node.on_input(input, now, &mut self.out);
        self.collect(now);
    }

    pub fn tick(&mut self, now: Nanos) {
        self.node.on_tick(now, &mut self.out);
        self.collect(now);
    }

    fn collect(&mut self, now: Nanos) {
        self.messages.extend(self.out.take_messages().into_iter().map(|m| (now, m)));
        self.effects.extend(self.out.take_effects());
    }

    /// Gives the node samples in pieces, each at the time of its last sample.
    pub fn play(&mut self, samples: &[i16], piece: usize) {
        for part in samples.chunks(piece) {
            let stamp = self.time;
            self.time = Nanos(stamp.0 + part.len() as u64 * 62_500);
            self.input(SpeechInput::DeviceAudio(Arc::new(chunk(stamp, part))), self.time);
        }
    }

    pub fn line(&mut self, start: Nanos, end: Nanos, text: &str) {
        let line = v1::TranscriptLine { header: None, start_ns: start.0, end_ns: end.0, text: text.into() };
        self.input(SpeechInput::DeviceTranscript(Arc::new(line)), self.time);
    }

    /// The utterances and the times at which they were published.
    pub fn utterances(&self) -> Vec<(Nanos, &v1::Utterance)> {
        self.messages
            .iter()
            .filter_map(|(t, any)| if let Any::SpeechUtterance(u) = any { Some((*t, u.as_ref())) } else { None })
            .collect()
    }

    /// For each published fault of this code, whether it was active then.
    pub fn fault_states(&self, code: &str) -> Vec<bool> {
        self.messages
            .iter()
            .filter_map(|(_, any)| match any {
                Any::Fault(f) if f.code == code => Some(f.is_active()),
                _ => None,
            })
            .collect()
    }

    pub fn fault_codes(&self) -> Vec<&str> {
        self.messages
            .iter()
            .filter_map(|(_, any)| if let Any::Fault(f) = any { Some(f.code.as_str()) } else { None })
            .collect()
    }
}
