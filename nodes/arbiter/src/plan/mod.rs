//! Plans: for each mode the levels that are worth most within what the mode may use. Computed ahead, when the table or
//! the forecast changes; a hazard only switches from one to another.

pub mod forecast;
pub mod knapsack;

use crate::table::{Class, Level, MODES, Policy, TableError, Workload, WorkloadTable, mode_name};
use auriga_msgs::v1::Mode;
use knapsack::{Item, Problem, RESOURCES, Search};

/// CPU and GPU in millionths of a core, memory in MiB, utility in thousandths: fine enough to tell any two levels
/// apart, and integers, so that the optimum does not hang on rounding.
const MICRO: f64 = 1e6;
const MILLI: f64 = 1e3;

/// Steps of the search in one slice of planning: a hazard that comes in the middle of one waits for its end.
pub const SLICE: usize = 1024;
/// Steps for one mode at most; after them the best found so far is the plan.
const MAX_STEPS: usize = 1 << 18;

/// The levels of one mode.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub mode: Mode,
    /// For each workload of the table, in its order.
    pub levels: Vec<usize>,
    /// Of the workloads that are not safety, weighted by the forecast.
    pub utility: f64,
    /// The best of all, not only the best found before the search was cut short.
    pub optimal: bool,
}

/// All plans of one forecast.
#[derive(Debug, Clone, PartialEq)]
pub struct Plans {
    /// In the order of [`MODES`].
    plans: Vec<Plan>,
    /// The weights they were made with.
    pub weights: Vec<f64>,
}

impl Plans {
    /// `weights`: on the utility of each workload, in the table's order; 1 without a forecast.
    pub fn compute(table: &WorkloadTable, weights: Vec<f64>) -> Self {
        let mut planner = Planner::new(table, weights);
        loop {
            if let Some(plans) = planner.slice(table) {
                return plans;
            }
        }
    }

    /// The plan of a mode.
    pub fn of(&self, mode: Mode) -> &Plan {
        // MODES has every mode but Unspecified, for which nominal stands.
        self.plans.iter().find(|p| p.mode == mode).unwrap_or(&self.plans[1])
    }
}

/// Plans in the making, slice by slice.
#[derive(Debug)]
pub struct Planner {
    weights: Vec<f64>,
    done: Vec<Plan>,
    search: Search,
    steps: usize,
}

impl Planner {
    pub fn new(table: &WorkloadTable, weights: Vec<f64>) -> Self {
        let search = Search::new(problem(table, &weights, MODES[0]));
        Self { weights, done: Vec::new(), search, steps: 0 }
    }

    /// Does one slice; gives the plans with the last.
    pub fn slice(&mut self, table: &WorkloadTable) -> Option<Plans> {
        let mut budget = SLICE;
        while budget > 0 {
            let left = self.search.run(budget);
            self.steps += budget - left;
            budget = left;
            let optimal = self.search.is_over();
            if !optimal && self.steps < MAX_STEPS {
                return None;
            }
            self.done.push(plan(table, &self.search, MODES[self.done.len()], optimal));
            let Some(next) = MODES.get(self.done.len()) else {
                let (plans, weights) = (std::mem::take(&mut self.done), std::mem::take(&mut self.weights));
                return Some(Plans { plans, weights });
            };
            self.search = Search::new(problem(table, &self.weights, *next));
            self.steps = 0;
        }
        None
    }
}

/// What one level takes of the machine.
fn cost(w: &Workload, level: &Level) -> [u64; RESOURCES] {
    // Rounded up: a plan must not fit by rounding.
    [(w.cores(level) * MICRO).ceil() as u64, (w.gpu(level) * MICRO).ceil() as u64, level.memory_mib]
}

/// What a mode leaves for everything that is not safety; `None` when safety alone exceeds it.
fn capacity(table: &WorkloadTable, mode: Mode) -> [Option<u64>; RESOURCES] {
    let (c, limits) = (&table.capacity, table.mode.of(mode));
    let total = [
        (c.cpu_cores * limits.cpu * MICRO) as u64,
        (c.gpu * limits.gpu * MICRO) as u64,
        (c.memory_mib as f64 * limits.memory) as u64,
    ];
    let safety = sum(table.safety().filter_map(|w| w.levels.first().map(|l| cost(w, l))));
    std::array::from_fn(|r| total[r].checked_sub(safety[r]))
}

fn sum(costs: impl Iterator<Item = [u64; RESOURCES]>) -> [u64; RESOURCES] {
    costs.fold([0; RESOURCES], |a, b| std::array::from_fn(|r| a[r] + b[r]))
}

/// The knapsack of a mode, one class for each workload that is not safety, in the table's order.
pub fn problem(table: &WorkloadTable, weights: &[f64], mode: Mode) -> Problem {
    let limits = table.mode.of(mode);
    let bargaining = table.workloads.iter().enumerate().filter(|(_, w)| w.class != Class::Safety);
    let classes = bargaining.map(|(index, w)| {
        let policy = if w.class == Class::Assist { limits.assist } else { limits.infotainment };
        let allowed = if policy == Policy::Floor { 1 } else { w.levels.len() };
        let weight = weights.get(index).copied().unwrap_or(1.0);
        let item = |l: &Level| Item { cost: cost(w, l), utility: (l.utility * weight * MILLI).round() as u64 };
        w.levels.iter().take(allowed).map(item).collect()
    });
    Problem { classes: classes.collect(), capacity: capacity(table, mode).map(|c| c.unwrap_or(0)) }
}

