//! Inference that can be paused and resumed between any two layers.
//!
//! A [`Session`] is a state machine: tokens wait to be processed, a chunk of them is somewhere in the middle of the layers, or
//! a token is to be sampled. [`Session::step`] runs until its budget is used up. How the work is sliced does not change the
//! result: chunks are cut by [`Session::with_chunk`] alone, never by the budget, and the same tokens go through the same sums.
//! To cancel a session, drop it.

use crate::decoder::{
    cache::Cache,
    constraint::{Allowed, Constraint},
    model::{Model, Positions},
    sample::{Chosen, Sampler, Sampling},
};
use tch::Tensor;

/// An error of a session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// A token beyond the model's vocabulary.
    #[error("token {token} is not in the model's vocabulary of {vocabulary}")]
    Token {
        /// The token id.
        token: u32,
        /// Vocabulary size of the model.
        vocabulary: i64,
    },
    /// The tokens do not fit into the cache or the context.
    #[error("{wanted} tokens do not fit: the session has room for {capacity}, the model for {max_positions}")]
    Full {
        /// Tokens in total.
        wanted: usize,
        /// Cache capacity of the session in tokens.
        capacity: usize,
        /// Length of the model's context in tokens.
        max_positions: usize,
    },
    /// There is no token to continue from.
    #[error("the session is empty: push a prompt first")]
    Empty,
    /// A session can be forked only when it is idle.
    #[error("{tokens} tokens are not processed yet: step the session until it is idle before it is forked")]
    Pending {
        /// Tokens that are not processed yet.
        tokens: usize,
    },
    /// The constraint allowed a token beyond the model's vocabulary.
    #[error("the constraint allows the token {token}, which is not in the model's vocabulary of {vocabulary}")]
    Constraint {
        /// The token id.
        token: u32,
        /// Vocabulary size of the model.
        vocabulary: i64,
    },
    /// The model computed NaN or infinity.
    #[error("the model's logits are not finite after {tokens} tokens; its weights are damaged")]
    NotFinite {
        /// Tokens processed.
        tokens: usize,
    },
}

/// How much work a step may do: the number of layers, each for one chunk of tokens; the output matrix counts as one layer.
/// The caller can measure what a layer costs on its machine by [`Step::layers`] and its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Layers that may be run.
    pub layers: usize,
}

impl Budget {
    /// No limit.
    pub const UNLIMITED: Self = Self { layers: usize::MAX };

    /// At most this many layers.
    pub fn layers(layers: usize) -> Self {
        Self { layers }
    }
}

/// State of a session after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The budget is used up; there is more to do.
    Paused,
    /// All tokens are processed, and nothing is to be generated.
    Idle,
    /// Generation has ended.
    Finished(Finish),
}

/// Why generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// A stop token was generated.
    Stop,
    /// The constraint is complete.
    Constraint,
    /// `max_tokens` were generated.
    Length,
    /// The cache is full.
    Full,
}

/// The result of [`Session::step`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Layers run in this step.
    pub layers: usize,
    /// State of the session after the step.
    pub state: State,
}

/// What to generate.
pub struct Generate {
    /// How tokens are sampled.
    pub sampling: Sampling,
    /// The largest number of tokens.
    pub max_tokens: usize,
    /// Tokens that end generation; they are not part of the generated tokens.
    pub stop: Vec<u32>,
    /// Restricts the tokens that may be generated.
    pub constraint: Option<Box<dyn Constraint>>,
}

struct Generating {
    sampler: Sampler,
    max_tokens: usize,
    stop: Vec<u32>,
    constraint: Option<Box<dyn Constraint>>,
    tokens: Vec<u32>,
    finish: Option<Finish>,
}

/// A chunk of tokens on its way through the layers.
struct Chunk {
    tokens: usize,
    positions: Positions,
    x: Tensor,
    next_layer: usize,
}

/// A sequence of tokens with its key-value cache. It belongs to one model and must always be stepped with that model.
pub struct Session {
    cache: Cache,
    vocabulary: i64,
    max_positions: usize,
    chunk: usize,
    /// All tokens: processed, in the current chunk, and pending.
    tokens: Vec<u32>,
    /// Tokens that are processed; those of the current chunk are not.
    processed: usize,
    current: Option<Chunk>,
    /// Of the token after all processed ones.
    logits: Option<Vec<f32>>,
    generating: Option<Generating>,
}

