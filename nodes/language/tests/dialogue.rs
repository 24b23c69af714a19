//! Verbosity over several turns, tools, and what the driving lets be said: a scripted model in the replay shell.

mod common;

use auriga_language::{Config, engine::interface::Class};
use auriga_msgs::{Any, v1};
use common::{FAR, Outcome, Timeline, config, danger, full, half_past_eight, ms, outcome, scene, scene_with};
use proptest::prelude::*;
use std::sync::Arc;

/// Scenes four times a second until `end`, with full grants.
fn drive(end: u64, speed_mps: f64) -> Timeline {
    let grants = Timeline::new().at(900, full(900, FAR));
    (900..end).step_by(250).fold(grants, |timeline, t| timeline.at(t, scene(t, speed_mps)))
}

fn run(timeline: Timeline) -> Outcome {
    timeline.run(&config())
}

/// Names and slots of the intents.
fn intents(o: &Outcome) -> Vec<String> {
    let slots = |i: &v1::Intent| i.slots.iter().map(|s| format!(" {}={}", s.name, s.value)).collect::<String>();
    o.intents().iter().map(|i| format!("{}{}", i.name, slots(i))).collect()
}

fn texts(o: &Outcome) -> Vec<String> {
    o.sentences().into_iter().map(|(_, text)| text).collect()
}

