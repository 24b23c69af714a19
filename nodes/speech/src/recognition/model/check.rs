//! Checks the files of a Vosk model: libvosk ends the process when a file is missing or damaged.
//!
//! The layouts are those that libvosk 0.3.45 loads (`am/`, `conf/`, `graph/`, or all files in one folder). The check reads
//! the parts that identify a file and that must fit each other; a file that is damaged in its middle is found by the
//! [probe](crate::recognition::open::probe).

use crate::recognition::model::{
    error::{ModelError, excerpt, open, unexpected},
    fst,
};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

/// Kaldi's default number of features per frame, for MFCC and for filter banks.
const MFCC_DEFAULT_CEPS: usize = 13;
const FBANK_DEFAULT_BINS: usize = 23;
/// Largest symbol table or configuration that is read.
const MAX_TEXT_BYTES: u64 = 256 << 20;
const MAX_LINE_BYTES: usize = 64 << 10;
/// The network's description follows the transition model, which has some megabytes in the largest known models.
const MAX_TRANSITION_BYTES: u64 = 256 << 20;

/// Properties of a model.
#[derive(Debug, Default)]
pub struct ModelInfo {
    /// Its vocabulary.
    pub words: BTreeSet<String>,
    /// Its graph takes a language model at run time: HCLr and Gr, not HCLG.
    pub takes_grammar: bool,
}

/// Paths in one of the two layouts: folders, or the older one with all files in one folder.
struct Layout {
    network: PathBuf,
    /// The older layout has no options.
    options: Option<PathBuf>,
    conf: PathBuf,
    graph: PathBuf,
}

impl Layout {
    fn of(folder: &Path) -> Layout {
        let old = !folder.join("am/final.mdl").exists() && folder.join("final.mdl").is_file();
        let (conf, graph) = match old {
            true => (folder.to_owned(), folder.to_owned()),
            false => (folder.join("conf"), folder.join("graph")),
        };
        let network = if old { folder.join("final.mdl") } else { folder.join("am/final.mdl") };
        Layout { network, options: (!old).then(|| conf.join("model.conf")), conf, graph }
    }
}

/// Checks the files that libvosk will read.
///
/// # Errors
/// When a file is missing, is of another kind, or does not fit the others; the text names the file.
pub fn check(folder: &Path) -> Result<ModelInfo, ModelError> {
    if !folder.is_dir() {
        return Err(ModelError::NotAFolder(folder.into()));
    }
    let layout = Layout::of(folder);
    let network = check_acoustic_model(&layout.network)?;
    layout.options.as_deref().map_or(Ok(Vec::new()), check_options)?;
    let (features, features_file) = check_features(folder, &layout.conf)?;
    if let Some(wanted) = network.input_dim
        && wanted != features
    {
        return Err(ModelError::Unexpected {
            path: layout.network,
            expected: "a network whose input is as wide as the features",
            found: format!("{wanted} inputs for {features} features in {}", layout.conf.join(features_file).display()),
        });
    }
    if network.ivector && !folder.join("ivector/final.ie").is_file() {
        return Err(ModelError::Missing { folder: folder.into(), what: "ivector/final.ie, which the network needs," });
    }
    check_graph(folder, &layout.graph)
}

struct Network {
    /// Width of the input named `input`.
    input_dim: Option<usize>,
    ivector: bool,
}

/// A transition model and then an nnet3 network, binary or text; the network's description is text in both cases.
fn check_acoustic_model(path: &Path) -> Result<Network, ModelError> {
    let mut reader = BufReader::new(open(path)?);
    let unreadable = |source| ModelError::Unreadable { path: path.into(), source };
    let head = reader.fill_buf().map_err(unreadable)?;
    let tag = head.strip_prefix(b"\0B").unwrap_or(head);
    if !tag.trim_ascii_start().starts_with(b"<TransitionModel>") {
        return Err(unexpected(path, "a Kaldi transition model", head));
    }
    let mut reader = reader.take(MAX_TRANSITION_BYTES);
    if !skip_past(&mut reader, b"<Nnet3>").map_err(unreadable)? {
        return Err(ModelError::Unexpected {
            path: path.into(),
            expected: "an nnet3 network after the transition model",
            found: "none (a GMM, or a file cut short)".into(),
        });
    }
    let mut network = Network { input_dim: None, ivector: false };
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reader).take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut line).map_err(unreadable)?;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if text.starts_with("input-node") {
            let field = |name: &str| text.split_whitespace().find_map(|w| w.strip_prefix(name));
            match field("name=") {
                Some("ivector") => network.ivector = true,
                Some("input") => network.input_dim = field("dim=").and_then(|d| d.parse().ok()),
                _ => {}
            }
        }
        if text.contains("<NumComponents>") {
            return Ok(network);
        }
        if read == 0 {
            return Err(ModelError::Unexpected {
                path: path.into(),
                expected: "the components of the network",
                found: "the end of the file".into(),
            });
        }
    }
}

