//! Weights of a Hugging Face folder: one `model.safetensors`, or shards with `model.safetensors.index.json`.
//!
//! Whatever is wrong with a file is said before the model runs: a missing shard, a cut-off file, a wrong shape, a value
//! that is no number, a tensor that nobody asked for.

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use tch::{Device, Kind, TchError, Tensor};

#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error("cannot read {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{path}: expected model.safetensors or model.safetensors.index.json in this folder")]
    None { path: String },
    #[error("{path} is not an index of shards: {source}")]
    Index { path: String, source: serde_json::Error },
    #[error("{path}: the index names the shard {shard:?}: expected the plain name of a file in the same folder")]
    ShardName { path: String, shard: String },
    #[error("{path} is damaged or cut off: {source}")]
    Damaged { path: String, source: safetensors::SafeTensorError },
    #[error("{path}: tensor `{tensor}` is {dtype:?}: expected F32, F16 or BF16, or I8 or U8 where it is quantised")]
    Dtype { path: String, tensor: String, dtype: Dtype },
    #[error("tensor `{tensor}` is in no file of {path}")]
    Missing { path: String, tensor: String },
    #[error("tensor `{tensor}` is {found:?}: expected {expected:?} by config.json")]
    Shape { tensor: String, expected: Vec<i64>, found: Vec<i64> },
    #[error("tensor `{tensor}` holds values that are not finite numbers; the file is damaged or its training failed")]
    NotFinite { tensor: String },
    #[error("{path}: tensor `{tensor}` is of whole numbers, which only matrices of a quantised model may be")]
    Whole { path: String, tensor: String },
    #[error("{path}: `{matrix}` is joined with matrices of another precision; quantise all of them alike")]
    Mixed { path: String, matrix: String },
    #[error("{path}: tensor `{tensor}` belongs to no part of the model that config.json describes")]
    Unknown { path: String, tensor: String },
    #[error("cannot write {path}: {source}")]
    Write { path: String, source: safetensors::SafeTensorError },
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

