//! The verdict on a run.

use super::{
    absence::{Absence, Gap},
    budget::is_safety_chain,
    floor::Floor,
    spans::{Span, covered, describe},
};
use auriga_msgs::{CHAINS, v1};

/// Of this many answers one may miss its budget: budgets are 99.9th percentiles.
const ONE_OF: u64 = 1000;

/// How a budget stands, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing was asked of it.
    NotExercised,
    /// 99.9 % came in time.
    Held,
    /// What was recorded came in time; a part was not recorded.
    NotShown,
    /// Not held, and what the machine itself took is enough to explain it.
    MachineCannot,
    /// Not held.
    NotHeld,
}

impl Standing {
    /// In words.
    pub fn label(self) -> &'static str {
        match self {
            Standing::NotExercised => "not exercised",
            Standing::Held => "held",
            Standing::NotShown => "held where recorded",
            Standing::MachineCannot => "not held: this machine cannot",
            Standing::NotHeld => "NOT HELD",
        }
    }
}

/// What a verdict is made of. Intervals are in seconds of the drive, ascending.
pub struct Judged {
    /// Figures of each chain, and its late answers: from, to.
    pub chains: Vec<(v1::ChainStats, Vec<Span>)>,
    /// Messages that never came.
    pub absences: Vec<Absence>,
    /// Messages of reliable topics that safety nodes lost.
    pub lost: u64,
    /// Whether latencies count: they mean nothing in a replay.
    pub live: bool,
    /// What the machine took, if it was measured.
    pub floor: Option<Floor>,
    /// When the machine did not run what was due.
    pub stalls: Vec<Span>,
    /// What the recording does not show.
    pub unrecorded: Vec<Span>,
}

/// A chain's budget.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainResult {
    /// Figures of the answers that came.
    pub stats: v1::ChainStats,
    /// Whether it is a safety chain: only these decide.
    pub safety: bool,
    /// Answers that should have come.
    pub expected: u64,
    /// Answers that never came.
    pub absent: u64,
    /// Misses, late or absent, during which the machine itself did not run what was due.
    pub explained: u64,
    /// How its budget stands.
    pub standing: Standing,
    gaps: Vec<Gap>,
}

/// A safety topic whose messages must come all the time.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicResult {
    /// Its messages that never came.
    pub absence: Absence,
    /// Those that the machine's stalls explain.
    pub explained: u64,
    /// How it stands.
    pub standing: Standing,
}

/// The verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Each chain of the table.
    pub chains: Vec<ChainResult>,
    /// Each safety topic that must come all the time.
    pub topics: Vec<TopicResult>,
    /// Messages of reliable topics that safety nodes lost.
    pub lost: u64,
    /// What the recording does not show.
    pub unrecorded: Vec<Span>,
    /// What the machine took.
    pub floor: Option<Floor>,
}

impl Verdict {
    /// Judges a run.
    pub fn of(judged: Judged) -> Verdict {
        let topics: Vec<TopicResult> = judged.absences.iter().map(|absence| topic_result(absence, &judged)).collect();
        let chains = judged.chains.iter().map(|(stats, late)| chain_result(stats, late, &judged)).collect();
        Verdict { chains, topics, lost: judged.lost, unrecorded: judged.unrecorded, floor: judged.floor }
    }

    /// The worst of all safety budgets.
    pub fn standing(&self) -> Standing {
        let chains = self.chains.iter().filter(|c| c.safety).map(|c| c.standing);
        let worst = chains.chain(self.topics.iter().map(|t| t.standing)).max().unwrap_or(Standing::NotExercised);
        match worst {
            _ if self.lost > 0 => Standing::NotHeld,
            Standing::Held | Standing::NotExercised if !self.unrecorded.is_empty() => Standing::NotShown,
            worst => worst,
        }
    }

    /// Whether the command ends with an error. `strict`: also when the machine cannot, when a part was not recorded, and
    /// when nothing was asked of any budget.
    pub fn fails(&self, strict: bool) -> bool {
        match self.standing() {
            Standing::NotHeld => true,
            Standing::MachineCannot | Standing::NotShown | Standing::NotExercised => strict,
            Standing::Held => false,
        }
    }

    /// One line, then one for each budget that was not held and for what is not known.
    pub fn summary(&self) -> String {
        let mut text = match self.standing() {
            Standing::NotExercised => "no safety budget was exercised".to_owned(),
            Standing::Held => "safety budgets held".into(),
            Standing::NotShown => "safety budgets held where recorded".into(),
            Standing::MachineCannot => "safety budgets not held: this machine cannot hold them".into(),
            Standing::NotHeld => "SAFETY BUDGETS NOT HELD".into(),
        };
        for chain in self.chains.iter().filter(|c| c.safety && c.standing > Standing::NotShown) {
            text += &format!("\n  {}", self.chain_in_words(chain));
        }
        for topic in self.topics.iter().filter(|t| t.standing > Standing::NotShown && !self.is_in_a_chain(t)) {
            let Absence { absent, expected, gaps, .. } = &topic.absence;
            let cannot = if topic.standing == Standing::MachineCannot { "; this machine cannot" } else { "" };
            let name = topic.absence.topic.spec().name;
            text += &format!("\n  {name}: {absent} of {expected} never came{}{cannot}", largest(gaps));
        }
        if self.lost > 0 {
            text += &format!("\n  {} messages of reliable topics did not reach a safety node", self.lost);
        }
        if !self.unrecorded.is_empty() {
            text += &format!("\n  not recorded {}: nothing is claimed of that time", describe(&self.unrecorded));
        }
        if let Some(floor) = self.floor.as_ref().filter(|_| self.standing() > Standing::NotShown) {
            text += &format!("\n  the machine's own wake-up latency during the run: {}", floor.describe());
        }
        text
    }