/// Reads past `mark`; false when the reader ends first.
fn skip_past(reader: &mut impl BufRead, mark: &[u8]) -> std::io::Result<bool> {
    let mut matched = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(false);
        }
        let mut used = 0;
        for &byte in buffer {
            used += 1;
            // The mark's first byte occurs in it only once, so a failed match can restart only at this byte.
            matched = if byte == mark[matched] { matched + 1 } else { usize::from(byte == mark[0]) };
            if matched == mark.len() {
                reader.consume(used);
                return Ok(true);
            }
        }
        reader.consume(used);
    }
}

/// The number of features per frame, and the file that sets it.
fn check_features(folder: &Path, conf: &Path) -> Result<(usize, &'static str), ModelError> {
    // In the order of libvosk.
    let (file, option, default) = match conf.join("fbank.conf").is_file() {
        true => ("fbank.conf", "--num-mel-bins", FBANK_DEFAULT_BINS),
        false => ("mfcc.conf", "--num-ceps", MFCC_DEFAULT_CEPS),
    };
    let path = conf.join(file);
    if !path.is_file() {
        return Err(ModelError::Missing { folder: folder.into(), what: "conf/mfcc.conf or conf/fbank.conf" });
    }
    let options = check_options(&path)?;
    let value = options.iter().rev().find(|(name, _)| name == option).map(|(_, value)| value);
    match value.map(|v| v.parse()) {
        None => Ok((default, file)),
        Some(Ok(value)) => Ok((value, file)),
        Some(Err(_)) => {
            Err(ModelError::Unexpected { path, expected: "a number of features", found: format!("{value:?}") })
        }
    }
}

/// A Kaldi configuration: `--name=value` lines, comments and empty lines.
fn check_options(path: &Path) -> Result<Vec<(String, String)>, ModelError> {
    let mut options = Vec::new();
    for_lines(path, |number, line| {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            return Ok(());
        }
        if !line.starts_with("--") {
            return Err(format!("{:?} in line {number}", excerpt(line.as_bytes())));
        }
        let (name, value) = line.split_once('=').unwrap_or((line, "true"));
        options.push((name.trim().to_owned(), value.trim().to_owned()));
        Ok(())
    })
    .map_err(|e| e.expecting("--option=value lines"))?;
    Ok(options)
}

fn check_graph(folder: &Path, graph: &Path) -> Result<ModelInfo, ModelError> {
    let takes_grammar = !graph.join("HCLG.fst").is_file();
    // The transducer with the output words.
    let output = graph.join(if takes_grammar { "Gr.fst" } else { "HCLG.fst" });
    if takes_grammar {
        if !graph.join("HCLr.fst").is_file() {
            let what = "HCLG.fst, or HCLr.fst with Gr.fst, of the graph";
            return Err(ModelError::Missing { folder: folder.into(), what });
        }
        fst::check_fst(&graph.join("HCLr.fst"))?;
        open(&graph.join("disambig_tid.int"))?;
    }
    // Many models carry their words in the graph and have no words.txt.
    let words = match fst::output_words(&output)? {
        Some(words) => words,
        None => read_words(&graph.join("words.txt"))?,
    };
    Ok(ModelInfo { words, takes_grammar })
}

fn read_words(path: &Path) -> Result<BTreeSet<String>, ModelError> {
    let mut words = BTreeSet::new();
    for_lines(path, |number, line| {
        let mut fields = line.split_whitespace();
        match (fields.next(), fields.next().map(str::parse::<u32>), fields.next()) {
            (None, ..) => Ok(()),
            (Some(word), Some(Ok(_)), None) => {
                words.insert(word.to_owned());
                Ok(())
            }
            _ => Err(format!("{:?} in line {number}", excerpt(line.as_bytes()))),
        }
    })
    .map_err(|e| e.expecting("a word and its number on each line"))?;
    match words.is_empty() {
        true => Err(ModelError::Unexpected { path: path.into(), expected: "words", found: "none".into() }),
        false => Ok(words),
    }
}

enum LineError {
    Model(ModelError),
    Content { path: PathBuf, found: String },
}

impl LineError {
    fn expecting(self, expected: &'static str) -> ModelError {
        match self {
            LineError::Model(e) => e,
            LineError::Content { path, found } => ModelError::Unexpected { path, expected, found },
        }
    }
}

/// Hands each line to `take`, with its number from 1. Lines must be UTF-8 of sensible length.
fn for_lines(path: &Path, mut take: impl FnMut(usize, &str) -> Result<(), String>) -> Result<(), LineError> {
    let mut reader = BufReader::new(open(path).map_err(LineError::Model)?).take(MAX_TEXT_BYTES);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = (&mut reader).take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut line);
        let read = read.map_err(|source| LineError::Model(ModelError::Unreadable { path: path.into(), source }))?;
        if read == 0 {
            break;
        }
        let text = std::str::from_utf8(&line).map_err(|_| format!("line {number}, which is not UTF-8"));
        text.and_then(|text| take(number, text.trim_end()))
            .map_err(|found| LineError::Content { path: path.into(), found })?;
    }
    Ok(())
}
