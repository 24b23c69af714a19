//! Inference that can be left and taken up again between any two layers.
//!
//! A [`Session`] is a state machine: tokens wait to be fed, a run of them is somewhere in the middle of the layers, or a
//! token is to be chosen. [`Session::step`] goes on until its budget is spent; everything is kept, so it is of no
//! consequence how the work was sliced: runs are cut by [`Session::with_chunk`] alone, never by the budget, and the same tokens go
//! through the same sums. To cancel a session, drop it.

use crate::decoder::{
    cache::Cache,
    constraint::{Allowed, Guide},
    model::{Model, Positions},
    sample::{Chosen, Sampler, Sampling},
};
use tch::Tensor;

#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("token {token} is not in the model's vocabulary of {vocabulary}")]
    Token { token: u32, vocabulary: i64 },
    #[error("{wanted} tokens do not fit: the session has room for {capacity}, the model for {max_positions}")]
    Full { wanted: usize, capacity: usize, max_positions: usize },
    #[error("nothing to go on from: push a prompt first")]
    Empty,
    #[error("{tokens} tokens are still to be fed: step the session until it is idle before it is forked")]
    Unfed { tokens: usize },
    #[error("the guide allows the token {token}, which is not in the model's vocabulary of {vocabulary}")]
    Guide { token: u32, vocabulary: i64 },
    #[error("the model's logits are not numbers after {tokens} tokens; its weights are damaged")]
    NotFinite { tokens: usize },
}

/// How much may be done before the processor is given back: layers of a run of tokens; the output matrix counts as one.
/// The caller knows what a layer costs on its machine ([`Step::layers`] and its own clock tell).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    pub layers: usize,
}

impl Budget {
    pub const UNLIMITED: Self = Self { layers: usize::MAX };

    pub fn layers(layers: usize) -> Self {
        Self { layers }
    }
}

/// Where a step has left the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The budget is spent; there is more to do.
    Paused,
    /// All that was pushed has been fed, and nothing is to be generated.
    Idle,
    /// What was to be generated is there.
    Finished(Finish),
}

/// Why generating ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// A stop token came.
    Stop,
    /// The guide had no more to ask.
    Guide,
    /// `max_tokens` were generated.
    Length,
    /// The cache is full.
    Full,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Layers run in this step.
    pub layers: usize,
    pub state: State,
}

/// What is to be generated.
pub struct Generate {
    pub sampling: Sampling,
    pub max_tokens: usize,
    /// Tokens that end it; they are not part of what is generated.
    pub stop: Vec<u32>,
    pub guide: Option<Box<dyn Guide>>,
}

struct Generating {
    sampler: Sampler,
    max_tokens: usize,
    stop: Vec<u32>,
    guide: Option<Box<dyn Guide>>,
    tokens: Vec<u32>,
    finish: Option<Finish>,
}

/// A run of tokens on its way through the layers.
struct Run {
    tokens: usize,
    at: Positions,
    x: Tensor,
    next_layer: usize,
}

/// One conversation with a model. It belongs to one model: what it keeps of one means nothing to another.
pub struct Session {
    cache: Cache,
    vocabulary: i64,
    max_positions: usize,
    chunk: usize,
    /// All tokens: fed, in the run under way, and to be fed.
    text: Vec<u32>,
    /// Tokens in the cache, those of a run under way not counted.
    fed: usize,
    run: Option<Run>,
    /// Of the token after all that was fed.
    logits: Option<Vec<f32>>,
    generating: Option<Generating>,
}

impl Session {
    /// Room for `capacity` tokens, taken now.
    pub fn new(model: &Model, capacity: usize) -> Self {
        let config = model.config();
        Self {
            cache: Cache::new(config, capacity.min(config.max_positions), (model.kind(), model.device())),
            vocabulary: config.vocab_size,
            max_positions: config.max_positions,
            chunk: model.chunk(),
            text: Vec::new(),
            fed: 0,
            run: None,
            logits: None,
            generating: None,
        }
    }

    /// Runs of at most this many tokens. Sessions whose runs are cut in another way may differ in the last bits.
    pub fn with_chunk(self, chunk: usize) -> Self {
        Self { chunk: chunk.max(1), ..self }
    }

    /// Adds tokens to what the model is to read.
    pub fn push(&mut self, tokens: &[u32]) -> Result<(), SessionError> {
        if let Some(&token) = tokens.iter().find(|&&t| i64::from(t) >= self.vocabulary) {
            return Err(SessionError::Token { token, vocabulary: self.vocabulary });
        }
        let (wanted, capacity) = (self.len() + tokens.len(), self.cache.capacity());
        if wanted > capacity {
            return Err(SessionError::Full { wanted, capacity, max_positions: self.max_positions });
        }
        self.text.extend_from_slice(tokens);
        Ok(())
    }

    /// Begins to generate after what was pushed. What was generated before stays part of the text.
    pub fn generate(&mut self, what: Generate) {
        let Generate { sampling, max_tokens, stop, guide } = what;
        let sampler = Sampler::new(sampling);
        self.generating = Some(Generating { sampler, max_tokens, stop, guide, tokens: Vec::new(), finish: None });
    }

    /// Tokens pushed and generated.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What has been generated since [`Session::generate`].
    pub fn generated(&self) -> &[u32] {
        self.generating.as_ref().map_or(&[], |g| &g.tokens)
    }

    /// The logits of the token after all that has been fed; `None` while a run is under way.
    pub fn logits(&self) -> Option<&[f32]> {
        self.logits.as_deref()
    }

    /// Tokens that are neither fed nor in the run under way.
    fn pending(&self) -> usize {
        self.text.len() - self.fed - self.run.as_ref().map_or(0, |r| r.tokens)
    }

