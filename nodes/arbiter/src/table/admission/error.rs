//! Bounds of chains, and why a table is not admitted.

use super::{curve::ms, response::Response};

/// One step of a chain: a thread and what activates it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The thread: its workload, or workload/thread.
    pub thread: String,
    /// What activates it.
    pub on: String,
    /// Time on the way to it, at most, in milliseconds.
    pub hop_ms: f64,
    /// Until its next activation takes up what has come, at most, in milliseconds; 0: it is activated by what comes.
    pub wait_ms: f64,
    /// Its response.
    pub response: Response,
}

/// The worst case of one chain, in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainBound {
    /// Its name.
    pub chain: String,
    /// Worst-case latency from end to end.
    pub bound_ms: f64,
    /// What is allowed: the budget of `msgs/topics.toml`; of an age, its row's limit.
    pub budget_ms: f64,
    /// A bound above the budget that the table accepts.
    pub accepted_ms: Option<f64>,
    /// Worst-case reaction time, and worst-case age of what is published; `None` where it begins with several streams of
    /// events, of which each has its own period.
    pub age_ms: Option<f64>,
    /// The way that takes longest.
    pub steps: Vec<Step>,
}

impl ChainBound {
    /// The refusal when `worst_ms` of it is more than its budget.
    pub(super) fn refusal(&self, worst_ms: f64) -> Option<AdmissionError> {
        let longest = self.steps.iter().max_by_key(|s| s.response.total())?;
        if self.accepted_ms.is_some() && worst_ms <= self.budget_ms {
            return Some(AdmissionError::NeedlesslyAccepted { chain: self.chain.clone(), worst_ms });
        }
        (worst_ms > self.accepted_ms.unwrap_or(self.budget_ms)).then(|| AdmissionError::Chain {
            chain: self.chain.clone(),
            budget_ms: self.budget_ms,
            over_ms: worst_ms - self.budget_ms,
            workload: longest.thread.clone(),
            response_ms: ms(longest.response.total()),
        })
    }
}

/// Why a table is not admitted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AdmissionError {
    /// The table does not describe a system.
    #[error("{0}")]
    Table(String),
    /// More CPU time is needed than a core has.
    #[error(
        "not admitted: thread {thread} on core {core}: the threads of its priority and above take {utilisation:.3} of the \
         core, more than all of it; move one to another core or make it cheaper"
    )]
    CoreOverloaded {
        /// The thread of the lowest priority among them.
        thread: String,
        /// Index of the core.
        core: u32,
        /// Cores that they need.
        utilisation: f64,
    },
    /// A thread misses its deadline.
    #[error(
        "not admitted: thread {thread} misses its deadline of {deadline_ms:.3} ms by {over_ms:.3} ms: cost {:.3} + queued \
         {:.3} + blocking {:.3} + interference {:.3} + release {:.3} ms; the largest term is {}",
        ms(.terms.cost), ms(.terms.queued), ms(.terms.blocking), ms(.terms.interference), ms(.terms.release),
        .terms.largest_term()
    )]
    Deadline {
        /// The thread.
        thread: String,
        /// Its deadline.
        deadline_ms: f64,
        /// The terms of its response time.
        terms: Box<Response>,
        /// By how much the deadline is missed.
        over_ms: f64,
    },
    /// A chain exceeds its budget.
    #[error(
        "not admitted: chain {chain} exceeds its budget of {budget_ms:.3} ms by {over_ms:.3} ms; the largest term is \
         workload {workload} with {response_ms:.3} ms"
    )]
    Chain {
        /// The chain.
        chain: String,
        /// Its budget.
        budget_ms: f64,
        /// By how much it is exceeded.
        over_ms: f64,
        /// The workload (or its thread) with the longest response in it.
        workload: String,
        /// That response time.
        response_ms: f64,
    },
    /// The table accepts a bound above the budget, which is not needed.
    #[error(
        "not admitted: chain {chain} is within its budget with {worst_ms:.3} ms: take accepted_ms out of the workload table"
    )]
    NeedlesslyAccepted {
        /// The chain.
        chain: String,
        /// Its bound.
        worst_ms: f64,
    },
    /// The jitter along chains has no fixed point.
    #[error("not admitted: thread {thread}: the jitter it inherits along its chains grows without end")]
    Diverges {
        /// The thread.
        thread: String,
    },
    /// The machine lacks a core.
    #[error(
        "not admitted: thread {thread} belongs on core {core}, but {lacks}; give the thread another core in the workload \
         table, or this process more cores"
    )]
    Core {
        /// The thread.
        thread: String,
        /// Index of the core.
        core: u32,
        /// What the machine says instead.
        lacks: String,
    },
    /// The table plans with more cores than there are.
    #[error("not admitted: capacity.cpu_cores is {planned}, but {lacks}")]
    TooFewCores {
        /// Cores of the table.
        planned: f64,
        /// What the machine says instead.
        lacks: String,
    },
    /// The kernel stops real-time threads before they are done.
    #[error(
        "not admitted: core {core}: its real-time threads can need {demand_ms:.1} ms in {window_ms:.0} ms, but the kernel \
         stops them after {runtime_ms:.1} ms (sched_rt_runtime_us, sched_rt_period_us in /proc/sys/kernel); move a thread \
         to another core"
    )]
    Throttled {
        /// Index of the core.
        core: u32,
        /// Worst-case demand.
        demand_ms: f64,
        /// The kernel's period.
        window_ms: f64,
        /// What it allows in it.
        runtime_ms: f64,
    },
}
