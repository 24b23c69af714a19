//! The rows of the workload table.

use auriga_msgs::v1::Mode;
use serde::Deserialize;

/// Resources that are planned: CPU, GPU, memory, memory bandwidth.
pub const RESOURCES: usize = 4;
/// Their names, in that order.
pub const RESOURCE_NAMES: [&str; RESOURCES] = ["cores", "GPU", "MiB of memory", "MB/s of memory bandwidth"];
/// CPU and GPU are planned in millionths of a core: fine enough to tell any two levels apart, and integers, so that the
/// optimum does not depend on rounding.
pub(crate) const MICRO: f64 = 1e6;

/// What the machine has, `[capacity]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capacity {
    /// Cores; a fraction where others use part of the machine.
    pub cpu_cores: f64,
    /// Seconds of GPU time in a second; 0 without a GPU.
    pub gpu: f64,
    /// MiB.
    pub memory_mib: u64,
    /// Memory bandwidth in MB/s; 0: it is not planned.
    #[serde(default)]
    pub bandwidth_mb_per_s: f64,
    /// Latency of one hop between two nodes, in milliseconds.
    pub hop_ms: f64,
}

/// How critical a workload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Has deadlines and is never degraded.
    Safety,
    /// Helps the driver; degraded when little is left.
    Assist,
    /// Gets what is left and can be stopped.
    Infotainment,
}

/// Which service levels a class may take in a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Every level.
    Any,
    /// Level 0 only.
    Floor,
}

/// What a mode may plan with, `[mode.<name>]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModeLimits {
    /// Fraction of the capacity, 0 to 1, safety included.
    pub cpu: f64,
    /// The same for the GPU.
    pub gpu: f64,
    /// The same for memory.
    pub memory: f64,
    /// The same for memory bandwidth.
    #[serde(default = "all")]
    pub bandwidth: f64,
    /// Levels of workloads of class assist.
    pub assist: Policy,
    /// Levels of workloads of class infotainment.
    pub infotainment: Policy,
}

/// The limits of each mode.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModeTable {
    /// The car stands.
    pub parked: ModeLimits,
    /// Ordinary driving.
    pub nominal: ModeLimits,
    /// Driving that asks much of the driver, or safety nodes that miss deadlines now and then.
    pub demanding: ModeLimits,
    /// Danger.
    pub hazard: ModeLimits,
    /// A sensor lost, or safety nodes that miss deadlines all the time.
    pub limp: ModeLimits,
    /// Too hot.
    pub thermal: ModeLimits,
}

/// All modes that have a plan, in the order of the plans.
pub const MODES: [Mode; 6] = [Mode::Parked, Mode::Nominal, Mode::Demanding, Mode::Hazard, Mode::Limp, Mode::Thermal];

impl Capacity {
    /// What a mode may plan with, in the units of planning.
    pub(crate) fn within(&self, limits: &ModeLimits) -> [u64; RESOURCES] {
        [
            (self.cpu_cores * limits.cpu * MICRO) as u64,
            (self.gpu * limits.gpu * MICRO) as u64,
            (self.memory_mib as f64 * limits.memory) as u64,
            (self.bandwidth_mb_per_s * limits.bandwidth) as u64,
        ]
    }
}

impl ModeTable {
    /// The limits of a mode; nominal's for an unspecified one.
    pub fn of(&self, mode: Mode) -> &ModeLimits {
        match mode {
            Mode::Parked => &self.parked,
            Mode::Nominal | Mode::Unspecified => &self.nominal,
            Mode::Demanding => &self.demanding,
            Mode::Hazard => &self.hazard,
            Mode::Limp => &self.limp,
            Mode::Thermal => &self.thermal,
        }
    }
}

/// A service level, `[[workload.level]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// Its name, in reasons and errors.
    pub name: String,
    /// CPU time of each period, in milliseconds. Of a safety workload it is not in the file: it follows from its threads.
    #[serde(default = "missing")]
    pub cpu_ms: f64,
    /// GPU time of each period, in milliseconds.
    pub gpu_ms: f64,
    /// MiB.
    pub memory_mib: u64,
    /// Memory bandwidth in MB/s.
    #[serde(default)]
    pub bandwidth_mb_per_s: f64,
    /// What the level is worth, without unit.
    pub utility: f64,
    /// cgroup v2 `cpu.weight`, 1 to 10000.
    pub cpu_weight: u32,
    /// Whether the workload may use the processor at all.
    #[serde(default = "yes")]
    pub run: bool,
}

