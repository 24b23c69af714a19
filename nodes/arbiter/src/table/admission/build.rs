//! The system that a workload table describes: its threads, joined by the topics of `msgs/topics.toml`.

use super::{
    curve::{Source, Stream, ns},
    model::{Activation, Origin, System, Thread},
};
use crate::table::{
    error::{TableError, invalid},
    types::{self, Class, EventSource, RECEIVED, SENT, TIMER, Workload, WorkloadTable},
};
use auriga_msgs::{NODES, NodeSpec, TOPICS, TopicSpec};
use auriga_runtime::suggestion::suggestion;

/// A system, and what of the table each part of it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Model {
    /// What is analysed.
    pub system: System,
    /// By thread of the system.
    pub threads: Vec<ThreadOf>,
}

/// What a thread of the system is in the table.
#[derive(Debug, Clone, PartialEq)]
pub struct ThreadOf {
    /// Its workload.
    pub workload: String,
    /// The workload's node.
    pub node: String,
    /// By activation: what it publishes.
    pub publishes: Vec<Vec<String>>,
    /// By activation: what it uses without being activated by it.
    pub uses: Vec<Vec<String>>,
}

/// Builds the system of the safety workloads.
///
/// # Errors
/// When a thread is activated by something that does not exist or that nothing publishes, or a topic that a node reads or
/// publishes is left out.
pub fn model(table: &WorkloadTable) -> Result<Model, TableError> {
    let mut builder = Builder { table, model: Model::default(), pending: Vec::new() };
    builder.model.system.sources = table.sources.iter().map(source).collect();
    for w in table.safety() {
        for t in &w.threads {
            builder.add(w, t)?;
        }
    }
    builder.connect()?;
    Ok(builder.model)
}

fn source(s: &EventSource) -> Source {
    let stream = |s: &types::EventStream| Stream {
        period: ns(s.period_ms).max(1),
        jitter: ns(s.jitter_ms),
        burst: s.burst,
        distance: ns(s.distance_ms),
        count: s.count,
    };
    Source {
        name: s.name.clone(),
        streams: s.streams.iter().map(stream).collect(),
        distance: ns(s.distance_ms),
        delay: ns(s.delay_ms),
    }
}

struct Builder<'a> {
    table: &'a WorkloadTable,
    model: Model,
    /// Activations whose origins are still to be found.
    pending: Vec<Pending>,
}

struct Pending {
    thread: usize,
    activation: usize,
    place: String,
    node: &'static NodeSpec,
    kind: Kind,
}

/// How an activation gets its events.
#[derive(Clone)]
enum Kind {
    /// From a source of the table.
    Source(usize),
    /// A topic, taken by the thread that runs the node.
    Topic(&'static TopicSpec),
    /// A topic, taken from the wire.
    Received(&'static TopicSpec),
    /// A topic, put onto the wire.
    Sent(&'static TopicSpec),
}

/// The node of a workload; names were checked before.
fn node_of(w: &Workload) -> Result<&'static NodeSpec, TableError> {
    NODES.iter().find(|n| n.name == w.node).ok_or_else(|| invalid(format!("workload {}", w.name), "node", "is unknown"))
}

fn topic(name: &str) -> Option<&'static TopicSpec> {
    TOPICS.iter().find(|t| t.name == name)
}

/// Who reads a topic besides its publisher: the listed nodes, the two that read everything, and the bridge.
fn readers(t: &TopicSpec, publisher: &str) -> u64 {
    let listed = t.subscribers.iter().filter(|s| **s != publisher).count() as u64;
    listed + 2 + u64::from(t.ros.is_some())
}

impl Builder<'_> {
    fn add(&mut self, w: &Workload, t: &types::Thread) -> Result<(), TableError> {
        let place = format!("workload {}, thread {}", w.name, t.name);
        let node = node_of(w)?;
        let index = self.model.system.threads.len();
        self.model.system.threads.push(Thread {
            name: if t.name == "main" { w.name.clone() } else { format!("{}/{}", w.name, t.name) },
            core: t.core,
            priority: t.priority,
            blocking: ns(t.blocking_ms),
            release: ns(t.release_ms),
            unordered: t.several,
            deadline: t.deadline_ms.or((t.name == "main").then_some(w.deadline_ms)).map(ns),
            activations: Vec::new(),
        });
        let (workload, node_name) = (w.name.clone(), w.node.clone());
        self.model.threads.push(ThreadOf { workload, node: node_name, publishes: Vec::new(), uses: Vec::new() });
        for a in &t.activations {
            for (kind, on) in self.kinds(w, a, node, &place)? {
                let times = if let Kind::Sent(topic) = kind { readers(topic, node.name) } else { 1 };
                let activation = self.activation(a, on, times);
                let of = &mut self.model.threads[index];
                of.publishes.push(a.publishes.clone());
                of.uses.push(a.uses.clone());
                let pending =
                    Pending { thread: index, activation: of.uses.len() - 1, place: place.clone(), node, kind };
                self.model.system.threads[index].activations.push(activation);
                self.pending.push(pending);
            }
        }
        Ok(())
    }

