//! The monitor node's executable.

use auriga_monitor::{Config, DEFAULTS, Effect, MonitorNode};
use auriga_runtime::{Nanos, Shell};

const ABOUT: &str =
    "auriga-monitor: which drive this is, its ground truth, its latencies and losses, and when it is over";

fn main() -> anyhow::Result<()> {
    let shell = Shell::<Config>::start(ABOUT, DEFAULTS)?;
    let start_at = Some(shell.runtime().start_at).filter(|&at| at != 0).map(Nanos);
    let node = MonitorNode::new(shell.config(), start_at)?;
    // Only here does the wall clock become an input of the nodes: the time of day that is shown and spoken follows from
    // drive/info. (can, recorder and ros-bridge read it too, to convert stamps.)
    let (wall, now) = (jiff::ZonedDateTime::now(), Nanos::monotonic());
    let ahead = start_at.map_or(0, |start| start.0 as i64 - now.0 as i64);
    let unix_ns = i64::try_from(wall.timestamp().as_nanosecond())?;
    let node = node.starting_at(unix_ns.saturating_add(ahead), wall.offset().seconds());
    shell.run(node, |_devices| Ok(()), |Effect::End| end())
}

/// As if somebody had asked this process to stop: the shell closes its links in order.
fn end() {
    tracing::info!("the drive is over");
    if let Err(e) = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM) {
        tracing::error!("this process cannot end itself: {e}");
    }
}
