//! What the decoder may say next: free text, or a path through a tree of token sequences.
//!
//! The intent is always decoded along such paths, so it always parses and always names something of the catalogue; a text
//! slot holds words of the utterance and no others, so no name and no place is made up.

use crate::{
    dialogue::{codec::Codec, tokenizer::TokenizerError},
    intent::{
        catalogue::{Catalogue, SlotKind},
        output::IntentOutput,
    },
};
use std::sync::Arc;

/// A guide at whose end an intent stands.
pub trait IntentSource: Guide {
    /// What was understood, once it is complete.
    fn output(&self) -> Option<IntentOutput>;
}

/// Token sequences that share their beginnings. None may be the beginning of another: each ends in a sign that is within
/// none.
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
    /// The root, where every path begins.
    pub const ROOT: usize = 0;

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

    /// The tokens that lead on from a node.
    pub fn next(&self, node: usize) -> impl Iterator<Item = u32> {
        self.nodes[node].children.iter().map(|c| c.0)
    }

    pub fn follow(&self, node: usize, token: u32) -> Option<usize> {
        let children = &self.nodes[node].children;
        children.binary_search_by_key(&token, |c| c.0).ok().map(|i| children[i].1)
    }

    pub fn end(&self, node: usize) -> Option<&T> {
        self.nodes[node].end.as_ref()
    }

    /// The ends that can be reached from a node.
    fn ends_below(&self, node: usize) -> Vec<&T> {
        let mut found: Vec<&T> = self.nodes[node].end.iter().collect();
        for (_, child) in &self.nodes[node].children {
            found.extend(self.ends_below(*child));
        }
        found
    }
}

/// After a name or a value: which slot comes, or that the intent is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    intent: usize,
    slot: Option<usize>,
}

/// The paths of all names; made once for a catalogue and a tokenizer.
#[derive(Debug)]
pub struct Names {
    trie: Trie<Turn>,
    /// Nodes at which the name is not yet decided.
    open: Vec<bool>,
}

impl Names {
    pub fn new(catalogue: &Catalogue, codec: &Codec) -> Result<Self, TokenizerError> {
        let mut trie = Trie::default();
        for (i, intent) in catalogue.intents().iter().enumerate() {
            let name = codec.encode(&intent.name)?;
            if intent.slots.iter().all(|s| !s.required) {
                trie.insert(&[&name[..], &[codec.reply]].concat(), Turn { intent: i, slot: None });
            }
            for (s, slot) in intent.slots.iter().enumerate() {
                let path = [name.clone(), codec.slot_start(&slot.name, true)?].concat();
                trie.insert(&path, Turn { intent: i, slot: Some(s) });
            }
        }
        let undecided = |node| {
            let ends = trie.ends_below(node);
            ends.iter().any(|e| e.intent != ends[0].intent)
        };
        let open = (0..trie.nodes.len()).map(undecided).collect();
        Ok(Self { trie, open })
    }
}

enum At {
    Name(usize),
    Value {
        slot: usize,
        values: Trie<String>,
        node: usize,
    },
    /// Between a value and what follows it.
    Next {
        turns: Trie<Turn>,
        node: usize,
    },
    Done,
}

/// Leads through `name slot=value;…<|reply|>`.
pub struct IntentGuide {
    catalogue: Arc<Catalogue>,
    codec: Arc<Codec>,
    names: Arc<Names>,
    utterance: String,
    at: At,
    intent: usize,
    slots: Vec<(usize, String)>,
    confidence: f64,
}

/// A text slot holds at most this many words.
const MAX_SPAN_WORDS: usize = 8;

impl IntentGuide {
    /// `utterance`: clean, as the model was given it.
    pub fn new(catalogue: Arc<Catalogue>, codec: Arc<Codec>, names: Arc<Names>, utterance: &str) -> Self {
        let at = At::Name(Trie::<Turn>::ROOT);
        let utterance = utterance.into();
        Self { catalogue, codec, names, utterance, at, intent: 0, slots: Vec::new(), confidence: 1.0 }
    }

