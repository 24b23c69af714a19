//! Scenario files: reading, errors, running, results.

use crate::common::repository;
use auriga_sil::{
    drive::Drive,
    replay::find_root,
    report,
    scenario::{self, Loaded, RunOptions, Scenario, parse},
};
use proptest::prelude::*;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

#[test]
fn the_shipped_scenarios_are_valid_and_have_different_names() {
    let loaded = scenario::load(&[repository().join("sil-tests/scenarios")]).expect("the shipped scenarios");
    let names: BTreeSet<&str> = loaded.iter().map(|l| l.scenario.name.as_str()).collect();
    assert!(names.len() >= 7 && names.len() == loaded.len(), "{names:?}");
    assert!(loaded.iter().any(|l| l.scenario.mode == scenario::Mode::Live));
    for l in &loaded {
        let beside = l.path.parent().unwrap();
        l.scenario.drive.script(beside, &repository().join("sil-tests/drive.yaml")).expect("its script");
    }
}

#[test]
fn the_readmes_example_is_a_scenario() {
    let text = std::fs::read_to_string(repository().join("sil-tests/scenarios/README.md")).unwrap();
    let yaml = text.split("```yaml").nth(1).and_then(|t| t.split("```").next()).expect("an example");
    // It shows all ways to name a drive; a scenario may use one.
    let yaml = yaml.lines().filter(|l| !l.contains("recorded:")).collect::<Vec<_>>().join("\n");
    let scenario = parse(&yaml, Path::new("README.md")).expect("the example");
    assert_eq!(scenario.expect.count(), 16);
    assert!(!scenario.faults.is_empty());
}

const GOOD: &str = "name: a\nexpect:\n  no_lost_messages: true\n";

#[test]
fn an_invalid_scenario_is_refused_with_file_and_line_or_field() {
    let refused = |text: &str, expect: &[&str]| {
        let e = parse(text, Path::new("bad.yaml")).expect_err(expect[0]).to_string();
        assert!(e.contains("bad.yaml") && expect.iter().all(|w| e.contains(w)), "{e}");
    };
    parse(GOOD, Path::new("good.yaml")).expect("a scenario");
    refused(&format!("{GOOD}colour: red\n"), &["colour", "line 4"]);
    refused("name: a\nexpect: { nothing_lost: true }\n", &["nothing_lost", "no_lost_messages"]);
    refused("name: a\nexpect: { safety_deadlines_held: true }\n", &["safety_deadlines_held", "safety_deadlines_met"]);
    refused("name: a\ndrive: { overrides: { own: {} } }\nexpect: { no_lost_messages: true }\n", &["own", "ego"]);
    refused(
        "name: a\nexpect:\n  hazards:\n    - { kind: forward-collision, whithin_ms: 3 }\n",
        &["whithin_ms", "line 4"],
    );
    refused("name: a\nexpect:\n  hazards:\n    - { kind: meteor }\n", &["meteor"]);
    refused("name: a\n", &["expect"]);
    refused("name: a\nexpect: {}\n", &["no expectation"]);
    refused(&format!("{GOOD}from_s: 5\nto_s: 2\n"), &["from_s 5", "to_s 2"]);
    refused(&format!("{GOOD}faults: {{ kill: [{{ node: radio, at_s: 1 }}] }}\n"), &["faults.kill", "radio"]);
    refused(&format!("{GOOD}faults: {{ drop: [{{ topic: a/b, from_s: 1, to_s: 2 }}] }}\n"), &["faults.drop", "a/b"]);
    refused(&format!("{GOOD}faults: {{ freeze: [{{ from_s: 3, to_s: 2 }}] }}\n"), &["faults.freeze"]);
    refused(&format!("{GOOD}mode: live\nfaults: {{ freeze: [{{ from_s: 1, to_s: 2 }}] }}\n"), &["live", "kill"]);
    refused("name: ../up\nexpect: { no_lost_messages: true }\n", &["name"]);
}

#[test]
fn a_path_without_scenarios_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let e = scenario::load(&[folder.path().to_owned()]).expect_err("an empty folder").to_string();
    assert!(e.contains(folder.path().to_str().unwrap()), "{e}");
    let e = scenario::load(&[PathBuf::from("/nonexistent.yaml")]).expect_err("no file").to_string();
    assert!(e.contains("/nonexistent.yaml"), "{e}");
}

