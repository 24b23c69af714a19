//! The shipped classifier, if set-up has fetched its base.

use auriga_lm::intent::{
    catalogue::Catalogue,
    classifier::{IntentClassifier, WEIGHTS, context::Context},
    scene::{Gear, SceneFacts},
};
use std::{fs, path::Path};

fn shipped() -> Option<IntentClassifier> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let base = here.join("../../.native/minilm");
    if !base.join("model.safetensors").exists() {
        auriga_testing::skip(format!("no base encoder in {}; run make setup", base.display()));
        return None;
    }
    tch::set_num_threads(1);
    Some(
        IntentClassifier::load(
            &base,
            &here.join("intents-minilm"),
            Catalogue::load(here.join("intents.toml")).unwrap(),
        )
        .unwrap(),
    )
}

#[test]
fn the_shipped_classifier_understands_requests() {
    let Some(encoder) = shipped() else { return };
    let say = |utterance: &str| encoder.intent(&Context::default(), utterance).unwrap().to_string();
    assert_eq!(say("Navigate to the nearest charging station."), "navigate_to place=the nearest charging station;");
    assert_eq!(say("set it to twenty one degrees"), "set_temperature degrees=21;");
    assert_eq!(say("turn the fan off"), "fan level=off;");
    assert_eq!(say("call aunt mary"), "call who=aunt mary;");
    assert_eq!(say("how far can we still drive"), "range_query");
    assert_eq!(say("what is the best recipe for pancakes"), "out_of_scope");
}

#[test]
fn the_context_decides_ambiguous_requests() {
    let Some(encoder) = shipped() else { return };
    let drive = SceneFacts {
        speed_mps: Some(14.0),
        gear: Some(Gear::Drive),
        battery: Some(0.6),
        range_km: Some(200.0),
        outside_temp_c: Some(12.0),
        ..SceneFacts::default()
    };
    let hazard = SceneFacts { hazards: vec!["pedestrian".into()], ..drive.clone() };
    let say = |context: &Context, utterance: &str| encoder.intent(context, utterance).unwrap().name;
    let after = |name: &str| Context { recent: vec![name.into()], ..Context::default() };
    assert_eq!(say(&Context { scene: hazard, ..Context::default() }, "what was that"), "warning_lamp");
    assert_eq!(say(&Context { scene: drive, ..Context::default() }, "what was that"), "repeat");
    assert_eq!(say(&after("volume_down"), "a bit more please"), "volume_down");
    assert_eq!(say(&after("climate_warmer"), "a bit more please"), "climate_warmer");
}

#[test]
fn the_shipped_adapter_is_small() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("intents-minilm").join(WEIGHTS);
    assert!(fs::metadata(file).unwrap().len() < 12 << 20);
}
