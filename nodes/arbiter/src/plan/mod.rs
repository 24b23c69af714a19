//! Plans: for each mode the service levels with the largest utility within what the mode may use. They are computed ahead,
//! when the forecast changes; a hazard only switches from one plan to another.

mod forecast;
pub mod knapsack;
mod shortage;
mod weights;

pub(crate) use forecast::MAX_ITEMS;
pub(crate) use shortage::CpuSample;
pub(crate) use weights::UtilityWeights;

use crate::table::{Class, Level, MODES, Policy, RESOURCES, Workload, WorkloadTable};
use auriga_msgs::v1::Mode;
use knapsack::{Item, Problem, Search};

/// Utility is planned in thousandths.
const MILLI: f64 = 1e3;

/// Steps of the search in one slice of planning: a hazard that comes during a slice waits for its end.
pub const SLICE: usize = 1024;
/// Steps for one mode at most; after them the best found so far is the plan.
const MAX_STEPS: usize = 1 << 18;

/// The plan of one mode.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The mode.
    pub mode: Mode,
    /// The level of each workload, in the table's order.
    pub levels: Vec<usize>,
    /// Sum of the utilities of the workloads that are not safety, weighted by the forecast.
    pub utility: f64,
    /// Whether it is the optimum, not only the best found before the search reached its limit of steps.
    pub optimal: bool,
}

/// The plans of all modes for one set of weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Plans {
    /// In the order of [`MODES`].
    plans: Vec<Plan>,
    /// The weights they were computed with.
    pub weights: Vec<f64>,
}

impl Plans {
    /// Computes all plans at once. `weights`: on the utility of each workload, in the table's order; 1 without a forecast.
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

/// Plans under computation, slice by slice.
#[derive(Debug)]
pub struct Planner {
    weights: Vec<f64>,
    done: Vec<Plan>,
    search: Search,
    steps: usize,
}

impl Planner {
    /// Begins with the first mode; `weights` as of [`Plans::compute`].
    pub fn new(table: &WorkloadTable, weights: Vec<f64>) -> Self {
        let search = Search::new(problem(table, &weights, MODES[0]));
        Self { weights, done: Vec::new(), search, steps: 0 }
    }

    /// Does one slice of [`SLICE`] steps. Returns the plans with the last one.
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

/// What a mode leaves for the workloads that are not safety; `None` when safety alone exceeds it.
fn capacity(table: &WorkloadTable, mode: Mode) -> [Option<u64>; RESOURCES] {
    let total = table.capacity.within(table.mode.of(mode));
    let safety = sum(table.safety().filter_map(|w| w.levels.first().map(|l| w.cost(l))));
    std::array::from_fn(|r| total[r].checked_sub(safety[r]))
}

fn sum(costs: impl Iterator<Item = [u64; RESOURCES]>) -> [u64; RESOURCES] {
    costs.fold([0; RESOURCES], |a, b| std::array::from_fn(|r| a[r] + b[r]))
}

/// The knapsack problem of a mode: one class for each workload that is not safety, in the table's order.
pub fn problem(table: &WorkloadTable, weights: &[f64], mode: Mode) -> Problem {
    let limits = table.mode.of(mode);
    let planned = table.workloads.iter().enumerate().filter(|(_, w)| w.class != Class::Safety);
    let classes = planned.map(|(index, w)| {
        let policy = if w.class == Class::Assist { limits.assist } else { limits.infotainment };
        let allowed = if policy == Policy::Floor { 1 } else { w.levels.len() };
        let weight = weights.get(index).copied().unwrap_or(1.0);
        let item = |l: &Level| Item { cost: w.cost(l), utility: (l.utility * weight * MILLI).round() as u64 };
        w.levels.iter().take(allowed).map(item).collect()
    });
    Problem { classes: classes.collect(), capacity: capacity(table, mode).map(|c| c.unwrap_or(0)) }
}

fn plan(table: &WorkloadTable, search: &Search, mode: Mode, optimal: bool) -> Plan {
    // A table whose floors do not fit is refused, so there is a solution; until one is found it is the floors.
    let utility = search.best().map_or(0.0, |s| s.utility as f64 / MILLI);
    let mut choice = search.best().map(|s| s.choice.clone()).unwrap_or_default().into_iter();
    let level = |w: &Workload| if w.class == Class::Safety { 0 } else { choice.next().unwrap_or(0) };
    Plan { mode, levels: table.workloads.iter().map(level).collect(), utility, optimal }
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
    fn the_hazard_plan_stops_infotainment_and_puts_assist_on_its_floor() {
        let table = shipped();
        let plans = Plans::compute(&table, weights(&table, &[("language-dialogue", 100.0)]));
        let plan = plans.of(Mode::Hazard);
        assert!(!level(&table, plan, "language-dialogue").run);
        assert!(!level(&table, plan, "hud-decor").run);
        assert_eq!(level(&table, plan, "language-intent").name, "short-slices");
    }

    #[test]
    fn a_mode_with_less_capacity_has_less_utility_and_safety_never_changes() {
        let table = shipped();
        let plans = Plans::compute(&table, weights(&table, &[]));
        assert_eq!(level(&table, plans.of(Mode::Nominal), "language-dialogue").name, "steady");
        assert_eq!(level(&table, plans.of(Mode::Demanding), "language-dialogue").name, "brief");
        let order = [Mode::Nominal, Mode::Demanding, Mode::Limp, Mode::Hazard];
        assert!(order.map(|m| plans.of(m).utility).is_sorted_by(|a, b| a > b));
        for (index, w) in table.workloads.iter().enumerate().filter(|(_, w)| w.class == Class::Safety) {
            assert!(MODES.iter().all(|m| plans.of(*m).levels[index] == 0), "{}", w.name);
        }
    }

    #[test]
    fn a_forecast_workload_gets_a_higher_level_when_capacity_is_scarce() {
        let table = shipped();
        let plain = Plans::compute(&table, weights(&table, &[]));
        let wanted = Plans::compute(&table, weights(&table, &[("language-dialogue", 5.0)]));
        let name = |plans: &Plans| level(&table, plans.of(Mode::Demanding), "language-dialogue").name.clone();
        assert_eq!((name(&plain).as_str(), name(&wanted).as_str()), ("brief", "steady"));
    }

    #[test]
    fn no_plan_exceeds_the_capacity_of_its_mode() {
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
        fn every_plan_is_the_optimum_of_its_mode(changed in proptest::collection::vec(0.0f64..50.0, 12)) {
            let table = shipped();
            let plans = Plans::compute(&table, changed.clone());
            for mode in MODES {
                let best = exhaustive(&problem(&table, &changed, mode)).unwrap();
                prop_assert_eq!((plans.of(mode).utility * MILLI).round() as u64, best.utility);
            }
        }
    }
}
