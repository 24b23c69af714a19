//! The monitor node's executable.

use auriga_monitor::{Config, DEFAULTS, Effect, MonitorNode};
use auriga_runtime::{Nanos, Shell};

const ABOUT: &str = "auriga-monitor: what a drive tells of itself: name, truth, latencies, losses, and when it is over";

fn main() -> anyhow::Result<()> {
    let shell = Shell::<Config>::start(ABOUT, DEFAULTS)?;
    let start_at = Some(shell.runtime().start_at).filter(|&at| at != 0).map(Nanos);
    let node = MonitorNode::new(shell.config(), start_at)?;
    shell.run(node, |_devices| Ok(()), |Effect::End| end())
}

/// As if somebody had asked this process to stop: the shell closes its links in order.
fn end() {
    tracing::info!("the drive is over");
    if let Err(e) = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM) {
        tracing::error!("this process cannot end itself: {e}");
    }
}
