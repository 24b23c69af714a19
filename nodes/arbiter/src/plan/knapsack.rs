//! The multiple-choice knapsack, solved exactly: one item of each class, each resource within its capacity, the
//! largest utility.
//!
//! Depth-first branch and bound. The bound is, for each resource alone, the linear relaxation of the rest: the items
//! of a class on the upper hull of (cost, utility), taken by efficiency over all classes (Sinha and Zoltners, "The
//! multiple-choice knapsack problem", 1979; Kellerer, Pferschy, Pisinger, "Knapsack Problems", 2004, chapter 11). The
//! smallest of these bounds holds for all resources together. All numbers are integers, so "optimal" is exact and the
//! same on every machine. A [`Search`] is run in slices of so many steps.

use crate::table::RESOURCES;

/// One item of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it takes of each resource.
    pub cost: [u64; RESOURCES],
    /// What it is worth.
    pub utility: u64,
}

/// The problem to solve.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problem {
    /// The items of each class; one of each is taken.
    pub classes: Vec<Vec<Item>>,
    /// What there is of each resource.
    pub capacity: [u64; RESOURCES],
}

/// A choice of items that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solution {
    /// Index of the item taken, for each class.
    pub choice: Vec<usize>,
    /// The sum of their utilities.
    pub utility: u64,
}

/// A step along the hull of one class: how much more cost and utility the next item has than the one before.
#[derive(Debug, Clone, Copy)]
struct Increment {
    class: usize,
    cost: u64,
    utility: u64,
}

/// The linear relaxation in one resource.
#[derive(Debug, Default)]
struct Relaxation {
    /// Steps of all classes, the most efficient first.
    steps: Vec<Increment>,
    /// Cost and utility of the cheapest items of class k and all after it.
    base: Vec<(u64, u64)>,
}

/// A search, run in slices so that something urgent never waits for its end.
#[derive(Debug)]
pub struct Search {
    problem: Problem,
    /// For each class its items, the most useful first: a good solution early cuts the rest.
    order: Vec<Vec<usize>>,
    relaxations: [Relaxation; RESOURCES],
    /// State of the depth-first search: the class to choose from next, and for each class up to it the resources left,
    /// the utility so far and how many of its items were tried.
    class: usize,
    left: Vec<[u64; RESOURCES]>,
    utility: Vec<u64>,
    tried: Vec<usize>,
    choice: Vec<usize>,
    best: Option<Solution>,
    finished: bool,
}

/// The optimum; `None` when nothing fits. Of equal optima, the first in a fixed order.
pub fn solve(problem: Problem) -> Option<Solution> {
    let mut search = Search::new(problem);
    search.run(usize::MAX);
    search.best
}

impl Search {
    /// A search that has not begun.
    pub fn new(problem: Problem) -> Self {
        let order = problem.classes.iter().map(|items| {
            let mut order: Vec<usize> = (0..items.len()).collect();
            order.sort_by_key(|&i| (std::cmp::Reverse(items[i].utility), items[i].cost, i));
            order
        });
        let classes = problem.classes.len();
        Self {
            order: order.collect(),
            relaxations: std::array::from_fn(|r| Relaxation::new(&problem.classes, r)),
            class: 0,
            left: vec![problem.capacity; classes + 1],
            utility: vec![0; classes + 1],
            tried: vec![0; classes + 1],
            choice: vec![0; classes],
            best: None,
            finished: false,
            problem,
        }
    }

    /// Continues for at most `steps` steps. Returns how many were not needed.
    pub fn run(&mut self, mut steps: usize) -> usize {
        while steps > 0 && !self.finished {
            self.step();
            steps -= 1;
        }
        steps
    }

    /// Whether the search is over, so that [`Self::best`] is the optimum.
    pub fn is_over(&self) -> bool {
        self.finished
    }

    /// The best solution so far.
    pub fn best(&self) -> Option<&Solution> {
        self.best.as_ref()
    }

