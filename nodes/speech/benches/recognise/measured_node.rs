//! The speech node with a stopwatch: audio is given as it would arrive, and each result is noted with the time at which
//! this machine would have published it.

use crate::sound::{RATE, chunk};
use auriga_msgs::{Any, node::SpeechInput, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use auriga_speech::{Config, SpeechNode, recognition};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const PIECE: usize = RATE / 50;

/// A node, its results and the times of both.
pub struct MeasuredNode {
    node: SpeechNode,
    out: Outbox<SpeechNode>,
    /// Position of the audio.
    time: Nanos,
    /// When the node has processed the audio so far, if it gets each chunk at its time.
    done: Nanos,
    /// Final utterances and the times at which they were published.
    pub finals: Vec<(Nanos, Arc<v1::Utterance>)>,
}

impl MeasuredNode {
    pub fn new(config: &Config) -> Self {
        let node = SpeechNode::new(config, recognition::open(config)).expect("a node");
        let time = Nanos::ZERO;
        let mut measured = Self { node, out: Outbox::default(), time, done: time, finals: Vec::new() };
        measured.node.on_tick(Nanos::ZERO, &mut measured.out);
        for any in measured.out.take_messages() {
            if let Any::Fault(fault) = any {
                println!("  {}: {}", fault.code, fault.text);
            }
        }
        measured
    }

    /// How often the wake phrase was detected.
    pub fn wakes(&self) -> u64 {
        self.node.wakes()
    }

    /// Position of the audio.
    pub fn now(&self) -> Nanos {
        self.time
    }

    pub fn play(&mut self, samples: &[i16]) {
        for part in samples.chunks(PIECE) {
            let stamp = self.time;
            self.time = stamp + Duration::from_nanos(part.len() as u64 * 62_500);
            let input = SpeechInput::DeviceAudio(Arc::new(chunk(stamp, part)));
            let began = Instant::now();
            self.node.on_input(input, self.time, &mut self.out);
            let took = began.elapsed();
            self.done = self.done.max(self.time) + took;
            for any in self.out.take_messages() {
                if let Any::SpeechUtterance(u) = any
                    && u.r#final
                {
                    self.finals.push((self.done, u));
                }
            }
            self.out.take_effects();
        }
    }
}
