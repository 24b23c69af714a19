//! The speech thread: speaks sentence after sentence and stops at once when the driver speaks.
//!
//! Either a text-to-speech command writes the sound and the node plays it ([`synthesizer`](crate::output::synthesizer)),
//! or a command does both ([`playback_command`](crate::output::playback_command)).

use crate::{
    config::Config,
    input::front_end::echo::EchoReference,
    output::{
        effect::Effect, playback::PlaybackGate, playback_command::PlaybackCommand, speech_output::SpeechOutput,
        synthesizer::Synthesizer, text_normalization::normalize,
    },
};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

/// Sentences that may wait; a reply is shorter.
const QUEUE: usize = 64;
/// Period of [`SpeechOutput::poll`].
const POLL: Duration = Duration::from_millis(10);

/// The configured speech output; `None` when the reply is only shown. `references` gets the echo reference each time the
/// loudspeaker is opened.
pub fn output(config: &Config, references: Sender<EchoReference>) -> Option<Box<dyn SpeechOutput>> {
    if !config.speaker.is_empty() {
        let (command, device) = (&config.tts_command, &config.speaker);
        return Some(Box::new(Synthesizer::new(command, device, config.playback_period(), references)));
    }
    PlaybackCommand::new(&config.speak_command).map(|command| Box::new(command) as Box<dyn SpeechOutput>)
}

/// The speech thread's handle. Dropping it stops the speech.
pub struct SpeechPlayer {
    to_thread: Option<SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
    stops: Arc<AtomicU64>,
    gate: Option<Arc<PlaybackGate>>,
}

/// A sentence for the thread, or a wake-up to check the count of stops.
struct Request {
    /// Count of stops when the request was made.
    stops: u64,
    sentence: Option<String>,
}

impl SpeechPlayer {
    /// Starts the thread; without an output nothing is ever spoken. `fault` reports an error.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        output: Option<Box<dyn SpeechOutput>>,
        fault: impl Fn(String) + Send + 'static,
    ) -> std::io::Result<Self> {
        let stops = Arc::new(AtomicU64::new(0));
        let Some(output) = output else { return Ok(Self { to_thread: None, thread: None, stops, gate: None }) };
        let (to_thread, requests) = sync_channel(QUEUE);
        let gate = output.gate();
        let worker = Worker { output, requests, stops: stops.clone(), stops_seen: 0, waiting: VecDeque::new(), fault };
        let thread = std::thread::Builder::new().name("speaker".into()).spawn(move || worker.run())?;
        Ok(Self { to_thread: Some(to_thread), thread: Some(thread), stops, gate })
    }

    /// Carries out an effect without waiting. False when a sentence was dropped because the queue is full.
    pub fn handle(&self, effect: Effect) -> bool {
        let Some(to_thread) = &self.to_thread else { return true };
        let sentence = match effect {
            Effect::Speak(sentence) => Some(sentence),
            Effect::PauseSpeaking | Effect::ResumeSpeaking => {
                if let Some(gate) = &self.gate {
                    gate.set_paused(effect == Effect::PauseSpeaking);
                }
                return true;
            }
            Effect::StopSpeaking => {
                // Mute before the count: whoever sees the new count opens the gate again.
                if let Some(gate) = &self.gate {
                    gate.mute();
                    gate.set_paused(false);
                }
                self.stops.fetch_add(1, Ordering::Release);
                None
            }
        };
        let stop = sentence.is_none();
        let request = Request { stops: self.stops.load(Ordering::Relaxed), sentence };
        // A stop does not depend on the wake-up: with a full queue the thread is busy and sees the count.
        to_thread.try_send(request).is_ok() || stop
    }
}

