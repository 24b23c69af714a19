//! The wake phrase: missed wakes and false wakes.

use crate::{
    measured_node::MeasuredNode,
    sound::{RATE, Random, VOICES, cabin, in_cabin, say},
    texts::{NEAR, REQUESTS, TALK},
};
use auriga_speech::{Config, recognition::model, turns::attention::Activation};

/// Values of wake_confidence that are measured.
const CONFIDENCES: [f32; 2] = [0.5, 0.8];
/// Minutes of talk and of noise, unless AURIGA_WAKE_MINUTES says otherwise.
const MINUTES: f64 = 10.0;
/// Pause between other talk and the wake phrase; shorter than the end silence.
const PAUSE_MS: usize = 180;

pub fn figures(config: &Config) {
    let minutes = std::env::var("AURIGA_WAKE_MINUTES").ok().and_then(|m| m.parse().ok()).unwrap_or(MINUTES);
    // No follow-up time: each request needs the wake phrase.
    let config = Config { activation: Activation::WakeWord, follow_up_s: 0.0, ..config.clone() };
    println!("  wakes missed of 100 ({} voices x {} requests), by signal to noise", VOICES.len(), REQUESTS.len());
    println!("  confidence   20 dB   10 dB    5 dB   10 dB, talk until {PAUSE_MS} ms before");
    for wake_confidence in CONFIDENCES {
        let config = Config { wake_confidence, ..config.clone() };
        let [a, b, c] = [20.0, 10.0, 5.0].map(|snr| missed(&config, snr, false));
        println!("  {wake_confidence:>10.1} {a:>7.1} {b:>7.1} {c:>7.1} {:>7.1}", missed(&config, 10.0, true));
    }
    let words = model::check(&config.model).expect("a model").words;
    let (known, unknown): (Vec<_>, Vec<_>) = NEAR.iter().partition(|(_, near)| words.contains(*near));
    let texts = |near: &[&(&'static str, &str)]| near.iter().map(|(text, _)| *text).collect::<Vec<_>>();
    let (known, unknown) = (texts(&known), texts(&unknown));
    println!("  false wakes an hour, confidence {}", config.wake_confidence);
    println!("  {minutes} min of talk of {} sentences: {:.1}", TALK.len(), on_talk(&config, &TALK, minutes));
    for (what, texts) in [("is in the model's vocabulary", known), ("is not", unknown)] {
        let (count, often) = (texts.len(), on_talk(&config, &texts, minutes / 2.0));
        println!("  half as long of {count} sentences with something near the phrase that {what}: {often:.1}");
    }
    println!("  {minutes} min of noise at -35 dB: {:.1}", on_noise(&config, minutes));
}

/// `talk`: somebody talks just before.
fn missed(config: &Config, snr_db: f64, talk: bool) -> f64 {
    let (mut missed, mut count) = (0, 0);
    let mut node = MeasuredNode::new(config);
    for (i, voice) in VOICES.iter().enumerate() {
        for (j, request) in REQUESTS.iter().enumerate() {
            let mut speech = say(voice, &format!("hey auriga {request}"));
            if talk {
                let before = say(VOICES[(i + 1) % VOICES.len()], TALK[j]);
                speech = [before, vec![0; RATE * PAUSE_MS / 1000], speech].concat();
            }
            node.play(&in_cabin(&speech, RATE, speech.len() + 3 * RATE, snr_db, (i * 100 + j) as u64));
            missed += usize::from(node.finals.is_empty());
            count += 1;
            node.finals.clear();
        }
    }
    100.0 * missed as f64 / count as f64
}

fn on_talk(config: &Config, texts: &[&str], minutes: f64) -> f64 {
    if texts.is_empty() {
        return f64::NAN;
    }
    let mut node = MeasuredNode::new(config);
    let mut random = Random::new(7);
    let mut seed = 0;
    while node.now().as_secs_f64() < 60.0 * minutes {
        let speech = say(VOICES[random.below(VOICES.len())], texts[random.below(texts.len())]);
        let pause = (RATE as f64 * (0.3 + random.next())) as usize;
        let snr_db = 5.0 + 20.0 * random.next();
        seed += 1;
        node.play(&in_cabin(&speech, pause, speech.len() + pause, snr_db, seed));
    }
    60.0 * node.wakes() as f64 / minutes
}

fn on_noise(config: &Config, minutes: f64) -> f64 {
    let mut node = MeasuredNode::new(config);
    for minute in 0..minutes.ceil() as u64 {
        node.play(&cabin(60 * RATE, -35.0, minute));
    }
    60.0 * node.wakes() as f64 / minutes
}
