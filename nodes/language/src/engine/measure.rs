//! The clocks of the executable, and the cost of a layer on this machine. The state machine gets the measured numbers and
//! reads no clock.

use super::interface::{Class, Engine, EngineError, ModelInput, Progress};
use auriga_lm::intent::{classifier::context::Context, output::IntentOutput};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// A reading of the monotonic clock and of the processor time of the calling thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// `CLOCK_MONOTONIC`.
    pub monotonic: Duration,
    /// `CLOCK_THREAD_CPUTIME_ID`.
    pub cpu: Duration,
}

/// A function that reads the clocks.
pub type Stopwatch = fn() -> ClockReading;

/// Reads the clocks of this machine. The model runs on the calling thread (libtorch is limited to one thread).
pub fn stopwatch() -> ClockReading {
    let of = |clock| {
        let t = clock_gettime(clock);
        Duration::new(t.tv_sec.unsigned_abs(), t.tv_nsec as u32)
    };
    ClockReading { monotonic: of(ClockId::Monotonic), cpu: of(ClockId::ThreadCPUTime) }
}

/// How often the same request is run.
const ROUNDS: usize = 6;

/// The cost of the slowest layer when nothing else uses the processor. Runs a request and its reply layer by layer,
/// several times. Each round computes the same, so the shortest time of each slice counts: anything above it was due to
/// cold caches or other programs.
///
/// # Errors
/// When the model fails at the request.
pub fn layer_cost(engine: &mut dyn Engine) -> Result<Duration, EngineError> {
    let input = ModelInput { text: "how far can we still go".into(), context: Context::default() };
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..ROUNDS {
        let mut slice = 0;
        engine.begin_intent(&input)?;
        run(engine, Class::Intent, &mut times, &mut slice)?;
        if engine.can_reply() {
            engine.begin_reply(&input, &IntentOutput::new("range_query", &[]), 4)?;
            run(engine, Class::Dialogue, &mut times, &mut slice)?;
        }
    }
    engine.abandon(Class::Intent);
    engine.abandon(Class::Dialogue);
    Ok(times.into_iter().max().unwrap_or_default())
}

/// Runs until the work of a class has ended; `slice` continues to count from one class to the next.
fn run(engine: &mut dyn Engine, class: Class, times: &mut Vec<Duration>, slice: &mut usize) -> Result<(), EngineError> {
    loop {
        let begin = stopwatch();
        let progress = engine.advance(class, 1)?;
        let time = stopwatch().monotonic.saturating_sub(begin.monotonic);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_advance_while_the_thread_works() {
        let begin = stopwatch();
        let mut x = 1u64;
        while stopwatch().cpu < begin.cpu + Duration::from_millis(2) {
            x = std::hint::black_box(x.wrapping_mul(6364136223846793005));
        }
        assert!(stopwatch().monotonic >= begin.monotonic + Duration::from_millis(2) && x != 0);
    }
}
