//! The replay loop: same log, same bytes, whichever node or thread runs first; kills, restarts and bad logs.

use auriga_msgs::{Any, TopicId, node, topic, v1};
use auriga_runtime::{Nanos, Node, Outbox, Replay, Timed, merge};
use std::{sync::Arc, time::Duration};

/// Answers each vehicle state with a scene that counts what it has seen, and ticks ten times a second.
#[derive(Default)]
struct Fusion {
    seen: u64,
    ticks: u64,
}

impl Node for Fusion {
    type Name = node::Fusion;
    type Effect = ();
    fn on_input(&mut self, input: node::FusionInput, _: Nanos, out: &mut Outbox<Self>) {
        if let node::FusionInput::VehicleState(state) = input {
            self.seen += 1;
            out.publish::<topic::FusionScene>(v1::Scene {
                header: state.header,
                driving_load: self.seen as f64,
                ..Default::default()
            });
        }
    }
    fn on_tick(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        self.ticks += 1;
        out.publish::<topic::FusionTracks>(v1::Tracks {
            header: Some(v1::Header::new(now.0, self.ticks)),
            tracks: vec![],
        });
        out.tick_at(now + Duration::from_millis(100));
    }
}

/// Reads messages of the log and of the other node, at one instant.
#[derive(Default)]
struct Language {
    scenes: u64,
}

impl Node for Language {
    type Name = node::Language;
    type Effect = ();
    fn on_input(&mut self, input: node::LanguageInput, now: Nanos, out: &mut Outbox<Self>) {
        let text = match input {
            node::LanguageInput::FusionScene(scene) => {
                self.scenes += 1;
                format!("scene {} after {}", scene.driving_load, self.scenes)
            }
            node::LanguageInput::SpeechUtterance(said) => format!("{} at scene {}", said.text, self.scenes),
            _ => return,
        };
        let header = Some(v1::Header::new(now.0, 1));
        out.publish::<topic::LanguageTurn>(v1::DialogueTurn { header, text, ..Default::default() });
    }
    fn on_tick(&mut self, _: Nanos, _: &mut Outbox<Self>) {}
}

fn at(ms: u64) -> Nanos {
    Nanos::from_millis(ms)
}

fn state(ms: u64) -> anyhow::Result<Timed> {
    let header = Some(v1::Header::new(at(ms).0, ms));
    Ok((at(ms), Any::VehicleState(Arc::new(v1::VehicleState { header, ..Default::default() }))))
}

fn utterance(ms: u64) -> anyhow::Result<Timed> {
    let header = Some(v1::Header::new(at(ms).0, ms));
    Ok((at(ms), Any::SpeechUtterance(Arc::new(v1::Utterance { header, text: "go".into(), ..Default::default() }))))
}

fn log() -> impl Iterator<Item = anyhow::Result<Timed>> {
    merge(vec![Box::new((0..100).map(|i| state(i * 10))), Box::new((0..10).map(|i| utterance(i * 100)))])
}

/// All messages of a replay as bytes, and what was done with `control`.
fn replay(shuffle: Option<u64>, swap: bool, control: impl FnMut(Nanos, &mut auriga_runtime::ReplayControl)) -> Vec<u8> {
    let mut replay = Replay::new();
    if swap {
        replay.add(Language::default());
        replay.add(Fusion::default());
    } else {
        replay.add(Fusion::default());
        replay.add(Language::default());
    }
    if let Some(seed) = shuffle {
        replay.shuffle(seed);
    }
    let mut bytes = Vec::new();
    let sink = |any: &Any| {
        bytes.push(any.topic() as u8);
        any.encode(&mut bytes)?;
        Ok(())
    };
    replay.run(log(), Duration::from_millis(200), control, sink).expect("a good log");
    bytes
}

#[test]
fn replays_of_one_log_give_the_same_bytes_also_with_shuffled_threads() {
    let first = replay(None, false, |_, _| {});
    assert!(first.len() > 1000);
    assert!(first == replay(None, false, |_, _| {}));
    for seed in 0..8 {
        assert!(first == replay(Some(seed), false, |_, _| {}), "shuffled with seed {seed}");
    }
}

fn scenes_of(swap: bool) -> usize {
    let bytes = replay(None, swap, |_, _| {});
    bytes.windows(6).filter(|w| w == b"scene ").count()
}

#[test]
fn messages_reach_other_nodes_in_any_order_of_nodes() {
    // Each of the 100 states made a scene and each scene a turn; 10 turns more name the scene count.
    assert_eq!(scenes_of(false), 110);
    assert_eq!(scenes_of(true), 110);
}

#[test]
fn a_killed_node_publishes_nothing_until_it_is_restarted() {
    let mut replay = Replay::new();
    replay.add(Fusion::default());
    let mut scenes = Vec::new();
    let control = |now: Nanos, control: &mut auriga_runtime::ReplayControl| {
        if now == at(200) {
            assert!(control.kill("fusion"));
            assert!(!control.kill("hud"), "is not part of this replay");
        }
        if now == at(500) {
            control.restart(Fusion::default());
        }
    };
    let sink = |any: &Any| {
        if let Any::FusionScene(scene) = any {
            scenes.push((scene.header.unwrap_or_default(), scene.driving_load));
        }
        Ok(())
    };
    replay.run(log(), Duration::ZERO, control, sink).expect("a good log");
    let stamps: Vec<u64> = scenes.iter().map(|(h, _)| h.stamp_ns / 1_000_000).collect();
    assert!(stamps.contains(&190) && !stamps.contains(&200) && !stamps.contains(&490) && stamps.contains(&500));
    let back = scenes.iter().find(|(h, _)| h.stamp_ns == at(500).0).expect("the first after the restart");
    assert_eq!((back.1, back.0.seq), (1.0, 0), "it has forgotten what it knew and counts anew");
}

