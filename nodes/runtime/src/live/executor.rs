//! The node's own thread: takes what lies in the mailbox, steps the state machine, publishes.

use super::{
    health::Health,
    mailbox::{Item, Mailbox, Taken},
    supervision::Heartbeat,
    transport::Link,
};
use crate::{
    checks::{payload, sequence::Continuity},
    node::{
        Node,
        faults::Raise,
        runner::{NodeRunner, Runner},
    },
    time::Nanos,
};
use auriga_msgs::{Any, NodeName, Reliability, v1};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tracing::{debug, info, warn};

/// Time after a stop in which messages that lie in the mailbox are still worked off. What is left then is counted as
/// lost. The launcher waits 5 s before it sends the next signal.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// The node's own thread.
pub(super) struct Executor<N: Node, F> {
    pub(super) runner: NodeRunner<N>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) link: Link,
    pub(super) effect: F,
    pub(super) health: Health,
    pub(super) heartbeat: Heartbeat,
}

impl<N: Node, F: FnMut(N::Effect)> Executor<N, F> {
    /// Runs the node until its mailbox is stopped.
    pub(super) fn run(mut self) -> Link {
        self.heartbeat.ready(Nanos::monotonic());
        loop {
            let due = self.runner.next_due().unwrap_or(self.health.next);
            let wake = due.min(self.health.next).min(self.heartbeat.next());
            match self.mailbox.take(wake) {
                Taken::Stopped(rest) => {
                    self.heartbeat.closing();
                    self.finish(rest);
                    return self.link;
                }
                Taken::TimedOut => {}
                // All that has come is taken in before the next tick, so a grant is seen between two slices.
                Taken::Items(items) => items.into_iter().for_each(|item| self.take(item)),
            }
            let now = Nanos::monotonic();
            if self.runner.next_due().is_some_and(|t| t <= now) {
                self.step(None, now);
            }
            if now >= self.health.next {
                self.health(now);
            }
            self.heartbeat.beat(now);
        }
    }

    /// Works off what lay in the mailbox when it was stopped.
    fn finish(&mut self, rest: VecDeque<Item>) {
        let deadline = Nanos::monotonic() + STOP_WITHIN;
        let lost = work_off(rest, || Nanos::monotonic() < deadline, |item| self.take(item));
        if lost > 0 {
            self.mailbox.count_lost(lost);
            self.health(Nanos::monotonic());
        }
    }

    fn take(&mut self, item: Item) {
        let now = Nanos::monotonic();
        // Also within a long queue: a node that works is alive.
        self.heartbeat.beat(now);
        match item {
            Item::Device(any) => self.step(Some(any), now),
            Item::Fault(f) => {
                let (code, subject) = (f.code, f.subject.as_str());
                self.fault(Raise { severity: f.severity, code, subject, text: f.text, standing: f.standing });
            }
            Item::ClearFault { code, subject } => self.clear_fault(code, &subject),
            Item::Wire { topic, publisher, payload } => match payload::decode(topic, &publisher, payload) {
                Ok(any) => self.received(any, &publisher, now),
                Err(refusal) => self.fault(warning(refusal.code, topic.spec().name, refusal.text)),
            },
        }
    }

    fn received(&mut self, any: Any, publisher: &str, now: Nanos) {
        let (topic, seq) = (any.topic().spec().name, any.header().seq);
        if let Continuity::Implausible { expected } = self.health.received(&any, publisher, now) {
            let text = format!("a message of {publisher} has number {seq}, expected {expected}; it counts as no loss");
            self.fault(warning("sequence-jump", topic, text));
        }
        self.step(Some(any), now);
    }

    fn fault(&mut self, raise: Raise<'_>) {
        self.runner.outbox.raise(Nanos::monotonic(), raise);
        let messages = self.runner.flush();
        log_faults(&messages);
        self.publish(messages);
    }

    fn clear_fault(&mut self, code: &str, subject: &str) {
        self.runner.outbox.clear_fault(Nanos::monotonic(), code, subject);
        let messages = self.runner.flush();
        if !messages.is_empty() {
            info!(code, subject, "cleared");
        }
        self.publish(messages);
    }

