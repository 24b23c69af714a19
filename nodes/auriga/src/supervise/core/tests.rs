use super::*;
use crate::{
    launch::Respawn,
    supervise::{
        event::{Event, Exit, Reason, Stop},
        policy::Policy,
    },
};
use auriga_msgs::{Criticality, NODES, NodeSpec};
use auriga_runtime::{Nanos, supervision::Message};
use proptest::prelude::*;
use std::time::Duration;

fn node(name: &str) -> NodeSpec {
    *NODES.iter().find(|node| node.name == name).unwrap()
}

fn respawned(name: &str) -> Spec {
    let respawn = Respawn::Always { delay: Duration::ZERO, max_retries: None };
    Spec {
        name: name.into(),
        node: NODES.iter().find(|node| node.name == name).copied(),
        respawn,
        shutdown_on_exit: false,
        start_after: Duration::ZERO,
    }
}

/// Processes as the state machine drives them: what they do is set by the test.
struct Rig {
    core: Core,
    now: Nanos,
    /// By index: whether it runs, how it behaves, and when it says its next word.
    processes: Vec<Fake>,
    events: Vec<(u64, Event)>,
    kills: Vec<(u64, usize)>,
    starts: Vec<(u64, usize, String)>,
}

#[derive(Clone)]
struct Fake {
    running: bool,
    up_after: Option<u64>,
    beats: bool,
    started_ms: u64,
    last_said_ms: u64,
    activity: Activity,
}

impl Rig {
    fn new(names: &[&str]) -> Self {
        let core = Core::new(names.iter().map(|name| respawned(name)).collect(), Policy::default());
        let fake = Fake {
            running: false,
            up_after: Some(200),
            beats: true,
            started_ms: 0,
            last_said_ms: 0,
            activity: Activity::Stopped,
        };
        let mut rig = Self {
            core,
            now: Nanos::from_millis(1000),
            processes: vec![fake; names.len()],
            events: vec![],
            kills: vec![],
            starts: vec![],
        };
        let todo = rig.core.start(rig.now);
        rig.perform(todo);
        rig
    }

    fn ms(&self) -> u64 {
        self.now.0 / 1_000_000
    }

    fn perform(&mut self, todo: Vec<Todo>) {
        for one in todo {
            let (index, action) = match one {
                Todo::Report(_, event) => {
                    self.events.push((self.ms(), event));
                    continue;
                }
                Todo::Process(index, action) => (index, action),
            };
            let ms = self.ms();
            let input = match action {
                Action::Start { reason, .. } => {
                    assert!(!self.processes[index].running, "started twice");
                    self.starts.push((ms, index, reason));
                    let fake = &mut self.processes[index];
                    (fake.running, fake.started_ms, fake.last_said_ms) = (true, ms, 0);
                    Input::Started { pid: 7 }
                }
                Action::Kill => {
                    self.kills.push((ms, index));
                    self.end(index, Exit::Signal(9));
                    continue;
                }
                Action::Signal(_) => {
                    self.end(index, Exit::Code(0));
                    continue;
                }
                Action::Look => Input::Seen(self.processes[index].activity),
            };
            let todo = self.core.on(index, input, self.now);
            self.perform(todo);
        }
    }

    fn end(&mut self, index: usize, exit: Exit) {
        if std::mem::take(&mut self.processes[index].running) {
            let todo = self.core.on(index, Input::Exited(exit), self.now);
            self.perform(todo);
        }
    }

    /// 25 ms go by.
    fn step(&mut self) {
        self.now = self.now + Duration::from_millis(25);
        let ms = self.ms();
        for index in 0..self.processes.len() {
            let fake = &mut self.processes[index];
            let up = fake.up_after.is_some_and(|after| ms >= fake.started_ms + after);
            let due = fake.last_said_ms == 0 || ms >= fake.last_said_ms + 100;
            if fake.running && fake.beats && up && due {
                let message = if fake.last_said_ms == 0 { Message::Ready } else { Message::Alive };
                fake.last_said_ms = ms;
                let todo = self.core.on(index, Input::Said(message), self.now);
                self.perform(todo);
            }
        }
        let todo = self.core.tick(self.now);
        self.perform(todo);
    }

    fn run(&mut self, ms: u64) {
        (0..ms / 25).for_each(|_| self.step());
    }

    fn hangs(&self) -> usize {
        self.events.iter().filter(|(_, event)| matches!(event, Event::Hung { .. })).count()
    }
}