    /// A session of its own that goes on from here: what was fed is copied, not computed again. What is being generated
    /// stays behind. Everything pushed must have been fed ([`State::Idle`]).
    pub fn fork(&self) -> Result<Self, SessionError> {
        if self.len() > self.fed {
            return Err(SessionError::Unfed { tokens: self.len() - self.fed });
        }
        Ok(Self { logits: self.logits.clone(), ..self.fork_at(self.fed) })
    }

    /// A session of its own that is to read `tokens`: as many as this one has read from its beginning are copied, not
    /// computed again.
    pub fn fork_for(&self, tokens: &[u32]) -> Result<Self, SessionError> {
        let shared = self.text[..self.fed].iter().zip(tokens).take_while(|(a, b)| a == b).count();
        // The last token is fed again: what follows it is asked for.
        let mut fork = self.fork_at(shared.min(tokens.len().saturating_sub(1)));
        fork.push(&tokens[fork.fed..])?;
        Ok(fork)
    }

    fn fork_at(&self, fed: usize) -> Self {
        Self {
            cache: self.cache.fork(fed),
            vocabulary: self.vocabulary,
            max_positions: self.max_positions,
            chunk: self.chunk,
            text: self.text[..fed].to_vec(),
            fed,
            run: None,
            logits: None,
            generating: None,
        }
    }

    /// A session of its own that has read what this one has read so far, and nothing else.
    pub fn snapshot(&self) -> Self {
        self.fork_at(self.fed)
    }

    /// Tokens that are fed.
    pub fn fed(&self) -> usize {
        self.fed
    }

    /// Goes on until the budget is spent, or there is nothing left to do.
    pub fn step(&mut self, model: &Model, budget: Budget) -> Result<Step, SessionError> {
        let mut layers = 0;
        let state = tch::no_grad(|| {
            loop {
                // Before what is pending: the last tokens chosen are fed only if something is to follow them.
                if let Some(finish) = self.generating.as_ref().and_then(|g| g.finish) {
                    return Ok(State::Finished(finish));
                }
                if self.run.is_none() && self.pending() == 0 {
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

    /// One layer of the run under way, or of the next one; or the output matrix.
    fn advance(&mut self, model: &Model) -> Result<(), SessionError> {
        let mut run = match self.run.take() {
            Some(run) => run,
            None => self.begin(model),
        };
        if run.next_layer < model.config().layers {
            run.x = model.layer(run.next_layer, &run.x, &run.at, Some(self.cache.layer(run.next_layer)));
            run.next_layer += 1;
            // Only the last run of what is to be read goes on to the output matrix.
            if run.next_layer == model.config().layers && self.text.len() > self.fed + run.tokens {
                self.fed += run.tokens;
            } else {
                self.run = Some(run);
            }
            return Ok(());
        }
        self.fed += run.tokens;
        let logits = model.logits(&run.x.narrow(1, run.tokens as i64 - 1, 1)).flatten(0, -1);
        let mut values = vec![0f32; logits.numel()];
        logits.copy_data(&mut values, logits.numel());
        if values.iter().any(|v| !v.is_finite()) {
            return Err(SessionError::NotFinite { tokens: self.fed });
        }
        self.logits = Some(values);
        Ok(())
    }

    fn begin(&mut self, model: &Model) -> Run {
        let end = self.text.len().min(self.fed + self.chunk);
        let tokens: Vec<i64> = self.text[self.fed..end].iter().map(|t| i64::from(*t)).collect();
        self.logits = None;
        Run {
            tokens: tokens.len(),
            at: model.positions(self.fed as i64, tokens.len() as i64),
            x: model.embed(&Tensor::from_slice(&tokens).unsqueeze(0)),
            next_layer: 0,
        }
    }

    /// Chooses the next token, and those that are certain after it. `Some` when nothing is to be chosen.
    fn choose(&mut self) -> Result<Option<State>, SessionError> {
        let (fed, capacity, vocabulary) = (self.fed, self.cache.capacity(), self.vocabulary);
        let Some(g) = &mut self.generating else { return Ok(Some(State::Idle)) };
        let mut logits = self.logits.as_deref();
        loop {
            let allowed = g.guide.as_ref().map_or(Allowed::Any, |guide| guide.allowed());
            let full = self.text.len() >= capacity;
            g.finish = match &allowed {
                Allowed::Done => Some(Finish::Guide),
                _ if g.tokens.len() >= g.max_tokens => Some(Finish::Length),
                _ if full => Some(Finish::Full),
                _ => None,
            };
            if g.finish.is_some() {
                return Ok(None);
            }
            let chosen = match &allowed {
                Allowed::Only(tokens) if tokens.len() == 1 => Chosen { token: tokens[0], probability: 1.0 },
                _ => match logits.take() {
                    Some(logits) => match g.sampler.certain(logits).filter(|_| g.guide.is_none()) {
                        Some(token) => Chosen { token, probability: 1.0 },
                        None => g.sampler.choose(logits, &allowed, &self.text),
                    },
                    None if self.text.len() == fed => return Err(SessionError::Empty),
                    None => return Ok(None),
                },
            };
            if i64::from(chosen.token) >= vocabulary {
                return Err(SessionError::Guide { token: chosen.token, vocabulary });
            }
            if g.stop.contains(&chosen.token) {
                g.finish = Some(Finish::Stop);
                return Ok(None);
            }
            g.tokens.push(chosen.token);
            self.text.push(chosen.token);
            if let Some(guide) = &mut g.guide {
                guide.advance(chosen.token, chosen.probability);
            }
            if g.guide.is_none() {
                return Ok(None);
            }
        }
    }
}
