//! A published chat model, whose tokenizer has no special tokens of this project.

use auriga_lm::{
    decoder::{sample::Sampling, session::Budget},
    dialogue::{
        error::LmError,
        template::{ChatTemplate, Message},
        tokenizer::Tokenizer,
        turn::{Lm, Turn, TurnState},
    },
    intent::{catalogue::Catalogue, output::IntentOutput, scene::SceneFacts},
};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

fn folder() -> PathBuf {
    Path::new(HERE).join("tests/fixtures/chat")
}

fn load(folder: &Path) -> Result<Lm, LmError> {
    Lm::load(folder, Catalogue::load(Path::new(HERE).join("intents.toml")).unwrap())
}

/// The folder with one of its JSON files changed.
fn changed(file: &str, change: impl FnOnce(&mut Value)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = dir.path().join(file);
    let mut value: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
    dir
}

fn refused(folder: &Path) -> String {
    load(folder).map(|_| ()).unwrap_err().to_string()
}

/// The intent with its confidence, and the layers that it took.
fn understand(lm: &Lm, turn: &mut Turn, budget: Budget) -> (IntentOutput, usize) {
    let mut layers = 0;
    loop {
        let step = turn.step(lm, budget).unwrap();
        layers += step.layers;
        if let TurnState::Understood(intent) = step.state {
            return (intent, layers);
        }
    }
}

/// The text of the reply.
fn reply(lm: &Lm, turn: &mut Turn, budget: Budget) -> String {
    let mut text = String::new();
    while !matches!(turn.step(lm, budget).unwrap().state, TurnState::Finished(_)) {
        text += &turn.take_text();
    }
    text + &turn.take_text()
}

#[derive(Deserialize)]
struct Case {
    template: String,
    messages: Vec<Said>,
    /// None where the template refuses the messages.
    text: Option<String>,
    tokens: Option<Vec<u32>>,
}

#[derive(Deserialize)]
struct Said {
    role: String,
    content: String,
}

