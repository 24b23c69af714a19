//! The state machine with a scripted model, in replay.

use crate::common;
use crate::common::{FAR, Outcome, Timeline, config, full_grants, grants, hazard_grants, ms, scene, utterance};
use auriga_language::{LanguageNode, engine::interface::Class, reply::canned};
use auriga_msgs::{Any, FromAny, Stamped, v1};
use auriga_runtime::{Node, Outbox};
use proptest::prelude::*;
use std::sync::Arc;
use v1::Severity;

/// A scene and full grants.
fn calm() -> Timeline {
    Timeline::new().at(900, scene(900, 14.0)).at(900, full_grants(900, FAR))
}

fn run(timeline: Timeline) -> Outcome {
    timeline.run(&config())
}

/// Number of slices of an intent at full level.
fn slices_of_an_intent() -> usize {
    common::INTENT_LAYERS.div_ceil(config().layers_per_slice)
}

#[test]
fn intent_forecast_and_reply_have_the_stamp_and_trace_of_the_utterance() {
    let o = run(calm().say(1000, "how far can i still go"));
    let [intent] = o.intents().try_into().unwrap();
    assert_eq!((intent.name.as_str(), intent.proposal, intent.allowed), ("range_query", false, true));
    assert!(intent.from_transcript_track);
    let header = intent.header.unwrap();
    assert_eq!((header.stamp_ns, header.trace_id), (ms(1000).0, 8000));
    // 40 layers at 4 a slice of 2 ms: the tenth slice begins 18 ms after the first.
    assert_eq!(header.published_ns, ms(1018).0);
    let turns = o.turns();
    assert_eq!(o.spoken(), "You can go 212 kilometres. Drive well.");
    assert_eq!(turns[0].user_text, "how far can i still go");
    assert!(turns[0].first && !turns[0].last && turns.last().unwrap().last);
    assert!(turns.iter().all(|t| t.header_copy().trace_id == 8000 && t.turn_id == turns[0].turn_id));
    assert!(turns.iter().all(|t| t.from_transcript_track && !t.interrupted));
    let demand = &o.demands()[0];
    assert_eq!(demand.items[0].workload, "language-dialogue");
    assert!(
        demand.items.iter().any(|i| i.reason.contains("next")),
        "a charging station is a likely next request: {demand:?}"
    );
    assert_eq!(o.fault_codes(), [""; 0]);
}

#[test]
fn a_reply_pauses_when_its_grant_is_revoked_and_resumes_without_repeating_work() {
    let timeline = || calm().say(1000, "how far can i still go");
    let undisturbed = run(timeline());
    let o = run(timeline().at(1030, hazard_grants(1030, FAR)).at(3000, full_grants(3000, FAR)));
    let off = o.statuses().into_iter().find(|s| !s.running).unwrap();
    assert_eq!(off.workload, "language-dialogue");
    let header = off.header.unwrap();
    assert_eq!((header.stamp_ns, header.trace_id, header.published_ns), (ms(1030).0, 10_030, ms(1030).0));
    assert_eq!(off.preemptions, 1);
    let silent = o.turns().iter().all(|t| !(ms(1030).0..ms(3000).0).contains(&t.header_copy().published_ns));
    assert!(silent, "nothing is said without a grant: {:?}", o.turns());
    assert_eq!(o.spoken(), undisturbed.spoken());
    assert_eq!(o.slices(Class::Dialogue), undisturbed.slices(Class::Dialogue), "its state was kept");
    assert_eq!(o.calls.iter().filter(|c| c.starts_with("reply")).count(), 1);
    let back = o.statuses().into_iter().rfind(|s| s.running).unwrap();
    assert_eq!(back.header.unwrap().trace_id, 12_000);
}

#[test]
fn an_expired_lease_pauses_dialogue_and_leaves_intent_at_its_floor() {
    // The last grants of the arbiter end at 1030.
    let o = run(Timeline::new()
        .at(900, scene(900, 14.0))
        .at(900, full_grants(900, 1030))
        .say(1000, "how far can i still go")
        .say(2000, "call anna"));
    let off: Vec<_> = o.statuses().into_iter().filter(|s| !s.running).collect();
    assert_eq!(off.len(), 1, "intent is not paused: {off:?}");
    let header = off[0].header.unwrap();
    assert_eq!((off[0].workload.as_str(), header.stamp_ns, header.trace_id), ("language-dialogue", ms(1030).0, 0));
    assert_eq!(header.published_ns, ms(1030).0);
    let names: Vec<_> = o.intents().into_iter().map(|i| i.name).collect();
    assert_eq!(names, ["range_query", "call"]);
    let short = format!("Intent {}", config().layers_per_slice / 2);
    assert_eq!(o.calls.iter().filter(|c| **c == short).count(), 2 * slices_of_an_intent(), "half slices at the floor");
    // Both replies are interrupted: one by the next request, one because the processor was not returned.
    let turns = o.turns();
    assert!(turns.iter().filter(|t| t.last).all(|t| t.interrupted), "{turns:?}");
    assert_eq!(turns.iter().filter(|t| t.last).count(), 2);
    let given_up = turns.last().unwrap().header_copy().published_ns;
    assert!(given_up >= ms(2000 + config().reply_max_pause_ms).0 && given_up < ms(12_200).0, "{given_up}");
}

