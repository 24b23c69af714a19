//! Dialogues over several turns, tools, and verbosity: a scripted model in replay.

use crate::common;
use crate::common::{
    FAR, Outcome, Timeline, config, full_grants, half_past_eight, hazard_scene, ms, outcome, scene, scene_with,
};
use auriga_language::{Config, engine::interface::Class};
use auriga_msgs::{Any, v1};
use proptest::prelude::*;
use std::sync::Arc;

/// Scenes four times a second until `end`, with full grants.
fn drive(end: u64, speed_mps: f64) -> Timeline {
    let grants = Timeline::new().at(900, full_grants(900, FAR));
    (900..end).step_by(250).fold(grants, |timeline, t| timeline.at(t, scene(t, speed_mps)))
}

fn run(timeline: Timeline) -> Outcome {
    timeline.run(&config())
}

/// The names and slots of the intents.
fn intents(o: &Outcome) -> Vec<String> {
    let slots = |i: &v1::Intent| i.slots.iter().map(|s| format!(" {}={}", s.name, s.value)).collect::<String>();
    o.intents().iter().map(|i| format!("{}{}", i.name, slots(i))).collect()
}

fn texts(o: &Outcome) -> Vec<String> {
    o.sentences().into_iter().map(|(_, text)| text).collect()
}

#[test]
fn references_to_earlier_turns_are_resolved() {
    let o = run(drive(30_000, 14.0)
        .say(1000, "navigate to the harbour")
        .say(5000, "set it to twenty one degrees")
        .say(9000, "warmer")
        .say(13_000, "navigate there")
        .say(17_000, "louder")
        .say(21_000, "more"));
    assert_eq!(
        intents(&o),
        [
            "navigate_to place=the harbour",
            "set_temperature degrees=21",
            "set_temperature degrees=22",
            "navigate_to place=the harbour",
            "volume_up",
            "volume_up",
        ]
    );
    assert!(o.intents().iter().all(|i| i.allowed), "{:?}", intents(&o));
    assert_eq!(o.fault_codes(), [""; 0]);
}

#[test]
fn an_unresolved_place_is_asked_for() {
    let o = run(drive(5000, 14.0).say(1000, "navigate there"));
    assert_eq!(
        (intents(&o), texts(&o)),
        (vec!["navigate_to".to_owned()], vec!["I did not get the place. Please say it again.".to_owned()])
    );
    assert_eq!(o.actions(), []);
}

#[test]
fn a_question_of_the_node_is_carried_out_on_yes_and_not_on_no() {
    let asked = || drive(20_000, 14.0).say(1000, "i feel a bit dizzy");
    let o = run(asked());
    assert!(texts(&o)[0].ends_with("Shall I call for help?"), "{:?}", texts(&o));
    assert_eq!(o.slices(Class::Dialogue), 0, "a driver in trouble is answered without the model");
    let o = run(asked().say(6000, "Yes, please."));
    assert_eq!(intents(&o), ["driver_unwell", "call who=the emergency services"]);
    assert_eq!(o.actions().iter().map(|a| a.tool.as_str()).collect::<Vec<_>>(), ["telephone"]);
    let o = run(asked().say(6000, "no"));
    assert_eq!(intents(&o), ["driver_unwell", "stop"]);
    assert_eq!(o.actions(), []);
    // "Yes" has no meaning without a question or too late.
    assert_eq!(intents(&run(drive(5000, 14.0).say(1000, "yes"))), ["out_of_scope"]);
    assert_eq!(
        intents(&run(drive(40_000, 14.0).say(1000, "i feel a bit dizzy").say(30_000, "yes")))[1],
        "out_of_scope"
    );
}

#[test]
fn an_action_is_published_for_its_tool_and_its_outcome_is_said() {
    let timeline = || drive(10_000, 14.0).say(1000, "call anna");
    let [action] = run(timeline()).actions().try_into().unwrap();
    assert_eq!((action.tool.as_str(), action.intent.as_str(), action.proposal), ("telephone", "call", false));
    assert_eq!((action.slots[0].name.as_str(), action.slots[0].value.as_str()), ("who", "anna"));
    assert_eq!(action.header.unwrap().trace_id, 8000);
    let said = |done, text: &str| {
        let o = run(timeline().at(3000, outcome(3000, action.id, done, text)));
        assert_eq!(o.fault_codes(), [""; 0]);
        texts(&o)[1..].to_vec()
    };
    assert_eq!(said(true, ""), [""; 0]);
    assert_eq!(said(true, " Anna\n is on  the line. "), ["Anna is on the line."]);
    assert_eq!(said(false, ""), ["The telephone could not do that."]);
    assert_eq!(said(false, "There is no network."), ["There is no network."]);
    assert_eq!(said(true, &"x".repeat(100_000))[0].len(), 160);
}

