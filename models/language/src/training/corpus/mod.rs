//! Exchanges in the car, made from a grammar (`grammar.toml`) with a seed: a scene, an utterance as a recogniser may hear
//! it, the intent with its slots, and a reply that uses the scene's values or says that they are unknown.

pub mod grammar;
pub mod scene;

use crate::{
    dialogue::fill::{fill, spoken},
    intent::{
        catalogue::Catalogue,
        classifier::context::{Context, Lane},
        output::IntentOutput,
        scene::{FACTS, Gear, HAZARDS, HIGH_LOAD, SceneFacts},
    },
    training::corpus::{
        grammar::{Entry, Lists, Phrase, Said, Word, invent},
        scene::scene,
    },
};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    #[error("cannot read the grammar {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{name}: {source}")]
    Toml { name: String, source: Box<toml::de::Error> },
    #[error("{name}: {what}")]
    Content { name: String, what: String },
}

/// One exchange.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    pub scene: SceneFacts,
    pub utterance: String,
    pub intent: IntentOutput,
    /// As the model writes it: its values as {names}.
    pub reply: String,
    /// For each word of the utterance the slot of the intent that it belongs to.
    pub slot_words: Vec<Option<usize>>,
    /// What the scene does not tell.
    pub lane: Option<Lane>,
    pub raining: Option<bool>,
    /// Intents of the last operations, newest first.
    pub recent: Vec<String>,
}

impl Example {
    pub fn context(&self) -> Context {
        Context { scene: self.scene.clone(), lane: self.lane, raining: self.raining, recent: self.recent.clone() }
    }

    /// The reply as it is said.
    pub fn spoken_reply(&self) -> String {
        fill(&self.reply, &self.scene, &self.intent.slots)
    }
}

/// Which phrasings an example is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    Train,
    /// All of `Train` but [`Split::Tune`].
    Learn,
    /// The phrasings of `Train` by which a training is judged while it runs, and confidence is set right.
    Tune,
    /// Phrasings, places and names that are never trained on, nor judged by.
    HeldOut,
}

