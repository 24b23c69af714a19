//! Voice activity detection (VAD) by the `earshot` network, and from it the turns of the speaker.
//!
//! All times are times of samples, not of their arrival: a turn ends at the end of its last voiced frame, although that is
//! known only after the end silence.

use crate::input::audio::SAMPLE_NS;
use auriga_runtime::Nanos;
use std::time::Duration;

/// Samples of a frame of the network: 16 ms.
const FRAME: usize = 256;
/// Duration of a frame.
const FRAME_TIME: Duration = Duration::from_nanos(FRAME as u64 * SAMPLE_NS);
/// Tolerance of a chunk's stamp. Beyond it samples were lost or repeated.
const JITTER: Duration = Duration::from_millis(20);
/// Within a turn the threshold is lower by this much, so that the faint ends of words stay voiced.
const HYSTERESIS: f32 = 0.15;
/// The network's input spans 48 ms and it keeps a state: after the last sound its score takes about 80 ms to fall. So that
/// this does not delay the end of a turn, a voiced frame must also have power. It is silent below this share of the turn's
/// loudest frame (-35 dB) ...
const BELOW_LOUDEST: f32 = 3.2e-4;
/// ... or below this multiple of the background's power.
const ABOVE_NOISE: f32 = 1.5;
/// Pre-emphasis: the share of the last sample that is subtracted from the next. A high-pass from some hundred hertz on.
const PRE_EMPHASIS: f32 = 0.95;
/// In noise the faint ends of words are missed and pauses measure too long. At this signal-to-noise ratio or more the end
/// silence is used as configured ...
const CLEAN_SNR_DB: f32 = 20.0;
/// ... and at this ratio or less it is doubled.
const NOISY_SNR_DB: f32 = 12.0;
/// When sound comes back just before a turn would end, the turn is kept open this much longer for the network to decide.
const GRACE: Duration = Duration::from_millis(64);
/// Adaptation of the background's power per frame: it falls within some frames, but rises at most by this share of itself,
/// since the first frames of a voice are not yet voiced.
const NOISE_FALL: f32 = 1.0 / 4.0;
const NOISE_RISE: f32 = 1.0 / 32.0;

/// Parameters of the detector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VadSettings {
    /// Score of the network (0 to 1) from which a frame is voiced.
    pub threshold: f32,
    /// Voice needed before a turn begins; a click is shorter.
    pub start: Duration,
    /// Silence that ends a turn.
    pub end_silence: Duration,
    /// Longest turn; it is ended there.
    pub longest: Duration,
}

/// The begin or the end of a turn, by the times of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnEvent {
    /// A turn began: time of its first voiced sample.
    Started(Nanos),
    /// A turn ended.
    Ended {
        /// Time of its first voiced sample.
        start: Nanos,
        /// Time after its last voiced sample.
        end: Nanos,
    },
}

/// Result of [`TurnDetector::push`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// The samples follow those before.
    Contiguous,
    /// Samples of this length are missing before these.
    AfterGap(Duration),
    /// The samples lie this far before the position reached, and were left out.
    OutOfOrder(Duration),
}

/// Detects turns in a stream of samples that comes in pieces of any length.
pub struct TurnDetector {
    settings: VadSettings,
    network: Box<earshot::Detector>,
    frame: Vec<i16>,
    /// Time after the last sample taken.
    next: Option<Nanos>,
    state: State,
    /// Power of the background; `None` before the first unvoiced frame.
    noise: Option<f32>,
    /// The turn under way is kept open by the talk button.
    held_open: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Silence,
    /// Some voice, not yet enough for a turn.
    Onset {
        start: Nanos,
        end: Nanos,
        voiced: Duration,
    },
    Speech {
        start: Nanos,
        end: Nanos,
        loudest: f32,
    },
}

impl TurnDetector {
    /// In silence.
    pub fn new(settings: VadSettings) -> Self {
        let network = Box::new(earshot::Detector::default());
        Self {
            settings,
            network,
            frame: Vec::with_capacity(FRAME),
            next: None,
            state: State::Silence,
            noise: None,
            held_open: false,
        }
    }

    /// Whether a turn is under way.
    pub fn speaking(&self) -> bool {
        matches!(self.state, State::Speech { .. })
    }

    /// Whether there is voice, not yet enough for a turn.
    pub fn onset(&self) -> bool {
        matches!(self.state, State::Onset { .. })
    }

    /// Time after the last sample taken; `None` before the first.
    pub fn position(&self) -> Option<Nanos> {
        self.next
    }

    /// Trailing silence of the turn under way; `None` outside of a turn.
    pub fn silence(&self) -> Option<Duration> {
        match (self.state, self.next) {
            (State::Speech { end, .. }, Some(next)) => Some(next.since(end)),
            _ => None,
        }
    }

