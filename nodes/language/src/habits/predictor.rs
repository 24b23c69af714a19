//! The probability of the next request: an n-gram model of requests with back-off, by the time of day, the speed and the
//! place.
//!
//! For each context the predictor counts which request came next. Contexts go from the general to the specific: all
//! requests, those at this time, those after the last one, after the last one at this time, after the last two, after the
//! last one at this time, speed and place. The counts of each level are smoothed with the distribution of the level before
//! (Dirichlet prior, Bayesian back-off), so that rare contexts have little effect. The levels are mixed by weights that
//! follow how well each level has predicted (fixed share, Herbster and Warmuth 1998). `habits.toml` is the prior before
//! anything is known of the driver. Counts decay exponentially, because habits change.

use super::usage_history::{Circumstances, SpeedClass, UsageEntry};
use auriga_lm::intent::catalogue::{Catalogue, OUT_OF_SCOPE};
use serde::Deserialize;
use std::collections::BTreeMap;

const PRIOR: &str = include_str!("../../habits.toml");

/// Contexts that are kept; of more, the one that was not observed for the longest time is dropped.
const MAX_CONTEXTS: usize = 8192;
/// Weight of the level before, in observations.
const BACKOFF_STRENGTH: f64 = 3.0;
/// Initial weights of the levels: the uniform distribution, then one level for each kind of [`Context`]. The prior of
/// `habits.toml` is part of the fourth.
const INITIAL_WEIGHTS: [f64; 7] = [1.0, 1.0, 1.0, 8.0, 4.0, 2.0, 4.0];
/// Learning rate of the weights.
const LEARNING_RATE: f64 = 0.2;
/// Fraction of the weights that is distributed equally at each step, so that none vanishes.
const SHARE_RATE: f64 = 0.02;

/// An error in `habits.toml`. The file is part of the program; a test checks it.
#[derive(Debug, thiserror::Error)]
pub enum PriorError {
    /// Not the expected TOML.
    #[error("habits.toml: {0}")]
    Toml(#[from] toml::de::Error),
    /// A row that is invalid.
    #[error("habits.toml: after {intent}: {what}")]
    Entry {
        /// The intent of the row.
        intent: String,
        /// What is wrong with the row.
        what: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prior {
    after: BTreeMap<String, BTreeMap<String, f64>>,
}

/// The parameters of the predictor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PredictorConfig {
    /// Weight of a row of `habits.toml`, in observations.
    pub prior_weight: f64,
    /// Half-life of a count, in requests.
    pub half_life: f64,
    /// Lead time in seconds: a later request does not follow from the one before.
    pub lead_s: u32,
}

/// A request as an index into the names; the index after the last name is "no request within the lead time".
type Request = u16;

/// A context with counts of its own, from the general to the specific.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Context {
    Always,
    At(u8),
    After(Option<Request>),
    AfterAt(Option<Request>, u8),
    AfterTwo(Option<Request>, Option<Request>),
    /// After the last request, at this time, speed and place.
    Here(Option<Request>, Option<u8>, Option<SpeedClass>, Option<[i16; 2]>),
}

impl Context {
    /// The index of its level in [`INITIAL_WEIGHTS`].
    fn level(&self) -> usize {
        match self {
            Self::Always => 1,
            Self::At(_) => 2,
            Self::After(_) => 3,
            Self::AfterAt(..) => 4,
            Self::AfterTwo(..) => 5,
            Self::Here(..) => 6,
        }
    }
}

/// The counts of the next requests in one context.
#[derive(Debug, Clone, Default)]
struct Row {
    /// Number of the request at which the counts were updated last.
    at: u64,
    next: BTreeMap<Request, f64>,
}

/// The model of one driver.
#[derive(Debug)]
pub struct Predictor {
    names: Vec<String>,
    prior: BTreeMap<Request, BTreeMap<Request, f64>>,
    habit: PredictorConfig,
    rows: BTreeMap<Context, Row>,
    /// Weights of the levels; their sum is constant.
    weights: [f64; INITIAL_WEIGHTS.len()],
    /// Number of requests so far.
    count: u64,
    /// The last request and the one before it, as far as each followed within the lead time.
    last: [Option<Request>; 2],
}

impl Predictor {
    /// A predictor that knows only the prior.
    ///
    /// # Errors
    /// When `habits.toml` does not fit the catalogue.
    pub fn new(catalogue: &Catalogue, habit: PredictorConfig) -> Result<Self, PriorError> {
        let Prior { after } = toml::from_str(PRIOR)?;
        let names = catalogue.intents().iter().map(|i| i.name.clone()).filter(|n| n != OUT_OF_SCOPE).collect();
        let mut predictor = Self {
            names,
            prior: BTreeMap::new(),
            habit,
            rows: BTreeMap::new(),
            weights: INITIAL_WEIGHTS,
            count: 0,
            last: [None; 2],
        };
        for (intent, next) in after {
            let fail = |what: String| PriorError::Entry { intent: intent.clone(), what };
            let op = |name: &str| predictor.index(name).ok_or_else(|| fail(format!("the catalogue has no {name}")));
            let sum: f64 = next.values().sum();
            if !next.values().all(|p| (0.0..=1.0).contains(p)) || sum > 1.0 {
                return Err(fail(format!("the probabilities sum to {sum}: expected 0 to 1 each, at most 1 in total")));
            }
            let next = next.iter().map(|(name, p)| Ok((op(name)?, *p))).collect::<Result<_, PriorError>>()?;
            let of = op(&intent)?;
            predictor.prior.insert(of, next);
        }
        Ok(predictor)
    }

