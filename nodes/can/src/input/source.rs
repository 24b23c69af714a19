//! The device thread: reads frames from an interface or a log until the node stops.

use super::{log, socket::Bus};
use crate::dbc::Database;
use auriga_msgs::{node, topic, v1};
use auriga_runtime::{Backoff, DeviceSink, Nanos};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use v1::Severity;

/// Where frames come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Nothing is configured.
    None,
    /// A SocketCAN interface.
    Interface(String),
    /// A recording, and how it is read.
    Log(PathBuf, log::Options),
}

impl Source {
    /// With the names of a database's messages, for symbolic recordings.
    pub fn with_names(self, database: &Database) -> Self {
        match self {
            Source::Log(path, options) => Source::Log(path, options.with_names(database)),
            other => other,
        }
    }
}

/// Reads the source until the node stops. A log plays in real time from [`DeviceSink::start_at`]; an interface that is
/// lost is opened again with back-off.
pub fn pump(source: &Source, filters: Option<&[(u32, u32)]>, sink: &DeviceSink<node::Can>) {
    match source {
        Source::None => {
            let text = "no bus is configured: set `interface` to a SocketCAN interface or `log` to a recording";
            sink.standing_fault(Severity::Warning, "can-absent", "can", text);
        }
        Source::Log(path, options) => match play(path, options, sink) {
            Ok(()) => sink.end_of_input(),
            Err(e) => sink.standing_fault(Severity::Critical, "can-log", &path.display().to_string(), format!("{e:#}")),
        },
        Source::Interface(name) => receive(name, filters, sink),
    }
}

/// Frames of a log that are older than this are left out: the node was started in the middle of a drive, and by their
/// validity nothing of them counts any more.
const MAX_AGE: Duration = Duration::from_millis(500);

/// Between two hand-overs of frames at least, so that a burst on the bus does not activate every reader for each frame: the
/// distance_ms and delay_ms of can-frames in `launch/workloads.toml`, from which the arbiter analyses the chains. Half of the
/// budget of a frame's chain.
const HAND_OVER_DISTANCE: Duration = Duration::from_micros(500);

fn play(path: &Path, options: &log::Options, sink: &DeviceSink<node::Can>) -> anyhow::Result<()> {
    let mut frames = log::frames_with(path, sink.start_at(), options)?;
    let mut next = Nanos::ZERO;
    loop {
        let batch = frames.next();
        for notice in frames.take_notices() {
            sink.fault(Severity::Warning, "can-log-line", &notice.place, notice.text);
        }
        let Some(batch) = batch else { return Ok(()) };
        let (due, frames) = batch?;
        if Nanos::monotonic().since(due) > MAX_AGE {
            continue;
        }
        if !sink.sleep_until(due.max(next)) || !sink.send::<topic::DeviceCan>(frames) {
            return Ok(());
        }
        next = Nanos::monotonic() + HAND_OVER_DISTANCE;
    }
}

/// Between attempts to open a lost interface: short, since a bus that comes back by itself after a bus-off must be read
/// at once.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

fn receive(name: &str, filters: Option<&[(u32, u32)]>, sink: &DeviceSink<node::Can>) {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    while !sink.stopping() {
        let failure = match Bus::open(name, filters) {
            Ok(mut bus) => {
                tracing::info!(interface = name, "bus open");
                deliver(&mut bus, name, &mut backoff, sink)
            }
            Err(e) => Some(e),
        };
        let Some(error) = failure else { return };
        let wait = backoff.wait();
        let text = format!(
            "{error}; check that the interface exists and is up (ip link set {name} up); next attempt in {:.1} s",
            wait.as_secs_f64()
        );
        sink.standing_fault(Severity::Critical, "can-lost", name, text);
        sink.sleep_until(Nanos::monotonic() + wait);
    }
}

/// Sends frames to the node until the interface fails; `None` when the node stops.
fn deliver(bus: &mut Bus, name: &str, backoff: &mut Backoff, sink: &DeviceSink<node::Can>) -> Option<std::io::Error> {
    let (mut silent, mut next) = (true, Nanos::ZERO);
    // What comes before the next hand-over is read with it.
    while sink.sleep_until(next) {
        let frames = match bus.read() {
            Ok(frames) => frames,
            Err(e) => return Some(e),
        };
        let Some(newest) = frames.iter().map(|f| f.stamp_ns).max() else { continue };
        backoff.reset();
        if std::mem::take(&mut silent) {
            sink.clear_fault("can-lost", name);
        }
        let header = Some(v1::Header::new(newest, 0));
        if !sink.send::<topic::DeviceCan>(v1::CanFrames { header, frames }) {
            return None;
        }
        next = Nanos::monotonic() + HAND_OVER_DISTANCE;
    }
    None
}
