//! The training corpus: dialogues generated from a grammar (`grammar.toml`) and a seed. Each has a scene, an utterance as a
//! speech recogniser may transcribe it, the intent with its slots, and a reply that uses values of the scene or states that
//! they are unknown.

pub mod example;
pub mod grammar;
mod phrasings;
pub mod scene;

pub use example::{Example, Split, Transcript};

use crate::{
    intent::{catalogue::Catalogue, classifier::context::Lane, output::IntentOutput, scene::SceneFacts},
    training::corpus::{
        grammar::{Entry, Expansion, Lists, Phrase, Word, invented_words},
        phrasings::{Around, ContextPhrases, File, Intent, Noise, intent},
        scene::scene,
    },
};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// An error of a grammar.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// The file cannot be read.
    #[error("cannot read the grammar {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The text is not TOML, or has unknown or missing keys.
    #[error("{name}: {source}")]
    Toml {
        /// The file.
        name: String,
        /// The cause.
        source: Box<toml::de::Error>,
    },
    /// A phrasing or reply is wrong, or does not fit the catalogue.
    #[error("{name}: {what}")]
    Content {
        /// The file.
        name: String,
        /// What is wrong, and where.
        what: String,
    },
}

/// A grammar, checked against the catalogue.
#[derive(Debug)]
pub struct Corpus {
    around: Around,
    noise: Noise,
    lists: Lists,
    held_out_lists: Lists,
    intents: Vec<Intent>,
    /// Indices of intents in the order in which examples use them.
    round: Vec<usize>,
}