    /// Sets the silence that ends a turn.
    pub fn set_end_silence(&mut self, silence: Duration) {
        self.settings.end_silence = silence;
    }

    /// Begins a turn, if none is under way, and keeps it open until [`Self::finish`] or until it is too long.
    pub fn hold_open(&mut self, on: &mut impl FnMut(TurnEvent)) {
        self.held_open = true;
        if !self.speaking() {
            let at = self.next.unwrap_or_default();
            self.state = State::Speech { start: at, end: at, loudest: 0.0 };
            on(TurnEvent::Started(at));
        }
    }

    /// Takes samples, the first of which was captured at `stamp`.
    pub fn push(&mut self, stamp: Nanos, samples: &[i16], on: &mut impl FnMut(TurnEvent)) -> Accepted {
        let mut taken = Accepted::Contiguous;
        if let Some(next) = self.next {
            if stamp + JITTER < next {
                return Accepted::OutOfOrder(next.since(stamp));
            }
            if stamp > next + JITTER {
                taken = Accepted::AfterGap(stamp.since(next));
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

    /// Ends the turn under way, if there is one.
    pub fn finish(&mut self, on: &mut impl FnMut(TurnEvent)) {
        if let State::Speech { start, end, .. } = self.state {
            on(TurnEvent::Ended { start, end });
        }
        self.state = State::Silence;
        self.held_open = false;
    }

    /// Samples are missing up to `stamp`; they count as silence.
    fn gap(&mut self, stamp: Nanos, on: &mut impl FnMut(TurnEvent)) {
        self.frame.clear();
        self.network.reset();
        match self.state {
            State::Speech { end, .. } if self.held_open || stamp.since(end) < self.settings.end_silence => {}
            _ => self.finish(on),
        }
    }

    fn take_frame(&mut self, frame_end: Nanos, on: &mut impl FnMut(TurnEvent)) {
        let score = self.network.predict_i16(&self.frame);
        let power = power(&self.frame);
        let VadSettings { threshold, start: needed, end_silence, longest } = self.settings;
        let voiced = score >= threshold;
        self.state = match self.state {
            State::Silence if voiced => {
                State::Onset { start: frame_end - FRAME_TIME, end: frame_end, voiced: FRAME_TIME }
            }
            State::Silence => {
                self.noise = Some(self.noise.map_or(power, |n| match power < n {
                    true => n + NOISE_FALL * (power - n),
                    // Plus one, or the estimate would never leave digital silence.
                    false => n + NOISE_RISE * (power - n).min(n + 1.0),
                }));
                State::Silence
            }
            State::Onset { start, voiced: before, .. } if voiced => {
                State::Onset { start, end: frame_end, voiced: before + FRAME_TIME }
            }
            // A pause as short as within a word does not restart the count.
            State::Onset { end, .. } if frame_end.since(end) > needed => State::Silence,
            State::Onset { .. } => self.state,
            State::Speech { start, end, loudest } => {
                let silent = self.silence_power(loudest);
                let end = if score >= threshold - HYSTERESIS && power > silent { frame_end } else { end };
                State::Speech { start, end, loudest: loudest.max(power) }
            }
        };
        match self.state {
            State::Onset { start, end, voiced } if voiced >= needed => {
                self.state = State::Speech { start, end, loudest: power };
                on(TurnEvent::Started(start));
            }
            State::Speech { start, end, loudest } => {
                let silence = frame_end.since(end);
                let end_silence = end_silence.mul_f32(self.noise_factor(loudest));
                let sound = power > self.silence_power(loudest) && silence < end_silence + GRACE;
                if (silence >= end_silence && !sound && !self.held_open) || frame_end.since(start) >= longest {
                    self.finish(on);
                }
            }
            _ => {}
        }
    }

    /// Factor of the end silence by the signal-to-noise ratio: 1 to 2.
    fn noise_factor(&self, loudest: f32) -> f32 {
        let snr_db = 10.0 * (loudest / self.noise.unwrap_or(0.0).max(1.0)).max(1.0).log10();
        1.0 + ((CLEAN_SNR_DB - snr_db) / (CLEAN_SNR_DB - NOISY_SNR_DB)).clamp(0.0, 1.0)
    }

    /// Power up to which a frame of a turn is silent.
    fn silence_power(&self, loudest: f32) -> f32 {
        (loudest * BELOW_LOUDEST).max(self.noise.unwrap_or(0.0) * ABOVE_NOISE)
    }
}

/// Mean power of a frame after pre-emphasis: without it the rumble of a road is stronger than speech.
fn power(frame: &[i16]) -> f32 {
    let steps = frame.windows(2).map(|w| f32::from(w[1]) - PRE_EMPHASIS * f32::from(w[0]));
    steps.map(|s| s * s).sum::<f32>() / FRAME as f32
}
