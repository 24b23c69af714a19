//! What the driver will ask for next: a small model of which operation follows which, by the time of day, the speed and
//! the place.
//!
//! For each context it counts what came next, and contexts back off from the general to the particular: all operations,
//! those at this time, those after the last one, after the last one at this time, after the last two, after the last one
//! here and now. Each level is its own counts over the level before (a Dirichlet prior: Bayesian back-off), so that a
//! context seen twice says little and one seen often says all. How deep this driver's habits go is learnt as well: the
//! levels are mixed with weights that follow how well each has foretold (fixed share, Herbster and Warmuth 1998).
//! `habits.toml` stands in for a driver nobody knows yet. Counts fade: habits change.

use crate::habits::usage_history::{Circumstances, SpeedClass, UsageEntry};
use auriga_lm::catalogue::{Catalogue, OUT_OF_SCOPE};
use serde::Deserialize;
use std::collections::BTreeMap;

const PRIOR: &str = include_str!("../../habits.toml");

/// Contexts remembered at most; the one not seen for the longest is forgotten.
const MAX_CONTEXTS: usize = 8192;
/// Observations that the level before is worth, against a level's own counts.
const BACKOFF_STRENGTH: f64 = 3.0;
/// Nothing known, and a level for each kind of [`Context`]: the weight each begins with. The prior comes in at the fourth.
const INITIAL_WEIGHTS: [f64; 7] = [1.0, 1.0, 1.0, 8.0, 4.0, 2.0, 4.0];
/// How quickly the weights follow, and the share of them that is dealt out anew each time, so that none is lost for good.
const LEARNING_RATE: f64 = 0.2;
const SHARE_RATE: f64 = 0.02;

/// `habits.toml` is the project's own: what is wrong with it is found by a test and told at start.
#[derive(Debug, thiserror::Error)]
pub enum PriorError {
    #[error("habits.toml: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("habits.toml: after {intent}: {what}")]
    Entry { intent: String, what: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prior {
    after: BTreeMap<String, BTreeMap<String, f64>>,
}

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PredictorConfig {
    /// Observations that a row of `habits.toml` is worth.
    pub prior_weight: f64,
    /// After this many operations a count is worth half.
    pub half_life: f64,
    /// What comes later than this after an operation does not follow from it.
    pub lead_s: u32,
}

/// An operation as an index into the names; one more is "nothing within the lead".
type Op = u16;

/// What is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Context {
    Always,
    At(u8),
    After(Option<Op>),
    AfterAt(Option<Op>, u8),
    AfterTwo(Option<Op>, Option<Op>),
    Here(Option<Op>, Option<u8>, Option<SpeedClass>, Option<[i16; 2]>),
}

impl Context {
    /// Which of [`INITIAL_WEIGHTS`] is its level's.
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

/// What came next in one context, as of operation number `at`.
#[derive(Debug, Clone, Default)]
struct Row {
    at: u64,
    next: BTreeMap<Op, f64>,
}

/// The model.
#[derive(Debug)]
pub struct Predictor {
    names: Vec<String>,
    prior: BTreeMap<Op, BTreeMap<Op, f64>>,
    habit: PredictorConfig,
    rows: BTreeMap<Context, Row>,
    /// Of the levels; their sum stays the same.
    weights: [f64; INITIAL_WEIGHTS.len()],
    /// Operations so far.
    count: u64,
    /// The last operation and the one before it, of this stretch.
    last: [Option<Op>; 2],
}

impl Predictor {
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
            let op = |name: &str| predictor.op(name).ok_or_else(|| fail(format!("the catalogue has no {name}")));
            let sum: f64 = next.values().sum();
            if !next.values().all(|p| (0.0..=1.0).contains(p)) || sum > 1.0 {
                return Err(fail(format!("probabilities that sum to {sum}: expected 0 to 1 each, 1 at most in all")));
            }
            let next = next.iter().map(|(name, p)| Ok((op(name)?, *p))).collect::<Result<_, PriorError>>()?;
            let of = op(&intent)?;
            predictor.prior.insert(of, next);
        }
        Ok(predictor)
    }

    /// Operations that are told apart, by index.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The driver asked for this. An intent of another catalogue's is passed over.
    pub fn note(&mut self, entry: &UsageEntry) {
        let Some(op) = self.op(&entry.intent) else { return };
        self.count += 1;
        if !self.follows(entry.gap_s) {
            if entry.gap_s.is_some() && self.last[0].is_some() {
                self.observe(self.nothing(), &entry.circumstances);
            }
            self.last = [None; 2];
        }
        self.observe(op, &entry.circumstances);
        self.last = [Some(op), self.last[0]];
    }

