//! The state machine.

use crate::{
    config::Config,
    dbc::{Bits, Database},
    mapping::{Mapping, Missing},
    state::{
        origins::{Finding, Origins},
        reordering::{Freshness, ReorderingFilter},
        signal_values::{Frame, SignalValues, Update},
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
/// What is left out of a database is reported one by one up to this number, which leaves room for other faults.
const MAX_LEFT_OUT: usize = 64;
/// After so many frames of other buses the chosen one should have been seen.
const MANY_FRAMES: u64 = 10;

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
    /// Of another bus than the chosen one.
    pub other_bus: u64,
}

/// The CAN node's state machine.
pub struct CanNode {
    database: Database,
    mapping: Mapping,
    counts: Counts,
    reordering: ReorderingFilter,
    values: SignalValues,
    origins: Origins,
    /// By the message's index: a frame of another length was reported.
    length_reported: Vec<bool>,
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
        let chosen = Some(config.bus.clone()).filter(|bus| !bus.is_empty());
        Ok(Self { origins: Origins::new(database.messages().len(), chosen), ..Self::with(database, mapping) })
    }

    /// With a database and a mapping compiled for it. Frames of all buses are read.
    pub fn with(database: Database, mapping: Mapping) -> Self {
        let messages = database.messages().len();
        Self {
            counts: Counts::default(),
            reordering: ReorderingFilter::new(messages),
            values: SignalValues::new(&mapping),
            origins: Origins::new(messages, None),
            length_reported: vec![false; messages],
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
        if self.counts.other_bus >= MANY_FRAMES
            && let Some((chosen, seen)) = self.origins.missing_choice()
        {
            let text =
                format!("no frame has come from {chosen}, the chosen bus; there are frames from {}", seen.join(", "));
            out.fault(now, Severity::Warning, "can-bus-missing", chosen, text);
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
        if !self.origins.is_chosen(&frame.bus) {
            self.counts.other_bus += 1;
            return None;
        }
        let Some(index) = self.database.index(frame.id, frame.extended) else {
            self.counts.unknown += 1;
            return None;
        };
        let message = &self.database.messages()[index];
        if !message.accepts_length(frame.data.len()) {
            self.wrong_length(index, frame, now, out);
        }
        if self.mapping.messages()[index].is_empty() {
            return None;
        }
        let message = &self.database.messages()[index];
        let rows = &self.mapping.signals()[self.mapping.messages()[index].signals.clone()];
        let (origin, finding) = self.origins.check(index, message, rows, frame, self.reordering.last(index));
        let is_radar = self.mapping.messages()[index].radar.is_some() && origin.unnamed;
        let is_used = is_radar || rows.iter().any(|row| origin.is_of(row));
        if let Some(finding) = finding {
            self.report_origin(index, &finding, now, out);
            if !is_used && matches!(finding, Finding::TwoBuses(..)) {
                // Its values are gone: a state says so.
                return Some(Nanos(frame.stamp_ns).min(now));
            }
        }
        if !is_used {
            return None;
        }
        let message = &self.database.messages()[index];
        let stamp = plausible_stamp(Nanos(frame.stamp_ns), now, out);
        match self.reordering.check(index, stamp, &frame.data) {
            Freshness::Newest => {
                let bits = Bits::new(&frame.data);
                let frame = Frame { index, message, bits, stamp, origin };
                let update = self.values.update(&self.mapping, frame, now);
                self.report_update(index, &update, now, out);
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

    /// Reports signals without a value, and the end of a timeout.
    fn report_update(&self, index: usize, update: &Update, now: Nanos, out: &mut Outbox<Self>) {
        let message = &self.database.messages()[index];
        if update.ends_timeout {
            out.clear_fault(now, "can-signal-timeout", message.name());
        }
        for &(row, missing) in &update.missing {
            let signal = &message.signals()[self.mapping.signals()[row].signal];
            let subject = format!("{}.{}", message.name(), signal.name());
            match missing {
                Missing::OutOfRange(value) => {
                    let (low, high) = self.mapping.signals()[row].checks.range.unwrap_or(signal.range());
                    let unit = signal.unit();
                    let text = format!(
                        "{subject} is {value} {unit}, expected {low} to {high}: it counts as no value; if that range is \
                         wrong, state `range` in the mapping"
                    );
                    out.fault(now, Severity::Warning, "can-value-out-of-range", &subject, text);
                }
                Missing::NotAvailable => {
                    let text = format!("the sender of {subject} says that it has no value (error or not available)");
                    out.fault(now, Severity::Info, "can-value-not-available", &subject, text);
                }
                Missing::Meaningless => {}
            }
        }
    }

    fn report_origin(&mut self, index: usize, finding: &Finding, now: Nanos, out: &mut Outbox<Self>) {
        let message = &self.database.messages()[index];
        let (id, name) = (message.id(), message.name().to_owned());
        match finding {
            Finding::TwoBuses(one, other) => {
                let text = format!(
                    "frames {id:#x} come from {one} and from {other} with other content: {name} has no values until one \
                     bus is chosen, with `bus` in the mapping or in the node's configuration"
                );
                out.standing_fault(now, Severity::Warning, "can-bus-ambiguous", &name, text);
                self.values.remove_unnamed(&self.mapping, index, now);
            }
            Finding::TwoSources(one, other) => {
                let text = format!(
                    "{name} comes from the source addresses {one:#04x} and {other:#04x}: the newest frame counts; choose \
                     one with `source` in the mapping"
                );
                out.standing_fault(now, Severity::Warning, "can-source-ambiguous", &name, text);
            }
        }
    }

    /// Reports once for each message that a frame has another length.
    fn wrong_length(&mut self, index: usize, frame: &v1::CanFrame, now: Nanos, out: &mut Outbox<Self>) {
        self.counts.wrong_length += 1;
        if std::mem::replace(&mut self.length_reported[index], true) {
            return;
        }
        let message = &self.database.messages()[index];
        let (expected, found) = (message.length(), frame.data.len());
        let rest = if found < expected { "; signals beyond them have no value" } else { "" };
        let text = format!(
            "frame {:#x}: expected {expected} bytes, found {found}{rest}. Check that {} is this bus's",
            frame.id,
            self.database.name()
        );
        out.standing_fault(now, Severity::Warning, "can-wrong-length", message.name(), text);
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

    /// What the database has that is not valid: one fault for each.
    fn report_left_out(&self, now: Nanos, out: &mut Outbox<Self>) {
        let (name, warnings) = (self.database.name(), self.database.warnings());
        for warning in warnings.iter().take(MAX_LEFT_OUT) {
            // File and line are the subject: each is a fault of its own.
            let subject = warning.match_indices(": ").next().map_or(name, |(end, _)| &warning[..end]);
            out.standing_fault(now, Severity::Info, "can-database-warning", subject, warning.clone());
        }
        if let Some(more @ 1..) = warnings.len().checked_sub(MAX_LEFT_OUT) {
            let text = format!("{name}: {more} more items are left out");
            out.standing_fault(now, Severity::Info, "can-database-warning", name, text);
        }
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
            self.report_left_out(now, out);
        }
        self.expire(now, out);
        self.schedule_expiry(out);
    }
}
