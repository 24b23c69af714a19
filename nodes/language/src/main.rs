//! The language node's executable.

use auriga_language::{Config, DEFAULTS, LanguageNode, measure, model};
use auriga_lm::catalogue::Catalogue;
use auriga_runtime::Shell;

const ABOUT: &str = "auriga-language: what the driver says becomes an intent and is answered";

fn main() -> anyhow::Result<()> {
    let shell = Shell::<Config>::start(ABOUT, DEFAULTS)?;
    let mut config = shell.config().clone();
    let mut model = model::open(&config.checkpoint, &Catalogue::load(&config.catalogue)?);
    if let Ok(engine) = &mut model
        && config.measure_slices
    {
        match measure::layer_cost(engine.as_mut()) {
            Ok(cost) => {
                config = config.for_cost(cost);
                tracing::info!(layers = config.layers_per_slice, slice_ms = config.slice_ms, "slices measured");
            }
            Err(e) => model = Err(format!("the model failed when it was measured: {e}")),
        }
    }
    let node = LanguageNode::with_model(&config, model)?;
    shell.run(node, |_devices| Ok(()), |()| {})
}