    fn step(&mut self) {
        let class = self.class;
        if class == self.order.len() {
            if self.utility[class] >= self.target() {
                self.best = Some(Solution { choice: self.choice.clone(), utility: self.utility[class] });
            }
            return self.backtrack();
        }
        let k = self.tried[class];
        if k == self.order[class].len() || (k == 0 && !self.can_improve(class)) {
            return self.backtrack();
        }
        self.tried[class] += 1;
        let index = self.order[class][k];
        let (item, left) = (&self.problem.classes[class][index], self.left[class]);
        if (0..RESOURCES).all(|r| item.cost[r] <= left[r]) {
            self.choice[class] = index;
            self.left[class + 1] = std::array::from_fn(|r| left[r] - item.cost[r]);
            self.utility[class + 1] = self.utility[class] + item.utility;
            self.tried[class + 1] = 0;
            self.class += 1;
        }
    }

    fn backtrack(&mut self) {
        match self.class.checked_sub(1) {
            Some(above) => self.class = above,
            None => self.finished = true,
        }
    }

    fn target(&self) -> u64 {
        self.best.as_ref().map_or(0, |b| b.utility + 1)
    }

    fn can_improve(&self, class: usize) -> bool {
        (0..RESOURCES).all(|r| {
            let bound = self.relaxations[r].bound(class, self.left[class][r]);
            bound.is_some_and(|b| self.utility[class] + b >= self.target())
        })
    }
}

impl Relaxation {
    fn new(classes: &[Vec<Item>], resource: usize) -> Self {
        let mut relaxation = Relaxation { steps: Vec::new(), base: vec![(0, 0); classes.len() + 1] };
        for (class, items) in classes.iter().enumerate().rev() {
            let hull = upper_hull(items, resource);
            let Some(&cheapest) = hull.first() else { continue };
            let rest = relaxation.base[class + 1];
            relaxation.base[class] = (rest.0 + cheapest.0, rest.1 + cheapest.1);
            let steps = hull.windows(2).map(|w| Increment { class, cost: w[1].0 - w[0].0, utility: w[1].1 - w[0].1 });
            relaxation.steps.extend(steps);
        }
        // By falling utility/cost. Within a class the hull already has them so, hence no step is taken before the
        // one below it.
        relaxation.steps.sort_by(|a, b| {
            let (x, y) = (u128::from(a.utility) * u128::from(b.cost), u128::from(b.utility) * u128::from(a.cost));
            y.cmp(&x).then(a.class.cmp(&b.class))
        });
        relaxation
    }

    /// Upper bound of the utility of class `from` and those after it within `left`; `None` when they do not fit at all.
    fn bound(&self, from: usize, left: u64) -> Option<u64> {
        let (cost, mut utility) = self.base[from];
        let mut left = left.checked_sub(cost)?;
        for step in self.steps.iter().filter(|s| s.class >= from) {
            if step.cost > left {
                let part = u128::from(step.utility) * u128::from(left) / u128::from(step.cost);
                return Some(utility + part as u64);
            }
            left -= step.cost;
            utility += step.utility;
        }
        Some(utility)
    }
}

/// (cost, utility) of the items on the upper hull, from the cheapest up.
fn upper_hull(items: &[Item], resource: usize) -> Vec<(u64, u64)> {
    let mut points: Vec<(u64, u64)> = items.iter().map(|i| (i.cost[resource], i.utility)).collect();
    points.sort_by_key(|&(cost, utility)| (cost, std::cmp::Reverse(utility)));
    let mut hull: Vec<(u64, u64)> = Vec::new();
    for point in points {
        if hull.last().is_some_and(|last| point.1 <= last.1) {
            continue;
        }
        while let [.., a, b] = hull[..] {
            // b lies on or below the line from a to the new point.
            let (to_b, to_point) = ((b.0 - a.0, b.1 - a.1), (point.0 - a.0, point.1 - a.1));
            if u128::from(to_b.1) * u128::from(to_point.0) > u128::from(to_point.1) * u128::from(to_b.0) {
                break;
            }
            hull.pop();
        }
        hull.push(point);
    }
    hull
}

