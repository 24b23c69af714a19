//! Aligns the lines of a transcript track with detected speech.
//!
//! The track gives the text, the detector the time: a line is released once, when a recogniser would have known that the
//! turn is over. Speech that the detector splits into several turns is one utterance when it belongs to one line.

use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::{collections::VecDeque, time::Duration};

/// When speech ends less than this before its line, the line is over: synthesised speech ends with about this much silence,
/// and a pause with one more word takes longer.
const LINE_TAIL: Duration = Duration::from_millis(450);
/// Speech belongs to a line that it overlaps by this much, or by half of its own length.
const MIN_OVERLAP: Duration = Duration::from_millis(100);
/// A line without speech this long after its end is not in the audio.
const MISSED_AFTER: Duration = Duration::from_secs(1);
/// Most lines of a track; a drive has some dozens.
const MAX_LINES: usize = 10_000;

/// A line with the times of its detected speech.
#[derive(Debug, Clone, PartialEq)]
pub struct AlignedLine {
    /// The text of the line.
    pub text: String,
    /// Time of the first voiced sample.
    pub start: Nanos,
    /// Time after the last voiced sample.
    pub end: Nanos,
}

/// The lines still to come, sorted by time, and detected speech that may belong to them.
#[derive(Default)]
pub struct Track {
    lines: VecDeque<v1::TranscriptLine>,
    speech: VecDeque<(Nanos, Nanos)>,
    has_lines: bool,
}

impl Track {
    /// Adds a line. False when it is left out: it ends before it starts, or there are too many.
    pub fn add(&mut self, line: &v1::TranscriptLine) -> bool {
        if line.end_ns <= line.start_ns || self.lines.len() >= MAX_LINES {
            return false;
        }
        self.has_lines = true;
        let at = self.lines.partition_point(|l| l.start_ns <= line.start_ns);
        self.lines.insert(at, line.clone());
        true
    }

    /// Whether a line was ever added.
    pub fn has_lines(&self) -> bool {
        self.has_lines
    }

    /// Whether there are both lines and speech that are not released yet.
    pub fn has_pending(&self) -> bool {
        !self.lines.is_empty() && !self.speech.is_empty()
    }

    /// The audio begins at `start`: lines before it are dropped.
    pub fn start_at(&mut self, start: Nanos) {
        self.lines.retain(|l| l.end_ns > start.0);
    }

    /// Adds a detected turn.
    pub fn add_speech(&mut self, start: Nanos, end: Nanos) {
        self.speech.push_back((start, end));
    }

    /// Removes and returns the lines whose speech is over when the audio has reached `position`, and the number of lines
    /// without speech. `speaking`: a turn is under way.
    pub fn due(&mut self, position: Nanos, speaking: bool) -> (Vec<AlignedLine>, usize) {
        let (mut due, mut missed) = (Vec::new(), 0);
        while let Some(line) = self.lines.front()
            && !speaking
        {
            let (line_start, line_end) = (Nanos(line.start_ns), Nanos(line.end_ns));
            let pieces = self.speech.iter().filter(|&&piece| belongs(piece, line_start, line_end));
            let bounds = pieces.fold(None, |b: Option<(Nanos, Nanos)>, &(start, end)| {
                Some(b.map_or((start, end), |(s, e)| (s.min(start), e.max(end))))
            });
            match bounds {
                Some((start, end)) if position >= line_end || line_end.since(end) < LINE_TAIL => {
                    // Speech that continues into the next line ends with this line.
                    let runs_on = self.lines.get(1).is_some_and(|next| end.0 > next.start_ns);
                    let end = if runs_on { end.min(line_end) } else { end };
                    due.push(AlignedLine { text: line.text.clone(), start: start.max(line_start).min(end), end });
                }
                None if position > line_end + MISSED_AFTER => missed += 1,
                _ => break,
            }
            self.lines.pop_front();
        }
        let oldest = self.lines.front().map_or(position, |l| Nanos(l.start_ns).min(position));
        self.speech.retain(|&(_, end)| end > oldest);
        (due, missed)
    }
}

