//! The deterministic shell: one loop feeds the same state machines in time order with the log's clock.
//!
//! Everything due at one instant runs in rounds. In each round every node with something to do takes its inputs in order
//! and then its tick; what a round publishes is delivered, ordered by node and then by emission, in the next round. So
//! the result does not depend on which node runs first, or on which thread; [`Replay::shuffle`] checks it on any log.

use crate::{
    node::{
        Node,
        runner::{NodeRunner, Runner},
    },
    time::Nanos,
};
use anyhow::{Context, bail};
use auriga_msgs::Any;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::sync::Mutex;

/// Rounds at one instant before the graph is taken to be an endless loop.
const MAX_ROUNDS: usize = 10_000;

/// A message of a log with its time.
pub type Timed = (Nanos, Any);

/// Nodes that are to be run from a log.
#[derive(Default)]
pub struct Replay {
    nodes: Vec<Slot>,
    shuffle: Option<ChaCha8Rng>,
    start: Nanos,
    lost: Option<Box<Lost>>,
}

/// Whether a message gets lost on its way, at this time.
type Lost = dyn FnMut(Nanos, &Any) -> bool;

struct Slot {
    runner: Box<dyn Runner>,
    inbox: Vec<Any>,
    /// Killed (fault injection): takes and publishes nothing.
    dead: bool,
}

/// Figures of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplayStats {
    /// Messages of the log.
    pub inputs: u64,
    /// Messages that were played or published.
    pub messages: u64,
    /// The last instant.
    pub end: Nanos,
}

impl Replay {
    /// A replay without nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time at which nodes added from now on begin; 0 by default. A recording's clock does not begin at 0.
    pub fn start_at(&mut self, start: Nanos) {
        self.start = start;
    }

    /// Adds a node; its first tick is at the start.
    pub fn add<N: Node>(&mut self, node: N) {
        self.nodes.push(Slot { runner: Box::new(NodeRunner::new(node, self.start)), inbox: Vec::new(), dead: false });
    }

    /// Loses every message for which `lost` is true: it reaches neither a node nor the sink (fault injection).
    pub fn lose(&mut self, lost: impl FnMut(Nanos, &Any) -> bool + 'static) {
        self.lost = Some(Box::new(lost));
    }

    /// Runs the nodes of each round on several threads in an order drawn from `seed`. The outcome stays the same.
    pub fn shuffle(&mut self, seed: u64) {
        self.shuffle = Some(ChaCha8Rng::seed_from_u64(seed));
    }

    /// Plays `source`, whose times must not go back, until it ends and then for `tail` more. `sink` gets every message
    /// that is played or published, in a fixed order. `at_instant` is called before each instant and may change the
    /// nodes (see [`ReplayControl`]).
    ///
    /// # Errors
    /// One of the source or the sink; a source whose times go back; nodes that answer each other without end at one
    /// instant.
    pub fn run(
        mut self,
        source: impl Iterator<Item = anyhow::Result<Timed>>,
        tail: std::time::Duration,
        mut at_instant: impl FnMut(Nanos, &mut ReplayControl),
        mut sink: impl FnMut(&Any) -> anyhow::Result<()>,
    ) -> anyhow::Result<ReplayStats> {
        let mut source = source.peekable();
        let mut stats = ReplayStats::default();
        let mut last_input = Nanos::ZERO;
        loop {
            let next_input = match source.peek() {
                Some(Ok((t, _))) => Some(*t),
                Some(Err(_)) => return Err(source.next().expect("peeked").unwrap_err()),
                None => None,
            };
            let next_due = self.nodes.iter().filter(|s| !s.dead).filter_map(|s| s.runner.next_due()).min();
            let now = match (next_input, next_due) {
                (Some(i), Some(t)) => i.min(t),
                (Some(i), None) => i,
                (None, Some(t)) if t <= last_input + tail => t,
                _ => break,
            }
            .max(stats.end);
            at_instant(now, &mut ReplayControl { nodes: &mut self.nodes, now });
            let mut fresh = Vec::new();
            while let Some(item) = source.next_if(|i| i.as_ref().is_ok_and(|(t, _)| *t <= now)) {
                let (t, mut any) = item?;
                if t < last_input {
                    bail!("the log goes back in time on {}: {t:?} after {last_input:?}", any.topic().spec().name);
                }
                last_input = t;
                any.header_mut().published_ns = now.0;
                stats.inputs += 1;
                fresh.push(any);
            }
            stats.end = now;
            stats.messages += self.instant(now, fresh, &mut sink)?;
        }
        Ok(stats)
    }

