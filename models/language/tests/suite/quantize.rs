//! `auriga-lm quantize`: what is rounded once is what is rounded at every load.

use auriga_lm::{
    cli::quantize,
    decoder::{model::Model, weights::Weights},
    kernels::linear::Precision,
};
use std::{fs, path::Path};
use tch::{Kind, Tensor};

const CHECKPOINT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/checkpoint");
const CATALOGUE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/intents.toml");

fn options(out: &Path, precision: Precision) -> quantize::Options {
    quantize::Options { checkpoint: CHECKPOINT.into(), out: out.into(), precision, catalogue: CATALOGUE.into() }
}

fn logits(folder: &Path, precision: Precision) -> Tensor {
    let model = Model::load_as(folder, precision).unwrap();
    let tokens = Tensor::from_slice(&[5i64, 70, 300, 12, 9]).unsqueeze(0);
    tch::no_grad(|| model.logits(&model.forward(&tokens)))
}

#[test]
fn a_quantised_checkpoint_is_smaller_and_gives_the_same_bits() {
    for (precision, share) in [(Precision::Int8, 0.75), (Precision::Int4, 0.6)] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("model");
        quantize::run(&options(&out, precision)).unwrap();
        assert_eq!(logits(&out, precision), logits(Path::new(CHECKPOINT), precision), "{precision}");
        let size = |folder: &Path| fs::metadata(folder.join("model.safetensors")).unwrap().len() as f64;
        let found = size(&out) / size(Path::new(CHECKPOINT));
        assert!(found < share, "{precision}: {found} of its size");
        assert!(out.join("tokenizer.json").exists());
    }
}

#[test]
fn unsupported_quantisation_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("model");
    let e = quantize::run(&options(&out, Precision::Bf16)).unwrap_err().to_string();
    assert!(e.contains("int8 or int4"), "{e}");
    quantize::run(&options(&out, Precision::Int4)).unwrap();
    let e = Model::load_as(&out, Precision::F32).err().unwrap().to_string();
    assert!(e.contains("int4") && e.contains("f32"), "{e}");
    let e = quantize::run(&options(&out, Precision::Int8)).unwrap_err().to_string();
    assert!(e.contains("new folder"), "{e}");
    let again = quantize::Options { checkpoint: out.clone(), ..options(&dir.path().join("again"), Precision::Int8) };
    let e = quantize::run(&again).unwrap_err().to_string();
    assert!(e.contains("quantised already"), "{e}");
}

#[test]
fn other_quantisation_methods_and_misplaced_integers_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("model");
    quantize::run(&options(&out, Precision::Int8)).unwrap();
    let path = out.join("config.json");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.replace("\"auriga\"", "\"gptq\"")).unwrap();
    let e = Model::load_as(&out, Precision::Int8).err().unwrap().to_string();
    assert!(e.contains("quantization_config") && e.contains("gptq"), "{e}");

    let mut weights = Weights::from_tensors(
        [("norm.weight".to_string(), Tensor::ones([4], (Kind::Int8, tch::Device::Cpu)))].into_iter().collect(),
        "test",
    );
    let e = weights.take("norm.weight", &[4]).unwrap_err().to_string();
    assert!(e.contains("norm.weight") && e.contains("integers"), "{e}");
}