#[test]
fn a_tool_that_is_silent_or_not_connected_is_reported_to_the_driver() {
    let config = Config { outcome_timeout_ms: 3000, ..config() };
    let o = drive(10_000, 14.0).say(1000, "call anna").run(&config);
    let [_, (at, text)] = o.sentences().try_into().unwrap();
    assert_eq!(text, "The telephone does not answer.");
    assert!((4018..4100).contains(&at), "{at}");
    assert_eq!(o.fault_codes(), ["tool-silent"]);
    let [action] = o.actions().try_into().unwrap();
    let late = drive(10_000, 14.0).say(1000, "call anna").at(6000, outcome(6000, action.id, true, "Anna is there."));
    assert_eq!(late.run(&config).fault_codes(), ["tool-silent", "outcome-unknown"]);
    let none = Config { connected_tools: vec![], ..config };
    let o = drive(10_000, 14.0).say(1000, "call anna").say(4000, "set it to twenty one degrees").run(&none);
    assert_eq!(texts(&o)[0], "The telephone is not connected, so I cannot do that.");
    // An intent that touches the vehicle is proposed even if no tool is connected; no outcome is awaited.
    let [proposal] = o.actions().try_into().unwrap();
    assert_eq!((proposal.tool.as_str(), proposal.proposal, proposal.answer_by_ns), ("body", true, 0));
}

#[test]
fn an_outcome_does_not_interrupt_a_reply() {
    let o = run(drive(10_000, 14.0).say(1000, "call anna"));
    let id = o.actions()[0].id;
    let o = run(drive(10_000, 14.0).say(1000, "call anna").at(1040, outcome(1040, id, true, "Anna is there.")));
    assert_eq!(texts(&o), ["Calling anna. One moment please. It rings.", "Anna is there."]);
    assert!(o.turns().iter().all(|t| !t.interrupted));
}

#[test]
fn a_reply_pauses_during_a_hazard_and_continues_afterwards() {
    // The hazard begins during the reply and lasts until 3 s.
    let timeline = (1030..3000).step_by(100).fold(Timeline::new(), |timeline, t| timeline.at(t, hazard_scene(t)));
    let timeline = timeline.at(900, full_grants(900, FAR)).at(900, scene(900, 14.0)).at(3000, scene(3000, 14.0));
    let o = run(timeline.say(1000, "call anna"));
    let silent = o.turns().iter().all(|t| !(ms(1030).0..ms(3000).0).contains(&t.header.unwrap().published_ns));
    assert!(silent, "{:?}", o.sentences());
    assert_eq!(texts(&o), ["Calling anna. One moment please. It rings."], "the reply continues");
    let begun = o.calls.iter().filter(|c| c.starts_with("reply")).count();
    assert_eq!(begun, 1, "no work is repeated");
}

#[test]
fn a_canned_response_waits_for_the_end_of_a_hazard_unless_the_driver_is_in_trouble() {
    let timeline = |text| {
        let hazards = (900..3000).step_by(100).fold(Timeline::new(), |timeline, t| timeline.at(t, hazard_scene(t)));
        hazards.at(900, full_grants(900, FAR)).at(3000, scene(3000, 14.0)).say(1000, text)
    };
    let at = |text| run(timeline(text)).sentences()[0].clone();
    let (time, text) = at("what does the oil lamp mean");
    assert!(text.starts_with("The oil pressure is too low.") && time == 3000, "{time} {text}");
    assert_eq!(
        run(timeline("call anna")).intents()[0].header.unwrap().published_ns,
        ms(1018).0,
        "the intent is recognised during the hazard"
    );
    let (time, _) = at("i feel a bit dizzy");
    assert!(time < 1100, "{time}");
}

