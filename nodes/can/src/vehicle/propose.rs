//! A first mapping for a database.

use super::{
    rules::{Kind, RULES, Rule},
    survey::Survey,
    words::words,
};
use crate::{
    dbc::{Database, Message, Signal},
    mapping::{Mapping, units::Unit},
};
use std::fmt::Write;

/// Candidates that a comment names besides the chosen one.
const MAX_OTHERS: usize = 3;

/// A proposed mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The text of `vss.toml`; it can be loaded for the database.
    pub text: String,
    /// The targets that have a row.
    pub found: Vec<&'static str>,
    /// The targets for which there is no signal.
    pub missing: Vec<&'static str>,
}

/// Proposes a mapping by the names, units and labels of a database's signals. `survey`: only of messages that it has
/// seen. Each row is a guess, and says so.
pub fn propose(database: &Database, survey: Option<&Survey>) -> Proposal {
    let mut proposal = Proposal {
        text: format!(
            "# Proposed for {} by names and units. Every row is a guess: confirm it, and delete the comment.\n",
            database.name()
        ),
        found: Vec::new(),
        missing: Vec::new(),
    };
    let candidates: Vec<Candidate> = candidates(database, survey);
    for rule in RULES {
        let rows = rows(rule, &candidates);
        // A row that the mapping would refuse is no proposal.
        let accepted = rows.filter(|rows| Mapping::parse(rows, "proposal", database).is_ok());
        match accepted {
            Some(rows) => {
                proposal.text.push('\n');
                proposal.text.push_str(&rows);
                proposal.found.push(rule.to[0]);
            }
            None => proposal.missing.push(rule.to[0]),
        }
    }
    if !proposal.missing.is_empty() {
        let _ = write!(proposal.text, "\n# No signal was found for: {}.\n", proposal.missing.join(", "));
    }
    proposal
}

struct Candidate<'a> {
    message: &'a Message,
    signal: &'a Signal,
    words: Vec<String>,
    message_words: Vec<String>,
}

impl Candidate<'_> {
    fn name(&self) -> String {
        format!("{}.{}", self.message.name(), self.signal.name())
    }

    fn has(&self, word: &str) -> bool {
        self.words.iter().any(|own| own == word)
    }

    fn has_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.has(word))
    }

    /// How well it fits; `None` when it does not.
    fn score(&self, rule: &Rule) -> Option<i32> {
        const LIKED: i32 = 4;
        const LIKED_MESSAGE: i32 = 2;
        let in_message = |words: &[&str]| words.iter().any(|word| self.message_words.iter().any(|own| own == word));
        // One of the groups may be said by the message: STEERING.ANGLE.
        let by_message = rule.needs.iter().filter(|group| !self.has_any(group)).collect::<Vec<_>>();
        let by_message_fits = match by_message.as_slice() {
            [] => true,
            [group] => rule.needs.len() > 1 && in_message(group),
            _ => false,
        };
        let liked = rule.likes.iter().filter(|word| self.has(word)).count() as i32;
        let vehicle = self.has_any(&["vehicle", "veh"]) && liked > 0;
        if !by_message_fits || !vehicle && self.has_any(rule.not) || !self.fits(rule.kind) {
            return None;
        }
        let liked_message = rule.likes.iter().any(|word| self.message_words.iter().any(|own| own == word));
        let missing = by_message.len() as i32;
        let other = self.words.len() as i32;
        Some(LIKED * liked + LIKED_MESSAGE * i32::from(liked_message) - other - LIKED_MESSAGE * missing)
    }

    fn fits(&self, kind: Kind) -> bool {
        match kind {
            Kind::Number(unit) => {
                let converts =
                    Unit::named(self.signal.unit()).zip(Unit::named(unit)).and_then(|(from, to)| from.to(to));
                converts.is_some() && self.signal.bits() > 1
            }
            Kind::Flag | Kind::Belt => self.signal.bits() <= 2,
            Kind::Gear => meanings(self.signal, gear).len() > 2,
            Kind::Indicator => {
                let sides = meanings(self.signal, side);
                let both = |word: &str| sides.iter().any(|(_, side)| *side == word);
                both("left") && both("right")
                    || self.signal.bits() <= 2
                        && (self.has_any(LEFT) || self.has_any(RIGHT))
                        && !self.has_any(LIGHTS_ONLY)
            }
        }
    }
}

const LEFT: &[&str] = &["left", "l", "lh"];
const RIGHT: &[&str] = &["right", "r", "rh"];
/// The lamp blinks, the lever does not.
const LIGHTS_ONLY: &[&str] = &["door", "mirror", "seat", "window"];