fn yes() -> bool {
    true
}

/// Of a number that the file does not have; no range holds it.
fn missing() -> f64 {
    f64::NAN
}

/// Of a capacity.
fn all() -> f64 {
    1.0
}

fn one() -> u64 {
    1
}

/// Where a cost comes from, `measured = { … }`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// When, as YEAR-MONTH-DAY.
    pub date: String,
    /// On which machine, as `auriga check` names it.
    pub machine: String,
    /// With which command.
    pub command: String,
    /// Processor time in a second that was seen, in milliseconds.
    pub cpu_ms_per_s: Option<f64>,
}

/// Events that repeat, `[[source.stream]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventStream {
    /// Between two bursts (or single events), in milliseconds.
    pub period_ms: f64,
    /// A burst comes at most this much after its place in the period, in milliseconds.
    #[serde(default)]
    pub jitter_ms: f64,
    /// Events of a burst.
    #[serde(default = "one")]
    pub burst: u64,
    /// Smallest distance between two events of a burst, in milliseconds.
    #[serde(default)]
    pub distance_ms: f64,
    /// How many independent streams of this kind there are.
    #[serde(default = "one")]
    pub count: u64,
}

/// Events from outside what is analysed, `[[source]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventSource {
    /// A device's own name, or the topic whose publisher is not analysed.
    pub name: String,
    /// Any of them is an event.
    #[serde(rename = "stream")]
    pub streams: Vec<EventStream>,
    /// Smallest distance between any two events, in milliseconds; 0: none is known.
    #[serde(default)]
    pub distance_ms: f64,
    /// How old an event may be when it is released, such as one that waited for others, in milliseconds.
    #[serde(default)]
    pub delay_ms: f64,
}

/// One kind of work of a thread, `[[workload.thread.activation]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    /// A source, a topic that the node reads, or one of [`TIMER`], [`RECEIVED`], [`SENT`].
    pub on: String,
    /// Period of a timer, in milliseconds.
    pub every_ms: Option<f64>,
    /// Processor time, at most, in milliseconds.
    pub cpu_ms: f64,
    /// Time for which it waits for something else than a processor, at most, in milliseconds.
    #[serde(default)]
    pub suspension_ms: f64,
    /// How often it waits so, at most.
    #[serde(default = "one")]
    pub suspensions: u64,
    /// Of received messages: the node does not wait for this work.
    #[serde(default)]
    pub aside: bool,
    /// Topics that it may publish, one message of each.
    #[serde(default)]
    pub publishes: Vec<String>,
    /// Topics whose newest message it uses without being activated by it.
    #[serde(default)]
    pub uses: Vec<String>,
    /// Workloads of a lesser class whose time is spent in it, besides `cpu_ms`.
    #[serde(default)]
    pub with: Vec<String>,
}

/// An activation by the clock.
pub const TIMER: &str = "timer";
/// An activation by each message that the node receives from another one.
pub const RECEIVED: &str = "received";
/// An activation by each message that the node publishes, for each of its readers.
pub const SENT: &str = "sent";

/// A thread of a safety workload, `[[workload.thread]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thread {
    /// Its name in /proc/PID/task/TID/comm, without a number at its end; "main": the one that runs the node.
    pub name: String,
    /// The core it is pinned to.
    pub core: u32,
    /// Of SCHED_FIFO, 1 to 99, larger first.
    pub priority: u8,
    /// From an event to the end of the work for it, in milliseconds; without it that of "main" is the workload's, and chains
    /// alone bound the others.
    pub deadline_ms: Option<f64>,
    /// Longest time for which a lower priority can hold it up, in milliseconds.
    pub blocking_ms: f64,
    /// From an event to the thread being ready, at most, in milliseconds.
    #[serde(default)]
    pub release_ms: f64,
    /// There are several of this name, so that an event may overtake another.
    #[serde(default)]
    pub several: bool,
    /// Where the costs come from.
    pub measured: Option<Measured>,
    /// What activates it; any of them does.
    #[serde(rename = "activation", default)]
    pub activations: Vec<Activation>,
}

