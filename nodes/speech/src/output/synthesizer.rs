//! Speech by a text-to-speech (TTS) command that writes a WAV file to its standard output, played by the node: so each
//! sample is known to the echo canceller, and speech stops at once.

use crate::{
    input::{
        front_end::{echo::EchoReference, resample::ToMono},
        riff::{End, Samples},
    },
    output::{
        playback::{Loudspeaker, PlaybackGate},
        speech_output::{self, SpeechOutput},
    },
};
use std::{
    io::BufReader,
    process::{Child, ChildStdout, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, SyncSender, TryRecvError, sync_channel},
    },
    time::Duration,
};

/// Frames read from the command at a time.
const PIECE_FRAMES: usize = 2048;
/// Pieces that may wait.
const PIECES: usize = 8;

/// A piece of speech at the loudspeaker's rate, or why there is no more.
type Piece = Result<Vec<f32>, String>;

/// A TTS command and a loudspeaker.
pub struct Synthesizer {
    /// Program and arguments.
    command: Vec<String>,
    device: String,
    period: Duration,
    gate: Arc<PlaybackGate>,
    /// OpenedRecogniser with the first sentence, and anew after it was lost.
    loudspeaker: Option<Loudspeaker>,
    /// To the capture thread: the echo reference.
    references: Sender<EchoReference>,
    sentence: Option<Sentence>,
}

struct Sentence {
    process: Child,
    pieces: Receiver<Piece>,
    /// Synthesised samples that did not fit into the playback queue yet.
    waiting: Vec<f32>,
}

impl Synthesizer {
    /// `command`: program and arguments, separated by spaces; `device`: name of the loudspeaker; `period`: its period.
    pub fn new(command: &str, device: &str, period: Duration, references: Sender<EchoReference>) -> Self {
        Self {
            command: command.split_whitespace().map(str::to_owned).collect(),
            device: device.into(),
            period,
            gate: Arc::default(),
            loudspeaker: None,
            references,
            sentence: None,
        }
    }

    fn loudspeaker(&mut self) -> Result<&mut Loudspeaker, String> {
        if self.loudspeaker.as_ref().is_some_and(Loudspeaker::is_lost) {
            self.loudspeaker = None;
        }
        if self.loudspeaker.is_none() {
            let error = |e: String| format!("loudspeaker {}: {e} (speaker)", self.device);
            let (opened, ring) =
                Loudspeaker::open(&self.device, self.period, self.gate.clone()).map_err(|e| error(format!("{e:#}")))?;
            let reference = EchoReference::new(ring, opened.rate_hz).map_err(|e| error(e.to_string()))?;
            // Without a microphone there is no receiver.
            let _ = self.references.send(reference);
            self.loudspeaker = Some(opened);
        }
        self.loudspeaker.as_mut().ok_or_else(String::new)
    }
}

/// Starts the command on a sentence; its speech is resampled to this rate.
fn synthesise(command: &[String], text: &str, rate_hz: u32) -> Result<Sentence, String> {
    let error = |e: std::io::Error| format!("{}: {e}; is it installed? (tts_command)", command[0]);
    let mut process = speech_output::start(command, text, Stdio::piped()).map_err(error)?;
    let (to_node, pieces) = sync_channel(PIECES);
    if let Some(output) = process.stdout.take() {
        // The thread ends with the process, which is killed at a stop.
        let read = move || {
            if let Err(e) = read_speech(output, rate_hz, &to_node) {
                let _ = to_node.send(Err(e));
            }
        };
        std::thread::Builder::new().name("synthesis".into()).spawn(read).map_err(error)?;
    }
    Ok(Sentence { process, pieces, waiting: Vec::new() })
}

impl SpeechOutput for Synthesizer {
    fn begin(&mut self, text: &str) -> Result<(), String> {
        let rate_hz = self.loudspeaker()?.rate_hz;
        self.sentence = Some(synthesise(&self.command, text, rate_hz)?);
        Ok(())
    }

