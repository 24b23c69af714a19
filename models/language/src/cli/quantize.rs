//! The command `auriga-lm quantize`: writes a checkpoint with matrices in 8 or 4 bits, a quarter to a half of its size. It must be
//! loaded in the same precision.

use crate::{
    decoder::{
        config::Config,
        weights::{self, Weights},
    },
    dialogue::turn::Lm,
    intent::catalogue::Catalogue,
    kernels::{
        linear::Precision,
        quantized::{Bits, Quantized},
    },
};
use anyhow::{Context, bail, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tch::{Kind, Tensor};

/// Options of `auriga-lm quantize`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Folder in Hugging Face layout
    #[arg(long, default_value = "models/language/checkpoint")]
    pub checkpoint: PathBuf,
    /// New folder
    #[arg(long)]
    pub out: PathBuf,
    /// int8 or int4
    #[arg(long, value_enum, default_value_t = Precision::Int8)]
    pub precision: Precision,
    /// Intent catalogue, with which the new folder is tested
    #[arg(long, default_value = "models/language/intents.toml")]
    pub catalogue: PathBuf,
}

const TABLE: &str = "model.embed_tokens.weight";
/// The output matrix always has 8 bits: 4 are too coarse for it.
const HEAD: &str = "lm_head.weight";

/// Quantises a checkpoint.
///
/// # Errors
/// A precision other than int8 or int4, a checkpoint that is quantised already, or a file that cannot be read or written.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let (from, out) = (&options.checkpoint, &options.out);
    let bits = match options.precision {
        Precision::Int8 => 8,
        Precision::Int4 => 4,
        other => bail!("--precision {other}: expected int8 or int4"),
    };
    ensure!(!out.join("config.json").exists(), "{} has a model already; choose a new folder", out.display());
    let config = Config::load(&from.join("config.json"))?;
    ensure!(config.quantised.is_none(), "{} is quantised already", from.display());
    let tensors = Weights::load(from)?.into_raw();
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let progress = ProgressBar::new(tensors.len() as u64);
    progress.set_style(ProgressStyle::with_template("{bar:40} {pos} of {len} tensors, {eta} left")?);
    let (mut written, mut error, mut power) = (Vec::new(), 0.0, 0.0);
    for (name, tensor) in progress.wrap_iter(tensors.into_iter()) {
        if name == HEAD && config.tied {
            continue;
        }
        if tensor.dim() != 2 || name == TABLE {
            written.push((name, tensor));
            continue;
        }
        weights::check_finite(&name, &tensor)?;
        let weight = tensor.f_to_kind(Kind::Float)?;
        let four = bits == 4 && name != HEAD;
        let quantized = Quantized::new(&weight, if four { Bits::Four } else { Bits::Eight })?;
        error += square(&(quantized.dequantize()? - &weight))?;
        power += square(&weight)?;
        written.extend(quantized.into_tensors(name.strip_suffix(".weight").unwrap_or(&name))?);
    }
    weights::save_raw(&written, &out.join("model.safetensors"))?;
    write_config(from, out, bits)?;
    copy_rest(from, out)?;
    Lm::load_as(out, Catalogue::load(&options.catalogue)?, options.precision)
        .context("the new folder does not load")?;
    println!("{}: {}", from.display(), megabytes(from)?);
    println!("{}: {}; load it with precision {}", out.display(), megabytes(out)?, options.precision);
    println!("relative error of the matrices: {:.2} % (root mean square)", 100.0 * (error / power).sqrt());
    Ok(())
}

fn square(x: &Tensor) -> anyhow::Result<f64> {
    Ok(x.f_square()?.f_sum(Kind::Double)?.f_double_value(&[])?)
}

fn write_config(from: &Path, out: &Path, bits: i64) -> anyhow::Result<()> {
    let mut config: Value = serde_json::from_slice(&fs::read(from.join("config.json"))?)?;
    config["quantization_config"] = json!({ "quant_method": "auriga", "bits": bits });
    Ok(fs::write(out.join("config.json"), serde_json::to_string_pretty(&config)? + "\n")?)
}

/// Copies tokenizer, templates and other files beside the weights.
fn copy_rest(from: &Path, out: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let written = name == "config.json" || name.contains(".safetensors");
        if !written && matches!(path.extension().and_then(|e| e.to_str()), Some("json" | "jinja" | "txt" | "model")) {
            fs::copy(&path, out.join(name)).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}

/// Size of the weights.
fn megabytes(folder: &Path) -> anyhow::Result<String> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(".safetensors") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(format!("{:.1} MB", bytes as f64 / 1e6))
}
