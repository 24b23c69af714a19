//! Response times of threads under fixed-priority preemptive scheduling, one core at a time.
//!
//! Joseph and Pandya, "Finding response times in a real-time system" (1986); Audsley, Burns, Richardson, Tindell,
//! Wellings, "Applying new scheduling theory to static priority pre-emptive scheduling" (1993) for blocking and jitter;
//! Lehoczky, "Fixed priority scheduling of periodic task sets with arbitrary deadlines" (1990) for the busy period, in which
//! several activations wait for each other. With arrival curves η in place of periods, an event that arrives `a` after the
//! begin of the busy period of its thread is done after
//!
//!   w(a) = B + Σ over the thread's own activations i of η_i([0, a]) C_i
//!            + Σ over activations j of threads of higher or the same priority on its core of η_j([0, w(a))) C_j
//!
//! since a thread takes its activations in the order in which they came (Martin and Minet, "Schedulability analysis of flows
//! scheduled with FIFO", 2006), and its response is the largest w(a) - a. Only those `a` matter at which a curve steps. The
//! same priority counts as higher: the kernel lets the one that came first finish.
//!
//! What one thread releases reaches the next with the first one's response as jitter, so all are computed to a common
//! fixed point (Tindell and Clark 1994; Richter 2005; for chains of ROS 2 callbacks Casini, Blaß, Lütkebohle, Brandenburg,
//! "Response-time analysis of ROS 2 processing chains under reservation-based scheduling", ECRTS 2019, and Blaß, Casini,
//! Bozhko, Brandenburg, "A ROS 2 response-time analysis exploiting starvation freedom and execution-time variance",
//! RTSS 2021, where a node's executor is the FIFO queue here).
//!
//! Steps of a chain that follow each other on one core are also bounded together ([`stretch`]): from the last instant at which
//! no work of their level was pending, until an event is through the last of them, the core is idle only while that very
//! event is on the wire. So it takes no longer than the smallest w that holds all work of the level that arrives in w, the
//! blocking of each step and the hops; a burst is not charged to each step anew.
//!
//! A thread that suspends itself counts as one that computes ([`Activation::demand`](super::model::Activation::demand)).
//! While all that is pending waits, a lower priority may begin a section that blocks, so B is due once more for each wait.
//!
//! The result holds for threads that run on their core with their priority. Interference through caches and memory that
//! cores share is not modelled: the costs have to include it.

use super::{
    curve::{Curve, Ns},
    model::{Activation, Origin, System, Thread},
};

/// A delay beyond this has no bound worth finding: two seconds.
const DIVERGED: Ns = 2_000_000_000;

/// The terms of the worst response of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Response {
    /// Of the dearest activation of the thread.
    pub cost: Ns,
    /// Own work that came before or with it.
    pub queued: Ns,
    /// Held up by lower priorities.
    pub blocking: Ns,
    /// Work of higher priorities, less the time that had passed when the event arrived.
    pub interference: Ns,
    /// From the event to the thread being ready.
    pub release: Ns,
}

impl Response {
    /// From the event to the end of the work for it, at most.
    pub fn total(&self) -> Ns {
        self.cost + self.queued + self.blocking + self.interference + self.release
    }

    /// The name of the largest term.
    pub fn largest_term(&self) -> &'static str {
        let terms = [
            ("cost", self.cost),
            ("own work queued before it", self.queued),
            ("blocking", self.blocking),
            ("interference", self.interference),
            ("release", self.release),
        ];
        terms.into_iter().max_by_key(|(_, value)| *value).map_or("cost", |(name, _)| name)
    }
}

/// Why there are no bounds.
#[derive(Debug, Clone, PartialEq)]
pub enum Unbounded {
    /// The threads of this priority and above need more than the core.
    Overloaded {
        /// Index of the thread of the lowest priority among them.
        thread: usize,
        /// Cores that they need.
        utilisation: f64,
    },
    /// The jitter along chains grows without end.
    Diverges {
        /// Index of a thread.
        thread: usize,
    },
}

/// Bounds of all threads of a system.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    /// By thread.
    pub responses: Vec<Response>,
    /// By thread and activation: the events that reach it.
    pub curves: Vec<Vec<Curve>>,
}

