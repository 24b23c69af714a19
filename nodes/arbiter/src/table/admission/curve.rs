//! Arrival curves: the most events that a window of time can hold, whatever its place (real-time calculus: Thiele,
//! Chakraborty, Naedele, "Real-time calculus for scheduling hard real-time systems", 2000; Le Boudec and Thiran, "Network
//! Calculus", 2001). A stream is described as by Richter, "Compositional Scheduling Analysis Using Standard Event Models"
//! (2005): period, jitter, and a smallest distance within a burst.
//!
//! Times are whole nanoseconds, so that no bound depends on rounding. A window of length `w` is half-open: it holds the
//! instants 0 to w - 1.

use std::sync::Arc;

/// Nanoseconds.
pub type Ns = u64;

/// Milliseconds to nanoseconds, rounded up.
pub fn ns(ms: f64) -> Ns {
    (ms * 1e6).ceil() as Ns
}

/// Nanoseconds to milliseconds.
pub fn ms(ns: Ns) -> f64 {
    ns as f64 * 1e-6
}

/// Events that repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// Between two bursts (or single events), 1 or more.
    pub period: Ns,
    /// A burst comes at most this much after its place in the period.
    pub jitter: Ns,
    /// Events of a burst, 1 or more.
    pub burst: u64,
    /// Between two events of a burst.
    pub distance: Ns,
    /// How many independent streams of this kind there are.
    pub count: u64,
}

impl Stream {
    /// Single events with a period.
    pub fn periodic(period: Ns, jitter: Ns) -> Self {
        Self { period, jitter, burst: 1, distance: 0, count: 1 }
    }

    /// Most events in a window.
    pub fn most(&self, window: Ns) -> u64 {
        if window == 0 { 0 } else { self.most_of_one(window) * self.count }
    }

    fn most_of_one(&self, window: Ns) -> u64 {
        // The events at one place of their bursts are a stream with period and jitter of their own.
        let alike = (window + self.jitter).div_ceil(self.period);
        if self.burst == 1 || self.bursts_overlap() {
            return alike * self.burst;
        }
        let most = alike * self.burst;
        // The largest number of events whose span is within the window.
        (1..=most).rev().find(|&events| self.span(events) < window).unwrap_or(1)
    }

    fn bursts_overlap(&self) -> bool {
        self.jitter + (self.burst - 1) * self.distance >= self.period
    }

    /// Shortest time from the first to the last of so many events in a row; of bursts that do not overlap.
    fn span(&self, events: u64) -> Ns {
        let from = |first: u64| {
            let last = first + events - 1;
            let (bursts, place) = (last / self.burst, last % self.burst);
            let jitter = if bursts > 0 { self.jitter } else { 0 };
            bursts * self.period + place * self.distance - jitter - first * self.distance
        };
        (0..self.burst).map(from).min().unwrap_or(0)
    }

    /// The next longer window that may hold more events.
    fn next_change(&self, window: Ns) -> Ns {
        if window == 0 {
            return 1;
        }
        if self.burst == 1 || self.bursts_overlap() {
            return (window + self.jitter).div_ceil(self.period) * self.period - self.jitter + 1;
        }
        self.span(self.most_of_one(window) + 1) + 1
    }

    /// Events in a second, in the long run.
    pub fn rate_hz(&self) -> f64 {
        (self.burst * self.count) as f64 / self.period as f64 * 1e9
    }
}

/// Where events come from: any of several streams (an OR), which together keep a smallest distance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name in the workload table.
    pub name: String,
    /// Each of them releases.
    pub streams: Vec<Stream>,
    /// Between any two events; 0: none is known.
    pub distance: Ns,
    /// How old an event may be when it is released.
    pub delay: Ns,
}

impl Source {
    /// Most events in a window.
    pub fn most(&self, window: Ns) -> u64 {
        let sum = self.streams.iter().map(|s| s.most(window)).sum();
        if self.distance == 0 { sum } else { window.div_ceil(self.distance).min(sum) }
    }

    fn next_change(&self, window: Ns) -> Ns {
        let next = self.streams.iter().map(|s| s.next_change(window)).min().unwrap_or(Ns::MAX);
        if self.distance == 0 {
            return next;
        }
        next.min(window.div_ceil(self.distance) * self.distance + 1)
    }

    /// Events in a second, in the long run.
    pub fn rate_hz(&self) -> f64 {
        let sum: f64 = self.streams.iter().map(Stream::rate_hz).sum();
        if self.distance == 0 { sum } else { sum.min(1e9 / self.distance as f64) }
    }

    /// Longest time between two events, where that is known: of a source that is one stream.
    pub fn longest_gap(&self) -> Option<Ns> {
        match self.streams.as_slice() {
            [one] if one.count == 1 => Some(one.period + one.jitter),
            _ => None,
        }
    }
}

/// The events that activate something: those of several sources (an OR), each delayed on its way by up to some time.
///
/// Delayed by 0 to `d`, the events of a window of length w are among those of the source in a window of length w + d
/// (Richter 2005, section 4.5; Tindell and Clark, "Holistic schedulability analysis", 1994: the response of one task is
/// the jitter of the next).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Curve {
    parts: Vec<(Arc<Events>, Ns)>,
}

/// Events before they are delayed.
#[derive(Debug, PartialEq, Eq)]
enum Events {
    Source(Source),
    /// Those of the curve, and no more than the limit allows.
    Limited(Curve, Source),
}

impl Events {
    fn most(&self, window: Ns) -> u64 {
        match self {
            Events::Source(source) => source.most(window),
            Events::Limited(curve, limit) => curve.most(window).min(limit.most(window)),
        }
    }

