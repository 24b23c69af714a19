//! The rows of the workload table.

use auriga_msgs::v1::Mode;
use serde::Deserialize;

/// Resources that are planned: CPU, GPU, memory.
pub const RESOURCES: usize = 3;
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
    /// CPU time of each period, in milliseconds.
    pub cpu_ms: f64,
    /// GPU time of each period, in milliseconds.
    pub gpu_ms: f64,
    /// MiB.
    pub memory_mib: u64,
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
    /// Shortest time between two releases, in milliseconds.
    pub period_ms: f64,
    /// Longest time from its release to its end, in milliseconds.
    pub deadline_ms: f64,
    /// The core it is analysed and pinned on; safety only, like the next three.
    pub core: Option<u32>,
    /// SCHED_FIFO priority, 1 to 99, larger first.
    pub priority: Option<u8>,
    /// Jitter of its own release, in milliseconds, without what it inherits along chains.
    pub jitter_ms: Option<f64>,
    /// Longest time a lower priority can hold it up, in milliseconds.
    pub blocking_ms: Option<f64>,
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

    /// What a level takes of each resource, in the units of planning: CPU and GPU in [`MICRO`], memory in MiB.
    pub(crate) fn cost(&self, level: &Level) -> [u64; RESOURCES] {
        // Rounded up: a plan must not fit by rounding.
        [(self.cores(level) * MICRO).ceil() as u64, (self.gpu(level) * MICRO).ceil() as u64, level.memory_mib]
    }
}

/// The safety workloads that a chain passes through, `[[chain]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// Name of a chain of `msgs/topics.toml`, which has its budget.
    pub name: String,
    /// Its workloads in order.
    pub tasks: Vec<String>,
    /// Hops between nodes, those before the first workload included.
    pub hops: u32,
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

    /// The safety workloads in the table's order.
    pub fn safety(&self) -> impl Iterator<Item = &Workload> {
        self.workloads.iter().filter(|w| w.class == Class::Safety)
    }
}
