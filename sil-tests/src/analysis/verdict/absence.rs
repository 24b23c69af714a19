//! Messages that never came: what the rate of a topic promises and its sequence numbers do not show.

use super::{
    inputs::{Input, Inputs},
    spans::{Span, covered},
};
use auriga_msgs::{Any, CHAINS, Criticality, Record, TOPICS, TopicId, TopicSpec};
use std::collections::BTreeMap;

/// Topics of a lower rate are events: their silence says nothing.
const LEAST_RATE_HZ: f64 = 5.0;
/// A message may come this part of a period early or late and still be the next one.
const TOLERANCE: f64 = 0.25;

/// Messages of a topic that should have come and did not.
#[derive(Debug, Clone, PartialEq)]
pub struct Absence {
    /// The topic.
    pub topic: TopicId,
    /// What it is held to.
    pub rate_hz: f64,
    /// Messages that should have come.
    pub expected: u64,
    /// Those of them that never came.
    pub absent: u64,
    /// Where they are missing.
    pub gaps: Vec<Gap>,
}

/// An interval in which messages are missing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gap {
    /// The last message before it.
    pub from_s: f64,
    /// The first message after it.
    pub to_s: f64,
    /// Messages missing between them.
    pub absent: u64,
}

#[derive(Debug, Clone, Copy)]
struct Arrival {
    stamp_s: f64,
    seq: u64,
}

/// Stamps and sequence numbers of the topics that come all the time.
#[derive(Default)]
pub(in crate::analysis) struct Arrivals {
    topics: BTreeMap<TopicId, Vec<Arrival>>,
}

impl Arrivals {
    pub fn record(&mut self, any: &Any, stamp_s: f64) {
        if is_periodic(any.topic().spec()) || any.topic() == TopicId::CanFrames {
            self.topics.entry(any.topic()).or_default().push(Arrival { stamp_s, seq: any.header().seq });
        }
    }

    /// What is missing between `from_s` and `to_s`. `unrecorded`: where the recording shows nothing.
    pub fn absences(&self, inputs: &Inputs, live: bool, within: Span, unrecorded: &[Span]) -> Vec<Absence> {
        let camera = self.given(&inputs.camera, TopicId::CameraFrontImage, live);
        let bus = self.given(&inputs.can, TopicId::CanFrames, live);
        TOPICS
            .iter()
            .filter(|spec| is_periodic(spec))
            .filter_map(|spec| {
                let (input, rate_hz) = match source_of(spec) {
                    Source::Camera => (&camera, self.camera_rate(&camera, spec)),
                    Source::Can => (&bus, bus_rate(&bus, self.of(spec.id), spec)),
                    Source::Clock => (&Input::Unknown, spec.rate_hz),
                };
                // Nothing was put in; or nothing is known of what was, and nothing came.
                let nothing = *input == Input::Absent || (*input == Input::Unknown && self.of(spec.id).is_empty());
                let messages = Messages {
                    arrivals: self.of(spec.id),
                    rate_hz,
                    input: input.times(),
                    left_out: live && spec.record == Record::Jpeg,
                };
                (!nothing).then(|| messages.absence(spec.id, within, unrecorded))
            })
            .collect()
    }

    fn of(&self, topic: TopicId) -> &[Arrival] {
        self.topics.get(&topic).map_or(&[], Vec::as_slice)
    }

    /// The interval in which both camera and bus gave something, as recorded.
    pub fn input_span(&self) -> Option<Span> {
        let topics = [TopicId::CameraFrontImage, TopicId::CanFrames].map(|topic| self.of(topic));
        let spans = topics.iter().filter_map(|all| Some((all.first()?.stamp_s, all.last()?.stamp_s)));
        spans.reduce(|a, b| (a.0.max(b.0), a.1.min(b.1)))
    }

    /// What the nodes got, as far as it is known. In a replay of a recording: what was recorded.
    fn given(&self, known: &Input, topic: TopicId, live: bool) -> Input {
        let recorded = self.of(topic);
        match known {
            Input::Unknown if !live && !recorded.is_empty() => {
                Input::Times(recorded.iter().map(|a| a.stamp_s).collect())
            }
            known => known.clone(),
        }
    }

    /// The camera's own rate; that of the table where no frame is known.
    fn camera_rate(&self, frames: &Input, spec: &TopicSpec) -> f64 {
        let images = self.of(TopicId::CameraFrontImage);
        let of_images = || median(images.windows(2).filter_map(|w| period(w[0], w[1])));
        let period = frames.times().map_or_else(of_images, |times| median(times.windows(2).map(|w| w[1] - w[0])));
        period.filter(|p| *p > 0.0).map_or(spec.rate_hz, |p| 1.0 / p)
    }
}

