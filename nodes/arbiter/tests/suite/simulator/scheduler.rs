//! A discrete-event simulation of threads on cores: fixed priorities with preemption, sections without, self-suspension,
//! events that join (OR), bursts, jitter, hops, and chains over several cores.

use super::random::Random;
use auriga_arbiter::table::admission::model::{Origin, System};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

/// What is simulated beside the system itself.
pub struct Extra {
    /// By thread: a job begins with so long a section without preemption.
    pub sections: Vec<u64>,
}

/// The longest that was seen.
pub struct Seen {
    /// By thread: from an event to the end of the work for it.
    pub responses: Vec<u64>,
    /// By thread and activation: from the source of the event to the end.
    pub latencies: Vec<Vec<u64>>,
    /// Threads that one event went through one after another on one core, time on the wire between them at most, and how
    /// long it took from the arrival at the first.
    pub stretches: Vec<(Vec<usize>, u64, u64)>,
}

#[derive(Clone)]
struct Job {
    activation: usize,
    /// The source's event.
    stamp: u64,
    /// Threads on the way, this one last: thread, arrival, longest hop to it.
    way: Vec<(usize, u64, u64)>,
    /// Processor time, each part followed by a wait.
    parts: VecDeque<(u64, u64)>,
    /// Left of the section without preemption.
    section: u64,
    /// Its end is an event for others: of one of the activations for an event, the others are for other readers.
    releases: bool,
}

struct Thread {
    queue: VecDeque<Job>,
    current: Option<Job>,
    /// Not waiting for something else than the processor.
    ready: bool,
    ready_since: u64,
}

struct Core {
    running: Option<usize>,
    started: u64,
    generation: u64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive { thread: usize, job: usize },
    Wake { thread: usize },
    Turn { core: usize, generation: u64 },
}

pub struct Simulation<'a> {
    system: &'a System,
    extra: &'a Extra,
    random: &'a mut Random,
    now: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    count: u64,
    /// Jobs that have not arrived yet.
    coming: Vec<Option<Job>>,
    threads: Vec<Thread>,
    cores: Vec<Core>,
    seen: Seen,
}

impl<'a> Simulation<'a> {
    /// Runs a system with the events of each source.
    pub fn run(system: &'a System, extra: &'a Extra, random: &'a mut Random, sources: &[Vec<u64>]) -> Seen {
        let thread = || Thread { queue: VecDeque::new(), current: None, ready: false, ready_since: 0 };
        let core = || Core { running: None, started: 0, generation: 0 };
        let cores = system.threads.iter().map(|t| t.core + 1).max().unwrap_or(1);
        let mut simulation = Self {
            system,
            extra,
            random,
            now: 0,
            events: BinaryHeap::new(),
            count: 0,
            coming: Vec::new(),
            threads: system.threads.iter().map(|_| thread()).collect(),
            cores: (0..cores).map(|_| core()).collect(),
            seen: Seen {
                responses: vec![0; system.threads.len()],
                latencies: system.threads.iter().map(|t| vec![0; t.activations.len()]).collect(),
                stretches: Vec::new(),
            },
        };
        for (source, events) in sources.iter().enumerate() {
            for at in events {
                simulation.release(
                    *at,
                    *at,
                    &[],
                    |origin| matches!(origin, Origin::Source { index, .. } if *index == source),
                );
            }
        }
        while let Some(Reverse((at, _, event))) = simulation.events.pop() {
            simulation.now = at;
            simulation.handle(event);
        }
        simulation.seen
    }

    fn push(&mut self, at: u64, event: Event) {
        self.count += 1;
        self.events.push(Reverse((at, self.count, event)));
    }

    /// An event at `at` reaches all activations with such an origin.
    fn release(&mut self, at: u64, stamp: u64, way: &[(usize, u64, u64)], is: impl Fn(&Origin) -> bool) {
        for (thread, t) in self.system.threads.iter().enumerate() {
            for (activation, a) in t.activations.iter().enumerate() {
                for origin in a.origins.iter().filter(|o| is(o)) {
                    let releases = self.random.below(a.times);
                    for copy in 0..a.times {
                        let hop = self.random.up_to(origin.hop());
                        let arrival = at + hop;
                        let ready = arrival + self.random.up_to(t.release);
                        let mut way = way.to_vec();
                        way.push((thread, arrival, origin.hop()));
                        let job = Job { releases: copy == releases, ..self.job(thread, activation, stamp, way) };
                        self.coming.push(Some(job));
                        let job = self.coming.len() - 1;
                        self.push(ready, Event::Arrive { thread, job });
                    }
                }
            }
        }
    }