#[test]
fn an_answer_that_has_waited_too_long_is_dropped() {
    let config = config();
    let end = 2000 + config.reply_max_pause_ms;
    let hazards = (900..end + 3000).step_by(100).fold(Timeline::new(), |timeline, t| timeline.at(t, hazard_scene(t)));
    let o = hazards.at(900, full_grants(900, FAR)).say(1000, "what does the oil lamp mean").run(&config);
    assert_eq!((texts(&o), o.fault_codes()), (vec![], vec!["answer-too-late".to_owned()]));
}

#[test]
fn a_hazard_ends_when_the_scene_is_too_old() {
    let o = run(Timeline::new()
        .at(900, full_grants(900, FAR))
        .at(900, hazard_scene(900))
        .say(1000, "what does the oil lamp mean"));
    let (time, _) = o.sentences()[0];
    assert!((2900..2902).contains(&time), "{time}");
}

#[test]
fn a_confident_alternative_transcript_replaces_an_uncertain_one() {
    let heard = |text: &str, others: &[&str]| {
        let Any::SpeechUtterance(utterance) = common::utterance(1000, text) else { unreachable!() };
        let alternatives = others.iter().map(|text| v1::Reading { text: (*text).into(), probability: 0.1 });
        let utterance = v1::Utterance { alternatives: alternatives.collect(), ..v1::Utterance::clone(&utterance) };
        run(drive(5000, 14.0).at(1000, Any::SpeechUtterance(Arc::new(utterance))))
    };
    // The scripted model is confident of all texts but "perhaps music".
    let o = heard("perhaps music", &["did you see that", "play some jazz", "call anna"]);
    assert_eq!(intents(&o), ["play_music what=jazz"]);
    assert_eq!(o.intents()[0].utterance, "play some jazz");
    assert!(!o.calls.contains(&"intent call anna".to_owned()), "at most two alternatives are tried");
    let o = heard("call anna", &["play some jazz"]);
    assert_eq!((intents(&o), o.calls[0].as_str()), (vec!["call who=anna".to_owned()], "intent call anna"));
    assert!(!o.calls.contains(&"intent play some jazz".to_owned()), "alternatives are not tried");
    let o = heard("perhaps music", &["did you see that", "Perhaps music!", " "]);
    assert_eq!(intents(&o), ["out_of_scope"]);
    assert_eq!(texts(&o), [auriga_language::reply::canned::NOT_SURE]);
}

#[test]
fn distracting_requests_are_refused_while_the_car_moves() {
    let refused = |speed, text| {
        let o = run(drive(5000, speed).say(1000, text));
        (o.intents()[0].allowed, texts(&o)[0].clone(), o.actions().len())
    };
    assert_eq!(refused(14.0, "play a video"), (false, "No pictures while we are moving.".into(), 0));
    assert!(refused(0.0, "play a video").0);
    assert_eq!(refused(30.0, "read my messages"), (false, "I do not read messages out at this speed.".into(), 0));
    assert!(refused(10.0, "read my messages").0);
}

#[test]
fn a_telltale_is_explained_or_asked_for_if_none_was_named() {
    let o = run(drive(20_000, 0.0).say(1000, "what does the oil lamp mean"));
    assert_eq!(texts(&o), ["The oil pressure is too low. Stop as soon as it is safe and switch the engine off."]);
    let o = run(drive(20_000, 14.0).say(1000, "what was that").say(5000, "a snowflake"));
    assert_eq!(
        texts(&o),
        [
            "Which lamp do you mean? Tell me what it shows.",
            "It is so cold that the road may be icy. Slow down and steer gently."
        ]
    );
    assert_eq!(intents(&o), ["warning_lamp", "warning_lamp"]);
    let o = run(drive(20_000, 14.0).at(1000, hazard_scene(1000)).say(5000, "what was that"));
    assert_eq!(texts(&o), ["That was the warning of somebody on the road ahead."]);
}

#[test]
fn the_time_of_day_comes_from_the_message_of_the_drive() {
    let o = run(drive(5000, 14.0).say(1000, "what time is it"));
    assert_eq!(texts(&o), ["I do not know the time."]);
    let o = run(drive(5000, 14.0).at(950, half_past_eight(950)).say(1000, "what time is it"));
    assert_eq!(texts(&o), ["It is 8 30."], "the numbers of the reply are those of the time");
}

