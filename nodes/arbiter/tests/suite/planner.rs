//! The planner's knapsack beside an independent optimiser (microlp: branch and bound over a simplex).

use auriga_arbiter::plan::knapsack::{Item, Problem, solve};
use microlp::{ComparisonOp, LinearExpr, OptimizationDirection, SolveOutcome};

const PROBLEMS: u64 = 2000;

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % n
    }

    fn problem(&mut self) -> Problem {
        let classes: Vec<Vec<Item>> = (0..1 + self.below(8))
            .map(|_| {
                let items = 1 + self.below(5);
                (0..items)
                    .map(|_| Item { cost: std::array::from_fn(|_| self.below(50)), utility: self.below(60) })
                    .collect()
            })
            .collect();
        let scale = classes.len() as u64;
        let capacity = std::array::from_fn(|_| scale * (12 + self.below(30)));
        Problem { classes, capacity }
    }
}

/// One binary variable for each item; one of each class; each of the four resources within its capacity.
fn by_microlp(p: &Problem) -> Option<u64> {
    let mut lp = microlp::Problem::new(OptimizationDirection::Maximize);
    let mut variables = Vec::new();
    for items in &p.classes {
        let class: Vec<_> = items.iter().map(|item| lp.add_binary_var(item.utility as f64)).collect();
        let mut one = LinearExpr::empty();
        class.iter().for_each(|v| one.add(*v, 1.0));
        lp.add_constraint(one, ComparisonOp::Eq, 1.0);
        variables.push(class);
    }
    for r in 0..p.capacity.len() {
        let mut used = LinearExpr::empty();
        for (items, class) in p.classes.iter().zip(&variables) {
            items.iter().zip(class).for_each(|(item, v)| used.add(*v, item.cost[r] as f64));
        }
        lp.add_constraint(used, ComparisonOp::Le, p.capacity[r] as f64);
    }
    match lp.solve() {
        Ok(SolveOutcome::Solution(solution)) => Some(solution.objective().round() as u64),
        _ => None,
    }
}

#[test]
fn in_four_resources_the_plan_is_as_good_as_another_exact_solver_finds_it() {
    let mut random = Random(20_261);
    let mut solved = 0;
    for number in 0..PROBLEMS {
        let problem = random.problem();
        let (own, other) = (solve(problem.clone()).map(|s| s.utility), by_microlp(&problem));
        assert_eq!(own, other, "problem {number}: {problem:?}");
        solved += u64::from(own.is_some());
    }
    println!("{PROBLEMS} problems, {solved} with a solution");
    assert!(solved > PROBLEMS / 4 && solved < PROBLEMS);
}
