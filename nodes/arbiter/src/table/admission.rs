//! Admission: a timing analysis that shows whether the safety workloads meet their deadlines and the chains their budgets,
//! whatever the rest does.
//!
//! Fixed-priority response-time analysis, one core at a time: Joseph and Pandya, "Finding response times in a real-time
//! system" (1986); Audsley, Burns, Richardson, Tindell, Wellings, "Applying new scheduling theory to static priority
//! pre-emptive scheduling" (1993) for blocking and release jitter:
//!
//!   w(q) = (q + 1) C + B + Σ over higher priorities j of ⌈(w(q) + J_j) / T_j⌉ C_j.
//!
//! q counts releases that wait for each other: with jitter, or a deadline beyond the period, a task's next release can
//! come before the last has been served (Lehoczky, "Fixed priority scheduling of periodic task sets with arbitrary
//! deadlines", 1990; Tindell, Burns, Wellings, "An extendible approach for analysing fixed priority hard real-time
//! tasks", 1994). The response is R = J + the largest w(q) − qT until the queue is empty.
//!
//! Along a chain a workload is released by the one before it, so it inherits that one's response as jitter (holistic
//! analysis: Tindell and Clark, 1994); both are computed to a common fixed point.
//!
//! The result holds for workloads that run on their core under SCHED_FIFO with their priority. Interference through
//! caches and memory that cores share is not modelled: the costs in the table have to include it.

use super::types::{Chain, WorkloadTable};
use auriga_msgs::CHAINS;

/// A jitter or window beyond this has no fixed point worth finding, in milliseconds.
const DIVERGED_MS: f64 = 60_000.0;

/// The worst case of one safety workload, in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// Its name.
    pub workload: String,
    /// Its own CPU time.
    pub cost_ms: f64,
    /// Time for which lower priorities hold it up.
    pub blocking_ms: f64,
    /// CPU time of higher priorities and of its own earlier releases.
    pub interference_ms: f64,
    /// Jitter of its own release, without what it inherits along chains.
    pub jitter_ms: f64,
    /// The deadline it must meet.
    pub deadline_ms: f64,
}

impl Response {
    /// Worst-case response time, in milliseconds, from the earliest release.
    pub fn response_ms(&self) -> f64 {
        self.jitter_ms + self.window_ms()
    }

    fn window_ms(&self) -> f64 {
        self.cost_ms + self.blocking_ms + self.interference_ms
    }

    fn largest_term(&self) -> &'static str {
        let terms = [
            ("cost", self.cost_ms),
            ("blocking", self.blocking_ms),
            ("interference", self.interference_ms),
            ("jitter", self.jitter_ms),
        ];
        terms.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or("cost", |(name, _)| name)
    }
}

/// The worst case of one chain, in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainBound {
    /// Its name.
    pub chain: String,
    /// Worst-case latency from end to end.
    pub bound_ms: f64,
    /// The budget of `msgs/topics.toml`.
    pub budget_ms: f64,
}

/// The result of the analysis of an admitted table.
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    /// Of the safety workloads, in the table's order.
    pub responses: Vec<Response>,
    /// Of the chains, in the table's order.
    pub chains: Vec<ChainBound>,
}

/// Why a table is not admitted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AdmissionError {
    /// More CPU time is needed than a core has.
    #[error(
        "not admitted: workload {workload} on core {core}: the safety workloads of its priority and above take \
         {utilisation:.3} of the core, more than all of it; move one to another core or make it cheaper"
    )]
    CoreOverloaded {
        /// The workload of the lowest priority among them.
        workload: String,
        /// Index of the core.
        core: u32,
        /// Cores that they need.
        utilisation: f64,
    },
    /// A workload misses its deadline.
    #[error(
        "not admitted: workload {} misses its deadline of {:.3} ms by {over_ms:.3} ms: cost {:.3} + blocking {:.3} + \
         interference {:.3} + jitter {:.3} ms; the largest term is {}",
        .terms.workload, .terms.deadline_ms, .terms.cost_ms, .terms.blocking_ms, .terms.interference_ms,
        .terms.jitter_ms, .terms.largest_term()
    )]
    Deadline {
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
        /// The workload with the longest response in it.
        workload: String,
        /// That workload's response time.
        response_ms: f64,
    },
    /// The jitter along chains has no fixed point.
    #[error("not admitted: workload {workload}: the jitter it inherits along its chains grows without end")]
    Diverges {
        /// The workload.
        workload: String,
    },
}

struct Task<'a> {
    name: &'a str,
    core: u32,
    priority: u8,
    period: f64,
    deadline: f64,
    cost: f64,
    own_jitter: f64,
    blocking: f64,
    /// Own and inherited.
    jitter: f64,
    window: f64,
}