fn period(a: Arrival, b: Arrival) -> Option<f64> {
    (b.seq > a.seq).then(|| (b.stamp_s - a.stamp_s) / (b.seq - a.seq) as f64)
}

/// The table's rate, or the bus's own where that is lower.
fn bus_rate(input: &Input, arrivals: &[Arrival], spec: &TopicSpec) -> f64 {
    let of_arrivals = || median(arrivals.windows(2).filter_map(|w| period(w[0], w[1])));
    let period = input.times().map_or_else(of_arrivals, |times| median(times.windows(2).map(|w| w[1] - w[0])));
    period.filter(|p| *p > 0.0).map_or(spec.rate_hz, |p| spec.rate_hz.min(1.0 / p))
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

enum Source {
    Camera,
    Can,
    Clock,
}

fn source_of(spec: &TopicSpec) -> Source {
    match spec.publisher {
        "can" => Source::Can,
        "camera" | "perception" | "fusion" | "hud" => Source::Camera,
        _ => Source::Clock,
    }
}

/// Safety topics whose silence is a fault, or that end a chain by themselves.
fn is_periodic(spec: &TopicSpec) -> bool {
    let ends_chain = CHAINS.iter().any(|c| c.to == spec.id && c.from.is_none());
    spec.criticality == Criticality::Safety
        && spec.rate_hz >= LEAST_RATE_HZ
        && !["any", "device"].contains(&spec.publisher)
        && (spec.timeout_ms.is_some() || ends_chain)
}

/// The messages of a topic and what is known of it.
struct Messages<'a> {
    arrivals: &'a [Arrival],
    rate_hz: f64,
    /// When there was something to answer, if that is known.
    input: Option<&'a [f64]>,
    /// A recorder may leave out messages that were published.
    left_out: bool,
}

impl Messages<'_> {
    fn absence(&self, topic: TopicId, (from_s, to_s): Span, unrecorded: &[Span]) -> Absence {
        let mut sorted = self.arrivals.to_vec();
        sorted.sort_by(|a, b| a.stamp_s.total_cmp(&b.stamp_s));
        let period_s = 1.0 / self.rate_hz;
        let (mut expected, mut gaps) = (0, Vec::new());
        // `None`: the begin of the interval, or its end.
        let before = sorted.iter().rev().find(|a| a.stamp_s < from_s).copied();
        let inside = sorted.iter().filter(|a| (from_s..to_s).contains(&a.stamp_s)).copied();
        let after = sorted.iter().find(|a| a.stamp_s >= to_s).copied();
        let mut last = before;
        for next in inside.map(Some).chain([after]) {
            let begin = last.map_or(from_s - period_s, |a| a.stamp_s.max(from_s - period_s));
            let end = next.map_or(to_s, |a| a.stamp_s.min(to_s));
            let (due, absent) = self.between(last, next, (begin, end), unrecorded);
            expected += due + u64::from(next.is_some_and(|a| a.stamp_s < to_s));
            if absent > 0 {
                gaps.push(Gap { from_s: begin.max(from_s), to_s: end, absent });
            }
            last = next;
        }
        Absence { topic, rate_hz: self.rate_hz, expected, absent: gaps.iter().map(|g| g.absent).sum(), gaps }
    }

    /// Messages due strictly between two, and how many of them were never published.
    fn between(&self, last: Option<Arrival>, next: Option<Arrival>, within: Span, unrecorded: &[Span]) -> (u64, u64) {
        let counted = last.zip(next).filter(|(a, b)| b.seq > a.seq).map(|(a, b)| b.seq - a.seq - 1);
        // A publisher that was started anew counts from 0.
        let published = counted.or(next.map(|b| b.seq)).unwrap_or(0);
        if counted.is_none() && self.left_out {
            return (0, 0);
        }
        let unknown_s = if counted.is_some() { 0.0 } else { covered(unrecorded, within) };
        let mut due = messages_between(within.1 - within.0 - unknown_s, self.rate_hz);
        if unknown_s > 0.0 {
            // At both ends of what was not recorded.
            due = due.saturating_sub(2);
        }
        let due = self.input.map_or(due, |times| due.min(periods_with_input(times, within, self.rate_hz)));
        (due, due.saturating_sub(published))
    }
}

/// Messages that a rate puts strictly between two that are `seconds` apart.
fn messages_between(seconds: f64, rate_hz: f64) -> u64 {
    // A negative number becomes 0.
    ((seconds * rate_hz + TOLERANCE).floor() - 1.0) as u64
}

