//! `auriga-lm train`: a model from nothing, on exchanges made by the grammar.
//!
//! Only what the model is to say counts: intent and reply. Examples are made as they are needed, from seed and number,
//! so a run that goes on after it was cut off sees what it would have seen.

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
        corpus::{Corpus, Example, Hearing, Split},
        evaluate, plots,
    },
};
use anyhow::{Context, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::Instant,
};
use tch::{Device, Kind, Reduction, Tensor};

#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Folder of the checkpoint; a run that was cut off goes on from what is there
    #[arg(long)]
    pub out: PathBuf,
    #[arg(long, default_value = "models/language/intents.toml")]
    pub catalogue: PathBuf,
    #[arg(long, default_value = "models/language/grammar.toml")]
    pub grammar: PathBuf,
    #[arg(long, default_value_t = 6000)]
    pub steps: u64,
    /// Exchanges in a step
    #[arg(long, default_value_t = 32)]
    pub batch: usize,
    #[arg(long, default_value_t = 2e-3)]
    pub learning_rate: f64,
    #[arg(long, default_value_t = 200)]
    pub warmup: u64,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Tokens of the tokenizer that is trained first
    #[arg(long, default_value_t = 2000)]
    pub vocabulary: usize,
    #[arg(long, default_value_t = 192)]
    pub hidden: i64,
    #[arg(long, default_value_t = 4)]
    pub layers: usize,
    /// How many times more intents are drawn whose slots or replies carry values
    #[arg(long, default_value_t = 0)]
    pub emphasis: usize,
    /// Threads of libtorch
    #[arg(long, default_value_t = 1)]
    pub threads: i32,
    /// Steps between tests on held-out phrasings, each of which also saves
    #[arg(long, default_value_t = 500)]
    pub every: u64,
}

const HEAD_DIM: i64 = 32;
/// Query heads that share a key and value.
const GROUP: i64 = 3;
/// Exchanges for the tokenizer.
const TOKENIZER_EXAMPLES: u64 = 20_000;
/// Batches that are made together and cut by length, so that little is padding.
const POOL: u64 = 16;
/// A token of the intent counts this many times one of the reply: it decides what is done.
const INTENT_WEIGHT: f32 = 2.0;

/// A run, between two steps.
struct Trainer {
    options: Options,
    config: Config,
    corpus: Corpus,
    codec: Codec,
    parameters: Vec<Parameter>,
    step: u64,
    /// The number of the pool that batches are taken from, and its batches.
    pool: (u64, Vec<Vec<Sequence>>),
}

/// Tokens, and what each counts as something to be said.
pub struct Sequence {
    pub tokens: Vec<u32>,
    pub weights: Vec<f32>,
}

pub fn sequence(c: &Codec, e: &Example) -> anyhow::Result<Sequence> {
    let read = [c.scene_part(&e.scene)?, c.user_part(&e.utterance)?].concat();
    let (intent, reply) = (c.intent_part(&e.intent)?, c.reply_part(&e.reply)?);
    let weights = [vec![0.0; read.len()], vec![INTENT_WEIGHT; intent.len()], vec![1.0; reply.len()]].concat();
    Ok(Sequence { tokens: [read, intent, reply].concat(), weights })
}

/// The mean over what is to be said in these sequences, which are filled up to the longest with `padding`.
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

pub fn run(options: &Options) -> anyhow::Result<()> {
    tch::set_num_threads(options.threads);
    let mut trainer = Trainer::start(options.clone())?;
    let mut log = trainer.log()?;
    let style = "{elapsed_precise} {wide_bar} {pos}/{len} steps, {eta} left; {msg}";
    let bar = ProgressBar::new(options.steps).with_style(ProgressStyle::with_template(style)?);
    bar.set_position(trainer.step);
    let (mut loss, mut tokens, mut since) = (0.0, 0, Instant::now());
    while trainer.step < options.steps {
        let step = trainer.train_step()?;
        ensure!(step.loss.is_finite(), "the loss is not a number after {} steps: lower --learning-rate", trainer.step);
        loss += step.loss;
        tokens += step.tokens;
        bar.inc(1);
        if trainer.step.is_multiple_of(LOG_EVERY) || trainer.step == options.steps {
            let mean = loss / LOG_EVERY as f64;
            let speed = f64::from(tokens) / since.elapsed().as_secs_f64();
            let test = trainer.step.is_multiple_of(options.every) || trainer.step == options.steps;
            let held_out = if test { Some(trainer.test_and_save()?) } else { None };
            let rate = trainer.settings().rate(trainer.step - 1);
            let accuracy = held_out.map_or(String::new(), |a| format!("{a:.4}"));
            let line = format!("{},{mean:.4},{rate:.6},{:.3},{speed:.0},{accuracy}", trainer.step, step.norm);
            writeln!(log, "{line}")?;
            bar.set_message(format!("loss {mean:.3}, {speed:.0} tokens/s, held out {accuracy}"));
            if bar.is_hidden() {
                println!("{line}");
            }
            (loss, tokens, since) = (0.0, 0, Instant::now());
        }
    }
    bar.finish();
    draw(&options.out)
}

const LOG_EVERY: u64 = 50;
const LOG: &str = "training.csv";

/// The log as a picture.
fn draw(out: &Path) -> anyhow::Result<()> {
    let path = out.join(LOG);
    let log = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    plots::log(log.lines(), 1, 5, &out.join("training.svg"))
}

/// What one step did.
struct Done {
    loss: f64,
    norm: f64,
    tokens: i32,
}

