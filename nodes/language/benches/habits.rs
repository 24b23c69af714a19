//! How well the next request is foreseen:
//!
//!     cargo bench -p auriga-language --bench habits
//!
//! The drivers are **synthetic**: nobody's log is at hand. Each is drawn from a seed with the structure that [`Driver`]
//! states, none of which the model is told. It learns as it would in a car, one request after the other, and always says
//! what it expects before it sees it; the last third of each driver's requests counts. What can be known at all is
//! bounded by the noise: the last row knows the drivers' own probabilities.

use auriga_language::{
    Config, DEFAULTS,
    habits::{
        predictor::{Predictor, PredictorConfig},
        usage_history::{Circumstances, SpeedClass, UsageEntry},
    },
};
use auriga_lm::intent::catalogue::Catalogue;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

const DRIVERS: u64 = 40;
const DAYS: i64 = 120;
/// Requests of a driver that count: the last part of this many.
const HELD_OUT: usize = 3;
/// Of requests that follow no habit at all.
const NOISE: f64 = 0.15;
/// That a stretch goes on after a request.
const GOES_ON: f64 = 0.6;

/// A driver: habits by the time of day for what comes first in a drive (or after a long pause), habits for what follows
/// what, an exception to them at high speed, and a change of the first after two fifths of the time.
struct Driver {
    /// For each of the twelve time bands, and from the change on: what is asked first, with weights.
    first: [Vec<Vec<(usize, f64)>>; 2],
    /// For each operation: what follows.
    then: Vec<Vec<(usize, f64)>>,
    /// The same on motorways.
    fast: Vec<Vec<(usize, f64)>>,
}

/// A request with the probabilities of all operations that the driver drew it from.
struct Request {
    entry: UsageEntry,
    truth: Vec<f64>,
}

impl Driver {
    fn draw(rng: &mut ChaCha8Rng, ops: usize) -> Self {
        // Nobody uses all there is.
        let used: Vec<usize> = (0..ops).filter(|_| rng.random_bool(0.5)).collect();
        let mut row = |favourites: usize| -> Vec<(usize, f64)> {
            (0..favourites).map(|i| (used[rng.random_range(0..used.len())], 0.5f64.powi(i as i32))).collect()
        };
        let bands = |row: &mut dyn FnMut(usize) -> Vec<(usize, f64)>| (0..12).map(|_| row(3)).collect::<Vec<_>>();
        let before = bands(&mut row);
        let mut after = before.clone();
        // New work: the mornings of working days are others.
        (after[1], after[2]) = (row(3), row(3));
        let then: Vec<_> = (0..ops).map(|_| row(4)).collect();
        let fast = then.iter().map(|usual| if usual[0].0 % 3 == 0 { row(4) } else { usual.clone() }).collect();
        Self { first: [before, after], then, fast }
    }

    /// Two drives on working days, one at the week's end.
    fn log(&self, rng: &mut ChaCha8Rng, ops: usize, names: &[String]) -> Vec<Request> {
        let mut log = Vec::new();
        for day in 0..DAYS {
            let hours: &[i64] = if matches!(day % 7, 2 | 3) { &[11] } else { &[8, 18] };
            for hour in hours {
                let mut minute = (day * 24 + hour) * 60 + rng.random_range(-45..45);
                let (mut last, mut gap_s) = (None, None);
                for _ in 0..rng.random_range(3..12) {
                    let speed = [SpeedClass::Town, SpeedClass::Town, SpeedClass::Road, SpeedClass::Motorway]
                        [rng.random_range(0..4)];
                    let circumstances = Circumstances { minute: Some(minute), speed: Some(speed), place: None };
                    let band = usize::from(circumstances.time_band().expect("the time is known"));
                    let row = match last {
                        None => &self.first[usize::from(day > DAYS * 2 / 5)][band],
                        Some(op) if speed == SpeedClass::Motorway => &self.fast[op],
                        Some(op) => &self.then[op],
                    };
                    let total: f64 = row.iter().map(|(_, w)| w).sum();
                    let mut truth = vec![NOISE / ops as f64; ops];
                    row.iter().for_each(|(op, w)| truth[*op] += (1.0 - NOISE) * w / total);
                    let op = drawn(rng, &truth);
                    log.push(Request { entry: UsageEntry { intent: names[op].clone(), gap_s, circumstances }, truth });
                    let goes_on = rng.random_bool(GOES_ON);
                    let gap = if goes_on { rng.random_range(3..40) } else { rng.random_range(120..900) };
                    (last, gap_s) = (goes_on.then_some(op), Some(gap));
                    minute += i64::from(gap / 60);
                }
            }
        }
        log
    }
}

fn drawn(rng: &mut ChaCha8Rng, weights: &[f64]) -> usize {
    let mut left = rng.random_range(0.0..weights.iter().sum());
    weights
        .iter()
        .position(|w| {
            left -= w;
            left < 0.0
        })
        .unwrap_or(0)
}

/// Something that says how likely each operation is the next, and learns which it was.
trait Guesser {
    fn guess(&self, next: &Request) -> Vec<f64>;
    fn learn(&mut self, seen: &Request, op: usize);
}

/// How often each operation was asked for, plus one: the baseline.
struct Frequency(Vec<f64>);
impl Guesser for Frequency {
    fn guess(&self, _: &Request) -> Vec<f64> {
        self.0.clone()
    }
    fn learn(&mut self, _: &Request, op: usize) {
        self.0[op] += 1.0;
    }
}

