//! The fusion node's executable.

use auriga_fusion::{Config, DEFAULTS, FusionNode};
use auriga_runtime::Shell;

const ABOUT: &str = "auriga-fusion: one scene and the hazards, from camera, CAN and speech";

fn main() -> anyhow::Result<()> {
    let shell = Shell::<Config>::start(ABOUT, DEFAULTS)?;
    let node = FusionNode::new(shell.config().clone())?;
    shell.run(node, |_devices| Ok(()), |()| {})
}