#[test]
fn a_hung_node_is_killed_and_restarted_within_its_bound_and_its_successor_knows_why() {
    for (name, bound_ms) in [("fusion", 500), ("language", 2000)] {
        let mut rig = Rig::new(&[name]);
        rig.run(3000);
        assert_eq!((rig.hangs(), rig.starts.len()), (0, 1), "{:?}", rig.events);
        rig.processes[0].beats = false;
        let hung_at = rig.ms();
        rig.run(bound_ms);
        let (restarted, _, reason) = rig.starts.get(1).cloned().expect("restarted");
        assert!(restarted - hung_at <= bound_ms - 75, "{name} after {} ms", restarted - hung_at);
        assert!(reason.contains("hung") && reason.contains("stopped by a signal"), "{reason}");
    }
}

#[test]
fn a_slow_start_is_no_hang_until_the_start_limit() {
    let mut rig = Rig::new(&["language"]);
    rig.processes[0].up_after = None;
    let limit_ms = u64::from(node("language").start_limit_s) * 1000;
    rig.run(limit_ms - 100);
    assert_eq!(rig.kills, []);
    rig.run(200);
    assert_eq!(rig.kills.len(), 1);
    assert!(rig.events.iter().any(|(_, e)| e.to_string().contains("it is not up after 180 s")), "{:?}", rig.events);
}

#[test]
fn another_program_is_supervised_only_once_it_says_that_it_is_up() {
    let mut rig = Rig::new(&["some-tool"]);
    rig.processes[0].up_after = None;
    rig.run(600_000);
    assert_eq!(rig.kills, []);
    rig.processes[0].up_after = Some(0);
    rig.run(1000);
    rig.processes[0].beats = false;
    rig.run(2000);
    assert_eq!(rig.kills.len(), 1);
}

#[test]
fn a_safety_node_that_keeps_failing_is_tried_again_at_least_every_second_for_ever_and_no_watchdog_is_fed() {
    let mut rig = Rig::new(&["can", "fusion"]);
    rig.run(1000);
    assert_eq!(rig.core.lost_safety(rig.now), None);
    rig.processes[1].up_after = None;
    rig.end(1, Exit::Code(101));
    let mut longest = 0;
    let mut tries = 0;
    for _ in 0..120 {
        let ended = rig.ms();
        rig.run(1025);
        let (started, ..) = *rig.starts.iter().rfind(|(_, index, _)| *index == 1).unwrap();
        longest = longest.max(started.saturating_sub(ended));
        tries += 1;
        rig.end(1, Exit::Code(101));
    }
    assert!(longest <= 1025, "{longest} ms");
    assert!(rig.starts.iter().filter(|(_, index, _)| *index == 1).count() > tries);
    assert_eq!(rig.core.lost_safety(rig.now), Some("fusion"));
    // Once it is back, they are fed again.
    rig.processes[1].up_after = Some(100);
    rig.run(3000);
    assert_eq!(rig.core.lost_safety(rig.now), None);
}

#[test]
fn the_watchdogs_are_fed_while_nodes_start_for_the_first_time_and_through_a_restart() {
    let mut rig = Rig::new(&["can"]);
    rig.processes[0].up_after = Some(15_000);
    for _ in 0..600 {
        rig.step();
        assert_eq!(rig.core.lost_safety(rig.now), None);
    }
    assert!(rig.core.up().safety_is_up());
    rig.processes[0].up_after = Some(1000);
    rig.end(0, Exit::Signal(9));
    for _ in 0..200 {
        rig.step();
        assert_eq!(rig.core.lost_safety(rig.now), None);
    }
}

#[test]
fn a_node_that_closes_is_not_hung_but_must_come_to_an_end() {
    let mut rig = Rig::new(&["recorder"]);
    rig.run(1000);
    rig.processes[0].beats = false;
    let todo = rig.core.on(0, Input::Said(Message::Closing), rig.now);
    rig.perform(todo);
    rig.run(9900);
    assert_eq!(rig.kills, []);
    rig.run(200);
    assert_eq!(rig.kills.len(), 1);
    assert!(rig.events.iter().any(|(_, e)| e.to_string().contains("it has not closed")), "{:?}", rig.events);
}

