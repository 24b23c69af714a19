//! Analysis of messages: intervals, replies, restarts, losses.

use auriga_msgs::{Any, TopicId, v1};
use auriga_sil::{
    analysis::{DriveRun, Input, Inputs, Known, Observations, Standing},
    drive::{Event, EventKind},
};

fn header(seq: u64, ms: u64) -> Option<v1::Header> {
    let ns = ms * 1_000_000 + 5_000_000_000;
    Some(v1::Header {
        stamp_ns: ns,
        published_ns: ns + 2_000_000,
        seq,
        trace_id: v1::Header::trace(TopicId::VehicleState, seq + 1),
    })
}

/// A drive that begins at 5 s of the clock.
fn observed(messages: &[Any]) -> Observations {
    let mut observed = Observations::new(auriga_runtime::Nanos(5_000_000_000));
    messages.iter().for_each(|m| observed.record(m));
    observed
}

fn hazard(seq: u64, ms: u64, id: u64, active: bool, severity: v1::Severity) -> Any {
    let kind = v1::HazardKind::ForwardCollision.into();
    Any::FusionHazard(
        v1::Hazard { header: header(seq, ms), kind, severity: severity.into(), active, id, ..Default::default() }
            .into(),
    )
}

fn grants(seq: u64, ms: u64, mode: v1::Mode, run: bool) -> Any {
    let grant = v1::Grant { workload: "language-dialogue".into(), level: u32::from(run), run, ..Default::default() };
    Any::ArbiterGrants(
        v1::Grants { header: header(seq, ms), mode: mode.into(), grants: vec![grant], ..Default::default() }.into(),
    )
}

#[test]
fn a_hazard_is_one_interval_with_its_highest_severity() {
    use v1::Severity::{Critical, Warning};
    let o = observed(&[
        hazard(0, 1000, 7, true, Warning),
        hazard(1, 1400, 7, true, Critical),
        hazard(2, 3000, 7, false, Warning),
        hazard(3, 9000, 8, true, Warning),
    ]);
    assert_eq!(o.hazards.len(), 2);
    let h = &o.hazards[0];
    assert!((h.evidence_s - 1.0).abs() < 1e-9 && (h.published_s - 1.002).abs() < 1e-9);
    assert_eq!((h.severity, h.ended_s.map(|s| (s * 1e3).round())), (Critical, Some(3002.0)));
    assert_eq!(o.hazards[1].ended_s, None);
    assert!(h.overlaps(2.0, 2.5) && !h.overlaps(4.0, 5.0) && o.hazards[1].overlaps(20.0, 21.0));
}

#[test]
fn repeated_grants_and_modes_are_merged_into_intervals() {
    let o = observed(&[
        grants(0, 0, v1::Mode::Nominal, true),
        grants(1, 100, v1::Mode::Nominal, true),
        grants(2, 200, v1::Mode::Hazard, false),
        grants(3, 300, v1::Mode::Hazard, false),
        grants(4, 400, v1::Mode::Nominal, true),
    ]);
    let modes: Vec<v1::Mode> = o.modes(1.0).iter().map(|m| m.2).collect();
    assert_eq!(modes, [v1::Mode::Nominal, v1::Mode::Hazard, v1::Mode::Nominal]);
    let runs: Vec<(u32, bool)> = o.grants("language-dialogue", 1.0).iter().map(|g| (g.2, g.3)).collect();
    assert_eq!(runs, [(1, true), (0, false), (1, true)]);
    assert_eq!(o.grants("language-dialogue", 1.0)[1].1, 0.402);
}

fn state(seq: u64, ms: u64) -> Any {
    Any::VehicleState(v1::VehicleState { header: header(seq, ms), speed_mps: Some(1.0), ..Default::default() }.into())
}

#[test]
fn a_restart_is_counted_once_for_all_topics_of_a_node() {
    let frames = |seq, ms| Any::CanFrames(v1::CanFrames { header: header(seq, ms), ..Default::default() }.into());
    let o = observed(&[
        state(0, 0),
        frames(0, 0),
        state(1, 10),
        frames(1, 10),
        // Two lost, then a restart.
        state(4, 20),
        frames(2, 20),
        state(0, 500),
        frames(0, 500),
        state(1, 510),
        frames(1, 510),
    ]);
    assert_eq!(
        o.restarts.iter().map(|r| (r.node.as_str(), (r.t_s * 1e3).round())).collect::<Vec<_>>(),
        [("can", 502.0)]
    );
    assert_eq!(o.lost_reliable(), 2);
    let chain = o.chains().into_iter().find(|c| c.chain == "can-to-vehicle-state").unwrap();
    assert_eq!((chain.count, chain.over_budget), (3, 3), "2 ms of a budget of 1, each trace once");
}