#[test]
fn a_log_that_goes_back_in_time_is_an_error_that_names_the_topic() {
    let error = Replay::new()
        .run([state(20), state(10)].into_iter(), Duration::ZERO, |_, _| {}, |_| Ok(()))
        .expect_err("times must not go back");
    assert!(error.to_string().contains("vehicle/state"), "{error}");
}

#[test]
fn errors_of_the_log_or_the_sink_end_the_replay() {
    let broken = [state(0), Err(anyhow::anyhow!("can.log:7: not hexadecimal"))].into_iter();
    let error = Replay::new().run(broken, Duration::ZERO, |_, _| {}, |_| Ok(())).expect_err("a broken log");
    assert!(error.to_string().contains("can.log:7"));
    let error = Replay::new()
        .run(log(), Duration::ZERO, |_, _| {}, |_| anyhow::bail!("disk full"))
        .expect_err("a sink that fails");
    assert!(format!("{error:#}").contains("disk full"), "{error:#}");
}

/// Ticks at the instant it is in, for ever.
struct Restless;
impl Node for Restless {
    type Name = node::Fusion;
    type Effect = ();
    fn on_input(&mut self, _: node::FusionInput, _: Nanos, _: &mut Outbox<Self>) {}
    fn on_tick(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        out.tick_at(now);
    }
}

#[test]
fn an_endless_instant_is_an_error() {
    let mut replay = Replay::new();
    replay.add(Restless);
    let error = replay.run(log(), Duration::ZERO, |_, _| {}, |_| Ok(())).expect_err("an endless instant");
    assert!(error.to_string().contains("without end"), "{error}");
}

#[test]
fn topics_without_a_reader_are_played() {
    let mut count = 0;
    let stats = Replay::new()
        .run(
            log(),
            Duration::ZERO,
            |_, _| {},
            |any| {
                count += u64::from(any.topic() == TopicId::VehicleState);
                Ok(())
            },
        )
        .expect("a good log");
    assert_eq!((count, stats.inputs, stats.end), (100, 110, at(990)));
}

#[test]
fn a_lost_message_reaches_neither_a_node_nor_the_sink() {
    let mut replay = Replay::new();
    replay.add(Fusion::default());
    replay.lose(|now, any| any.topic() == TopicId::VehicleState && now >= at(500));
    let (mut states, mut scenes) = (0, 0);
    let sink = |any: &Any| {
        states += u64::from(any.topic() == TopicId::VehicleState);
        scenes += u64::from(any.topic() == TopicId::FusionScene);
        Ok(())
    };
    let stats = replay.run(log(), Duration::ZERO, |_, _| {}, sink).expect("a good log");
    assert_eq!((states, scenes, stats.inputs), (50, 50, 110));
}

#[test]
fn nodes_begin_at_the_start_time() {
    let mut replay = Replay::new();
    replay.start_at(at(400));
    replay.add(Fusion::default());
    let mut first = None;
    let sink = |any: &Any| {
        if any.topic() == TopicId::FusionTracks {
            first.get_or_insert(any.header().stamp_ns);
        }
        Ok(())
    };
    replay.run([state(450)].into_iter(), Duration::ZERO, |_, _| {}, sink).expect("a good log");
    assert_eq!(first, Some(at(400).0));
}

/// Raises a fault with every vehicle state, and nothing else.
struct Faulty;

impl Node for Faulty {
    type Name = node::Fusion;
    type Effect = ();
    fn on_input(&mut self, input: node::FusionInput, now: Nanos, out: &mut Outbox<Self>) {
        if let node::FusionInput::VehicleState(_) = input {
            out.fault(now, v1::Severity::Warning, "odd", "vehicle/state", "expected x, found y");
        }
    }
    fn on_tick(&mut self, _: Nanos, _: &mut Outbox<Self>) {}
}

#[test]
fn a_fault_that_is_not_raised_any_more_is_cleared_at_a_fixed_time() {
    // 100 raises within a second, 20 s of nothing, and one more.
    let log = (0..100).map(|i| state(i * 10)).chain([state(21_000)]);
    let mut replay = Replay::new();
    replay.add(Faulty);
    let mut faults = Vec::new();
    let sink = |any: &Any| {
        if let Any::Fault(fault) = any {
            faults.push((fault.header.unwrap_or_default().stamp_ns / 1_000_000, fault.state(), fault.count));
        }
        Ok(())
    };
    replay.run(log, Duration::from_secs(15), |_, _| {}, sink).expect("a good log");
    use v1::FaultState::{Active, Cleared, Raised};
    let counts: Vec<u64> = faults.iter().map(|f| f.2).collect();
    assert_eq!(counts, [1, 2, 4, 8, 16, 32, 64, 100, 1, 1]);
    assert_eq!((faults[0], faults[6].1), ((0, Raised, 1), Active));
    assert_eq!(faults[7..], [(10_990, Cleared, 100), (21_000, Raised, 1), (31_000, Cleared, 1)]);
}
