//! How well the next request is predicted:
//!
//!     cargo bench -p auriga-language --bench habits
//!
//! The drivers are **synthetic**, because no logs of real drivers are available. Each is drawn from a seed with the
//! structure of [`Driver`], which the predictor does not know. The predictor learns as in a car, one request after the
//! other, and predicts each request before it sees it; the last third of each driver's requests is scored. The noise limits
//! what can be predicted: the last row uses the probabilities of the drivers themselves.

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
/// The last of this many parts of a driver's requests is scored.
const HELD_OUT: usize = 3;
/// The fraction of requests that follow no habit.
const NOISE: f64 = 0.15;
/// The probability that another request follows within the lead time.
const CONTINUES: f64 = 0.6;

/// A driver: habits by the time of day for what comes first in a drive (or after a long pause), habits for what follows
/// what, an exception to them at high speed, and a change of the first after two fifths of the time.
struct Driver {
    /// The first requests with weights for each of the twelve time bands, before and after the change.
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
        // A driver uses half of the requests.
        let used: Vec<usize> = (0..ops).filter(|_| rng.random_bool(0.5)).collect();
        let mut row = |favourites: usize| -> Vec<(usize, f64)> {
            (0..favourites).map(|i| (used[rng.random_range(0..used.len())], 0.5f64.powi(i as i32))).collect()
        };
        let bands = |row: &mut dyn FnMut(usize) -> Vec<(usize, f64)>| (0..12).map(|_| row(3)).collect::<Vec<_>>();
        let before = bands(&mut row);
        let mut after = before.clone();
        // A new job: other requests in the mornings of working days.
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
                    let continues = rng.random_bool(CONTINUES);
                    let gap = if continues { rng.random_range(3..40) } else { rng.random_range(120..900) };
                    (last, gap_s) = (continues.then_some(op), Some(gap));
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

/// A model of the next request.
trait Model {
    fn guess(&self, next: &Request) -> Vec<f64>;
    fn learn(&mut self, seen: &Request, op: usize);
}

/// The frequency of each request, plus one: the baseline.
struct Frequency(Vec<f64>);
impl Model for Frequency {
    fn guess(&self, _: &Request) -> Vec<f64> {
        self.0.clone()
    }
    fn learn(&mut self, _: &Request, op: usize) {
        self.0[op] += 1.0;
    }
}

/// The frequency of each request after the last one, smoothed with its frequency.
struct LastOne {
    all: Vec<f64>,
    after: Vec<Vec<f64>>,
    last: usize,
}
impl Model for LastOne {
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

/// The predictor of the node.
struct NodePredictor(Predictor);
impl Model for NodePredictor {
    fn guess(&self, next: &Request) -> Vec<f64> {
        let mut p = self.0.distribution(&next.entry.circumstances, next.entry.gap_s);
        // A next request always exists here.
        p.pop();
        p
    }
    fn learn(&mut self, seen: &Request, _: usize) {
        self.0.observe(&seen.entry);
    }
}

/// `habits.toml` alone.
struct PriorOnly(NodePredictor, PredictorConfig, Catalogue);
impl Model for PriorOnly {
    fn guess(&self, next: &Request) -> Vec<f64> {
        self.0.guess(next)
    }
    fn learn(&mut self, seen: &Request, _: usize) {
        // The last request is known, but nothing is learned from it.
        self.0 = NodePredictor(
            Predictor::new(&self.2, PredictorConfig { prior_weight: 1e9, half_life: 1e-3, ..self.1 }).expect("shipped"),
        );
        self.0.learn(seen, 0);
    }
}

/// The driver's own probabilities.
struct Truth;
impl Model for Truth {
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
        // Ties count as wrong.
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
    let habit = config.predictor();
    let predictor = || Predictor::new(&catalogue, habit);
    let names = predictor()?.names().to_vec();
    let ops = names.len();
    let rows =
        ["frequency (baseline)", "after the last one", "habits.toml alone", "the predictor", "the drivers themselves"];
    let mut scores = rows.map(|_| Score::default());
    let (mut requests, mut nothing, mut base) = (0, Brier::default(), Brier::default());
    for seed in 0..DRIVERS {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let log = Driver::draw(&mut rng, ops).log(&mut rng, ops, &names);
        requests += log.len();
        let prior_only = PriorOnly(NodePredictor(predictor()?), habit, catalogue.clone());
        let mut all: [Box<dyn Model>; 5] = [
            Box::new(Frequency(vec![1.0; ops])),
            Box::new(LastOne { all: vec![1.0; ops], after: vec![vec![0.0; ops]; ops], last: 0 }),
            Box::new(prior_only),
            Box::new(NodePredictor(predictor()?)),
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
            // Right after a request: does another one follow within the lead time?
            alone.observe(&request.entry);
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
    println!(
        "{DRIVERS} synthetic drivers, {requests} requests of {ops} kinds, the last third of each driver's is scored"
    );
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
