//! Who speaks when: voice activity by `earshot`'s small network, and from it the turns of the speaker.
//!
//! Times are those of samples, never of their arrival: a turn ends at the end of its last voiced frame, however long
//! after that the silence had to last to be sure.

use auriga_runtime::Nanos;
use std::time::Duration;

/// What the detector listens to.
pub const SAMPLE_RATE_HZ: u32 = 16_000;
/// One sample at [`SAMPLE_RATE_HZ`]; a whole number of nanoseconds.
pub const SAMPLE_NS: u64 = 1_000_000_000 / SAMPLE_RATE_HZ as u64;
/// The network looks at exactly this many samples (16 ms) at a time.
const FRAME: usize = 256;
const FRAME_TIME: Duration = Duration::from_nanos(FRAME as u64 * SAMPLE_NS);
/// Sample clocks and stamps may disagree by this much before samples are taken to be lost or repeated.
const JITTER: Duration = Duration::from_millis(20);
/// Within a turn a frame counts as voiced from this much less than the threshold on, so that the faint ends of words
/// do not flicker.
const HYSTERESIS: f32 = 0.15;
/// The network sees 48 ms at once and remembers more: after the last sound its score takes about 80 ms to fall. So that
/// this does not move the end of a turn, a frame must also stand out of the silence by its power: it is silent this far
/// below the turn's loudest frame (35 dB) ...
const BELOW_LOUDEST: f32 = 3.2e-4;
/// ... or when it is no louder than this times the background.
const ABOVE_NOISE: f32 = 1.5;
/// Share of the last sample taken out of the next: a high-pass from some hundred hertz on.
const RUMBLE: f32 = 0.95;
/// When a turn's loudest frame stands this far out of the background, its pauses are what they seem; when it does so only by
/// the second, they are taken to seem twice as long.
const CLEAR_DB: f32 = 20.0;
const DROWNED_DB: f32 = 12.0;
/// When sound comes back just as a turn is about to end, the network gets this long to say whether it is a voice.
const GRACE: Duration = Duration::from_millis(64);
/// How fast the background's power is learnt, per frame: falling within some frames, but rising at most by this share
/// of itself, since the first frames of a voice are not recognised as one.
const NOISE_FALL: f32 = 1.0 / 4.0;
const NOISE_RISE: f32 = 1.0 / 32.0;

/// What tunes the detector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Score (0..1) from which a frame is voiced.
    pub threshold: f32,
    /// Voice that must have been heard before a turn begins; a click is shorter.
    pub start: Duration,
    /// Silence that ends a turn.
    pub end_silence: Duration,
    /// A turn is cut when it becomes longer than this.
    pub longest: Duration,
}

/// What happened, with the times of the samples concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Somebody began to speak at this time.
    Started(Nanos),
    /// The turn is over: its first and last voiced sample.
    Ended { start: Nanos, end: Nanos },
}

/// What became of the samples handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Whole,
    /// Samples of this length were missing before these.
    AfterGap(Duration),
    /// They lie this far before samples taken already, and were left out.
    Not(Duration),
}

/// Turns out of a stream of samples that comes in pieces of any length.
pub struct TurnDetector {
    settings: Settings,
    network: Box<earshot::Detector>,
    frame: Vec<i16>,
    /// Time of the sample after the last one taken.
    next: Option<Nanos>,
    turn: Turn,
    /// Power of the background; none before the first unvoiced frame.
    noise: Option<f32>,
    /// The turn under way is held open, whatever is heard.
    held: bool,
}

#[derive(Debug, Clone, Copy)]
enum Turn {
    Silent,
    /// Some voice, not yet enough for a turn.
    Rising {
        start: Nanos,
        end: Nanos,
        voiced: Duration,
    },
    Speaking {
        start: Nanos,
        end: Nanos,
        loudest: f32,
    },
}

impl TurnDetector {
    pub fn new(settings: Settings) -> Self {
        let network = Box::new(earshot::Detector::default());
        Self {
            settings,
            network,
            frame: Vec::with_capacity(FRAME),
            next: None,
            turn: Turn::Silent,
            noise: None,
            held: false,
        }
    }

    /// Whether a turn is under way.
    pub fn speaking(&self) -> bool {
        matches!(self.turn, Turn::Speaking { .. })
    }

    /// Whether there is a voice that may become a turn.
    pub fn rising(&self) -> bool {
        matches!(self.turn, Turn::Rising { .. })
    }

    /// Time of the sample after the last one taken; `None` before the first.
    pub fn position(&self) -> Option<Nanos> {
        self.next
    }

    /// How long the turn under way has been silent by now.
    pub fn silence(&self) -> Option<Duration> {
        match (self.turn, self.next) {
            (Turn::Speaking { end, .. }, Some(next)) => Some(next.since(end)),
            _ => None,
        }
    }

    /// How long a silence ends a turn from now on.
    pub fn set_end_silence(&mut self, silence: Duration) {
        self.settings.end_silence = silence;
    }