#[test]
fn without_an_arbiter_intents_are_recognised_and_refusals_are_said() {
    let o = run(Timeline::new().at(900, scene(900, 30.0)).say(1000, "open all windows"));
    let [intent] = o.intents().try_into().unwrap();
    assert_eq!((intent.proposal, intent.allowed), (true, false));
    assert_eq!(intent.refusal, "We are too fast to open all windows.");
    assert_eq!(o.spoken(), intent.refusal);
    assert_eq!(o.slices(Class::Dialogue), 0, "a refusal needs no model");
}

#[test]
fn a_passenger_is_refused_only_what_is_reserved_for_the_driver() {
    let from = |zone: v1::SpeakerZone, text: &str| {
        let Any::SpeechUtterance(said) = utterance(1000, text) else { unreachable!() };
        let said = v1::Utterance { zone: zone.into(), ..v1::Utterance::clone(&said) };
        run(Timeline::new().at(900, scene(900, 0.0)).at(1001, Any::SpeechUtterance(Arc::new(said))))
    };
    let refused = from(v1::SpeakerZone::Passenger, "read my messages");
    let [intent] = refused.intents().try_into().unwrap();
    assert_eq!((intent.allowed, intent.refusal.as_str()), (false, "That is for the driver to ask."));
    assert_eq!(refused.spoken(), intent.refusal);
    for (zone, text) in [
        (v1::SpeakerZone::Driver, "read my messages"),
        (v1::SpeakerZone::Unknown, "read my messages"),
        (v1::SpeakerZone::Passenger, "play some jazz"),
    ] {
        assert!(from(zone, text).intents()[0].allowed, "{zone:?}: {text}");
    }
}

#[test]
fn a_new_request_interrupts_the_reply_in_progress() {
    let o = run(calm().say(1000, "call anna").say(1040, "play some jazz"));
    let turns = o.turns();
    let first: Vec<_> = turns.iter().filter(|t| t.turn_id == turns[0].turn_id).collect();
    let end = first.last().unwrap();
    assert!(end.interrupted && end.last && end.text.is_empty(), "{first:?}");
    let second: Vec<_> = turns.iter().filter(|t| t.turn_id != turns[0].turn_id).collect();
    assert_eq!(second[0].user_text, "play some jazz");
    assert_eq!(second.iter().map(|t| t.text.as_str()).collect::<String>(), "Playing jazz.");
    assert!(second.last().unwrap().last && !second.last().unwrap().interrupted);
}

#[test]
fn conversation_between_people_preempts_the_reply_which_then_goes_on() {
    let alone = run(calm().say(1000, "call anna"));
    let o = run(calm().say(1000, "call anna").say(1040, "did you see that dog"));
    assert_eq!(o.intents()[1].name, "out_of_scope");
    assert!(!o.intents()[1].allowed);
    assert_eq!(o.spoken(), alone.spoken());
    assert_eq!(o.slices(Class::Dialogue), alone.slices(Class::Dialogue), "no work is repeated");
    // No slice of dialogue runs during the work on the intent.
    let begin = o.calls.iter().position(|c| c == "intent did you see that dog").unwrap();
    let during = &o.calls[begin + 1..begin + 1 + slices_of_an_intent()];
    assert!(during.iter().all(|c| c.starts_with("Intent")), "{during:?}");
}

#[test]
fn an_uncertain_intent_is_out_of_scope() {
    let o = run(calm().say(1000, "perhaps music"));
    let intent = &o.intents()[0];
    assert_eq!((intent.name.as_str(), intent.slots.len()), ("out_of_scope", 0));
    assert!((intent.confidence - 0.2).abs() < 1e-6);
    assert_eq!(o.spoken(), canned::NOT_SURE);
    assert_eq!(o.slices(Class::Dialogue), 0, "the model must not reply to an uncertain intent");
}

#[test]
fn an_unknown_value_gives_a_canned_response() {
    let old = |t: u64| Timeline::new().at(t, scene(t, 14.0)).at(900, full_grants(900, FAR));
    for timeline in [Timeline::new().at(900, full_grants(900, FAR)), old(100)] {
        let o = run(timeline.say(5000, "how far can i still go"));
        assert_eq!(o.spoken(), "I do not know the range right now.");
        assert_eq!(o.slices(Class::Dialogue), 0);
    }
}

