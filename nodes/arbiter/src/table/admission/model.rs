//! What is analysed: threads on cores, and what activates them.

use super::curve::{Ns, Source};

/// The threads of a machine and the events that reach them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct System {
    /// Events from outside: of devices, timers, and nodes that are not analysed.
    pub sources: Vec<Source>,
    /// The threads.
    pub threads: Vec<Thread>,
}

/// A thread under SCHED_FIFO. It takes its activations one after another, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// For reports.
    pub name: String,
    /// The core it is pinned to.
    pub core: u32,
    /// 1 to 99, larger first.
    pub priority: u8,
    /// Longest time for which a thread of lower priority can hold it up at a time: a lock, a section without preemption.
    pub blocking: Ns,
    /// From an event to the moment the thread is ready, at most: the wake-up, a wait for more of the kind.
    pub release: Ns,
    /// Several threads share this work, so that an event may overtake another.
    pub unordered: bool,
    /// From an event to the end of the work for it; `None`: only chains bound it.
    pub deadline: Option<Ns>,
    /// What activates it; any of them does.
    pub activations: Vec<Activation>,
}

/// One kind of work of a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// What it is activated by, for reports.
    pub on: String,
    /// The events; any of them.
    pub origins: Vec<Origin>,
    /// What all of them together are known not to exceed.
    pub limit: Option<Source>,
    /// Processor time of one activation, at most.
    pub cost: Ns,
    /// Of that, time of workloads of a lesser class, at most.
    pub lesser: Ns,
    /// Time for which one activation waits for something else than a processor, at most.
    pub suspension: Ns,
    /// How often it waits so, at most.
    pub suspensions: u64,
    /// Activations for each event: a message to so many readers. The end of one of them is the event for what comes after.
    pub times: u64,
}

/// Where events come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A source, by its index in [`System::sources`].
    Source {
        /// Its index.
        index: usize,
        /// Time on the way, at most.
        hop: Ns,
    },
    /// The end of an activation.
    Output {
        /// Index in [`System::threads`].
        thread: usize,
        /// Index in that thread's activations.
        activation: usize,
        /// Time on the way, at most.
        hop: Ns,
    },
}

impl Origin {
    /// Time on the way, at most.
    pub fn hop(self) -> Ns {
        match self {
            Origin::Source { hop, .. } | Origin::Output { hop, .. } => hop,
        }
    }
}

impl Activation {
    /// Processor time and waits together: a bound for a thread that suspends itself is that of one that computes instead
    /// (suspension-oblivious analysis; Chen et al., "Many suspensions, many problems", Real-Time Systems 55, 2019,
    /// section 4.1).
    pub fn demand(&self) -> Ns {
        self.cost + self.suspension
    }
}
