//! The command `auriga-lm bench --large DIR`: decoding and prefill of a model that is bound by memory bandwidth, beside the read
//! bandwidth measured in the same run.

use crate::{
    decoder::{
        config::{Config, Family, rope::RopeScaling},
        model::Model,
        sample::Sampling,
        session::{Budget, Generate, Session, State},
        weights,
    },
    kernels::{backend::Backend, linear::Precision},
};
use anyhow::Context;
use auriga_kernels::InstructionSet;
use clap::Args;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};
use tch::{Device, Kind, Tensor};

/// Options of the benchmark of a large model.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Measure only the model of this folder; if there is none, one of the shape of Qwen2.5-0.5B with random weights is created
    /// there (1 GB)
    #[arg(long)]
    pub large: Option<PathBuf>,
    /// Precisions of the large model
    #[arg(long, value_enum, value_delimiter = ',', default_value = "f32,bf16,int8,int4")]
    pub precisions: Vec<Precision>,
    /// Matrix kernels to compare: avx512, avx2, neon, scalar, libtorch. Default: all of this processor except scalar, which
    /// takes minutes
    #[arg(long, value_delimiter = ',')]
    pub kernels: Vec<Backend>,
    /// Length of the prompt, and number of tokens that are decoded after it
    #[arg(long, default_value_t = 64)]
    pub tokens: usize,
}

/// Larger than any processor cache.
const MEMORY_BYTES: i64 = 512 << 20;

/// Runs the benchmark and prints the results.
///
/// # Errors
/// A file that cannot be read or written.
pub fn run(folder: &Path, options: &Options, repeats: usize) -> anyhow::Result<()> {
    make(folder)?;
    let memory = Tensor::ones([MEMORY_BYTES / 4], (Kind::Float, Device::Cpu));
    let columns =
        ["precision", "kernels", "decode/s", "GB/s", "memory GB/s", "of it", "prefill/s", "1-layer slices", "worst ms"];
    println!("{}", columns.map(|c| format!("{c:>15}")).concat());
    let mut backends = options.kernels.clone();
    if backends.is_empty() {
        backends = Backend::available();
        let scalar = |backend: &Backend| matches!(backend, Backend::Packed(kernels) if kernels.instruction_set() == InstructionSet::Scalar);
        backends.retain(|backend| !scalar(backend));
    }
    for &precision in &options.precisions {
        let load = |&backend: &Backend| Model::load_with(folder, precision, backend);
        let models = backends.iter().map(load).collect::<Result<Vec<_>, _>>()?;
        let mut rounds: Vec<Vec<(Round, f64)>> = models.iter().map(|_| Vec::new()).collect();
        // The kernels take turns, so that other load on the machine slows all of them.
        for _ in 0..repeats {
            for (model, rounds) in models.iter().zip(&mut rounds) {
                rounds.push((round(model, options.tokens)?, read_speed(&memory)));
            }
        }
        for ((backend, model), rounds) in backends.iter().zip(&models).zip(&rounds) {
            let medians = medians(rounds, model.bytes_per_token() as f64);
            let row = [precision.to_string(), backend.to_string()].into_iter().chain(medians);
            println!("{}", row.map(|c| format!("{c:>15}")).collect::<String>());
        }
    }
    Ok(())
}

/// The medians of all rounds, in the order of the columns.
fn medians(rounds: &[(Round, f64)], bytes: f64) -> [String; 7] {
    let median = |of: &dyn Fn(&(Round, f64)) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let decode = median(&|r| r.0.decode);
    [
        format!("{decode:.1}"),
        format!("{:.1}", decode * bytes / 1e9),
        format!("{:.1}", median(&|r| r.1) / 1e9),
        format!("{:.0}%", 100.0 * median(&|r| r.0.decode * bytes / r.1)),
        format!("{:.0}", median(&|r| r.0.prefill)),
        format!("{:+.1}%", 100.0 * (decode / median(&|r| r.0.sliced) - 1.0)),
        format!("{:.2}", median(&|r| r.0.worst_slice * 1e3)),
    ]
}

/// Tokens per second, and the longest slice of one layer in seconds.
struct Round {
    prefill: f64,
    decode: f64,
    sliced: f64,
    worst_slice: f64,
}

