//! Chains over the topic graph: every way that a message can take from a chain's begin to its end, and how long each takes
//! at most.
//!
//! A way's latency is the sum of the responses along it, since each response is that of an event on a curve that has the
//! jitter of all before it (Tindell and Clark 1994; Casini et al. 2019, for chains of ROS 2 callbacks over several
//! threads). A way may also lead over a sampled topic: an activation uses the newest message of a topic without being
//! activated by it, so that what has come waits for the next activation.
//!
//! Reaction time is counted from a change in the world just missed by a sample, data age to the moment at which the next
//! output replaces the one that shows a sample. Both add the longest gap between two samples to the latency, and for such
//! chains both are bounded by the same sum (Günzel, Ueter, Chen, Becker, "On the equivalence of maximum reaction time and
//! maximum data age for cause-effect chains", ECRTS 2023; Becker et al., "End-to-end timing analysis of cause-effect chains
//! in automotive embedded systems", 2017; Teper, Günzel, Ueter, von der Brüggen, Chen, "End-to-end timing analysis in
//! ROS2", RTSS 2022, and its extension to multi-threaded executors, 2024).

use super::{
    build::Model,
    curve::{Ns, ms},
    error::{ChainBound, Step},
    model::Origin,
    response::{Bounds, stretch},
};
use crate::table::{
    error::{TableError, invalid},
    types::{Age, Chain, WorkloadTable},
};
use auriga_msgs::{CHAINS, ChainSpec, Criticality, Edge, TOPICS, TopicId};
use auriga_runtime::suggestion::suggestion;

/// Ways are followed backwards to this many steps.
const LONGEST: usize = 64;

/// One step of a way: an activation of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct At {
    thread: usize,
    activation: usize,
    /// Time on the way to it.
    hop: Ns,
    /// It was not activated by the step before it, but found what that left.
    sampled: bool,
    /// The source that it begins with.
    source: Option<usize>,
}

type Way = Vec<At>;

fn publishes(model: &Model, at: &At, topic: &str) -> bool {
    model.threads[at.thread].publishes[at.activation].iter().any(|name| name == topic)
}

/// All ways that end with publishing `to`; with `sampling`, also those over sampled topics.
fn ways(model: &Model, to: &str, sampling: bool) -> Vec<Way> {
    let mut found = Vec::new();
    for thread in 0..model.threads.len() {
        for activation in 0..model.threads[thread].publishes.len() {
            let end = At { thread, activation, hop: 0, sampled: false, source: None };
            if publishes(model, &end, to) {
                backwards(model, sampling, vec![end], &mut found);
            }
        }
    }
    found
}

/// Follows a way, whose first step is last in `way`, back to its sources.
fn backwards(model: &Model, sampling: bool, way: Way, found: &mut Vec<Way>) {
    let Some(&first) = way.last() else { return };
    let repeats = way.iter().rev().skip(1).any(|at| (at.thread, at.activation) == (first.thread, first.activation));
    if repeats || way.len() > LONGEST {
        return;
    }
    let activation = &model.system.threads[first.thread].activations[first.activation];
    for origin in &activation.origins {
        let mut way = way.clone();
        if let Some(at) = way.last_mut() {
            at.hop = origin.hop();
        }
        match *origin {
            Origin::Source { index, .. } => {
                if let Some(at) = way.last_mut() {
                    at.source = Some(index);
                }
                way.reverse();
                found.push(way);
            }
            Origin::Output { thread, activation, .. } => {
                way.push(At { thread, activation, hop: 0, sampled: false, source: None });
                backwards(model, sampling, way, found);
            }
        }
    }
    if !sampling {
        return;
    }
    for used in &model.threads[first.thread].uses[first.activation] {
        for (a, other) in model.system.threads[first.thread].activations.iter().enumerate() {
            if other.on == *used {
                let mut way = way.clone();
                if let Some(at) = way.last_mut() {
                    at.sampled = true;
                }
                way.push(At { thread: first.thread, activation: a, hop: 0, sampled: false, source: None });
                backwards(model, sampling, way, found);
            }
        }
    }
}

/// The workloads along a way, each once.
fn workloads(model: &Model, way: &[At]) -> Vec<String> {
    let mut names: Vec<String> = way.iter().map(|at| model.threads[at.thread].workload.clone()).collect();
    names.dedup();
    names
}

