//! Answers, repairs, several requests, negation and cancellation through the node: a scripted model in replay.

use crate::common::{FAR, Outcome, Timeline, config, full_grants, outcome, scene};
use auriga_language::Config;
use auriga_msgs::v1;

/// Scenes four times a second, with full grants.
fn drive() -> Timeline {
    let grants = Timeline::new().at(900, full_grants(900, FAR));
    (900..60_000).step_by(250).fold(grants, |timeline, t| timeline.at(t, scene(t, 14.0)))
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
fn a_question_is_asked_again_until_it_is_answered() {
    let asked = || drive().say(1000, "i feel a bit dizzy");
    let help = "call who=the emergency services";
    for yes in ["yes please call them", "yes quickly", "do it now", "hurry up", "Of course!"] {
        assert_eq!(intents(&run(asked().say(6000, yes))), ["driver_unwell", help], "{yes}");
    }
    for no in ["no i'm fine", "don't call anybody", "absolutely not", "please don't"] {
        let o = run(asked().say(6000, no));
        assert_eq!((intents(&o), o.actions()), (vec!["driver_unwell".to_owned(), "stop".to_owned()], vec![]), "{no}");
    }
    // Neither, something else, what is no request at all: the question stays.
    let o = run(asked()
        .say(6000, "hmm maybe")
        .say(12_000, "what time is it")
        .say(18_000, "did you see that")
        .say(24_000, "ok"));
    assert_eq!(intents(&o), ["driver_unwell", "time_query", "out_of_scope", help]);
    let again = "Please say yes or no. Shall I call for help?";
    assert_eq!([&texts(&o)[1], &texts(&o)[3]], [again, again]);
    let o = run(asked().say(6000, "no call anna"));
    assert_eq!(intents(&o), ["driver_unwell", "stop", "call who=anna"]);
    let o = run(asked().say(6000, "yes and play some jazz"));
    assert_eq!(intents(&o), ["driver_unwell", help, "play_music what=jazz"]);
}

#[test]
fn several_requests_are_done_and_answered_in_order() {
    let o = run(drive().say(1000, "call anna and then play some jazz"));
    assert_eq!(intents(&o), ["call who=anna", "play_music what=jazz"]);
    assert_eq!(o.actions().len(), 2);
    assert_eq!(texts(&o), ["I will call anna.", "Playing jazz."]);
    o.check_turns();
    let o = run(drive().say(1000, "call anna and tell her i am late"));
    assert_eq!(intents(&o), ["call who=anna", "out_of_scope"]);
    assert_eq!(texts(&o)[1], "I cannot pass on messages. I can call somebody.");
}

#[test]
fn a_repair_is_what_is_meant_and_a_withdrawn_request_is_not_done() {
    assert_eq!(intents(&run(drive().say(1000, "call tom no wait call anna"))), ["call who=anna"]);
    let o = run(drive().say(1000, "call anna oh never mind"));
    assert_eq!((intents(&o), o.actions(), texts(&o)), (vec!["stop".to_owned()], vec![], vec!["All right.".to_owned()]));
}

#[test]
fn what_is_not_wanted_is_not_done_and_ends_if_it_is_under_way() {
    let o = run(drive().say(1000, "don't call anna"));
    assert_eq!((intents(&o), o.actions()), (vec!["stop".to_owned()], vec![]));
    let o = run(drive().say(1000, "call anna").say(8000, "don't call anna"));
    let [call, stop] = o.actions().try_into().unwrap();
    assert_eq!((stop.tool.as_str(), stop.intent.as_str()), ("telephone", "stop"));
    assert_eq!(stop.slots[0].value, call.id.to_string());
    assert_eq!(texts(&o)[1], "All right, I ask the telephone to stop.");
}

#[test]
fn cancel_ends_the_request_that_is_meant() {
    let under_way =
        || drive().say(1000, "call anna").say(8000, "play some jazz").say(16_000, "navigate to the harbour");
    for (said, expected) in
        [("cancel the call", 0), ("cancel the music please", 1), ("no cancel that", 2), ("forget about the harbour", 2)]
    {
        let o = run(under_way().say(24_000, said));
        let actions = o.actions();
        let stop = actions.last().unwrap();
        assert_eq!(actions.len(), 4, "{said}");
        assert_eq!((stop.intent.as_str(), &stop.slots[0].value), ("stop", &actions[expected].id.to_string()), "{said}");
    }
    let o = run(under_way().say(24_000, "cancel everything"));
    assert_eq!(o.actions().len(), 6);
    // The outcome of a cancelled action is neither waited for nor unknown.
    let id = o.actions()[0].id;
    let late = under_way().say(24_000, "cancel the call").at(26_000, outcome(26_000, id, false, "It was too late."));
    let o = late.run(&Config { outcome_timeout_ms: 600_000, ..config() });
    assert_eq!(o.fault_codes(), [""; 0]);
    assert!(!texts(&o).contains(&"It was too late.".to_owned()));
}

#[test]
fn a_value_that_nobody_said_is_not_set() {
    let o = run(drive().say(1000, "set it to twenty one degrees").say(8000, "set it to fifteen").say(16_000, "warmer"));
    assert_eq!(intents(&o), ["set_temperature degrees=21", "set_temperature", "set_temperature degrees=22"]);
    assert_eq!(o.intents().iter().map(|i| i.allowed).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(texts(&o)[1], "I can only set 16 to 28 degrees.");
}

#[test]
fn what_no_tool_takes_up_is_not_announced_as_done() {
    let o = run(drive().say(1000, "set it to twenty one degrees"));
    assert_eq!(texts(&o), ["I propose 21 degrees for the cabin, but the car's body control is not connected."]);
    let body = Config { connected_tools: vec!["body".into()], ..config() };
    let o = drive().say(1000, "set it to twenty one degrees").run(&body);
    assert_eq!(texts(&o), ["I propose 21 degrees."]);
}

#[test]
fn no_word_of_a_long_request_is_passed_over() {
    let long = |words: usize| format!("{} call anna", "well ".repeat(words));
    let o = run(drive().say(1000, &long(60)));
    assert!(o.calls[0].ends_with("call anna"), "{}", o.calls[0]);
    let generous = Config { utterance_max_chars: 10_000, ..config() };
    let o = drive().say(1000, &long(200)).run(&generous);
    assert_eq!(texts(&o), [auriga_language::reply::canned::TOO_LONG]);
}
