//! GGUF files of llama.cpp: metadata, tokenizer and template in one file with the weights
//! (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>).
//!
//! | module | contents |
//! | --- | --- |
//! | this | the file: metadata and tensors |
//! | `blocks` | the formats of tensors |
//! | `checkpoint` | configuration and weights of a model |
//! | `tokenizer` | tokenizer and chat template, in the forms of Hugging Face |

pub mod blocks;
pub mod checkpoint;
pub mod tokenizer;

use crate::decoder::{config::fields::ConfigError, weights::WeightsError};
use blocks::Format;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// An error of reading a GGUF file.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// The file is no GGUF file, or damaged.
    #[error("{path} is damaged or no GGUF file: {what}")]
    Damaged {
        /// The file.
        path: String,
        /// What was expected and found.
        what: String,
    },
    /// The model that its metadata describes is not supported.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its tensors cannot be used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The metadata has no such value, or one that is not supported.
    #[error("{path}: {what}")]
    Unsupported {
        /// The file.
        path: String,
        /// The key or tensor, what was expected and what was found.
        what: String,
    },
}

/// A value of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// An integer.
    Integer(i64),
    /// A number.
    Number(f64),
    /// True or false.
    Flag(bool),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Value>),
}

/// Where a tensor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Sizes, rows first; as in Hugging Face.
    pub shape: Vec<i64>,
    /// The format.
    pub format: Format,
    offset: u64,
    bytes: usize,
}

/// A GGUF file, of which the metadata has been read.
pub struct Gguf {
    path: String,
    file: BufReader<File>,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, TensorInfo>,
}

/// A longer text or list in the metadata is damage.
const MAX_ITEMS: u64 = 1 << 24;
/// More tensors or keys are damage.
const MAX_ENTRIES: u64 = 1 << 16;
const MAX_DIMENSIONS: u32 = 4;
const MAX_DEPTH: usize = 2;

/// The GGUF file that a path names: the file itself, or the only one of a folder without a `config.json`.
pub fn find(path: &Path) -> Option<PathBuf> {
    let is_gguf = |p: &Path| p.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf"));
    if path.is_file() {
        return is_gguf(path).then(|| path.to_owned());
    }
    if path.join("config.json").exists() {
        return None;
    }
    let files = std::fs::read_dir(path).ok()?.filter_map(|entry| Some(entry.ok()?.path())).filter(|p| is_gguf(p));
    let found: Vec<PathBuf> = files.collect();
    <[PathBuf; 1]>::try_from(found).ok().map(|[only]| only)
}

impl Gguf {
    /// Opens a file and reads its metadata.
    ///
    /// # Errors
    /// A file that cannot be read or is damaged, or a tensor of a format that is not supported.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let name = path.display().to_string();
        let read_error = |source| GgufError::Read { path: name.clone(), source };
        let file = File::open(path).map_err(read_error)?;
        let length = file.metadata().map_err(read_error)?.len();
        let mut reader = Reader { file: BufReader::new(file), path: name.clone(), read: 0, length };
        let (metadata, tensors) = reader.header()?;
        Ok(Self { path: name, file: reader.file, metadata, tensors })
    }

    /// The file, for error messages.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A value of the metadata.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// The names of the tensors.
    pub fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    /// Where a tensor is.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// The bytes of a tensor.
    ///
    /// # Errors
    /// A tensor that is missing or cannot be read.
    pub fn bytes(&mut self, name: &str) -> Result<Vec<u8>, GgufError> {
        let missing = || GgufError::Unsupported { path: self.path.clone(), what: format!("it has no tensor `{name}`") };
        let info = self.tensors.get(name).ok_or_else(missing)?;
        let mut bytes = vec![0; info.bytes];
        let read = self.file.seek(SeekFrom::Start(info.offset)).and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(|source| GgufError::Read { path: self.path.clone(), source })?;
        Ok(bytes)
    }

    /// An error that names something of this file that is not supported.
    pub fn unsupported(&self, what: impl Into<String>) -> GgufError {
        GgufError::Unsupported { path: self.path.clone(), what: what.into() }
    }
}

type Header = (BTreeMap<String, Value>, BTreeMap<String, TensorInfo>);

struct Reader {
    file: BufReader<File>,
    path: String,
    read: u64,
    length: u64,
}

impl Reader {
    fn damaged(&self, what: impl Into<String>) -> GgufError {
        GgufError::Damaged { path: self.path.clone(), what: what.into() }
    }