/// The step of a way that publishes a topic to the next step.
fn published_at(model: &Model, way: &[At], topic: &str) -> Option<usize> {
    let on = |at: &At| model.system.threads[at.thread].activations[at.activation].on.as_str();
    let carries = |at: &At| on(at).rsplit(' ').next() == Some(topic);
    (0..way.len()).find(|&i| publishes(model, &way[i], topic) && way.get(i + 1).is_none_or(carries))
}

/// The ways of a chain of the topic table, each from where the chain begins.
fn ways_of(model: &Model, spec: &ChainSpec) -> Vec<Way> {
    let name = |topic: TopicId| topic.spec().name;
    let mut all = ways(model, name(spec.to), false);
    if let Some(source) = spec.source {
        all.retain(|way| published_at(model, way, name(source)).is_some());
    }
    if let Some(from) = spec.from {
        all.retain(|way| published_at(model, way, name(from)).is_some());
        if spec.from_edge == Edge::Published {
            for way in &mut all {
                let begin = published_at(model, way, name(from));
                way.drain(..begin.map_or(0, |i| i + 1));
            }
        }
    }
    all.retain(|way| !way.is_empty());
    all.dedup();
    all
}

/// Checks the rows of chains and ages against the topic graph.
///
/// # Errors
/// A chain that does not exist, that leaves a workload out, or that is missing.
pub fn check(table: &WorkloadTable, model: &Model) -> Result<(), TableError> {
    for chain in &table.chains {
        let place = format!("chain {}", chain.name);
        let Some(spec) = CHAINS.iter().find(|c| c.name == chain.name) else {
            let like = suggestion(&chain.name, CHAINS.iter().map(|c| c.name));
            return Err(invalid(place, "name", format!("is not a chain of the topic table, msgs/topics.toml{like}")));
        };
        if chain.not_analysed.is_some() {
            if !chain.tasks.is_empty() {
                return Err(invalid(place, "not_analysed", "stands beside tasks; keep one of them"));
            }
            if !ways_of(model, spec).is_empty() {
                let problem = "the chain can be analysed: all nodes on its way are safety's; give its tasks";
                return Err(invalid(place, "not_analysed", problem));
            }
            continue;
        }
        check_tasks(table, model, &place, &chain.tasks, &ways_of(model, spec))?;
        match (chain.accepted_ms, &chain.because) {
            (Some(ms), Some(_)) if !(spec.budget_ms..=1e5).contains(&ms) => {
                let problem = format!("{ms} is not within {} (the budget) to 100000", spec.budget_ms);
                return Err(invalid(place, "accepted_ms", problem));
            }
            (Some(_), None) => {
                return Err(invalid(place, "because", "is missing: why is more than the budget accepted?"));
            }
            (None, Some(_)) => return Err(invalid(place, "because", "stands without accepted_ms")),
            _ => {}
        }
    }
    for age in &table.ages {
        let place = format!("age {}", age.name);
        if !TOPICS.iter().any(|t| t.name == age.to) {
            let like = suggestion(&age.to, TOPICS.iter().map(|t| t.name));
            return Err(invalid(place, "to", format!("{:?} is not a topic{like}", age.to)));
        }
        check_tasks(table, model, &place, &age.tasks, &ways(model, &age.to, true))?;
    }
    let analysed = |spec: &&ChainSpec| spec.criticality == Criticality::Safety;
    match CHAINS.iter().filter(analysed).find(|spec| !table.chains.iter().any(|c| c.name == spec.name)) {
        Some(spec) => {
            Err(invalid("table", "chain", format!("{} is missing: a safety chain of msgs/topics.toml", spec.name)))
        }
        None => Ok(()),
    }
}