fn belongs((start, end): (Nanos, Nanos), line_start: Nanos, line_end: Nanos) -> bool {
    let shared = end.min(line_end).since(start.max(line_start));
    !shared.is_zero() && (shared >= MIN_OVERLAP || shared >= end.since(start) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(start_ms: u64, end_ms: u64, text: &str) -> v1::TranscriptLine {
        let ns = |ms| Nanos::from_millis(ms).0;
        v1::TranscriptLine { header: None, start_ns: ns(start_ms), end_ns: ns(end_ms), text: text.into() }
    }
    fn ms(ms: u64) -> Nanos {
        Nanos::from_millis(ms)
    }
    fn texts(due: (Vec<AlignedLine>, usize)) -> Vec<String> {
        due.0.into_iter().map(|l| l.text).collect()
    }

    #[test]
    fn a_line_spoken_in_two_turns_is_released_once_after_the_second() {
        let mut track = Track::default();
        track.add(&line(1000, 4000, "two sentences"));
        track.add_speech(ms(1000), ms(1800));
        assert!(texts(track.due(ms(2000), false)).is_empty());
        assert!(texts(track.due(ms(3000), true)).is_empty());
        track.add_speech(ms(2500), ms(3700));
        let (due, missed) = track.due(ms(3900), false);
        assert_eq!(due, [AlignedLine { text: "two sentences".into(), start: ms(1000), end: ms(3700) }]);
        assert_eq!(missed, 0);
        track.add_speech(ms(3950), ms(4100));
        assert!(texts(track.due(ms(9000), false)).is_empty());
    }

    #[test]
    fn a_line_whose_speech_ends_early_is_released_at_its_end() {
        let mut track = Track::default();
        track.add(&line(1000, 4000, "hold"));
        track.add_speech(ms(1000), ms(1800));
        assert!(texts(track.due(ms(3999), false)).is_empty());
        assert_eq!(texts(track.due(ms(4000), false)), ["hold"]);
    }

    #[test]
    fn two_lines_in_one_turn_are_released_with_their_own_ends() {
        let mut track = Track::default();
        track.add(&line(2100, 3000, "b"));
        track.add(&line(1000, 2000, "a"));
        track.add_speech(ms(1000), ms(2950));
        let (due, _) = track.due(ms(3200), false);
        assert_eq!(
            due.iter().map(|l| (l.text.as_str(), l.end)).collect::<Vec<_>>(),
            [("a", ms(2000)), ("b", ms(2950))]
        );
    }

    #[test]
    fn a_line_without_speech_is_counted_as_missed() {
        let mut track = Track::default();
        track.add(&line(1000, 2000, "silent"));
        track.add_speech(ms(200), ms(700));
        assert_eq!(track.due(ms(2900), false), (vec![], 0));
        assert_eq!(track.due(ms(3100), false), (vec![], 1));
        assert!(!track.add(&line(5, 5, "empty")));
    }

    proptest! {
        #[test]
        fn no_line_is_released_twice(
            lines in proptest::collection::vec((0u64..10_000, 1u64..3000), 0..12),
            speech in proptest::collection::vec((0u64..500, 0u64..2000), 0..30),
        ) {
            let mut track = Track::default();
            for (i, (start, length)) in lines.iter().enumerate() {
                track.add(&line(*start, start + length, &i.to_string()));
            }
            let (mut now, mut seen, mut missed) = (0, Vec::new(), 0);
            for (pause, length) in speech {
                track.add_speech(ms(now + pause), ms(now + pause + length));
                now += pause + length + 200;
                let (due, n) = track.due(ms(now), false);
                for l in &due {
                    prop_assert!(l.start <= l.end);
                }
                seen.extend(due.into_iter().map(|l| l.text));
                missed += n;
            }
            let (due, n) = track.due(ms(1_000_000), false);
            seen.extend(due.into_iter().map(|l| l.text));
            let before = seen.len();
            seen.sort();
            seen.dedup();
            prop_assert_eq!(seen.len(), before);
            prop_assert_eq!(before + missed + n, lines.len());
        }
    }
}
