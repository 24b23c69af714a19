//! The file format of a grammar, and the phrasings and replies of its intents.

use crate::{
    dialogue::fill::spoken_value,
    intent::{
        catalogue::Catalogue,
        scene::{FACTS, Gear, HAZARDS, HIGH_LOAD, SceneFacts},
    },
    training::corpus::{
        example::{Example, Split},
        grammar::{Lists, Phrase},
    },
};
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use std::collections::BTreeMap;

/// `grammar.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub around: Around,
    pub noise: Noise,
    /// Entries by list name.
    pub lists: BTreeMap<String, Vec<String>>,
    /// Entries with invented words, added to the lists of the same names.
    pub invented: BTreeMap<String, Vec<String>>,
    /// Lists that replace those of the same names in held-out phrasings.
    pub held_out_lists: BTreeMap<String, Vec<String>>,
    pub intent: Vec<IntentEntry>,
}

/// Polite words before and after an utterance.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Around {
    pub before: Vec<String>,
    pub after: Vec<String>,
}

/// Errors of a speech recogniser.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Noise {
    /// Words that are inserted.
    pub fillers: Vec<String>,
    /// Words that may be dropped.
    pub dropped: Vec<String>,
    /// Words, and what they may be recognised as.
    pub confused: Vec<[String; 2]>,
}

/// An intent of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IntentEntry {
    pub name: String,
    /// Polite words may be added.
    #[serde(default)]
    pub polite: bool,
    pub train: Vec<String>,
    pub held_out: Vec<String>,
    pub replies: Vec<Reply>,
    #[serde(default)]
    pub context: Vec<ContextEntry>,
}

/// Phrasings that have their intent only in a context.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContextEntry {
    /// The last operation was one of these intents.
    #[serde(default)]
    pub after: Vec<String>,
    /// A hazard is active, or none is.
    pub hazard: Option<bool>,
    pub train: Vec<String>,
    pub held_out: Vec<String>,
}

/// A reply of an intent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reply {
    /// Conditions, all of which must hold; see [`FLAGS`].
    #[serde(default)]
    pub when: Vec<String>,
    /// The text with placeholders.
    pub say: String,
}

/// The phrasings of one intent.
#[derive(Debug)]
pub(crate) struct Intent {
    pub name: String,
    pub polite: bool,
    pub phrases: Phrases,
    pub replies: Vec<Reply>,
    pub contexts: Vec<ContextPhrases>,
}

/// Parsed phrasings by [`Split`].
#[derive(Debug)]
pub(crate) struct Phrases {
    pub train: Vec<Phrase>,
    pub train_without_validation: Vec<Phrase>,
    pub validation: Vec<Phrase>,
    pub held_out: Vec<Phrase>,
}

impl Phrases {
    pub fn of(&self, split: Split) -> &[Phrase] {
        match split {
            Split::Train => &self.train,
            Split::TrainWithoutValidation => &self.train_without_validation,
            Split::Validation => &self.validation,
            Split::HeldOut => &self.held_out,
        }
    }
}

/// The phrasings of an intent in one context.
#[derive(Debug)]
pub(crate) struct ContextPhrases {
    pub after: Vec<String>,
    pub hazard: Option<bool>,
    pub phrases: Phrases,
}

/// Conditions of replies.
const FLAGS: [&str; 7] = ["high_load", "cold", "low_battery", "tyre_low", "close", "parked", "hazard"];