/// A workload, `[[workload]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Its name, unique in the table.
    pub name: String,
    /// The node that runs it.
    pub node: String,
    /// How critical it is.
    pub class: Class,
    /// The time over which the costs of its levels are counted, in milliseconds. Of a safety workload it is not in the
    /// file: a second.
    #[serde(default = "missing")]
    pub period_ms: f64,
    /// Longest time from an event to the end of the work for it, in milliseconds.
    pub deadline_ms: f64,
    /// Where the costs of its levels come from; of a safety workload each thread says it.
    pub measured: Option<Measured>,
    /// Its threads; safety only.
    #[serde(rename = "thread", default)]
    pub threads: Vec<Thread>,
    /// Service levels from 0, the floor, upward.
    #[serde(rename = "level")]
    pub levels: Vec<Level>,
}

impl Workload {
    /// Cores that a level takes on average.
    pub fn cores(&self, level: &Level) -> f64 {
        level.cpu_ms / self.period_ms
    }

    /// GPU seconds that a level takes in a second.
    pub fn gpu(&self, level: &Level) -> f64 {
        level.gpu_ms / self.period_ms
    }

    /// What a level takes of each resource, in the units of planning: CPU and GPU in [`MICRO`], memory in MiB,
    /// bandwidth in MB/s.
    pub(crate) fn cost(&self, level: &Level) -> [u64; RESOURCES] {
        // Rounded up: a plan must not fit by rounding.
        let micro = |cores: f64| (cores * MICRO).ceil() as u64;
        let bandwidth = level.bandwidth_mb_per_s.ceil() as u64;
        [micro(self.cores(level)), micro(self.gpu(level)), level.memory_mib, bandwidth]
    }
}

/// The safety workloads that a chain passes through, `[[chain]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// Name of a chain of `msgs/topics.toml`, which has its budget.
    pub name: String,
    /// Its workloads in order; empty: it cannot be analysed, see `not_analysed`.
    #[serde(default)]
    pub tasks: Vec<String>,
    /// Why it cannot be analysed.
    pub not_analysed: Option<String>,
    /// A bound above the chain's budget that is accepted for now, in milliseconds; more is refused.
    pub accepted_ms: Option<f64>,
    /// Why it is accepted, and what would have to change.
    pub because: Option<String>,
}

/// How old what is shown may be, `[[age]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Age {
    /// For reports.
    pub name: String,
    /// The topic that shows it.
    pub to: String,
    /// The workloads on the way, in order; the last one uses what the one before it publishes.
    pub tasks: Vec<String>,
    /// Longest time from the measurement to the moment at which something newer is shown, in milliseconds.
    pub max_ms: f64,
}

/// The table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadTable {
    /// What the machine has.
    pub capacity: Capacity,
    /// What each mode may plan with.
    pub mode: ModeTable,
    /// All workloads; plans and grants keep this order.
    #[serde(rename = "workload")]
    pub workloads: Vec<Workload>,
    /// The chains whose budgets admission checks.
    #[serde(rename = "chain", default)]
    pub chains: Vec<Chain>,
    /// The ages that admission checks.
    #[serde(rename = "age", default)]
    pub ages: Vec<Age>,
    /// The events from outside.
    #[serde(rename = "source", default)]
    pub sources: Vec<EventSource>,
    /// What messages of a topic are known not to exceed, although their publisher's activations could.
    #[serde(rename = "limit", default)]
    pub limits: Vec<EventSource>,
}

impl WorkloadTable {
    /// The workload of this name.
    pub fn workload(&self, name: &str) -> Option<&Workload> {
        self.workloads.iter().find(|w| w.name == name)
    }

    /// All names, for an error that lists what exists.
    pub fn names(&self) -> String {
        self.workloads.iter().map(|w| w.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// All costs with where they come from: of each thread of a safety workload, and of each other workload.
    pub fn costs(&self) -> Vec<(String, Option<&Measured>)> {
        let mut costs = Vec::new();
        for w in &self.workloads {
            match w.class {
                Class::Safety => {
                    costs.extend(w.threads.iter().map(|t| (format!("{}/{}", w.name, t.name), t.measured.as_ref())));
                }
                _ => costs.push((w.name.clone(), w.measured.as_ref())),
            }
        }
        costs
    }

    /// The safety workloads in the table's order.
    pub fn safety(&self) -> impl Iterator<Item = &Workload> {
        self.workloads.iter().filter(|w| w.class == Class::Safety)
    }
}
