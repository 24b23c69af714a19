//! Latency chains against their budgets.

use auriga_msgs::{CHAINS, Criticality, NODES, v1};

/// How a chain did against its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Held,
    NotHeld,
    /// Nothing went this way.
    NotExercised,
}

impl Verdict {
    /// The budget is of the 99.9th percentile.
    pub fn of(stats: &v1::ChainStats) -> Verdict {
        match stats {
            s if s.count == 0 => Verdict::NotExercised,
            s if s.p999_ms <= s.budget_ms => Verdict::Held,
            _ => Verdict::NotHeld,
        }
    }

    pub fn words(self) -> &'static str {
        match self {
            Verdict::Held => "held",
            Verdict::NotHeld => "NOT held",
            Verdict::NotExercised => "not exercised",
        }
    }
}

/// Whether a chain of the table is safety's.
pub fn is_safety_chain(name: &str) -> bool {
    CHAINS.iter().any(|c| c.name == name && c.criticality == Criticality::Safety)
}

/// Whether a node of the table is safety's.
pub fn is_safety_node(name: &str) -> bool {
    NODES.iter().any(|n| n.name == name && n.criticality == Criticality::Safety)
}
