//! `cargo bench -p auriga-arbiter`: from a hazard to the grants, and planning beside an independent optimiser (microlp,
//! branch and bound over a simplex), which has to find the same optimum. On a machine with other work to do, put
//! `chrt -f 50` before it, which is what the arbiter runs with in a car.

#[path = "../tests/suite/common/mod.rs"]
mod common;

use auriga_arbiter::{
    ArbiterNode,
    plan::knapsack::{Problem, Search, solve},
    plan::problem,
    table::{Class, Level, WorkloadTable},
};
use auriga_msgs::{CHAINS, v1::Mode};
use auriga_runtime::{Nanos, Node, Outbox};
use common::{config, demand, hazard, table, vehicle};
use std::time::{Duration, Instant};

const HAZARDS: u64 = 20_000;
/// Of each optimiser.
const ROUNDS: usize = 9;

fn main() -> anyhow::Result<()> {
    let big = many_workloads(64);
    println!("{:<48} {:>9} {:>9} {:>9} {:>9}", "us", "p50", "p99", "p99.9", "max");
    let budget_ms = CHAINS.iter().find(|c| c.name == "hazard-to-grants").map_or(0.0, |c| c.budget_ms);
    for (name, table) in [("shipped table", table()), ("64 workloads", big.clone())] {
        let (switch, tick) = hazard_to_grants(table);
        row(&format!("{name}: hazard in, grants in the outbox"), &switch);
        row(&format!("{name}: longest wait behind a planning tick"), &tick);
        let worst = switch.iter().max().copied().unwrap_or_default() + tick.iter().max().copied().unwrap_or_default();
        let part = worst.as_secs_f64() * 1e3 / budget_ms * 100.0;
        println!("{:<48} {part:>8.1} % of the budget of {budget_ms} ms", "  both at their worst");
    }
    println!("\n{:<48} {:>9} {:>9} {:>9} {:>9}", "planning one mode, us", "here p50", "microlp", "ratio", "steps");
    for (name, table) in [("shipped table, nominal", table()), ("64 workloads, nominal", big)] {
        beside_microlp(name, &table)?;
    }
    Ok(())
}

fn row(name: &str, times: &[Duration]) {
    let mut sorted = times.to_vec();
    sorted.sort();
    let at = |q: f64| sorted[((sorted.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e6;
    println!("{name:<48} {:>9.1} {:>9.1} {:>9.1} {:>9.1}", at(0.5), at(0.99), at(0.999), at(1.0));
}

/// Hazards in a drive whose forecast changes all the time: the duration of each switch and of each tick.
fn hazard_to_grants(table: WorkloadTable) -> (Vec<Duration>, Vec<Duration>) {
    let mut node = ArbiterNode::with_table(&config(), table).expect("an admitted table");
    let mut out = Outbox::default();
    let mut now = Nanos::from_millis(1000);
    let (mut switches, mut ticks) = (Vec::new(), Vec::new());
    for id in 0..HAZARDS {
        // Each forecast is another, so that each hazard finds the arbiter planning.
        let weight = 1.0 + (id % 61) as f32 / 4.0;
        node.on_input(demand(&[("language-dialogue", 1.0, weight, 60_000)]), now, &mut out);
        for _ in 0..3 {
            let begin = Instant::now();
            node.on_tick(now, &mut out);
            ticks.push(begin.elapsed());
        }
        out.take_messages();
        let begin = Instant::now();
        node.on_input(hazard(id, true, now.0, id + 1), now, &mut out);
        switches.push(begin.elapsed());
        assert_eq!(out.take_messages().len(), 1, "the grants");
        now = now + Duration::from_secs(2);
        node.on_input(hazard(id, false, now.0, id + 1), now, &mut out);
        now = now + Duration::from_secs(60);
        node.on_input(vehicle(20.0), now, &mut out);
        node.on_tick(now, &mut out);
        out.take_messages();
    }
    (switches, ticks)
}

/// The shipped table with workloads drawn at random beside it, until there are so many, on a larger machine that is
/// short of processor time.
fn many_workloads(count: usize) -> WorkloadTable {
    let mut table = table();
    let mut state = 7u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 24)
    };
    let pattern = table.workload("language-dialogue").expect("in the shipped table").clone();
    (table.capacity.cpu_cores, table.capacity.gpu, table.capacity.memory_mib) = (16.0, 8.0, 65_536);
    while table.workloads.len() < count {
        let mut w = pattern.clone();
        w.name = format!("drawn-{}", table.workloads.len());
        w.class = Class::Infotainment;
        let (mut cpu, mut gpu, mut memory, mut utility) = (0.0, 0.0, 0.0, 0.0);
        w.levels.truncate(1);
        for k in 1..5 {
            cpu += random() * 300.0;
            gpu += random() * 40.0;
            memory += random() * 400.0;
            utility += random() * 60.0 / f64::from(k);
            let name = format!("level-{k}");
            let (cpu_ms, gpu_ms, memory_mib, bandwidth_mb_per_s) = (cpu, gpu, memory as u64, 0.0);
            w.levels.push(Level {
                name,
                cpu_ms,
                gpu_ms,
                memory_mib,
                bandwidth_mb_per_s,
                utility,
                cpu_weight: 100,
                run: true,
            });
        }
        w.levels[0].memory_mib = 0;
        table.workloads.push(w);
    }
    table
}

fn beside_microlp(name: &str, table: &WorkloadTable) -> anyhow::Result<()> {
    let weights = vec![1.0; table.workloads.len()];
    let p = problem(table, &weights, Mode::Nominal);
    let mut search = Search::new(p.clone());
    let steps = usize::MAX - search.run(usize::MAX);
    let best = search.best().map(|s| s.utility);
    let (mut own, mut microlp) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        std::hint::black_box(solve(p.clone()));
        own.push(begin.elapsed());
        let begin = Instant::now();
        let other = microlp_optimum(&p)?;
        microlp.push(begin.elapsed());
        anyhow::ensure!(best == Some(other), "{name}: {best:?} here, {other} by microlp");
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1e6
    };
    let (own, microlp) = (median(&mut own), median(&mut microlp));
    println!("{name:<48} {own:>9.1} {microlp:>9.1} {:>8.1}x {steps:>9}", microlp / own);
    Ok(())
}

/// One binary variable for each item; one of each class; each resource within its capacity.
fn microlp_optimum(p: &Problem) -> anyhow::Result<u64> {
    use microlp::{ComparisonOp, LinearExpr, OptimizationDirection};
    let mut lp = microlp::Problem::new(OptimizationDirection::Maximize);
    let variables: Vec<Vec<_>> = p
        .classes
        .iter()
        .map(|items| items.iter().map(|item| lp.add_binary_var(item.utility as f64)).collect())
        .collect();
    for class in &variables {
        let mut one = LinearExpr::empty();
        class.iter().for_each(|v| one.add(*v, 1.0));
        lp.add_constraint(one, ComparisonOp::Eq, 1.0);
    }
    for r in 0..p.capacity.len() {
        let mut used = LinearExpr::empty();
        for (items, class) in p.classes.iter().zip(&variables) {
            items.iter().zip(class).for_each(|(item, v)| used.add(*v, item.cost[r] as f64));
        }
        lp.add_constraint(used, ComparisonOp::Le, p.capacity[r] as f64);
    }
    match lp.solve()? {
        microlp::SolveOutcome::Solution(solution) => Ok(solution.objective().round() as u64),
        other => anyhow::bail!("microlp found no optimum: {other:?}"),
    }
}