    fn is_in_a_chain(&self, topic: &TopicResult) -> bool {
        self.chains.iter().any(|c| c.safety && c.absent > 0 && answers(&c.stats.chain, &topic.absence))
    }

    fn chain_in_words(&self, chain: &ChainResult) -> String {
        let ChainResult { stats, expected, absent, explained, .. } = chain;
        let misses = stats.over_budget + absent;
        let mut text = format!(
            "{}: {misses} of {expected} missed ({} late, {absent} never came{}); budget {} ms, p99.9 {:.2} ms, max {:.1} ms",
            stats.chain,
            stats.over_budget,
            largest(&chain.gaps),
            stats.budget_ms,
            stats.p999_ms,
            stats.max_ms
        );
        let floor_ms = self.floor.as_ref().map_or(0.0, Floor::p999_ms);
        if chain.standing == Standing::MachineCannot && floor_ms > stats.budget_ms {
            text += &format!("; not held: this machine cannot (floor p99.9 {floor_ms:.2} ms)");
        } else if chain.standing == Standing::MachineCannot {
            text +=
                &format!("; not held: this machine cannot (it ran nothing of what was due during {explained} of them)");
        } else if *explained > 0 {
            text += &format!("; the machine itself explains {explained} of them");
        }
        text
    }
}

fn largest(gaps: &[Gap]) -> String {
    let largest = gaps.iter().max_by_key(|g| g.absent);
    largest.map_or(String::new(), |g| format!(", most between {:.2} s and {:.2} s", g.from_s, g.to_s))
}

/// Whether the messages of a topic are the answers of a chain, each by itself.
fn answers(chain: &str, absence: &Absence) -> bool {
    CHAINS.iter().any(|c| c.name == chain && c.to == absence.topic && c.from.is_none())
}

fn topic_result(absence: &Absence, judged: &Judged) -> TopicResult {
    let explained = explained_gaps(absence, &judged.stalls);
    let standing = match absence.expected {
        0 => Standing::NotExercised,
        expected => standing(expected, absence.absent, explained, false),
    };
    TopicResult { absence: absence.clone(), explained, standing }
}

fn chain_result(stats: &v1::ChainStats, late: &[Span], judged: &Judged) -> ChainResult {
    let mut stats = stats.clone();
    if !judged.live {
        (stats.over_budget, stats.p50_ms, stats.p99_ms, stats.p999_ms, stats.max_ms) = (0, 0.0, 0.0, 0.0, 0.0);
    }
    let absence = judged.absences.iter().find(|a| answers(&stats.chain, a));
    let absent = absence.map_or(0, |a| a.absent);
    let expected = stats.count + absent;
    let late = if judged.live { late } else { &[] };
    let excused = |s: &&Span| (s.1 - s.0 - covered(&judged.stalls, **s)) * 1e3 <= stats.budget_ms;
    let explained = late.iter().filter(excused).count() as u64
        + absence.map_or(0, |absence| explained_gaps(absence, &judged.stalls));
    let below_floor = judged.floor.as_ref().is_some_and(|floor| floor.p999_ms() > stats.budget_ms) && absent == 0;
    let standing = match expected {
        0 => Standing::NotExercised,
        expected => standing(expected, stats.over_budget + absent, explained, below_floor),
    };
    let gaps = absence.map_or(Vec::new(), |a| a.gaps.clone());
    ChainResult { safety: is_safety_chain(&stats.chain), stats, expected, absent, explained, standing, gaps }
}

fn standing(expected: u64, misses: u64, explained: u64, below_floor: bool) -> Standing {
    let held = |misses: u64| misses <= expected / ONE_OF;
    if held(misses) {
        Standing::Held
    } else if below_floor || held(misses.saturating_sub(explained)) {
        Standing::MachineCannot
    } else {
        Standing::NotHeld
    }
}

/// Messages that are missing because the machine ran nothing for their periods.
fn explained_gaps(absence: &Absence, stalls: &[Span]) -> u64 {
    let explains = |gap: &Gap| ((covered(stalls, (gap.from_s, gap.to_s)) * absence.rate_hz) as u64).min(gap.absent);
    absence.gaps.iter().map(explains).sum()
}

#[cfg(test)]
mod tests {
    use super::{super::floor::CoreFloor, *};
    use auriga_msgs::TopicId;

    const CHAIN: &str = "camera-to-lanes";

