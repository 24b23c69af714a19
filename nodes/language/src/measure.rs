//! How long a layer takes on this machine: for the executable, which then chooses how many make a slice.

use crate::{
    Config,
    engine::{Ask, Class, Engine, EngineError, Progress},
};
use auriga_lm::prompt::SceneFacts;
use std::time::{Duration, Instant};

/// Times the same request is run.
const ROUNDS: usize = 6;

/// What slices of one layer take when nothing else has the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerCost {
    /// One in ten is shorter.
    pub short: Duration,
    /// None is longer: a layer of the longest run of tokens that is read at once.
    pub long: Duration,
}

/// Runs a request layer by layer, several times. Each time the same is computed, so of each slice the shortest time
/// counts: what is beyond it was cold caches or other programs.
pub fn layer_cost(engine: &mut dyn Engine) -> Result<LayerCost, EngineError> {
    let ask = Ask { text: "how far can we still go".into(), facts: SceneFacts::default() };
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..ROUNDS {
        engine.begin_intent(&ask)?;
        for slice in 0.. {
            let begin = Instant::now();
            let progress = engine.advance(Class::Intent, 1)?;
            let time = begin.elapsed();
            match times.get_mut(slice) {
                Some(shortest) => *shortest = time.min(*shortest),
                None => times.push(time),
            }
            if progress != Progress::Working {
                break;
            }
        }
    }
    engine.abandon(Class::Intent);
    times.sort();
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    Ok(LayerCost { short: at(times.len() / 10), long: at(times.len().saturating_sub(1)) })
}

impl Config {
    /// As many layers to a slice as fit into `slice_ms` at this cost. The nominal length becomes the short one, so that
    /// no time is lost waiting; slices that take longer are paid for when the next one comes late.
    pub fn for_cost(&self, cost: LayerCost) -> Config {
        let target = Duration::from_secs_f64(self.slice_ms / 1e3);
        let layers = (target.as_nanos() / cost.long.as_nanos().max(1)).clamp(1, 1024) as usize;
        let slice = cost.short.mul_f64(layers as f64).clamp(Duration::from_micros(50), target);
        Config { layers_per_slice: layers, slice_ms: slice.as_secs_f64() * 1e3, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_keeps_to_its_length_at_the_cost_of_a_slow_layer() {
        let config: Config = toml::from_str(crate::DEFAULTS).unwrap();
        let us = Duration::from_micros;
        let fast = config.for_cost(LayerCost { short: us(100), long: us(250) });
        assert_eq!((fast.layers_per_slice, fast.slice_ms), (8, 0.8));
        let slow = config.for_cost(LayerCost { short: us(4000), long: us(9000) });
        assert_eq!((slow.layers_per_slice, slow.slice_ms), (1, 2.0));
        assert_eq!(config.for_cost(LayerCost { short: us(0), long: us(0) }).layers_per_slice, 1024);
    }
}
