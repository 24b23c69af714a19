//! Training of a decoder from scratch on dialogues generated from the grammar (`auriga-lm train`).
//!
//! The loss covers intent and reply only. Examples are generated on demand from seed and number, so a resumed run continues
//! with the same examples.

use crate::{
    decoder::{
        config::{Config, Family, rope::RopeScaling},
        model::Model,
        weights::{self, Weights},
    },
    dialogue::{codec::Codec, tokenizer::Tokenizer, turn::Lm},
    intent::catalogue::Catalogue,
    training::{
        adamw::{self, Parameter, Settings},
        corpus::{Corpus, Example, Split, Transcript},
        evaluate,
        log::TrainingLog,
    },
};
use anyhow::{Context, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};
use tch::{Device, Kind, Reduction, Tensor};

/// Options of `auriga-lm train`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Output folder; an interrupted run is resumed from its state there
    #[arg(long)]
    pub out: PathBuf,
    /// Intent catalogue
    #[arg(long, default_value = "models/language/intents.toml")]
    pub catalogue: PathBuf,
    /// Grammar of the corpus
    #[arg(long, default_value = "models/language/grammar.toml")]
    pub grammar: PathBuf,
    /// Number of steps
    #[arg(long, default_value_t = 6000)]
    pub steps: u64,
    /// Dialogues per step
    #[arg(long, default_value_t = 32)]
    pub batch: usize,
    /// Peak learning rate
    #[arg(long, default_value_t = 2e-3)]
    pub learning_rate: f64,
    /// Steps of learning-rate warm-up
    #[arg(long, default_value_t = 200)]
    pub warmup: u64,
    /// Seed of all random numbers
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Vocabulary of the tokenizer, which is trained first
    #[arg(long, default_value_t = 2000)]
    pub vocabulary: usize,
    /// Size of the residual stream
    #[arg(long, default_value_t = 192)]
    pub hidden: i64,
    /// Number of layers
    #[arg(long, default_value_t = 4)]
    pub layers: usize,
    /// How many times more often intents are drawn whose slots or replies carry values
    #[arg(long, alias = "emphasis", default_value_t = 0)]
    pub oversample_values: usize,
    /// Threads of libtorch
    #[arg(long, default_value_t = 1)]
    pub threads: i32,
    /// Steps between evaluations on held-out phrasings, each of which also saves the run; 0: only after the last step
    #[arg(long, default_value_t = 500)]
    pub every: u64,
}

const HEAD_DIM: i64 = 32;
/// Query heads per key-value head.
const GROUP: i64 = 3;
/// Dialogues for training the tokenizer.
const TOKENIZER_EXAMPLES: u64 = 20_000;
/// Batches that are generated together and sorted by length, so that there is little padding.
const POOL: u64 = 16;
/// Weight in the loss of a token of the intent; a token of the reply has weight 1.
const INTENT_WEIGHT: f32 = 2.0;

/// A run between two steps.
struct Trainer {
    options: Options,
    config: Config,
    corpus: Corpus,
    codec: Codec,
    parameters: Vec<Parameter>,
    step: u64,
    /// Number of the current pool, and its batches.
    pool: (u64, Vec<Vec<Sequence>>),
}

/// A tokenized dialogue.
pub struct Sequence {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// Weight of each token in the loss; 0 for the prompt.
    pub weights: Vec<f32>,
}

/// Tokenizes an example.
///
/// # Errors
/// A text that cannot be encoded.
pub fn sequence(c: &Codec, e: &Example) -> anyhow::Result<Sequence> {
    let prompt = [c.scene_part(&e.scene)?, c.user_part(&e.utterance)?].concat();
    let (intent, reply) = (c.intent_part(&e.intent)?, c.reply_part(&e.reply)?);
    let weights = [vec![0.0; prompt.len()], vec![INTENT_WEIGHT; intent.len()], vec![1.0; reply.len()]].concat();
    Ok(Sequence { tokens: [prompt, intent, reply].concat(), weights })
}

