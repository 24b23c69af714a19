//! The wake phrase: how often it is missed, and how often it is heard where it was not said.

use crate::{
    ears::Ears,
    sound::{Dice, RATE, VOICES, cabin, in_cabin, say},
    texts::{NEAR, REQUESTS, TALK},
};
use auriga_speech::{Config, attention::Activation};

/// Thresholds that are tried.
const CONFIDENCES: [f32; 2] = [0.5, 0.8];
/// Minutes of talk and of noise, unless AURIGA_WAKE_MINUTES says otherwise.
const MINUTES: f64 = 10.0;

pub fn figures(config: &Config) {
    let minutes = std::env::var("AURIGA_WAKE_MINUTES").ok().and_then(|m| m.parse().ok()).unwrap_or(MINUTES);
    // Each request must wake the car anew.
    let config = Config { activation: Activation::WakeWord, attention_s: 0.0, ..config.clone() };
    println!("  wakes missed of 100 ({} voices x {} requests), by signal to noise", VOICES.len(), REQUESTS.len());
    println!("  confidence   20 dB   10 dB    5 dB");
    for wake_confidence in CONFIDENCES {
        let config = Config { wake_confidence, ..config.clone() };
        let missed = [20.0, 10.0, 5.0].map(|snr| missed(&config, snr));
        println!("  {wake_confidence:>10.1} {:>7.1} {:>7.1} {:>7.1}", missed[0], missed[1], missed[2]);
    }
    println!("  false wakes an hour, by {minutes} minutes of each");
    println!("  confidence    talk   noise at -35 dB   talk of nothing but what sounds like the phrase");
    for wake_confidence in CONFIDENCES {
        let config = Config { wake_confidence, ..config.clone() };
        let [talk, near] = [&TALK[..], &NEAR[..]].map(|texts| on_talk(&config, texts, minutes));
        println!("  {wake_confidence:>10.1} {talk:>7.1} {:>17.1} {near:>15.1}", on_noise(&config, minutes));
    }
}

fn missed(config: &Config, snr_db: f64) -> f64 {
    let (mut missed, mut count) = (0, 0);
    let mut ears = Ears::new(config);
    for (i, voice) in VOICES.iter().enumerate() {
        for (j, request) in REQUESTS.iter().enumerate() {
            let speech = say(voice, &format!("hey auriga {request}"));
            ears.hear(&in_cabin(&speech, RATE, speech.len() + 3 * RATE, snr_db, (i * 100 + j) as u64));
            missed += usize::from(ears.finals.is_empty());
            count += 1;
            ears.finals.clear();
        }
    }
    100.0 * missed as f64 / count as f64
}

fn on_talk(config: &Config, texts: &[&str], minutes: f64) -> f64 {
    let mut ears = Ears::new(config);
    let mut dice = Dice::new(7);
    let mut seed = 0;
    while ears.now().as_secs_f64() < 60.0 * minutes {
        let speech = say(VOICES[dice.below(VOICES.len())], texts[dice.below(texts.len())]);
        let pause = (RATE as f64 * (0.3 + dice.next())) as usize;
        let snr_db = 5.0 + 20.0 * dice.next();
        seed += 1;
        ears.hear(&in_cabin(&speech, pause, speech.len() + pause, snr_db, seed));
    }
    60.0 * ears.wakes() as f64 / minutes
}

fn on_noise(config: &Config, minutes: f64) -> f64 {
    let mut ears = Ears::new(config);
    for minute in 0..minutes.ceil() as u64 {
        ears.hear(&cabin(60 * RATE, -35.0, minute));
    }
    60.0 * ears.wakes() as f64 / minutes
}
