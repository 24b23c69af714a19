//! What the state machine asks for, and what could not be done of it.

/// What the process of one node is to get from the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeShare {
    /// Name of the node in `msgs/topics.toml`.
    pub node: &'static str,
    /// Its process, as its usage message states it; [`super::NodeProcesses`] decides whether that is true.
    pub pid: u32,
    /// Weight as cgroup v2 counts it, 1 to 10000.
    pub cpu_weight: u32,
    /// Limit in percent of one core; `None`: no limit.
    pub quota_percent: Option<u32>,
    /// Real-time scheduling of its threads; empty: the kernel's ordinary policy for all.
    pub threads: Vec<Realtime>,
}

/// SCHED_FIFO with this priority for a thread, pinned to the core that the analysis assumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realtime {
    /// The thread's name in the workload table: "main", or as the kernel has it, without a number at its end.
    pub thread: String,
    /// 1 to 99, larger first.
    pub priority: u8,
    /// Index of the core.
    pub core: u32,
}

/// Something that could not be done; the shell publishes it as a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Stable name of the fault.
    pub code: &'static str,
    /// What it is about: a node, or the kernel feature that is missing.
    pub subject: String,
    /// What failed and what to do.
    pub text: String,
}

/// Code of a problem: without privileges or kernel support only the grants themselves act.
pub(crate) const SOFT_ONLY: &str = "actuation-soft-only";
/// Code of a problem with one node.
pub(crate) const FAILED: &str = "actuation-failed";
