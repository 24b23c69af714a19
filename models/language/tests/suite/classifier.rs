//! The classifier with a tiny base and random heads.

use crate::tiny;
use auriga_lm::{
    decoder::{
        session::Budget,
        weights::{self, Weights},
    },
    intent::{
        catalogue::Catalogue,
        classifier::{ADAPTER_CONFIG, Classified, ClassifierError, IntentClassifier, WEIGHTS, context::Context},
        output::IntentOutput,
        prompt::MAX_UTTERANCE_CHARS,
        scene::SceneFacts,
    },
};
use proptest::prelude::*;
use std::{fs, path::Path};
use tch::{Kind, Tensor};

fn shipped_catalogue() -> Catalogue {
    Catalogue::load(Path::new(env!("CARGO_MANIFEST_DIR")).join("intents.toml")).unwrap()
}

thread_local! {
    /// Two of them, with heads of different seeds; they live as long as the test.
    static TINY: [&'static IntentClassifier; 2] = [1, 2].map(|seed| {
        let dir = tempfile::tempdir().unwrap();
        tiny::base(dir.path());
        tiny::adapter(dir.path(), &shipped_catalogue(), seed);
        let encoder = IntentClassifier::load(dir.path(), dir.path(), shipped_catalogue()).unwrap();
        &*Box::leak(Box::new(encoder))
    });
}

fn encoder(which: usize) -> &'static IntentClassifier {
    TINY.with(|all| all[which])
}

fn load_with(change: impl FnOnce(&Path)) -> String {
    let dir = tempfile::tempdir().unwrap();
    tiny::base(dir.path());
    tiny::adapter(dir.path(), &shipped_catalogue(), 1);
    change(dir.path());
    match IntentClassifier::load(dir.path(), dir.path(), shipped_catalogue()) {
        Ok(_) => "no error".into(),
        Err(e) => e.to_string(),
    }
}