/// The weighted mean cross-entropy of sequences, which are padded to the longest with the token `padding`.
pub fn loss(model: &Model, padding: u32, batch: &[Sequence], device: Device) -> Tensor {
    let longest = batch.iter().map(|s| s.tokens.len()).max().unwrap_or(0).saturating_sub(1);
    let (mut inputs, mut targets, mut weights, mut places) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (row, s) in batch.iter().enumerate() {
        for (i, token) in s.tokens[1..].iter().enumerate().filter(|(i, _)| s.weights[i + 1] > 0.0) {
            targets.push(i64::from(*token));
            weights.push(s.weights[i + 1]);
            places.push((row * longest + i) as i64);
        }
        let row: Vec<i64> = s.tokens[..s.tokens.len() - 1].iter().map(|t| i64::from(*t)).collect();
        inputs.extend(&row);
        inputs.resize(inputs.len() + longest - row.len(), i64::from(padding));
    }
    let on = |t: Tensor| t.to_device(device);
    let x = model.forward(&on(Tensor::from_slice(&inputs).view([batch.len() as i64, longest as i64])));
    let x = x.flatten(0, 1).index_select(0, &on(Tensor::from_slice(&places)));
    let targets = on(Tensor::from_slice(&targets));
    let each = model.logits(&x).cross_entropy_loss(&targets, None::<Tensor>, Reduction::None, -100, 0.0);
    let weights = on(Tensor::from_slice(&weights));
    (each * &weights).sum(Kind::Float) / weights.sum(Kind::Float)
}

/// Runs or resumes a training.
///
/// # Errors
/// Options out of bounds, a file that cannot be read or written, or a loss that is not finite.
pub fn run(options: &Options) -> anyhow::Result<()> {
    tch::set_num_threads(options.threads);
    let mut trainer = Trainer::start(options.clone())?;
    let mut log = TrainingLog::begin(&options.out, COLUMNS, trainer.step)?;
    let style = "{elapsed_precise} {wide_bar} {pos}/{len} steps, {eta} left; {msg}";
    let bar = ProgressBar::new(options.steps).with_style(ProgressStyle::with_template(style)?);
    bar.set_position(trainer.step);
    let mut window = Window::new();
    while trainer.step < options.steps {
        let done = trainer.train_step()?;
        ensure!(done.loss.is_finite(), "the loss is not a number after {} steps: lower --learning-rate", trainer.step);
        window.add(&done);
        bar.inc(1);
        let last = trainer.step == options.steps;
        let evaluate = last || trainer.step.is_multiple_of(options.every);
        if evaluate || trainer.step.is_multiple_of(LOG_INTERVAL) {
            let accuracy = if evaluate { format!("{:.4}", trainer.save_and_evaluate()?) } else { String::new() };
            let (loss, speed) = (window.loss(), window.tokens_per_second());
            let rate = trainer.settings().learning_rate_at(trainer.step - 1);
            let row = format!("{},{loss:.4},{rate:.6},{:.3},{speed:.0},{accuracy}", trainer.step, done.norm);
            bar.set_message(format!("loss {loss:.3}, {speed:.0} tokens/s, held out {accuracy}"));
            if bar.is_hidden() {
                println!("{row}");
            }
            log.push(row)?;
            if evaluate {
                trainer.save_state()?;
            }
            window = Window::new();
        }
    }
    bar.finish();
    log.plot(ACCURACY)
}

const LOG_INTERVAL: u64 = 50;
const COLUMNS: &[&str] = &["loss", "learning_rate", "gradient_norm", "tokens_per_s", ACCURACY];
const ACCURACY: &str = "held_out_accuracy";

/// The result of one step.
struct StepResult {
    loss: f64,
    norm: f64,
    tokens: usize,
}

/// Sums since the last row of the log.
struct Window {
    loss: f64,
    steps: u64,
    tokens: usize,
    begin: Instant,
}

impl Window {
    fn new() -> Self {
        Self { loss: 0.0, steps: 0, tokens: 0, begin: Instant::now() }
    }

    fn add(&mut self, step: &StepResult) {
        self.loss += step.loss;
        self.steps += 1;
        self.tokens += step.tokens;
    }

    fn loss(&self) -> f64 {
        self.loss / self.steps as f64
    }

    fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.begin.elapsed().as_secs_f64()
    }
}