/// Periods strictly within the interval in which the input gave something.
fn periods_with_input(times: &[f64], (from_s, to_s): Span, rate_hz: f64) -> u64 {
    let margin = TOLERANCE / rate_hz;
    let first = times.partition_point(|t| *t <= from_s + margin);
    let end = times.partition_point(|t| *t < to_s - margin);
    let mut count = 0;
    let mut last = f64::NEG_INFINITY;
    for t in times.get(first..end).unwrap_or_default() {
        if *t >= last + (1.0 - TOLERANCE) / rate_hz {
            count += 1;
            last = *t;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f64 = 25.0;
    const TOPIC: TopicId = TopicId::PerceptionLanes;

    /// Frames `numbers` of a camera; sequence numbers without a gap, as of a node that skipped frames.
    fn skipped(numbers: impl Iterator<Item = u64>) -> Vec<Arrival> {
        numbers.enumerate().map(|(i, n)| Arrival { stamp_s: n as f64 / RATE, seq: i as u64 }).collect()
    }
    fn of(arrivals: &[Arrival], input: Option<&[f64]>, unrecorded: &[Span]) -> (u64, u64) {
        let messages = Messages { arrivals, rate_hz: RATE, input, left_out: false };
        let found = messages.absence(TOPIC, (0.0, 20.0), unrecorded);
        assert_eq!(found.absent, found.gaps.iter().map(|g| g.absent).sum::<u64>());
        (found.expected, found.absent)
    }

    #[test]
    fn frames_that_never_came_are_counted_wherever_they_are_missing() {
        assert_eq!(of(&skipped(0..500), None, &[]), (500, 0));
        // The node was slow, dead at the start, dead in the middle, dead at the end, never there.
        assert_eq!(of(&skipped((0..500).filter(|n| n % 4 != 3)), None, &[]), (500, 125));
        assert_eq!(of(&skipped(124..500), None, &[]), (500, 124));
        assert_eq!(of(&skipped((0..500).filter(|n| !(200..324).contains(n))), None, &[]), (500, 124));
        assert_eq!(of(&skipped(0..376), None, &[]), (500, 124));
        assert_eq!(of(&[], None, &[]), (500, 500));
    }

    #[test]
    fn what_was_published_but_not_recorded_is_not_missing() {
        let mut all = skipped(0..500);
        all.retain(|a| !(200..324).contains(&a.seq));
        assert_eq!(of(&all, None, &[]), (500, 0));
        // A new process, whose first three messages were not recorded.
        let restarted =
            [skipped(0..200), skipped(203..500).into_iter().map(|a| Arrival { seq: a.seq + 3, ..a }).collect()];
        assert_eq!(of(&restarted.concat(), None, &[]), (500, 0));
    }

    #[test]
    fn of_images_that_a_recorder_may_leave_out_only_the_numbers_count() {
        let arrivals = skipped(100..376);
        let messages = Messages { arrivals: &arrivals, rate_hz: RATE, input: None, left_out: true };
        assert_eq!(messages.absence(TOPIC, (0.0, 20.0), &[]).absent, 0);
        let arrivals = skipped((100..376).filter(|n| n % 4 != 3));
        let messages = Messages { arrivals: &arrivals, ..messages };
        assert_eq!(messages.absence(TOPIC, (0.0, 20.0), &[]).absent, 68);
    }

    #[test]
    fn nothing_is_claimed_of_the_time_that_was_not_recorded() {
        let first_half = skipped(0..250);
        assert_eq!(of(&first_half, None, &[(10.0, 20.0)]), (250, 0));
        // It had been dead for two seconds before that.
        let (expected, absent) = of(&first_half, None, &[(12.0, 20.0)]);
        assert!((48..=50).contains(&absent) && expected == 250 + absent, "{absent} of {expected}");
    }

    #[test]
    fn what_was_not_put_in_is_not_missing() {
        let frames: Vec<f64> = (0..500).filter(|n| !(100..200).contains(n)).map(|n| f64::from(n) / RATE).collect();
        assert_eq!(of(&skipped((0..500).filter(|n| !(100..200).contains(n))), Some(&frames), &[]), (400, 0));
        assert_eq!(of(&skipped((0..500).filter(|n| !(100..210).contains(n))), Some(&frames), &[]), (400, 10));
    }

    #[test]
    fn a_bus_may_be_faster_than_its_rate_and_unsteady() {
        let mut rng = 1_u64;
        let mut at = 0.0;
        let arrivals: Vec<Arrival> = (0..6000)
            .map_while(|seq| {
                rng = rng.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                at += (rng >> 40) as f64 / f64::from(1 << 24) * 0.035;
                (at < 20.0).then_some(Arrival { stamp_s: at, seq })
            })
            .collect();
        assert_eq!(of(&arrivals, None, &[]).1, 0);
    }
}