    fn activation(&self, a: &types::Activation, on: String, times: u64) -> Activation {
        let dearest = |name: &String| {
            let levels = self.table.workload(name).map(|w| w.levels.as_slice()).unwrap_or_default();
            levels.iter().map(|l| ns(l.cpu_ms)).max().unwrap_or(0)
        };
        let lesser = a.with.iter().map(dearest).sum();
        Activation {
            on,
            origins: Vec::new(),
            limit: None,
            cost: ns(a.cpu_ms) + lesser,
            lesser,
            suspension: ns(a.suspension_ms),
            suspensions: if a.suspension_ms > 0.0 { a.suspensions } else { 0 },
            times,
        }
    }

    /// What a row of the table activates its thread by: one kind, or one for each topic sent or received.
    fn kinds(
        &mut self,
        w: &Workload,
        a: &types::Activation,
        node: &'static NodeSpec,
        place: &str,
    ) -> Result<Vec<(Kind, String)>, TableError> {
        match a.on.as_str() {
            TIMER => {
                let period = ns(a.every_ms.unwrap_or(f64::NAN)).max(1);
                let streams = vec![Stream::periodic(period, 0)];
                self.model.system.sources.push(Source { name: TIMER.into(), streams, distance: 0, delay: 0 });
                Ok(vec![(
                    Kind::Source(self.model.system.sources.len() - 1),
                    format!("timer {} ms", period as f64 * 1e-6),
                )])
            }
            RECEIVED => {
                let topics = node.reads.iter().map(|id| id.spec()).filter(|t| !t.is_device());
                let what = if a.aside { "aside" } else { "receive" };
                Ok(topics.map(|t| (Kind::Received(t), format!("{what} {}", t.name))).collect())
            }
            SENT => {
                let published = self.published_by(w);
                let topics = published.into_iter().filter(|t| !t.is_device());
                Ok(topics.map(|t| (Kind::Sent(t), format!("send {}", t.name))).collect())
            }
            name => {
                if let Some(t) = topic(name) {
                    if !node.reads.contains(&t.id) {
                        let reads = node.reads.iter().map(|id| id.spec().name);
                        let problem = format!(
                            "node {} does not read {name}{}; msgs/topics.toml says what it reads",
                            node.name,
                            suggestion(name, reads)
                        );
                        return Err(invalid(place, "on", problem));
                    }
                    return Ok(vec![(Kind::Topic(t), name.to_owned())]);
                }
                if let Some(index) = self.table.sources.iter().position(|s| s.name == name) {
                    return Ok(vec![(Kind::Source(index), name.to_owned())]);
                }
                let sources = self.table.sources.iter().map(|s| s.name.as_str());
                let known = sources.chain(node.reads.iter().map(|id| id.spec().name)).chain([TIMER, RECEIVED, SENT]);
                let problem = format!("{name:?} is no topic, source or \"timer\"{}", suggestion(name, known));
                Err(invalid(place, "on", problem))
            }
        }
    }