/// Two seconds of the shipped drive with two scenarios on it: one that is as it is, one that expects what is not.
fn played() -> (tempfile::TempDir, Vec<scenario::Outcome>) {
    let overrides = "drive:\n  overrides:\n    name: two-seconds\n    duration_s: 2.0\n    pedestrians: []\n    ego: \
                     { lane: 1, speed: [{ t_s: 0, mps: 14.0 }] }\n    speech: { voice: en-us+f3, words_per_minute: 160, \
                     noise_db: -52 }\n";
    let good = format!(
        "name: good\n{overrides}expect:\n  no_lost_messages: true\n  no_hazards: [{{}}]\n  scene_rate: [{{ at_least_hz: 20, \
         from_s: 0.5, to_s: 2 }}]\n  lane_offset: [{{ at_most_m: 0.2, from_s: 0.5 }}]\n  modes: [{{ mode: nominal }}]\n"
    );
    let bad = format!(
        "name: bad\n{overrides}faults: {{ drop: [{{ topic: perception/lanes, from_s: 0.5, to_s: 2 }}] }}\nexpect:\n  \
         hazards: [{{ kind: forward-collision }}]\n  scene_rate: [{{ at_least_hz: 20, from_s: 0.8, to_s: 2 }}]\n"
    );
    let live = "name: live\nmode: live\nexpect: { no_lost_messages: true }\n".to_owned();
    let out = tempfile::tempdir().unwrap();
    let loaded: Vec<Loaded> = [good, bad, live]
        .iter()
        .map(|text| {
            let path = out.path().join("scenario.yaml");
            Loaded { scenario: parse(text, &path).expect("a scenario"), path }
        })
        .collect();
    let mut options = RunOptions {
        out: out.path().join("results"),
        drives: out.path().join("drives"),
        root: find_root().unwrap(),
        live: None,
        progress: &mut |_, _| (),
    };
    let outcomes = scenario::run(&loaded, &mut options).expect("outcomes");
    report::scenarios::write(&outcomes, &options.out).expect("results");
    (out, outcomes)
}

#[test]
fn scenarios_are_run_and_their_results_are_written_as_junit_and_page() {
    let (out, outcomes) = played();
    let failed: Vec<_> = outcomes[0].checks.iter().filter(|c| !c.passed).collect();
    assert!(outcomes[0].passed(), "{:?} {failed:?}", outcomes[0].error);
    assert!(outcomes[1].failed() && outcomes[1].checks.iter().all(|c| !c.passed), "{:?}", outcomes[1].checks);
    assert!(outcomes[2].skipped.is_some() && !outcomes[2].failed());
    // Both ran the same drive, which was generated once.
    let drives: Vec<_> = std::fs::read_dir(out.path().join("drives")).unwrap().collect();
    assert_eq!(drives.len(), 1);
    Drive::open(drives[0].as_ref().unwrap().path()).expect("the cached drive");

    let junit = std::fs::read_to_string(out.path().join("results").join(report::scenarios::JUNIT)).unwrap();
    assert!(junit.contains("tests=\"8\"") && junit.contains("failures=\"2\""), "{junit}");
    assert!(junit.contains("<skipped"), "{junit}");
    let page = std::fs::read_to_string(out.path().join("results").join(report::scenarios::PAGE)).unwrap();
    assert!(page.contains("<svg") && page.contains("1 failed") && page.contains("none was raised"));
    for outside in ["src=", "<link", "@import", "url("] {
        assert!(!page.contains(outside), "the page refers to another file: {outside}");
    }
}

fn numbers() -> impl Strategy<Value = f64> {
    (0u32..600_000).prop_map(|ms| f64::from(ms) / 1000.0)
}

prop_compose! {
    fn scenarios()(
        name in "[a-z][a-z0-9-]{0,12}",
        about in "[ -~]{0,60}",
        from_s in numbers(),
        length in 0.001f64..100.0,
        drops in proptest::collection::vec((0usize..4, numbers(), 0.001f64..9.0), 0..3),
        said in proptest::collection::vec((numbers(), "[a-z_]{1,12}"), 0..3),
        lost in any::<bool>(),
    ) -> Scenario {
        const TOPICS: [&str; 4] = ["device/can", "device/audio", "fusion/scene", "camera/front/image"];
        let mut scenario = parse(GOOD, Path::new("good.yaml")).unwrap();
        (scenario.name, scenario.about, scenario.from_s, scenario.to_s) = (name, about, from_s, Some(from_s + length));
        scenario.faults.drop = drops
            .into_iter()
            .map(|(i, from_s, length)| auriga_sil::replay::faults::Drop { topic: TOPICS[i].into(), from_s, to_s: from_s + length })
            .collect();
        scenario.expect.intents = said
            .into_iter()
            .map(|(said_s, name)| scenario::expect::IntentExpected { said_s, name, slots: [("a".into(), "b".into())].into(), allowed: None, within_ms: None })
            .collect();
        scenario.expect.no_lost_messages = lost || scenario.expect.intents.is_empty();
        scenario
    }
}

proptest! {
    #[test]
    fn any_text_gives_a_scenario_or_an_error(text in "[-{}\\[\\]a-z_:,.0-9 \n&*\"'!]{0,300}") {
        let _ = parse(&text, Path::new("any.yaml"));
    }

    #[test]
    fn a_scenario_survives_writing_and_reading(scenario in scenarios()) {
        let text = serde_yaml_ng::to_string(&scenario).unwrap();
        prop_assert_eq!(parse(&text, Path::new("again.yaml")).unwrap(), scenario);
    }

    #[test]
    fn any_text_as_a_manifest_gives_a_drive_or_an_error(text in "[-{}a-z_:,.0-9 \n\"']{0,200}") {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("drive.yaml"), text).unwrap();
        let _ = Drive::open(folder.path());
    }
}