impl Trainer {
    fn start(options: Options) -> anyhow::Result<Self> {
        fs::create_dir_all(&options.out)
            .with_context(|| format!("cannot make the folder {}", options.out.display()))?;
        let catalogue = Catalogue::load(&options.catalogue)?;
        let mut corpus = Corpus::load(&options.grammar, &catalogue)?;
        corpus.emphasise(options.emphasis);
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

    /// Parameters and moments as they were; the step is a tensor beside them.
    fn resume(&mut self, state: &Path) -> anyhow::Result<()> {
        let mut saved = Weights::load_file(state)?;
        self.step = saved.take("step", &[1])?.double_value(&[0]) as u64;
        for p in &mut self.parameters {
            let size = p.value.size();
            tch::no_grad(|| -> anyhow::Result<()> {
                p.value.detach().copy_(&saved.take(&p.name, &size)?);
                p.first.copy_(&saved.take(&format!("first.{}", p.name), &size)?);
                p.second.copy_(&saved.take(&format!("second.{}", p.name), &size)?);
                Ok(())
            })?;
        }
        saved.finish()?;
        println!("going on from step {}", self.step);
        Ok(())
    }

    fn log(&self) -> anyhow::Result<fs::File> {
        let path = self.options.out.join(LOG);
        let begins = self.step == 0;
        let file = fs::OpenOptions::new().create(true).append(!begins).write(true).truncate(begins).open(&path);
        let mut file = file.with_context(|| format!("cannot write {}", path.display()))?;
        if begins {
            writeln!(file, "step,loss,learning_rate,gradient,tokens_per_s,held_out_intents")?;
        }
        Ok(file)
    }

    fn train_step(&mut self) -> anyhow::Result<Done> {
        let batch = self.batch()?;
        let loss = loss(&self.model()?, self.codec.end, &batch, Device::Cpu);
        loss.backward();
        let settings = self.settings();
        let norm = adamw::step(&mut self.parameters, &settings, self.step, settings.rate(self.step));
        self.step += 1;
        let longest = batch.iter().map(|s| s.tokens.len()).max().unwrap_or(0);
        Ok(Done { loss: loss.double_value(&[]), norm, tokens: (batch.len() * longest.saturating_sub(1)) as i32 })
    }

    /// The batch of this step: of a pool of them, cut by length.
    fn batch(&mut self) -> anyhow::Result<Vec<Sequence>> {
        let (pool, which) = (self.step / POOL, self.step % POOL);
        if self.pool.0 != pool {
            self.pool = (pool, self.batches(pool)?);
        }
        // Any step through the pool that shares no factor with its size visits every batch once.
        Ok(std::mem::take(&mut self.pool.1[(which * 7 % POOL) as usize]))
    }

    fn batches(&self, pool: u64) -> anyhow::Result<Vec<Vec<Sequence>>> {
        let size = POOL * self.options.batch as u64;
        let make = |i| {
            let hearing = if i % 4 == 0 { Hearing::Clean } else { Hearing::Noisy };
            sequence(&self.codec, &self.corpus.example(Split::Train, hearing, self.options.seed, pool * size + i))
        };
        let mut all: Vec<Sequence> = (0..size).map(make).collect::<anyhow::Result<_>>()?;
        all.sort_by_key(|s| s.tokens.len());
        Ok((0..POOL).map(|_| all.drain(..self.options.batch).collect()).collect())
    }

    /// The model whose weights are the parameters themselves.
    fn model(&self) -> anyhow::Result<Model> {
        let shared = |p: &Parameter| (p.name.clone(), p.value.shallow_clone());
        let tensors: BTreeMap<_, _> = self.parameters.iter().map(shared).collect();
        Ok(Model::from_weights(self.config.clone(), Weights::from_tensors(tensors, "training"))?)
    }

    /// Writes the checkpoint, and what is needed to go on; gives back the share of held-out phrasings understood.
    fn test_and_save(&self) -> anyhow::Result<f64> {
        let out = &self.options.out;
        let values: Vec<_> = self.parameters.iter().map(|p| (p.name.clone(), p.value.detach())).collect();
        weights::save(&values, Kind::BFloat16, &out.join("model.safetensors"))?;
        let json = serde_json::to_string_pretty(&self.config.to_json("bfloat16"))?;
        fs::write(out.join("config.json"), json + "\n")?;
        let mut state = values;
        for p in &self.parameters {
            state.push((format!("first.{}", p.name), p.first.shallow_clone()));
            state.push((format!("second.{}", p.name), p.second.shallow_clone()));
        }
        // f32 counts exactly to 16 million.
        state.push(("step".into(), Tensor::from_slice(&[self.step as f32])));
        weights::save(&state, Kind::Float, &out.join(STATE))?;
        let lm = Lm::load(out, Catalogue::load(&self.options.catalogue)?)?;
        Ok(evaluate::intents(&lm, &self.corpus.held_out(TEST_SEED))?.accuracy())
    }
}

/// Parameters, moments and step, in full precision.
const STATE: &str = "state.safetensors";
/// Of the names and scenes of the test during training.
const TEST_SEED: u64 = 77;

fn tokenizer_texts(corpus: &Corpus, seed: u64) -> Vec<String> {
    let parts = |i| {
        let e = corpus.example(Split::Train, Hearing::Noisy, seed, i);
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
    })
}

/// Parameters as they are before the first step.
fn initial(c: &Config, seed: u64) -> Vec<Parameter> {
    tch::manual_seed(seed as i64);
    let float = (Kind::Float, Device::Cpu);
    let mut all = Vec::new();
    let mut add = |name: String, value: Tensor| all.push(Parameter::new(name, value));
    let random = |rows: i64, columns: i64, deviation: f64| Tensor::randn([rows, columns], float) * deviation;
    let (h, inner, q, kv) = (c.hidden_size, c.intermediate_size, c.heads * c.head_dim, c.kv_heads * c.head_dim);
    // What is added to the residual stream is smaller, the more layers add to it.
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
