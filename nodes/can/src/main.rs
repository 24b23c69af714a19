//! The CAN node's executable.

use auriga_can::{CanNode, Config, DEFAULTS, socket, source};
use auriga_runtime::Shell;

const ABOUT: &str =
    "auriga-can: decodes the frames of the vehicle's bus, live or from a recording, to the vehicle state";

fn main() -> anyhow::Result<()> {
    let shell = Shell::<Config>::start(ABOUT, DEFAULTS)?;
    let config = shell.config().clone();
    let input = config.source()?;
    let node = CanNode::new(&config)?;
    let filters = if config.filter { socket::filters(node.database()) } else { None };
    shell.run(
        node,
        |devices| {
            std::thread::Builder::new()
                .name("can-source".into())
                .spawn(move || source::pump(&input, filters.as_deref(), &devices))?;
            Ok(())
        },
        |()| {},
    )
}
