//! Time, for the executable: what slices take on this machine. The state machine gets the figures and reads no clock.

use crate::{
    Config,
    engine::interface::{Class, Engine, EngineError, ModelInput, Progress},
};
use auriga_lm::intent::{classifier::context::Context, output::IntentOutput};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The monotonic clock, and the processor time of the calling thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    pub wall: Duration,
    pub cpu: Duration,
}

/// How the time is read.
pub type Stopwatch = fn() -> Reading;

/// Of this machine. The model runs on the thread that calls it (one thread of libtorch).
pub fn stopwatch() -> Reading {
    let of = |clock| {
        let t = clock_gettime(clock);
        Duration::new(t.tv_sec.unsigned_abs(), t.tv_nsec as u32)
    };
    Reading { wall: of(ClockId::Monotonic), cpu: of(ClockId::ThreadCPUTime) }
}

/// Times the same request is run.
const ROUNDS: usize = 6;

/// What the slowest layer takes when nothing else has the processor. Runs a request and its reply layer by layer, several
/// times. Each time the same is computed, so of each slice the shortest time counts: what is beyond it was cold caches or
/// other programs.
pub fn layer_cost(engine: &mut dyn Engine) -> Result<Duration, EngineError> {
    let ask = ModelInput { text: "how far can we still go".into(), context: Context::default() };
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..ROUNDS {
        let mut slice = 0;
        engine.begin_intent(&ask)?;
        run(engine, Class::Intent, &mut times, &mut slice)?;
        if engine.can_reply() {
            engine.begin_reply(&ask, &IntentOutput::new("range_query", &[]), 4)?;
            run(engine, Class::Dialogue, &mut times, &mut slice)?;
        }
    }
    engine.abandon(Class::Intent);
    engine.abandon(Class::Dialogue);
    Ok(times.into_iter().max().unwrap_or_default())
}

/// Until the work of a class is over; `slice` counts on from one class to the next.
fn run(engine: &mut dyn Engine, class: Class, times: &mut Vec<Duration>, slice: &mut usize) -> Result<(), EngineError> {
    loop {
        let begin = stopwatch();
        let progress = engine.advance(class, 1)?;
        let time = stopwatch().wall.saturating_sub(begin.wall);
        match times.get_mut(*slice) {
            Some(shortest) => *shortest = time.min(*shortest),
            None => times.push(time),
        }
        *slice += 1;
        if !matches!(progress, Progress::Working | Progress::Text(_)) {
            return Ok(());
        }
    }
}

impl Config {
    /// As many layers to a slice as fit into `slice_ms` when one takes this long: where it begins, before
    /// [`crate::engine::slice_size`] knows better.
    pub fn for_cost(&self, layer: Duration) -> Config {
        let layers = (self.slice().as_nanos() / layer.as_nanos().max(1)).clamp(1, 1024) as usize;
        Config { layers_per_slice: layers, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_keeps_to_its_length_at_the_cost_of_a_slow_layer() {
        let config: Config = toml::from_str(crate::DEFAULTS).unwrap();
        let layers = |us| config.for_cost(Duration::from_micros(us)).layers_per_slice;
        assert_eq!([layers(250), layers(9000), layers(0)], [8, 1, 1024]);
    }

    #[test]
    fn the_stopwatch_goes_forward_and_work_takes_processor_time() {
        let begin = stopwatch();
        let mut x = 1u64;
        while stopwatch().cpu < begin.cpu + Duration::from_millis(2) {
            x = std::hint::black_box(x.wrapping_mul(6364136223846793005));
        }
        assert!(stopwatch().wall >= begin.wall + Duration::from_millis(2) && x != 0);
    }
}
