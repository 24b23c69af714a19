//! What a forecast of demand gains. One drive, simulated in four ways: demanding driving, so that little CPU is left for the
//! dialogue, and a driver who asks now and then. The same arbiter gets no demand, sees shortage in the usage messages
//! (reactive), gets demand when a question is asked (announced), or also a second before most questions, with false alarms
//! (predictive).

use crate::common::*;
use auriga_arbiter::config::ForecastSource;
use auriga_msgs::{node::ArbiterInput, v1};
use auriga_runtime::Nanos;

/// CPU time from a question to the end of its answer's first sentence.
const WORK_MS: f64 = 350.0;
/// The forecast comes this long before the question; it misses every fifth, and every fourth one is wrong.
const LEAD_MS: u64 = 1000;
const MISSED: f64 = 0.2;
const FALSE_ALARMS: f64 = 0.25;
const DRIVE_MS: u64 = 600_000;

struct Outcome {
    /// Duration of each answer, in ms.
    answers: Vec<u64>,
    /// Mean utility of everything but the dialogue, by the table.
    others: f64,
}

impl Outcome {
    fn mean(&self) -> f64 {
        self.answers.iter().sum::<u64>() as f64 / self.answers.len() as f64
    }
    fn quantile(&self, q: f64) -> u64 {
        let mut sorted = self.answers.clone();
        sorted.sort();
        sorted[((sorted.len() - 1) as f64 * q) as usize]
    }
}

/// xorshift64*: the same drive every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// When the driver asks, and when the forecast says that it will happen.
fn drive() -> (Vec<u64>, Vec<u64>) {
    let mut random = Random(20_260);
    let (mut questions, mut forecasts, mut at) = (Vec::new(), Vec::new(), 5000);
    while at < DRIVE_MS - 10_000 {
        questions.push(at / 10 * 10);
        if random.next() >= MISSED {
            forecasts.push(at / 10 * 10 - LEAD_MS);
        }
        let gap = 4000.0 - 12_000.0 * (1.0 - random.next()).ln();
        // A false alarm is half-way between two questions.
        if random.next() < FALSE_ALARMS / (1.0 - FALSE_ALARMS) * (1.0 - MISSED) {
            forecasts.push((at + gap as u64 / 2) / 10 * 10);
        }
        at += gap as u64;
    }
    (questions, forecasts)
}

fn usage_of_dialogue(now: Nanos, cpu_ms: f64) -> ArbiterInput {
    let (workload, cpu_ns) = ("language-dialogue".into(), (cpu_ms * 1e6) as u64);
    let workloads = vec![v1::WorkloadUsage { workload, cpu_ns, level: 0 }];
    ArbiterInput::Usage(
        v1::Usage { node: "language".into(), pid: 1, uptime_ns: now.0, workloads, ..Default::default() }.into(),
    )
}

fn simulate(source: ForecastSource, foresight: bool) -> Outcome {
    let (questions, mut forecasts) = drive();
    if !foresight {
        forecasts.clear();
    }
    let mut config = config();
    config.forecast.source = source;
    let table = table();
    let others: Vec<_> = table.workloads.iter().filter(|w| w.name != "language-dialogue").collect();
    let mut rig = Rig::new(&config);
    let start = rig.now;
    // (asked at, work left), the oldest first.
    let mut queue: Vec<(u64, f64)> = Vec::new();
    let (mut cpu_ms, mut answers, mut utility, mut steps) = (0.0, Vec::new(), 0.0, 0u32);
    rig.run_with(DRIVE_MS, |rig| {
        let t = rig.now.since(start).as_millis() as u64;
        rig.input(vehicle(40.0));
        if forecasts.contains(&t) {
            let probability = (1.0 - FALSE_ALARMS) as f32;
            rig.input(demand(&[("language-dialogue", probability, 6.0, LEAD_MS + 500)]));
        }
        if questions.contains(&t) {
            queue.push((t, WORK_MS));
            rig.input(demand(&[("language-dialogue", 1.0, 6.0, 5000)]));
        }
        if t.is_multiple_of(200) {
            rig.input(usage_of_dialogue(rig.now, cpu_ms));
        }
        // The dialogue runs with what it was granted, 10 ms at a time.
        let granted = grant(rig.last(), "language-dialogue");
        let mut left = if granted.run { granted.cpu_share * table.capacity.cpu_cores * 10.0 } else { 0.0 };
        while let Some((asked, work)) = queue.first_mut().filter(|_| left > 0.0) {
            let done = work.min(left);
            (*work, left, cpu_ms) = (*work - done, left - done, cpu_ms + done);
            if *work <= 0.0 {
                answers.push(t + 10 - *asked);
                queue.remove(0);
                if queue.is_empty() {
                    rig.input(demand(&[]));
                }
            }
        }
        utility += others.iter().map(|w| w.levels[grant(rig.last(), &w.name).level as usize].utility).sum::<f64>();
        steps += 1;
    });
    assert_eq!(answers.len(), questions.len());
    Outcome { answers, others: utility / f64::from(steps) }
}

#[test]
fn demand_forecasts_shorten_answers_more_than_reacting_and_cost_other_workloads_little() {
    let rows = [
        ("table alone", ForecastSource::None, false),
        ("reactive", ForecastSource::Reactive, false),
        ("announced", ForecastSource::Predictive, false),
        ("predictive", ForecastSource::Predictive, true),
    ];
    println!("{:<12} {:>9} {:>9} {:>9} {:>9}", "", "mean ms", "p50 ms", "p95 ms", "others");
    let outcomes = rows.map(|(name, source, foresight)| {
        let o = simulate(source, foresight);
        println!("{name:<12} {:>9.0} {:>9} {:>9} {:>9.2}", o.mean(), o.quantile(0.5), o.quantile(0.95), o.others);
        o
    });
    let [alone, reactive, announced, predictive] = &outcomes;
    assert!(reactive.mean() < 0.8 * alone.mean(), "the baseline is a fair one: reacting helps");
    assert!(announced.mean() < 0.95 * reactive.mean() && predictive.mean() < 0.95 * reactive.mean());
    assert!(announced.others > 0.95 * reactive.others && predictive.others > 0.9 * reactive.others);
}