    /// The names of the requests, by index.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Learns a request. An intent that is not in the catalogue is ignored.
    pub fn observe(&mut self, entry: &UsageEntry) {
        let Some(op) = self.index(&entry.intent) else { return };
        self.count += 1;
        if !self.follows(entry.gap_s) {
            if entry.gap_s.is_some() && self.last[0].is_some() {
                self.count_next(self.none(), &entry.circumstances);
            }
            self.last = [None; 2];
        }
        self.count_next(op, &entry.circumstances);
        self.last = [Some(op), self.last[0]];
    }

    /// The probability of each request to be the next; the last value is the probability of none within the lead time.
    /// `since_last_s`: seconds since the last request; `None` if this drive had none.
    pub fn distribution(&self, now: &Circumstances, since_last_s: Option<u32>) -> Vec<f64> {
        let last = if self.follows(since_last_s) { self.last } else { [None; 2] };
        let levels = self.levels(last, now);
        let total: f64 = levels.iter().map(|(level, _)| self.weights[*level]).sum();
        let mixed = |i: usize| levels.iter().map(|(level, p)| self.weights[*level] * p[i]).sum::<f64>() / total;
        (0..=self.names.len()).map(mixed).collect()
    }

    /// The distribution of each level that exists, from the general to the specific, with the index of its weight.
    fn levels(&self, last: [Option<Request>; 2], now: &Circumstances) -> Vec<(usize, Vec<f64>)> {
        let outcomes = self.names.len() + 1;
        let mut p = vec![1.0 / outcomes as f64; outcomes];
        let mut levels = vec![(0, p.clone())];
        for context in contexts(last, now) {
            let mut weight = BACKOFF_STRENGTH;
            if let Context::After(Some(op)) = context
                && let Some(prior) = self.prior.get(&op)
            {
                // The rest of the probability is distributed as in the level before.
                let rest = 1.0 - prior.values().sum::<f64>();
                p.iter_mut().for_each(|p| *p *= rest);
                prior.iter().for_each(|(op, prior)| p[usize::from(*op)] += prior);
                weight = self.habit.prior_weight;
            }
            if let Some(row) = self.rows.get(&context) {
                let decay = self.decay(row);
                let total = weight + row.next.values().sum::<f64>() * decay;
                if total > 0.0 {
                    p.iter_mut().for_each(|p| *p *= weight / total);
                    row.next.iter().for_each(|(op, n)| p[usize::from(*op)] += n * decay / total);
                }
            }
            levels.push((context.level(), p.clone()));
        }
        levels
    }

