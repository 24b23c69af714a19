//! Latency chains against their budgets.

use auriga_msgs::{CHAINS, Criticality, NODES, v1};

/// A latency chain against its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetResult {
    /// The 99.9th percentile is within the budget.
    Met,
    /// It is not.
    Exceeded,
    /// No message passed through the chain.
    NotExercised,
}

impl BudgetResult {
    /// Compares the 99.9th percentile with the budget.
    pub fn of(stats: &v1::ChainStats) -> BudgetResult {
        match stats {
            s if s.count == 0 => BudgetResult::NotExercised,
            s if s.p999_ms <= s.budget_ms => BudgetResult::Met,
            _ => BudgetResult::Exceeded,
        }
    }

    /// In words.
    pub fn label(self) -> &'static str {
        match self {
            BudgetResult::Met => "met",
            BudgetResult::Exceeded => "EXCEEDED",
            BudgetResult::NotExercised => "not exercised",
        }
    }
}

/// Whether a chain of the table is a safety chain.
pub fn is_safety_chain(name: &str) -> bool {
    CHAINS.iter().any(|c| c.name == name && c.criticality == Criticality::Safety)
}

/// Whether a node of the table is a safety node.
pub fn is_safety_node(name: &str) -> bool {
    NODES.iter().any(|n| n.name == name && n.criticality == Criticality::Safety)
}