#[test]
fn there_and_warmer_and_more_mean_what_the_turns_before_say() {
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
fn a_place_that_nobody_named_is_asked_for() {
    let o = run(drive(5000, 14.0).say(1000, "navigate there"));
    assert_eq!(
        (intents(&o), texts(&o)),
        (vec!["navigate_to".to_owned()], vec!["I did not get the place. Please say it again.".to_owned()])
    );
    assert_eq!(o.actions(), []);
}

#[test]
fn the_node_asks_and_a_yes_does_it_and_a_no_does_not() {
    let asked = || drive(20_000, 14.0).say(1000, "i feel a bit dizzy");
    let o = run(asked());
    assert!(texts(&o)[0].ends_with("Shall I call for help?"), "{:?}", texts(&o));
    assert_eq!(o.slices(Class::Dialogue), 0, "trouble is answered at once, without the model");
    let o = run(asked().say(6000, "Yes, please."));
    assert_eq!(intents(&o), ["driver_unwell", "call who=the emergency services"]);
    assert_eq!(o.actions().iter().map(|a| a.tool.as_str()).collect::<Vec<_>>(), ["telephone"]);
    let o = run(asked().say(6000, "no"));
    assert_eq!(intents(&o), ["driver_unwell", "stop"]);
    assert_eq!(o.actions(), []);
    // Without a question a yes is nothing, and so it is when it comes too late.
    assert_eq!(intents(&run(drive(5000, 14.0).say(1000, "yes"))), ["out_of_scope"]);
    assert_eq!(
        intents(&run(drive(40_000, 14.0).say(1000, "i feel a bit dizzy").say(30_000, "yes")))[1],
        "out_of_scope"
    );
}

#[test]
fn an_action_is_published_for_its_tool_and_its_outcome_is_told() {
    let timeline = || drive(10_000, 14.0).say(1000, "call anna");
    let [action] = run(timeline()).actions().try_into().unwrap();
    assert_eq!((action.tool.as_str(), action.intent.as_str(), action.proposal), ("telephone", "call", false));
    assert_eq!((action.slots[0].name.as_str(), action.slots[0].value.as_str()), ("who", "anna"));
    assert_eq!(action.header.unwrap().trace_id, 8000);
    let told = |done, text: &str| {
        let o = run(timeline().at(3000, outcome(3000, action.id, done, text)));
        assert_eq!(o.fault_codes(), [""; 0]);
        texts(&o)[1..].to_vec()
    };
    assert_eq!(told(true, ""), [""; 0]);
    assert_eq!(told(true, " Anna\n is on  the line. "), ["Anna is on the line."]);
    assert_eq!(told(false, ""), ["The telephone could not do that."]);
    assert_eq!(told(false, "There is no network."), ["There is no network."]);
    assert_eq!(told(true, &"x".repeat(100_000))[0].len(), 160);
}

#[test]
fn a_tool_that_does_not_answer_or_is_not_there_is_told() {
    let config = Config { outcome_within_ms: 3000, ..config() };
    let o = drive(10_000, 14.0).say(1000, "call anna").run(&config);
    let [_, (at, text)] = o.sentences().try_into().unwrap();
    assert_eq!(text, "The telephone does not answer.");
    assert!((4018..4100).contains(&at), "{at}");
    assert_eq!(o.fault_codes(), ["tool-silent"]);
    let [action] = o.actions().try_into().unwrap();
    let late = drive(10_000, 14.0).say(1000, "call anna").at(6000, outcome(6000, action.id, true, "Anna is there."));
    assert_eq!(late.run(&config).fault_codes(), ["tool-silent", "outcome-unknown"]);
    let none = Config { connected: vec![], ..config };
    let o = drive(10_000, 14.0).say(1000, "call anna").say(4000, "set it to twenty one degrees").run(&none);
    assert_eq!(texts(&o)[0], "The telephone is not connected, so I cannot do that.");
    // What touches the vehicle is a proposal to whoever may take it up; nobody is waited for.
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
fn in_danger_nothing_is_said_and_afterwards_it_is() {
    // The danger comes while the reply is being said, and lasts until 3 s.
    let timeline = (1030..3000).step_by(100).fold(Timeline::new(), |timeline, t| timeline.at(t, danger(t)));
    let timeline = timeline.at(900, full(900, FAR)).at(900, scene(900, 14.0)).at(3000, scene(3000, 14.0));
    let o = run(timeline.say(1000, "call anna"));
    let silent = o.turns().iter().all(|t| !(ms(1030).0..ms(3000).0).contains(&t.header.unwrap().published_ns));
    assert!(silent, "{:?}", o.sentences());
    assert_eq!(texts(&o), ["Calling anna. One moment please. It rings."], "it goes on where it was");
    let begun = o.calls.iter().filter(|c| c.starts_with("reply")).count();
    assert_eq!(begun, 1, "nothing is worked out twice");
}

#[test]
fn a_plain_sentence_waits_for_the_end_of_the_danger_unless_the_driver_is_in_trouble() {
    let timeline = |text| {
        let dangers = (900..3000).step_by(100).fold(Timeline::new(), |timeline, t| timeline.at(t, danger(t)));
        dangers.at(900, full(900, FAR)).at(3000, scene(3000, 14.0)).say(1000, text)
    };
    let at = |text| run(timeline(text)).sentences()[0].clone();
    let (time, text) = at("what does the oil lamp mean");
    assert!(text.starts_with("The oil pressure is too low.") && time == 3000, "{time} {text}");
    assert_eq!(run(timeline("call anna")).intents()[0].header.unwrap().published_ns, ms(1018).0, "it is understood");
    let (time, _) = at("i feel a bit dizzy");
    assert!(time < 1100, "{time}");
}

#[test]
fn what_could_not_be_said_for_too_long_is_given_up() {
    let config = config();
    let end = 2000 + config.reply_max_pause_ms;
    let dangers = (900..end + 3000).step_by(100).fold(Timeline::new(), |timeline, t| timeline.at(t, danger(t)));
    let o = dangers.at(900, full(900, FAR)).say(1000, "what does the oil lamp mean").run(&config);
    assert_eq!((texts(&o), o.fault_codes()), (vec![], vec!["answer-too-late".to_owned()]));
}

#[test]
fn a_danger_that_nobody_ends_is_over_when_the_scene_is_too_old() {
    let o = run(Timeline::new().at(900, full(900, FAR)).at(900, danger(900)).say(1000, "what does the oil lamp mean"));
    let (time, _) = o.sentences()[0];
    assert!((2900..2902).contains(&time), "{time}");
}

#[test]
fn an_unclear_reading_gives_way_to_one_that_is_clear() {
    let heard = |text: &str, others: &[&str]| {
        let Any::SpeechUtterance(utterance) = common::utterance(1000, text) else { unreachable!() };
        let alternatives = others.iter().map(|text| v1::Reading { text: (*text).into(), probability: 0.1 });
        let utterance = v1::Utterance { alternatives: alternatives.collect(), ..v1::Utterance::clone(&utterance) };
        run(drive(5000, 14.0).at(1000, Any::SpeechUtterance(Arc::new(utterance))))
    };
    // The scripted model is sure of all but "perhaps music".
    let o = heard("perhaps music", &["did you see that", "play some jazz", "call anna"]);
    assert_eq!(intents(&o), ["play_music what=jazz"]);
    assert_eq!(o.intents()[0].utterance, "play some jazz");
    assert!(!o.calls.contains(&"intent call anna".to_owned()), "two others are tried at most");
    let o = heard("call anna", &["play some jazz"]);
    assert_eq!((intents(&o), o.calls[0].as_str()), (vec!["call who=anna".to_owned()], "intent call anna"));
    assert!(!o.calls.contains(&"intent play some jazz".to_owned()), "a clear reading stands");
    let o = heard("perhaps music", &["did you see that", "Perhaps music!", " "]);
    assert_eq!(intents(&o), ["out_of_scope"]);
    assert_eq!(texts(&o), [auriga_language::reply::canned::NOT_SURE]);
}

#[test]
fn what_distracts_is_refused_while_the_car_moves() {
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
fn a_lamp_is_explained_from_the_table_and_asked_for_when_none_was_named() {
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
    let o = run(drive(20_000, 14.0).at(1000, danger(1000)).say(5000, "what was that"));
    assert_eq!(texts(&o), ["That was the warning of somebody on the road ahead."]);
}

#[test]
fn the_time_of_day_is_known_once_the_drive_has_told_it() {
    let o = run(drive(5000, 14.0).say(1000, "what time is it"));
    assert_eq!(texts(&o), ["I do not know the time."]);
    let o = run(drive(5000, 14.0).at(950, half_past_eight(950)).say(1000, "what time is it"));
    assert_eq!(texts(&o), ["It is 8 30."], "the number is the time's, so it stands");
}

#[test]
fn a_reply_is_shorter_at_speed_and_while_changing_lanes() {
    let words = |scene_at: Any| {
        let config = Config { reply_words_calm: 8, reply_words_busy: 4, ..config() };
        let o = Timeline::new().at(900, full(900, FAR)).at(990, scene_at).say(1000, "call anna").run(&config);
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
fn a_forecast_between_requests_follows_the_situation() {
    let config = Config { habit_lead_s: 10.0, ..config() };
    // The same thing is asked for at the beginning of each stretch.
    let mut timeline = drive(100_000, 14.0);
    for i in 0..4 {
        timeline = timeline.say(1000 + 20_000 * i, "navigate to the harbour");
    }
    let o = timeline.run(&config);
    let quiet: Vec<_> = o.demands().into_iter().filter(|d| d.header.unwrap().trace_id == 0).collect();
    assert!(!quiet.is_empty(), "when nothing follows any more, the next stretch is foreseen");
    let last = quiet.last().unwrap();
    assert!(last.items.iter().any(|i| i.workload == "hud-decor" && i.probability > 0.2), "{last:?}");
    assert!(o.demands().len() < 20, "{}", o.demands().len());
}

#[test]
fn absurd_scenes_and_utterances_leave_the_node_talking() {
    let hazard = |id| v1::Hazard { id, kind: 99, severity: 77, active: true, ..Default::default() };
    let absurd = scene_with(950, f64::NAN, |scene| {
        scene.vehicle.as_mut().unwrap().range_km = Some(-5.0);
        scene.hazards = (0..1000).map(hazard).collect();
        scene.driving_load = f64::INFINITY;
    });
    let o = run(Timeline::new()
        .at(900, full(900, FAR))
        .at(950, absurd)
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

    /// Whatever comes when: the same twice, no panic, every turn has one end, and nothing new is said in danger.
    #[test]
    fn any_talk_gives_the_same_bytes_twice_and_ends_every_turn(
        events in prop::collection::vec((0u64..60_000, 0usize..14, any::<u64>(), any::<f64>()), 0..50),
    ) {
        let timeline = || {
            events.iter().fold(Timeline::new().at(0, full(0, FAR)), |timeline, &(t, kind, n, x)| match kind {
                0 => timeline.at(t, scene(t, x)),
                1 => timeline.at(t, danger(t)),
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
                _ => timeline.at(t, full(t, t + n % 5000)),
            })
        };
        let config = Config { outcome_within_ms: 2000, ..config() };
        let (a, b) = (timeline().run(&config), timeline().run(&config));
        prop_assert_eq!(a.bytes(), b.bytes());
        let turns = a.turns();
        for id in turns.iter().map(|t| t.turn_id) {
            let pieces: Vec<_> = turns.iter().filter(|t| t.turn_id == id).collect();
            prop_assert!(pieces[0].first && pieces.iter().filter(|p| p.first).count() == 1);
            prop_assert!(pieces.last().unwrap().last && pieces.iter().filter(|p| p.last).count() == 1);
        }
    }
}
