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
    /// A drive's folder.
    Drive(PathBuf),
    /// A recording of a drive: what the devices gave is played again, and the nodes work it out anew.
    Recording(PathBuf),
}

impl Source {
    /// A folder is a drive, a file a recording.
    pub fn of_path(path: &Path) -> Source {
        if path.is_dir() { Source::Drive(path.to_owned()) } else { Source::Recording(path.to_owned()) }
    }
}

/// What to replay and how.
#[derive(Debug, Clone)]
pub struct Options {
    pub source: Source,
    /// The folder that holds calibration/, launch/ and models/.
    pub root: PathBuf,
    /// The nodes to run; empty: all.
    pub nodes: BTreeSet<String>,
    /// Configuration of single nodes over their defaults.
    pub params: Vec<Param>,
    pub faults: Faults,
    /// The part of the drive to play, in seconds of it.
    pub from_s: f64,
    pub to_s: f64,
    /// Time for what is still under way at the end. A camera that has ended counts as lost after half a second.
    pub tail: Duration,
    /// Runs the nodes on threads in an order drawn from this seed; the outcome stays the same.
    pub shuffle: Option<u64>,
    /// Where to write a recording of it.
    pub output: Option<PathBuf>,
}

impl Options {
    /// All of `source` through all nodes, without faults.
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
