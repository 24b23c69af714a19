//! The analysis in words: sources, threads, chains, terms and slack.

use super::{
    Admission,
    curve::{Ns, Source, ms},
    error::{AdmissionError, ChainBound},
    machine::Machine,
    response::Response,
};
use crate::table::types::WorkloadTable;
use std::{
    collections::BTreeSet,
    fmt::{self, Display, Write},
};

/// Window in which the text says how many events come and what a core needs.
const WINDOW: Ns = 10_000_000;
const SECOND: Ns = 1_000_000_000;

/// Chains with their bounds, in a line each.
pub fn chains(admission: &Admission) -> String {
    let mut text = String::new();
    for chain in &admission.chains {
        line(&mut text, format_args!("{}", row(chain, chain.bound_ms)));
    }
    for age in &admission.ages {
        line(&mut text, format_args!("{}", row(age, age.age_ms.unwrap_or(age.bound_ms))));
    }
    text
}

/// Everything: what activates what, the terms of each thread, each step of each chain.
pub fn all(table: &WorkloadTable, admission: &Admission) -> String {
    let mut text = String::from("sources\n");
    for source in &admission.model.system.sources {
        line(&mut text, format_args!("  {}", described(source)));
    }
    threads(&mut text, admission);
    text.push_str("chains: latency from end to end, and its budget\n");
    for chain in &admission.chains {
        line(&mut text, format_args!("  {}", row(chain, chain.bound_ms)));
        steps(&mut text, chain);
        if let Some(age) = chain.age_ms {
            line(&mut text, format_args!("    reaction to a change, and age until replaced: {age:.3} ms"));
        }
    }
    for (name, why) in table.chains.iter().filter_map(|c| Some((&c.name, c.not_analysed.as_ref()?))) {
        line(&mut text, format_args!("  {name:<24} not analysed: {why}"));
    }
    if !admission.ages.is_empty() {
        text.push_str("ages: from a measurement until something newer is shown, and its limit\n");
    }
    for age in &admission.ages {
        line(&mut text, format_args!("  {}", row(age, age.age_ms.unwrap_or(age.bound_ms))));
        steps(&mut text, age);
    }
    text
}

/// The machine, and what stands against the table on it or weakens the result.
pub fn machine(machine: &Machine) -> String {
    let list = |cores: &BTreeSet<u32>| {
        let numbers: Vec<String> = cores.iter().map(u32::to_string).collect();
        if numbers.is_empty() { "none".to_owned() } else { numbers.join(", ") }
    };
    let throttling = match machine.rt_runtime_us {
        Some(us) => format!("real time at most {us} of {} us", machine.rt_period_us),
        None => "real time is not throttled".into(),
    };
    format!(
        "machine: {}; cores online {}, allowed {}, isolated {}; {throttling}{}\n",
        machine.name,
        list(&machine.online),
        list(&machine.allowed),
        list(&machine.isolated),
        if machine.preempt_rt { "; PREEMPT_RT" } else { "" }
    )
}

/// All that stands against a table, in a line each.
pub fn refusals(refusals: &[AdmissionError]) -> String {
    refusals.iter().map(|r| format!("{r}\n")).collect()
}

fn line(text: &mut String, what: fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{what}");
}

fn row(chain: &ChainBound, worst_ms: f64) -> impl Display {
    let (name, budget_ms) = (&chain.chain, chain.budget_ms);
    let accepted = chain.accepted_ms.map_or(String::new(), |ms| format!(", NOT SHOWN, accepted up to {ms:.1} ms"));
    format!("{name:<24} {worst_ms:>9.3} of {budget_ms:>8.3} ms, slack {:>9.3} ms{accepted}", budget_ms - worst_ms)
}

fn steps(text: &mut String, chain: &ChainBound) {
    for step in &chain.steps {
        let way = if step.wait_ms > 0.0 {
            format!("waits {:.3} for its next activation, then", step.wait_ms)
        } else {
            format!("hop {:.3} +", step.hop_ms)
        };
        let (thread, on) = (&step.thread, &step.on);
        line(text, format_args!("    {thread:<22} on {on:<28} {way} {}", terms(&step.response)));
    }
}

fn terms(r: &Response) -> String {
    let parts = [
        ("release", r.release),
        ("blocking", r.blocking),
        ("interference", r.interference),
        ("queued", r.queued),
        ("cost", r.cost),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(_, v)| *v > 0).map(|(name, v)| format!("{name} {:.3}", ms(*v))).collect();
    format!("{:.3} ({})", ms(r.total()), parts.join(" + "))
}

fn described(source: &Source) -> String {
    let streams: Vec<String> = source
        .streams
        .iter()
        .map(|s| {
            let burst = if s.burst > 1 {
                format!(", {} in a row {:.2} ms apart", s.burst, ms(s.distance))
            } else {
                String::new()
            };
            let jitter = if s.jitter > 0 { format!(" +{:.1}", ms(s.jitter)) } else { String::new() };
            let count = if s.count > 1 { format!("{} x ", s.count) } else { String::new() };
            format!("{count}{:.1}{jitter} ms{burst}", ms(s.period))
        })
        .collect();
    let apart =
        if source.distance > 0 { format!("; {:.2} ms apart at least", ms(source.distance)) } else { String::new() };
    format!(
        "{:<20} {:>6.1}/s, at most {:>3} in 10 ms: {}{apart}",
        source.name,
        source.rate_hz(),
        source.most(WINDOW),
        streams.join(" or ")
    )
}

fn threads(text: &mut String, admission: &Admission) {
    let system = &admission.model.system;
    let cores: BTreeSet<u32> = system.threads.iter().map(|t| t.core).collect();
    for core in cores {
        line(
            text,
            format_args!(
                "core {core}: at most {:.1} ms in 10 ms, {:.0} ms in a second",
                ms(admission.demand(core, WINDOW)),
                ms(admission.demand(core, SECOND))
            ),
        );
        let on_core = system.threads.iter().zip(&admission.bounds.responses).filter(|(t, _)| t.core == core);
        let mut rows: Vec<_> = on_core.collect();
        rows.sort_by_key(|(t, _)| std::cmp::Reverse(t.priority));
        for (t, r) in rows {
            let deadline =
                t.deadline.map_or(String::new(), |d| format!(" of {:.3}, slack {:.3}", ms(d), ms(d) - ms(r.total())));
            line(text, format_args!("  {:>2} {:<22} {}{deadline}", t.priority, t.name, terms(r)));
        }
    }
}