    fn step(&mut self, input: Option<Any>, now: Nanos) {
        let span = input.as_ref().map(|any| {
            tracing::debug_span!(
                "input",
                topic = any.topic().spec().name,
                trace = format_args!("{:016x}", any.header().trace_id)
            )
        });
        let _entered = span.as_ref().map(tracing::Span::enter);
        let (what, stale) = (input.as_ref().map(|any| any.topic().spec().name), self.runner.stale());
        let messages = self.runner.step(input, now);
        if self.runner.stale() > stale {
            log_faults(&messages);
        }
        self.publish(messages);
        for effect in self.runner.outbox.take_effects() {
            (self.effect)(effect);
        }
        let (took, limit) = (Nanos::monotonic().since(now), self.heartbeat.period());
        if took > limit {
            let (ms, limit_ms, what) = (took.as_millis(), limit.as_millis(), what.unwrap_or("tick"));
            let text =
                format!("one step took {ms} ms; more than {limit_ms} ms make the node late with everything else");
            self.fault(warning("slow-step", what, text));
        }
    }

    fn publish(&mut self, messages: Vec<Any>) {
        for mut any in messages {
            let now = Nanos::monotonic();
            any.header_mut().published_ns = now.0;
            self.health.published(&any, now);
            if let Any::Fault(f) = &any {
                debug!(code = f.code, subject = f.subject, count = f.count, "{}", f.text);
            }
            if let Err(e) = self.link.publish(&any) {
                warn!("{e:#}");
            }
        }
    }

    fn health(&mut self, now: Nanos) {
        for topic in self.health.heard_again() {
            self.clear_fault("topic-silent", topic.spec().name);
        }
        for (topic, silence) in self.health.silent(now) {
            let (topic, ms) = (topic.spec(), silence.as_millis());
            let text = format!("nothing for {ms} ms; is its publisher {} running?", topic.publisher);
            self.fault(warning("topic-silent", topic.name, text));
        }
        let (dropped, lost) = self.mailbox.losses();
        if lost > self.health.lost_in_mailbox {
            self.health.lost_in_mailbox = lost;
            let text = format!("{lost} reliable messages lost so far: the node is slower than its inputs");
            let severity = v1::Severity::Critical;
            self.fault(Raise { severity, ..warning("mailbox-full", N::Name::SPEC.name, text) });
        }
        if let Some(text) = self.health.restart(now) {
            self.fault(warning("restarted", N::Name::SPEC.name, text));
        }
        let usage = self.health.usage(N::Name::SPEC.name, now, dropped, lost);
        let (workloads, messages_stale) = (self.runner.workloads(now), self.runner.stale());
        let usage = v1::Usage { workloads, messages_stale, ..usage };
        self.runner.outbox.publish::<auriga_msgs::topic::Usage>(usage);
        let messages = self.runner.flush();
        self.publish(messages);
    }
}

/// Faults of the shell are logged as often as they are published, which is less and less often.
fn log_faults(messages: &[Any]) {
    for any in messages {
        if let Any::Fault(f) = any {
            warn!(code = f.code, subject = f.subject, "{}", f.text);
        }
    }
}

fn warning<'a>(code: &'a str, subject: &'a str, text: String) -> Raise<'a> {
    Raise { severity: v1::Severity::Warning, code, subject, text, standing: false }
}

/// Takes items in their order while there is time. Returns how many messages of reliable topics are left.
fn work_off(items: VecDeque<Item>, has_time: impl Fn() -> bool, mut take: impl FnMut(Item)) -> u64 {
    let mut items = items.into_iter();
    while has_time() {
        match items.next() {
            Some(item) => take(item),
            None => return 0,
        }
    }
    let reliable = |item: &Item| item.topic().is_some_and(|t| t.spec().reliability == Reliability::Reliable);
    items.filter(reliable).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use auriga_msgs::TopicId;
    use bytes::Bytes;
    use std::cell::Cell;

    fn wire(topic: TopicId) -> Item {
        Item::Wire { topic, publisher: "".into(), payload: Bytes::new() }
    }

    #[test]
    fn messages_left_at_a_stop_are_delivered_or_counted() {
        let queue = || VecDeque::from([wire(TopicId::Fault), wire(TopicId::CameraFrontImage), wire(TopicId::Usage)]);
        let taken = Cell::new(0);
        let count = |_| taken.set(taken.get() + 1);
        assert_eq!(work_off(queue(), || true, count), 0);
        assert_eq!(taken.replace(0), 3);
        // Time for one: of the two others one is of a reliable topic.
        assert_eq!(work_off(queue(), || taken.get() < 1, count), 1);
        assert_eq!(taken.get(), 1);
    }
}
