//! The CAN node's executable.

use auriga_can::{CanNode, Config, DEFAULTS, dbc::Database, mapping::Mapping, socket, source, source::Source};
use auriga_runtime::Shell;

const ABOUT: &str =
    "auriga-can: decodes the frames of the vehicle's bus, live or from a recording, to the vehicle state";

fn main() -> anyhow::Result<()> {
    let shell = Shell::<Config>::start(ABOUT, DEFAULTS)?;
    let config = shell.config().clone();
    let input = config.source()?;
    // A vehicle without a bus has no database: the other nodes work without this one.
    let node = match input {
        Source::None if !config.dbc.exists() => {
            CanNode::with(Database::empty(&config.dbc.display().to_string()), Mapping::empty())
        }
        _ => CanNode::new(&config)?,
    };
    let input = input.with_names(node.database());
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