#[test]
fn implausible_values_of_a_scene_are_reported_and_unknown() {
    let Any::FusionScene(s) = scene(900, 14.0) else { unreachable!() };
    let mut s = v1::Scene::clone(&s);
    let vehicle = s.vehicle.as_mut().unwrap();
    (vehicle.range_km, vehicle.speed_mps) = (Some(f64::NAN), Some(4e7));
    let o = run(Timeline::new()
        .at(900, full_grants(900, FAR))
        .at(900, Any::FusionScene(Arc::new(s)))
        .say(1000, "how far can i still go")
        .say(2000, "open all windows"));
    assert!(o.spoken().starts_with("I do not know the range right now."));
    assert!(!o.intents()[1].allowed, "an implausible speed counts as unknown, which opens no window");
    assert!(o.fault_codes().contains(&"scene-absurd-value".into()));
}

#[test]
fn a_reply_with_a_wrong_number_is_replaced_by_a_canned_response() {
    let o = run(calm().say(1000, "explain the lamp"));
    assert_eq!(o.spoken(), "I cannot explain that well. Please look it up when we have stopped.");
    assert_eq!(o.fault_codes(), ["reply-replaced"]);
}

#[test]
fn the_last_turn_is_repeated_on_request() {
    let o = run(calm().say(1000, "how far can i still go").say(3000, "say that again"));
    let again = o.turns().into_iter().last().unwrap();
    assert_eq!(again.text, "You can go 212 kilometres. Drive well.");
    let o = run(calm().say(1000, "say that again"));
    assert_eq!(o.spoken(), "There is nothing to repeat.");
}

#[test]
fn a_full_queue_drops_the_oldest_and_only_the_newest_gets_a_complete_reply() {
    let mut timeline = calm();
    for t in 1000..1007 {
        timeline = timeline.say(t, "call anna");
    }
    let o = run(timeline);
    // The first is started at once; of the six that arrive meanwhile four fit.
    assert_eq!(o.intents().len(), 5);
    assert_eq!(o.faults()[0].code, "utterance-dropped");
    let complete: Vec<_> = o.turns().into_iter().filter(|t| t.last && !t.interrupted).collect();
    assert_eq!(complete.len(), 1);
    assert_eq!(complete[0].header_copy().stamp_ns, ms(1006).0);
}