impl Corpus {
    /// Reads a grammar and checks it against the catalogue.
    ///
    /// # Errors
    /// A file that cannot be read, or a phrasing or reply that is wrong.
    pub fn load(path: &Path, catalogue: &Catalogue) -> Result<Self, CorpusError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| CorpusError::Read { path: name.clone(), source })?;
        Self::parse(&text, &name, catalogue)
    }

    /// Parses a grammar; `name` is named in error messages.
    ///
    /// # Errors
    /// As [`Corpus::load`].
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
            let list = lists.get_mut(&name).ok_or_else(|| format!("`invented` names `{name}`, which is not a list"))?;
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
        corpus.oversample_values(0);
        Ok(corpus)
    }

    /// Draws intents whose slots or replies carry values `times` more often than others, since they are harder to learn.
    pub fn oversample_values(&mut self, times: usize) {
        self.round = (0..self.intents.len()).collect();
        // Out-of-scope utterances are the most varied ones.
        self.round.extend([self.intents.len() - 1; EXTRA_LAST]);
        for (i, intent) in self.intents.iter().enumerate() {
            if intent.replies.iter().any(|r| r.say.contains('{')) {
                self.round.extend(std::iter::repeat_n(i, times));
            }
        }
    }

    /// The example of this number, which depends only on the arguments. Intents take turns, so that none is rare.
    pub fn example(&self, split: Split, transcript: Transcript, seed: u64, number: u64) -> Example {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number);
        let intent = &self.intents[self.round[(number % self.round.len() as u64) as usize]];
        let utterance = self.utterance(intent, intent.phrases.of(split), split, transcript, &mut rng);
        let scene = scene(&mut rng);
        self.dialogue(intent, utterance, scene, &mut rng)
    }

    /// An example that needs its context; `None` if the grammar has none.
    pub fn in_context(&self, split: Split, transcript: Transcript, seed: u64, number: u64) -> Option<Example> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ CONTEXT_SEED);
        rng.set_stream(number);
        let all: Vec<(&Intent, &ContextPhrases)> =
            self.intents.iter().flat_map(|i| i.contexts.iter().map(move |c| (i, c))).collect();
        let (intent, context) = all.get(usize::try_from(number % all.len().max(1) as u64).ok()?)?;
        let utterance = self.utterance(intent, context.phrases.of(split), split, transcript, &mut rng);
        let scene = scene(&mut rng);
        Some(context.apply(self.dialogue(intent, utterance, scene, &mut rng), &mut rng))
    }

    fn utterance(
        &self,
        intent: &Intent,
        phrases: &[Phrase],
        split: Split,
        transcript: Transcript,
        rng: &mut ChaCha8Rng,
    ) -> Expansion {
        let lists = if split == Split::HeldOut { &self.held_out_lists } else { &self.lists };
        let mut utterance = phrases.choose(rng).map(|p| p.sample(lists, rng)).unwrap_or_default();
        if intent.polite {
            self.add_politeness(&mut utterance, rng);
        }
        if transcript == Transcript::Noisy {
            self.add_asr_noise(&mut utterance, rng);
        }
        utterance
    }

    fn dialogue(&self, intent: &Intent, utterance: Expansion, scene: SceneFacts, rng: &mut ChaCha8Rng) -> Example {
        let reply = intent.reply(&scene, &utterance.slots);
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
            utterance: utterance.text(),
            // A confused word may have become two.
            slot_words: utterance.words.iter().flat_map(|w| w.text.split(' ').map(|_| w.slot)).collect(),
            intent: IntentOutput { name: intent.name.clone(), slots: utterance.slots, confidence: 1.0 },
            scene,
            reply,
            lane,
            raining,
            recent,
        }
    }

    /// Every held-out phrasing of every intent once, without noise.
    pub fn held_out(&self, seed: u64) -> Vec<Example> {
        // Two generators, so that the utterances stay those of published results.
        let (mut rng, mut more) = (ChaCha8Rng::seed_from_u64(seed), ChaCha8Rng::seed_from_u64(seed ^ CONTEXT_SEED));
        let mut examples = Vec::new();
        for intent in &self.intents {
            for phrase in &intent.phrases.held_out {
                let utterance = phrase.sample(&self.held_out_lists, &mut rng);
                let scene = scene(&mut rng);
                examples.push(self.dialogue(intent, utterance, scene, &mut more));
            }
        }
        examples
    }

    /// Every held-out phrasing of every context, without noise, after each of the operations that it may follow.
    pub fn held_out_in_context(&self, seed: u64) -> Vec<Example> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ CONTEXT_SEED);
        let mut examples = Vec::new();
        for intent in &self.intents {
            for context in &intent.contexts {
                for phrase in &context.phrases.held_out {
                    for after in 0..context.after.len().max(1) {
                        let utterance = phrase.sample(&self.held_out_lists, &mut rng);
                        let scene = scene(&mut rng);
                        let mut example = context.apply(self.dialogue(intent, utterance, scene, &mut rng), &mut rng);
                        if let Some(name) = context.after.get(after) {
                            example.recent[0].clone_from(name);
                        }
                        examples.push(example);
                    }
                }
            }
        }
        examples
    }

    fn add_politeness(&self, utterance: &mut Expansion, rng: &mut impl Rng) {
        let word = |text: &str| Word { text: text.into(), slot: None };
        if rng.random_bool(0.35)
            && let Some(before) = self.around.before.choose(rng)
        {
            utterance.words.splice(0..0, before.split(' ').map(word));
        }
        if rng.random_bool(0.2)
            && let Some(after) = self.around.after.choose(rng)
        {
            utterance.words.extend(after.split(' ').map(word));
        }
    }

    /// Simulates a speech recogniser: words outside of slots may be dropped, repeated or confused, and fillers are inserted.
    fn add_asr_noise(&self, utterance: &mut Expansion, rng: &mut impl Rng) {
        let mut noisy: Vec<Word> = Vec::new();
        for word in &utterance.words {
            let mut word = word.clone();
            let outside = word.slot.is_none();
            let inner = noisy.last().is_some_and(|w| w.slot.is_some()) && word.slot.is_some();
            if !inner
                && rng.random_bool(0.03)
                && let Some(filler) = self.noise.fillers.choose(rng)
            {
                noisy.extend(filler.split(' ').map(|w| Word { text: w.into(), slot: None }));
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
            // A rare word, which the model does not know.
            if outside && utterance.words.len() > 3 && rng.random_bool(0.02) {
                word.text = invented_words("~", rng);
            }
            if outside && rng.random_bool(0.02) {
                noisy.push(word.clone());
            }
            noisy.push(word);
        }
        if !noisy.is_empty() {
            utterance.words = noisy;
        }
    }
}

/// Share of invented entries in a list that has such, 0 to 1.
const INVENTED_SHARE: f64 = 0.4;
/// Additional examples per round of the last intent, `out_of_scope`.
const EXTRA_LAST: usize = 3;

/// Separates the random numbers of contexts from the others.
const CONTEXT_SEED: u64 = 0xC0_17E7;
