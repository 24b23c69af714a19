//! The shipped checkpoint.

use auriga_lm::{
    decoder::{sample::Sampling, session::Budget},
    dialogue::turn::{Lm, TurnState},
    intent::{
        catalogue::Catalogue,
        output::IntentOutput,
        scene::{Gear, SceneFacts},
    },
    training::{corpus::Corpus, evaluate},
};
use std::{fs, path::Path};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

fn load() -> Lm {
    tch::set_num_threads(1);
    let here = Path::new(HERE);
    Lm::load(&here.join("checkpoint"), Catalogue::load(here.join("intents.toml")).unwrap()).unwrap()
}

fn drive() -> SceneFacts {
    SceneFacts {
        speed_mps: Some(14.0),
        gear: Some(Gear::Drive),
        lead_distance_m: Some(36.0),
        battery: Some(0.64),
        range_km: Some(241.0),
        outside_temp_c: Some(12.0),
        driving_load: Some(0.4),
        ..SceneFacts::default()
    }
}

fn ask(lm: &Lm, scene: &SceneFacts, utterance: &str) -> (IntentOutput, String) {
    let mut turn = lm.turn(scene, utterance, Sampling::GREEDY).unwrap();
    while !matches!(turn.step(lm, Budget::layers(3)).unwrap().state, TurnState::Finished(_)) {}
    (turn.intent().unwrap().clone(), turn.take_text())
}

/// The requests of sil-tests/drive.yaml.
const DRIVE: [(&str, &str); 7] = [
    ("navigate to the nearest charging station", "navigate_to place=the nearest charging station;"),
    ("how far can i still go", "range_query"),
    ("set the temperature to twenty one degrees", "set_temperature degrees=21;"),
    ("play some jazz", "play_music what=some jazz;"),
    ("call anna", "call who=anna;"),
    ("i feel a bit dizzy", "driver_unwell"),
    ("what is the meaning of that song lyric about rain", "out_of_scope"),
];

#[test]
fn the_requests_of_the_shipped_drive_are_understood_in_any_scene() {
    let lm = load();
    assert_eq!(lm.sampling(), Sampling::GREEDY);
    let hazard = SceneFacts { hazards: vec!["forward_collision".into()], driving_load: Some(0.9), ..drive() };
    for scene in [drive(), SceneFacts::default(), hazard] {
        for (utterance, expected) in DRIVE {
            let (intent, reply) = ask(&lm, &scene, utterance);
            assert_eq!(intent.to_string(), expected, "{utterance}, {}", scene.preamble());
            assert!(!reply.trim().is_empty());
        }
    }
}

#[test]
fn replies_use_the_scene_or_state_that_a_value_is_unknown() {
    let lm = load();
    assert_eq!(ask(&lm, &drive(), "how far can i still go").1, "You can go about 241 kilometres.");
    let (_, unknown) = ask(&lm, &SceneFacts::default(), "how far can i still go");
    assert_eq!(unknown, "I do not know the range, it is not reported.");
    assert_eq!(ask(&lm, &drive(), "call anna").1, "Calling anna.");
    assert_eq!(ask(&lm, &drive(), "set the temperature to twenty one degrees").1, "Setting the cabin to 21 degrees.");
}

/// Below the accuracy of the model card, so that rounding of another processor does not fail the test.
const MIN_ACCURACY: f64 = 0.90;

#[test]
fn held_out_phrasings_are_understood() {
    let lm = load();
    let corpus = Corpus::load(&Path::new(HERE).join("grammar.toml"), lm.catalogue()).unwrap();
    let report = evaluate::intents(&lm, &corpus.held_out(1)).unwrap();
    assert!(report.accuracy() >= MIN_ACCURACY, "{:.3}\n{}", report.accuracy(), report.table());
}

#[test]
fn the_checkpoint_is_small() {
    let files = fs::read_dir(Path::new(HERE).join("checkpoint")).unwrap();
    let bytes: u64 = files.map(|f| f.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < 8 << 20, "{bytes} bytes");
}