    fn job(&mut self, thread: usize, activation: usize, stamp: u64, way: Vec<(usize, u64, u64)>) -> Job {
        let a = &self.system.threads[thread].activations[activation];
        let cost = if self.random.chance(0.7) { a.cost } else { 1 + self.random.below(a.cost) };
        let mut parts = VecDeque::new();
        let waits = if cost > a.suspensions { a.suspensions } else { 0 };
        let mut left = cost;
        for k in 0..waits {
            let part = 1 + self.random.below((left - (waits - k)).max(1));
            parts.push_back((part, self.random.up_to(a.suspension / waits)));
            left -= part;
        }
        parts.push_back((left, 0));
        Job { activation, stamp, way, parts, section: self.extra.sections[thread], releases: false }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Arrive { thread, job } => {
                let core = self.system.threads[thread].core as usize;
                self.account(core);
                if let Some(job) = self.coming[job].take() {
                    self.threads[thread].queue.push_back(job);
                }
                self.begin(thread);
                self.schedule(core);
            }
            Event::Wake { thread } => {
                let core = self.system.threads[thread].core as usize;
                self.account(core);
                (self.threads[thread].ready, self.threads[thread].ready_since) = (true, self.now);
                self.schedule(core);
            }
            Event::Turn { core, generation } => {
                if self.cores[core].generation == generation {
                    self.account(core);
                    self.schedule(core);
                }
            }
        }
    }

    /// Takes the next job of an idle thread.
    fn begin(&mut self, thread: usize) {
        let unordered = self.system.threads[thread].unordered;
        let t = &mut self.threads[thread];
        if t.current.is_none() && !t.queue.is_empty() {
            let place = if unordered { self.random.below(t.queue.len() as u64) as usize } else { 0 };
            t.current = t.queue.remove(place);
            (t.ready, t.ready_since) = (true, self.now);
        }
    }

    /// Takes the time since the last turn off what runs, and ends what is done.
    fn account(&mut self, core: usize) {
        let elapsed = self.now - self.cores[core].started;
        self.cores[core].started = self.now;
        let Some(thread) = self.cores[core].running else { return };
        let Some(job) = &mut self.threads[thread].current else { return };
        job.section = job.section.saturating_sub(elapsed);
        if let Some(part) = job.parts.front_mut() {
            part.0 -= elapsed;
            if part.0 > 0 {
                return;
            }
        }
        let wait = job.parts.pop_front().map_or(0, |part| part.1);
        self.cores[core].running = None;
        if job.parts.is_empty() {
            if let Some(job) = self.threads[thread].current.take() {
                self.end(thread, &job);
            }
            self.begin(thread);
        } else if wait > 0 {
            // It gives the processor up within a section, too.
            job.section = 0;
            self.threads[thread].ready = false;
            self.push(self.now + wait, Event::Wake { thread });
        }
    }

    fn end(&mut self, thread: usize, job: &Job) {
        let Some(&(_, arrival, _)) = job.way.last() else { return };
        let seen = &mut self.seen;
        seen.responses[thread] = seen.responses[thread].max(self.now - arrival);
        let latency = &mut seen.latencies[thread][job.activation];
        *latency = (*latency).max(self.now - job.stamp);
        let core = self.system.threads[thread].core;
        let together = job.way.iter().rev().take_while(|(t, ..)| self.system.threads[*t].core == core).count();
        if together > 1 {
            let way = &job.way[job.way.len() - together..];
            let hops = way.iter().skip(1).map(|(_, _, hop)| hop).sum();
            let took = self.now - way[0].1;
            seen.stretches.push((way.iter().map(|(t, ..)| *t).collect(), hops, took));
        }
        if !job.releases {
            return;
        }
        let (stamp, activation) = (job.stamp, job.activation);
        let from = move |o: &Origin| matches!(o, Origin::Output { thread: t, activation: a, .. } if (*t, *a) == (thread, activation));
        self.release(self.now, stamp, &job.way, from);
    }

    /// Gives the core to the highest priority, unless what runs is in a section.
    fn schedule(&mut self, core: usize) {
        let in_section = |thread: &usize| self.threads[*thread].current.as_ref().is_some_and(|job| job.section > 0);
        let keeps = self.cores[core].running.filter(in_section);
        let candidates = (0..self.threads.len()).filter(|&i| {
            let t = &self.threads[i];
            self.system.threads[i].core as usize == core && t.ready && t.current.is_some()
        });
        let best = candidates.max_by_key(|&i| {
            // Of one priority, the one that runs, then the one that came first.
            let runs = self.cores[core].running == Some(i);
            (self.system.threads[i].priority, runs, Reverse(self.threads[i].ready_since))
        });
        let next = keeps.or(best);
        let c = &mut self.cores[core];
        c.running = next;
        c.generation += 1;
        let generation = c.generation;
        let Some(job) = next.and_then(|i| self.threads[i].current.as_ref()) else { return };
        let left = job.parts.front().map_or(0, |part| part.0);
        let until = if job.section > 0 { job.section.min(left) } else { left };
        self.push(self.now + until, Event::Turn { core, generation });
    }
}