    /// How likely each operation is the next, and that there is none within the lead: the last of all. `since_last_s`:
    /// since the operation before; `None` in a drive without any.
    pub fn distribution(&self, now: &Circumstances, since_last_s: Option<u32>) -> Vec<f64> {
        let last = if self.follows(since_last_s) { self.last } else { [None; 2] };
        let levels = self.levels(last, now);
        let total: f64 = levels.iter().map(|(level, _)| self.weights[*level]).sum();
        let mixed = |i: usize| levels.iter().map(|(level, p)| self.weights[*level] * p[i]).sum::<f64>() / total;
        (0..=self.names.len()).map(mixed).collect()
    }

    /// What each level says that there is, from the general to the particular.
    fn levels(&self, last: [Option<Op>; 2], now: &Circumstances) -> Vec<(usize, Vec<f64>)> {
        let outcomes = self.names.len() + 1;
        let mut p = vec![1.0 / outcomes as f64; outcomes];
        let mut levels = vec![(0, p.clone())];
        for context in contexts(last, now) {
            let mut weight = BACKOFF_STRENGTH;
            if let Context::After(Some(op)) = context
                && let Some(prior) = self.prior.get(&op)
            {
                // What the prior says nothing of stays as the level before has it.
                let rest = 1.0 - prior.values().sum::<f64>();
                p.iter_mut().for_each(|p| *p *= rest);
                prior.iter().for_each(|(op, prior)| p[usize::from(*op)] += prior);
                weight = self.habit.prior_weight;
            }
            if let Some(row) = self.rows.get(&context) {
                let fade = self.fade(row);
                let total = weight + row.next.values().sum::<f64>() * fade;
                if total > 0.0 {
                    p.iter_mut().for_each(|p| *p *= weight / total);
                    row.next.iter().for_each(|(op, n)| p[usize::from(*op)] += n * fade / total);
                }
            }
            levels.push((context.level(), p.clone()));
        }
        levels
    }

    /// The likeliest operations, likeliest first, as far as they reach `least`.
    pub fn likely(&self, now: &Circumstances, since_last_s: Option<u32>, most: usize, least: f64) -> Vec<(&str, f64)> {
        let p = self.distribution(now, since_last_s);
        let mut likely: Vec<(&str, f64)> = self.names.iter().map(String::as_str).zip(p).collect();
        // The sort is stable: equal probabilities stay in the catalogue's order.
        likely.sort_by(|a, b| b.1.total_cmp(&a.1));
        likely.retain(|(_, p)| *p >= least);
        likely.truncate(most);
        likely
    }

    fn op(&self, name: &str) -> Option<Op> {
        self.names.iter().position(|n| n == name).and_then(|i| Op::try_from(i).ok())
    }

    fn nothing(&self) -> Op {
        Op::try_from(self.names.len()).unwrap_or(Op::MAX)
    }

    fn follows(&self, gap_s: Option<u32>) -> bool {
        gap_s.is_some_and(|gap| gap <= self.habit.lead_s)
    }

    /// What is left of counts that were made at this row's time.
    fn fade(&self, row: &Row) -> f64 {
        (-((self.count - row.at) as f64) / self.habit.half_life).exp2()
    }

    /// Weighs the levels by how likely each held what came.
    fn weigh(&mut self, next: Op, now: &Circumstances) {
        let levels = self.levels(self.last, now);
        let before: f64 = levels.iter().map(|(level, _)| self.weights[*level]).sum();
        let scored: Vec<(usize, f64)> = levels
            .iter()
            .map(|(level, p)| (*level, self.weights[*level] * p[usize::from(next)].max(1e-9).powf(LEARNING_RATE)))
            .collect();
        let after: f64 = scored.iter().map(|(_, weight)| weight).sum();
        let shared = SHARE_RATE * before / scored.len() as f64;
        for (level, weight) in scored {
            self.weights[level] = (1.0 - SHARE_RATE) * before * weight / after + shared;
        }
    }

