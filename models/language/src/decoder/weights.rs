//! Weights of a Hugging Face folder: one `model.safetensors`, or shards with `model.safetensors.index.json`.
//!
//! Every defect of a file is an error before the model runs: a missing shard, a truncated file, a wrong shape, a value that is
//! not finite, an unexpected tensor.

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use tch::{Device, Kind, TchError, Tensor};

/// An error of reading or writing weights.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The folder has no weights.
    #[error("{path}: expected model.safetensors or model.safetensors.index.json in this folder")]
    None {
        /// The folder.
        path: String,
    },
    /// The index of shards cannot be parsed.
    #[error("{path} is not an index of shards: {source}")]
    Index {
        /// The file.
        path: String,
        /// The cause.
        source: serde_json::Error,
    },
    /// The index names a shard outside its folder.
    #[error("{path}: the index names the shard {shard:?}: expected the plain name of a file in the same folder")]
    ShardName {
        /// The index.
        path: String,
        /// The name of the shard.
        shard: String,
    },
    /// A file is not valid safetensors.
    #[error("{path} is damaged or truncated: {source}")]
    Damaged {
        /// The file.
        path: String,
        /// The cause.
        source: safetensors::SafeTensorError,
    },
    /// A data type that is not supported.
    #[error("{path}: tensor `{tensor}` is {dtype:?}: expected F32, F16 or BF16, or I8 or U8 where it is quantised")]
    Dtype {
        /// The file.
        path: String,
        /// The tensor.
        tensor: String,
        /// Its data type.
        dtype: Dtype,
    },
    /// A tensor is missing.
    #[error("tensor `{tensor}` is in no file of {path}")]
    Missing {
        /// The file or folder.
        path: String,
        /// The tensor.
        tensor: String,
    },
    /// A tensor has a wrong shape.
    #[error("tensor `{tensor}` is {found:?}: expected {expected:?} by config.json")]
    Shape {
        /// The tensor.
        tensor: String,
        /// The shape by the configuration.
        expected: Vec<i64>,
        /// The shape in the file.
        found: Vec<i64>,
    },
    /// A tensor holds NaN or infinity.
    #[error("tensor `{tensor}` holds values that are not finite numbers; the file is damaged or its training failed")]
    NotFinite {
        /// The tensor.
        tensor: String,
    },
    /// An integer tensor where floating point is expected.
    #[error("{path}: tensor `{tensor}` holds integers, which only matrices of a quantised model may")]
    Integer {
        /// The file or folder.
        path: String,
        /// The tensor.
        tensor: String,
    },
    /// Matrices that are computed together have different precisions.
    #[error("{path}: `{matrix}` is combined with matrices of another precision; quantise all of them alike")]
    Mixed {
        /// The file or folder.
        path: String,
        /// The first of the matrices.
        matrix: String,
    },
    /// A tensor that the model does not have.
    #[error("{path}: tensor `{tensor}` belongs to no part of the model that config.json describes")]
    Unknown {
        /// The file or folder.
        path: String,
        /// The tensor.
        tensor: String,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: String,
        /// The cause.
        source: safetensors::SafeTensorError,
    },
    /// An error of libtorch.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

