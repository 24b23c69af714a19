//! The transcript track at work: which line has been heard, and when its speech is over.
//!
//! The track says what is said, the detector says when it ended: a line is handed out once, at the moment at which a
//! recogniser would have known that the speaker is done. Speech that the detector splits is held together by the line.

use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::{collections::VecDeque, time::Duration};

/// When speech ends this shortly before its line does, nothing more can follow in the line: synthesised speech carries
/// about so much silence at its end, and a pause with one more word takes longer.
const LINE_TAIL: Duration = Duration::from_millis(450);
/// Speech belongs to a line that it overlaps by this much, or by half of itself.
const OVERLAP: Duration = Duration::from_millis(100);
/// A line of which nothing was heard this long after its end has not been spoken.
const UNHEARD_AFTER: Duration = Duration::from_secs(1);
/// Lines kept at a time; a drive has some dozens.
const MAX_LINES: usize = 10_000;

/// A line with the speech that was heard of it.
#[derive(Debug, Clone, PartialEq)]
pub struct HeardLine {
    pub text: String,
    pub start: Nanos,
    pub end: Nanos,
}

/// Lines still to come, in order of time, and speech that may belong to them.
#[derive(Default)]
pub struct Track {
    lines: VecDeque<v1::TranscriptLine>,
    heard: VecDeque<(Nanos, Nanos)>,
    given: bool,
}

impl Track {
    /// Adds a line. False when it is unusable (it ends before it starts, or there are too many).
    pub fn add(&mut self, line: &v1::TranscriptLine) -> bool {
        if line.end_ns <= line.start_ns || self.lines.len() >= MAX_LINES {
            return false;
        }
        self.given = true;
        let at = self.lines.partition_point(|l| l.start_ns <= line.start_ns);
        self.lines.insert(at, line.clone());
        true
    }

    /// Whether there ever was a line.
    pub fn given(&self) -> bool {
        self.given
    }

    /// Whether speech was heard whose line is not over yet.
    pub fn holding(&self) -> bool {
        !self.lines.is_empty() && !self.heard.is_empty()
    }

    /// The audio begins at `start`: what was said before cannot be heard any more.
    pub fn begin(&mut self, start: Nanos) {
        self.lines.retain(|l| l.end_ns > start.0);
    }

    /// The detector found speech.
    pub fn heard(&mut self, start: Nanos, end: Nanos) {
        self.heard.push_back((start, end));
    }

    /// Lines whose speech is over, now that the audio has come to `position`, and the number of those that were not
    /// spoken at all. `speaking`: a turn is under way.
    pub fn due(&mut self, position: Nanos, speaking: bool) -> (Vec<HeardLine>, usize) {
        let (mut due, mut unheard) = (Vec::new(), 0);
        while let Some(line) = self.lines.front()
            && !speaking
        {
            let (line_start, line_end) = (Nanos(line.start_ns), Nanos(line.end_ns));
            let pieces = self.heard.iter().filter(|&&piece| belongs(piece, line_start, line_end));
            let bounds = pieces.fold(None, |b: Option<(Nanos, Nanos)>, &(start, end)| {
                Some(b.map_or((start, end), |(s, e)| (s.min(start), e.max(end))))
            });
            match bounds {
                Some((start, end)) if position >= line_end || line_end.since(end) < LINE_TAIL => {
                    // Speech that runs on into the next line ends, for this one, where the line does.
                    let runs_on = self.lines.get(1).is_some_and(|next| end.0 > next.start_ns);
                    let end = if runs_on { end.min(line_end) } else { end };
                    due.push(HeardLine { text: line.text.clone(), start: start.max(line_start).min(end), end });
                }
                None if position > line_end + UNHEARD_AFTER => unheard += 1,
                _ => break,
            }
            self.lines.pop_front();
        }
        let oldest = self.lines.front().map_or(position, |l| Nanos(l.start_ns).min(position));
        self.heard.retain(|&(_, end)| end > oldest);
        (due, unheard)
    }
}

fn belongs((start, end): (Nanos, Nanos), line_start: Nanos, line_end: Nanos) -> bool {
    let shared = end.min(line_end).since(start.max(line_start));
    !shared.is_zero() && (shared >= OVERLAP || shared >= end.since(start) / 2)
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
    fn texts(due: (Vec<HeardLine>, usize)) -> Vec<String> {
        due.0.into_iter().map(|l| l.text).collect()
    }

    #[test]
    fn a_line_that_the_detector_splits_comes_once_on_its_last_piece() {
        let mut track = Track::default();
        track.add(&line(1000, 4000, "two sentences"));
        track.heard(ms(1000), ms(1800));
        assert!(texts(track.due(ms(2000), false)).is_empty());
        assert!(texts(track.due(ms(3000), true)).is_empty());
        track.heard(ms(2500), ms(3700));
        let (due, unheard) = track.due(ms(3900), false);
        assert_eq!(due, [HeardLine { text: "two sentences".into(), start: ms(1000), end: ms(3700) }]);
        assert_eq!(unheard, 0);
        track.heard(ms(3950), ms(4100));
        assert!(texts(track.due(ms(9000), false)).is_empty());
    }

    #[test]
    fn a_first_piece_is_held_until_the_line_is_over() {
        let mut track = Track::default();
        track.add(&line(1000, 4000, "hold"));
        track.heard(ms(1000), ms(1800));
        assert!(texts(track.due(ms(3999), false)).is_empty());
        assert_eq!(texts(track.due(ms(4000), false)), ["hold"]);
    }

    #[test]
    fn two_lines_in_one_breath_both_come_with_their_own_ends() {
        let mut track = Track::default();
        track.add(&line(2100, 3000, "b"));
        track.add(&line(1000, 2000, "a"));
        track.heard(ms(1000), ms(2950));
        let (due, _) = track.due(ms(3200), false);
        assert_eq!(
            due.iter().map(|l| (l.text.as_str(), l.end)).collect::<Vec<_>>(),
            [("a", ms(2000)), ("b", ms(2950))]
        );
    }

    #[test]
    fn a_line_nobody_speaks_is_counted_and_never_published() {
        let mut track = Track::default();
        track.add(&line(1000, 2000, "silent"));
        track.heard(ms(200), ms(700));
        assert_eq!(track.due(ms(2900), false), (vec![], 0));
        assert_eq!(track.due(ms(3100), false), (vec![], 1));
        assert!(!track.add(&line(5, 5, "empty")));
    }

    proptest! {
        #[test]
        fn no_line_ever_comes_twice(
            lines in proptest::collection::vec((0u64..10_000, 1u64..3000), 0..12),
            speech in proptest::collection::vec((0u64..500, 0u64..2000), 0..30),
        ) {
            let mut track = Track::default();
            for (i, (start, length)) in lines.iter().enumerate() {
                track.add(&line(*start, start + length, &i.to_string()));
            }
            let (mut now, mut seen, mut unheard) = (0, Vec::new(), 0);
            for (pause, length) in speech {
                track.heard(ms(now + pause), ms(now + pause + length));
                now += pause + length + 200;
                let (due, n) = track.due(ms(now), false);
                for l in &due {
                    prop_assert!(l.start <= l.end);
                }
                seen.extend(due.into_iter().map(|l| l.text));
                unheard += n;
            }
            let (due, n) = track.due(ms(1_000_000), false);
            seen.extend(due.into_iter().map(|l| l.text));
            let before = seen.len();
            seen.sort();
            seen.dedup();
            prop_assert_eq!(seen.len(), before);
            prop_assert_eq!(before + unheard + n, lines.len());
        }
    }
}