    fn observe(&mut self, next: Op, now: &Circumstances) {
        self.weigh(next, now);
        for context in contexts(self.last, now) {
            let mut row = self.rows.remove(&context).unwrap_or_default();
            let fade = self.fade(&row);
            row.next.values_mut().for_each(|n| *n *= fade);
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

/// From the general to the particular.
fn contexts([last, before]: [Option<Op>; 2], now: &Circumstances) -> impl Iterator<Item = Context> {
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
    fn the_prior_holds_until_the_driver_shows_other_habits() {
        let mut p = predictor();
        p.note(&entry("range_query", None, 8));
        let (name, probability) = first(&p, 8, Some(1));
        assert!(name == "find_charging" && (0.3..0.45).contains(&probability), "{name} {probability}");
        for _ in 0..8 {
            p.note(&entry("weather", Some(5), 8));
            p.note(&entry("range_query", Some(5), 8));
        }
        let (name, probability) = first(&p, 8, Some(1));
        assert!(name == "weather" && probability > 0.5, "{name} {probability}");
    }

    #[test]
    fn a_habit_of_the_morning_is_none_of_the_evening() {
        let mut p = predictor();
        for _ in 0..10 {
            p.note(&entry("navigate_to", None, 8));
            p.note(&entry("play_music", None, 19));
        }
        assert_eq!(first(&p, 9, None).0, "navigate_to");
        assert_eq!(first(&p, 20, None).0, "play_music");
    }

    #[test]
    fn what_comes_after_a_long_time_does_not_follow() {
        let mut p = predictor();
        for _ in 0..20 {
            p.note(&entry("call", None, 8));
            p.note(&entry("weather", Some(600), 8));
        }
        p.note(&entry("call", None, 8));
        let nothing = *p.distribution(&at(8), Some(1)).last().unwrap();
        assert!(nothing > 0.5, "{nothing}");
        let long_after = *p.distribution(&at(8), Some(61)).last().unwrap();
        assert!(long_after < 0.3, "a new stretch begins: {long_after}");
    }

    #[test]
    fn old_habits_fade() {
        let mut p = Predictor::new(&catalogue(), PredictorConfig { half_life: 10.0, ..HABIT }).unwrap();
        (0..100).for_each(|_| p.note(&entry("call", None, 8)));
        (0..20).for_each(|_| p.note(&entry("weather", None, 8)));
        assert_eq!(first(&p, 8, None).0, "weather");
    }

    #[test]
    fn the_same_operations_in_another_catalogue_are_passed_over() {
        let mut p = predictor();
        p.note(&entry("fly_to_the_moon", None, 8));
        assert_eq!((p.count, p.rows.len()), (0, 0));
    }

    #[test]
    fn contexts_are_bounded() {
        let mut p = predictor();
        for i in 0..3000i16 {
            let circumstances = Circumstances { place: Some([i, i]), ..at(i64::from(i % 24)) };
            p.note(&UsageEntry { intent: p.names[i as usize % 7].clone(), gap_s: None, circumstances });
            assert!(p.rows.len() <= MAX_CONTEXTS);
        }
        // Ever new places fill it up to its bound and not further.
        for i in 0..9000i32 {
            let circumstances = Circumstances { place: Some([(i % 180) as i16, (i / 180) as i16 + 10_000]), ..at(8) };
            p.note(&UsageEntry { intent: "call".into(), gap_s: None, circumstances });
        }
        assert_eq!(p.rows.len(), MAX_CONTEXTS);
        assert_eq!(first(&p, 8, None).0, "call");
    }

    proptest! {
        #[test]
        fn probabilities_are_probabilities(
            ops in prop::collection::vec((0usize..38, any::<Option<u32>>(), any::<Option<i64>>(), any::<Option<[i16; 2]>>()), 0..100),
            prior_weight in 0.0..20.0f64,
            half_life in 1.0..1000.0f64,
        ) {
            let mut p = Predictor::new(&catalogue(), PredictorConfig { prior_weight, half_life, lead_s: 60 }).unwrap();
            for (op, gap_s, minute, place) in ops {
                let circumstances = Circumstances { minute, place, speed: None };
                p.note(&UsageEntry { intent: p.names[op].clone(), gap_s, circumstances });
                let all = p.distribution(&circumstances, gap_s);
                let sum: f64 = all.iter().sum();
                prop_assert!((sum - 1.0).abs() < 1e-9 && all.iter().all(|p| (0.0..=1.0 + 1e-9).contains(p)), "{}", sum);
            }
        }
    }
}
