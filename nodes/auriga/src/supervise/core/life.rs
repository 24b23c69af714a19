//! One process over all its restarts.

use super::{
    silence::{Activity, Silence, Verdict},
    types::{Action, Spec, Todo},
};
use crate::{
    launch::Respawn,
    supervise::{
        event::{Event, Exit, Stop},
        policy::{Limits, Policy, Restarts},
    },
};
use auriga_msgs::Criticality;
use auriga_runtime::{Nanos, supervision::Message};
use std::time::Duration;

/// The class by which a program that is no node of the table is supervised, once it says something over its pipe.
const FOREIGN: Criticality = Criticality::Infotainment;

const INT: i32 = libc::SIGINT;
const TERM: i32 = libc::SIGTERM;

/// Where a process is in its life.
#[derive(Debug)]
enum State {
    /// Not started yet.
    New,
    Running(Run),
    /// Until its timer is over, or its restart.
    Waiting(Nanos),
    Over,
}

/// One run.
#[derive(Debug)]
struct Run {
    since: Nanos,
    phase: Phase,
    /// It was killed, for this reason.
    killed: Option<String>,
    /// The next signal that stops it, and when it is sent.
    next_signal: Option<(i32, Nanos)>,
    /// SIGKILL was needed to stop it.
    forced: bool,
}

#[derive(Debug)]
enum Phase {
    /// It is no node and has said nothing.
    Silent,
    /// It starts.
    Starting,
    /// It is up.
    Up(Silence),
    /// Its loop has ended, since then.
    Closing(Nanos),
}

/// One process over all its restarts.
#[derive(Debug)]
pub(super) struct Life {
    index: usize,
    spec: Spec,
    policy: Policy,
    limits: Limits,
    state: State,
    restarts: Restarts,
    count: u32,
    /// How the last run ended, in words.
    reason: String,
    exit: Option<Exit>,
    failed: bool,
    /// When it was last known to be alive, and how long it may be away from then on.
    alive: Nanos,
    away: Duration,
}

impl Life {
    pub fn new(index: usize, spec: Spec, policy: &Policy) -> Self {
        let class = spec.node.map_or(FOREIGN, |node| node.criticality);
        let delay = if let Respawn::Always { delay, .. } = spec.respawn { delay } else { Duration::ZERO };
        Self {
            index,
            policy: policy.clone(),
            limits: policy.limits(class),
            state: State::New,
            restarts: Restarts::new(policy, class, delay),
            count: 0,
            reason: String::new(),
            exit: None,
            failed: false,
            alive: Nanos::ZERO,
            away: spec.node.map_or(Duration::ZERO, |node| Duration::from_secs(node.start_limit_s.into())),
            spec,
        }
    }

    pub fn name(&self) -> &str {
        &self.spec.name
    }

    pub fn is_node(&self) -> bool {
        self.spec.node.is_some()
    }

