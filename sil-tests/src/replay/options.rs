//! What is replayed, and how.

use super::{
    config::{Param, find_root},
    faults::Faults,
};
use anyhow::Result;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

/// What is played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Folder of a drive.
    Drive(PathBuf),
    /// Recording of a drive: the messages of its devices are played again, and the nodes compute everything else anew.
    Recording(PathBuf),
}

impl Source {
    /// A folder is a drive, a file is a recording.
    pub fn from_path(path: &Path) -> Source {
        if path.is_dir() { Source::Drive(path.to_owned()) } else { Source::Recording(path.to_owned()) }
    }
}

/// What to replay and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is played.
    pub source: Source,
    /// The folder with calibration/, launch/ and models/.
    pub root: PathBuf,
    /// The nodes to run; empty: all.
    pub nodes: BTreeSet<String>,
    /// Configuration of nodes over their defaults.
    pub params: Vec<Param>,
    /// Faults to inject.
    pub faults: Faults,
    /// Start of the part to play, in seconds of the drive.
    pub from_s: f64,
    /// End of that part.
    pub to_s: f64,
    /// Time after the last input, for what is still being processed. A camera counts as lost half a second after its end.
    pub tail: Duration,
    /// Runs the nodes on threads in a random order of this seed; the result is the same.
    pub shuffle: Option<u64>,
    /// Where to write a recording.
    pub output: Option<PathBuf>,
}

impl Options {
    /// All of `source` through all nodes, without faults.
    ///
    /// # Errors
    /// When the folder of the repository is not found.
    pub fn new(source: Source) -> Result<Options> {
        Ok(Options {
            source,
            root: find_root()?,
            nodes: BTreeSet::new(),
            params: Vec::new(),
            faults: Faults::default(),
            from_s: 0.0,
            to_s: f64::INFINITY,
            tail: Duration::from_millis(400),
            shuffle: None,
            output: None,
        })
    }
}