fn round(model: &Model, tokens: usize) -> anyhow::Result<Round> {
    let vocabulary = model.config().vocab_size as usize;
    let prompt: Vec<u32> = (0..tokens).map(|i| (i * 7919 % vocabulary) as u32).collect();
    let mut session = Session::new(model, 4 * tokens).with_chunk(tokens);
    session.push(&prompt)?;
    let start = Instant::now();
    session.step(model, Budget::UNLIMITED)?;
    let prefill = tokens as f64 / start.elapsed().as_secs_f64();
    let sampling = Sampling::GREEDY;
    let generate = |session: &mut Session| {
        session.generate(Generate { sampling, max_tokens: tokens, stop: Vec::new(), constraint: None });
    };
    generate(&mut session);
    let start = Instant::now();
    session.step(model, Budget::UNLIMITED)?;
    let decode = tokens as f64 / start.elapsed().as_secs_f64();
    generate(&mut session);
    let (start, mut worst_slice) = (Instant::now(), 0.0f64);
    loop {
        let slice = Instant::now();
        let state = session.step(model, Budget::layers(1))?.state;
        worst_slice = worst_slice.max(slice.elapsed().as_secs_f64());
        if matches!(state, State::Finished(_)) {
            break;
        }
    }
    let sliced = tokens as f64 / start.elapsed().as_secs_f64();
    Ok(Round { prefill, decode, sliced, worst_slice })
}

/// Read bandwidth of main memory in bytes per second: the fastest of three runs.
fn read_speed(memory: &Tensor) -> f64 {
    let once = |_| {
        let start = Instant::now();
        let _ = memory.sum(Kind::Float);
        start.elapsed().as_secs_f64()
    };
    (memory.numel() * size_of::<f32>()) as f64 / (0..3).map(once).fold(f64::INFINITY, f64::min)
}

fn make(folder: &Path) -> anyhow::Result<()> {
    if folder.join("config.json").exists() {
        return Ok(());
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let config = Config {
        family: Family::Qwen2,
        vocab_size: 151_936,
        hidden_size: 896,
        intermediate_size: 4864,
        layers: 24,
        heads: 14,
        kv_heads: 2,
        head_dim: 64,
        max_positions: 32_768,
        rms_norm_eps: 1e-6,
        rope_theta: 1e6,
        rope_scaling: RopeScaling::None,
        attention: Vec::new(),
        tied: true,
        qkv_bias: true,
        output_bias: false,
        eos: vec![151_643],
        quantised: None,
        notes: Vec::new(),
    };
    tch::manual_seed(1);
    let tensors: Vec<(String, Tensor)> =
        shapes(&config).into_iter().map(|(name, shape)| random(name, &shape)).collect();
    weights::save(&tensors, Kind::BFloat16, &folder.join("model.safetensors"))?;
    let json = serde_json::to_string_pretty(&config.to_json("bfloat16"))?;
    Ok(fs::write(folder.join("config.json"), json + "\n")?)
}

fn random(name: String, shape: &[i64]) -> (String, Tensor) {
    let options = (Kind::Float, Device::Cpu);
    let value = if name.contains("norm") { Tensor::ones(shape, options) } else { Tensor::randn(shape, options) * 0.02 };
    (name, value)
}

fn shapes(c: &Config) -> Vec<(String, Vec<i64>)> {
    let (q, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
    let mut all = vec![("model.embed_tokens.weight".into(), vec![c.vocab_size, c.hidden_size])];
    for i in 0..c.layers {
        let mut add = |part: &str, shape: &[i64]| all.push((format!("model.layers.{i}.{part}"), shape.to_vec()));
        add("input_layernorm.weight", &[c.hidden_size]);
        for (which, rows) in [("q", q), ("k", kv), ("v", kv)] {
            add(&format!("self_attn.{which}_proj.weight"), &[rows, c.hidden_size]);
            add(&format!("self_attn.{which}_proj.bias"), &[rows]);
        }
        add("self_attn.o_proj.weight", &[c.hidden_size, q]);
        add("post_attention_layernorm.weight", &[c.hidden_size]);
        add("mlp.gate_proj.weight", &[c.intermediate_size, c.hidden_size]);
        add("mlp.up_proj.weight", &[c.intermediate_size, c.hidden_size]);
        add("mlp.down_proj.weight", &[c.hidden_size, c.intermediate_size]);
    }
    all.push(("model.norm.weight".into(), vec![c.hidden_size]));
    all
}
