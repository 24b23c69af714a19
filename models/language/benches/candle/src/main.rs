//! `candle-peer FOLDER f32|bf16|int8|int4 TOKENS`: decoding and prefill by candle, in tokens/s, as one line of JSON.
//!
//! What it decodes is what `auriga-lm bench --large` decodes: greedily, after a prompt of as many tokens. For bf16 it
//! takes f16, as candle multiplies no bf16 on a processor; 8 and 4 bits are Q8_0 and Q4_0 of the folder's GGUF files.
//! RAYON_NUM_THREADS says how many threads.

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor, quantized::gguf_file};
use candle_nn::VarBuilder;
use candle_transformers::models::{quantized_qwen2::ModelWeights, qwen2};
use serde_json::json;
use std::{env, fs, path::Path, time::Instant};

enum Model {
    Plain(qwen2::ModelForCausalLM),
    Quantised(ModelWeights),
}

impl Model {
    fn load(folder: &Path, numbers: &str) -> Result<Self> {
        Ok(match numbers {
            "f32" => Self::Plain(plain(folder, DType::F32)?),
            "bf16" => Self::Plain(plain(folder, DType::F16)?),
            "int8" => Self::Quantised(quantised(&folder.join("Q8_0.gguf"))?),
            "int4" => Self::Quantised(quantised(&folder.join("Q4_0.gguf"))?),
            other => bail!("{other:?}: expected f32, bf16, int8 or int4"),
        })
    }

    /// The likeliest token after these, the first of which is the `at`-th.
    fn next(&mut self, tokens: &[u32], at: usize) -> Result<u32> {
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let logits = match self {
            Self::Plain(model) => model.forward(&input, at)?,
            Self::Quantised(model) => model.forward(&input, at)?,
        };
        Ok(logits.flatten_all()?.argmax(0)?.to_scalar()?)
    }
}

fn plain(folder: &Path, dtype: DType) -> Result<qwen2::ModelForCausalLM> {
    let mut config = config(folder)?;
    // candle asks for the window even where none is used.
    config["sliding_window"] = config["max_position_embeddings"].clone();
    config["max_window_layers"] = config["num_hidden_layers"].clone();
    config["use_sliding_window"] = json!(false);
    let file = [folder.join("model.safetensors")];
    // SAFETY: nobody writes to the file while it is measured.
    let weights = unsafe { VarBuilder::from_mmaped_safetensors(&file, dtype, &Device::Cpu)? };
    Ok(qwen2::ModelForCausalLM::new(&serde_json::from_value(config)?, weights)?)
}

fn quantised(file: &Path) -> Result<ModelWeights> {
    let mut reader = fs::File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    let content = gguf_file::Content::read(&mut reader)?;
    Ok(ModelWeights::from_gguf(content, &mut reader, &Device::Cpu)?)
}

fn config(folder: &Path) -> Result<serde_json::Value> {
    let file = folder.join("config.json");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(serde_json::from_str(&text)?)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, numbers, tokens] = &arguments[..] else { bail!("expected FOLDER NUMBERS TOKENS") };
    let (folder, tokens): (&Path, usize) = (folder.as_ref(), tokens.parse().context("TOKENS")?);
    let vocabulary = config(folder)?["vocab_size"].as_u64().context("`vocab_size` is missing")?;
    let prompt: Vec<u32> = (0..tokens as u64).map(|i| (i * 7919 % vocabulary) as u32).collect();
    let mut model = Model::load(folder, numbers)?;
    let start = Instant::now();
    let mut token = model.next(&prompt, 0)?;
    let prefill = tokens as f64 / start.elapsed().as_secs_f64();
    let start = Instant::now();
    for i in 0..tokens {
        token = model.next(&[token], tokens + i)?;
    }
    let decode = tokens as f64 / start.elapsed().as_secs_f64();
    println!("{}", json!({ "decode": decode, "prefill": prefill }));
    Ok(())
}
