//! Speech by an engine in a process of its own that writes a WAV file to its standard output, played by us: so we know
//! each sample that is heard, can be silent at once, and keep it out of the microphone.

use crate::{
    input::front_end::echo::Reference,
    input::front_end::resample::ToMono,
    output::playback::{Gate, Loudspeaker},
    output::speaker::{self as speak, Mouth},
};
use hound::{SampleFormat, WavReader};
use std::{
    io::{BufReader, Read},
    process::{Child, ChildStdout, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, SyncSender, TryRecvError, sync_channel},
    },
    time::Duration,
};

/// Frames read from the engine at a time, and pieces of them that may wait.
const PIECE_FRAMES: usize = 2048;
const PIECES: usize = 8;

/// A piece of speech at the loudspeaker's rate, or why there is no more.
type Piece = Result<Vec<f32>, String>;

/// An engine and a loudspeaker.
pub struct Voice {
    /// Program and arguments.
    engine: Vec<String>,
    device: String,
    period: Duration,
    gate: Arc<Gate>,
    /// Opened with the first sentence, and anew after it was lost.
    loudspeaker: Option<Loudspeaker>,
    /// Where the echo canceller gets its reference from.
    references: Sender<Reference>,
    sentence: Option<Sentence>,
}

struct Sentence {
    engine: Child,
    pieces: Receiver<Piece>,
    /// Synthesised, but there was no room for it yet.
    waiting: Vec<f32>,
}

impl Voice {
    pub fn new(engine: &str, device: &str, period: Duration, references: Sender<Reference>) -> Self {
        Self {
            engine: engine.split_whitespace().map(str::to_owned).collect(),
            device: device.into(),
            period,
            gate: Arc::default(),
            loudspeaker: None,
            references,
            sentence: None,
        }
    }

    fn loudspeaker(&mut self) -> Result<&mut Loudspeaker, String> {
        if self.loudspeaker.as_ref().is_some_and(Loudspeaker::lost) {
            self.loudspeaker = None;
        }
        if self.loudspeaker.is_none() {
            let trouble = |e: String| format!("loudspeaker {}: {e} (speaker)", self.device);
            let (opened, tape) = Loudspeaker::open(&self.device, self.period, self.gate.clone())
                .map_err(|e| trouble(format!("{e:#}")))?;
            let reference = Reference::new(tape, opened.rate_hz).map_err(|e| trouble(e.to_string()))?;
            // Without a microphone nobody wants it.
            let _ = self.references.send(reference);
            self.loudspeaker = Some(opened);
        }
        self.loudspeaker.as_mut().ok_or_else(String::new)
    }
}

/// Starts the engine on a sentence; its speech comes at this rate.
fn synthesise(engine: &[String], words: &str, rate_hz: u32) -> Result<Sentence, String> {
    let trouble = |e: std::io::Error| format!("{}: {e}; is it installed? (voice)", engine[0]);
    let mut child = speak::start(engine, words, Stdio::piped()).map_err(trouble)?;
    let (to_us, pieces) = sync_channel(PIECES);
    if let Some(output) = child.stdout.take() {
        // It ends with the engine, which is killed when it is not wanted any more.
        let read = move || {
            if let Err(e) = read_speech(output, rate_hz, &to_us) {
                let _ = to_us.send(Err(e));
            }
        };
        std::thread::Builder::new().name("voice".into()).spawn(read).map_err(trouble)?;
    }
    Ok(Sentence { engine: child, pieces, waiting: Vec::new() })
}

impl Mouth for Voice {
    fn begin(&mut self, words: &str) -> Result<(), String> {
        let rate_hz = self.loudspeaker()?.rate_hz;
        self.sentence = Some(synthesise(&self.engine, words, rate_hz)?);
        Ok(())
    }

    fn go_on(&mut self) -> Result<bool, String> {
        let Some(sentence) = &mut self.sentence else { return Ok(false) };
        let Some(loudspeaker) = self.loudspeaker.as_mut().filter(|l| !l.lost()) else {
            self.stop();
            return Err(format!("loudspeaker {}: the device is lost (speaker)", self.device));
        };
        loop {
            let taken = loudspeaker.feed.push(&sentence.waiting);
            sentence.waiting.drain(..taken);
            if !sentence.waiting.is_empty() {
                return Ok(true);
            }
            match sentence.pieces.try_recv() {
                Ok(Ok(piece)) => sentence.waiting = piece,
                Ok(Err(e)) => {
                    self.stop_engine();
                    return Err(format!("{}: {e} (voice)", self.engine[0]));
                }
                Err(TryRecvError::Empty) => return Ok(true),
                Err(TryRecvError::Disconnected) => {
                    self.stop_engine();
                    // The next sentence is synthesised while this one is heard.
                    return Ok(false);
                }
            }
        }
    }