    fn poll(&mut self) -> Result<bool, String> {
        let Some(sentence) = &mut self.sentence else { return Ok(false) };
        let Some(loudspeaker) = self.loudspeaker.as_mut().filter(|l| !l.is_lost()) else {
            self.stop();
            return Err(format!("loudspeaker {}: the device is lost (speaker)", self.device));
        };
        loop {
            let taken = loudspeaker.queue.push(&sentence.waiting);
            sentence.waiting.drain(..taken);
            if !sentence.waiting.is_empty() {
                return Ok(true);
            }
            match sentence.pieces.try_recv() {
                Ok(Ok(piece)) => sentence.waiting = piece,
                Ok(Err(e)) => {
                    self.stop_process();
                    return Err(format!("{}: {e} (tts_command)", self.command[0]));
                }
                Err(TryRecvError::Empty) => return Ok(true),
                Err(TryRecvError::Disconnected) => {
                    self.stop_process();
                    // The next sentence is synthesised while this one is played.
                    return Ok(false);
                }
            }
        }
    }

    fn stop(&mut self) {
        self.gate.mute();
        self.stop_process();
        if let Some(loudspeaker) = &mut self.loudspeaker {
            loudspeaker.queue.discard_and_unmute();
        }
    }

    fn take_warning(&mut self) -> Option<String> {
        let underruns = self.loudspeaker.as_mut().map_or(0, Loudspeaker::take_underruns);
        let device = &self.device;
        (underruns > 0).then(|| {
            format!(
                "loudspeaker {device}: {underruns} underruns since the last sentence; the machine is too busy: raise \
                 playback_period_ms"
            )
        })
    }

    fn gate(&self) -> Option<Arc<PlaybackGate>> {
        Some(self.gate.clone())
    }
}

impl Synthesizer {
    fn stop_process(&mut self) {
        if let Some(sentence) = self.sentence.take() {
            speech_output::end(sentence.process);
        }
    }
}

impl Drop for Synthesizer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Reads the command's WAV output while it is being written, until it ends or the receiver is gone.
fn read_speech(output: ChildStdout, rate_hz: u32, to: &SyncSender<Piece>) -> Result<(), String> {
    let mut samples = Samples::new(BufReader::new(output)).map_err(|e| format!("its output {e}"))?;
    let format = samples.format;
    let mut converter = ToMono::new(format.rate_hz, format.channels, rate_hz).map_err(|e| e.to_string())?;
    let to_floats = |converted: Vec<i16>| converted.into_iter().map(|s| f32::from(s) / 32_768.0).collect();
    loop {
        let (mut piece, mut converted) = (Vec::new(), Vec::new());
        // A command that writes to a pipe does not know the length beforehand: the end of the output is the end.
        let end = samples.read(PIECE_FRAMES, &mut piece).unwrap_or(End::Cut);
        converter.push(&piece, &mut converted).map_err(|e| e.to_string())?;
        if end == End::More {
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

    fn speech(command: &str, text: &str) -> Result<Vec<f32>, String> {
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let mut sentence = synthesise(&command, text, 48_000)?;
        let pieces: Result<Vec<Vec<f32>>, String> = sentence.pieces.iter().collect();
        let _ = sentence.process.wait();
        pieces.map(|p| p.concat())
    }

    #[test]
    fn the_commands_output_is_resampled_to_the_loudspeakers_rate() {
        let said = match speech("espeak-ng --stdin --stdout", "You can go two hundred and twelve kilometres.") {
            Err(e) if e.contains("is it installed") => return auriga_testing::skip("espeak-ng is not installed"),
            said => said.unwrap(),
        };
        let seconds = said.len() as f64 / 48_000.0;
        assert!((1.5..6.0).contains(&seconds), "{seconds} s");
        assert!(said.iter().any(|s| s.abs() > 0.2) && said.iter().all(|s| s.abs() <= 1.0));
    }

    #[test]
    fn a_missing_or_failing_command_is_reported_without_the_text() {
        for command in ["/nonexistent/voice", "cat", "true"] {
            let e = speech(command, "a secret").unwrap_err();
            assert!(!e.contains("secret") && !e.is_empty(), "{e}");
        }
    }

    #[test]
    fn a_missing_loudspeaker_is_reported_by_name_without_the_text() {
        let (references, _taken) = std::sync::mpsc::channel();
        let mut synthesizer =
            Synthesizer::new("espeak-ng --stdout", "no such loudspeaker", Duration::from_millis(10), references);
        let e = synthesizer.begin("a secret").unwrap_err();
        assert!(e.contains("no such loudspeaker") && !e.contains("secret"), "{e}");
        assert_eq!(synthesizer.poll(), Ok(false));
        synthesizer.stop();
    }
}