    fn instant(
        &mut self,
        now: Nanos,
        mut fresh: Vec<Any>,
        sink: &mut impl FnMut(&Any) -> anyhow::Result<()>,
    ) -> anyhow::Result<u64> {
        let mut count = 0;
        for _ in 0..MAX_ROUNDS {
            for any in fresh.drain(..) {
                if self.lost.as_mut().is_some_and(|lost| lost(now, &any)) {
                    continue;
                }
                count += 1;
                sink(&any).with_context(|| format!("writing {}", any.topic().spec().name))?;
                for slot in self.nodes.iter_mut().filter(|s| !s.dead) {
                    if slot.runner.spec().reads.contains(&any.topic()) {
                        slot.inbox.push(any.clone());
                    }
                }
            }
            let due: Vec<&mut Slot> = self.nodes.iter_mut().filter(|s| s.is_due(now)).collect();
            if due.is_empty() {
                return Ok(count);
            }
            fresh = match &mut self.shuffle {
                None => due.into_iter().flat_map(|s| s.round(now)).collect(),
                Some(rng) => shuffled_round(due, now, rng),
            };
        }
        bail!("the nodes answer each other without end at {now:?}")
    }
}

impl Slot {
    fn is_due(&self, now: Nanos) -> bool {
        !self.dead && (!self.inbox.is_empty() || self.runner.next_due().is_some_and(|t| t <= now))
    }

    fn round(&mut self, now: Nanos) -> Vec<Any> {
        let mut out = Vec::new();
        for any in std::mem::take(&mut self.inbox) {
            out.extend(self.runner.step(Some(any), now));
        }
        if self.runner.next_due().is_some_and(|t| t <= now) {
            out.extend(self.runner.step(None, now));
        }
        for any in &mut out {
            any.header_mut().published_ns = now.0;
        }
        out
    }
}

fn shuffled_round(due: Vec<&mut Slot>, now: Nanos, rng: &mut ChaCha8Rng) -> Vec<Any> {
    let mut jobs: Vec<(usize, &mut Slot)> = due.into_iter().enumerate().collect();
    jobs.shuffle(rng);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (index, slot) in jobs {
            let done = &done;
            scope.spawn(move || {
                let out = slot.round(now);
                done.lock().unwrap_or_else(|e| e.into_inner()).push((index, out));
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(|e| e.into_inner());
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().flat_map(|(_, out)| out).collect()
}

/// Changes the nodes between two instants of a replay: fault injection.
pub struct ReplayControl<'a> {
    nodes: &'a mut Vec<Slot>,
    now: Nanos,
}

impl ReplayControl<'_> {
    /// Kills a node: it takes and publishes nothing until [`Self::restart`]. Returns whether there is such a node.
    pub fn kill(&mut self, name: &str) -> bool {
        let slot = self.nodes.iter_mut().find(|s| s.runner.spec().name == name);
        slot.map(|s| {
            s.dead = true;
            s.inbox.clear();
        })
        .is_some()
    }

    /// Puts a fresh node in the place of the one of the same name.
    pub fn restart<N: Node>(&mut self, node: N) {
        let runner = Box::new(NodeRunner::new(node, self.now));
        if let Some(slot) = self.nodes.iter_mut().find(|s| s.runner.spec().name == runner.spec().name) {
            *slot = Slot { runner, inbox: Vec::new(), dead: false };
        }
    }
}

/// Merges time-ordered sources into one; of items with the same time that of the earlier source comes first.
pub fn merge<'a>(
    sources: Vec<Box<dyn Iterator<Item = anyhow::Result<Timed>> + 'a>>,
) -> impl Iterator<Item = anyhow::Result<Timed>> + 'a {
    let mut sources: Vec<_> = sources.into_iter().map(Iterator::peekable).collect();
    std::iter::from_fn(move || {
        let next = sources
            .iter_mut()
            .enumerate()
            .filter_map(|(i, s)| {
                // An error comes out at once: nothing after it can be trusted to be in order.
                s.peek().map(|item| (item.as_ref().map_or(Nanos::ZERO, |(t, _)| *t), i))
            })
            .min()?;
        sources[next.1].next()
    })
}