fn edit_config(dir: &Path, from: &str, to: &str) {
    let config = fs::read_to_string(dir.join(ADAPTER_CONFIG)).unwrap();
    assert!(config.contains(from), "{from}");
    fs::write(dir.join(ADAPTER_CONFIG), config.replace(from, to)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_utterance_gives_an_intent_of_the_catalogue(
        which in 0..2usize,
        utterance in "[a-z']{1,9}( [a-z]{1,7}| twenty| one| 19){0,12}",
        speed in prop::option::of(0.0..60f64),
    ) {
        let encoder = encoder(which);
        let context = Context { scene: SceneFacts { speed_mps: speed, ..SceneFacts::default() }, ..Context::default() };
        let intent = encoder.intent(&context, &utterance).unwrap();
        prop_assert!(encoder.catalogue().check(&intent).is_ok(), "{}", intent);
        prop_assert!((0.0..=1.0).contains(&intent.confidence));
        let parsed = IntentOutput { confidence: intent.confidence, ..IntentOutput::parse(&intent.to_string()).unwrap() };
        prop_assert_eq!(&parsed, &intent);
        // Text slots hold words of the utterance.
        for (name, value) in &intent.slots {
            if ["place", "who", "what"].contains(&name.as_str()) {
                prop_assert!(utterance.contains(value.as_str()), "{}", value);
            }
        }
    }

    #[test]
    fn a_sliced_classification_gives_the_same_result_bit_for_bit(layers in 1..4usize, utterance in "[a-z]{1,8}( [a-z]{1,8}){0,6}") {
        let encoder = encoder(0);
        let mut run = encoder.classify(&Context::default(), &utterance).unwrap();
        let (mut steps, mut all) = (0, 0);
        let sliced = loop {
            let step = run.step(encoder, Budget::layers(layers)).unwrap();
            prop_assert!(step.layers <= layers);
            (steps, all) = (steps + 1, all + step.layers);
            if let Classified::Done(intent) = step.state { break intent }
        };
        prop_assert_eq!(all, encoder.layers());
        prop_assert_eq!(steps, encoder.layers().div_ceil(layers));
        prop_assert_eq!(sliced, encoder.intent(&Context::default(), &utterance).unwrap());
    }
}

#[test]
fn a_budget_of_0_does_nothing_and_a_complete_classification_can_be_repeated() {
    let encoder = encoder(0);
    let mut run = encoder.classify(&Context::default(), "close the window").unwrap();
    assert_eq!(run.step(encoder, Budget::layers(0)).unwrap().state, Classified::Paused);
    let first = run.step(encoder, Budget::UNLIMITED).unwrap().state;
    assert_eq!(run.step(encoder, Budget::UNLIMITED).unwrap().state, first);
    let sum: f64 = run.ranking().iter().map(|(_, p)| p).sum();
    assert!((sum - 1.0).abs() < 1e-6 && run.ranking().len() == encoder.catalogue().intents().len());
}

#[test]
fn the_context_changes_the_probabilities() {
    let encoder = encoder(0);
    let probability = |context: &Context| {
        let mut run = encoder.classify(context, "what was that").unwrap();
        run.step(encoder, Budget::UNLIMITED).unwrap();
        run.ranking()[0].1
    };
    let hazard = SceneFacts { hazards: vec!["pedestrian".into()], ..SceneFacts::default() };
    assert_ne!(probability(&Context::default()), probability(&Context { scene: hazard, ..Context::default() }));
}

#[test]
fn an_utterance_without_words_is_an_error_and_a_long_one_is_truncated() {
    let encoder = encoder(0);
    assert!(matches!(encoder.classify(&Context::default(), " ?! "), Err(ClassifierError::NoWords)));
    // Every letter is a piece, and the tiny encoder has 40 positions.
    let run = encoder.classify(&Context::default(), &"abc ".repeat(30)).unwrap();
    assert_eq!(run.truncated_words(), 30 - 12);
    assert_eq!(encoder.classify(&Context::default(), "abc").unwrap().truncated_words(), 0);
    // A single word that does not fit is left out.
    let long = "a".repeat(MAX_UTTERANCE_CHARS + 40);
    assert!(matches!(encoder.classify(&Context::default(), &long), Err(ClassifierError::NoWords)));
}

#[test]
fn the_former_key_of_the_out_of_scope_bias_is_read() {
    assert_eq!(load_with(|dir| edit_config(dir, "\"out_of_scope_bias\"", "\"outside_bias\"")), "no error");
}

#[test]
fn damaged_and_mismatched_files_are_different_errors() {
    let truncate = |dir: &Path, file: &str| {
        let bytes = fs::read(dir.join(file)).unwrap();
        fs::write(dir.join(file), &bytes[..bytes.len() / 2]).unwrap();
    };
    assert_eq!(load_with(|_| {}), "no error");
    let e = load_with(|dir| truncate(dir, "model.safetensors"));
    assert!(e.contains("model.safetensors is damaged or truncated"), "{e}");
    let e = load_with(|dir| truncate(dir, WEIGHTS));
    assert!(e.contains("adapter.safetensors is damaged or truncated"), "{e}");
    let e = load_with(|dir| fs::remove_file(dir.join(ADAPTER_CONFIG)).unwrap());
    assert!(e.contains("adapter.json: cannot be read"), "{e}");
    let e = load_with(|dir| edit_config(dir, "\"scale\"", "\"scales\""));
    assert!(e.contains("is not the configuration of an adapter") && e.contains("scales"), "{e}");
    let e = load_with(|dir| edit_config(dir, "\"temperature\": 1.0", "\"temperature\": 0.0"));
    assert!(e.contains("expected temperature > 0"), "{e}");
    let e = load_with(|dir| edit_config(dir, "\"find_parking\"", "\"find_pork\""));
    assert!(e.contains("trained for another catalogue: intent 2 is `find_pork` and not `find_parking`"), "{e}");
    let e = load_with(|dir| edit_config(dir, "\"first_query\": ", "\"first_query\": 9"));
    assert!(e.contains("trained on another base") && e.contains("their weights differ"), "{e}");
    let e = load_with(|dir| tiny::tokenizer(dir, 30));
    assert!(e.contains("token ids up to 228, the encoder a vocabulary of 199"), "{e}");
    let e = load_with(|dir| {
        let text = fs::read_to_string(dir.join("tokenizer.json")).unwrap().replace("[CLS]", "[BEGIN]");
        fs::write(dir.join("tokenizer.json"), text).unwrap();
    });
    assert!(e.contains("it has no token [CLS]"), "{e}");
}

/// The adapter's tensors, changed.
fn load_changed(change: impl FnOnce(&mut Vec<(String, Tensor)>)) -> String {
    load_with(|dir| {
        let all = Weights::load_file(&dir.join(WEIGHTS)).unwrap().into_tensors();
        let mut all: Vec<_> = all.into_iter().collect();
        change(&mut all);
        weights::save(&all, Kind::Float, &dir.join(WEIGHTS)).unwrap();
    })
}

#[test]
fn errors_of_an_adapter_name_the_tensor() {
    let nan = |name: &'static str| {
        move |all: &mut Vec<(String, Tensor)>| {
            let tensor = &mut all.iter_mut().find(|(n, _)| n == name).unwrap().1;
            let _ = tensor.flatten(0, -1).get(0).fill_(f64::NAN);
        }
    };
    let e = load_changed(nan("head.intent.weight"));
    assert!(e.contains("`head.intent.weight` holds values that are not finite"), "{e}");
    let e = load_changed(nan("encoder.layer.0.attention.self.query.weight.lora_p"));
    assert!(e.contains("`encoder.layer.0.attention.self.query.weight` holds values that are not finite"), "{e}");
    let e = load_changed(|all| all.retain(|(n, _)| !n.ends_with("lora_q")));
    assert!(e.contains("the adapter has no `encoder.layer.0.attention.self.query.weight.lora_q`"), "{e}");
    let e = load_changed(|all| {
        for (name, tensor) in all.iter_mut().filter(|(n, _)| n.ends_with("lora_q")) {
            assert!(name.starts_with("encoder"));
            *tensor = tensor.narrow(1, 0, 7);
        }
    });
    assert!(e.contains("which do not fit the base's [48, 48]"), "{e}");
    let e = load_changed(|all| all.retain(|(n, _)| n != "head.tags.bias"));
    assert!(e.contains("`head.tags.bias`"), "{e}");
    let e = load_changed(|all| all.push(("pooler".into(), Tensor::ones([1], (Kind::Float, tch::Device::Cpu)))));
    assert!(e.contains("changes `pooler`, which the base does not have"), "{e}");
}