/// Whether utterances are as written or as a recogniser may hear them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    Clean,
    Noisy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    around: Around,
    noise: Noise,
    lists: BTreeMap<String, Vec<String>>,
    invented: BTreeMap<String, Vec<String>>,
    held_out_lists: BTreeMap<String, Vec<String>>,
    intent: Vec<IntentEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Around {
    before: Vec<String>,
    after: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noise {
    fillers: Vec<String>,
    dropped: Vec<String>,
    confused: Vec<[String; 2]>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IntentEntry {
    name: String,
    #[serde(default)]
    polite: bool,
    train: Vec<String>,
    held_out: Vec<String>,
    replies: Vec<Reply>,
    #[serde(default)]
    context: Vec<ContextEntry>,
}

/// What is said of an intent only in some situation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContextEntry {
    /// The last operation was one of these intents.
    #[serde(default)]
    after: Vec<String>,
    /// A hazard is active, or none is.
    hazard: Option<bool>,
    train: Vec<String>,
    held_out: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    #[serde(default)]
    when: Vec<String>,
    say: String,
}

/// The phrasings of one intent.
#[derive(Debug)]
struct Intent {
    name: String,
    polite: bool,
    phrases: Phrases,
    replies: Vec<Reply>,
    contexts: Vec<Situation>,
}

#[derive(Debug)]
struct Phrases {
    train: Vec<Phrase>,
    learn: Vec<Phrase>,
    tune: Vec<Phrase>,
    held_out: Vec<Phrase>,
}

impl Phrases {
    fn of(&self, split: Split) -> &[Phrase] {
        match split {
            Split::Train => &self.train,
            Split::Learn => &self.learn,
            Split::Tune => &self.tune,
            Split::HeldOut => &self.held_out,
        }
    }
}

#[derive(Debug)]
struct Situation {
    after: Vec<String>,
    hazard: Option<bool>,
    phrases: Phrases,
}

/// A grammar, checked against the catalogue.
#[derive(Debug)]
pub struct Corpus {
    around: Around,
    noise: Noise,
    lists: Lists,
    held_out_lists: Lists,
    intents: Vec<Intent>,
    /// Indices of intents, in the order in which examples take them.
    round: Vec<usize>,
}

/// Flags a reply may ask for.
const FLAGS: [&str; 7] = ["high_load", "cold", "low_battery", "tyre_low", "close", "parked", "hazard"];

impl Corpus {
    pub fn load(path: &Path, catalogue: &Catalogue) -> Result<Self, CorpusError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| CorpusError::Read { path: name.clone(), source })?;
        Self::parse(&text, &name, catalogue)
    }

    /// `name`: of the text, for messages.
    pub fn parse(text: &str, name: &str, catalogue: &Catalogue) -> Result<Self, CorpusError> {
        let file: File =
            toml::from_str(text).map_err(|source| CorpusError::Toml { name: name.into(), source: Box::new(source) })?;
        Self::build(file, catalogue).map_err(|what| CorpusError::Content { name: name.into(), what })
    }

    fn build(file: File, catalogue: &Catalogue) -> Result<Self, String> {
        let entries = |(name, list): (String, Vec<String>)| (name, list.iter().map(|e| Entry::parse(e)).collect());
        let lists: Lists = file.lists.into_iter().map(entries).collect();
        let mut held_out_lists = lists.clone();
        held_out_lists.extend(file.held_out_lists.into_iter().map(entries));
        let mut lists = lists;
        for (name, invented) in file.invented {
            let list = lists.get_mut(&name).ok_or_else(|| format!("invented words for `{name}`, which is no list"))?;
            let more = (list.len() as f64 * INVENTED_SHARE / (1.0 - INVENTED_SHARE)) as usize;
            list.extend(invented.iter().cycle().take(more).map(|e| Entry::parse(e)));
        }
        let mut intents = Vec::new();
        for entry in file.intent {
            let name = entry.name.clone();
            intents.push(intent(entry, &lists, catalogue).map_err(|e| format!("intent `{name}`: {e}"))?);
        }
        for known in catalogue.intents() {
            if intents.iter().filter(|i| i.name == known.name).count() != 1 {
                return Err(format!("intent `{}` of the catalogue: expected phrasings for it, once", known.name));
            }
        }
        let mut corpus =
            Self { around: file.around, noise: file.noise, lists, held_out_lists, intents, round: Vec::new() };
        corpus.emphasise(0);
        Ok(corpus)
    }

    /// Draws intents whose slots or replies carry values this many times more than others: there is more to learn in them.
    pub fn emphasise(&mut self, values: usize) {
        self.round = (0..self.intents.len()).collect();
        // What is not for the car has the widest range of all.
        self.round.extend([self.intents.len() - 1; EXTRA_LAST]);
        for (i, intent) in self.intents.iter().enumerate() {
            if intent.replies.iter().any(|r| r.say.contains('{')) {
                self.round.extend(std::iter::repeat_n(i, values));
            }
        }
    }

    /// The example of this number: the same for the same seed. Intents come in turn, so that none is rare.
    pub fn example(&self, split: Split, hearing: Hearing, seed: u64, number: u64) -> Example {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number);
        let intent = &self.intents[self.round[(number % self.round.len() as u64) as usize]];
        let said = self.say(intent, intent.phrases.of(split), split, hearing, &mut rng);
        let scene = scene(&mut rng);
        self.exchange(intent, said, scene, &mut rng)
    }

    /// An example of what is understood only in its situation; None where the grammar has none.
    pub fn in_context(&self, split: Split, hearing: Hearing, seed: u64, number: u64) -> Option<Example> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ CONTEXT_SEED);
        rng.set_stream(number);
        let all: Vec<(&Intent, &Situation)> =
            self.intents.iter().flat_map(|i| i.contexts.iter().map(move |c| (i, c))).collect();
        let (intent, situation) = all.get(usize::try_from(number % all.len().max(1) as u64).ok()?)?;
        let said = self.say(intent, situation.phrases.of(split), split, hearing, &mut rng);
        let scene = scene(&mut rng);
        Some(situation.put(self.exchange(intent, said, scene, &mut rng), &mut rng))
    }

    fn say(&self, intent: &Intent, phrases: &[Phrase], split: Split, hearing: Hearing, rng: &mut ChaCha8Rng) -> Said {
        let lists = if split == Split::HeldOut { &self.held_out_lists } else { &self.lists };
        let mut said = phrases.choose(rng).map(|p| p.say(lists, rng)).unwrap_or_default();
        if intent.polite {
            self.surround(&mut said, rng);
        }
        if hearing == Hearing::Noisy {
            self.mishear(&mut said, rng);
        }
        said
    }

    fn exchange(&self, intent: &Intent, said: Said, scene: SceneFacts, rng: &mut ChaCha8Rng) -> Example {
        let reply = intent.reply(&scene, &said.slots);
        let drifting = scene.hazards.iter().any(|h| h == "lane_departure");
        let lane = match (drifting, rng.random_range(0..4)) {
            (_, 0) => None,
            (true, 1) => Some(Lane::DriftingLeft),
            (true, _) => Some(Lane::DriftingRight),
            (false, _) => Some(Lane::Keeping),
        };
        let raining = rng.random_bool(0.5).then(|| rng.random_bool(0.4));
        let count = rng.random_range(0..3);
        let recent = (0..count).filter_map(|_| self.intents.choose(rng).map(|i| i.name.clone())).collect();
        Example {
            utterance: said.text(),
            // What was heard for a word may be two.
            slot_words: said.words.iter().flat_map(|w| w.text.split(' ').map(|_| w.slot)).collect(),
            intent: IntentOutput { name: intent.name.clone(), slots: said.slots, confidence: 1.0 },
            scene,
            reply,
            lane,
            raining,
            recent,
        }
    }

    /// Every held-out phrasing of every intent once, as written.
    pub fn held_out(&self, seed: u64) -> Vec<Example> {
        // What was drawn of old keeps its source, so that the utterances stay those that figures were given for.
        let (mut rng, mut more) = (ChaCha8Rng::seed_from_u64(seed), ChaCha8Rng::seed_from_u64(seed ^ CONTEXT_SEED));
        let mut examples = Vec::new();
        for intent in &self.intents {
            for phrase in &intent.phrases.held_out {
                let said = phrase.say(&self.held_out_lists, &mut rng);
                let scene = scene(&mut rng);
                examples.push(self.exchange(intent, said, scene, &mut more));
            }
        }
        examples
    }

    /// Every held-out phrasing of every situation, as written, after each of the operations that it may follow.
    pub fn held_out_in_context(&self, seed: u64) -> Vec<Example> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ CONTEXT_SEED);
        let mut examples = Vec::new();
        for intent in &self.intents {
            for situation in &intent.contexts {
                for phrase in &situation.phrases.held_out {
                    for after in 0..situation.after.len().max(1) {
                        let said = phrase.say(&self.held_out_lists, &mut rng);
                        let scene = scene(&mut rng);
                        let mut example = situation.put(self.exchange(intent, said, scene, &mut rng), &mut rng);
                        if let Some(name) = situation.after.get(after) {
                            example.recent[0].clone_from(name);
                        }
                        examples.push(example);
                    }
                }
            }
        }
        examples
    }

    fn surround(&self, said: &mut Said, rng: &mut impl Rng) {
        let word = |text: &str| Word { text: text.into(), slot: None };
        if rng.random_bool(0.35)
            && let Some(before) = self.around.before.choose(rng)
        {
            said.words.splice(0..0, before.split(' ').map(word));
        }
        if rng.random_bool(0.2)
            && let Some(after) = self.around.after.choose(rng)
        {
            said.words.extend(after.split(' ').map(word));
        }
    }

    /// Outside of slots, a word may be lost, heard twice or for another, and fillers come in.
    fn mishear(&self, said: &mut Said, rng: &mut impl Rng) {
        let mut heard: Vec<Word> = Vec::new();
        for word in &said.words {
            let mut word = word.clone();
            let outside = word.slot.is_none();
            let inner = heard.last().is_some_and(|w| w.slot.is_some()) && word.slot.is_some();
            if !inner
                && rng.random_bool(0.03)
                && let Some(filler) = self.noise.fillers.choose(rng)
            {
                heard.extend(filler.split(' ').map(|w| Word { text: w.into(), slot: None }));
            }
            if outside && rng.random_bool(0.12) && self.noise.dropped.contains(&word.text) {
                continue;
            }
            let others: Vec<&[String; 2]> = self.noise.confused.iter().filter(|c| c[0] == word.text).collect();
            if outside
                && rng.random_bool(0.1)
                && let Some(other) = others.choose(rng)
            {
                word.text = other[1].clone();
            }
            // A word that means nothing to the model, as rare words do.
            if outside && said.words.len() > 3 && rng.random_bool(0.02) {
                word.text = invent("~", rng);
            }
            if outside && rng.random_bool(0.02) {
                heard.push(word.clone());
            }
            heard.push(word);
        }
        if !heard.is_empty() {
            said.words = heard;
        }
    }
}

