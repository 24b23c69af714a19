//! Speed and accuracy of recognition: `cargo bench -p auriga-speech --bench recognise [-- PART…]`, a part being one of
//! turns, latency, speed, idle, wake, pauses; all of them when none is named.
//!
//! AURIGA_VOSK_MODEL names another model than models/speech/model; AURIGA_VOCABULARY=catalogue selects the intents'
//! phrasings as its vocabulary; AURIGA_VOSK_PYTHON, else AURIGA_PYTHON, is a Python with the vosk package for the
//! comparison with the bare library. The voices are synthetic: figures for people will differ.

mod measured_node;
mod sound;
mod texts;
mod wake;

use auriga_runtime::Nanos;
use auriga_speech::{
    Config,
    recognition::{self, Recogniser, Vocabulary},
    turns::{
        attention::Activation,
        vad::{TurnDetector, TurnEvent, VadSettings},
    },
};
use measured_node::MeasuredNode;
use sound::{RATE, Random, VOICES, cabin, in_cabin, say};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use texts::REQUESTS;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository");
    let model = std::env::var_os("AURIGA_VOSK_MODEL").map_or(root.join("models/speech/model"), PathBuf::from);
    if !model.is_dir() {
        println!("{} is not there: name a Vosk model with AURIGA_VOSK_MODEL", model.display());
        return;
    }
    let phrasings = root.join("models/language/grammar.toml");
    let vocabulary = match std::env::var("AURIGA_VOCABULARY").as_deref() {
        Ok("catalogue") => Vocabulary::Catalogue,
        _ => Vocabulary::Model,
    };
    let config = Config { model, phrasings, vocabulary, activation: Activation::Always, ..Config::default() };
    println!("model {}, vocabulary {vocabulary:?}", config.model.display());
    let parts: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    type Part = fn(&Config);
    let all: [(&str, Part); 6] = [
        ("turns", turns),
        ("latency", latency),
        ("speed", speed),
        ("idle", idle),
        ("wake", wake::figures),
        ("pauses", pauses),
    ];
    for (name, part) in all {
        if parts.is_empty() || parts.iter().any(|p| p == name) {
            println!("\n{name}");
            part(&config);
        }
    }
}

/// The value that `share` of the values (not empty) do not exceed.
fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() as f64 * share).ceil() as usize).clamp(1, values.len()) - 1]
}

/// Detected begin and end of turns against the true ones.
fn turns(config: &Config) {
    println!("  of {} requests each; errors in ms, positive is late", VOICES.len() * REQUESTS.len());
    println!("  SNR     begin p50    p90    end p50    p90   turns a request   turns in 10 min of the noise alone");
    for snr_db in [25.0, 15.0, 10.0, 5.0] {
        let (mut begins, mut ends, mut count) = (Vec::new(), Vec::new(), 0);
        let settings = VadSettings {
            threshold: config.vad_threshold as f32,
            start: Duration::from_millis(config.start_voice_ms),
            end_silence: Duration::from_millis(config.end_silence_ms),
            longest: Duration::from_secs(config.longest_turn_s),
        };
        for (i, voice) in VOICES.iter().enumerate() {
            for (j, text) in REQUESTS.iter().enumerate() {
                let speech = say(voice, text);
                let sound = in_cabin(&speech, 3 * RATE, speech.len() + 4 * RATE, snr_db, (i * 100 + j) as u64);
                let found = detected(&mut TurnDetector::new(settings), &sound);
                count += found.len();
                let ms = |n: Nanos| n.0 as f64 / 1e6;
                begins.extend(found.first().map(|t| ms(t.0) - 3000.0));
                ends.extend(found.last().map(|t| ms(t.1) - 3000.0 - speech.len() as f64 / 16.0));
            }
        }
        let noise = cabin(600 * RATE, sound::SPEECH_DB - snr_db, 77);
        let alone = detected(&mut TurnDetector::new(settings), &noise).len();
        let requests = (VOICES.len() * REQUESTS.len()) as f64;
        let [b50, b90] = [0.5, 0.9].map(|share| percentile(&mut begins, share));
        let [e50, e90] = [0.5, 0.9].map(|share| percentile(&mut ends, share));
        println!(
            "  {snr_db:>3} dB {b50:>12.0} {b90:>6.0} {e50:>10.0} {e90:>6.0} {:>17.2} {alone:>12}",
            count as f64 / requests
        );
    }
}