#[test]
fn replies_are_shorter_at_high_speed_and_during_a_lane_change() {
    let words = |scene_at: Any| {
        let config = Config { reply_max_words_low_load: 8, reply_max_words_high_load: 4, ..config() };
        let o = Timeline::new().at(900, full_grants(900, FAR)).at(990, scene_at).say(1000, "call anna").run(&config);
        texts(&o)[0].split_whitespace().count()
    };
    assert_eq!(words(scene(990, 14.0)), 7);
    assert_eq!(words(scene(990, 28.0)), 2);
    let indicating = |scene: &mut v1::Scene| {
        scene.vehicle.as_mut().unwrap().indicator = v1::Indicator::Left.into();
    };
    assert_eq!(words(scene_with(990, 14.0, indicating)), 2);
}

#[test]
fn the_forecast_is_updated_when_the_lead_time_has_passed() {
    let config = Config { habit_lead_s: 10.0, ..config() };
    // The same request, each time after more than the lead time.
    let mut timeline = drive(100_000, 14.0);
    for i in 0..4 {
        timeline = timeline.say(1000 + 20_000 * i, "navigate to the harbour");
    }
    let o = timeline.run(&config);
    let quiet: Vec<_> = o.demands().into_iter().filter(|d| d.header.unwrap().trace_id == 0).collect();
    assert!(!quiet.is_empty(), "a forecast is published when the lead time has passed");
    let last = quiet.last().unwrap();
    assert!(last.items.iter().any(|i| i.workload == "hud-decor" && i.probability > 0.2), "{last:?}");
    assert!(o.demands().len() < 20, "{}", o.demands().len());
}

#[test]
fn the_node_works_on_after_implausible_scenes_and_utterances() {
    let hazard = |id| v1::Hazard { id, kind: 99, severity: 77, active: true, ..Default::default() };
    let implausible = scene_with(950, f64::NAN, |scene| {
        scene.vehicle.as_mut().unwrap().range_km = Some(-5.0);
        scene.hazards = (0..1000).map(hazard).collect();
        scene.driving_load = f64::INFINITY;
    });
    let o = run(Timeline::new()
        .at(900, full_grants(900, FAR))
        .at(950, implausible)
        .say(1000, "how far can i still go")
        .say(3000, &"a".repeat(100_000))
        .say(4000, "")
        .say(5000, "quel temps fait il à Paris 天気はどう")
        .at(6000, outcome(6000, 1, true, "?"))
        .say(7000, "call anna"));
    let codes = o.fault_codes();
    for code in ["scene-absurd-value", "utterance-too-long", "utterance-empty", "outcome-unknown"] {
        assert!(codes.iter().any(|c| c == code), "{code} in {codes:?}");
    }
    assert_eq!(texts(&o)[0], "I do not know the range right now.");
    assert_eq!(intents(&o), ["range_query", "out_of_scope", "call who=anna"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Replay is reproducible, nothing panics, and each turn has one beginning and one end.
    #[test]
    fn any_dialogue_is_reproducible_and_every_turn_ends(
        events in prop::collection::vec((0u64..60_000, 0usize..14, any::<u64>(), any::<f64>()), 0..50),
    ) {
        let timeline = || {
            events.iter().fold(Timeline::new().at(0, full_grants(0, FAR)), |timeline, &(t, kind, n, x)| match kind {
                0 => timeline.at(t, scene(t, x)),
                1 => timeline.at(t, hazard_scene(t)),
                2 => timeline.at(t, outcome(t, if n % 2 == 0 { ms(t).0 } else { n }, n % 3 == 0, "Done.")),
                3 => timeline.at(t, Any::DriveInfo(Arc::new(v1::DriveInfo {
                    wall_ns: n as i64, utc_offset_s: x as i32, start_ns: n, ..Default::default()
                }))),
                4 => timeline.say(t, "i feel a bit dizzy"),
                5 => timeline.say(t, "yes"),
                6 => timeline.say(t, "no"),
                7 => timeline.say(t, "what was that"),
                8 => timeline.say(t, "set it to twenty one degrees"),
                9 => timeline.say(t, "warmer"),
                10 => timeline.say(t, "navigate there"),
                11 => timeline.say(t, "call anna"),
                12 => timeline.at(t, scene(n, 14.0)),
                _ => timeline.at(t, full_grants(t, t + n % 5000)),
            })
        };
        let config = Config { outcome_timeout_ms: 2000, ..config() };
        let (a, b) = (timeline().run(&config), timeline().run(&config));
        prop_assert_eq!(a.bytes(), b.bytes());
        a.check_turns();
    }
}