fn candidates<'a>(database: &'a Database, survey: Option<&Survey>) -> Vec<Candidate<'a>> {
    let seen = |message: &&Message| survey.is_none_or(|survey| survey.has(database, message));
    let messages = database.messages().iter().filter(seen);
    let of = |message: &'a Message| {
        let message_words = words(message.name());
        message.signals().iter().map(move |signal| Candidate {
            message,
            signal,
            words: words(signal.name()),
            message_words: message_words.clone(),
        })
    };
    messages.flat_map(of).collect()
}

/// The rows of a rule's target; `None` when no signal fits.
fn rows(rule: &Rule, candidates: &[Candidate]) -> Option<String> {
    let mut scored: Vec<(i32, &Candidate)> = candidates.iter().filter_map(|c| Some((c.score(rule)?, c))).collect();
    // The stable sort keeps the file's order among equals.
    scored.sort_by_key(|(score, _)| -score);
    if rule.kind == Kind::Indicator {
        return indicator_rows(rule, &scored);
    }
    let (_, best) = scored.first()?;
    let values = match rule.kind {
        Kind::Gear => Some(meanings(best.signal, gear)),
        Kind::Belt if best.has_any(&["unlatched", "unbuckled", "unfastened", "unbelted", "off", "not"]) => {
            return Some(row(rule, best, &scored, "values = { 0 = true, 1 = false }\n"));
        }
        _ => None,
    };
    Some(row(rule, best, &scored, &values.map(|values| table(&values)).unwrap_or_default()))
}

fn indicator_rows(rule: &Rule, scored: &[(i32, &Candidate)]) -> Option<String> {
    let labelled = scored.iter().find(|(_, c)| meanings(c.signal, side).len() > 1);
    if let Some((_, candidate)) = labelled {
        let mut values = meanings(candidate.signal, side);
        if values.iter().all(|(_, side)| *side != "off") {
            values.insert(0, (0, "off"));
        }
        return Some(row(rule, candidate, scored, &table(&values)));
    }
    let (_, left) = scored.iter().find(|(_, c)| c.has_any(LEFT))?;
    // Its counterpart: of the same message and with the same number of words.
    let fits =
        |c: &Candidate| c.has_any(RIGHT) && c.message.id() == left.message.id() && c.words.len() == left.words.len();
    let (_, right) = scored.iter().find(|(_, c)| fits(c))?;
    let one = row(rule, left, scored, &table(&[(0, "off"), (1, "left")]));
    Some(format!("{one}{}", row(rule, right, &[], &table(&[(0, "off"), (1, "right")]))))
}

fn table(values: &[(i64, &str)]) -> String {
    let entries: Vec<String> = values.iter().map(|(raw, word)| format!("{raw} = {word:?}")).collect();
    format!("values = {{ {} }}\n", entries.join(", "))
}

/// A row with the comment that it is a guess.
fn row(rule: &Rule, best: &Candidate, scored: &[(i32, &Candidate)], rest: &str) -> String {
    let others: Vec<String> =
        scored.iter().map(|(_, c)| c.name()).filter(|name| *name != best.name()).take(MAX_OTHERS).collect();
    let mut text = String::from("# guess");
    if !best.signal.unit().is_empty() {
        let _ = write!(text, ", in {}", best.signal.unit().escape_default());
    }
    if !others.is_empty() {
        let _ = write!(text, "; others: {}", others.join(", "));
    }
    let comment = best.signal.comment().split_whitespace().collect::<Vec<_>>().join(" ");
    if !comment.is_empty() {
        const SHOWN: usize = 80;
        let _ = write!(text, "; {}", comment.chars().filter(|c| !c.is_control()).take(SHOWN).collect::<String>());
    }
    let to = match rule.to {
        [one] => format!("{one:?}"),
        more => format!("{more:?}"),
    };
    format!("{text}\n[[signal]]\nfrom = {:?}\nto = {to}\n{rest}", best.name())
}

/// Raw values whose label has a meaning.
fn meanings(signal: &Signal, meaning: fn(&str) -> Option<&'static str>) -> Vec<(i64, &'static str)> {
    let mut found: Vec<(i64, &'static str)> = Vec::new();
    for (raw, label) in signal.labels() {
        let of_words: Vec<&'static str> = words(label).iter().filter_map(|word| meaning(word)).collect();
        // "left and right", or a label of two gears.
        if let [one] = of_words.as_slice() {
            found.push((*raw, one));
        }
    }
    found
}

fn gear(word: &str) -> Option<&'static str> {
    Some(match word {
        "p" | "park" => "park",
        "r" | "reverse" | "rev" => "reverse",
        "n" | "neutral" => "neutral",
        "d" | "drive" => "drive",
        _ => return None,
    })
}

fn side(word: &str) -> Option<&'static str> {
    Some(match word {
        "left" => "left",
        "right" => "right",
        "off" | "none" | "idle" => "off",
        "hazard" | "both" | "warning" => "hazard",
        _ => return None,
    })
}