/// Parses the phrasings and replies of an intent and checks them against the catalogue.
pub(crate) fn intent(entry: IntentEntry, lists: &Lists, catalogue: &Catalogue) -> Result<Intent, String> {
    let known = catalogue.get(&entry.name).ok_or("is not in the catalogue")?;
    let phrases = |texts: &[String]| -> Result<Vec<Phrase>, String> {
        let mut phrases = Vec::new();
        for text in texts {
            let phrase = Phrase::parse(text)?;
            let (used, slots) = phrase.names();
            if let Some(list) = used.iter().find(|l| !lists.contains_key(**l)) {
                return Err(format!("{text:?}: there is no list `{list}`"));
            }
            for (slot, value) in slots {
                let known = known.slot(slot).ok_or_else(|| format!("{text:?}: there is no slot `{slot}`"))?;
                if let Some(value) = value {
                    known.kind.check(value).map_err(|e| format!("{text:?}: slot `{slot}`: {e}"))?;
                }
            }
            phrases.push(phrase);
        }
        if phrases.is_empty() { Err("has no phrasings".into()) } else { Ok(phrases) }
    };
    let facts = |reply: &Reply| -> Result<(), String> {
        if let Some(flag) = reply.when.iter().find(|f| !FLAGS.contains(&f.as_str())) {
            return Err(format!("reply {:?}: the condition `{flag}` is none of {FLAGS:?}", reply.say));
        }
        let more = ["time", "tyre_place", "tyre_bar", "hazard_text"];
        let is_fact = |n: &str| FACTS.contains(&n) || more.contains(&n) || known.slot(n).is_some();
        match placeholders(&reply.say)?.iter().find(|(n, _)| !is_fact(n)) {
            Some((name, _)) => Err(format!("reply {:?}: there is no fact or slot `{name}`", reply.say)),
            None => Ok(()),
        }
    };
    entry.replies.iter().try_for_each(facts)?;
    let always = |r: &Reply| {
        r.when.is_empty()
            && placeholders(&r.say)
                .is_ok_and(|p| p.iter().all(|(n, optional)| *optional || known.slot(n).is_some_and(|s| s.required)))
    };
    if !entry.replies.last().is_some_and(always) {
        return Err("its last reply must be possible in any scene".into());
    }
    let split = |train: &[String], held_out: &[String]| -> Result<Phrases, String> {
        let (train, held_out) = (phrases(train)?, phrases(held_out)?);
        let reserved = |i: usize| i % VALIDATION_INTERVAL == VALIDATION_INTERVAL - 1;
        let part = |validation: bool| -> Vec<Phrase> {
            // With too few phrasings, validation uses the training phrasings.
            let few = train.len() < VALIDATION_INTERVAL;
            train
                .iter()
                .enumerate()
                .filter(|(i, _)| few || reserved(*i) == validation)
                .map(|(_, p)| p.clone())
                .collect()
        };
        Ok(Phrases { train_without_validation: part(false), validation: part(true), train, held_out })
    };
    let mut contexts = Vec::new();
    for c in &entry.context {
        if let Some(unknown) = c.after.iter().find(|name| catalogue.get(name).is_none()) {
            return Err(format!("a context follows `{unknown}`, which is not in the catalogue"));
        }
        if c.after.is_empty() && c.hazard.is_none() {
            return Err("a context needs `after` or `hazard`".into());
        }
        contexts.push(ContextPhrases {
            after: c.after.clone(),
            hazard: c.hazard,
            phrases: split(&c.train, &c.held_out)?,
        });
    }
    let phrases = split(&entry.train, &entry.held_out)?;
    Ok(Intent { name: entry.name, polite: entry.polite, phrases, replies: entry.replies, contexts })
}

/// One in this many training phrasings is reserved for [`Split::Validation`].
const VALIDATION_INTERVAL: usize = 12;
impl ContextPhrases {
    /// Puts an example into this context.
    pub fn apply(&self, mut example: Example, rng: &mut ChaCha8Rng) -> Example {
        if let Some(last) = self.after.choose(rng) {
            example.recent.insert(0, last.clone());
        }
        match self.hazard {
            Some(true) if example.scene.fact("hazard").is_none() => {
                example.scene.hazards = HAZARDS.choose(rng).map(|h| (*h).into()).into_iter().collect();
            }
            Some(false) => example.scene.hazards.clear(),
            _ => {}
        }
        example
    }
}

/// The placeholders of a reply, and whether each may be unknown.
fn placeholders(say: &str) -> Result<Vec<(&str, bool)>, String> {
    let mut found = Vec::new();
    for part in say.split('{').skip(1) {
        let (name, _) = part.split_once('}').ok_or_else(|| format!("reply {say:?}: `{{` without `}}`"))?;
        found.push(name.strip_suffix('?').map_or((name, false), |n| (n, true)));
    }
    Ok(found)
}

impl Intent {
    /// The first reply that fits the scene, with placeholders. It is never empty, because [`intent`] checks the last reply.
    pub fn reply(&self, scene: &SceneFacts, slots: &[(String, String)]) -> String {
        let fits = |reply: &Reply| {
            let known = placeholders(&reply.say).is_ok_and(|p| {
                p.iter().all(|(name, optional)| *optional || spoken_value(name, scene, slots).is_some())
            });
            known && reply.when.iter().all(|f| flag(f, scene))
        };
        let Some(reply) = self.replies.iter().find(|r| fits(r)) else { return String::new() };
        reply.say.replace("?}", "}")
    }
}

fn flag(name: &str, scene: &SceneFacts) -> bool {
    let below = |fact: &str, limit: i64| scene.fact(fact).and_then(|v| v.parse().ok()).is_some_and(|v: i64| v < limit);
    match name {
        "high_load" => scene.driving_load.is_some_and(|v| v >= HIGH_LOAD),
        "cold" => below("out", 4),
        "low_battery" => below("battery", 20),
        "tyre_low" => scene.tyres.is_some_and(|t| t.lowest().1.is_some()),
        "close" => below("ttc", 5),
        "parked" => scene.gear == Some(Gear::Park),
        _ => scene.fact("hazard").is_some(),
    }
}