impl Drop for SpeechPlayer {
    fn drop(&mut self) {
        self.to_thread = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker<F> {
    output: Box<dyn SpeechOutput>,
    requests: Receiver<Request>,
    stops: Arc<AtomicU64>,
    /// Count of stops that were carried out.
    stops_seen: u64,
    /// Sentences that came while one was being spoken.
    waiting: VecDeque<String>,
    fault: F,
}

impl<F: Fn(String)> Worker<F> {
    fn run(mut self) {
        loop {
            let sentence = match self.waiting.pop_front() {
                Some(sentence) => sentence,
                None => match self.requests.recv() {
                    Ok(request) => {
                        self.enqueue(request);
                        continue;
                    }
                    Err(_) => break,
                },
            };
            let text = normalize(&sentence);
            if text.is_empty() {
                continue;
            }
            match self.output.begin(&text) {
                Ok(()) if !self.speak() => break,
                Ok(()) => {
                    if let Some(warning) = self.output.take_warning() {
                        (self.fault)(warning);
                    }
                }
                Err(e) => (self.fault)(e),
            }
        }
        self.output.stop();
    }

    /// Runs until the sentence is spoken or stopped. False when the node is gone.
    fn speak(&mut self) -> bool {
        let stops_seen = self.stops_seen;
        while self.stops_seen == stops_seen {
            match self.output.poll() {
                Ok(true) => {}
                Ok(false) => break,
                Err(e) => {
                    (self.fault)(e);
                    break;
                }
            }
            match self.requests.recv_timeout(POLL) {
                Ok(request) => self.enqueue(request),
                Err(RecvTimeoutError::Timeout) => self.check_stops(),
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    /// Queues a sentence, unless a stop came after it.
    fn enqueue(&mut self, request: Request) {
        self.check_stops();
        let current = request.stops == self.stops_seen && self.waiting.len() < QUEUE;
        if let Some(sentence) = request.sentence.filter(|_| current) {
            self.waiting.push_back(sentence);
        }
    }

    fn check_stops(&mut self) {
        let stops = self.stops.load(Ordering::Acquire);
        if std::mem::replace(&mut self.stops_seen, stops) != stops {
            self.waiting.clear();
            self.output.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Mutex, time::Instant};

    fn command(line: &str) -> Option<Box<dyn SpeechOutput>> {
        PlaybackCommand::new(line).map(|command| Box::new(command) as Box<dyn SpeechOutput>)
    }

    fn faults() -> (Arc<Mutex<Vec<String>>>, impl Fn(String) + Send + 'static) {
        let list = Arc::new(Mutex::new(Vec::new()));
        let other = list.clone();
        (list, move |text| other.lock().unwrap().push(text))
    }
    fn wait_for(what: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !what() {
            assert!(Instant::now() < deadline, "waited for 10 s");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn sentences_reach_the_command_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let said = dir.path().join("said");
        let (faults, fault) = faults();
        let player = SpeechPlayer::start(command(&format!("tee -a {}", said.display())), fault).unwrap();
        for text in ["One.", "2 km.", "Three.", "*"] {
            assert!(player.handle(Effect::Speak(text.into())));
        }
        wait_for(|| std::fs::read_to_string(&said).is_ok_and(|s| s == "One.two kilometres.Three."));
        assert!(faults.lock().unwrap().is_empty());
    }

    #[test]
    fn a_stop_kills_the_command_and_drops_the_queue() {
        let (faults, fault) = faults();
        let player = SpeechPlayer::start(command("sleep 60"), fault).unwrap();
        let began = Instant::now();
        for _ in 0..3 {
            player.handle(Effect::Speak("long".into()));
        }
        std::thread::sleep(Duration::from_millis(100));
        player.handle(Effect::StopSpeaking);
        std::thread::sleep(Duration::from_millis(100));
        drop(player);
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(faults.lock().unwrap().is_empty());
    }

    #[test]
    fn a_failing_or_missing_command_is_reported_without_the_text() {
        for line in ["false", "/nonexistent/voice --stdin"] {
            let (faults, fault) = faults();
            let player = SpeechPlayer::start(command(line), fault).unwrap();
            player.handle(Effect::Speak("a secret".into()));
            wait_for(|| !faults.lock().unwrap().is_empty());
            let text = faults.lock().unwrap()[0].clone();
            assert!(text.contains("speak_command") && !text.contains("secret"), "{text}");
        }
        let silent = SpeechPlayer::start(None, |_| panic!("no command")).unwrap();
        assert!(silent.handle(Effect::Speak("nothing".into())));
    }
}