fn detected(detector: &mut TurnDetector, sound: &[i16]) -> Vec<(Nanos, Nanos)> {
    let mut found = Vec::new();
    for (i, part) in sound.chunks(RATE / 50).enumerate() {
        let stamp = Nanos::from_millis(20 * i as u64);
        detector.push(stamp, part, &mut |event| {
            if let TurnEvent::Ended { start, end } = event {
                found.push((start, end));
            }
        });
    }
    found
}

/// Latency from the last sound of a request to its final text.
fn latency(config: &Config) {
    let mut node = MeasuredNode::new(config);
    let (mut all, mut work, mut split, mut missed) = (Vec::new(), Vec::new(), 0, 0);
    for (i, voice) in VOICES.iter().enumerate() {
        for (j, text) in REQUESTS.iter().enumerate() {
            let speech = say(voice, text);
            let begin = node.now();
            let sound = in_cabin(&speech, RATE, speech.len() + 3 * RATE, 15.0, (i * 100 + j) as u64);
            node.play(&sound);
            let end = begin + Duration::from_secs_f64(1.0 + speech.len() as f64 / RATE as f64);
            match node.finals.as_slice() {
                [] => missed += 1,
                [.., (at, last)] => {
                    split += node.finals.len() - 1;
                    all.push((at.0 as f64 - end.0 as f64) / 1e6);
                    work.push((at.0 as f64 - last.speech_end_ns as f64) / 1e6);
                }
            }
            node.finals.clear();
        }
    }
    println!("  {} requests at 15 dB, {missed} not recognised, {split} cut in two", VOICES.len() * REQUESTS.len());
    for (what, values) in
        [("last sound to final text", &mut all), ("the stamp (last voiced sample) to final text", &mut work)]
    {
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|share| percentile(values, share));
        println!("  {what:<46} p50 {p50:5.0} ms   p90 {p90:5.0} ms   p99 {p99:5.0} ms");
    }
}

/// Processor time compared with the bare library, for the same audio.
fn speed(config: &Config) {
    let mut sound = Vec::new();
    for (i, voice) in VOICES.iter().step_by(2).enumerate() {
        for (j, text) in REQUESTS.iter().enumerate() {
            let speech = say(voice, text);
            sound.extend(in_cabin(&speech, RATE / 2, speech.len() + RATE, 15.0, (i * 100 + j) as u64));
        }
    }
    let seconds = sound.len() as f64 / RATE as f64;
    println!("  {seconds:.0} s of sound; processor time as a share of it, the least of three");
    let row = |what: &str, took: f64| println!("  {what:<58} {:.4}", took / seconds);
    let config = Config { alternatives: 0, ..config.clone() };
    let Ok(Some(mut opened)) = recognition::open(&config) else { return println!("  the model cannot be opened") };
    let python = std::env::var_os("AURIGA_VOSK_PYTHON").or(std::env::var_os("AURIGA_PYTHON")).unwrap_or_default();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sound.wav");
    write(&path, &sound);
    for step in [RATE / 50, RATE / 5] {
        let (mut node, mut python_library) = (f64::MAX, Some(f64::MAX));
        // Alternating: other load of the machine affects both.
        for _ in 0..3 {
            node = node.min(bare(opened.recogniser.as_mut(), &sound, step));
            let took = bare_python(&python, &config.model, &path, step);
            python_library = python_library.zip(took).map(|(least, took)| least.min(took));
        }
        row(&format!("VoskRecogniser, {} ms pieces", step * 1000 / RATE), node);
        match python_library {
            Some(bare) => {
                row("  bare vosk-api in Python", bare);
                println!("  {:<58} {:.3}", "  VoskRecogniser / bare", node / bare);
            }
            None => println!("  bare vosk-api: skipped, AURIGA_VOSK_PYTHON names no Python with vosk"),
        }
    }
    let mut node = MeasuredNode::new(&config);
    let began = processor_time();
    node.play(&sound);
    row("the complete node, with partial results", processor_time() - began);
}

