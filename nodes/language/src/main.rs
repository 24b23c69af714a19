//! The language node's executable.

use auriga_language::{
    Config, DEFAULTS, Effect, LanguageNode,
    engine::{measure, models},
    habits::store::Store,
};
use auriga_lm::intent::catalogue::Catalogue;
use auriga_msgs::v1::Severity;
use auriga_runtime::Shell;
use std::sync::mpsc;

const ABOUT: &str = "auriga-language: what the driver says becomes an intent and is answered";

fn main() -> anyhow::Result<()> {
    let shell = Shell::<Config>::start(ABOUT, DEFAULTS)?;
    let mut config = shell.config().clone();
    let stopwatch = config.measure_slices.then_some(measure::stopwatch as measure::Stopwatch);
    let mut model = models::open(&config, &Catalogue::load(&config.catalogue)?, stopwatch);
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
    let mut node = LanguageNode::with_model(&config, model)?;
    // A state folder that cannot be used costs the memory of habits and nothing else.
    let mut problem = None;
    let mut keep = None;
    if !config.state.as_os_str().is_empty() {
        match Store::open(&config.state, config.state_entries) {
            Ok((store, damaged)) => {
                node = node.with_history(store.entries());
                problem = damaged.map(|d| format!("{}; the log is kept as {}", d.what, d.kept_as.display()));
                keep = Some(store.keep(|e| tracing::error!("habits are not written down: {e}"))?);
            }
            Err(e) => problem = Some(format!("{e}; habits are not written down")),
        }
    }
    let (sender, thread): (Option<mpsc::Sender<_>>, _) = keep.unzip();
    let devices = move |devices: auriga_runtime::DeviceSink<_>| {
        if let Some(text) = problem {
            devices.fault(Severity::Warning, "habits-state", "state", text);
        }
        Ok(())
    };
    shell.run(node, devices, move |Effect::Keep(entry)| {
        if let Some(sender) = &sender {
            // Its thread ends with this sender only.
            let _ = sender.send(entry);
        }
    })?;
    thread.map_or(Ok(()), |thread| thread.join().map_err(|_| anyhow::anyhow!("the habits' thread failed")))
}