impl Session {
    /// An empty session with a cache for `capacity` tokens, allocated now.
    pub fn new(model: &Model, capacity: usize) -> Self {
        let config = model.config();
        Self {
            cache: Cache::new(config, capacity.min(config.max_positions), (model.kind(), model.device())),
            vocabulary: config.vocab_size,
            max_positions: config.max_positions,
            chunk: model.chunk(),
            tokens: Vec::new(),
            processed: 0,
            current: None,
            logits: None,
            generating: None,
        }
    }

    /// Processes at most this many tokens together. Sessions with different chunks may differ in the last bits.
    pub fn with_chunk(self, chunk: usize) -> Self {
        Self { chunk: chunk.max(1), ..self }
    }

    /// Appends tokens to the prompt.
    ///
    /// # Errors
    /// [`SessionError::Token`] or [`SessionError::Full`]; the session is unchanged then.
    pub fn push(&mut self, tokens: &[u32]) -> Result<(), SessionError> {
        if let Some(&token) = tokens.iter().find(|&&t| i64::from(t) >= self.vocabulary) {
            return Err(SessionError::Token { token, vocabulary: self.vocabulary });
        }
        let (wanted, capacity) = (self.len() + tokens.len(), self.cache.capacity());
        if wanted > capacity {
            return Err(SessionError::Full { wanted, capacity, max_positions: self.max_positions });
        }
        self.tokens.extend_from_slice(tokens);
        Ok(())
    }

    /// Begins to generate after all tokens so far. Tokens that were generated before stay in the sequence.
    pub fn generate(&mut self, what: Generate) {
        let Generate { sampling, max_tokens, stop, constraint } = what;
        let sampler = Sampler::new(sampling);
        self.generating = Some(Generating { sampler, max_tokens, stop, constraint, tokens: Vec::new(), finish: None });
    }

    /// Tokens pushed and generated.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tokens generated since [`Session::generate`].
    pub fn generated(&self) -> &[u32] {
        self.generating.as_ref().map_or(&[], |g| &g.tokens)
    }

    /// The logits of the token after all processed ones; `None` while a chunk is being processed.
    pub fn logits(&self) -> Option<&[f32]> {
        self.logits.as_deref()
    }

    /// Tokens that are neither processed nor in the current chunk.
    fn pending(&self) -> usize {
        self.tokens.len() - self.processed - self.current.as_ref().map_or(0, |c| c.tokens)
    }

    /// A new session that continues from here: the cache is copied, not computed again. A generation that is under way is not
    /// copied.
    ///
    /// # Errors
    /// [`SessionError::Pending`] if the session is not idle ([`State::Idle`]).
    pub fn fork(&self) -> Result<Self, SessionError> {
        if self.len() > self.processed {
            return Err(SessionError::Pending { tokens: self.len() - self.processed });
        }
        Ok(Self { logits: self.logits.clone(), ..self.fork_at(self.processed) })
    }

    /// A new session with the prompt `tokens`. The cache of the common prefix is copied, not computed again.
    ///
    /// # Errors
    /// As [`Session::push`].
    pub fn fork_for(&self, tokens: &[u32]) -> Result<Self, SessionError> {
        let shared = self.tokens[..self.processed].iter().zip(tokens).take_while(|(a, b)| a == b).count();
        // The last token is processed again, because its logits are needed.
        let mut fork = self.fork_at(shared.min(tokens.len().saturating_sub(1)));
        fork.push(&tokens[fork.processed..])?;
        Ok(fork)
    }

    fn fork_at(&self, processed: usize) -> Self {
        Self {
            cache: self.cache.fork(processed),
            vocabulary: self.vocabulary,
            max_positions: self.max_positions,
            chunk: self.chunk,
            tokens: self.tokens[..processed].to_vec(),
            processed,
            current: None,
            logits: None,
            generating: None,
        }
    }

    /// A new session with the tokens processed so far.
    pub fn snapshot(&self) -> Self {
        self.fork_at(self.processed)
    }

    /// The number of processed tokens.
    pub fn processed(&self) -> usize {
        self.processed
    }

