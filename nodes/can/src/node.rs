//! The state machine.

use crate::{
    config::Config,
    dbc::Database,
    mapping::Mapping,
    state::{
        reordering::{Freshness, ReorderingFilter},
        signal_values::SignalValues,
    },
};
use auriga_msgs::{TopicId, node, topic, v1};
use auriga_runtime::{Nanos, Node, Outbox, plausibility::stamp_ahead};
use socketcan::CanErrorFrame;
use std::{sync::Arc, time::Duration};
use v1::Severity;

/// The subject of faults about the bus as a whole.
const SUBJECT: &str = "device/can";

/// Error classes of the kernel (linux/can/error.h) about the controller's connection to the bus.
const BUS_OFF: u32 = 0x40;
const RESTARTED: u32 = 0x100;
/// Bytes of an error frame.
const ERROR_LENGTH: usize = 8;

/// Frames since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All frames.
    pub total: u64,
    /// The identifier is not in the database.
    pub unknown: u64,
    /// Not the message's length.
    pub wrong_length: u64,
    /// Error frames.
    pub error: u64,
    /// Remote frames: requests without data.
    pub remote: u64,
    /// The last frame of its message again.
    pub duplicate: u64,
    /// Older than the last frame of its message.
    pub out_of_order: u64,
}

/// The CAN node's state machine.
pub struct CanNode {
    database: Database,
    mapping: Mapping,
    counts: Counts,
    reordering: ReorderingFilter,
    values: SignalValues,
    states: u64,
    batches: u64,
    bus_off: bool,
    started: bool,
}

impl CanNode {
    /// Loads the database and the mapping that the configuration names.
    ///
    /// # Errors
    /// When one of the files cannot be read or is not valid, naming the file and the line.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let database = Database::load(&config.dbc)?;
        let mapping = Mapping::load(&config.mapping, &database)?;
        Ok(Self::with(database, mapping))
    }

    /// With a database and a mapping compiled for it.
    pub fn with(database: Database, mapping: Mapping) -> Self {
        Self {
            counts: Counts::default(),
            reordering: ReorderingFilter::new(database.messages().len()),
            values: SignalValues::new(&mapping),
            states: 0,
            batches: 0,
            bus_off: false,
            started: false,
            database,
            mapping,
        }
    }

    /// The database in use.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Frames since the start.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn on_frames(&mut self, batch: Arc<v1::CanFrames>, now: Nanos, out: &mut Outbox<Self>) {
        let mut newest = None;
        for frame in &batch.frames {
            newest = newest.max(self.on_frame(frame, now, out));
        }
        // After the frames: a value that is already too old is not published.
        self.expire(now, out);
        if let Some(stamp) = newest {
            self.publish_state(stamp, out);
        }
        self.publish_frames(batch, out);
        self.schedule_expiry(out);
    }

    /// Processes one frame; returns its stamp when it updated a value.
    fn on_frame(&mut self, frame: &v1::CanFrame, now: Nanos, out: &mut Outbox<Self>) -> Option<Nanos> {
        self.counts.total += 1;
        if frame.error {
            self.on_error(frame, now, out);
            return None;
        }
        if frame.remote {
            self.counts.remote += 1;
            return None;
        }
        self.end_bus_off(frame, now, out);
        let Some(index) = self.database.index(frame.id, frame.extended) else {
            self.counts.unknown += 1;
            return None;
        };
        let message = &self.database.messages()[index];
        let Ok(bits) = message.bits(&frame.data) else {
            self.wrong_length(index, frame, now, out);
            return None;
        };
        if self.mapping.messages()[index].is_empty() {
            return None;
        }
        let stamp = plausible_stamp(Nanos(frame.stamp_ns), now, out);
        match self.reordering.check(index, stamp, &frame.data) {
            Freshness::Newest => {
                if self.values.update(&self.mapping, index, message, &bits, stamp, now) {
                    out.clear_fault(now, "can-signal-timeout", message.name());
                }
                Some(stamp)
            }
            Freshness::Duplicate => {
                self.counts.duplicate += 1;
                None
            }
            Freshness::Old => {
                self.counts.out_of_order += 1;
                let text = "a frame came after a newer one of its message; it is recorded but not used";
                out.fault(now, Severity::Info, "can-frame-out-of-order", message.name(), text);
                None
            }
        }
    }

    fn wrong_length(&mut self, index: usize, frame: &v1::CanFrame, now: Nanos, out: &mut Outbox<Self>) {
        self.counts.wrong_length += 1;
        let message = &self.database.messages()[index];
        let text = format!(
            "frame {:#x}: expected {} bytes, found {}; it is not decoded, check that {} is this bus's",
            frame.id,
            message.length(),
            frame.data.len(),
            self.database.name()
        );
        out.fault(now, Severity::Warning, "can-wrong-length", message.name(), text);
    }

    fn on_error(&mut self, frame: &v1::CanFrame, now: Nanos, out: &mut Outbox<Self>) {
        self.counts.error += 1;
        let bus = if frame.bus.is_empty() { SUBJECT } else { &frame.bus };
        let text = describe(frame);
        if frame.id & BUS_OFF != 0 {
            self.bus_off = true;
            let text =
                format!("{text}: the controller left the bus and receives nothing until it restarts; check the wiring");
            out.standing_fault(now, Severity::Critical, "can-bus-off", bus, text);
        } else if frame.id & RESTARTED != 0 {
            self.end_bus_off(frame, now, out);
        } else {
            out.fault(now, Severity::Warning, "can-error-frame", bus, text);
        }
    }

    /// A frame or the report of a restart ends a bus-off.
    fn end_bus_off(&mut self, frame: &v1::CanFrame, now: Nanos, out: &mut Outbox<Self>) {
        if std::mem::take(&mut self.bus_off) {
            let bus = if frame.bus.is_empty() { SUBJECT } else { &frame.bus };
            out.clear_fault(now, "can-bus-off", bus);
        }
    }

    /// Removes the values that are too old.
    fn expire(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let (messages, signals) = (self.database.messages(), self.mapping.signals());
        self.values.expire(&self.mapping, now, |message, signal| {
            let (message, mapped) = (&messages[message], &signals[signal]);
            let text = format!(
                "frame {:#x} with {} has not come for {} ms: its values are removed until it comes again",
                message.id(),
                message.signals()[mapped.signal].name(),
                mapped.timeout.as_millis()
            );
            out.standing_fault(now, Severity::Warning, "can-signal-timeout", message.name(), text);
        });
    }

    fn publish_state(&mut self, stamp: Nanos, out: &mut Outbox<Self>) {
        let trace = v1::Header::trace(TopicId::VehicleState, self.states);
        self.states += 1;
        let mut state = v1::VehicleState {
            header: Some(v1::Header::new(stamp.0, trace)),
            frames_total: self.counts.total,
            frames_unknown: self.counts.unknown,
            frames_wrong_length: self.counts.wrong_length,
            frames_error: self.counts.error,
            ..Default::default()
        };
        self.values.fill(&self.mapping, &mut state);
        out.publish::<topic::VehicleState>(state);
    }

    /// Publishes all frames as they came.
    fn publish_frames(&mut self, batch: Arc<v1::CanFrames>, out: &mut Outbox<Self>) {
        let Some(newest) = batch.frames.iter().map(|f| f.stamp_ns).max() else { return };
        // Live the node is the only owner, so nothing is copied.
        let mut batch = Arc::unwrap_or_clone(batch);
        batch.header = Some(v1::Header::new(newest, v1::Header::trace(TopicId::CanFrames, self.batches)));
        self.batches += 1;
        out.publish::<topic::CanFrames>(batch);
    }

    /// Asks for a tick right after the next value expires.
    fn schedule_expiry(&self, out: &mut Outbox<Self>) {
        if let Some(at) = self.values.next_expiry() {
            out.tick_at(at + Duration::from_nanos(1));
        }
    }
}