impl Trainer {
    fn start(options: Options) -> anyhow::Result<Self> {
        fs::create_dir_all(&options.out)
            .with_context(|| format!("cannot make the folder {}", options.out.display()))?;
        let catalogue = Catalogue::load(&options.catalogue)?;
        let mut corpus = Corpus::load(&options.grammar, &catalogue)?;
        corpus.oversample_values(options.oversample_values);
        let state = options.out.join(STATE);
        let resume = state.exists();
        let file = options.out.join("tokenizer.json");
        let tokenizer = if resume {
            Tokenizer::load(&file)?
        } else {
            let trained = Tokenizer::train(&tokenizer_texts(&corpus, options.seed), options.vocabulary)?;
            trained.save(&file)?;
            trained
        };
        let config = config(&options, tokenizer.vocabulary() as i64)?;
        let codec = Codec::new(tokenizer)?;
        let mut trainer = Self {
            parameters: initial(&config, options.seed),
            step: 0,
            pool: (u64::MAX, Vec::new()),
            options,
            config,
            corpus,
            codec,
        };
        if resume {
            trainer.resume(&state)?;
        }
        Ok(trainer)
    }

    fn settings(&self) -> Settings {
        let o = &self.options;
        Settings {
            learning_rate: o.learning_rate,
            warmup_steps: o.warmup,
            steps: o.steps,
            weight_decay: 0.05,
            clip: 1.0,
        }
    }

    /// Restores parameters, optimizer state and step.
    fn resume(&mut self, state: &Path) -> anyhow::Result<()> {
        let mut saved = Weights::load_file(state)?;
        self.step = saved.take("step", &[1])?.double_value(&[0]) as u64;
        for p in &mut self.parameters {
            let size = p.value.size();
            tch::no_grad(|| -> anyhow::Result<()> {
                p.value.detach().copy_(&saved.take(&p.name, &size)?);
                p.first_moment.copy_(&saved.take(&format!("first_moment.{}", p.name), &size)?);
                p.second_moment.copy_(&saved.take(&format!("second_moment.{}", p.name), &size)?);
                Ok(())
            })?;
        }
        saved.finish()?;
        println!("resumed after step {}", self.step);
        Ok(())
    }

    fn train_step(&mut self) -> anyhow::Result<StepResult> {
        let batch = self.batch()?;
        let loss = loss(&self.model()?, self.codec.end, &batch, Device::Cpu);
        loss.backward();
        let settings = self.settings();
        let norm = adamw::step(&mut self.parameters, &settings, self.step, settings.learning_rate_at(self.step));
        self.step += 1;
        let longest = batch.iter().map(|s| s.tokens.len()).max().unwrap_or(0);
        Ok(StepResult { loss: loss.double_value(&[]), norm, tokens: batch.len() * longest.saturating_sub(1) })
    }

    /// The batch of this step, from a pool of batches sorted by length.
    fn batch(&mut self) -> anyhow::Result<Vec<Sequence>> {
        let (pool, which) = (self.step / POOL, self.step % POOL);
        if self.pool.0 != pool {
            self.pool = (pool, self.batches(pool)?);
        }
        // A stride that is coprime to the size of the pool visits every batch once.
        Ok(std::mem::take(&mut self.pool.1[(which * 7 % POOL) as usize]))
    }

    fn batches(&self, pool: u64) -> anyhow::Result<Vec<Vec<Sequence>>> {
        let size = POOL * self.options.batch as u64;
        let make = |i| {
            let transcript = if i % 4 == 0 { Transcript::Clean } else { Transcript::Noisy };
            sequence(&self.codec, &self.corpus.example(Split::Train, transcript, self.options.seed, pool * size + i))
        };
        let mut all: Vec<Sequence> = (0..size).map(make).collect::<anyhow::Result<_>>()?;
        all.sort_by_key(|s| s.tokens.len());
        Ok((0..POOL).map(|_| all.drain(..self.options.batch).collect()).collect())
    }

    /// The model with the parameters as weights.
    fn model(&self) -> anyhow::Result<Model> {
        let shared = |p: &Parameter| (p.name.clone(), p.value.shallow_clone());
        let tensors: BTreeMap<_, _> = self.parameters.iter().map(shared).collect();
        Ok(Model::from_weights(self.config.clone(), Weights::from_tensors(tensors, "training"))?)
    }

    fn values(&self) -> Vec<(String, Tensor)> {
        self.parameters.iter().map(|p| (p.name.clone(), p.value.detach())).collect()
    }

    /// Writes the checkpoint; returns the accuracy of intents on held-out phrasings, 0 to 1.
    fn save_and_evaluate(&self) -> anyhow::Result<f64> {
        let out = &self.options.out;
        weights::save(&self.values(), Kind::BFloat16, &out.join("model.safetensors"))?;
        let json = serde_json::to_string_pretty(&self.config.to_json("bfloat16"))?;
        fs::write(out.join("config.json"), json + "\n")?;
        let lm = Lm::load(out, Catalogue::load(&self.options.catalogue)?)?;
        Ok(evaluate::intents(&lm, &self.corpus.held_out(EVALUATION_SEED))?.accuracy())
    }