    /// Runs until the budget is used up, or there is nothing left to do.
    ///
    /// # Errors
    /// [`SessionError::Empty`], [`SessionError::Constraint`] or [`SessionError::NotFinite`].
    pub fn step(&mut self, model: &Model, budget: Budget) -> Result<Step, SessionError> {
        let mut layers = 0;
        let state = tch::no_grad(|| {
            loop {
                // Checked before pending tokens: the last tokens are processed only if something follows them.
                if let Some(finish) = self.generating.as_ref().and_then(|g| g.finish) {
                    return Ok(State::Finished(finish));
                }
                if self.current.is_none() && self.pending() == 0 {
                    if let Some(state) = self.choose()? {
                        return Ok(state);
                    }
                } else if layers == budget.layers {
                    return Ok(State::Paused);
                } else {
                    self.advance(model)?;
                    layers += 1;
                }
            }
        })?;
        Ok(Step { layers, state })
    }

    /// Runs one layer, or the output matrix, for the current chunk or the next one.
    fn advance(&mut self, model: &Model) -> Result<(), SessionError> {
        let mut chunk = match self.current.take() {
            Some(chunk) => chunk,
            None => self.begin(model),
        };
        if chunk.next_layer < model.config().layers {
            let cache = self.cache.layer(chunk.next_layer);
            chunk.x = model.layer(chunk.next_layer, &chunk.x, &chunk.positions, Some(cache));
            chunk.next_layer += 1;
            // Only the last chunk needs logits.
            if chunk.next_layer == model.config().layers && self.tokens.len() > self.processed + chunk.tokens {
                self.processed += chunk.tokens;
            } else {
                self.current = Some(chunk);
            }
            return Ok(());
        }
        self.processed += chunk.tokens;
        let logits = model.logits(&chunk.x.narrow(1, chunk.tokens as i64 - 1, 1)).flatten(0, -1);
        let mut values = vec![0f32; logits.numel()];
        logits.copy_data(&mut values, logits.numel());
        if values.iter().any(|v| !v.is_finite()) {
            return Err(SessionError::NotFinite { tokens: self.processed });
        }
        self.logits = Some(values);
        Ok(())
    }

    fn begin(&mut self, model: &Model) -> Chunk {
        let end = self.tokens.len().min(self.processed + self.chunk);
        let tokens: Vec<i64> = self.tokens[self.processed..end].iter().map(|t| i64::from(*t)).collect();
        self.logits = None;
        Chunk {
            tokens: tokens.len(),
            positions: model.positions(self.processed as i64, tokens.len() as i64),
            x: model.embed(&Tensor::from_slice(&tokens).unsqueeze(0)),
            next_layer: 0,
        }
    }

    /// Samples the next token, and all that the constraint determines after it. Returns a state if there is nothing to
    /// sample.
    fn choose(&mut self) -> Result<Option<State>, SessionError> {
        let (processed, capacity, vocabulary) = (self.processed, self.cache.capacity(), self.vocabulary);
        let Some(g) = &mut self.generating else { return Ok(Some(State::Idle)) };
        loop {
            // The logits are those of the token after all processed ones: a token that was determined makes them stale.
            let logits = self.logits.as_deref().filter(|_| self.tokens.len() == processed);
            let allowed = g.constraint.as_ref().map_or(Allowed::Any, |constraint| constraint.allowed());
            let full = self.tokens.len() >= capacity;
            g.finish = match &allowed {
                Allowed::Done => Some(Finish::Constraint),
                _ if g.tokens.len() >= g.max_tokens => Some(Finish::Length),
                _ if full => Some(Finish::Full),
                _ => None,
            };
            if g.finish.is_some() {
                return Ok(None);
            }
            let chosen = match &allowed {
                Allowed::Only(tokens) if tokens.len() == 1 => Chosen { token: tokens[0], probability: 1.0 },
                _ => match logits {
                    Some(logits) => match g.sampler.greedy(logits).filter(|_| g.constraint.is_none()) {
                        Some(token) => Chosen { token, probability: 1.0 },
                        None => g.sampler.choose(logits, &allowed, &self.tokens),
                    },
                    None if self.tokens.len() == processed => return Err(SessionError::Empty),
                    None => return Ok(None),
                },
            };
            if i64::from(chosen.token) >= vocabulary {
                return Err(SessionError::Constraint { token: chosen.token, vocabulary });
            }
            if g.stop.contains(&chosen.token) {
                g.finish = Some(Finish::Stop);
                return Ok(None);
            }
            g.tokens.push(chosen.token);
            self.tokens.push(chosen.token);
            if let Some(constraint) = &mut g.constraint {
                constraint.advance(chosen.token, chosen.probability);
            }
            if g.constraint.is_none() {
                return Ok(None);
            }
        }
    }
}
