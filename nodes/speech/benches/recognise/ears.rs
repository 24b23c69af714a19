//! The speech node with a stopwatch: audio goes in as it would arrive, and what comes out is noted with the time at which
//! it would have come out on this machine.

use crate::sound::{RATE, chunk};
use auriga_msgs::{Any, node::SpeechInput, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use auriga_speech::{Config, SpeechNode, recognition::vosk as recogniser};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const PIECE: usize = RATE / 50;

pub struct Ears {
    node: SpeechNode,
    out: Outbox<SpeechNode>,
    /// Of the audio.
    time: Nanos,
    /// When the node is done with what it got, if it gets it as soon as it is there.
    done: Nanos,
    /// Final utterances and when they came out.
    pub finals: Vec<(Nanos, Arc<v1::Utterance>)>,
}

impl Ears {
    pub fn new(config: &Config) -> Self {
        let node = SpeechNode::new(config, recogniser::open(config)).expect("a node");
        let time = Nanos::ZERO;
        let mut ears = Self { node, out: Outbox::default(), time, done: time, finals: Vec::new() };
        ears.node.on_tick(Nanos::ZERO, &mut ears.out);
        for any in ears.out.take_messages() {
            if let Any::Fault(fault) = any {
                println!("  {}: {}", fault.code, fault.text);
            }
        }
        ears
    }

    /// How often the wake phrase was heard.
    pub fn wakes(&self) -> u64 {
        self.node.wakes()
    }

    pub fn now(&self) -> Nanos {
        self.time
    }

    pub fn hear(&mut self, samples: &[i16]) {
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