/// Analyses a system.
///
/// # Errors
/// When a core is overloaded or a jitter has no bound.
pub fn analyse(system: &System) -> Result<Bounds, Unbounded> {
    let sources = source_curves(system);
    let mut responses = vec![Response::default(); system.threads.len()];
    let mut checked = false;
    loop {
        let curves = propagate(system, &sources, &responses)?;
        if !checked {
            check_utilisation(system, &curves)?;
            checked = true;
        }
        let next = (0..system.threads.len())
            .map(|i| respond(system, &curves, i).ok_or(Unbounded::Diverges { thread: i }))
            .collect::<Result<Vec<_>, _>>()?;
        let settled = next.iter().zip(&responses).all(|(a, b)| a.total() == b.total());
        responses = next;
        if settled {
            return Ok(Bounds { responses, curves });
        }
    }
}

/// The curves of all activations for these responses.
fn propagate(system: &System, sources: &[Curve], responses: &[Response]) -> Result<Vec<Vec<Curve>>, Unbounded> {
    let mut curves: Vec<Vec<Option<Curve>>> = system.threads.iter().map(|t| vec![None; t.activations.len()]).collect();
    for t in 0..system.threads.len() {
        for a in 0..system.threads[t].activations.len() {
            resolve(system, sources, responses, &mut curves, (t, a), 0)?;
        }
    }
    Ok(curves.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect())
}

fn resolve(
    system: &System,
    sources: &[Curve],
    responses: &[Response],
    curves: &mut [Vec<Option<Curve>>],
    (t, a): (usize, usize),
    depth: usize,
) -> Result<Curve, Unbounded> {
    if let Some(known) = &curves[t][a] {
        return Ok(known.clone());
    }
    // A cycle of activations releases itself for ever.
    if depth > system.threads.len() * 8 {
        return Err(Unbounded::Diverges { thread: t });
    }
    let (activation, release) = (&system.threads[t].activations[a], system.threads[t].release);
    // As they are published, and then on their way.
    let (mut published, mut hop) = (Curve::default(), 0);
    for origin in &activation.origins {
        hop = hop.max(origin.hop());
        match *origin {
            Origin::Source { index, .. } => published.join(&sources[index], 0),
            Origin::Output { thread, activation, .. } => {
                let before = resolve(system, sources, responses, curves, (thread, activation), depth + 1)?;
                // The curve before has that thread's release in it.
                let response = responses[thread].total().saturating_sub(system.threads[thread].release);
                published.join(&before, response);
            }
        }
    }
    if let Some(limit) = &activation.limit {
        published = published.limited(limit);
    }
    let mut curve = Curve::default();
    curve.join(&published, hop + release);
    if curve.delay() > DIVERGED {
        return Err(Unbounded::Diverges { thread: t });
    }
    curves[t][a] = Some(curve.clone());
    Ok(curve)
}

/// The threads that can hold up thread `i`, besides itself.
fn above(system: &System, i: usize) -> impl Iterator<Item = (usize, &Thread)> {
    let own = &system.threads[i];
    let holds_up = move |t: &Thread| t.core == own.core && t.priority >= own.priority;
    system.threads.iter().enumerate().filter(move |(j, t)| *j != i && holds_up(t))
}

/// Cores that each thread takes in the long run, by `cost` of an activation.
fn utilisations(system: &System, curves: &[Vec<Curve>], cost: impl Fn(&Activation) -> Ns) -> Vec<f64> {
    let of = |(thread, curves): (&Thread, &Vec<Curve>)| -> f64 {
        let parts = thread.activations.iter().zip(curves);
        parts.map(|(a, c)| c.rate_hz() * (a.times * cost(a)) as f64 * 1e-9).sum()
    };
    system.threads.iter().zip(curves).map(of).collect()
}

/// Cores that each thread takes in the long run, workloads of a lesser class left out; 0 for one whose activations release
/// each other.
pub fn loads(system: &System) -> Vec<f64> {
    let sources = source_curves(system);
    match propagate(system, &sources, &vec![Response::default(); system.threads.len()]) {
        Ok(curves) => utilisations(system, &curves, |a| a.cost - a.lesser),
        Err(_) => vec![0.0; system.threads.len()],
    }
}

fn source_curves(system: &System) -> Vec<Curve> {
    system.sources.iter().map(|s| Curve::of(s.clone())).collect()
}

fn check_utilisation(system: &System, curves: &[Vec<Curve>]) -> Result<(), Unbounded> {
    let of = utilisations(system, curves, Activation::demand);
    for i in 0..system.threads.len() {
        let utilisation = of[i] + above(system, i).map(|(j, _)| of[j]).sum::<f64>();
        // At 1 exactly a busy period may never end.
        if utilisation >= 1.0 {
            return Err(Unbounded::Overloaded { thread: i, utilisation });
        }
    }
    Ok(())
}