    /// At most `max` requests of at least the probability `min`, the most likely first.
    pub fn likely(&self, now: &Circumstances, since_last_s: Option<u32>, max: usize, min: f64) -> Vec<(&str, f64)> {
        let p = self.distribution(now, since_last_s);
        let mut likely: Vec<(&str, f64)> = self.names.iter().map(String::as_str).zip(p).collect();
        // The sort is stable: equal probabilities stay in the catalogue's order.
        likely.sort_by(|a, b| b.1.total_cmp(&a.1));
        likely.retain(|(_, p)| *p >= min);
        likely.truncate(max);
        likely
    }

    fn index(&self, name: &str) -> Option<Request> {
        self.names.iter().position(|n| n == name).and_then(|i| Request::try_from(i).ok())
    }

    fn none(&self) -> Request {
        Request::try_from(self.names.len()).unwrap_or(Request::MAX)
    }

    fn follows(&self, gap_s: Option<u32>) -> bool {
        gap_s.is_some_and(|gap| gap <= self.habit.lead_s)
    }

    /// The decay of the counts of a row since its last update.
    fn decay(&self, row: &Row) -> f64 {
        (-((self.count - row.at) as f64) / self.habit.half_life).exp2()
    }

    /// Updates the weights of the levels by the probability that each gave to the request that came.
    fn update_weights(&mut self, next: Request, now: &Circumstances) {
        let levels = self.levels(self.last, now);
        let total: f64 = levels.iter().map(|(level, _)| self.weights[*level]).sum();
        let scored: Vec<(usize, f64)> = levels
            .iter()
            .map(|(level, p)| (*level, self.weights[*level] * p[usize::from(next)].max(1e-9).powf(LEARNING_RATE)))
            .collect();
        let after: f64 = scored.iter().map(|(_, weight)| weight).sum();
        let shared = SHARE_RATE * total / scored.len() as f64;
        for (level, weight) in scored {
            self.weights[level] = (1.0 - SHARE_RATE) * total * weight / after + shared;
        }
    }