/// Tensors by name, in the numbers of their file.
#[derive(Debug)]
pub struct Weights {
    path: String,
    tensors: BTreeMap<String, Tensor>,
    /// Where tensors are taken to.
    device: Device,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Weights {
    /// All tensors of the folder.
    pub fn load(folder: &Path) -> Result<Self, WeightsError> {
        let path = folder.display().to_string();
        let mut tensors = BTreeMap::new();
        for file in files(folder)? {
            read_file(&file, &mut tensors)?;
        }
        Ok(Self { path, tensors, device: Device::Cpu })
    }

    /// From one file.
    pub fn load_file(file: &Path) -> Result<Self, WeightsError> {
        let mut tensors = BTreeMap::new();
        read_file(file, &mut tensors)?;
        Ok(Self { path: file.display().to_string(), tensors, device: Device::Cpu })
    }

    /// From tensors made elsewhere; `path` is for messages.
    pub fn from_tensors(tensors: BTreeMap<String, Tensor>, path: &str) -> Self {
        Self { path: path.into(), tensors, device: Device::Cpu }
    }

    /// The same, to be taken to another device.
    pub fn on(self, device: Device) -> Self {
        Self { device, ..self }
    }

    /// In which numbers a tensor is, if it is there.
    pub(crate) fn kind(&self, tensor: &str) -> Option<Kind> {
        self.tensors.get(tensor).map(Tensor::kind)
    }

    pub(crate) fn mixed(&self, matrix: &str) -> WeightsError {
        WeightsError::Mixed { path: self.path.clone(), matrix: matrix.into() }
    }

    /// Takes a tensor out as f32, if it has this shape and only finite values.
    pub fn take(&mut self, tensor: &str, expected: &[i64]) -> Result<Tensor, WeightsError> {
        let found = self.take_whole(tensor, expected)?;
        if matches!(found.kind(), Kind::Int8 | Kind::Uint8) {
            return Err(WeightsError::Whole { path: self.path.clone(), tensor: tensor.into() });
        }
        finite(tensor, &found)?;
        Ok(found.f_to_device(self.device)?.f_to_kind(Kind::Float)?)
    }

    /// Takes a tensor out as it is, if it has this shape.
    pub(crate) fn take_whole(&mut self, tensor: &str, expected: &[i64]) -> Result<Tensor, WeightsError> {
        let found = self
            .tensors
            .remove(tensor)
            .ok_or_else(|| WeightsError::Missing { path: self.path.clone(), tensor: tensor.into() })?;
        if found.size() != expected {
            let (tensor, expected, found) = (tensor.into(), expected.to_vec(), found.size());
            return Err(WeightsError::Shape { tensor, expected, found });
        }
        Ok(found)
    }

    /// Takes a tensor out that may be absent.
    pub fn discard(&mut self, tensor: &str) {
        self.tensors.remove(tensor);
    }

    /// All that is left, by name, as f32.
    pub fn into_tensors(self) -> BTreeMap<String, Tensor> {
        self.tensors.into_iter().map(|(name, tensor)| (name, tensor.to_kind(Kind::Float))).collect()
    }

    /// The same in the numbers of the file.
    pub(crate) fn into_own(self) -> BTreeMap<String, Tensor> {
        self.tensors
    }

    /// An error when something is left that nobody took.
    pub fn finish(self) -> Result<(), WeightsError> {
        match self.tensors.into_keys().next() {
            Some(tensor) => Err(WeightsError::Unknown { path: self.path, tensor }),
            None => Ok(()),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, WeightsError> {
    std::fs::read(path).map_err(|source| WeightsError::Read { path: path.display().to_string(), source })
}

/// The files with weights, each once.
fn files(folder: &Path) -> Result<Vec<PathBuf>, WeightsError> {
    let single = folder.join("model.safetensors");
    if single.exists() {
        return Ok(vec![single]);
    }
    let index = folder.join("model.safetensors.index.json");
    if !index.exists() {
        return Err(WeightsError::None { path: folder.display().to_string() });
    }
    let path = index.display().to_string();
    let parsed: Index =
        serde_json::from_slice(&read(&index)?).map_err(|source| WeightsError::Index { path: path.clone(), source })?;
    let shards: BTreeSet<String> = parsed.weight_map.into_values().collect();
    if let Some(shard) = shards.iter().find(|s| Path::new(s).file_name().is_none_or(|n| n != s.as_str())) {
        return Err(WeightsError::ShardName { path, shard: shard.clone() });
    }
    Ok(shards.into_iter().map(|s| folder.join(s)).collect())
}

fn read_file(file: &Path, into: &mut BTreeMap<String, Tensor>) -> Result<(), WeightsError> {
    let path = file.display().to_string();
    let bytes = read(file)?;
    let parsed =
        SafeTensors::deserialize(&bytes).map_err(|source| WeightsError::Damaged { path: path.clone(), source })?;
    for (name, view) in parsed.iter() {
        into.insert(name.into(), tensor(name, &view, &path)?);
    }
    Ok(())
}

fn tensor(name: &str, view: &TensorView<'_>, path: &str) -> Result<Tensor, WeightsError> {
    let kind = match view.dtype() {
        Dtype::F32 => Kind::Float,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        // Positions, which old files of BERT's family count out.
        Dtype::I64 => Kind::Int64,
        Dtype::I8 => Kind::Int8,
        Dtype::U8 => Kind::Uint8,
        dtype => return Err(WeightsError::Dtype { path: path.into(), tensor: name.into(), dtype }),
    };
    let shape: Vec<i64> = view.shape().iter().map(|&s| s as i64).collect();
    Ok(Tensor::f_from_data_size(view.data(), &shape, kind)?)
}

/// An error where it is not.
pub(crate) fn finite(name: &str, tensor: &Tensor) -> Result<(), WeightsError> {
    let all = tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? != 0;
    if all { Ok(()) } else { Err(WeightsError::NotFinite { tensor: name.into() }) }
}

/// Writes tensors in their order, as `kind` (Float or BFloat16).
pub fn save(tensors: &[(String, Tensor)], kind: Kind, file: &Path) -> Result<(), WeightsError> {
    let as_kind = |(name, tensor): &(String, Tensor)| Ok((name.clone(), tensor.f_detach()?.f_to_kind(kind)?));
    save_own(&tensors.iter().map(as_kind).collect::<Result<Vec<_>, TchError>>()?, file)
}

/// Writes tensors in their order and in their own numbers.
pub(crate) fn save_own(tensors: &[(String, Tensor)], file: &Path) -> Result<(), WeightsError> {
    let mut parts = Vec::new();
    for (name, tensor) in tensors {
        let dtype = match tensor.kind() {
            Kind::BFloat16 => Dtype::BF16,
            Kind::Half => Dtype::F16,
            Kind::Int8 => Dtype::I8,
            Kind::Uint8 => Dtype::U8,
            Kind::Float => Dtype::F32,
            kind => return Err(TchError::Kind(format!("{name}: {kind:?} is not written")).into()),
        };
        let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
        tensor.f_contiguous()?.f_copy_data_u8(&mut bytes, tensor.numel())?;
        parts.push((name.as_str(), dtype, tensor.size().iter().map(|&s| s as usize).collect::<Vec<_>>(), bytes));
    }
    let fail = |source| WeightsError::Write { path: file.display().to_string(), source };
    let views: Result<Vec<_>, _> = parts
        .iter()
        .map(|(name, dtype, shape, bytes)| Ok((*name, TensorView::new(*dtype, shape.clone(), bytes)?)))
        .collect();
    let format = [("format".to_string(), "pt".to_string())].into_iter().collect();
    // Under another name first: a run that is cut off must not leave half a checkpoint.
    let partial = file.with_extension("partial");
    safetensors::serialize_to_file(views.map_err(fail)?, Some(format), &partial).map_err(fail)?;
    std::fs::rename(&partial, file).map_err(|e| fail(safetensors::SafeTensorError::IoError(e)))
}