/// The frame's stamp, or the time of its arrival when the stamp is ahead of the clock.
fn plausible_stamp(stamp: Nanos, now: Nanos, out: &mut Outbox<CanNode>) -> Nanos {
    let Some(ahead) = stamp_ahead(stamp, now) else { return stamp };
    let ahead = ahead.as_millis();
    let text = format!("a frame's stamp is {ahead} ms ahead of the clock; the time of its arrival is used instead");
    out.fault(now, Severity::Warning, "can-stamp-ahead", SUBJECT, text);
    now
}

/// The error frame as text.
fn describe(frame: &v1::CanFrame) -> String {
    let mut data = [0; ERROR_LENGTH];
    data.iter_mut().zip(&frame.data).for_each(|(to, from)| *to = *from);
    match CanErrorFrame::new_error(frame.id, &data) {
        Ok(error) => error.into_error().to_string(),
        Err(_) => format!("error of class {:#x}", frame.id),
    }
}

impl Node for CanNode {
    type Name = node::Can;
    type Effect = ();

    fn on_input(&mut self, input: node::CanInput, now: Nanos, out: &mut Outbox<Self>) {
        match input {
            node::CanInput::DeviceCan(batch) => self.on_frames(batch, now, out),
        }
    }

    fn on_tick(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        if !std::mem::replace(&mut self.started, true) {
            for warning in self.database.warnings() {
                out.standing_fault(now, Severity::Info, "can-database-warning", self.database.name(), warning.clone());
            }
        }
        self.expire(now, out);
        self.schedule_expiry(out);
    }
}