fn write(path: &Path, sound: &[i16]) {
    let sample_format = hound::SampleFormat::Int;
    let spec = hound::WavSpec { channels: 1, sample_rate: RATE as u32, bits_per_sample: 16, sample_format };
    let mut writer = hound::WavWriter::create(path, spec).expect("a WAV file");
    sound.iter().for_each(|s| writer.write_sample(*s).expect("written"));
    writer.finalize().expect("written");
}

fn bare_python(python: &OsStr, model: &Path, wav: &Path, step: usize) -> Option<f64> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/recognise/bare.py");
    let run = Command::new(python).arg(script).arg(model).arg(wav).arg(step.to_string()).output().ok()?;
    String::from_utf8_lossy(&run.stdout).trim().parse().ok()
}

/// All audio through a recogniser, without the node.
fn bare(recogniser: &mut dyn Recogniser, sound: &[i16], step: usize) -> f64 {
    let began = processor_time();
    sound.chunks(step).for_each(|piece| recogniser.accept(piece).expect("recognised"));
    recogniser.finish().expect("recognised");
    processor_time() - began
}

/// Processor time of this thread, in s.
pub fn processor_time() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("schedstat of Linux");
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).expect("nanoseconds") / 1e9
}

/// Processor load of the node while nobody speaks.
fn idle(config: &Config) {
    let config = Config { activation: Activation::WakeWord, ..config.clone() };
    let length = 120 * RATE;
    let quiet = [("digital silence", vec![0; length]), ("cabin noise at -52 dB", cabin(length, -52.0, 1))];
    let loud = [("cabin noise at -40 dB", cabin(length, -40.0, 2)), ("cabin noise at -30 dB", cabin(length, -30.0, 3))];
    for (what, sound) in quiet.into_iter().chain(loud) {
        let mut node = MeasuredNode::new(&config);
        let began = processor_time();
        node.play(&sound);
        let share = 100.0 * (processor_time() - began) / (sound.len() as f64 / RATE as f64);
        println!("  {what:<24} {share:5.2} % of one processor, {} utterances", node.finals.len());
    }
}

/// Requests with a pause: how many are cut in two; and how many complete requests wait longer.
fn pauses(config: &Config) {
    const HALVES: [(&str, &str); 8] = [
        ("navigate to the", "nearest charging station"),
        ("navigate to", "the airport"),
        ("set the temperature to", "twenty one degrees"),
        ("set the temperature to twenty", "two degrees"),
        ("call", "my brother"),
        ("what is the", "tyre pressure"),
        ("how far is the", "next charging station"),
        ("could you", "open the window"),
    ];
    for pause_ms in [300, 450] {
        for longer in [false, true] {
            let silence_ms = if longer { config.incomplete_end_silence_ms } else { config.end_silence_ms };
            let mut node = MeasuredNode::new(&Config { incomplete_end_silence_ms: silence_ms, ..config.clone() });
            let (mut cut, mut count) = (0, 0);
            for (i, voice) in VOICES.iter().enumerate() {
                for (j, (first, second)) in HALVES.iter().enumerate() {
                    let pause = vec![0; RATE * pause_ms / 1000];
                    let speech = [say(voice, first), pause, say(voice, second)].concat();
                    node.play(&in_cabin(&speech, RATE, speech.len() + 3 * RATE, 20.0, (i * 10 + j) as u64));
                    cut += usize::from(node.finals.len() > 1);
                    count += 1;
                    node.finals.clear();
                }
            }
            println!(
                "  pause of {pause_ms} ms, incomplete_end_silence_ms = {silence_ms}: {cut} of {count} requests are cut in two"
            );
        }
    }
    let mut late = 0;
    let mut node = MeasuredNode::new(config);
    let mut random = Random::new(5);
    for text in REQUESTS {
        let speech = say(VOICES[random.below(VOICES.len())], text);
        let end = node.now() + Duration::from_secs_f64(1.0 + speech.len() as f64 / RATE as f64);
        node.play(&in_cabin(&speech, RATE, speech.len() + 3 * RATE, 20.0, 9));
        let allowed = Duration::from_millis(config.end_silence_ms + 250);
        late += node.finals.iter().filter(|(at, _)| *at > end + allowed).count();
        node.finals.clear();
    }
    println!("  {late} of {} complete requests waited longer", REQUESTS.len());
}