/// How often each followed the last one, over the frequency.
struct LastOne {
    all: Vec<f64>,
    after: Vec<Vec<f64>>,
    last: usize,
}
impl Guesser for LastOne {
    fn guess(&self, _: &Request) -> Vec<f64> {
        let (n, total): (f64, f64) = (self.after[self.last].iter().sum(), self.all.iter().sum());
        self.all
            .iter()
            .zip(&self.after[self.last])
            .map(|(all, after)| (after + 2.0 * all / total) / (n + 2.0))
            .collect()
    }
    fn learn(&mut self, _: &Request, op: usize) {
        self.all[op] += 1.0;
        self.after[self.last][op] += 1.0;
        self.last = op;
    }
}

/// The node's model.
struct Ours(Predictor);
impl Guesser for Ours {
    fn guess(&self, next: &Request) -> Vec<f64> {
        let mut p = self.0.distribution(&next.entry.circumstances, next.entry.gap_s);
        // Here something always comes next.
        p.pop();
        p
    }
    fn learn(&mut self, seen: &Request, _: usize) {
        self.0.note(&seen.entry);
    }
}

/// `habits.toml` alone.
struct Untaught(Ours, PredictorConfig, Catalogue);
impl Guesser for Untaught {
    fn guess(&self, next: &Request) -> Vec<f64> {
        self.0.guess(next)
    }
    fn learn(&mut self, seen: &Request, _: usize) {
        // Only the last request is known, and it has taught nothing.
        self.0 = Ours(
            Predictor::new(&self.2, PredictorConfig { prior_weight: 1e9, half_life: 1e-3, ..self.1 }).expect("shipped"),
        );
        self.0.learn(seen, 0);
    }
}

/// The driver's own probabilities.
struct Truth;
impl Guesser for Truth {
    fn guess(&self, next: &Request) -> Vec<f64> {
        next.truth.clone()
    }
    fn learn(&mut self, _: &Request, _: usize) {}
}

#[derive(Default)]
struct Score {
    count: f64,
    first: f64,
    three: f64,
    loss: f64,
}

impl Score {
    fn take(&mut self, p: &[f64], op: usize) {
        let total: f64 = p.iter().sum();
        // Ties count as lost.
        let better = p.iter().enumerate().filter(|(i, q)| *i != op && **q >= p[op]).count();
        self.count += 1.0;
        self.first += f64::from(u8::from(better == 0));
        self.three += f64::from(u8::from(better < 3));
        self.loss -= (p[op] / total).ln();
    }
}

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let config: Config = toml::from_str(DEFAULTS)?;
    let catalogue = Catalogue::load(root.join(&config.catalogue))?;
    let habit = PredictorConfig {
        prior_weight: config.habit_prior_weight,
        half_life: config.habit_half_life,
        lead_s: config.habit_lead_s as u32,
    };
    let predictor = || Predictor::new(&catalogue, habit);
    let names = predictor()?.names().to_vec();
    let ops = names.len();
    let rows =
        ["frequency (baseline)", "after the last one", "habits.toml alone", "this model", "the drivers themselves"];
    let mut scores = rows.map(|_| Score::default());
    let (mut requests, mut nothing, mut base) = (0, Brier::default(), Brier::default());
    for seed in 0..DRIVERS {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let log = Driver::draw(&mut rng, ops).log(&mut rng, ops, &names);
        requests += log.len();
        let untaught = Untaught(Ours(predictor()?), habit, catalogue.clone());
        let mut all: [Box<dyn Guesser>; 5] = [
            Box::new(Frequency(vec![1.0; ops])),
            Box::new(LastOne { all: vec![1.0; ops], after: vec![vec![0.0; ops]; ops], last: 0 }),
            Box::new(untaught),
            Box::new(Ours(predictor()?)),
            Box::new(Truth),
        ];
        let mut alone = predictor()?;
        let (mut ended, mut seen) = (0.0, 0.0);
        for (i, request) in log.iter().enumerate() {
            let counts = i >= log.len() - log.len() / HELD_OUT;
            let op = names.iter().position(|n| *n == request.entry.intent).expect("one of them");
            for (guesser, score) in all.iter_mut().zip(&mut scores) {
                if counts {
                    score.take(&guesser.guess(request), op);
                }
                guesser.learn(request, op);
            }
            // Right after a request: will there be another within the lead?
            alone.note(&request.entry);
            if let Some(gap) = log.get(i + 1).and_then(|next| next.entry.gap_s) {
                let none = f64::from(u8::from(gap > habit.lead_s));
                if counts {
                    let p = alone.distribution(&request.entry.circumstances, Some(1));
                    nothing.take(p.last().copied().unwrap_or(0.0), none);
                    base.take(ended / f64::max(seen, 1.0), none);
                }
                (ended, seen) = (ended + none, seen + 1.0);
            }
        }
    }
    println!("{DRIVERS} synthetic drivers, {requests} requests of {ops} kinds, the last third of each driver's counts");
    println!("{:<26} {:>9} {:>9} {:>9} {:>14}", "", "requests", "top 1", "top 3", "log-loss, nats");
    for (name, s) in rows.iter().zip(&scores) {
        let percent = |v: f64| format!("{:.1} %", 100.0 * v / s.count);
        println!(
            "{name:<26} {:>9} {:>9} {:>9} {:>14.3}",
            s.count,
            percent(s.first),
            percent(s.three),
            s.loss / s.count
        );
    }
    println!(
        "\nwhether another request follows within {} s: Brier score {:.4}, of its mean {:.4}",
        habit.lead_s,
        nothing.score(),
        base.score()
    );
    Ok(())
}

/// Mean squared error of probabilities.
#[derive(Default)]
struct Brier {
    sum: f64,
    count: f64,
}

impl Brier {
    fn take(&mut self, p: f64, happened: f64) {
        self.sum += (p - happened).powi(2);
        self.count += 1.0;
    }

    fn score(&self) -> f64 {
        self.sum / self.count
    }
}