#[test]
fn a_standstill_of_the_whole_machine_kills_nobody() {
    let mut rig = Rig::new(&["can", "language"]);
    rig.run(1000);
    rig.now = rig.now + Duration::from_secs(60);
    rig.run(5000);
    assert_eq!(rig.kills, []);
    // And it excuses nobody afterwards.
    rig.now = rig.now + Duration::from_secs(60);
    rig.step();
    rig.processes[0].beats = false;
    rig.run(450);
    assert_eq!(rig.kills.len(), 1);
}

#[test]
fn a_stop_sends_stronger_signals_to_who_does_not_end_and_restarts_nobody() {
    let mut rig = Rig::new(&["can", "fusion"]);
    rig.run(1000);
    rig.processes[0].running = false;
    let todo = rig.core.request_stop(Stop::Gracefully, rig.now);
    // The first does not react; the second ends.
    rig.perform(todo);
    assert!(rig.core.outcome().is_none());
    rig.processes[0].running = true;
    rig.processes[0].beats = false;
    // Until SIGTERM, which ends it in this rig.
    rig.run(5100);
    let outcome = rig.core.outcome().expect("all have ended");
    assert_eq!((outcome.reason, rig.starts.len(), rig.kills.len()), (Reason::Requested, 2, 0));
}

#[derive(Debug, Clone)]
enum Act {
    Run(u64),
    Hang(usize, bool),
    Exit(usize),
    Garble(usize, u8),
    SlowStart(usize, Option<u64>),
}

fn any_act() -> impl Strategy<Value = Act> {
    let index = 0..3usize;
    prop_oneof![
        (25..3000u64).prop_map(Act::Run),
        (index.clone(), any::<bool>()).prop_map(|(index, hangs)| Act::Hang(index, hangs)),
        index.clone().prop_map(Act::Exit),
        (index.clone(), any::<u8>()).prop_map(|(index, what)| Act::Garble(index, what)),
        (index, prop::option::of(0..5000u64)).prop_map(|(index, after)| Act::SlowStart(index, after)),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_a_process_that_beats_is_never_killed_one_that_was_up_and_is_silent_always_is_and_a_stop_ends_all(
        acts in prop::collection::vec(any_act(), 1..60),
        activity in prop_oneof![Just(Activity::Stopped), Just(Activity::Waiting), Just(Activity::Runnable { cpu_ns: 5 })],
    ) {
        let names = ["can", "language", "tool"];
        let mut rig = Rig::new(&names);
        rig.processes.iter_mut().for_each(|fake| fake.activity = activity);
        for act in acts {
            match act {
                Act::Run(ms) => rig.run(ms),
                Act::Hang(index, hangs) => rig.processes[index].beats = !hangs,
                Act::Exit(index) => rig.end(index, Exit::Code(1)),
                Act::Garble(index, what) => {
                    // Late or senseless inputs, as a race between an exit and a pipe makes them.
                    let input = match what % 3 {
                        0 => Input::Seen(Activity::Unknown),
                        1 => Input::Started { pid: 1 },
                        _ => Input::Seen(Activity::Traced),
                    };
                    let todo = rig.core.on(index, input, rig.now);
                    rig.perform(todo);
                }
                Act::SlowStart(index, after) => rig.processes[index].up_after = after,
            }
            // A node that beats lives.
            let before = rig.kills.len();
            let beating: Vec<usize> = (0..3).filter(|index| rig.processes[*index].beats).collect();
            rig.processes.iter_mut().filter(|fake| fake.beats).for_each(|fake| fake.up_after = Some(0));
            rig.run(200);
            rig.run(2000);
            for (_, index) in &rig.kills[before..] {
                prop_assert!(!beating.contains(index), "{} was killed", names[*index]);
            }
        }
        // All hang: each that is up is killed in time.
        rig.processes.iter_mut().for_each(|fake| { fake.beats = true; fake.up_after = Some(0) });
        rig.run(12_000);
        rig.processes.iter_mut().for_each(|fake| { fake.beats = false; fake.up_after = None });
        let (before, from) = (rig.kills.len(), rig.ms());
        rig.run(6000);
        for index in 0..3 {
            let limits = Policy::default().limits(if index == 0 { Criticality::Safety } else { Criticality::Assist });
            let killed = rig.kills[before..].iter().find(|(_, killed)| *killed == index);
            prop_assert!(killed.is_some_and(|(at, _)| at - from <= limits.at_most.as_millis() as u64 + 50), "{killed:?}");
        }
        let todo = rig.core.request_stop(Stop::Gracefully, rig.now);
        rig.perform(todo);
        rig.run(100);
        prop_assert!(rig.core.outcome().is_some());
    }
}