    /// Holds a turn open from here on, whatever is heard, until [`Self::finish`] or until it is too long.
    pub fn hold(&mut self, on: &mut impl FnMut(Event)) {
        self.held = true;
        if !self.speaking() {
            let at = self.next.unwrap_or_default();
            self.turn = Turn::Speaking { start: at, end: at, loudest: 0.0 };
            on(Event::Started(at));
        }
    }

    /// Takes samples, the first of which was measured at `stamp`.
    pub fn push(&mut self, stamp: Nanos, samples: &[i16], on: &mut impl FnMut(Event)) -> Taken {
        let mut taken = Taken::Whole;
        if let Some(next) = self.next {
            if stamp + JITTER < next {
                return Taken::Not(next.since(stamp));
            }
            if stamp > next + JITTER {
                taken = Taken::AfterGap(stamp.since(next));
                self.gap(stamp, on);
            }
        }
        for (&sample, count) in samples.iter().zip(1u64..) {
            self.frame.push(sample);
            if self.frame.len() == FRAME {
                self.take_frame(Nanos(stamp.0.saturating_add(count * SAMPLE_NS)), on);
                self.frame.clear();
            }
        }
        self.next = Some(Nanos(stamp.0.saturating_add(samples.len() as u64 * SAMPLE_NS)));
        taken
    }

    /// Ends the turn under way, if there is one: no more samples are to be expected.
    pub fn finish(&mut self, on: &mut impl FnMut(Event)) {
        if let Turn::Speaking { start, end, .. } = self.turn {
            on(Event::Ended { start, end });
        }
        self.turn = Turn::Silent;
        self.held = false;
    }

    /// Samples are missing up to `stamp`. They are taken for silence.
    fn gap(&mut self, stamp: Nanos, on: &mut impl FnMut(Event)) {
        self.frame.clear();
        self.network.reset();
        match self.turn {
            Turn::Speaking { end, .. } if self.held || stamp.since(end) < self.settings.end_silence => {}
            _ => self.finish(on),
        }
    }

    fn take_frame(&mut self, frame_end: Nanos, on: &mut impl FnMut(Event)) {
        let score = self.network.predict_i16(&self.frame);
        let power = power(&self.frame);
        let Settings { threshold, start: needed, end_silence, longest } = self.settings;
        let voiced = score >= threshold;
        self.turn = match self.turn {
            Turn::Silent if voiced => {
                Turn::Rising { start: frame_end - FRAME_TIME, end: frame_end, voiced: FRAME_TIME }
            }
            Turn::Silent => {
                self.noise = Some(self.noise.map_or(power, |n| match power < n {
                    true => n + NOISE_FALL * (power - n),
                    // One more, or digital silence would never end.
                    false => n + NOISE_RISE * (power - n).min(n + 1.0),
                }));
                Turn::Silent
            }
            Turn::Rising { start, voiced: before, .. } if voiced => {
                Turn::Rising { start, end: frame_end, voiced: before + FRAME_TIME }
            }
            // A pause as short as within a word does not start the count anew.
            Turn::Rising { end, .. } if frame_end.since(end) > needed => Turn::Silent,
            Turn::Rising { .. } => self.turn,
            Turn::Speaking { start, end, loudest } => {
                let floor = self.floor(loudest);
                let end = if score >= threshold - HYSTERESIS && power > floor { frame_end } else { end };
                Turn::Speaking { start, end, loudest: loudest.max(power) }
            }
        };
        match self.turn {
            Turn::Rising { start, end, voiced } if voiced >= needed => {
                self.turn = Turn::Speaking { start, end, loudest: power };
                on(Event::Started(start));
            }
            Turn::Speaking { start, end, loudest } => {
                let silence = frame_end.since(end);
                let end_silence = end_silence.mul_f32(self.doubt(loudest));
                let sound = power > self.floor(loudest) && silence < end_silence + GRACE;
                if (silence >= end_silence && !sound && !self.held) || frame_end.since(start) >= longest {
                    self.finish(on);
                }
            }
            _ => {}
        }
    }

    /// In noise the faint ends of words are lost, and a pause seems longer than it is: by up to this factor.
    fn doubt(&self, loudest: f32) -> f32 {
        let above_db = 10.0 * (loudest / self.noise.unwrap_or(0.0).max(1.0)).max(1.0).log10();
        1.0 + ((CLEAR_DB - above_db) / (CLEAR_DB - DROWNED_DB)).clamp(0.0, 1.0)
    }

    /// Power up to which a frame of a turn is silence.
    fn floor(&self, loudest: f32) -> f32 {
        (loudest * BELOW_LOUDEST).max(self.noise.unwrap_or(0.0) * ABOVE_NOISE)
    }
}

/// Mean power of a frame without what lies below a voice: the rumble of a road is stronger than all speech.
fn power(frame: &[i16]) -> f32 {
    let steps = frame.windows(2).map(|w| f32::from(w[1]) - RUMBLE * f32::from(w[0]));
    steps.map(|s| s * s).sum::<f32>() / FRAME as f32
}
