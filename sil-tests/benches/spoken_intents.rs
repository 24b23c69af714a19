//! Intent accuracy of speech recognition and language model together: held-out phrasings spoken by held-out voices,
//! classified from the reference text and from the recognised text, by the encoder and by the fallback decoder.
//!
//! `cargo bench -p auriga-sil --bench spoken_intents`; AURIGA_VOSK_MODEL replaces models/speech/model,
//! AURIGA_VOCABULARY=catalogue restricts its vocabulary to the training phrasings.

#[allow(dead_code)]
#[path = "../../nodes/speech/benches/recognise/sound.rs"]
mod sound;

use auriga_lm::{
    dialogue::turn::Lm,
    intent::{catalogue::Catalogue, classifier::IntentClassifier},
    training::{
        corpus::{Corpus, Example},
        evaluate::{self, Report},
    },
};
use auriga_speech::{
    Config,
    recognition::{self, Recogniser, Vocabulary},
};
use sound::{RATE, VOICES, in_cabin, say};
use std::path::{Path, PathBuf};

const SEED: u64 = 1_000_001;
/// Signal-to-noise ratio in the cabin.
const SNR_DB: f64 = 15.0;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository");
    let model = std::env::var_os("AURIGA_VOSK_MODEL").map_or(root.join("models/speech/model"), PathBuf::from);
    let language = root.join("models/language");
    let base = root.join(".native/minilm");
    if !model.is_dir() || !base.is_dir() {
        return auriga_testing::skip(format!("{} or {} is missing (make setup)", model.display(), base.display()));
    }
    let vocabulary = match std::env::var("AURIGA_VOCABULARY").as_deref() {
        Ok("catalogue") => Vocabulary::Catalogue,
        _ => Vocabulary::Model,
    };
    let config = Config { model, vocabulary, phrasings: language.join("grammar.toml"), ..Config::default() };
    let mut recogniser = recognition::open(&config).expect("a model").expect("a model").recogniser;
    let catalogue = || Catalogue::load(language.join("intents.toml")).expect("the catalogue");
    let lm = Lm::load(&language.join("checkpoint"), catalogue()).expect("the language model");
    let encoder = IntentClassifier::load(&base, &language.join("intents-minilm"), catalogue()).expect("the encoder");
    let corpus = Corpus::load(&language.join("grammar.toml"), lm.catalogue()).expect("the grammar");
    let reference = corpus.held_out(SEED);
    let recognised: Vec<Example> =
        reference.iter().enumerate().map(|(i, e)| recognise(recogniser.as_mut(), i, e)).collect();
    let exact = reference.iter().zip(&recognised).filter(|(a, b)| a.utterance == b.utterance).count();
    println!("model {}, vocabulary {vocabulary:?}", config.model.display());
    println!(
        "{} held-out phrasings, {} voices, {SNR_DB} dB; {exact} recognised without error",
        reference.len(),
        VOICES.len()
    );
    let row = |what: &str, report: &Report| {
        let (intents, slots) = (100.0 * report.accuracy(), 100.0 * report.slot_accuracy());
        println!("  {what:<34} intents {intents:6.2} %   with all slots {slots:6.2} % of {}", report.with_slots);
    };
    for (from, examples) in [("reference", &reference), ("recognised", &recognised)] {
        row(&format!("encoder, {from} text"), &evaluate::classifier(&encoder, examples).expect("classified"));
        row(&format!("decoder, {from} text"), &evaluate::intents(&lm, examples).expect("classified"));
    }
}

/// The example with its recognised text.
fn recognise(recogniser: &mut dyn Recogniser, number: usize, example: &Example) -> Example {
    let speech = say(VOICES[number % VOICES.len()], &example.utterance);
    let sound = in_cabin(&speech, RATE / 2, speech.len() + RATE, SNR_DB, number as u64);
    sound.chunks(RATE / 50).for_each(|piece| recogniser.accept(piece).expect("recognised"));
    Example { utterance: recogniser.finish().expect("recognised").text(), ..example.clone() }
}
