//! The perception node's executable.

use auriga_perception::{Config, DEFAULTS, PerceptionNode};
use auriga_runtime::Shell;

const ABOUT: &str = "auriga-perception: the lane's lines from camera frames, in metres";

fn main() -> anyhow::Result<()> {
    let shell = Shell::<Config>::start(ABOUT, DEFAULTS)?;
    let node = PerceptionNode::new(shell.config())?;
    shell.run(node, |_devices| Ok(()), |()| {})
}