    pub fn is_safety(&self) -> bool {
        self.spec.node.is_some_and(|node| node.criticality == Criticality::Safety)
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    pub fn is_up(&self) -> bool {
        matches!(&self.state, State::Running(Run { phase: Phase::Up(_), killed: None, .. }))
    }

    /// Whether it has been away for longer than it may be.
    pub fn is_lost(&self, now: Nanos) -> bool {
        self.is_over() || now.since(self.alive) > self.away
    }

    pub fn failed(&self) -> bool {
        self.failed
    }

    pub fn exit(&self) -> Option<&Exit> {
        self.exit.as_ref()
    }

    /// When [`Self::tick`] has something to do, besides looking for silence.
    pub fn due(&self) -> Option<Nanos> {
        match &self.state {
            State::Waiting(until) => Some(*until),
            State::Running(Run { next_signal: Some((_, at)), .. }) => Some(*at),
            State::Running(run) if run.killed.is_none() && !run.forced => self.deadline(run).map(|(at, _)| at),
            _ => None,
        }
    }

    /// When it has to be up, or closed, and what it is late with then.
    fn deadline(&self, run: &Run) -> Option<(Nanos, &'static str)> {
        match run.phase {
            Phase::Starting => {
                let limit = self.spec.node.map_or(Duration::MAX, |node| Duration::from_secs(node.start_limit_s.into()));
                Some((run.since + limit, "it is not up"))
            }
            Phase::Closing(since) => {
                Some((since + self.policy.after_interrupt + self.policy.after_terminate, "it has not closed"))
            }
            Phase::Silent | Phase::Up(_) => None,
        }
    }

    fn report(&self, event: Event, todo: &mut Vec<Todo>) {
        todo.push(Todo::Report(Some(self.index), event));
    }

    fn act(&self, action: Action, todo: &mut Vec<Todo>) {
        todo.push(Todo::Process(self.index, action));
    }

    pub fn start(&mut self, now: Nanos, todo: &mut Vec<Todo>) {
        if matches!(self.state, State::New) {
            // Before its timer is over it is not missed.
            self.alive = now + self.spec.start_after;
            if self.alive > now {
                self.state = State::Waiting(self.alive);
                return;
            }
        }
        let phase = if self.is_node() { Phase::Starting } else { Phase::Silent };
        self.state = State::Running(Run { since: now, phase, killed: None, next_signal: None, forced: false });
        self.act(Action::Start { restarts: self.count, reason: self.reason.clone() }, todo);
    }

    pub fn started(&mut self, pid: u32, todo: &mut Vec<Todo>) {
        self.report(Event::Started { name: self.spec.name.clone(), pid }, todo);
    }

    pub fn said(&mut self, message: Message, now: Nanos, todo: &mut Vec<Todo>) {
        let State::Running(run) = &mut self.state else { return };
        let phase = match (&run.phase, message) {
            (Phase::Closing(_), _) => return,
            (_, Message::Closing) => Phase::Closing(now),
            // Nobody is up by turning: the pipe's first word of a node is that it is up.
            (Phase::Starting, Message::Alive) => return,
            (_, Message::Ready | Message::Alive) => Phase::Up(Silence::new(now)),
        };
        let came_up = matches!(run.phase, Phase::Starting | Phase::Silent) && matches!(phase, Phase::Up(_));
        run.phase = phase;
        let after = now.since(run.since);
        self.alive = now;
        if came_up {
            self.away = self.policy.safety_away;
            self.report(Event::Up { name: self.spec.name.clone(), after }, todo);
        }
    }

    /// The supervisor stood still for so long until `now`.
    pub fn excuse(&mut self, standstill: Duration, now: Nanos) {
        let later = |time: Nanos| now.min(time + standstill);
        self.alive = later(self.alive);
        if let State::Running(run) = &mut self.state {
            match &mut run.phase {
                Phase::Up(silence) => silence.excuse(standstill, now),
                Phase::Starting => run.since = later(run.since),
                Phase::Closing(since) => *since = later(*since),
                Phase::Silent => {}
            }
        }
    }

    pub fn tick(&mut self, now: Nanos, todo: &mut Vec<Todo>) {
        match &self.state {
            State::Waiting(until) if *until <= now => self.start(now, todo),
            State::Running(run) => match run.next_signal {
                Some((signal, at)) => {
                    if at <= now {
                        self.send(signal, now, todo);
                    }
                }
                None if run.killed.is_some() || run.forced => {}
                None => self.check(now, todo),
            },
            _ => {}
        }
    }

    fn check(&mut self, now: Nanos, todo: &mut Vec<Todo>) {
        let State::Running(run) = &self.state else { return };
        if let Phase::Up(silence) = &run.phase {
            if silence.needs_look(now, &self.limits) {
                self.act(Action::Look, todo);
            }
        } else if let Some((_, what)) = self.deadline(run).filter(|(at, _)| *at <= now) {
            let text = format!("{what} after {:.0} s", now.since(run.since).as_secs_f64());
            self.kill(text, todo);
        }
    }

    pub fn seen(&mut self, activity: Activity, now: Nanos, todo: &mut Vec<Todo>) {
        let State::Running(Run { phase: Phase::Up(silence), killed: None, .. }) = &mut self.state else { return };
        match silence.look(activity, now, &self.limits) {
            Verdict::Fine => {}
            Verdict::Late(why) => {
                let silent = silence.length(now);
                self.report(Event::Late { name: self.spec.name.clone(), silent, why }, todo);
            }
            Verdict::Hung(text) => self.kill(text, todo),
        }
    }

    /// It is hung: ends it, so that it is restarted.
    fn kill(&mut self, why: String, todo: &mut Vec<Todo>) {
        self.report(Event::Hung { name: self.spec.name.clone(), why: why.clone() }, todo);
        self.act(Action::Kill, todo);
        if let State::Running(run) = &mut self.state {
            run.killed = Some(format!("hung: {why}"));
        }
    }

    /// Sends a signal that stops it, and plans the next stronger one.
    fn send(&mut self, signal: i32, now: Nanos, todo: &mut Vec<Todo>) {
        let stronger = match signal {
            INT => Some((TERM, now + self.policy.after_interrupt)),
            TERM => Some((libc::SIGKILL, now + self.policy.after_terminate)),
            _ => None,
        };
        let State::Running(run) = &mut self.state else { return };
        run.next_signal = stronger;
        run.forced |= signal == libc::SIGKILL;
        let name = if signal == TERM { "SIGTERM" } else { "SIGKILL" };
        if signal != INT {
            self.report(Event::Escalated { name: self.spec.name.clone(), signal: name }, todo);
        }
        self.act(if signal == libc::SIGKILL { Action::Kill } else { Action::Signal(signal) }, todo);
    }

    pub fn stop(&mut self, urgency: Stop, now: Nanos, todo: &mut Vec<Todo>) {
        match &self.state {
            State::Running(run) if run.forced => {}
            State::Running(_) if urgency == Stop::Now => self.send(libc::SIGKILL, now, todo),
            State::Running(run) if run.next_signal.is_none() => self.send(INT, now, todo),
            State::Running(_) | State::Over => {}
            State::New | State::Waiting(_) => {
                self.failed = self.exit.as_ref().is_some_and(|exit| !exit.success());
                self.state = State::Over;
            }
        }
    }

    /// It has ended. Returns whether that stops the launch.
    pub fn exited(&mut self, exit: &Exit, stop: Stop, now: Nanos, todo: &mut Vec<Todo>) -> bool {
        let State::Running(run) = &self.state else { return false };
        let (ran, forced) = (now.since(run.since), run.forced);
        let reason = run.killed.clone();
        self.reason = reason.unwrap_or_else(|| format!("{exit} after {:.1} s", ran.as_secs_f64()));
        self.exit = Some(exit.clone());
        self.report(Event::Exited { name: self.spec.name.clone(), exit: exit.clone(), ran }, todo);
        if stop > Stop::No {
            let as_requested = matches!(exit, Exit::Signal(INT | TERM));
            self.failed = forced || !(exit.success() || as_requested);
            self.state = State::Over;
            return false;
        }
        self.failed = !exit.success();
        self.state = State::Over;
        if self.spec.shutdown_on_exit {
            return true;
        }
        let Respawn::Always { max_retries, .. } = self.spec.respawn else { return false };
        if max_retries.is_some_and(|most| self.count >= most) {
            self.report(Event::GivenUp { name: self.spec.name.clone(), retries: self.count }, todo);
            return false;
        }
        self.count += 1;
        let after = self.restarts.delay_after(ran);
        if let Some(exits) = self.restarts.crash_loop() {
            // The shell adds what the process has said last.
            self.report(Event::CrashLoop { name: self.spec.name.clone(), exits, last_lines: Vec::new() }, todo);
        }
        self.report(Event::Restarting { name: self.spec.name.clone(), after, retry: self.count }, todo);
        if after.is_zero() {
            self.start(now, todo);
        } else {
            self.state = State::Waiting(now + after);
        }
        false
    }
}