fn check_tasks(
    table: &WorkloadTable,
    model: &Model,
    place: &str,
    tasks: &[String],
    ways: &[Way],
) -> Result<(), TableError> {
    if tasks.is_empty() {
        return Err(invalid(place, "tasks", "is empty; give the workloads on the way, or say why in not_analysed"));
    }
    for task in tasks {
        if !table.safety().any(|w| w.name == *task) {
            let like = suggestion(task, table.safety().map(|w| w.name.as_str()));
            return Err(invalid(place, "tasks", format!("{task:?} is not a safety workload of this table{like}")));
        }
    }
    let mut all: Vec<Vec<String>> = ways.iter().map(|way| workloads(model, way)).collect();
    if all.iter().any(|way| way == tasks) {
        return Ok(());
    }
    all.sort_by_key(Vec::len);
    all.dedup();
    // The way of which most is there.
    let closest = all.iter().max_by_key(|way| way.iter().filter(|w| tasks.contains(w)).count());
    let Some(closest) = closest else {
        return Err(invalid(place, "tasks", "there is no way from its begin to its end over safety workloads"));
    };
    let missing: Vec<&str> = closest.iter().filter(|w| !tasks.contains(w)).map(String::as_str).collect();
    let foreign: Vec<&str> = tasks.iter().filter(|t| !closest.contains(t)).map(String::as_str).collect();
    let problem = match (missing.as_slice(), foreign.as_slice()) {
        ([], []) => "are in another order".to_owned(),
        ([], foreign) => format!("{} is not on the way", foreign.join(", ")),
        (missing, []) => format!("leaves out {}", missing.join(", ")),
        (missing, foreign) => format!("leaves out {}; {} is not on the way", missing.join(", "), foreign.join(", ")),
    };
    Err(invalid(place, "tasks", format!("{problem}: a message passes through {}", closest.join(", "))))
}

/// The bound of a way.
fn bound(model: &Model, bounds: &Bounds, name: &str, budget_ms: f64, way: &[At]) -> ChainBound {
    let mut steps = Vec::new();
    let mut wait = 0;
    for at in way {
        let thread = &model.system.threads[at.thread];
        let gap = if at.sampled { bounds.curves[at.thread][at.activation].longest_gap() } else { None };
        wait += gap.unwrap_or(0);
        steps.push(Step {
            thread: thread.name.clone(),
            on: thread.activations[at.activation].on.clone(),
            hop_ms: if at.sampled { 0.0 } else { ms(at.hop) },
            wait_ms: ms(gap.unwrap_or(0)),
            response: bounds.responses[at.thread],
        });
    }
    let begin = way.first().and_then(|at| at.source).map_or(0, |index| model.system.sources[index].delay);
    let latency_ms = ms(begin + latency(model, bounds, way));
    let source = way.first().and_then(|at| at.source).map(|index| &model.system.sources[index]);
    let gap = source.and_then(|s| s.longest_gap()).map(ms);
    let age_ms = gap.map(|gap| latency_ms + gap + ms(wait));
    ChainBound { chain: name.to_owned(), bound_ms: latency_ms, budget_ms, accepted_ms: None, age_ms, steps }
}

/// How long a way takes at most: step by step, or, where that is less, all steps that follow each other on one core at
/// once.
fn latency(model: &Model, bounds: &Bounds, way: &[At]) -> Ns {
    let hop = |at: &At| if at.sampled { 0 } else { at.hop };
    // The least time until the end of each step.
    let mut until = vec![0; way.len() + 1];
    for end in 1..=way.len() {
        let last = &way[end - 1];
        until[end] = until[end - 1] + hop(last) + bounds.responses[last.thread].total();
        for begin in (0..end).rev() {
            let steps = &way[begin..end];
            if steps.iter().skip(1).any(|at| at.sampled) {
                break;
            }
            let threads: Vec<usize> = steps.iter().map(|at| at.thread).collect();
            let hops = steps.iter().skip(1).map(hop).sum();
            let Some(together) = stretch(&model.system, &bounds.curves, &threads, hops) else { break };
            until[end] = until[end].min(until[begin] + hop(&way[begin]) + together);
        }
    }
    until[way.len()]
}

/// The bound of a chain: of its longest way. `None` when none can be analysed.
pub fn bound_chain(model: &Model, bounds: &Bounds, chain: &Chain) -> Option<ChainBound> {
    let spec = CHAINS.iter().find(|c| c.name == chain.name)?;
    let all = ways_of(model, spec);
    let each = all.iter().map(|way| bound(model, bounds, spec.name, spec.budget_ms, way));
    let worst = each.max_by(|a, b| a.bound_ms.total_cmp(&b.bound_ms))?;
    Some(ChainBound { accepted_ms: chain.accepted_ms, ..worst })
}

/// The bound of an age: of the ways over the workloads that its row names. `None` when they begin with a source whose
/// gaps are not known.
pub fn bound_age(model: &Model, bounds: &Bounds, age: &Age) -> Option<ChainBound> {
    let all = ways(model, &age.to, true).into_iter().filter(|way| workloads(model, way) == age.tasks);
    let each = all.map(|way| bound(model, bounds, &age.name, age.max_ms, &way)).filter(|b| b.age_ms.is_some());
    each.max_by(|a, b| a.age_ms.unwrap_or(0.0).total_cmp(&b.age_ms.unwrap_or(0.0)))
}
