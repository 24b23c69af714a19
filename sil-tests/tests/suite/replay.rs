//! Replay of drives: deterministic, from files and from recordings, with nodes that die.

use crate::common::{made, short};
use auriga_msgs::{Any, TopicId};
use auriga_sil::{
    analysis::Observations,
    replay::{
        self, Options, Source,
        faults::{Faults, Kill},
    },
};
use std::path::{Path, PathBuf};

fn options(source: &Path) -> Options {
    Options::new(Source::from_path(source)).expect("the repository is above this test")
}

/// Replays into a file and returns its bytes.
fn recorded(options: Options, name: &str) -> (PathBuf, Vec<u8>) {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let options = Options { output: Some(path.clone()), ..options };
    let done = replay::run(&options, &mut |_| (), &mut |_| Ok(())).expect("a replay");
    assert!(done.stats.messages > 1000, "{done:?}");
    println!("{name}: {:.1} times real time", done.speed());
    let bytes = std::fs::read(&path).expect("a recording");
    (path, bytes)
}

#[test]
fn replays_write_identical_recordings_also_with_shuffled_threads() {
    let (folder, _) = made(&short(4.0));
    let (_, first) = recorded(options(folder.path()), "first.mcap");
    let (_, second) = recorded(options(folder.path()), "second.mcap");
    assert!(first == second, "a second replay differs");
    let (_, shuffled) = recorded(Options { shuffle: Some(7), ..options(folder.path()) }, "shuffled.mcap");
    assert!(first == shuffled, "shuffled threads differ");
}

/// The encoded messages of some topics.
fn messages(options: &Options, topics: &[TopicId]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    replay::run(options, &mut |_| (), &mut |any| {
        if topics.contains(&any.topic()) {
            let mut bytes = Vec::new();
            any.encode(&mut bytes)?;
            all.push(bytes);
        }
        Ok(())
    })
    .expect("a replay");
    all
}

#[test]
fn replaying_a_recording_gives_the_same_vehicle_states_tracks_and_utterances() {
    let (folder, _) = made(&short(4.0));
    let (recording, _) = recorded(options(folder.path()), "again.mcap");
    let topics = [TopicId::VehicleState, TopicId::FusionTracks, TopicId::SpeechUtterance, TopicId::DriveTruth];
    let of_files = messages(&options(folder.path()), &topics);
    let again = messages(&options(&recording), &topics);
    assert!(of_files.len() > 200);
    assert!(of_files == again, "{} messages from files, {} from the recording", of_files.len(), again.len());
}

#[test]
fn a_part_of_a_drive_is_played_at_its_original_times() {
    let (folder, _) = made(&short(4.0));
    let mut observed = Observations::new(Default::default());
    let options = Options { from_s: 1.0, to_s: 2.5, ..options(folder.path()) };
    let done = replay::run(&options, &mut |_| (), &mut |any| {
        observed.record(any);
        Ok(())
    })
    .expect("a replay");
    let (first, last) = (observed.lanes.first().unwrap().t_s, observed.lanes.last().unwrap().t_s);
    assert!((first - 1.0).abs() < 0.05 && (last - 2.5).abs() < 0.05, "{first} to {last}");
    assert!((1.0..2.2).contains(&done.played_s), "{done:?}");
}

#[test]
fn a_killed_node_publishes_nothing_until_it_is_restarted() {
    let (folder, _) = made(&short(4.0));
    let kill = Kill { node: "perception".into(), at_s: 1.0, restart_s: Some(2.0) };
    let options = Options { faults: Faults { kill: vec![kill], ..Default::default() }, ..options(folder.path()) };
    let mut observed = Observations::new(Default::default());
    replay::run(&options, &mut |_| (), &mut |any| {
        observed.record(any);
        Ok(())
    })
    .expect("a replay");
    let lanes: Vec<f64> = observed.lanes.iter().map(|l| l.t_s).collect();
    assert!(!lanes.iter().any(|t| (1.01..1.99).contains(t)), "{lanes:?}");
    assert!(lanes.iter().any(|t| *t > 2.5), "it came back");
    let restarts: Vec<&str> = observed.restarts.iter().map(|r| r.node.as_str()).collect();
    assert_eq!(restarts, ["perception"]);
}

#[test]
fn invalid_replays_are_refused_with_the_reason() {
    let (folder, _) = made(&short(2.0));
    let refused = |options: Options, expect: &str| {
        let e = replay::run(&options, &mut |_| (), &mut |_| Ok(())).map(|_| ()).expect_err(expect);
        assert!(format!("{e:#}").contains(expect), "{e:#}");
    };
    refused(options(Path::new("/nonexistent.mcap")), "/nonexistent.mcap");
    refused(Options { from_s: 3.0, to_s: 2.0, ..options(folder.path()) }, "from");
    let kill = Kill { node: "hud".into(), at_s: 0.1, restart_s: None };
    let faults = Faults { kill: vec![kill], ..Default::default() };
    let nodes = ["camera".to_owned()].into();
    refused(Options { faults, nodes, ..options(folder.path()) }, "node hud does not run");
    let full = |_: &Any| anyhow::bail!("disk full");
    let e = replay::run(&options(folder.path()), &mut |_| (), &mut { full }).expect_err("a sink that fails");
    assert!(format!("{e:#}").contains("disk full"));
}
