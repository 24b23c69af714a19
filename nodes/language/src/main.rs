//! The executable of the language node.

use auriga_language::{
    Config, DEFAULTS, Effect, LanguageNode,
    engine::{interface::Model, measure, models},
    habits::{store::Store, usage_history::UsageEntry},
};
use auriga_lm::intent::catalogue::Catalogue;
use auriga_msgs::v1::Severity;
use auriga_runtime::Shell;
use std::{sync::mpsc::Sender, thread::JoinHandle};

const ABOUT: &str = "auriga-language: recognises what the driver wants and answers";

fn main() -> anyhow::Result<()> {
    let shell = Shell::<Config>::start(ABOUT, DEFAULTS)?;
    let (config, model) = open_model(shell.config().clone())?;
    let mut node = LanguageNode::with_model(&config, model)?;
    let history = open_history(&config, &mut node)?;
    let (problem, (sender, thread)) = (history.problem, history.writer.unzip());
    let devices = move |devices: auriga_runtime::DeviceSink<_>| {
        if let Some(text) = problem {
            devices.standing_fault(Severity::Warning, "habits-state", "state", text);
        }
        Ok(())
    };
    shell.run(node, devices, move |Effect::Store(entry)| {
        if let Some(sender) = &sender {
            // The writer thread ends only with this sender.
            let _ = sender.send(entry);
        }
    })?;
    thread.map_or(Ok(()), |thread| thread.join().map_err(|_| anyhow::anyhow!("the thread of the usage history failed")))
}

/// Loads the model. If slices are to be measured, measures a layer and sets the layers per slice.
fn open_model(config: Config) -> anyhow::Result<(Config, Model)> {
    let stopwatch = config.measure_slices.then_some(measure::stopwatch as measure::Stopwatch);
    let mut model = models::open(&config, &Catalogue::load(&config.catalogue)?, stopwatch);
    let Ok(engine) = &mut model else { return Ok((config, model)) };
    if !config.measure_slices {
        return Ok((config, model));
    }
    match measure::layer_cost(engine.as_mut()) {
        Ok(cost) => {
            let config = config.with_layer_cost(cost);
            tracing::info!(layers = config.layers_per_slice, slice_ms = config.slice_ms, "slices measured");
            Ok((config, model))
        }
        Err(e) => Ok((config, Err(format!("the model failed when it was measured: {e}")))),
    }
}

/// The usage history on disk. Without it the node works, but forgets the habits of the driver when it ends.
#[derive(Default)]
struct History {
    writer: Option<(Sender<UsageEntry>, JoinHandle<()>)>,
    problem: Option<String>,
}

fn open_history(config: &Config, node: &mut LanguageNode) -> anyhow::Result<History> {
    if config.state.as_os_str().is_empty() {
        return Ok(History::default());
    }
    match Store::open(&config.state, config.state_entries) {
        Ok((store, damaged)) => {
            node.learn(store.entries());
            let problem = damaged.map(|d| format!("{}; the file was renamed to {}", d.reason, d.kept_as.display()));
            let writer = store.spawn_writer(|e| tracing::error!("the usage history is not stored: {e}"))?;
            Ok(History { writer: Some(writer), problem })
        }
        Err(e) => Ok(History { writer: None, problem: Some(format!("{e}; the usage history is not stored")) }),
    }
}
