//! The state machine.

use crate::{
    Config,
    dbc::Database,
    mapping::Mapping,
    state::values::{News, Order, Values},
};
use auriga_msgs::{TopicId, node, topic, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use socketcan::CanErrorFrame;
use std::{sync::Arc, time::Duration};
use v1::Severity;

/// A stamp may lie this far ahead of the node's clock (rounding between clock reads) before it is taken to be wrong.
const STAMP_AHEAD: Duration = Duration::from_millis(50);

/// The subject of faults about the bus as a whole.
const SUBJECT: &str = "device/can";

/// Error classes of the kernel (linux/can/error.h) that change what the bus is worth.
const BUS_OFF: u32 = 0x40;
const RESTARTED: u32 = 0x100;
/// Bytes of an error frame.
const ERROR_LENGTH: usize = 8;

/// Frames since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub total: u64,
    /// Identifier not in the database.
    pub unknown: u64,
    pub wrong_length: u64,
    pub error: u64,
    /// Requests for data: nobody's values.
    pub remote: u64,
    pub duplicate: u64,
    pub out_of_order: u64,
}

/// The state machine.
pub struct CanNode {
    database: Database,
    mapping: Mapping,
    counts: Counts,
    order: Order,
    values: Values,
    states: u64,
    batches: u64,
    bus_off: bool,
    started: bool,
}

impl CanNode {
    /// Loads the database and the mapping that the configuration names.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let database = Database::load(&config.dbc)?;
        let mapping = Mapping::load(&config.mapping, &database)?;
        Ok(Self::with(database, mapping))
    }

    /// With a database and a mapping that was made for it.
    pub fn with(database: Database, mapping: Mapping) -> Self {
        Self {
            counts: Counts::default(),
            order: Order::new(database.messages().len()),
            values: Values::new(&mapping),
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
        // After the frames: one that came too late to be told is not told.
        self.expire(now, out);
        if let Some(stamp) = newest {
            self.publish_state(stamp, out);
        }
        self.publish_frames(batch, out);
        self.arm(out);
    }

    /// Takes in one frame; returns its stamp when it told something.
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
        self.bus_works(frame, now, out);
        let Some(index) = self.database.index(frame.id, frame.extended) else {
            self.counts.unknown += 1;
            return None;
        };
        let message = &self.database.messages()[index];
        let Ok(bits) = message.bits(&frame.data) else {
            self.wrong_length(index, frame, now, out);
            return None;
        };
        if self.mapping.plans()[index].is_empty() {
            return None;
        }
        let stamp = sane_stamp(Nanos(frame.stamp_ns), now, out);
        match self.order.judge(index, stamp, &frame.data) {
            News::Newest => {
                self.values.take(&self.mapping, index, message, &bits, stamp);
                Some(stamp)
            }
            News::Duplicate => {
                self.counts.duplicate += 1;
                None
            }
            News::Old => {
                self.counts.out_of_order += 1;
                let text = "a frame came after a newer one of its message; it is recorded, not used";
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
                format!("{text}: the controller left the bus and hears nothing until it restarts; check the wiring");
            out.fault(now, Severity::Critical, "can-bus-off", bus, text);
        } else if frame.id & RESTARTED != 0 {
            self.bus_works(frame, now, out);
        } else {
            out.fault(now, Severity::Warning, "can-error-frame", bus, text);
        }
    }

    /// A frame, or word of a restart: after a bus-off it is news.
    fn bus_works(&mut self, frame: &v1::CanFrame, now: Nanos, out: &mut Outbox<Self>) {
        if std::mem::take(&mut self.bus_off) {
            let bus = if frame.bus.is_empty() { SUBJECT } else { &frame.bus };
            out.fault(now, Severity::Info, "can-bus-on", bus, "the controller is on the bus again");
        }
    }

    /// Takes out what is too old.
    fn expire(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let (messages, uses) = (self.database.messages(), self.mapping.uses());
        self.values.expire(&self.mapping, now, |message, used| {
            let (message, used) = (&messages[message], &uses[used]);
            let text = format!(
                "frame {:#x} has not told {} for {} ms: its values are taken out until it comes again",
                message.id(),
                message.signals()[used.signal].name(),
                used.timeout.as_millis()
            );
            out.fault(now, Severity::Warning, "can-signal-timeout", message.name(), text);
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
        self.values.tell(&self.mapping, &mut state);
        out.publish::<topic::VehicleState>(state);
    }

    /// All frames as they came.
    fn publish_frames(&mut self, batch: Arc<v1::CanFrames>, out: &mut Outbox<Self>) {
        let Some(newest) = batch.frames.iter().map(|f| f.stamp_ns).max() else { return };
        // Live the node is the only owner: nothing is copied.
        let mut batch = Arc::unwrap_or_clone(batch);
        batch.header = Some(v1::Header::new(newest, v1::Header::trace(TopicId::CanFrames, self.batches)));
        self.batches += 1;
        out.publish::<topic::CanFrames>(batch);
    }

    /// Values are too old only after their last instant.
    fn arm(&self, out: &mut Outbox<Self>) {
        if let Some(at) = self.values.next_expiry() {
            out.tick_at(at + Duration::from_nanos(1));
        }
    }
}

/// The frame's time, or the arrival's when that cannot be.
fn sane_stamp(stamp: Nanos, now: Nanos, out: &mut Outbox<CanNode>) -> Nanos {
    if stamp <= now + STAMP_AHEAD {
        return stamp;
    }
    let ahead = stamp.since(now).as_millis();
    let text = format!("a frame's stamp is {ahead} ms ahead of the clock; it is stamped with its arrival instead");
    out.fault(now, Severity::Warning, "can-stamp-ahead", SUBJECT, text);
    now
}

/// What an error frame says, in words.
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
            for oddity in self.database.oddities() {
                out.fault(now, Severity::Info, "can-database-oddity", self.database.name(), oddity.clone());
            }
        }
        self.expire(now, out);
        self.arm(out);
    }
}