#[test]
fn a_chain_that_the_recorder_missed_is_reported_as_by_the_monitor() {
    let reported = v1::ChainStats { chain: "can-to-vehicle-state".into(), count: 9, max_ms: 7.0, ..Default::default() };
    let report = v1::DriveReport { header: header(0, 4000), chains: vec![reported.clone()], ..Default::default() };
    let messages = [state(0, 1000), Any::DriveReport(report.into())];
    let of = |o: &Observations| o.chains().into_iter().find(|c| c.chain == reported.chain).expect("in the table");
    assert_eq!(of(&observed(&messages)), reported);
    let mut part = Observations::new(auriga_runtime::Nanos(5_000_000_000)).counting_from(0.5);
    messages.iter().for_each(|m| part.record(m));
    assert_eq!(of(&part).count, 1, "the monitor reports on the whole drive only");
}

fn reply(seq: u64, ms: u64, text: &str, last: bool) -> Any {
    let mut header = header(seq, ms);
    header.as_mut().unwrap().stamp_ns = 5_500_000_000;
    Any::LanguageTurn(
        v1::DialogueTurn { header, turn_id: 3, text: text.into(), first: seq == 0, last, ..Default::default() }.into(),
    )
}

#[test]
fn pieces_of_a_turn_are_one_reply() {
    let o = observed(&[
        reply(0, 1000, "About 214", false),
        reply(1, 4000, " kilometres.", false),
        reply(2, 4100, "", true),
    ]);
    assert_eq!(o.replies.len(), 1);
    let t = &o.replies[0];
    assert_eq!((t.text.as_str(), t.pieces_s.len(), t.interrupted), ("About 214 kilometres.", 2, false));
    assert!(t.spans(2.0) && !t.spans(4.05) && t.ended_s.is_some());
    assert!((t.speech_end_s - 0.5).abs() < 1e-9);
}

fn run(observed: Observations, events: Vec<Event>, to_s: f64, live: bool) -> DriveRun {
    DriveRun {
        observed,
        truth: vec![],
        events,
        from_s: 0.0,
        to_s,
        live,
        inputs: Inputs::default(),
        floor: None,
        damage: vec![],
    }
}

fn usage(seq: u64, ms: u64, messages_lost: u64) -> Any {
    Any::Usage(v1::Usage { header: header(seq, ms), node: "fusion".into(), messages_lost, ..Default::default() }.into())
}

/// A lane message 3 ms after its frame, with the frame's trace.
fn lanes(seq: u64, frame: u64) -> Any {
    let ns = frame * 40_000_000 + 5_000_000_000;
    let trace_id = v1::Header::trace(TopicId::CameraFrontImage, frame + 1);
    let header = Some(v1::Header { stamp_ns: ns, published_ns: ns + 3_000_000, seq, trace_id });
    Any::PerceptionLanes(v1::Lanes { header, ..Default::default() }.into())
}

/// A live run of 20 s with `frames` of its 500 answered.
fn answered(frames: impl Iterator<Item = u64>) -> DriveRun {
    let mut all: Vec<Any> = frames.enumerate().map(|(seq, frame)| lanes(seq as u64, frame)).collect();
    all.extend((0..100).map(|n| usage(n, n * 200, 0)));
    all.sort_by_key(|any| any.header().published_ns);
    let mut run = run(observed(&all), vec![], 20.0, true);
    run.inputs = Inputs { camera: Input::Times((0..500).map(|n| f64::from(n) * 0.04).collect()), can: Input::Absent };
    run
}

#[test]
fn frames_without_an_answer_are_misses_of_their_budget() {
    let verdict = answered(0..500).verdict();
    assert_eq!(verdict.standing(), Standing::NotHeld, "no scene, no HUD frame, no grants");
    let lanes = |run: &DriveRun| {
        let verdict = run.verdict();
        let chain = verdict.chains.iter().find(|c| c.stats.chain == "camera-to-lanes").unwrap();
        (chain.expected, chain.absent, chain.standing)
    };
    assert_eq!(lanes(&answered(0..500)), (500, 0, Standing::Held));
    for frames in [
        (0..500).filter(|n| n % 4 != 1 || n % 100 == 1).take(380).collect::<Vec<_>>(),
        (0..376).collect(),
        (124..500).collect(),
        (0..500).filter(|n| !(50..174).contains(n)).collect(),
    ] {
        let came = frames.len() as u64;
        assert_eq!(lanes(&answered(frames.into_iter())), (500, 500 - came, Standing::NotHeld));
    }
    // Nothing came of a camera that the drive has.
    assert_eq!(lanes(&answered(0..0)), (500, 500, Standing::NotHeld));
    let mut without = answered(0..0);
    without.inputs.camera = Input::Absent;
    assert_eq!(lanes(&without).2, Standing::NotExercised);
    let text = answered(0..376).verdict().summary();
    assert!(text.contains("camera-to-lanes: 124 of 500 missed (0 late, 124 never came"), "{text}");
}

