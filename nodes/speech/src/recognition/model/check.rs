//! Looks a Vosk model folder over before libvosk does: libvosk ends the process when a file is missing or foreign.
//!
//! The layouts are those libvosk 0.3.45 loads (`am/`, `conf/`, `graph/`, or all files side by side). Read are the parts
//! that tell a foreign file or two files that do not fit together; a file damaged in its middle is found by [`probe`].

use crate::{recognition::model::fst as symbols, turns::vad::SAMPLE_RATE_HZ};
use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader, ErrorKind, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// What is wrong with a model folder, and where.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("model {}: not a folder; give the folder that holds am/, conf/ and graph/", .0.display())]
    NotAFolder(PathBuf),
    #[error("model file {}: {source}; is the model unpacked whole?", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("model {}: {what} is missing; is the model unpacked whole?", folder.display())]
    Missing { folder: PathBuf, what: &'static str },
    #[error("model file {}: expected {expected}, found {found}", path.display())]
    Foreign { path: PathBuf, expected: &'static str, found: String },
    #[error("model {}: libvosk does not load it: {reason}", folder.display())]
    Refused { folder: PathBuf, reason: String },
}

/// Kaldi's defaults for what the two kinds of features have, when their configuration does not say.
const MFCC_DEFAULT_CEPS: usize = 13;
const FBANK_DEFAULT_BINS: usize = 23;
/// A longer symbol table or configuration is something else.
const MAX_TEXT_BYTES: u64 = 256 << 20;
const MAX_LINE_BYTES: usize = 64 << 10;
/// The network's description follows the transition model, which for the largest known models is some megabytes.
const MAX_TRANSITION_BYTES: u64 = 256 << 20;

/// What a model offers.
#[derive(Debug, Default)]
pub struct Parts {
    pub words: BTreeSet<String>,
    /// Its graph takes a grammar at run time: HCLr and Gr, not HCLG.
    pub takes_grammar: bool,
}

/// Where things are. libvosk takes two layouts: folders, and the older one with all files side by side.
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

/// Checks the files libvosk will read. An error names the file.
pub fn check(folder: &Path) -> Result<Parts, ModelError> {
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
        return Err(ModelError::Foreign {
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

/// Binary or text; a transition model and then an nnet3 network, whose description is text either way.
fn check_acoustic_model(path: &Path) -> Result<Network, ModelError> {
    let mut reader = BufReader::new(open(path)?);
    let unreadable = |source| ModelError::Unreadable { path: path.into(), source };
    let head = reader.fill_buf().map_err(unreadable)?;
    let tag = head.strip_prefix(b"\0B").unwrap_or(head);
    if !tag.trim_ascii_start().starts_with(b"<TransitionModel>") {
        return Err(foreign(path, "a Kaldi transition model", head));
    }
    let mut reader = reader.take(MAX_TRANSITION_BYTES);
    if !skip_past(&mut reader, b"<Nnet3>").map_err(unreadable)? {
        return Err(ModelError::Foreign {
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
            return Err(ModelError::Foreign {
                path: path.into(),
                expected: "the components of the network",
                found: "the end of the file".into(),
            });
        }
    }
}

/// Reads up to and with `mark`; false when the reader ends first.
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
            // The mark's first byte occurs in it once, so a failed match can only begin anew at this byte.
            matched = if byte == mark[matched] { matched + 1 } else { usize::from(byte == mark[0]) };
            if matched == mark.len() {
                reader.consume(used);
                return Ok(true);
            }
        }
        reader.consume(used);
    }
}

/// The number of features per frame, and the file that says so.
fn check_features(folder: &Path, conf: &Path) -> Result<(usize, &'static str), ModelError> {
    // The order in which libvosk looks.
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
            Err(ModelError::Foreign { path, expected: "a number of features", found: format!("{value:?}") })
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

fn check_graph(folder: &Path, graph: &Path) -> Result<Parts, ModelError> {
    let takes_grammar = !graph.join("HCLG.fst").is_file();
    // The part with the words.
    let output = graph.join(if takes_grammar { "Gr.fst" } else { "HCLG.fst" });
    if takes_grammar {
        if !graph.join("HCLr.fst").is_file() {
            let what = "HCLG.fst, or HCLr.fst with Gr.fst, of the graph";
            return Err(ModelError::Missing { folder: folder.into(), what });
        }
        symbols::check_fst(&graph.join("HCLr.fst"))?;
        open(&graph.join("disambig_tid.int"))?;
    }
    // Models often carry their words in the graph, and then have no words.txt.
    let words = match symbols::output_words(&output)? {
        Some(words) => words,
        None => read_words(&graph.join("words.txt"))?,
    };
    Ok(Parts { words, takes_grammar })
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
        true => Err(ModelError::Foreign { path: path.into(), expected: "words", found: "none".into() }),
        false => Ok(words),
    }
}

pub(crate) fn foreign(path: &Path, expected: &'static str, head: &[u8]) -> ModelError {
    let found = if head.is_empty() { "an empty file".into() } else { format!("{:?}", excerpt(head)) };
    ModelError::Foreign { path: path.into(), expected, found }
}

fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(32)]).into_owned()
}

/// Opens a file that must not be empty.
pub(crate) fn open(path: &Path) -> Result<File, ModelError> {
    let unreadable = |source| ModelError::Unreadable { path: path.into(), source };
    let file = File::open(path).map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() || meta.len() == 0 {
        return Err(unreadable(std::io::Error::new(ErrorKind::InvalidData, "empty or not a file")));
    }
    Ok(file)
}

enum LineError {
    Model(ModelError),
    Content { path: PathBuf, found: String },
}

impl LineError {
    fn expecting(self, expected: &'static str) -> ModelError {
        match self {
            LineError::Model(e) => e,
            LineError::Content { path, found } => ModelError::Foreign { path, expected, found },
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

/// How long libvosk may take to load a model.
const PROBE_TIME: Duration = Duration::from_secs(60);
/// The word that makes this node's executable load a model and leave ([`run_probe`]).
const PROBE_WORD: &str = "--probe-model";

/// Lets a child process (`exe`: this node's executable) load the model, so that what libvosk does on a bad one happens
/// to the child.
pub fn probe(exe: &Path, folder: &Path) -> Result<(), ModelError> {
    let refused = |reason: String| ModelError::Refused { folder: folder.into(), reason };
    let mut child = Command::new(exe)
        .arg(PROBE_WORD)
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| refused(format!("{} does not start: {e}", exe.display())))?;
    let deadline = Instant::now() + PROBE_TIME;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(refused(status.to_string())),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            stuck => {
                // Either way there is nothing to be learnt from it any more.
                let _ = child.kill();
                let _ = child.wait();
                return Err(refused(format!("not loaded after {} s ({stuck:?})", PROBE_TIME.as_secs())));
            }
        }
    }
}

/// When the command line is [`probe`]'s: loads the model and ends the process.
pub fn run_probe() {
    let mut words = std::env::args_os().skip(1);
    if let (Some(PROBE_WORD), Some(folder)) = (words.next().as_ref().and_then(|w| w.to_str()), words.next()) {
        let loads = crate::recognition::vosk::load(Path::new(&folder))
            .is_ok_and(|model| vosk::Recognizer::new(&model, SAMPLE_RATE_HZ as f32).is_some());
        std::process::exit(i32::from(!loads));
    }
}
