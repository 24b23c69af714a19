//! Thousands of random systems: no simulated response, no latency of a chain is longer than its bound.
//! `AURIGA_SIMULATED_SYSTEMS` sets how many.

mod random;
mod scheduler;

use auriga_arbiter::table::admission::{
    model::{Origin, System},
    response::{Bounds, analyse, stretch},
};
use random::{Random, UNIT};
use scheduler::Simulation;

const SYSTEMS: u64 = 400;
const UNTIL: u64 = 6000 * UNIT;

/// From the source of an event to the end of an activation, at most.
fn latency(system: &System, bounds: &Bounds, (thread, activation): (usize, usize)) -> u64 {
    let before = |o: &Origin| match *o {
        Origin::Source { hop, .. } => hop,
        Origin::Output { thread, activation, hop } => hop + latency(system, bounds, (thread, activation)),
    };
    let origins = &system.threads[thread].activations[activation].origins;
    origins.iter().map(before).max().unwrap_or(0) + bounds.responses[thread].total()
}

#[test]
fn no_simulated_response_or_latency_is_longer_than_its_bound() {
    let systems = std::env::var("AURIGA_SIMULATED_SYSTEMS").ok().and_then(|n| n.parse().ok()).unwrap_or(SYSTEMS);
    let (mut analysed, mut stretches) = (0, 0);
    let (mut responses, mut latencies) = (Vec::new(), Vec::new());
    for seed in 0..systems {
        let mut random = Random::new(seed);
        let (system, extra) = random.system();
        let Ok(bounds) = analyse(&system) else { continue };
        analysed += 1;
        for critical in [true, false] {
            let events: Vec<Vec<u64>> = system.sources.iter().map(|s| random.events(s, UNTIL, critical)).collect();
            let seen = Simulation::run(&system, &extra, &mut random, &events);
            for (thread, response) in seen.responses.iter().enumerate().filter(|(_, r)| **r > 0) {
                let bound = bounds.responses[thread].total();
                assert!(*response <= bound, "seed {seed}: thread {thread} took {response}, bound {bound}: {system:#?}");
                responses.push(bound as f64 / *response as f64);
                for (activation, seen) in seen.latencies[thread].iter().enumerate().filter(|(_, l)| **l > 0) {
                    let bound = latency(&system, &bounds, (thread, activation));
                    assert!(*seen <= bound, "seed {seed}: thread {thread}: latency {seen}, bound {bound}: {system:#?}");
                    latencies.push(bound as f64 / *seen as f64);
                }
            }
            for (threads, hops, took) in seen.stretches {
                stretches += 1;
                if let Some(bound) = stretch(&system, &bounds.curves, &threads, hops) {
                    assert!(took <= bound, "seed {seed}: steps {threads:?} took {took}, bound {bound}: {system:#?}");
                }
            }
        }
    }
    println!("{analysed} of {systems} random systems have bounds; {stretches} passages over several threads of a core");
    println!(
        "{:<26} {:>6} {:>6} {:>6} {:>6} {:>6} {:>8}",
        "bound / longest simulated", "min", "p10", "p50", "p90", "p99", "count"
    );
    for (name, ratios) in [("response of a thread", &mut responses), ("latency of a chain", &mut latencies)] {
        ratios.sort_by(f64::total_cmp);
        let at = |q: f64| ratios[((ratios.len() - 1) as f64 * q) as usize];
        let [min, p10, p50, p90, p99] = [0.0, 0.1, 0.5, 0.9, 0.99].map(at);
        println!("{name:<26} {min:>6.2} {p10:>6.2} {p50:>6.2} {p90:>6.2} {p99:>6.2} {:>8}", ratios.len());
        assert!(min < 1.001, "{name}: the simulation reaches no bound, so it would not notice one that is too low");
    }
    assert!(analysed > systems / 3, "only {analysed} systems could be analysed");
}
