//! The speech node: what is said in the cabin becomes utterances, and the reply is spoken.
//!
//! Audio comes from a device ([`capture`], through the [`front_end`] that keeps our own voice out: [`echo`]) or a WAV file
//! ([`wav`]). [`zone`] tells the speaker's seat. [`vad`] finds the turns of the speaker; those that are for the car
//! ([`attention`], [`wake`]) get their text, on their way through [`hearing`], from a recogniser ([`recogniser`], whose
//! model folder is first looked over: [`model`]) or, when there is none, from the transcript track of a drive
//! ([`transcript`], [`track`]), marked as such. Sentences of the reply ([`reply`]) are handed to what speaks ([`speak`],
//! [`voice`]), in words ([`spoken`]).
//!
//! An utterance is stamped with the end of speech, that is the last voiced sample; that the end of a turn takes
//! `end_silence_ms` to be sure of is part of the latency told from that stamp.
//!
//! Private: what is said before the wake phrase, or without the talk button, leaves nothing behind; audio is published
//! only with consent, text is never logged, and a fault never carries text.

pub mod attention;
pub mod capture;
mod config;
pub mod device;
pub mod echo;
pub mod front_end;
pub mod hearing;
mod listen;
pub mod loudspeaker;
mod meter;
pub mod model;
mod nbest;
pub mod noise;
pub mod patience;
pub mod recogniser;
pub mod reply;
pub mod resample;
pub mod sample_clock;
pub mod speak;
pub mod spoken;
mod symbols;
pub mod tape;
mod tell;
pub mod track;
pub mod transcript;
pub mod vad;
pub mod vocabulary;
pub mod voice;
pub mod wake;
pub mod wav;
pub mod zone;

pub use config::{Config, DEFAULTS};

use attention::Attention;
use auriga_msgs::{node, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use hearing::Hearing;
use meter::Meter;
use model::ModelError;
use recogniser::Opened;
use reply::Reply;
use std::{collections::VecDeque, fmt, time::Duration};
use track::Track;
use v1::Severity;
use vad::TurnDetector;
use wake::WakePhrases;
use zone::Zones;

/// Audio that stays away this long ends the turn under way.
const AUDIO_LOST: Duration = Duration::from_millis(500);

/// What the shell is asked to do.
#[derive(Clone, PartialEq, Eq)]
pub enum Effect {
    /// Speak this sentence after those before it.
    Speak(String),
    /// Be silent at once, but go on from there when told to.
    HoldSpeaking,
    GoOnSpeaking,
    /// Be silent at once and forget what was still to be said.
    StopSpeaking,
}

impl fmt::Debug for Effect {
    /// Without the text: it is private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Speak(text) => write!(f, "Speak({} bytes)", text.len()),
            Effect::HoldSpeaking => f.write_str("HoldSpeaking"),
            Effect::GoOnSpeaking => f.write_str("GoOnSpeaking"),
            Effect::StopSpeaking => f.write_str("StopSpeaking"),
        }
    }
}

/// The state machine.
pub struct SpeechNode {
    config: Config,
    detector: TurnDetector,
    attention: Attention,
    phrases: WakePhrases,
    hearing: Option<Hearing>,
    /// What to tell about the model at the first tick: why there is none although one was given, or what it lacks.
    model_error: Option<String>,
    remarks: Vec<String>,
    /// The last samples before a turn, for the recogniser.
    lead_in: VecDeque<i16>,
    turn: Turn,
    /// Presses and releases of the talk button that the audio has not come to yet.
    button: VecDeque<(Nanos, bool)>,
    button_down: bool,
    track: Track,
    zones: Zones,
    meter: Meter,
    reply: Reply,
    reply_held: bool,
    /// Until when the reply so far is spoken, as it is guessed from its length.
    reply_until: Nanos,
    /// Utterances begun so far: the count of the trace.
    utterances: u64,
    chunks: u64,
    last_audio: Option<Nanos>,
    first_audio: Option<Nanos>,
    deaf_told: bool,
    wakes: u64,
}

/// The turn under way, or the last one.
#[derive(Default)]
struct Turn {
    start: Nanos,
    /// Time of the first sample the recogniser got.
    recogniser_began: Nanos,
    /// It is for the car without a wake phrase.
    ours: bool,
    /// The partial result published last, and when.
    partial: String,
    published: Nanos,
    /// The pause under way was thought about.
    pause_seen: bool,
    /// The last turn that was for the car.
    last_ours: Option<(Nanos, Nanos)>,
}

impl SpeechNode {
    /// `opened` as [`recogniser::open`] gives it: a model that cannot be used becomes a fault, and the node goes on
    /// without.
    pub fn new(config: &Config, opened: Result<Option<Opened>, ModelError>) -> anyhow::Result<Self> {
        config.check()?;
        let (opened, model_error) = match opened {
            Ok(opened) => (opened, None),
            Err(e) => (None, Some(e.to_string())),
        };
        let phrases = WakePhrases::new(&config.wake_phrases);
        let mut remarks = Vec::new();
        let hearing = opened.map(|mut opened| {
            remarks.append(&mut opened.remarks);
            Hearing::new(opened.recogniser, phrases.clone(), config.wake_confidence)
        });
        let longest = Duration::from_secs(config.longest_turn_s);
        Ok(Self {
            config: config.clone(),
            detector: TurnDetector::new(config.turns()),
            attention: Attention::new(config.activation, Duration::from_secs_f64(config.attention_s), longest),
            phrases,
            hearing,
            model_error,
            remarks,
            lead_in: VecDeque::with_capacity(listen::LEAD_IN),
            turn: Turn::default(),
            button: VecDeque::new(),
            button_down: false,
            track: Track::default(),
            zones: Zones::new(config.seats()?),
            meter: Meter::default(),
            reply: Reply::default(),
            reply_held: false,
            reply_until: Nanos::ZERO,
            utterances: 0,
            chunks: 0,
            last_audio: None,
            first_audio: None,
            deaf_told: false,
            wakes: 0,
        })
    }

    /// How often the wake phrase has been heard.
    pub fn wakes(&self) -> u64 {
        self.wakes
    }
}

impl Node for SpeechNode {
    type Name = node::Speech;
    type Effect = Effect;

    fn on_input(&mut self, input: node::SpeechInput, now: Nanos, out: &mut Outbox<Self>) {
        match input {
            node::SpeechInput::DeviceAudio(chunk) => self.on_audio(&chunk, now, out),
            node::SpeechInput::DeviceTranscript(line) => {
                if !self.track.add(&line) {
                    let text = "a line ends before it starts, or there are too many; left out";
                    out.fault(now, Severity::Warning, "transcript-line", "device/transcript", text);
                }
            }
            node::SpeechInput::VehicleState(state) => self.on_vehicle(&state, now, out),
            node::SpeechInput::LanguageTurn(piece) => self.on_reply(&piece, now, out),
        }
    }

    fn on_tick(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        if let Some(error) = self.model_error.take() {
            let text = format!("{error}. The node goes on without recogniser");
            out.fault(now, Severity::Critical, "speech-model", "model", text);
        }
        for remark in self.remarks.drain(..) {
            out.fault(now, Severity::Info, "speech-vocabulary", "model", remark);
        }
        let Some(last) = self.last_audio else { return };
        if now.since(last) < AUDIO_LOST {
            out.tick_at(last + AUDIO_LOST);
        } else {
            self.audio_lost(now.since(last), now, out);
        }
    }
}
