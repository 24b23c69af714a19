//! Admission: a timing analysis that shows whether the safety workloads meet their deadlines and the chains their budgets,
//! whatever the rest does.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`curve`] | arrival curves: how many events a window of time can hold |
//! | [`model`] | what is analysed: threads on cores, and what activates them |
//! | [`response`] | response times of threads |
//! | [`build`] | the system that a workload table describes |
//! | [`chains`] | chains over the topic graph: latency, reaction and age |
//! | [`machine`] | the machine as it is |
//! | [`explain`] | all of it in words |

pub mod build;
pub mod chains;
pub mod curve;
mod error;
pub mod explain;
pub mod machine;
pub mod model;
pub mod response;

pub use error::{AdmissionError, ChainBound, Step};

use super::types::WorkloadTable;
use build::Model;
use curve::{Ns, ms};
use response::{Bounds, Response, Unbounded};

/// The result of the analysis of an admitted table.
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    /// What was analysed.
    pub model: Model,
    /// The bounds of its threads, in the same order.
    pub bounds: Bounds,
    /// Of the chains, in the table's order.
    pub chains: Vec<ChainBound>,
    /// Of the ages, in the table's order.
    pub ages: Vec<ChainBound>,
}

impl Admission {
    /// Processor time that the threads of a core need in any window, at most.
    pub fn demand(&self, core: u32, window: Ns) -> Ns {
        response::demand(&self.model.system, &self.bounds, core, window)
    }

    /// The response of a thread, by its name: a workload, or workload/thread.
    pub fn response(&self, thread: &str) -> Option<Response> {
        let index = self.model.system.threads.iter().position(|t| t.name == thread)?;
        self.bounds.responses.get(index).copied()
    }
}

/// Analyses the safety workloads of the table.
///
/// # Errors
/// When a core is overloaded, a deadline or a budget is missed, or a jitter has no bound; the error names the thread or
/// chain, the largest term and the amount.
pub fn admit(table: &WorkloadTable) -> Result<Admission, AdmissionError> {
    let (admission, mut refusals) = analyse(table)?;
    match refusals.is_empty() {
        true => Ok(admission),
        false => Err(refusals.swap_remove(0)),
    }
}

/// The bounds of a table together with all that stands against its admission.
///
/// # Errors
/// When there are no bounds at all.
pub fn analyse(table: &WorkloadTable) -> Result<(Admission, Vec<AdmissionError>), AdmissionError> {
    let model = build::model(table).map_err(|e| AdmissionError::Table(e.to_string()))?;
    let bounds = response::analyse(&model.system).map_err(|e| unbounded(&model, e))?;
    let mut refusals = Vec::new();
    for (thread, terms) in model.system.threads.iter().zip(&bounds.responses) {
        let Some(deadline) = thread.deadline.filter(|d| terms.total() > *d) else { continue };
        refusals.push(AdmissionError::Deadline {
            thread: thread.name.clone(),
            deadline_ms: ms(deadline),
            terms: Box::new(*terms),
            over_ms: ms(terms.total() - deadline),
        });
    }
    let chains = table.chains.iter().filter_map(|c| chains::bound_chain(&model, &bounds, c));
    let chains: Vec<ChainBound> = chains.collect();
    let ages: Vec<ChainBound> = table.ages.iter().filter_map(|a| chains::bound_age(&model, &bounds, a)).collect();
    refusals.extend(chains.iter().filter_map(|c| c.refusal(c.bound_ms)));
    refusals.extend(ages.iter().filter_map(|a| a.refusal(a.age_ms.unwrap_or(a.bound_ms))));
    Ok((Admission { model, bounds, chains, ages }, refusals))
}

fn unbounded(model: &Model, error: Unbounded) -> AdmissionError {
    let name = |thread: usize| model.system.threads[thread].name.clone();
    match error {
        Unbounded::Overloaded { thread, utilisation } => {
            let core = model.system.threads[thread].core;
            AdmissionError::CoreOverloaded { thread: name(thread), core, utilisation }
        }
        Unbounded::Diverges { thread } => AdmissionError::Diverges { thread: name(thread) },
    }
}