#[test]
fn duplicate_empty_and_too_long_utterances_are_reported() {
    let Any::SpeechUtterance(partial) = utterance(1003, "call") else { unreachable!() };
    let partial = v1::Utterance { r#final: false, ..v1::Utterance::clone(&partial) };
    let o = run(calm()
        .at(1003, Any::SpeechUtterance(Arc::new(partial)))
        .say(1000, "play some jazz")
        .at(1001, utterance(1000, "play some jazz"))
        .say(1002, "  ?! ")
        .say(2000, &"la ".repeat(10_000)));
    assert_eq!(o.intents().len(), 1);
    assert_eq!(o.fault_codes(), ["utterance-duplicate", "utterance-empty", "utterance-too-long"]);
    let last = o.turns().pop().unwrap();
    assert_eq!(last.text, canned::TOO_LONG);
    assert!(last.user_text.chars().count() <= config().utterance_max_chars);
}

#[test]
fn an_old_request_is_not_answered() {
    let o = run(calm()
        .at(950, grants(950, (0, false, 0.0), (0, false, 0.0), FAR))
        .say(1000, "call anna")
        .at(20_000, full_grants(20_000, FAR))
        .at(30_000, utterance(2000, "call anna")));
    assert_eq!(o.fault_codes(), ["utterance-too-old", "utterance-too-old"]);
    assert_eq!(o.calls, [""; 0], "the model never ran");
}

#[test]
fn intent_work_pauses_when_its_grant_is_revoked_and_continues_later() {
    let o = run(calm()
        .say(1000, "play some jazz")
        .at(1009, grants(1009, (0, false, 0.0), (3, true, 0.35), FAR))
        .at(3000, full_grants(3000, FAR)));
    let off: Vec<_> = o.statuses().into_iter().filter(|s| !s.running).collect();
    assert_eq!(off.iter().map(|s| s.workload.as_str()).collect::<Vec<_>>(), ["language-intent"]);
    assert_eq!((off[0].slices, off[0].preemptions), (5, 1));
    assert_eq!(o.slices(Class::Intent), slices_of_an_intent());
    assert!(o.intents()[0].header_copy().published_ns > ms(3000).0);
}

#[test]
fn a_missing_model_is_reported_as_a_fault_and_to_the_driver() {
    let mut config = config();
    (config.checkpoint, config.encoder) = ("/nowhere/checkpoint".into(), "".into());
    let node = LanguageNode::new(&config).unwrap();
    let o = calm().say(1000, "call anna").say(2000, "call anna").run_node(node, Default::default());
    let faults = o.faults();
    assert_eq!(faults[0].code, "language-model");
    assert_eq!(faults[0].severity(), Severity::Critical);
    assert!(faults[0].text.contains("/nowhere/checkpoint"), "{}", faults[0].text);
    assert_eq!(faults[1].code, "language-model-missing");
    assert_eq!(o.intents(), []);
    assert!(o.turns().iter().all(|t| t.text == canned::NO_MODEL && t.first && t.last));
    assert_eq!(o.turns().len(), 2);
}

#[test]
fn a_failure_of_the_model_is_reported_and_the_next_request_works() {
    let o = run(calm().say(1000, "break down").say(2000, "call anna"));
    assert!(o.spoken().starts_with(canned::MODEL_FAILED));
    assert_eq!(o.faults()[0].code, "language-model-failed");
    assert_eq!(o.intents()[0].name, "call");
}

#[test]
fn no_fault_contains_words_of_an_utterance() {
    let secret = "xylophone";
    let o = run(calm()
        .say(1000, secret)
        .at(1001, utterance(1000, secret))
        .say(2000, &format!("{secret} ").repeat(100))
        .say(3000, "break down"));
    assert!(!o.faults().is_empty());
    assert!(o.faults().iter().all(|f| !format!("{f:?}").contains(secret)));
    assert!(o.demands().iter().all(|d| !format!("{d:?}").contains(secret)));
}

#[test]
fn the_share_limits_the_work_after_the_burst() {
    // 0.005 of two cores: 10 ms of credit, then a slice of 2 ms every 200 ms.
    let o = run(Timeline::new()
        .at(900, scene(900, 14.0))
        .at(900, grants(900, (1, true, 0.005), (3, true, 0.35), FAR))
        .say(1000, "play some jazz"));
    let published = o.intents()[0].header_copy().published_ns;
    assert!((ms(1700).0..ms(2200).0).contains(&published), "{published}");
    assert_eq!(o.slices(Class::Intent), slices_of_an_intent());
}

#[test]
fn the_usage_of_each_workload_is_reported() {
    let (engine, _) = common::Scripted::new();
    let mut node = LanguageNode::with_model(&config(), Ok(Box::new(engine))).unwrap();
    let mut out = Outbox::default();
    let mut feed = |node: &mut LanguageNode, any: Any, t: u64| {
        node.on_input(FromAny::from_any(any).unwrap(), ms(t), &mut out);
    };
    feed(&mut node, full_grants(900, FAR), 900);
    feed(&mut node, utterance(1000, "call anna"), 1000);
    let mut out = Outbox::default();
    for t in 1000..1018 {
        node.on_tick(ms(t), &mut out);
    }
    let used = |node: &LanguageNode, t| -> Vec<(String, u32, u64)> {
        let all = node.workloads(ms(t)).into_iter();
        all.map(|w| (w.workload, w.level, w.cpu_ns / 1_000_000)).collect()
    };
    // Nine slices of 2 ms.
    assert_eq!(used(&node, 1018), [("language-intent".into(), 1, 18), ("language-dialogue".into(), 3, 0)]);
    (1018..1100).for_each(|t| node.on_tick(ms(t), &mut out));
    assert!(used(&node, 1100)[1].2 > 0);
    assert_eq!(used(&node, FAR + 1)[1].1, 0, "the lease has ended");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Replay is reproducible, nothing panics, and each turn has one beginning and one end.
    #[test]
    fn any_sequence_of_inputs_is_reproducible_and_every_turn_ends(
        events in prop::collection::vec((0u64..30_000, 0usize..8, 0.0..0.4f64, any::<bool>()), 0..40),
    ) {
        let timeline = || {
            events.iter().fold(Timeline::new(), |timeline, &(t, kind, share, run)| match kind {
                0 => timeline.at(t, scene(t.saturating_sub(t % 4000), 30.0)),
                1 => timeline.at(t, grants(t, (1, run, share), (2, run, share), t + 300)),
                2 => timeline.at(t, grants(t, (0, true, share), (0, run, share), t / 2)),
                3 => timeline.at(t, full_grants(t, t + 5000)),
                4 => timeline.say(t, "call anna"),
                5 => timeline.say(t, "how far can i still go"),
                6 => timeline.say(t, "did you see that dog"),
                _ => timeline.say(t, "open all windows"),
            })
        };
        let (a, b) = (run(timeline()), run(timeline()));
        prop_assert_eq!(a.bytes(), b.bytes());
        a.check_turns();
    }
}
