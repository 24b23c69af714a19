//! Constrained decoding of an intent in the format of [`crate::intent::prompt`]: a path through a trie of token sequences.
//!
//! A decoded intent always parses and is always in the catalogue; a text slot holds words of the utterance only, so no name
//! and no place is made up.

use crate::{
    decoder::constraint::{Allowed, Constraint},
    dialogue::{codec::Codec, tokenizer::TokenizerError},
    intent::{
        catalogue::{Catalogue, MAX_SPAN_WORDS, SlotKind},
        output::IntentOutput,
    },
};
use std::sync::Arc;

/// A constraint whose complete output is an intent.
pub trait IntentConstraint: Constraint {
    /// The intent, once it is complete.
    fn output(&self) -> Option<IntentOutput>;
}

/// A prefix tree of token sequences. No sequence may be a prefix of another: each ends in a token that occurs in none.
#[derive(Debug, Clone)]
pub struct Trie<T> {
    nodes: Vec<Node<T>>,
}

#[derive(Debug, Clone)]
struct Node<T> {
    /// By token, ascending.
    children: Vec<(u32, usize)>,
    end: Option<T>,
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self { nodes: vec![Node { children: Vec::new(), end: None }] }
    }
}

impl<T> Trie<T> {
    /// The root node.
    pub const ROOT: usize = 0;

    /// Adds a sequence with its value.
    pub fn insert(&mut self, tokens: &[u32], end: T) {
        let mut at = Self::ROOT;
        for &token in tokens {
            let new = self.nodes.len();
            let children = &mut self.nodes[at].children;
            at = match children.binary_search_by_key(&token, |c| c.0) {
                Ok(i) => children[i].1,
                Err(i) => {
                    children.insert(i, (token, new));
                    self.nodes.push(Node { children: Vec::new(), end: None });
                    new
                }
            };
        }
        self.nodes[at].end = Some(end);
    }

    /// The tokens that continue from a node.
    pub fn next(&self, node: usize) -> impl Iterator<Item = u32> {
        self.nodes[node].children.iter().map(|c| c.0)
    }

    /// The node after a token.
    pub fn follow(&self, node: usize, token: u32) -> Option<usize> {
        let children = &self.nodes[node].children;
        children.binary_search_by_key(&token, |c| c.0).ok().map(|i| children[i].1)
    }

    /// The value of the sequence that ends at a node.
    pub fn end(&self, node: usize) -> Option<&T> {
        self.nodes[node].end.as_ref()
    }

    /// The values that can be reached from a node.
    fn ends_below(&self, node: usize) -> Vec<&T> {
        let mut found: Vec<&T> = self.nodes[node].end.iter().collect();
        for (_, child) in &self.nodes[node].children {
            found.extend(self.ends_below(*child));
        }
        found
    }
}

/// What follows a name or a value: a slot, or the end of the intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Branch {
    intent: usize,
    slot: Option<usize>,
}

/// The token sequences of all intent names; built once for a catalogue and a tokenizer.
#[derive(Debug)]
pub struct NameTrie {
    trie: Trie<Branch>,
    /// Nodes at which more than one intent is possible.
    ambiguous: Vec<bool>,
}

impl NameTrie {
    /// Builds the trie.
    ///
    /// # Errors
    /// A name that cannot be encoded.
    pub fn new(catalogue: &Catalogue, codec: &Codec) -> Result<Self, TokenizerError> {
        let mut trie = Trie::default();
        for (i, intent) in catalogue.intents().iter().enumerate() {
            let name = codec.encode(&intent.name)?;
            if intent.slots.iter().all(|s| !s.required) {
                trie.insert(&[&name[..], &[codec.reply]].concat(), Branch { intent: i, slot: None });
            }
            for (s, slot) in intent.slots.iter().enumerate() {
                let path = [name.clone(), codec.slot_start(&slot.name, true)?].concat();
                trie.insert(&path, Branch { intent: i, slot: Some(s) });
            }
        }
        let is_ambiguous = |node| {
            let ends = trie.ends_below(node);
            ends.iter().any(|e| e.intent != ends[0].intent)
        };
        let ambiguous = (0..trie.nodes.len()).map(is_ambiguous).collect();
        Ok(Self { trie, ambiguous })
    }
}

enum Position {
    Name(usize),
    Value {
        slot: usize,
        values: Trie<String>,
        node: usize,
    },
    /// Between a value and what follows it.
    Next {
        branches: Trie<Branch>,
        node: usize,
    },
    Done,
}

/// Constrains the decoder to `name slot=value;…<|reply|>` of the catalogue.
pub struct CatalogueConstraint {
    catalogue: Arc<Catalogue>,
    codec: Arc<Codec>,
    names: Arc<NameTrie>,
    utterance: String,
    at: Position,
    intent: usize,
    slots: Vec<(usize, String)>,
    confidence: f64,
}

