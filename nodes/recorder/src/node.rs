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
    /// The shell keeps the image in memory.
    Hold(Any),
    /// The shell adds the images that it keeps to the recording.
    Release,
}

/// The recorder's state machine.
pub struct RecorderNode {
    lease: Lease,
    record_private: bool,
    images_without_grant: bool,
    holds_images: bool,
    /// The shell keeps images.
    holding: bool,
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
            holds_images: config.held_images_mib > 0,
            holding: false,
        })
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
        let spec = any.topic().spec();
        if spec.private && !self.record_private {
            return;
        }
        let images = self.records_images(now);
        if spec.record == Record::Jpeg && !images {
            if self.holds_images {
                self.holding = true;
                out.effect(Effect::Hold(any));
            }
            return;
        }
        out.effect(Effect::Write(any));
        if images && std::mem::take(&mut self.holding) {
            out.effect(Effect::Release);
        }
    }

    fn on_tick(&mut self, _now: Nanos, _out: &mut Outbox<Self>) {}
}