    /// Topics that a workload's node publishes, by the activations of all its workloads.
    fn published_by(&self, w: &Workload) -> Vec<&'static TopicSpec> {
        let of_node = self.table.safety().filter(|other| other.node == w.node);
        let names = of_node.flat_map(|w| &w.threads).flat_map(|t| &t.activations).flat_map(|a| &a.publishes);
        let mut topics: Vec<&'static TopicSpec> = names.filter_map(|name| topic(name)).collect();
        topics.sort_by_key(|t| t.id);
        topics.dedup_by_key(|t| t.id);
        topics
    }

    /// Finds the origins of all activations.
    fn connect(&mut self) -> Result<(), TableError> {
        for p in std::mem::take(&mut self.pending) {
            let origins = match &p.kind {
                Kind::Source(index) => vec![Origin::Source { index: *index, hop: 0 }],
                Kind::Sent(t) => self.publishing(t, p.node.name),
                Kind::Received(t) => self.wire_origins(t),
                Kind::Topic(t) if t.is_device() => self.publishing(t, p.node.name),
                Kind::Topic(t) => {
                    let received = self.transport(p.node.name, "receive", t);
                    if received.is_empty() { self.wire_origins(t) } else { received }
                }
            };
            if origins.is_empty() {
                let name = &self.model.system.threads[p.thread].activations[p.activation].on;
                let problem = format!(
                    "nothing releases {name}: no activation publishes it, and no [[source]] has the name of the topic"
                );
                return Err(invalid(p.place, "on", problem));
            }
            let limit = self.limit(&p.kind, &origins);
            let activation = &mut self.model.system.threads[p.thread].activations[p.activation];
            (activation.origins, activation.limit) = (origins, limit);
        }
        Ok(())
    }

    /// The limit of a topic, for the first activation behind those that publish it.
    fn limit(&self, kind: &Kind, origins: &[Origin]) -> Option<Source> {
        let (Kind::Topic(t) | Kind::Received(t) | Kind::Sent(t)) = kind else { return None };
        let published = |o: &Origin| match *o {
            Origin::Output { thread, activation, .. } => {
                self.model.threads[thread].publishes[activation].iter().any(|name| name == t.name)
            }
            Origin::Source { .. } => false,
        };
        let limit = self.table.limits.iter().find(|l| l.name == t.name)?;
        origins.iter().all(published).then(|| source(limit))
    }

    /// Where messages of a topic come from when they reach another process.
    fn wire_origins(&self, t: &TopicSpec) -> Vec<Origin> {
        let hop = ns(self.table.capacity.hop_ms);
        if let Some(index) = self.table.sources.iter().position(|s| s.name == t.name) {
            return vec![Origin::Source { index, hop }];
        }
        let sent = self.transport(t.publisher, "send", t);
        let origins = if sent.is_empty() { self.publishing(t, t.publisher) } else { sent };
        let with_hop = |o: Origin| match o {
            Origin::Output { thread, activation, .. } => Origin::Output { thread, activation, hop },
            source => source,
        };
        origins.into_iter().map(with_hop).collect()
    }

    /// The transport's activations for a topic in a node.
    fn transport(&self, node: &str, direction: &str, t: &TopicSpec) -> Vec<Origin> {
        let on = format!("{direction} {}", t.name);
        self.outputs(|of, a, activation| of.node == node && activation.on == on && a < of.uses.len())
    }

    /// The activations of a node that publish a topic.
    fn publishing(&self, t: &TopicSpec, node: &str) -> Vec<Origin> {
        self.outputs(|of, a, _| of.node == node && of.publishes[a].iter().any(|name| name == t.name))
    }

    fn outputs(&self, is: impl Fn(&ThreadOf, usize, &Activation) -> bool) -> Vec<Origin> {
        let rows = self.model.threads.iter().zip(&self.model.system.threads).enumerate();
        let found = rows.flat_map(|(thread, (of, t))| {
            let fits = t.activations.iter().enumerate().filter(|(a, activation)| is(of, *a, activation));
            fits.map(move |(activation, _)| Origin::Output { thread, activation, hop: 0 }).collect::<Vec<_>>()
        });
        found.collect()
    }
}