    fn stop(&mut self) {
        self.gate.shut();
        self.stop_engine();
        if let Some(loudspeaker) = &mut self.loudspeaker {
            loudspeaker.feed.open();
        }
    }

    fn trouble(&mut self) -> Option<String> {
        let times = self.loudspeaker.as_mut().map_or(0, Loudspeaker::underruns);
        let device = &self.device;
        (times > 0).then(|| {
            format!(
                "loudspeaker {device}: it ran empty {times} times since the last sentence; the machine is too busy for \
                 it: raise playback_period_ms"
            )
        })
    }

    fn hush(&self) -> Option<Arc<Gate>> {
        Some(self.gate.clone())
    }
}

impl Voice {
    fn stop_engine(&mut self) {
        if let Some(sentence) = self.sentence.take() {
            speak::end(sentence.engine);
        }
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Reads the engine's WAV while it is being written; returns when it is over or nobody listens.
fn read_speech(output: ChildStdout, rate_hz: u32, to: &SyncSender<Piece>) -> Result<(), String> {
    let reader = WavReader::new(BufReader::new(output)).map_err(|e| format!("its output is no WAV file: {e}"))?;
    let spec = reader.spec();
    let converter = ToMono::new(spec.sample_rate, spec.channels, rate_hz).map_err(|e| e.to_string())?;
    let scale = (1u64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
    match spec.sample_format {
        SampleFormat::Float => convert(reader.into_samples::<f32>(), |s| s, &spec, converter, to),
        SampleFormat::Int => convert(reader.into_samples::<i32>(), |s| s as f32 / scale, &spec, converter, to),
    }
}

fn convert<S: hound::Sample, R: Read>(
    mut samples: hound::WavIntoSamples<R, S>,
    to_f32: impl Fn(S) -> f32,
    spec: &hound::WavSpec,
    mut converter: ToMono,
    to: &SyncSender<Piece>,
) -> Result<(), String> {
    let wanted = PIECE_FRAMES * usize::from(spec.channels);
    let to_floats = |converted: Vec<i16>| converted.into_iter().map(|s| f32::from(s) / 32_768.0).collect();
    loop {
        // An engine that writes to a pipe does not know the length beforehand: its end is the end of the speech.
        let piece: Vec<f32> = samples.by_ref().map_while(Result::ok).take(wanted).map(&to_f32).collect();
        let mut converted = Vec::new();
        converter.push(&piece, &mut converted).map_err(|e| e.to_string())?;
        let over = piece.len() < wanted;
        if !over {
            if to.send(Ok(to_floats(converted))).is_err() {
                return Ok(());
            }
            continue;
        }
        converter.finish(&mut converted).map_err(|e| e.to_string())?;
        let _ = to.send(Ok(to_floats(converted)));
        return Ok(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speech(engine: &str, words: &str) -> Result<Vec<f32>, String> {
        let engine: Vec<String> = engine.split_whitespace().map(str::to_owned).collect();
        let mut sentence = synthesise(&engine, words, 48_000)?;
        let pieces: Result<Vec<Vec<f32>>, String> = sentence.pieces.iter().collect();
        let _ = sentence.engine.wait();
        pieces.map(|p| p.concat())
    }

    #[test]
    fn the_engines_wav_comes_at_the_loudspeakers_rate() {
        let said = match speech("espeak-ng --stdin --stdout", "You can go two hundred and twelve kilometres.") {
            Err(e) if e.contains("is it installed") => return eprintln!("skipped: espeak-ng is not installed"),
            said => said.unwrap(),
        };
        let seconds = said.len() as f64 / 48_000.0;
        assert!((1.5..6.0).contains(&seconds), "{seconds} s");
        assert!(said.iter().any(|s| s.abs() > 0.2) && said.iter().all(|s| s.abs() <= 1.0));
    }

    #[test]
    fn an_engine_that_is_missing_or_writes_no_wav_is_told_without_the_text() {
        for engine in ["/nonexistent/voice", "cat", "true"] {
            let e = speech(engine, "a secret").unwrap_err();
            assert!(!e.contains("secret") && !e.is_empty(), "{e}");
        }
    }

    #[test]
    fn without_a_loudspeaker_the_sentence_is_given_up_with_the_devices_name() {
        let (references, _taken) = std::sync::mpsc::channel();
        let mut voice = Voice::new("espeak-ng --stdout", "no such loudspeaker", Duration::from_millis(10), references);
        let e = voice.begin("a secret").unwrap_err();
        assert!(e.contains("no such loudspeaker") && !e.contains("secret"), "{e}");
        assert_eq!(voice.go_on(), Ok(false));
        voice.stop();
    }
}
