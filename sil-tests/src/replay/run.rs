//! Runs a replay.

use super::{
    faults::{inject, kills::Kills},
    input::{self, start_of_recording},
    nodes::Nodes,
    options::{Options, Source},
};
use crate::drive::Drive;
use anyhow::{Context, Result};
use auriga_msgs::Any;
use auriga_recorder::mcap_file::Writer;
use auriga_runtime::{Nanos, Replay, ReplayControl, ReplayStats};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// The result of a replay.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Counts of the replay.
    pub stats: ReplayStats,
    /// Time 0 of the drive on the clock of the messages.
    pub start: Nanos,
    /// Seconds of the drive that were played.
    pub played_s: f64,
    /// Wall time.
    pub wall: Duration,
    /// What of the recording that was played is damaged or missing, in words.
    pub damage: Vec<String>,
}

impl Outcome {
    /// As a multiple of real time.
    pub fn speed(&self) -> f64 {
        self.played_s / self.wall.as_secs_f64().max(1e-9)
    }
}

/// Runs a replay. `progress` gets the fraction that is done, `sink` every message in the order of the replay.
///
/// # Errors
/// When the source cannot be read, a node cannot be built, or `sink` fails.
pub fn run(
    options: &Options,
    progress: &mut dyn FnMut(f64),
    sink: &mut dyn FnMut(&Any) -> Result<()>,
) -> Result<Outcome> {
    let began = Instant::now();
    let input = input::open(options)?;
    let nodes = Nodes::new(options, &input);
    let mut replay = Replay::new();
    replay.start_at(input.start);
    options.shuffle.into_iter().for_each(|seed| replay.shuffle(seed));
    for name in nodes.names() {
        nodes.add(name, &mut replay)?;
    }
    inject::lose(&options.faults, &mut replay, input.start)?;
    let mut kills = Kills::new(&options.faults, input.start, nodes.names())?;
    let mut writer = options.output.as_ref().map(|path| create(path)).transpose()?;
    let (from_s, to_s) = (options.from_s, options.to_s.min(input.duration_s));
    let at = |s: f64| input.start + Duration::from_secs_f64(s.max(0.0));
    let mut failed = None;
    let mut reported = 0.0;
    let at_instant = |now: Nanos, control: &mut ReplayControl| {
        if let Err(e) = kills.at(now, control, &nodes) {
            failed.get_or_insert(e);
        }
        let done = (now.since(at(from_s)).as_secs_f64() / (to_s - from_s).max(1e-9)).min(1.0);
        if done >= reported + 0.005 {
            reported = done;
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
    Ok(Outcome { stats, start: input.start, played_s, wall: began.elapsed(), damage: input.damage.take() })
}

fn create(path: &Path) -> Result<Writer> {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| format!("the folder of {}", path.display()))?;
    }
    Writer::create(path).with_context(|| format!("recording {}", path.display()))
}

/// Time 0 of the drive on the clock of the messages.
///
/// # Errors
/// When a recording cannot be read or is empty.
pub fn start_of(source: &Source) -> Result<Nanos> {
    match source {
        Source::Drive(_) => Ok(Nanos::ZERO),
        Source::Recording(path) => start_of_recording(&input::recording::reader(path)?, path),
    }
}

/// The drive of a source; `None` for a recording.
///
/// # Errors
/// When the drive cannot be read.
pub fn drive_of(source: &Source) -> Result<Option<Drive>> {
    match source {
        Source::Drive(folder) => Ok(Some(Drive::open(folder)?)),
        Source::Recording(_) => Ok(None),
    }
}