#[test]
fn rendered_messages_and_tokens_equal_transformers() {
    let cases: Vec<Case> = serde_json::from_str(&fs::read_to_string(folder().join("templates.json")).unwrap()).unwrap();
    let config: Value =
        serde_json::from_str(&fs::read_to_string(folder().join("tokenizer_config.json")).unwrap()).unwrap();
    let tokenizer = Tokenizer::load(&folder().join("tokenizer.json")).unwrap().with_special_tokens();
    for case in cases {
        let template = ChatTemplate::new(&case.template, config.as_object().unwrap(), "test").unwrap();
        let message = |m: &Said| match m.role.as_str() {
            "system" => Message::system(&*m.content),
            "user" => Message::user(&*m.content),
            _ => Message::assistant(&*m.content),
        };
        let messages: Vec<Message> = case.messages.iter().map(message).collect();
        match (template.render(&messages), case.text) {
            (Ok(found), Some(expected)) => {
                assert_eq!(found, expected);
                assert_eq!(tokenizer.encode(&found).unwrap(), case.tokens.unwrap());
            }
            (Err(e), None) => assert!(e.to_string().contains("must alternate"), "{e}"),
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn the_common_prefix_of_turns_is_processed_once() {
    let lm = load(&folder()).unwrap();
    let nothing = SceneFacts::default();
    let mut turn = lm.turn(&nothing, "call anna", Sampling::GREEDY).unwrap();
    let (intent, first) = understand(&lm, &mut turn, Budget::layers(7));
    let text = reply(&lm, &mut turn, Budget::layers(2));
    assert!(!text.is_empty() && !text.contains('\n'), "{text:?}");
    let (again, layers) =
        understand(&lm, &mut lm.turn(&nothing, "call anna", Sampling::GREEDY).unwrap(), Budget::layers(3));
    assert_eq!(again.to_string(), intent.to_string());
    assert!((again.confidence - intent.confidence).abs() < 1e-5);
    // Another scene shares the list of calls.
    let scene = SceneFacts { speed_mps: Some(20.0), ..SceneFacts::default() };
    let mut other = lm.turn(&scene, "play some jazz", Sampling::GREEDY).unwrap();
    let (_, other) = understand(&lm, &mut other, Budget::UNLIMITED);
    assert!(layers * 2 < first && other * 2 < first, "{layers} and {other} layers, {first} the first time");
}

#[test]
fn processing_the_scene_before_gives_the_same_intent_in_fewer_layers() {
    let scene = SceneFacts { range_km: Some(212.0), ..SceneFacts::default() };
    let lm = load(&folder()).unwrap();
    let mut full = lm.turn(&scene, "call anna now", Sampling::GREEDY).unwrap();
    let full = understand(&lm, &mut full, Budget::UNLIMITED);
    let mut session = lm.scene(&scene).unwrap();
    session.step(lm.model(), Budget::UNLIMITED).unwrap();
    let mut after = lm.turn_after(&session, &scene, "call anna now", Sampling::GREEDY).unwrap();
    let after = understand(&lm, &mut after, Budget::UNLIMITED);
    assert_eq!(after.0.to_string(), full.0.to_string());
    assert!(after.1 < full.1, "{} layers, {} from the beginning", after.1, full.1);
    // Kept, it serves turns of other scenes too.
    lm.cache_prefix(&session);
    let mut kept = lm.turn(&SceneFacts::default(), "call anna now", Sampling::GREEDY).unwrap();
    let kept = understand(&lm, &mut kept, Budget::UNLIMITED);
    assert!(kept.1 * 2 < full.1, "{} layers, {} from the beginning", kept.1, full.1);
    let intent = IntentOutput::new("set_temperature", &[("degrees", "21")]);
    let mut given = lm.reply(&scene, "set it to 21", &intent, Sampling::GREEDY).unwrap();
    assert_eq!(given.intent(), Some(&intent));
    assert!(!reply(&lm, &mut given, Budget::layers(3)).is_empty());
}

#[test]
fn replies_are_sampled_as_the_checkpoint_suggests() {
    assert_eq!(load(&folder()).unwrap().sampling(), Sampling::GREEDY);
    let warm = changed("generation_config.json", |c| {
        c["do_sample"] = json!(true);
        c["temperature"] = json!(1.5);
    });
    let lm = load(warm.path()).unwrap();
    let suggested = lm.sampling();
    assert_eq!(suggested, Sampling { temperature: 1.5, top_k: 50, ..Sampling::GREEDY });
    let say = |sampling| {
        let mut turn = lm.turn(&SceneFacts::default(), "call anna", sampling).unwrap();
        let (intent, _) = understand(&lm, &mut turn, Budget::UNLIMITED);
        (intent.to_string(), reply(&lm, &mut turn, Budget::UNLIMITED))
    };
    let (drawn, other) = (say(suggested), say(Sampling { seed: 1, ..suggested }));
    assert_eq!(drawn, say(suggested));
    assert_ne!(drawn.1, other.1);
    // What is to be done is not left to chance.
    assert_eq!((&drawn.0, &other.0), (&say(Sampling::GREEDY).0, &drawn.0));
    let beams = changed("generation_config.json", |c| c["num_beams"] = json!(3));
    assert!(refused(beams.path()).contains("generation_config.json: `num_beams` = 3 is not supported: expected 1"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn an_untrained_model_makes_a_call_of_the_catalogue_for_any_words(
        utterance in "[a-zäß']{1,9}( [a-z0-9]{1,7}){0,12}",
        layers in 1..20usize,
    ) {
        let lm = load(&folder()).unwrap();
        let mut turn = lm.turn(&SceneFacts::default(), &utterance, Sampling::GREEDY).unwrap();
        while !matches!(turn.step(&lm, Budget::layers(layers)).unwrap().state, TurnState::Understood(_)) {}
        let intent = turn.intent().unwrap();
        prop_assert!(lm.catalogue().check(intent).is_ok(), "{}", intent);
        prop_assert!((0.0..=1.0).contains(&intent.confidence));
        for (name, value) in &intent.slots {
            if ["place", "who", "what"].contains(&name.as_str()) {
                prop_assert!(utterance.contains(value.as_str()), "{}", value);
            }
        }
    }
}

#[test]
fn checkpoints_without_dialogue_support_are_errors_that_name_the_cause() {
    let dir = changed("config.json", |_| {});
    fs::remove_file(dir.path().join("chat_template.jinja")).unwrap();
    assert!(refused(dir.path()).contains("has no chat template"));
    let broken = changed("config.json", |_| {});
    fs::write(broken.path().join("chat_template.jinja"), "{% for").unwrap();
    assert!(refused(broken.path()).contains("cannot be rendered"));
    let short = changed("config.json", |c| c["max_position_embeddings"] = json!(256));
    assert!(refused(short.path()).contains("the context of the model has 256 (`max_position_embeddings`)"));
    let endless = changed("generation_config.json", |c| c["eos_token_id"] = Value::Null);
    fs::write(endless.path().join("tokenizer_config.json"), "{}").unwrap();
    assert!(refused(endless.path()).contains("no token ends a text (found [])"));
    let beyond = changed("generation_config.json", |c| c["eos_token_id"] = json!(99_999));
    assert!(refused(beyond.path()).contains("99999"));
    let wrong = changed("generation_config.json", |c| c["eos_token_id"] = json!("end"));
    assert!(refused(wrong.path()).contains("generation_config.json: `eos_token_id` = \"end\""));
    let tokens = changed("tokenizer.json", |t| t["model"]["vocab"]["zzz"] = json!(70_000));
    assert!(refused(tokens.path()).contains("token ids up to 70000"));
    let words =
        changed("tokenizer.json", |t| t["decoder"] = json!({ "type": "WordPiece", "prefix": "##", "cleanup": true }));
    assert!(refused(words.path()).contains("expected a byte-level tokenizer"));
}

#[test]
fn truncation_and_padding_of_the_tokenizer_do_not_apply() {
    let intent = |folder: &Path| {
        let lm = load(folder).unwrap();
        let mut turn = lm.turn(&SceneFacts::default(), "call anna now", Sampling::GREEDY).unwrap();
        understand(&lm, &mut turn, Budget::UNLIMITED)
    };
    let expected = intent(&folder());
    let truncation = json!({ "direction": "Right", "max_length": 512, "strategy": "LongestFirst", "stride": 0 });
    let cut = changed("tokenizer.json", |t| t["truncation"] = truncation);
    assert_eq!(intent(cut.path()), expected);
    for strategy in [json!("BatchLongest"), json!({ "Fixed": 4096 })] {
        let padding = json!({
            "strategy": strategy, "direction": "Left", "pad_to_multiple_of": 64, "pad_id": 0, "pad_type_id": 0,
            "pad_token": "<|endoftext|>",
        });
        let filled = changed("tokenizer.json", |t| t["padding"] = padding);
        assert_eq!(intent(filled.path()), expected);
    }
}
