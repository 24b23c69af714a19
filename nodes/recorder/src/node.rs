//! The state machine.

use crate::config::Config;
use auriga_msgs::{Any, Record, node, node::RecorderInput};
use auriga_runtime::{Lease, Nanos, Node, Outbox};

/// The workload whose grant decides whether images are recorded.
const WORKLOAD: &str = "recording";
/// Its least level (`launch/workloads.toml`) with images.
const LEVEL_WITH_IMAGES: u32 = 1;

/// The effect of the recorder.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// The shell adds the message to the recording.
    Write(Any),
}

/// The recorder's state machine.
pub struct RecorderNode {
    lease: Lease,
    record_private: bool,
    images_without_grant: bool,
}

impl RecorderNode {
    /// The state machine before its first input.
    ///
    /// # Errors
    /// When the configuration is not valid, naming the field.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        config.check()?;
        Ok(Self {
            lease: Lease::new(WORKLOAD),
            record_private: config.record_private,
            images_without_grant: config.images_without_grant,
        })
    }

    fn records(&self, any: &Any, now: Nanos) -> bool {
        let spec = any.topic().spec();
        (!spec.private || self.record_private) && (spec.record != Record::Jpeg || self.records_images(now))
    }

    fn records_images(&self, now: Nanos) -> bool {
        match self.lease.end() {
            None => self.images_without_grant,
            Some(_) => self.lease.current(now).is_some_and(|g| g.run && g.level >= LEVEL_WITH_IMAGES),
        }
    }
}

impl Node for RecorderNode {
    type Name = node::Recorder;
    type Effect = Effect;

    fn on_input(&mut self, input: RecorderInput, now: Nanos, out: &mut Outbox<Self>) {
        if let RecorderInput::ArbiterGrants(grants) = &input {
            self.lease.update(grants);
        }
        let any = Any::from(input);
        if self.records(&any, now) {
            out.effect(Effect::Write(any));
        }
    }

    fn on_tick(&mut self, _now: Nanos, _out: &mut Outbox<Self>) {}
}