    fn header(&mut self) -> Result<Header, GgufError> {
        if &self.array::<4>()? != b"GGUF" {
            return Err(self.damaged("it does not begin with GGUF"));
        }
        let version = self.u32()?;
        if !(2..=3).contains(&version) {
            return Err(self.damaged(format!("version {version}: expected 2 or 3")));
        }
        let (tensor_count, key_count) = (self.u64()?, self.u64()?);
        if tensor_count > MAX_ENTRIES || key_count > MAX_ENTRIES {
            return Err(self.damaged(format!("{tensor_count} tensors and {key_count} keys")));
        }
        let mut metadata = BTreeMap::new();
        for _ in 0..key_count {
            let key = self.text()?;
            let kind = self.u32()?;
            let value = self.value(kind, 0)?;
            metadata.insert(key, value);
        }
        let mut tensors = BTreeMap::new();
        for _ in 0..tensor_count {
            let name = self.text()?;
            let info = self.tensor(&name)?;
            tensors.insert(name, info);
        }
        let alignment = match metadata.get("general.alignment") {
            Some(Value::Integer(bytes)) if (1..=1 << 20).contains(bytes) => *bytes as u64,
            None => 32,
            Some(other) => return Err(self.damaged(format!("`general.alignment` is {other:?}"))),
        };
        let start = self.read.next_multiple_of(alignment);
        for (name, info) in &mut tensors {
            let end = start.checked_add(info.offset).and_then(|at| at.checked_add(info.bytes as u64));
            if end.is_none_or(|end| end > self.length) {
                return Err(GgufError::Damaged {
                    path: self.path.clone(),
                    what: format!("tensor `{name}` ends beyond the file, which may be incomplete"),
                });
            }
            info.offset += start;
        }
        Ok((metadata, tensors))
    }

    fn tensor(&mut self, name: &str) -> Result<TensorInfo, GgufError> {
        let dimensions = self.u32()?;
        if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
            return Err(self.damaged(format!("tensor `{name}` has {dimensions} dimensions")));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            let size = self.u64()?;
            shape.push(
                i64::try_from(size)
                    .ok()
                    .filter(|size| (1..=1 << 32).contains(size))
                    .ok_or_else(|| self.damaged(format!("tensor `{name}` has a dimension of {size}")))?,
            );
        }
        shape.reverse();
        let kind = self.u32()?;
        let offset = self.u64()?;
        let format = Format::of(kind).map_err(|found| GgufError::Unsupported {
            path: self.path.clone(),
            what: format!("tensor `{name}` is {found}, which is not supported: expected one of {}", Format::known()),
        })?;
        let columns = shape.last().copied().unwrap_or(1);
        let elements = shape.iter().try_fold(1i64, |all, size| all.checked_mul(*size));
        let (Some(elements), true) = (elements, columns % format.block() == 0) else {
            return Err(self.damaged(format!("tensor `{name}` of {shape:?} has no whole blocks of {}", format.block())));
        };
        let bytes = (elements / format.block()) as u64 * format.block_bytes() as u64;
        if bytes > self.length {
            return Err(self.damaged(format!("tensor `{name}` of {shape:?} is larger than the file")));
        }
        Ok(TensorInfo { shape, format, offset, bytes: bytes as usize })
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<Value, GgufError> {
        Ok(match kind {
            0 => Value::Integer(u8::from_le_bytes(self.array()?).into()),
            1 => Value::Integer(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Integer(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Integer(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Integer(self.u32()?.into()),
            5 => Value::Integer(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Number(f32::from_le_bytes(self.array()?).into()),
            7 => Value::Flag(self.array::<1>()? != [0]),
            8 => Value::Text(self.text()?),
            9 if depth < MAX_DEPTH => {
                let (kind, count) = (self.u32()?, self.u64()?);
                if count > MAX_ITEMS || count > self.length {
                    return Err(self.damaged(format!("a list of {count} values")));
                }
                Value::List((0..count).map(|_| self.value(kind, depth + 1)).collect::<Result<_, _>>()?)
            }
            10 => Value::Integer(i64::try_from(self.u64()?).unwrap_or(i64::MAX)),
            11 => Value::Integer(i64::from_le_bytes(self.array()?)),
            12 => Value::Number(f64::from_le_bytes(self.array()?)),
            other => return Err(self.damaged(format!("a value of type {other}"))),
        })
    }

    fn text(&mut self) -> Result<String, GgufError> {
        let length = self.u64()?;
        if length > MAX_ITEMS || length > self.length {
            return Err(self.damaged(format!("a text of {length} bytes")));
        }
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        // A token can be a part of a character.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn u32(&mut self) -> Result<u32, GgufError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, GgufError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, to: &mut [u8]) -> Result<(), GgufError> {
        match self.file.read_exact(to) {
            Ok(()) => self.read += to.len() as u64,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(self.damaged("it ends within its metadata"));
            }
            Err(source) => return Err(GgufError::Read { path: self.path.clone(), source }),
        }
        Ok(())
    }
}