    fn next_change(&self, window: Ns) -> Ns {
        match self {
            Events::Source(source) => source.next_change(window),
            Events::Limited(curve, limit) => curve.next_change(window).min(limit.next_change(window)),
        }
    }

    fn rate_hz(&self) -> f64 {
        match self {
            Events::Source(source) => source.rate_hz(),
            Events::Limited(curve, limit) => curve.rate_hz().min(limit.rate_hz()),
        }
    }

    fn longest_gap(&self) -> Option<Ns> {
        match self {
            Events::Source(source) => source.longest_gap(),
            Events::Limited(..) => None,
        }
    }

    fn delay(&self) -> Ns {
        match self {
            Events::Source(_) => 0,
            Events::Limited(curve, _) => curve.delay(),
        }
    }
}

impl Curve {
    /// The events of a source, undelayed.
    pub fn of(source: Source) -> Self {
        Self { parts: vec![(Arc::new(Events::Source(source)), 0)] }
    }

    /// These events where a limit is known that holds for all of them together.
    pub fn limited(self, limit: &Source) -> Self {
        Self { parts: vec![(Arc::new(Events::Limited(self, limit.clone())), 0)] }
    }

    /// Adds the events of `other`, delayed by up to `delay`.
    pub fn join(&mut self, other: &Curve, delay: Ns) {
        self.parts.extend(other.parts.iter().map(|(events, before)| (events.clone(), before + delay)));
    }

    /// Most events in a window.
    pub fn most(&self, window: Ns) -> u64 {
        if window == 0 { 0 } else { self.parts.iter().map(|(events, delay)| events.most(window + delay)).sum() }
    }

    /// The next longer window that may hold more events.
    pub fn next_change(&self, window: Ns) -> Ns {
        let next = self.parts.iter().map(|(events, delay)| events.next_change(window + delay).saturating_sub(*delay));
        next.min().unwrap_or(Ns::MAX).max(window + 1)
    }

    /// Events in a second, in the long run.
    pub fn rate_hz(&self) -> f64 {
        self.parts.iter().map(|(events, _)| events.rate_hz()).sum()
    }

    /// Largest delay of an event since its source.
    pub fn delay(&self) -> Ns {
        self.parts.iter().map(|(events, delay)| events.delay() + delay).max().unwrap_or(0)
    }

    /// Longest time between two events, where that is known.
    pub fn longest_gap(&self) -> Option<Ns> {
        self.parts.iter().filter_map(|(events, delay)| Some(events.longest_gap()? + delay)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_periodic_stream_with_jitter_holds_the_events_of_the_formula() {
        let s = Stream::periodic(10, 0);
        assert_eq!([0, 1, 10, 11, 20, 21].map(|w| s.most(w)), [0, 1, 1, 2, 2, 3]);
        // 9 of jitter: two events 1 apart.
        let s = Stream::periodic(10, 9);
        assert_eq!([1, 2, 11, 12].map(|w| s.most(w)), [1, 2, 2, 3]);
    }

    #[test]
    fn a_burst_holds_its_events_at_their_distance() {
        let s = Stream { period: 100, jitter: 10, burst: 3, distance: 20, count: 1 };
        // 3 within 41, then the next burst 100 - 10 after the first began.
        assert_eq!([1, 20, 21, 41, 51, 90, 91].map(|w| s.most(w)), [1, 1, 2, 3, 3, 3, 4]);
        // From the last of one burst the first of the next is 100 - 40 - 10 away.
        assert_eq!(s.most(51).max(s.most(52)), 3);
    }

    #[test]
    fn a_source_keeps_its_smallest_distance_whatever_its_streams() {
        let streams = vec![Stream::periodic(10, 0), Stream::periodic(20, 0), Stream::periodic(50, 0)];
        let free = Source { name: "bus".into(), streams: streams.clone(), distance: 0, delay: 0 };
        assert_eq!(free.most(1), 3);
        let apart = Source { name: "bus".into(), streams, distance: 2, delay: 0 };
        assert_eq!([1, 3, 5, 7].map(|w| apart.most(w)), [1, 2, 3, 3]);
    }

    fn stream() -> impl Strategy<Value = Stream> {
        (2u64..60, 0u64..80, 1u64..5, 0u64..12, 1u64..3).prop_map(|(period, jitter, burst, distance, count)| Stream {
            period,
            jitter,
            burst,
            distance,
            count,
        })
    }

    proptest! {
        #[test]
        fn no_sequence_of_events_holds_more_than_the_curve(
            s in stream(), phase in 0u64..60, late in proptest::collection::vec(0.0f64..=1.0, 40), window in 1u64..200,
        ) {
            let s = Stream { count: 1, ..s };
            let mut events: Vec<u64> = late
                .iter()
                .enumerate()
                .flat_map(|(n, late)| {
                    let begin = phase + n as u64 * s.period + (late * s.jitter as f64).floor() as u64;
                    (0..s.burst).map(move |k| begin + k * s.distance)
                })
                .collect();
            events.sort_unstable();
            for from in &events {
                let held = events.iter().filter(|e| (*from..from + window).contains(*e)).count() as u64;
                prop_assert!(held <= s.most(window), "{held} in {window} of {s:?}");
            }
        }

        #[test]
        fn no_change_of_a_curve_is_skipped(streams in proptest::collection::vec(stream(), 1..4), distance in 0u64..9, delay in 0u64..30) {
            let source = Source { name: String::new(), streams, distance, delay: 0 };
            let mut curve = Curve::default();
            curve.join(&Curve::of(source), delay);
            let mut window = 1;
            while window < 150 {
                let next = curve.next_change(window);
                prop_assert!(next > window);
                for w in window..next.min(150) {
                    prop_assert_eq!(curve.most(w), curve.most(window), "between {} and {}", window, next);
                }
                window = next;
            }
        }
    }
}