/// Analyses the safety workloads of the table.
///
/// # Errors
/// When a core is overloaded, a deadline or a budget is missed, or a jitter has no bound; the error names the workload or
/// chain, the largest term and the amount.
pub fn admit(table: &WorkloadTable) -> Result<Admission, AdmissionError> {
    let mut tasks: Vec<Task> = table
        .safety()
        .map(|w| Task {
            name: &w.name,
            core: w.core.unwrap_or(0),
            priority: w.priority.unwrap_or(1),
            period: w.period_ms,
            deadline: w.deadline_ms,
            cost: w.levels.first().map_or(0.0, |l| l.cpu_ms),
            own_jitter: w.jitter_ms.unwrap_or(0.0),
            blocking: w.blocking_ms.unwrap_or(0.0),
            jitter: w.jitter_ms.unwrap_or(0.0),
            window: 0.0,
        })
        .collect();
    check_utilisation(&tasks)?;
    loop {
        for i in 0..tasks.len() {
            tasks[i].window = window(&tasks, i).ok_or_else(|| diverges(&tasks[i]))?;
        }
        if !inherit_jitter(table, &mut tasks)? {
            break;
        }
    }
    let responses: Vec<Response> = tasks.iter().map(response).collect();
    for r in &responses {
        let over_ms = r.response_ms() - r.deadline_ms;
        if over_ms > 0.0 {
            return Err(AdmissionError::Deadline { terms: Box::new(r.clone()), over_ms });
        }
    }
    let chains = table.chains.iter().map(|c| bound_chain(table, c, &responses)).collect::<Result<_, _>>()?;
    Ok(Admission { responses, chains })
}

fn diverges(task: &Task) -> AdmissionError {
    AdmissionError::Diverges { workload: task.name.to_owned() }
}

/// Tasks that can hold `i` up. The same priority counts: FIFO lets the one that came first finish.
fn above<'a, 'b>(tasks: &'a [Task<'b>], i: usize) -> impl Iterator<Item = &'a Task<'b>> {
    let (core, priority) = (tasks[i].core, tasks[i].priority);
    tasks.iter().enumerate().filter(move |(j, t)| *j != i && t.core == core && t.priority >= priority).map(|(_, t)| t)
}

fn check_utilisation(tasks: &[Task]) -> Result<(), AdmissionError> {
    for (i, task) in tasks.iter().enumerate() {
        let utilisation: f64 = above(tasks, i).chain([task]).map(|t| t.cost / t.period).sum();
        if utilisation > 1.0 {
            return Err(AdmissionError::CoreOverloaded {
                workload: task.name.to_owned(),
                core: task.core,
                utilisation,
            });
        }
    }
    Ok(())
}

fn interference(tasks: &[Task], i: usize, window: f64) -> f64 {
    above(tasks, i).map(|t| ((window + t.jitter) / t.period).ceil() * t.cost).sum()
}

/// The largest w(q) − qT; `None` when the queue never empties.
fn window(tasks: &[Task], i: usize) -> Option<f64> {
    let task = &tasks[i];
    let mut longest: f64 = 0.0;
    for q in 0.. {
        let end = busy_until(tasks, i, f64::from(q) * task.cost)?;
        longest = longest.max(end - f64::from(q) * task.period);
        // The earliest that the next release can come.
        if end <= f64::from(q + 1) * task.period - task.jitter {
            break;
        }
    }
    Some(longest)
}

/// The smallest fixed point of w, `queued` being the work of earlier releases of the same task.
fn busy_until(tasks: &[Task], i: usize, queued: f64) -> Option<f64> {
    let own = queued + tasks[i].cost + tasks[i].blocking;
    let mut w = own;
    while w < DIVERGED_MS {
        let next = own + interference(tasks, i, w);
        if next <= w {
            return Some(w);
        }
        w = next;
    }
    None
}

/// Gives each task of a chain the response of what comes before it as jitter. Returns whether anything grew.
fn inherit_jitter(table: &WorkloadTable, tasks: &mut [Task]) -> Result<bool, AdmissionError> {
    let mut grew = false;
    for chain in &table.chains {
        let mut arrival = 0.0;
        for (k, name) in chain.tasks.iter().enumerate() {
            let Some(task) = tasks.iter_mut().find(|t| t.name == name) else { continue };
            if k > 0 {
                arrival += table.capacity.hop_ms;
            }
            let jitter = task.own_jitter + arrival;
            if jitter > task.jitter {
                task.jitter = jitter;
                grew = true;
            }
            if jitter > DIVERGED_MS {
                return Err(diverges(task));
            }
            arrival += task.own_jitter + task.window;
        }
    }
    Ok(grew)
}