/// Tensors by name, in the data types of their file.
#[derive(Debug)]
pub struct Weights {
    path: String,
    tensors: BTreeMap<String, Tensor>,
    /// The device that tensors are copied to when they are taken.
    device: Device,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Weights {
    /// Reads all tensors of a folder.
    ///
    /// # Errors
    /// A file that is missing, damaged or of an unsupported data type.
    pub fn load(folder: &Path) -> Result<Self, WeightsError> {
        let path = folder.display().to_string();
        let mut tensors = BTreeMap::new();
        for file in files(folder)? {
            read_file(&file, &mut tensors)?;
        }
        Ok(Self { path, tensors, device: Device::Cpu })
    }

    /// Reads all tensors of a file.
    ///
    /// # Errors
    /// A file that is missing, damaged or of an unsupported data type.
    pub fn load_file(file: &Path) -> Result<Self, WeightsError> {
        let mut tensors = BTreeMap::new();
        read_file(file, &mut tensors)?;
        Ok(Self { path: file.display().to_string(), tensors, device: Device::Cpu })
    }

    /// From tensors in memory; `path` is named in error messages.
    pub fn from_tensors(tensors: BTreeMap<String, Tensor>, path: &str) -> Self {
        Self { path: path.into(), tensors, device: Device::Cpu }
    }

    /// The same weights, to be taken to another device.
    pub fn on(self, device: Device) -> Self {
        Self { device, ..self }
    }

    /// The data type of a tensor, if it exists.
    pub(crate) fn kind(&self, tensor: &str) -> Option<Kind> {
        self.tensors.get(tensor).map(Tensor::kind)
    }

    /// The error for matrices of different precisions.
    pub(crate) fn mixed(&self, matrix: &str) -> WeightsError {
        WeightsError::Mixed { path: self.path.clone(), matrix: matrix.into() }
    }

    /// Removes and returns a tensor as f32.
    ///
    /// # Errors
    /// A tensor that is missing, of another shape, of integers, or not finite.
    pub fn take(&mut self, tensor: &str, expected: &[i64]) -> Result<Tensor, WeightsError> {
        let found = self.take_raw(tensor, expected)?;
        if matches!(found.kind(), Kind::Int8 | Kind::Uint8) {
            return Err(WeightsError::Integer { path: self.path.clone(), tensor: tensor.into() });
        }
        check_finite(tensor, &found)?;
        Ok(found.f_to_device(self.device)?.f_to_kind(Kind::Float)?)
    }

    /// Removes and returns a tensor in its own data type; an error if it is missing or has another shape.
    pub(crate) fn take_raw(&mut self, tensor: &str, expected: &[i64]) -> Result<Tensor, WeightsError> {
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

    /// Removes a tensor that is not used, if it exists.
    pub fn discard(&mut self, tensor: &str) {
        self.tensors.remove(tensor);
    }

    /// The remaining tensors by name, as f32.
    pub fn into_tensors(self) -> BTreeMap<String, Tensor> {
        self.tensors.into_iter().map(|(name, tensor)| (name, tensor.to_kind(Kind::Float))).collect()
    }

    /// The remaining tensors by name, in their own data types.
    pub(crate) fn into_raw(self) -> BTreeMap<String, Tensor> {
        self.tensors
    }

    /// Checks that all tensors were taken.
    ///
    /// # Errors
    /// [`WeightsError::Unknown`] for the first tensor that is left.
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

/// The weight files of a folder, each once.
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
        // Position ids of old BERT files.
        Dtype::I64 => Kind::Int64,
        Dtype::I8 => Kind::Int8,
        Dtype::U8 => Kind::Uint8,
        dtype => return Err(WeightsError::Dtype { path: path.into(), tensor: name.into(), dtype }),
    };
    let shape: Vec<i64> = view.shape().iter().map(|&s| s as i64).collect();
    Ok(Tensor::f_from_data_size(view.data(), &shape, kind)?)
}

/// Checks that a tensor has only finite values.
pub(crate) fn check_finite(name: &str, tensor: &Tensor) -> Result<(), WeightsError> {
    let all = tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? != 0;
    if all { Ok(()) } else { Err(WeightsError::NotFinite { tensor: name.into() }) }
}

/// Writes tensors in this order, converted to `kind` (Float or BFloat16).
///
/// # Errors
/// A file that cannot be written.
pub fn save(tensors: &[(String, Tensor)], kind: Kind, file: &Path) -> Result<(), WeightsError> {
    let as_kind = |(name, tensor): &(String, Tensor)| Ok((name.clone(), tensor.f_detach()?.f_to_kind(kind)?));
    save_raw(&tensors.iter().map(as_kind).collect::<Result<Vec<_>, TchError>>()?, file)
}

/// Writes tensors in this order and in their own data types.
pub(crate) fn save_raw(tensors: &[(String, Tensor)], file: &Path) -> Result<(), WeightsError> {
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
    // Written under another name first, so that an interrupted run leaves no incomplete file.
    let partial = file.with_extension("partial");
    safetensors::serialize_to_file(views.map_err(fail)?, Some(format), &partial).map_err(fail)?;
    std::fs::rename(&partial, file).map_err(|e| fail(safetensors::SafeTensorError::IoError(e)))
}
