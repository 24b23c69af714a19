//! The state of all processes.

use super::{
    life::Life,
    types::{Input, Spec, Todo},
};
use crate::supervise::{
    event::{Event, Outcome, Reason, Stop},
    policy::Policy,
};
use auriga_runtime::Nanos;
use std::time::Duration;

/// The state of all processes.
pub struct Core {
    policy: Policy,
    lives: Vec<Life>,
    stop: Stop,
    reason: Option<Reason>,
    ticked: Option<Nanos>,
    todo: Vec<Todo>,
}

impl Core {
    /// Nothing is started yet.
    pub fn new(specs: Vec<Spec>, policy: Policy) -> Self {
        let lives = specs.into_iter().enumerate().map(|(index, spec)| Life::new(index, spec, &policy)).collect();
        Self { policy, lives, stop: Stop::No, reason: None, ticked: None, todo: Vec::new() }
    }

    /// Starts all processes, in their order.
    pub fn start(&mut self, now: Nanos) -> Vec<Todo> {
        self.lives.iter_mut().for_each(|life| life.start(now, &mut self.todo));
        self.take()
    }

    /// Something happened to the process `index`.
    pub fn on(&mut self, index: usize, input: Input, now: Nanos) -> Vec<Todo> {
        let Some(life) = self.lives.get_mut(index) else { return Vec::new() };
        match input {
            Input::Started { pid } => life.started(pid, &mut self.todo),
            Input::Said(message) => life.said(message, now, &mut self.todo),
            Input::Seen(activity) => life.seen(activity, now, &mut self.todo),
            Input::Exited(exit) => {
                if life.exited(&exit, self.stop, now, &mut self.todo) {
                    let why = Reason::Ended { name: life.name().to_owned(), exit };
                    self.stop(why, Stop::Gracefully, now);
                }
            }
        }
        self.take()
    }

    /// A stop is requested, or one that is under way has to be faster.
    pub fn request_stop(&mut self, urgency: Stop, now: Nanos) -> Vec<Todo> {
        self.stop(Reason::Requested, urgency, now);
        self.take()
    }

    fn stop(&mut self, why: Reason, urgency: Stop, now: Nanos) {
        if urgency == Stop::No {
            return;
        }
        if self.reason.is_none() {
            self.todo.push(Todo::Report(None, Event::Stopping { why: why.clone() }));
            self.reason = Some(why);
        }
        if urgency > self.stop {
            self.stop = urgency;
            self.lives.iter_mut().for_each(|life| life.stop(urgency, now, &mut self.todo));
        }
    }

    /// Time has gone by. To be called at least every [`Policy::check_every`], after what the processes have said.
    pub fn tick(&mut self, now: Nanos) -> Vec<Todo> {
        // If nobody ran for a while, nobody could say anything.
        let every = self.policy.check_every;
        let standstill = self.ticked.map_or(Duration::ZERO, |before| now.since(before + every));
        if standstill > every {
            self.lives.iter_mut().for_each(|life| life.excuse(standstill, now));
        }
        self.ticked = Some(now);
        self.lives.iter_mut().for_each(|life| life.tick(now, &mut self.todo));
        self.take()
    }

    /// When [`Self::tick`] next has something to do, besides looking for silence.
    pub fn due(&self) -> Option<Nanos> {
        self.lives.iter().filter_map(Life::due).min()
    }

    fn take(&mut self) -> Vec<Todo> {
        if self.reason.is_none() && self.lives.iter().all(Life::is_over) {
            self.reason = Some(Reason::AllEnded);
            self.todo.push(Todo::Report(None, Event::Stopping { why: Reason::AllEnded }));
        }
        std::mem::take(&mut self.todo)
    }

    /// A safety node that is not alive: not up, and not heard for longer than it may be away. `None`: all are alive.
    pub fn lost_safety(&self, now: Nanos) -> Option<&str> {
        self.lives.iter().find(|life| life.is_safety() && life.is_lost(now)).map(Life::name)
    }

    /// Nodes of the topic table that are up, and how many there are; safety nodes first.
    pub fn up(&self) -> Up {
        let count = |safety: bool| {
            let own = self.lives.iter().filter(|life| life.is_node() && life.is_safety() == safety);
            own.fold((0, 0), |(up, all), life| (up + usize::from(life.is_up()), all + 1))
        };
        Up { safety: count(true), others: count(false) }
    }

    /// The result, once every process has ended for good.
    pub fn outcome(&self) -> Option<Outcome> {
        let reason = self.reason.clone().filter(|_| self.lives.iter().all(Life::is_over))?;
        let failed = self.lives.iter().filter(|life| life.failed()).map(|life| life.name().to_owned()).collect();
        let exits = self.lives.iter().filter_map(|life| Some((life.name().to_owned(), life.exit()?.clone()))).collect();
        Some(Outcome { reason, exits, failed })
    }
}

/// Nodes that are up, of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Up {
    /// Of the safety class.
    pub safety: (usize, usize),
    /// Of the other classes.
    pub others: (usize, usize),
}

impl Up {
    /// Whether every safety node is up.
    pub fn safety_is_up(&self) -> bool {
        self.safety.0 == self.safety.1
    }
}