fn response(task: &Task) -> Response {
    Response {
        workload: task.name.to_owned(),
        cost_ms: task.cost,
        blocking_ms: task.blocking,
        interference_ms: task.window - task.cost - task.blocking,
        jitter_ms: task.own_jitter,
        deadline_ms: task.deadline,
    }
}

fn bound_chain(table: &WorkloadTable, chain: &Chain, responses: &[Response]) -> Result<ChainBound, AdmissionError> {
    let along: Vec<&Response> =
        chain.tasks.iter().filter_map(|t| responses.iter().find(|r| r.workload == *t)).collect();
    let work: f64 = along.iter().map(|r| r.response_ms()).sum();
    let bound_ms = work + f64::from(chain.hops) * table.capacity.hop_ms;
    // The budget stands in the topic table only; a table whose chains it does not know was refused on reading.
    let budget_ms = CHAINS.iter().find(|c| c.name == chain.name).map_or(f64::INFINITY, |c| c.budget_ms);
    if bound_ms <= budget_ms {
        return Ok(ChainBound { chain: chain.name.clone(), bound_ms, budget_ms });
    }
    let worst = along.iter().max_by(|a, b| a.response_ms().total_cmp(&b.response_ms()));
    Err(AdmissionError::Chain {
        chain: chain.name.clone(),
        budget_ms,
        over_ms: bound_ms - budget_ms,
        workload: worst.map(|r| r.workload.clone()).unwrap_or_default(),
        response_ms: worst.map_or(0.0, |r| r.response_ms()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHIPPED: &str = include_str!("../../../../launch/workloads.toml");

    fn shipped() -> WorkloadTable {
        WorkloadTable::parse(SHIPPED).unwrap()
    }

    /// Tasks on core 0: (cost, period, priority, jitter, blocking); without chains.
    fn table(tasks: &[(f64, f64, u8, f64, f64)]) -> WorkloadTable {
        let mut table = shipped();
        let camera = table.workload("camera").unwrap().clone();
        table.chains.clear();
        table.workloads.retain(|w| w.class != crate::table::Class::Safety);
        for (i, &(cost, period, priority, jitter, blocking)) in tasks.iter().enumerate() {
            let mut w = camera.clone();
            (w.name, w.core, w.priority) = (format!("t{i}"), Some(0), Some(priority));
            (w.period_ms, w.deadline_ms) = (period, 1000.0);
            (w.jitter_ms, w.blocking_ms) = (Some(jitter), Some(blocking));
            w.levels[0].cpu_ms = cost;
            table.workloads.push(w);
        }
        table
    }

    fn responses(tasks: &[(f64, f64, u8, f64, f64)]) -> Vec<f64> {
        admit(&table(tasks)).unwrap().responses.iter().map(Response::response_ms).collect()
    }

    #[test]
    fn the_example_of_burns_and_wellings_gives_the_published_response_times() {
        // Burns and Wellings, "Real-Time Systems and Programming Languages": C, T = 3, 7; 3, 12; 5, 20 -> R = 3, 6, 20.
        let r = responses(&[(3.0, 7.0, 3, 0.0, 0.0), (3.0, 12.0, 2, 0.0, 0.0), (5.0, 20.0, 1, 0.0, 0.0)]);
        assert_eq!(r, [3.0, 6.0, 20.0]);
    }

    #[test]
    fn blocking_adds_and_jitter_lets_a_higher_priority_interfere_twice() {
        assert_eq!(responses(&[(2.0, 10.0, 2, 0.0, 0.0), (3.0, 20.0, 1, 0.0, 1.5)]), [2.0, 6.5]);
        // 9 ms of jitter on a period of 10: two releases within the window.
        assert_eq!(responses(&[(2.0, 10.0, 2, 9.0, 0.0), (3.0, 20.0, 1, 0.0, 0.0)]), [11.0, 7.0]);
    }

    #[test]
    fn a_deadline_beyond_the_period_is_checked_over_the_busy_period() {
        // Lehoczky 1990: C, T = 26, 70; 62, 100. The first release of the second task answers after 114, the fifth
        // after 118, the seventh ends the busy period.
        assert_eq!(responses(&[(26.0, 70.0, 2, 0.0, 0.0), (62.0, 100.0, 1, 0.0, 0.0)]), [26.0, 118.0]);
    }

    #[test]
    fn releases_bunched_by_jitter_delay_each_other() {
        // Due at 0, 10 and 20, all come at 25: done at 27, 29 and 31, so 27, 19 and 11 after they were due.
        assert_eq!(responses(&[(2.0, 10.0, 1, 25.0, 0.0)]), [27.0]);
        // And below it three come within one window: 3 × 2 + 3.
        assert_eq!(responses(&[(2.0, 10.0, 2, 19.0, 0.0), (3.0, 20.0, 1, 0.0, 0.0)]), [21.0, 9.0]);
    }

    #[test]
    fn the_shipped_table_is_admitted_within_every_budget() {
        let admission = admit(&shipped()).unwrap();
        assert_eq!(admission.responses.len(), 6);
        assert_eq!(admission.chains.len(), 7);
        assert!(admission.chains.iter().all(|c| c.bound_ms <= c.budget_ms && c.bound_ms > 0.0), "{admission:?}");
    }

    #[test]
    fn a_refusal_names_the_workload_the_term_and_the_amount() {
        let mut slow = shipped();
        let perception = slow.workloads.iter_mut().find(|w| w.name == "perception").unwrap();
        perception.levels[0].cpu_ms = 21.0;
        let e = admit(&slow).unwrap_err();
        let AdmissionError::Deadline { terms, over_ms } = &e else { panic!("{e}") };
        assert_eq!((terms.workload.as_str(), terms.largest_term()), ("perception", "cost"));
        assert!((over_ms - 1.5).abs() < 1e-9, "{e}");
        assert!(e.to_string().contains("perception") && e.to_string().contains("1.500 ms"), "{e}");

        let mut crowded = shipped();
        crowded.workloads.iter_mut().find(|w| w.name == "can").unwrap().levels[0].cpu_ms = 0.85;
        let e = admit(&crowded).unwrap_err().to_string();
        assert!(e.contains("workload can ") && e.contains("0.050 ms"), "{e}");
    }

    #[test]
    fn a_chain_over_its_budget_is_refused_and_named() {
        let mut table = shipped();
        table.capacity.hop_ms = 6.0;
        let e = admit(&table).unwrap_err();
        assert!(matches!(&e, AdmissionError::Chain { chain, .. } if chain == "evidence-to-warning"), "{e}");
    }

    #[test]
    fn an_overloaded_core_is_refused() {
        let e = admit(&table(&[(6.0, 10.0, 2, 0.0, 0.0), (5.0, 10.0, 1, 0.0, 0.0)])).unwrap_err();
        assert!(matches!(&e, AdmissionError::CoreOverloaded { workload, .. } if workload == "t1"), "{e}");
    }

    /// Runs the tasks in steps of 1 ms from the critical instant and returns the longest response of each.
    fn simulate(tasks: &[(u32, u32)]) -> Vec<u32> {
        let mut jobs: Vec<Vec<(u32, u32)>> = vec![Vec::new(); tasks.len()];
        let mut worst = vec![0; tasks.len()];
        for t in 0..3000u32 {
            for (i, &(cost, period)) in tasks.iter().enumerate() {
                if t.is_multiple_of(period) {
                    jobs[i].push((t, cost));
                }
            }
            if let Some(i) = jobs.iter().position(|j| !j.is_empty()) {
                jobs[i][0].1 -= 1;
                if jobs[i][0].1 == 0 {
                    worst[i] = worst[i].max(t + 1 - jobs[i].remove(0).0);
                }
            }
        }
        worst
    }

    proptest! {
        #[test]
        fn no_simulated_response_is_longer_than_the_bound(
            tasks in proptest::collection::vec((1u32..6, 8u32..60), 1..5),
        ) {
            let rows: Vec<_> = tasks
                .iter()
                .enumerate()
                .map(|(i, &(c, t))| (f64::from(c), f64::from(t), 90 - i as u8, 0.0, 0.0))
                .collect();
            let mut table = table(&rows);
            for (w, (_, period)) in table.workloads.iter_mut().filter(|w| w.priority.is_some()).zip(&tasks) {
                w.deadline_ms = f64::from(*period);
            }
            if let Ok(admission) = admit(&table) {
                for (bound, simulated) in admission.responses.iter().zip(simulate(&tasks)) {
                    prop_assert!(f64::from(simulated) <= bound.response_ms() + 1e-9);
                    // All released at once is the worst case, and the simulation starts with it.
                    prop_assert!((f64::from(simulated) - bound.response_ms()).abs() < 1e-9);
                }
            }
        }

        #[test]
        fn a_costlier_table_is_never_easier_to_admit(factor in 1.0f64..3.0, index in 0usize..6) {
            let mut heavier = shipped();
            let safety: Vec<String> = heavier.safety().map(|w| w.name.clone()).collect();
            let w = heavier.workloads.iter_mut().find(|w| w.name == safety[index]).unwrap();
            w.levels[0].cpu_ms *= factor;
            if let Ok(a) = admit(&heavier) {
                for (a, b) in a.chains.iter().zip(admit(&shipped()).unwrap().chains) {
                    prop_assert!(a.bound_ms >= b.bound_ms - 1e-9);
                }
            }
        }
    }
}