/// Work and waits of a thread for the events of a window.
fn work(thread: &Thread, curves: &[Curve], window: Ns) -> (Ns, u64) {
    let parts = thread.activations.iter().zip(curves);
    parts.fold((0, 0), |(work, waits), (a, curve)| {
        let events = curve.most(window) * a.times;
        (work + events * a.demand(), waits + events * a.suspensions)
    })
}

/// A window of a thread's level: its length, and of it blocking and interference.
struct Window {
    end: Ns,
    blocking: Ns,
    interference: Ns,
}

/// The smallest w that holds the own work (of the events in a window of `own(w)`), interference and blocking.
fn window(system: &System, curves: &[Vec<Curve>], i: usize, own: impl Fn(Ns) -> Ns) -> Option<Window> {
    let thread = &system.threads[i];
    let mut end = 1;
    while end < DIVERGED {
        let (mine, mut waits) = work(thread, &curves[i], own(end));
        let mut interference = 0;
        for (j, t) in above(system, i) {
            let (work, more) = work(t, &curves[j], end);
            interference += work;
            waits += more;
        }
        let blocking = thread.blocking * (1 + waits);
        let next = (mine + blocking + interference).max(1);
        if next <= end {
            return Some(Window { end, blocking, interference });
        }
        end = next;
    }
    None
}

/// The worst response of thread `i`; `None` when its busy period never ends.
fn respond(system: &System, curves: &[Vec<Curve>], i: usize) -> Option<Response> {
    let thread = &system.threads[i];
    // Its process receives or sends nothing.
    let Some(cost) = thread.activations.iter().map(Activation::demand).max() else { return Some(Response::default()) };
    let busy = window(system, curves, i, |w| w)?;
    let as_response = |w: &Window, arrived: Ns| {
        let left = w.end.saturating_sub(arrived);
        let cost = cost.min(left);
        let blocking = w.blocking.min(left - cost);
        let interference = w.interference.min(left - cost - blocking);
        let queued = left - cost - blocking - interference;
        Response { cost, queued, blocking, interference, release: thread.release }
    };
    if thread.unordered {
        return Some(as_response(&busy, 0));
    }
    let (mut worst, mut arrived) = (Response { release: thread.release, ..Response::default() }, 0);
    while arrived < busy.end {
        // Arrived until then, itself included: a closed window.
        let closed = arrived + 1;
        let w = window(system, curves, i, |_| closed)?;
        let response = as_response(&w, arrived);
        if response.total() > worst.total() {
            worst = response;
        }
        arrived = curves[i].iter().map(|c| c.next_change(closed)).min()? - 1;
    }
    Some(worst)
}

/// From the arrival of an event at the first of some steps until it is through the last, at most, where all of them run on
/// one core. `threads`: of the steps, in order; `hops`: time on the wire between them. `None` when they are on several
/// cores, or there is no bound.
pub fn stretch(system: &System, curves: &[Vec<Curve>], threads: &[usize], hops: Ns) -> Option<Ns> {
    let core = system.threads.get(*threads.first()?)?.core;
    let lowest = threads.iter().map(|t| &system.threads[*t]).min_by_key(|t| t.priority)?;
    if threads.iter().any(|t| system.threads[*t].core != core) {
        return None;
    }
    let releases: Ns = threads.iter().map(|t| system.threads[*t].release).sum();
    let blocking: Ns = threads.iter().map(|t| system.threads[*t].blocking).max()?;
    let mut end = 1;
    while end < DIVERGED {
        let (mut all, mut waits) = (0, threads.len() as u64);
        for (j, t) in system.threads.iter().enumerate() {
            if t.core == core && t.priority >= lowest.priority {
                let (more, suspended) = work(t, &curves[j], end);
                all += more;
                waits += suspended;
            }
        }
        let next = (all + blocking * waits + hops + releases).max(1);
        if next <= end {
            return Some(end);
        }
        end = next;
    }
    None
}

/// Processor time that the threads of a core need in any window, at most.
pub fn demand(system: &System, bounds: &Bounds, core: u32, window: Ns) -> Ns {
    let on_core = system.threads.iter().enumerate().filter(|(_, t)| t.core == core);
    let of = |(i, t): (usize, &Thread)| -> Ns {
        let parts = t.activations.iter().zip(&bounds.curves[i]);
        parts.map(|(a, c)| c.most(window) * a.times * a.cost).sum()
    };
    on_core.map(of).sum()
}