/// The optimum by exhaustive search: the reference for [`solve`] in tests and benchmarks.
pub fn exhaustive(problem: &Problem) -> Option<Solution> {
    let mut choice = vec![0; problem.classes.len()];
    let mut best: Option<Solution> = None;
    loop {
        let chosen = || problem.classes.iter().zip(&choice).map(|(items, &i)| &items[i]);
        let fits = (0..RESOURCES).all(|r| chosen().map(|i| i.cost[r]).sum::<u64>() <= problem.capacity[r]);
        let utility = chosen().map(|i| i.utility).sum();
        if fits && best.as_ref().is_none_or(|b| utility > b.utility) {
            best = Some(Solution { choice: choice.clone(), utility });
        }
        let Some(turn) = (0..choice.len()).find(|&c| choice[c] + 1 < problem.classes[c].len()) else { return best };
        choice[..turn].fill(0);
        choice[turn] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem() -> impl Strategy<Value = Problem> {
        let item = (proptest::array::uniform4(0u64..50), 0u64..60).prop_map(|(cost, utility)| Item { cost, utility });
        let classes = proptest::collection::vec(proptest::collection::vec(item, 1..5), 0..7);
        (classes, proptest::array::uniform4(0u64..200)).prop_map(|(classes, capacity)| Problem { classes, capacity })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn the_solution_fits_and_equals_exhaustive_search(p in problem()) {
            let (fast, slow) = (solve(p.clone()), exhaustive(&p));
            prop_assert_eq!(fast.as_ref().map(|s| s.utility), slow.as_ref().map(|s| s.utility));
            if let Some(s) = fast {
                let chosen: Vec<&Item> = p.classes.iter().zip(&s.choice).map(|(items, &i)| &items[i]).collect();
                prop_assert_eq!(chosen.iter().map(|i| i.utility).sum::<u64>(), s.utility);
                for r in 0..RESOURCES {
                    prop_assert!(chosen.iter().map(|i| i.cost[r]).sum::<u64>() <= p.capacity[r]);
                }
            }
        }

        #[test]
        fn the_bound_is_never_below_the_optimum(p in problem()) {
            if let Some(best) = exhaustive(&p) {
                for r in 0..RESOURCES {
                    let bound = Relaxation::new(&p.classes, r).bound(0, p.capacity[r]);
                    prop_assert!(bound.is_some_and(|b| b >= best.utility));
                }
            }
        }

        #[test]
        fn more_capacity_is_never_worse(p in problem(), more in proptest::array::uniform4(0u64..50)) {
            let wider = Problem { capacity: std::array::from_fn(|r| p.capacity[r] + more[r]), ..p.clone() };
            prop_assert!(solve(wider).map(|s| s.utility) >= solve(p).map(|s| s.utility));
        }

        #[test]
        fn the_slice_length_does_not_change_the_solution(p in problem(), slice in 1usize..20) {
            let mut search = Search::new(p.clone());
            while !search.is_over() {
                search.run(slice);
            }
            prop_assert_eq!(search.best().cloned(), solve(p));
        }
    }

    #[test]
    fn a_problem_without_solution_gives_none() {
        let item = Item { cost: [2, 0, 0, 0], utility: 5 };
        assert_eq!(solve(Problem { classes: vec![vec![item.clone()]], capacity: [1, 0, 0, 0] }), None);
        assert_eq!(solve(Problem { classes: vec![vec![item]], capacity: [2, 0, 0, 0] }).unwrap().utility, 5);
        assert_eq!(solve(Problem::default()).unwrap().choice, Vec::<usize>::new());
    }
}