/// Of the entries of a list that also has invented ones.
const INVENTED_SHARE: f64 = 0.4;
/// How many more examples than others the last intent, `out_of_scope`, has in a round.
const EXTRA_LAST: usize = 3;

fn intent(entry: IntentEntry, lists: &Lists, catalogue: &Catalogue) -> Result<Intent, String> {
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
            return Err(format!("reply {:?}: the flag `{flag}` is none of {FLAGS:?}", reply.say));
        }
        let more = ["time", "tyre_place", "tyre_bar", "hazard_text"];
        let is_fact = |n: &str| FACTS.contains(&n) || more.contains(&n) || known.slot(n).is_some();
        match placeholders(&reply.say)?.iter().find(|(n, _)| !is_fact(n)) {
            Some((name, _)) => Err(format!("reply {:?}: nothing is named `{name}`", reply.say)),
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
        return Err("its last reply must be one that can always be given".into());
    }
    let split = |train: &[String], held_out: &[String]| -> Result<Phrases, String> {
        let (train, held_out) = (phrases(train)?, phrases(held_out)?);
        let reserved = |i: usize| i % TUNE_EVERY == TUNE_EVERY - 1;
        let part = |tune: bool| -> Vec<Phrase> {
            // Where there are too few to reserve one, judging goes by what is trained on.
            let few = train.len() < TUNE_EVERY;
            train.iter().enumerate().filter(|(i, _)| few || reserved(*i) == tune).map(|(_, p)| p.clone()).collect()
        };
        Ok(Phrases { learn: part(false), tune: part(true), train, held_out })
    };
    let mut contexts = Vec::new();
    for c in &entry.context {
        if let Some(unknown) = c.after.iter().find(|name| catalogue.get(name).is_none()) {
            return Err(format!("a context follows `{unknown}`, which is not in the catalogue"));
        }
        if c.after.is_empty() && c.hazard.is_none() {
            return Err("a context needs `after` or `hazard`".into());
        }
        contexts.push(Situation { after: c.after.clone(), hazard: c.hazard, phrases: split(&c.train, &c.held_out)? });
    }
    let phrases = split(&entry.train, &entry.held_out)?;
    Ok(Intent { name: entry.name, polite: entry.polite, phrases, replies: entry.replies, contexts })
}

/// One in so many trained phrasings is reserved for [`Split::Tune`].
const TUNE_EVERY: usize = 12;
/// Keeps what is drawn for contexts apart from what was drawn before.
const CONTEXT_SEED: u64 = 0xC0_17E7;

impl Situation {
    /// The example as it is in this situation.
    fn put(&self, mut example: Example, rng: &mut ChaCha8Rng) -> Example {
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

/// The {names} in a reply, and whether each may be unknown.
fn placeholders(say: &str) -> Result<Vec<(&str, bool)>, String> {
    let mut found = Vec::new();
    for part in say.split('{').skip(1) {
        let (name, _) = part.split_once('}').ok_or_else(|| format!("reply {say:?}: `{{` without `}}`"))?;
        found.push(name.strip_suffix('?').map_or((name, false), |n| (n, true)));
    }
    Ok(found)
}

impl Intent {
    /// What the car says, its values as {names}; empty only if no reply can be given, which [`intent`] has ruled out.
    fn reply(&self, scene: &SceneFacts, slots: &[(String, String)]) -> String {
        let fits = |reply: &Reply| {
            let known = placeholders(&reply.say)
                .is_ok_and(|p| p.iter().all(|(name, optional)| *optional || spoken(name, scene, slots).is_some()));
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