#[test]
fn messages_that_safety_nodes_lost_are_misses_also_over_a_restart() {
    let o = observed(&[usage(0, 0, 1), usage(1, 200, 3), usage(0, 400, 2)]);
    assert_eq!(o.lost_by_safety, 5);
    let verdict = run(o, vec![], 1.0, true).verdict();
    assert_eq!((verdict.lost, verdict.standing()), (5, Standing::NotHeld));
}

#[test]
fn what_happened_while_nothing_was_recorded_is_not_known() {
    use v1::Severity::Warning;
    // The recorder was dead from 15 s to 25 s, and from 40 s on.
    let mut all: Vec<Any> = (0..75).chain(125..200).map(|n| usage(n, n * 200, 0)).collect();
    all.push(hazard(0, 10_200, 1, true, Warning));
    all.push(hazard(1, 12_000, 1, false, Warning));
    all.sort_by_key(|any| any.header().published_ns);
    let event = |start_s| Event { kind: EventKind::ForwardCollision, start_s, end_s: start_s + 1.0, value: 1.0 };
    let run = run(observed(&all), [10.0, 20.0, 30.0, 50.0].map(event).into(), 60.0, true);
    let unrecorded = run.unrecorded();
    let rounded: Vec<(i64, i64)> = unrecorded.iter().map(|s| (s.0.round() as i64, s.1.round() as i64)).collect();
    assert_eq!(rounded, [(15, 25), (40, 60)]);
    let reactions = run.reactions();
    let told: Vec<(bool, bool)> = reactions.iter().map(|r| (r.warning.is_some(), r.unrecorded.is_some())).collect();
    assert_eq!(told, [(true, false), (false, true), (false, false), (false, true)]);
}

#[test]
fn a_run_in_several_files_is_one_run_and_its_end_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, messages: &[Any]| {
        let mut writer = auriga_recorder::mcap_file::Writer::create(path(name)).unwrap();
        messages.iter().for_each(|any| writer.write(any).unwrap());
        writer.finish().unwrap();
    };
    let info = |ms| {
        let info =
            v1::DriveInfo { header: header(0, ms), start_ns: 5_000_000_000, duration_s: 60.0, ..Default::default() };
        Any::DriveInfo(info.into())
    };
    let usages = |range: std::ops::Range<u64>| range.map(|n| usage(n, n * 200, 0)).collect::<Vec<_>>();
    write("drive.mcap", &[vec![info(0)], usages(0..50)].concat());
    write("drive-1.mcap", &[usages(100..150), vec![hazard(0, 30_200, 1, true, v1::Severity::Critical)]].concat());
    let files = auriga_recorder::recording::files(&path("drive.mcap"));
    assert_eq!(files, [path("drive.mcap"), path("drive-1.mcap")]);
    let known = Known { played: Some((0.0, 60.0)), ..Known::default() };
    let run = DriveRun::from_files(&files, None, known).unwrap();
    assert_eq!((run.to_s, run.observed.hazards.len()), (60.0, 1));
    let text: Vec<String> = run.unrecorded().iter().map(|s| format!("{:.0} to {:.0}", s.0, s.1)).collect();
    assert_eq!(text, ["10 to 20", "30 to 60"]);
    assert_eq!(run.verdict().standing(), Standing::NotShown);
}

#[test]
fn events_are_matched_with_warnings_and_other_warnings_are_false_alarms() {
    use v1::Severity::Warning;
    let observed = observed(&[
        hazard(0, 10_200, 1, true, Warning),
        hazard(1, 12_000, 1, false, Warning),
        hazard(2, 30_000, 2, true, Warning),
        hazard(3, 31_000, 2, false, Warning),
        // After the end of the drive.
        hazard(4, 70_000, 3, true, Warning),
    ]);
    let event = |kind, start_s, end_s| Event { kind, start_s, end_s, value: 1.0 };
    let events = vec![
        event(EventKind::ForwardCollision, 10.0, 11.0),
        event(EventKind::LaneDeparture, 20.0, 21.0),
        event(EventKind::Dark, 1.0, 50.0),
    ];
    let run = run(observed, events, 60.0, false);
    let reactions = run.reactions();
    assert_eq!(reactions.len(), 2, "darkness requires no warning");
    assert!((reactions[0].delay_s().unwrap() - 0.202).abs() < 1e-6);
    assert_eq!(reactions[1].warning, None);
    assert_eq!(run.false_alarms().iter().map(|h| h.id).collect::<Vec<_>>(), [2]);
}
