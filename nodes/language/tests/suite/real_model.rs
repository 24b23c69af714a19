//! The node with the shipped models, in replay.

use crate::common;
use crate::common::{FAR, Outcome, Timeline, config, full_grants, hazard_grants, root, scene};
use auriga_language::{Config, LanguageNode};
use std::{collections::BTreeMap, sync::Mutex};

/// One replay at a time: each uses a core, and a small machine has two.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn run(config: &Config, timeline: Timeline) -> Outcome {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    timeline.run_node(LanguageNode::new(config).unwrap(), Default::default())
}

#[derive(serde::Deserialize)]
struct Script {
    speech: Speech,
}
#[derive(serde::Deserialize)]
struct Speech {
    utterances: Vec<Line>,
}
#[derive(serde::Deserialize)]
struct Line {
    text: String,
}

/// The requests of the shipped drive.
fn requests() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("sil-tests/drive.yaml")).unwrap();
    let script: Script = serde_yaml_ng::from_str(&text).unwrap();
    script.speech.utterances.into_iter().map(|u| u.text.trim_start_matches("hey auriga ").to_owned()).collect()
}

/// One request every eight seconds, with a fresh scene and full grants.
fn dialogue(requests: &[String]) -> Timeline {
    let mut timeline = Timeline::new().at(900, full_grants(900, FAR));
    for (i, text) in requests.iter().enumerate() {
        let t = 1000 + 8000 * i as u64;
        timeline = timeline.at(t - 50, scene(t - 50, 14.0)).say(t, text);
    }
    timeline
}

/// The intents and the text of each turn, without publishing times, which depend on the slices.
fn content(o: &Outcome) -> (Vec<String>, BTreeMap<u64, String>) {
    let intents = o.intents().into_iter().map(|i| format!("{} {:?} {}", i.name, i.slots, i.confidence.to_bits()));
    let mut spoken: BTreeMap<u64, String> = BTreeMap::new();
    for piece in o.turns() {
        assert!(!piece.interrupted, "{piece:?}");
        spoken.entry(piece.turn_id).or_default().push_str(&piece.text);
    }
    (intents.collect(), spoken)
}

#[test]
fn the_requests_of_the_shipped_drive_are_recognised() {
    let config = config();
    let o = run(&config, dialogue(&requests()));
    let understood: Vec<String> = o
        .intents()
        .iter()
        .map(|i| {
            let slots: Vec<String> = i.slots.iter().map(|s| format!(" {}={}", s.name, s.value)).collect();
            format!("{}{}", i.name, slots.concat())
        })
        .collect();
    println!("{}", o.turns().iter().map(|t| format!("{}\n  {}", t.user_text, t.text)).collect::<Vec<_>>().join("\n"));
    for i in o.intents() {
        println!("{} {:.3}", i.name, i.confidence);
    }
    let expected = [
        "navigate_to place=the nearest charging station",
        "range_query",
        "set_temperature degrees=21",
        "play_music what=some jazz",
        "call who=anna",
        "driver_unwell",
        "out_of_scope",
    ];
    let jazz = |s: &str| s.replace("what=jazz", "what=some jazz");
    assert_eq!(understood.iter().map(|s| jazz(s)).collect::<Vec<_>>(), expected);
    assert!(o.intents().iter().all(|i| i.from_transcript_track));
    assert!(o.fault_codes().iter().all(|code| code == "reply-replaced"), "{:?}", o.faults());
    let answer = o.turns().into_iter().filter(|t| t.header.unwrap().stamp_ns == common::ms(9000).0);
    let answer: String = answer.map(|t| t.text).collect();
    assert!(answer.contains("212"), "the reply has the range of the scene: {answer}");
}

#[test]
fn slices_and_preemptions_do_not_change_the_dialogue() {
    let config = config();
    let requests = requests();
    let undivided = Config { layers_per_slice: 100_000, slice_ms: 1.0, ..config.clone() };
    let undisturbed = run(&undivided, dialogue(&requests));
    let mut timeline = dialogue(&requests);
    for (i, _) in requests.iter().enumerate() {
        // The grant is revoked and returned many times during each reply.
        for k in 0..40 {
            let t = 1000 + 8000 * i as u64 + 20 + k * 12;
            timeline = timeline.at(t, hazard_grants(t, FAR)).at(t + 6, full_grants(t + 6, FAR));
        }
    }
    let sliced = Config { layers_per_slice: 1, slice_ms: 1.0, ..config.clone() };
    let disturbed = run(&sliced, timeline);
    let preemptions = disturbed.statuses().iter().map(|s| s.preemptions).max().unwrap();
    assert!(preemptions >= requests.len() as u64, "{preemptions} preemptions are too few for this test");
    assert_eq!(content(&disturbed), content(&undisturbed));
}

#[test]
fn two_replays_give_the_same_bytes() {
    let config = config();
    let requests = &requests()[..3];
    let timeline = || dialogue(requests).at(1100, hazard_grants(1100, FAR)).at(2000, full_grants(2000, FAR));
    assert_eq!(run(&config, timeline()).bytes(), run(&config, timeline()).bytes());
}

#[test]
fn an_unusable_encoder_is_reported_and_the_decoder_recognises_intents() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("adapter.json"), "{}").unwrap();
    let adapter = folder.path().to_owned();
    for (encoder, what) in [("/nowhere/minilm", "make setup"), (folder.path().to_str().unwrap(), "adapter.json")] {
        let config = Config { encoder: encoder.into(), adapter: adapter.clone(), ..config() };
        let o = run(&config, dialogue(&["call anna".into()]));
        assert_eq!(o.intents()[0].name, "call");
        let [fault] =
            o.faults().into_iter().filter(|f| f.code == "language-model-part").collect::<Vec<_>>().try_into().unwrap();
        assert!(fault.text.contains(what) && fault.header.unwrap().stamp_ns == 0, "{}", fault.text);
    }
}

#[test]
fn the_encoder_recognises_intents_and_the_decoder_replies() {
    let config = config();
    if !config.adapter.join("adapter.json").exists() || !config.encoder.exists() {
        let (adapter, encoder) = (config.adapter.display(), config.encoder.display());
        return auriga_testing::skip(format!("no adapter in {adapter} or no encoder in {encoder} (make setup)"));
    }
    let requests = requests();
    let o = run(&config, dialogue(&requests));
    assert!(o.faults().iter().all(|f| f.code != "language-model-part"), "{:?}", o.faults());
    let decoder = Config { encoder: "".into(), ..config.clone() };
    let alone = run(&decoder, dialogue(&requests));
    let names = |o: &Outcome| o.intents().iter().map(|i| i.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&o), names(&alone));
    let sure = |o: &Outcome| o.intents().iter().map(|i| i.confidence.to_bits()).collect::<Vec<_>>();
    assert_ne!(sure(&o), sure(&alone), "the confidences are those of the encoder");
    assert!(o.turns().iter().filter(|t| t.last).count() >= requests.len());
}