    fn enter(&mut self, turn: Turn) -> At {
        self.intent = turn.intent;
        let Some(slot) = turn.slot else { return At::Done };
        let mut values = Trie::default();
        for value in self.values(slot) {
            // A value whose tokens cannot be had is left out: the others still parse.
            if let Ok(path) = self.codec.slot_value(&value) {
                values.insert(&path, value);
            }
        }
        At::Value { slot, values, node: Trie::<String>::ROOT }
    }

    fn values(&self, slot: usize) -> Vec<String> {
        match &self.catalogue.intents()[self.intent].slots[slot].kind {
            SlotKind::Integer { min, max } => (*min..=*max).map(|v| v.to_string()).collect(),
            SlotKind::Choice(values) => values.clone(),
            SlotKind::Text => spans(&self.utterance),
        }
    }

    /// After a value: the slots not yet given, or the end if none is missing.
    fn turns(&self) -> Trie<Turn> {
        let given = |s: usize| self.slots.iter().any(|(g, _)| *g == s);
        let slots = &self.catalogue.intents()[self.intent].slots;
        let mut turns = Trie::default();
        if slots.iter().enumerate().all(|(s, slot)| !slot.required || given(s)) {
            turns.insert(&[self.codec.reply], Turn { intent: self.intent, slot: None });
        }
        for (s, slot) in slots.iter().enumerate().filter(|(s, _)| !given(*s)) {
            if let Ok(path) = self.codec.slot_start(&slot.name, false) {
                turns.insert(&path, Turn { intent: self.intent, slot: Some(s) });
            }
        }
        turns
    }
}

/// Whatever a text slot can hold: words that follow one another in the utterance.
pub(crate) fn spans(utterance: &str) -> Vec<String> {
    let words: Vec<&str> = utterance.split(' ').collect();
    let ends = |from: usize| from + 1..=words.len().min(from + MAX_SPAN_WORDS);
    (0..words.len()).flat_map(|from| ends(from).map(move |to| (from, to))).map(|(a, b)| words[a..b].join(" ")).collect()
}

impl IntentSource for IntentGuide {
    fn output(&self) -> Option<IntentOutput> {
        if !matches!(self.at, At::Done) {
            return None;
        }
        let intent = &self.catalogue.intents()[self.intent];
        let slots = self.slots.iter().map(|(s, v)| (intent.slots[*s].name.clone(), v.clone())).collect();
        Some(IntentOutput { name: intent.name.clone(), slots, confidence: self.confidence })
    }
}

impl Guide for IntentGuide {
    fn allowed(&self) -> Allowed {
        let next: Vec<u32> = match &self.at {
            At::Name(node) => self.names.trie.next(*node).collect(),
            At::Value { values, node, .. } => values.next(*node).collect(),
            At::Next { turns, node } => turns.next(*node).collect(),
            At::Done => Vec::new(),
        };
        if next.is_empty() { Allowed::Done } else { Allowed::Only(next) }
    }

    fn advance(&mut self, token: u32, probability: f64) {
        self.at = match std::mem::replace(&mut self.at, At::Done) {
            At::Name(node) => {
                if self.names.open[node] {
                    self.confidence *= probability;
                }
                let names = self.names.clone();
                match names.trie.follow(node, token) {
                    Some(node) => names.trie.end(node).map_or(At::Name(node), |turn| self.enter(*turn)),
                    None => At::Name(node),
                }
            }
            At::Value { slot, values, node } => match values.follow(node, token) {
                Some(node) => match values.end(node) {
                    Some(value) => {
                        self.slots.push((slot, value.clone()));
                        At::Next { turns: self.turns(), node: Trie::<Turn>::ROOT }
                    }
                    None => At::Value { slot, values, node },
                },
                None => At::Value { slot, values, node },
            },
            At::Next { turns, node } => match turns.follow(node, token) {
                Some(node) => match turns.end(node) {
                    Some(turn) => self.enter(*turn),
                    None => At::Next { turns, node },
                },
                None => At::Next { turns, node },
            },
            At::Done => At::Done,
        };
    }
}