fn plan(table: &WorkloadTable, search: &Search, mode: Mode, optimal: bool) -> Plan {
    // The table was refused if the floors do not fit, so there is a solution; before one is found the floors are it.
    let utility = search.best().map_or(0.0, |s| s.utility as f64 / MILLI);
    let mut choice = search.best().map(|s| s.choice.clone()).unwrap_or_default().into_iter();
    let level = |w: &Workload| if w.class == Class::Safety { 0 } else { choice.next().unwrap_or(0) };
    Plan { mode, levels: table.workloads.iter().map(level).collect(), utility, optimal }
}

/// Whether safety and the lowest levels of the rest fit into a mode: below that there is nothing to arbitrate.
pub(crate) fn floors_fit(table: &WorkloadTable, mode: Mode) -> Result<(), TableError> {
    let floors = sum(table.workloads.iter().filter_map(|w| w.levels.first().map(|l| cost(w, l))));
    let (c, limits) = (&table.capacity, table.mode.of(mode));
    let rows = [
        ("cores", floors[0] as f64 / MICRO, c.cpu_cores * limits.cpu),
        ("GPU", floors[1] as f64 / MICRO, c.gpu * limits.gpu),
        ("MiB of memory", floors[2] as f64, c.memory_mib as f64 * limits.memory),
    ];
    for (resource, needed, available) in rows {
        if needed > available + 1e-9 {
            return Err(TableError::FloorsDoNotFit { mode: mode_name(mode), resource, needed, available });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::knapsack::exhaustive;
    use super::*;
    use proptest::prelude::*;

    fn shipped() -> WorkloadTable {
        WorkloadTable::parse(include_str!("../../../../launch/workloads.toml")).unwrap()
    }

    fn weights(table: &WorkloadTable, changed: &[(&str, f64)]) -> Vec<f64> {
        let of = |w: &Workload| changed.iter().find(|(n, _)| *n == w.name).map_or(1.0, |(_, x)| *x);
        table.workloads.iter().map(of).collect()
    }

    fn level<'a>(table: &'a WorkloadTable, plan: &Plan, name: &str) -> &'a Level {
        let index = table.workloads.iter().position(|w| w.name == name).unwrap();
        &table.workloads[index].levels[plan.levels[index]]
    }

    #[test]
    fn in_a_hazard_infotainment_leaves_the_processor_and_assist_is_at_its_floor() {
        let table = shipped();
        let plans = Plans::compute(&table, weights(&table, &[("language-dialogue", 100.0)]));
        let plan = plans.of(Mode::Hazard);
        assert!(!level(&table, plan, "language-dialogue").run);
        assert!(!level(&table, plan, "hud-decor").run);
        assert_eq!(level(&table, plan, "language-intent").name, "short-slices");
    }

    #[test]
    fn a_mode_with_less_gives_less_and_safety_never_changes() {
        let table = shipped();
        let plans = Plans::compute(&table, weights(&table, &[]));
        assert_eq!(level(&table, plans.of(Mode::Nominal), "language-dialogue").name, "full");
        assert_eq!(level(&table, plans.of(Mode::Demanding), "language-dialogue").name, "brief");
        let order = [Mode::Nominal, Mode::Demanding, Mode::Limp, Mode::Hazard];
        assert!(order.map(|m| plans.of(m).utility).is_sorted_by(|a, b| a > b));
        for (index, w) in table.workloads.iter().enumerate().filter(|(_, w)| w.class == Class::Safety) {
            assert!(MODES.iter().all(|m| plans.of(*m).levels[index] == 0), "{}", w.name);
        }
    }

    #[test]
    fn what_is_forecast_gets_what_is_scarce() {
        let table = shipped();
        let plain = Plans::compute(&table, weights(&table, &[]));
        let wanted = Plans::compute(&table, weights(&table, &[("language-dialogue", 5.0)]));
        let name = |plans: &Plans| level(&table, plans.of(Mode::Demanding), "language-dialogue").name.clone();
        assert_eq!((name(&plain).as_str(), name(&wanted).as_str()), ("brief", "steady"));
    }

    #[test]
    fn a_plan_never_takes_more_than_its_mode_may() {
        let table = shipped();
        let plans = Plans::compute(&table, weights(&table, &[("recording", 9.0)]));
        for mode in MODES {
            let plan = plans.of(mode);
            let cores: f64 = table.workloads.iter().zip(&plan.levels).map(|(w, &l)| w.cores(&w.levels[l])).sum();
            assert!(cores <= table.capacity.cpu_cores * table.mode.of(mode).cpu + 1e-6, "{mode:?}: {cores}");
        }
    }

    proptest! {
        #[test]
        fn every_plan_is_the_optimum_of_its_mode(changed in proptest::collection::vec(0.0f64..50.0, 10)) {
            let table = shipped();
            let plans = Plans::compute(&table, changed.clone());
            for mode in MODES {
                let best = exhaustive(&problem(&table, &changed, mode)).unwrap();
                prop_assert_eq!((plans.of(mode).utility * MILLI).round() as u64, best.utility);
            }
        }
    }
}