impl CatalogueConstraint {
    /// A constraint for one utterance, which is normalized as in the prompt.
    pub fn new(catalogue: Arc<Catalogue>, codec: Arc<Codec>, names: Arc<NameTrie>, utterance: &str) -> Self {
        let at = Position::Name(Trie::<Branch>::ROOT);
        let utterance = utterance.into();
        Self { catalogue, codec, names, utterance, at, intent: 0, slots: Vec::new(), confidence: 1.0 }
    }

    fn enter(&mut self, branch: Branch) -> Position {
        self.intent = branch.intent;
        let Some(slot) = branch.slot else { return Position::Done };
        let mut values = Trie::default();
        for value in self.values(slot) {
            // A value that cannot be encoded is left out.
            if let Ok(path) = self.codec.slot_value(&value) {
                values.insert(&path, value);
            }
        }
        Position::Value { slot, values, node: Trie::<String>::ROOT }
    }

    fn values(&self, slot: usize) -> Vec<String> {
        match &self.catalogue.intents()[self.intent].slots[slot].kind {
            SlotKind::Integer { min, max } => (*min..=*max).map(|v| v.to_string()).collect(),
            SlotKind::Choice(values) => values.clone(),
            SlotKind::Text => spans(&self.utterance),
        }
    }

    /// What may follow a value: the slots that are not given yet, and the end if no required slot is missing.
    fn branches(&self) -> Trie<Branch> {
        let given = |s: usize| self.slots.iter().any(|(g, _)| *g == s);
        let slots = &self.catalogue.intents()[self.intent].slots;
        let mut branches = Trie::default();
        if slots.iter().enumerate().all(|(s, slot)| !slot.required || given(s)) {
            branches.insert(&[self.codec.reply], Branch { intent: self.intent, slot: None });
        }
        for (s, slot) in slots.iter().enumerate().filter(|(s, _)| !given(*s)) {
            if let Ok(path) = self.codec.slot_start(&slot.name, false) {
                branches.insert(&path, Branch { intent: self.intent, slot: Some(s) });
            }
        }
        branches
    }
}

/// All values of a text slot: consecutive words of the utterance.
pub(crate) fn spans(utterance: &str) -> Vec<String> {
    let words: Vec<&str> = utterance.split(' ').collect();
    let ends = |from: usize| from + 1..=words.len().min(from + MAX_SPAN_WORDS);
    (0..words.len()).flat_map(|from| ends(from).map(move |to| (from, to))).map(|(a, b)| words[a..b].join(" ")).collect()
}

impl IntentConstraint for CatalogueConstraint {
    fn output(&self) -> Option<IntentOutput> {
        if !matches!(self.at, Position::Done) {
            return None;
        }
        let intent = &self.catalogue.intents()[self.intent];
        let slots = self.slots.iter().map(|(s, v)| (intent.slots[*s].name.clone(), v.clone())).collect();
        Some(IntentOutput { name: intent.name.clone(), slots, confidence: self.confidence })
    }
}

impl Constraint for CatalogueConstraint {
    fn allowed(&self) -> Allowed {
        let next: Vec<u32> = match &self.at {
            Position::Name(node) => self.names.trie.next(*node).collect(),
            Position::Value { values, node, .. } => values.next(*node).collect(),
            Position::Next { branches, node } => branches.next(*node).collect(),
            Position::Done => Vec::new(),
        };
        if next.is_empty() { Allowed::Done } else { Allowed::Only(next) }
    }

    fn advance(&mut self, token: u32, probability: f64) {
        self.at = match std::mem::replace(&mut self.at, Position::Done) {
            Position::Name(node) => {
                if self.names.ambiguous[node] {
                    self.confidence *= probability;
                }
                let names = self.names.clone();
                match names.trie.follow(node, token) {
                    Some(node) => names.trie.end(node).map_or(Position::Name(node), |branch| self.enter(*branch)),
                    None => Position::Name(node),
                }
            }
            Position::Value { slot, values, node } => match values.follow(node, token) {
                Some(node) => match values.end(node) {
                    Some(value) => {
                        self.slots.push((slot, value.clone()));
                        Position::Next { branches: self.branches(), node: Trie::<Branch>::ROOT }
                    }
                    None => Position::Value { slot, values, node },
                },
                None => Position::Value { slot, values, node },
            },
            Position::Next { branches, node } => match branches.follow(node, token) {
                Some(node) => match branches.end(node) {
                    Some(branch) => self.enter(*branch),
                    None => Position::Next { branches, node },
                },
                None => Position::Next { branches, node },
            },
            Position::Done => Position::Done,
        };
    }
}
