//! All nodes in one process, fed from files in log time: the same state machines as live, the same bytes every time.
//!
//! [`run`] builds the nodes from their defaults ([`nodes`]), opens the drive's files or a recording as their devices
//! ([`sources`]), injects faults ([`faults`]) and hands every message to a sink, and into a recording if one is asked for.

pub mod faults;
pub mod nodes;
mod sources;

pub(crate) use sources::start_of_recording;

use crate::drive::Drive;
use anyhow::{Context, Result};
use auriga_msgs::Any;
use auriga_recorder::mcap_file::Writer;
use auriga_runtime::{Nanos, Replay, ReplayControl, ReplayStats};
use faults::Faults;
use nodes::{Nodes, Param};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{Duration, Instant},
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
            root: nodes::find_root()?,
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

/// What a replay did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    pub stats: ReplayStats,
    /// The drive's time 0 on the clock of the messages.
    pub start: Nanos,
    /// Seconds of driving played, and what that took.
    pub played_s: f64,
    pub wall: Duration,
}

impl Outcome {
    /// As a multiple of real time.
    pub fn speed(&self) -> f64 {
        self.played_s / self.wall.as_secs_f64().max(1e-9)
    }
}

/// Replays. `progress` is told the fraction that is done, `sink` gets every message in the order of the replay.
pub fn run(
    options: &Options,
    progress: &mut dyn FnMut(f64),
    sink: &mut dyn FnMut(&Any) -> Result<()>,
) -> Result<Outcome> {
    let began = Instant::now();
    let input = sources::open(options)?;
    let nodes = Nodes::new(options, &input);
    let mut replay = Replay::new();
    replay.start_at(input.start);
    options.shuffle.into_iter().for_each(|seed| replay.shuffle(seed));
    for name in nodes.names() {
        nodes.add(name, &mut replay)?;
    }
    options.faults.lose(&mut replay, input.start)?;
    let mut kills = options.faults.kills(input.start, nodes.names())?;
    let mut writer = options.output.as_ref().map(|path| create(path)).transpose()?;
    let (from_s, to_s) = (options.from_s, options.to_s.min(input.duration_s));
    let at = |s: f64| input.start + Duration::from_secs_f64(s.max(0.0));
    let mut failed = None;
    let mut told = 0.0;
    let at_instant = |now: Nanos, control: &mut ReplayControl| {
        if let Err(e) = kills.at(now, control, &nodes) {
            failed.get_or_insert(e);
        }
        let done = (now.since(at(from_s)).as_secs_f64() / (to_s - from_s).max(1e-9)).min(1.0);
        if done >= told + 0.005 {
            told = done;
            progress(done);
        }
    };
    let stats = replay.run(input.stream, options.tail, at_instant, |any| {
        if let Some(writer) = writer.as_mut().filter(|_| !any.topic().spec().is_device()) {
            writer.write(any)?;
        }
        sink(any)
    })?;
    if let Some(e) = failed {
        return Err(e);
    }
    if let Some(writer) = writer {
        writer.finish()?;
    }
    progress(1.0);
    let played_s = stats.end.since(at(from_s)).as_secs_f64();
    Ok(Outcome { stats, start: input.start, played_s, wall: began.elapsed() })
}

fn create(path: &Path) -> Result<Writer> {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| format!("the folder of {}", path.display()))?;
    }
    Writer::create(path).with_context(|| format!("recording {}", path.display()))
}

/// The drive's time 0 on the clock of the source's messages.
pub fn start_of(source: &Source) -> Result<Nanos> {
    match source {
        Source::Drive(_) => Ok(Nanos::ZERO),
        Source::Recording(path) => start_of_recording(&sources::recording(path)?, path),
    }
}

/// The drive of a source, where it is one.
pub fn drive_of(source: &Source) -> Result<Option<Drive>> {
    match source {
        Source::Drive(folder) => Ok(Some(Drive::open(folder)?)),
        Source::Recording(_) => Ok(None),
    }
}