    fn count_next(&mut self, next: Request, now: &Circumstances) {
        self.update_weights(next, now);
        for context in contexts(self.last, now) {
            let mut row = self.rows.remove(&context).unwrap_or_default();
            let decay = self.decay(&row);
            row.next.values_mut().for_each(|n| *n *= decay);
            row.at = self.count;
            *row.next.entry(next).or_default() += 1.0;
            if self.rows.len() >= MAX_CONTEXTS
                && let Some(oldest) = self.rows.iter().min_by_key(|(_, row)| row.at).map(|(context, _)| *context)
            {
                self.rows.remove(&oldest);
            }
            self.rows.insert(context, row);
        }
    }
}

/// The contexts of the next request, from the general to the specific.
fn contexts([last, before]: [Option<Request>; 2], now: &Circumstances) -> impl Iterator<Item = Context> {
    let time = now.time_band();
    [
        Some(Context::Always),
        time.map(Context::At),
        Some(Context::After(last)),
        time.map(|time| Context::AfterAt(last, time)),
        before.map(|before| Context::AfterTwo(last, Some(before))),
        Some(Context::Here(last, time, now.speed, now.place)),
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HABIT: PredictorConfig = PredictorConfig { prior_weight: 4.0, half_life: 500.0, lead_s: 60 };

    fn catalogue() -> Catalogue {
        Catalogue::load(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/language/intents.toml")).unwrap()
    }

    fn predictor() -> Predictor {
        Predictor::new(&catalogue(), HABIT).unwrap()
    }

    fn entry(intent: &str, gap_s: Option<u32>, hour: i64) -> UsageEntry {
        let circumstances = at(hour);
        UsageEntry { intent: intent.into(), gap_s, circumstances }
    }

    /// On a Monday.
    fn at(hour: i64) -> Circumstances {
        Circumstances { minute: Some((4 * 24 + hour) * 60), ..Default::default() }
    }

    fn first(p: &Predictor, hour: i64, since: Option<u32>) -> (String, f64) {
        let (name, p) = p.likely(&at(hour), since, 1, 0.0)[0];
        (name.to_owned(), p)
    }

    #[test]
    fn observed_habits_outweigh_the_prior() {
        let mut p = predictor();
        p.observe(&entry("range_query", None, 8));
        let (name, probability) = first(&p, 8, Some(1));
        assert!(name == "find_charging" && (0.3..0.45).contains(&probability), "{name} {probability}");
        for _ in 0..8 {
            p.observe(&entry("weather", Some(5), 8));
            p.observe(&entry("range_query", Some(5), 8));
        }
        let (name, probability) = first(&p, 8, Some(1));
        assert!(name == "weather" && probability > 0.5, "{name} {probability}");
    }

    #[test]
    fn habits_depend_on_the_time_of_day() {
        let mut p = predictor();
        for _ in 0..10 {
            p.observe(&entry("navigate_to", None, 8));
            p.observe(&entry("play_music", None, 19));
        }
        assert_eq!(first(&p, 9, None).0, "navigate_to");
        assert_eq!(first(&p, 20, None).0, "play_music");
    }

    #[test]
    fn a_request_after_the_lead_time_does_not_follow_from_the_last() {
        let mut p = predictor();
        for _ in 0..20 {
            p.observe(&entry("call", None, 8));
            p.observe(&entry("weather", Some(600), 8));
        }
        p.observe(&entry("call", None, 8));
        let none = *p.distribution(&at(8), Some(1)).last().unwrap();
        assert!(none > 0.5, "{none}");
        let long_after = *p.distribution(&at(8), Some(61)).last().unwrap();
        assert!(long_after < 0.3, "after the lead time the last request has no effect: {long_after}");
    }

    #[test]
    fn old_habits_decay() {
        let mut p = Predictor::new(&catalogue(), PredictorConfig { half_life: 10.0, ..HABIT }).unwrap();
        (0..100).for_each(|_| p.observe(&entry("call", None, 8)));
        (0..20).for_each(|_| p.observe(&entry("weather", None, 8)));
        assert_eq!(first(&p, 8, None).0, "weather");
    }

    #[test]
    fn an_intent_that_is_not_in_the_catalogue_is_ignored() {
        let mut p = predictor();
        p.observe(&entry("fly_to_the_moon", None, 8));
        assert_eq!((p.count, p.rows.len()), (0, 0));
    }

    #[test]
    fn the_number_of_contexts_is_bounded() {
        let mut p = predictor();
        for i in 0..3000i16 {
            let circumstances = Circumstances { place: Some([i, i]), ..at(i64::from(i % 24)) };
            p.observe(&UsageEntry { intent: p.names[i as usize % 7].clone(), gap_s: None, circumstances });
            assert!(p.rows.len() <= MAX_CONTEXTS);
        }
        // New places fill the table up to its bound and not further.
        for i in 0..9000i32 {
            let circumstances = Circumstances { place: Some([(i % 180) as i16, (i / 180) as i16 + 10_000]), ..at(8) };
            p.observe(&UsageEntry { intent: "call".into(), gap_s: None, circumstances });
        }
        assert_eq!(p.rows.len(), MAX_CONTEXTS);
        assert_eq!(first(&p, 8, None).0, "call");
    }

    proptest! {
        #[test]
        fn the_distribution_sums_to_one(
            ops in prop::collection::vec((0usize..38, any::<Option<u32>>(), any::<Option<i64>>(), any::<Option<[i16; 2]>>()), 0..100),
            prior_weight in 0.0..20.0f64,
            half_life in 1.0..1000.0f64,
        ) {
            let mut p = Predictor::new(&catalogue(), PredictorConfig { prior_weight, half_life, lead_s: 60 }).unwrap();
            for (op, gap_s, minute, place) in ops {
                let circumstances = Circumstances { minute, place, speed: None };
                p.observe(&UsageEntry { intent: p.names[op].clone(), gap_s, circumstances });
                let all = p.distribution(&circumstances, gap_s);
                let sum: f64 = all.iter().sum();
                prop_assert!((sum - 1.0).abs() < 1e-9 && all.iter().all(|p| (0.0..=1.0 + 1e-9).contains(p)), "{}", sum);
            }
        }
    }
}
