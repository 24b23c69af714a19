//! The recorder: every topic of the table to MCAP ([`mcap_file`]), as far as the arbiter's grant and the privacy of a
//! topic allow. The state machine here decides what is recorded; a thread of the shell ([`file`]) writes it, fed
//! through a queue ([`queue`]) that gives up images before anything else.

use anyhow::ensure;
use auriga_msgs::{Any, Record, node, node::RecorderInput};
use auriga_runtime::{Lease, Nanos, Node, Outbox};
use serde::Deserialize;
use std::path::PathBuf;

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// The workload whose grant the recorder obeys, and its level (`launch/workloads.toml`) from which images are recorded.
const WORKLOAD: &str = "recording";
const LEVEL_WITH_IMAGES: u32 = 1;

/// `config.toml` documents the fields.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub path: PathBuf,
    pub overwrite: bool,
    pub max_file_mib: u64,
    pub sync: bool,
    pub jpeg_quality: u8,
    pub record_private: bool,
    pub images_without_grant: bool,
    pub queue_messages: usize,
    pub queue_images: usize,
}

/// What the recorder asks of its shell.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Add the message to the recording.
    Write(Any),
}

/// The state machine.
pub struct RecorderNode {
    lease: Lease,
    record_private: bool,
    images_without_grant: bool,
}

impl RecorderNode {
    /// Checks the configuration; errors name the field.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        ensure!(!config.path.as_os_str().is_empty(), "path = \"\": expected the file to record to");
        ensure!((1..=100).contains(&config.jpeg_quality), "jpeg_quality = {}: expected 1 to 100", config.jpeg_quality);
        for (field, value) in [("queue_messages", config.queue_messages), ("queue_images", config.queue_images)] {
            ensure!((1..=1_000_000).contains(&value), "{field} = {value}: expected 1 to 1000000");
        }
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