    /// Writes the state from which a run is resumed.
    fn save_state(&self) -> anyhow::Result<()> {
        let mut state = self.values();
        for p in &self.parameters {
            state.push((format!("first_moment.{}", p.name), p.first_moment.shallow_clone()));
            state.push((format!("second_moment.{}", p.name), p.second_moment.shallow_clone()));
        }
        // f32 is exact for integers up to 16 million.
        state.push(("step".into(), Tensor::from_slice(&[self.step as f32])));
        Ok(weights::save(&state, Kind::Float, &self.options.out.join(STATE))?)
    }
}

/// Parameters, optimizer state and step in full precision.
const STATE: &str = "state.safetensors";
/// Seed of the names and scenes of the held-out set during training.
const EVALUATION_SEED: u64 = 77;

fn tokenizer_texts(corpus: &Corpus, seed: u64) -> Vec<String> {
    let parts = |i| {
        let e = corpus.example(Split::Train, Transcript::Noisy, seed, i);
        [e.scene.preamble(), e.utterance, e.intent.to_string(), e.reply]
    };
    (0..TOKENIZER_EXAMPLES).flat_map(parts).collect()
}

fn config(o: &Options, vocab_size: i64) -> anyhow::Result<Config> {
    let heads = o.hidden / HEAD_DIM;
    ensure!(
        o.hidden > 0 && o.hidden % (HEAD_DIM * GROUP) == 0,
        "--hidden {}: expected a multiple of {}",
        o.hidden,
        HEAD_DIM * GROUP
    );
    ensure!(o.layers > 0 && o.batch > 0 && o.steps > 0, "--layers, --batch and --steps must be at least 1");
    Ok(Config {
        family: Family::Qwen3,
        vocab_size,
        hidden_size: o.hidden,
        intermediate_size: o.hidden * 8 / 3 / 32 * 32,
        layers: o.layers,
        heads,
        kv_heads: heads / GROUP,
        head_dim: HEAD_DIM,
        max_positions: 512,
        rms_norm_eps: 1e-6,
        rope_theta: 10_000.0,
        rope_scaling: RopeScaling::None,
        attention: Vec::new(),
        tied: true,
        qkv_bias: false,
        output_bias: false,
        eos: vec![0],
        quantised: None,
        notes: Vec::new(),
    })
}

/// The parameters before the first step.
fn initial(c: &Config, seed: u64) -> Vec<Parameter> {
    tch::manual_seed(seed as i64);
    let float = (Kind::Float, Device::Cpu);
    let mut all = Vec::new();
    let mut add = |name: String, value: Tensor| all.push(Parameter::new(name, value));
    let random = |rows: i64, columns: i64, deviation: f64| Tensor::randn([rows, columns], float) * deviation;
    let (h, inner, q, kv) = (c.hidden_size, c.intermediate_size, c.heads * c.head_dim, c.kv_heads * c.head_dim);
    // The outputs of a layer are scaled down with the number of layers.
    let (plain, residual) = (0.02, 0.02 / (2.0 * c.layers as f64).sqrt());
    add("model.embed_tokens.weight".into(), random(c.vocab_size, h, plain));
    for i in 0..c.layers {
        let name = |part: &str| format!("model.layers.{i}.{part}.weight");
        add(name("input_layernorm"), Tensor::ones([h], float));
        add(name("self_attn.q_proj"), random(q, h, plain));
        add(name("self_attn.k_proj"), random(kv, h, plain));
        add(name("self_attn.v_proj"), random(kv, h, plain));
        add(name("self_attn.o_proj"), random(h, q, residual));
        add(name("self_attn.q_norm"), Tensor::ones([c.head_dim], float));
        add(name("self_attn.k_norm"), Tensor::ones([c.head_dim], float));
        add(name("post_attention_layernorm"), Tensor::ones([h], float));
        add(name("mlp.gate_proj"), random(inner, h, plain));
        add(name("mlp.up_proj"), random(inner, h, plain));
        add(name("mlp.down_proj"), random(h, inner, residual));
    }
    add("model.norm.weight".into(), Tensor::ones([h], float));
    all
}
