//! Random numbers that are the same on every machine, and the systems drawn with them.

use super::scheduler::Extra;
use auriga_arbiter::table::admission::{
    curve::{Source, Stream},
    model::{Activation, Origin, System, Thread},
};

/// xorshift64*.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    /// 0 to `n` - 1; 0 for 0.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.next() % n }
    }

    /// 0 to `most`, often one of the two.
    pub fn up_to(&mut self, most: u64) -> u64 {
        match self.below(4) {
            0 => 0,
            1 => most,
            _ => self.below(most + 1),
        }
    }

    pub fn chance(&mut self, part: f64) -> bool {
        (self.next() as f64) < part * (1u64 << 53) as f64
    }

    /// A system of two to seven threads on one or two cores, joined by hops into chains.
    pub fn system(&mut self) -> (System, Extra) {
        let sources: Vec<Source> = (0..1 + self.below(3)).map(|_| self.source()).collect();
        let cores = 1 + self.below(2);
        let threads = 2 + self.below(6) as usize;
        let heavy = 1 + self.below(6);
        let mut system = System { sources, threads: Vec::new() };
        for index in 0..threads {
            let thread = self.thread(&system, index, cores, heavy);
            system.threads.push(thread);
        }
        let with_sections = self.chance(0.5);
        let cost = |t: &Thread| t.activations.iter().map(|a| a.cost).min().unwrap_or(0);
        let sections: Vec<u64> =
            system.threads.iter().map(|t| if with_sections { self.below(cost(t) + 1) } else { 0 }).collect();
        let rows: Vec<(u32, u8)> = system.threads.iter().map(|t| (t.core, t.priority)).collect();
        for (i, t) in system.threads.iter_mut().enumerate() {
            let lower = |j: &usize| rows[*j].0 == rows[i].0 && rows[*j].1 < rows[i].1;
            t.blocking = (0..rows.len()).filter(lower).map(|j| sections[j]).max().unwrap_or(0);
        }
        scaled(system, sections)
    }

    fn source(&mut self) -> Source {
        let stream = |r: &mut Self| {
            let period = 50 + r.below(350);
            let burst = if r.chance(0.25) { 2 + r.below(3) } else { 1 };
            let distance = if burst > 1 { r.below(period / burst) } else { 0 };
            let jitter = if r.chance(0.5) { r.below(period * 3 / 2) } else { 0 };
            Stream { period, jitter, burst, distance, count: 1 + r.below(2) }
        };
        let streams = (0..1 + self.below(3)).map(|_| stream(self)).collect();
        Source {
            name: String::new(),
            streams,
            distance: if self.chance(0.3) { 1 + self.below(20) } else { 0 },
            delay: 0,
        }
    }

    fn thread(&mut self, system: &System, index: usize, cores: u64, heavy: u64) -> Thread {
        let activations = (0..1 + self.below(2)).map(|_| self.activation(system, heavy)).collect();
        Thread {
            name: format!("t{index}"),
            core: self.below(cores) as u32,
            priority: 1 + self.below(6) as u8,
            blocking: 0,
            release: if self.chance(0.2) { self.below(20) } else { 0 },
            unordered: self.chance(0.15),
            deadline: None,
            activations,
        }
    }

    fn activation(&mut self, system: &System, heavy: u64) -> Activation {
        let origins = (0..1 + self.below(2)).map(|_| self.origin(system)).collect::<Vec<_>>();
        let mut distinct: Vec<Origin> = Vec::new();
        for origin in origins {
            let same = |o: &Origin| match (o, &origin) {
                (Origin::Source { index: a, .. }, Origin::Source { index: b, .. }) => a == b,
                (Origin::Output { thread: a, activation: x, .. }, Origin::Output { thread: b, activation: y, .. }) => {
                    (a, x) == (b, y)
                }
                _ => false,
            };
            if !distinct.iter().any(same) {
                distinct.push(origin);
            }
        }
        let suspends = self.chance(0.2);
        Activation {
            on: String::new(),
            origins: distinct,
            limit: None,
            cost: 1 + self.below(2 * heavy),
            lesser: 0,
            suspension: if suspends { 2 + self.below(20) } else { 0 },
            suspensions: if suspends { 1 + self.below(2) } else { 0 },
            times: if self.chance(0.15) { 2 } else { 1 },
        }
    }

    fn origin(&mut self, system: &System) -> Origin {
        let hop = if self.chance(0.5) { self.below(15) } else { 0 };
        if system.threads.is_empty() || self.chance(0.4) {
            return Origin::Source { index: self.below(system.sources.len() as u64) as usize, hop };
        }
        let thread = self.below(system.threads.len() as u64) as usize;
        let activation = self.below(system.threads[thread].activations.len() as u64) as usize;
        Origin::Output { thread, activation, hop }
    }

    /// Events of a source up to `until`. `critical`: all streams begin together, their first burst as late as it may be.
    pub fn events(&mut self, source: &Source, until: u64, critical: bool) -> Vec<u64> {
        let mut events = Vec::new();
        let most = source.streams.iter().map(|s| s.jitter).max().unwrap_or(0);
        for s in &source.streams {
            for _ in 0..s.count {
                let phase = if critical { most - s.jitter } else { self.below(s.period + most) };
                for n in 0..until / s.period {
                    let late = match (critical, n) {
                        (true, 0) => s.jitter,
                        (true, _) => s.jitter.saturating_sub(n * s.period),
                        _ => self.up_to(s.jitter),
                    };
                    events.extend((0..s.burst).map(|k| phase + n * s.period + late + k * s.distance));
                }
            }
        }
        events.sort_unstable();
        let mut last = None;
        // What comes too soon after the one before is left out.
        events.retain(|at| {
            let apart = last.is_none_or(|before| at - before >= source.distance);
            if apart {
                last = Some(*at);
            }
            apart
        });
        events
    }
}

/// Nanoseconds of the unit in which systems are drawn.
pub const UNIT: u64 = 20_000;

fn scaled(mut system: System, sections: Vec<u64>) -> (System, Extra) {
    for source in &mut system.sources {
        source.distance *= UNIT;
        for s in &mut source.streams {
            (s.period, s.jitter, s.distance) = (s.period * UNIT, s.jitter * UNIT, s.distance * UNIT);
        }
    }
    for t in &mut system.threads {
        (t.blocking, t.release) = (t.blocking * UNIT, t.release * UNIT);
        for a in &mut t.activations {
            (a.cost, a.suspension) = (a.cost * UNIT, a.suspension * UNIT);
            for origin in &mut a.origins {
                let (Origin::Source { hop, .. } | Origin::Output { hop, .. }) = origin;
                *hop *= UNIT;
            }
        }
    }
    (system, Extra { sections: sections.into_iter().map(|s| s * UNIT).collect() })
}