/// Whether the safety workloads leave nothing out: each safety node has one, and every topic that such a node reads or
/// publishes is in an activation.
///
/// # Errors
/// What is left out.
pub fn check_complete(table: &WorkloadTable) -> Result<(), TableError> {
    for node in NODES.iter().filter(|n| n.criticality == auriga_msgs::Criticality::Safety) {
        let place = format!("node {}", node.name);
        let workloads: Vec<&Workload> = table.safety().filter(|w| w.node == node.name).collect();
        if workloads.is_empty() {
            return Err(invalid(place, "workload", "is missing: a safety node needs a workload of class safety"));
        }
        let activations = || workloads.iter().flat_map(|w| &w.threads).flat_map(|t| &t.activations);
        for read in node.reads.iter().map(|id| id.spec()) {
            if !activations().any(|a| a.on == read.name) {
                let problem = format!("none is on {}, which the node reads (msgs/topics.toml)", read.name);
                return Err(invalid(place, "activation", problem));
            }
        }
        for t in TOPICS.iter().filter(|t| t.publisher == node.name) {
            if !activations().any(|a| a.publishes.iter().any(|name| name == t.name)) {
                let problem = format!("none publishes {}, which the node publishes (msgs/topics.toml)", t.name);
                return Err(invalid(place, "activation", problem));
            }
        }
        let spent = |w: &Workload| activations().any(|a| a.with.contains(&w.name));
        let other = table.workloads.iter().find(|w| w.node == node.name && w.class != Class::Safety && !spent(w));
        if let Some(w) = other {
            let problem = format!(
                "runs in the real-time process of node {}, but no activation of it names it in `with`, so its time would \
                 not be analysed",
                node.name
            );
            return Err(invalid(format!("workload {}", w.name), "node", problem));
        }
    }
    Ok(())
}

/// Whether the names in a thread's activations exist.
///
/// # Errors
/// The first name that does not, with the nearest right one.
pub fn check_names(table: &WorkloadTable, w: &Workload, t: &types::Thread) -> Result<(), TableError> {
    let place = format!("workload {}, thread {}", w.name, t.name);
    let node = node_of(w)?;
    let own_device = |t: &TopicSpec| t.is_device() && node.reads.contains(&t.id);
    let may_publish = |t: &TopicSpec| t.publisher == node.name || t.publisher == "any" || own_device(t);
    for a in &t.activations {
        for name in &a.publishes {
            if !topic(name).is_some_and(may_publish) {
                let known = TOPICS.iter().filter(|t| may_publish(t)).map(|t| t.name);
                let problem = format!("node {} does not publish {name:?}{}", node.name, suggestion(name, known));
                return Err(invalid(place, "publishes", problem));
            }
        }
        for name in &a.uses {
            if !topic(name).is_some_and(|t| node.reads.contains(&t.id)) {
                let known = node.reads.iter().map(|id| id.spec().name);
                let problem = format!("node {} does not read {name:?}{}", node.name, suggestion(name, known));
                return Err(invalid(place, "uses", problem));
            }
        }
        for name in &a.with {
            let lesser = |w: &&Workload| w.class != Class::Safety && w.node == node.name;
            if !table.workloads.iter().filter(lesser).any(|w| w.name == *name) {
                let known = table.workloads.iter().filter(lesser).map(|w| w.name.as_str());
                let problem = format!(
                    "{name:?} is no workload of a lesser class in node {}{}",
                    node.name,
                    suggestion(name, known)
                );
                return Err(invalid(place, "with", problem));
            }
        }
    }
    Ok(())
}