    fn chain(count: u64, late: &[Span]) -> (v1::ChainStats, Vec<Span>) {
        let worst = late.iter().map(|l| (l.1 - l.0) * 1e3).fold(10.0, f64::max);
        let stats = v1::ChainStats {
            chain: CHAIN.into(),
            count,
            budget_ms: 33.0,
            p999_ms: worst,
            max_ms: worst,
            over_budget: late.len() as u64,
            ..Default::default()
        };
        (stats, late.to_vec())
    }

    fn judged(chain: (v1::ChainStats, Vec<Span>), absent: u64) -> Judged {
        let gaps = vec![Gap { from_s: 3.0, to_s: 3.0 + (absent + 1) as f64 / 25.0, absent }];
        let absence = Absence {
            topic: TopicId::PerceptionLanes,
            rate_hz: 25.0,
            expected: chain.0.count + absent,
            absent,
            gaps: if absent > 0 { gaps } else { Vec::new() },
        };
        Judged {
            chains: vec![chain],
            absences: vec![absence],
            lost: 0,
            live: true,
            floor: None,
            stalls: Vec::new(),
            unrecorded: Vec::new(),
        }
    }

    #[test]
    fn what_never_came_is_a_miss() {
        let verdict = Verdict::of(judged(chain(376, &[]), 124));
        assert_eq!(verdict.standing(), Standing::NotHeld);
        assert!(verdict.fails(false));
        let text = verdict.summary();
        assert!(text.starts_with("SAFETY BUDGETS NOT HELD\n"), "{text}");
        assert!(text.contains("124 of 500 missed (0 late, 124 never came"), "{text}");
        // One of 1000 may be missing.
        assert_eq!(Verdict::of(judged(chain(1499, &[]), 1)).standing(), Standing::Held);
        assert_eq!(Verdict::of(judged(chain(499, &[]), 1)).standing(), Standing::NotHeld);
        assert_eq!(Verdict::of(judged(chain(0, &[]), 0)).standing(), Standing::NotExercised);
    }

    #[test]
    fn a_stall_of_the_machine_explains_what_it_covers_and_no_more() {
        let late = [(1.0, 1.050), (2.0, 2.040)];
        let mut both = judged(chain(500, &late), 0);
        both.stalls = vec![(1.01, 1.03), (2.03, 2.037)];
        let verdict = Verdict::of(both);
        assert_eq!((verdict.standing(), verdict.chains[0].explained), (Standing::MachineCannot, 2));
        assert!(!verdict.fails(false) && verdict.fails(true));
        assert!(verdict.summary().contains("this machine cannot"), "{}", verdict.summary());
        let mut one = judged(chain(500, &late), 0);
        one.stalls = vec![(1.01, 1.03), (2.03, 2.036)];
        assert_eq!(Verdict::of(one).standing(), Standing::NotHeld);
        // 3 frames of 10 lie in a stall of 130 ms.
        let mut gap = judged(chain(490, &[]), 10);
        gap.stalls = vec![(3.1, 3.23)];
        let verdict = Verdict::of(gap);
        assert_eq!((verdict.standing(), verdict.chains[0].explained), (Standing::NotHeld, 3));
    }

    #[test]
    fn a_budget_below_the_floor_can_be_held_by_nobody() {
        let floor = |p999_ms| Floor {
            realtime: true,
            cores: vec![CoreFloor { core: Some(0), samples: 20_000, p50_ms: 0.1, p999_ms, max_ms: 2.0 * p999_ms }],
            stalls: Vec::new(),
        };
        let with = |p999_ms, absent| {
            let mut judged = judged(chain(500, &[(1.0, 1.2)]), absent);
            judged.floor = Some(floor(p999_ms));
            Verdict::of(judged)
        };
        assert_eq!(with(34.0, 0).standing(), Standing::MachineCannot);
        assert!(with(34.0, 0).summary().contains("floor p99.9 34.00 ms"));
        assert_eq!(with(32.0, 0).standing(), Standing::NotHeld);
        // A floor explains what is late, not what never came.
        assert_eq!(with(34.0, 124).standing(), Standing::NotHeld);
    }

    #[test]
    fn what_was_not_recorded_is_not_claimed() {
        let mut part = judged(chain(500, &[]), 0);
        part.unrecorded = vec![(20.3, 60.0)];
        let verdict = Verdict::of(part);
        assert_eq!(verdict.standing(), Standing::NotShown);
        assert!(!verdict.fails(false) && verdict.fails(true));
        assert!(verdict.summary().contains("not recorded from 20.3 s to 60.0 s"), "{}", verdict.summary());
    }

    #[test]
    fn latencies_of_a_replay_do_not_count_and_what_is_missing_does() {
        let mut late = judged(chain(500, &[(1.0, 1.2)]), 0);
        late.live = false;
        assert_eq!(Verdict::of(late).standing(), Standing::Held);
        let mut missing = judged(chain(376, &[]), 124);
        missing.live = false;
        assert_eq!(Verdict::of(missing).standing(), Standing::NotHeld);
    }
}
