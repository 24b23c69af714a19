//! Speech out: sentence after sentence, silent at once when the driver speaks.
//!
//! Either an engine writes the sound and we play it ([`crate::output::synthesizer`]), or a command does both ([`PlayingCommand`]).

use crate::{
    config::Config, input::front_end::echo::Reference, node::Effect, output::playback::Gate,
    output::synthesizer::Voice, output::text_normalization::spoken,
};
use std::{
    collections::VecDeque,
    io::Write,
    process::{Child, Command, Stdio},
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
/// Linux pipes hold sixteen times this.
const LONGEST_TEXT_BYTES: usize = 4096;
/// How often what is being spoken is looked after.
const POLL: Duration = Duration::from_millis(10);

/// What speaks one sentence at a time.
pub trait Mouth: Send {
    /// Begins with a sentence.
    fn begin(&mut self, words: &str) -> Result<(), String>;
    /// Called every few milliseconds; false when the next sentence may begin.
    fn go_on(&mut self) -> Result<bool, String>;
    /// Is silent at once.
    fn stop(&mut self);
    /// What was not as it should be with a sentence that has been spoken all the same.
    fn trouble(&mut self) -> Option<String> {
        None
    }
    /// What silences it from any thread, before [`Mouth::stop`] is called.
    fn hush(&self) -> Option<Arc<Gate>> {
        None
    }
}

/// What the configuration says speaks; `references` gets what our own loudspeaker plays.
pub fn mouth(config: &Config, references: Sender<Reference>) -> Option<Box<dyn Mouth>> {
    if !config.speaker.is_empty() {
        return Some(Box::new(Voice::new(&config.voice, &config.speaker, config.playback_period(), references)));
    }
    let command = PlayingCommand::new(&config.speak_command);
    (!command.words.is_empty()).then(|| Box::new(command) as Box<dyn Mouth>)
}

/// A thread that speaks what it is told. Dropping it silences it.
pub struct Speaker {
    to_thread: Option<SyncSender<Told>>,
    thread: Option<JoinHandle<()>>,
    stops: Arc<AtomicU64>,
    gate: Option<Arc<Gate>>,
}

/// What the thread is told: a sentence, or to look at the count of stops.
struct Told {
    /// Stops before it.
    stops: u64,
    sentence: Option<String>,
}

impl Speaker {
    /// Without a mouth nothing is ever spoken. `fault` is told when something fails.
    pub fn start(mouth: Option<Box<dyn Mouth>>, fault: impl Fn(String) + Send + 'static) -> std::io::Result<Self> {
        let stops = Arc::new(AtomicU64::new(0));
        let Some(mouth) = mouth else { return Ok(Self { to_thread: None, thread: None, stops, gate: None }) };
        let (to_thread, from_node) = sync_channel(QUEUE);
        let gate = mouth.hush();
        let talk = Talk { mouth, from_node, stops: stops.clone(), heeded: 0, waiting: VecDeque::new(), fault };
        let thread = std::thread::Builder::new().name("speaker".into()).spawn(move || talk.run())?;
        Ok(Self { to_thread: Some(to_thread), thread: Some(thread), stops, gate })
    }

    /// Never waits: with more than a few dozen sentences waiting, further ones are dropped. Returns whether it was taken.
    pub fn tell(&self, effect: Effect) -> bool {
        let Some(to_thread) = &self.to_thread else { return true };
        let sentence = match effect {
            Effect::Speak(sentence) => Some(sentence),
            Effect::HoldSpeaking | Effect::GoOnSpeaking => {
                if let Some(gate) = &self.gate {
                    gate.hold(effect == Effect::HoldSpeaking);
                }
                return true;
            }
            Effect::StopSpeaking => {
                // Silence first: whoever sees the new count opens the gate again.
                if let Some(gate) = &self.gate {
                    gate.shut();
                    gate.hold(false);
                }
                self.stops.fetch_add(1, Ordering::Release);
                None
            }
        };
        let stop = sentence.is_none();
        let told = Told { stops: self.stops.load(Ordering::Relaxed), sentence };
        // A thread with so much before it need not be woken for a stop.
        to_thread.try_send(told).is_ok() || stop
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.to_thread = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Talk<F> {
    mouth: Box<dyn Mouth>,
    from_node: Receiver<Told>,
    stops: Arc<AtomicU64>,
    /// Of these stops.
    heeded: u64,
    /// Sentences that came while one was being spoken.
    waiting: VecDeque<String>,
    fault: F,
}

impl<F: Fn(String)> Talk<F> {
    fn run(mut self) {
        loop {
            let sentence = match self.waiting.pop_front() {
                Some(sentence) => sentence,
                None => match self.from_node.recv() {
                    Ok(told) => {
                        self.take(told);
                        continue;
                    }
                    Err(_) => break,
                },
            };
            let words = spoken(&sentence);
            if words.is_empty() {
                continue;
            }
            // Errors never carry the text: it is private.
            match self.mouth.begin(&words) {
                Ok(()) if !self.attend() => break,
                Ok(()) => {
                    if let Some(trouble) = self.mouth.trouble() {
                        (self.fault)(trouble);
                    }
                }
                Err(e) => (self.fault)(e),
            }
        }
        self.mouth.stop();
    }

    /// Until the sentence is spoken or stopped. False when the node is gone.
    fn attend(&mut self) -> bool {
        let heeded = self.heeded;
        while self.heeded == heeded {
            match self.mouth.go_on() {
                Ok(true) => {}
                Ok(false) => break,
                Err(e) => {
                    (self.fault)(e);
                    break;
                }
            }
            match self.from_node.recv_timeout(POLL) {
                Ok(told) => self.take(told),
                Err(RecvTimeoutError::Timeout) => self.heed(),
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    /// Queues a sentence, unless a stop came after it.
    fn take(&mut self, told: Told) {
        self.heed();
        if let Some(sentence) = told.sentence.filter(|_| told.stops == self.heeded && self.waiting.len() < QUEUE) {
            self.waiting.push_back(sentence);
        }
    }

    fn heed(&mut self) {
        let stops = self.stops.load(Ordering::Acquire);
        if std::mem::replace(&mut self.heeded, stops) != stops {
            self.waiting.clear();
            self.mouth.stop();
        }
    }
}

/// A command that plays by itself what it reads on its standard input, one run for each sentence, killed by a stop. What
/// it plays is not known, so it is not kept out of the microphone.
pub struct PlayingCommand {
    words: Vec<String>,
    child: Option<Child>,
}

impl PlayingCommand {
    /// `command`: program and arguments, separated by spaces.
    pub fn new(command: &str) -> Self {
        Self { words: command.split_whitespace().map(str::to_owned).collect(), child: None }
    }
}

impl Mouth for PlayingCommand {
    fn begin(&mut self, words: &str) -> Result<(), String> {
        let started = start(&self.words, words, Stdio::null());
        self.child = Some(started.map_err(|e| format!("{}: {e}; is it installed? (speak_command)", self.words[0]))?);
        Ok(())
    }

    fn go_on(&mut self) -> Result<bool, String> {
        let Some(child) = &mut self.child else { return Ok(false) };
        let ended = match child.try_wait() {
            Ok(None) => return Ok(true),
            Ok(Some(status)) if status.success() => Ok(false),
            Ok(Some(status)) => Err(format!("{} failed: {status} (speak_command)", self.words[0])),
            Err(e) => Err(format!("waiting for {}: {e}", self.words[0])),
        };
        self.child = None;
        ended
    }

    fn stop(&mut self) {
        if let Some(child) = self.child.take() {
            end(child);
        }
    }
}

/// Starts a command (program and arguments) and hands it a text. So much fits into the pipe: this does not wait for a
/// process that does not read. One that has gone already shows in its exit status.
pub(crate) fn start(command: &[String], text: &str, output: Stdio) -> std::io::Result<Child> {
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        let text = &text[..text.floor_char_boundary(LONGEST_TEXT_BYTES)];
        let _ = stdin.write_all(text.as_bytes());
    }
    Ok(child)
}

/// Ends a process. It may have ended by itself just now; either way it is over.
pub(crate) fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Mutex, time::Instant};

    fn command(line: &str) -> Option<Box<dyn Mouth>> {
        Some(Box::new(PlayingCommand::new(line)))
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
    fn sentences_reach_the_command_one_after_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let said = dir.path().join("said");
        let (faults, fault) = faults();
        let speaker = Speaker::start(command(&format!("tee -a {}", said.display())), fault).unwrap();
        for text in ["One.", "2 km.", "Three.", "*"] {
            assert!(speaker.tell(Effect::Speak(text.into())));
        }
        wait_for(|| std::fs::read_to_string(&said).is_ok_and(|s| s == "One.two kilometres.Three."));
        assert!(faults.lock().unwrap().is_empty());
    }

    #[test]
    fn a_stop_kills_the_command_and_forgets_the_rest() {
        let (faults, fault) = faults();
        let speaker = Speaker::start(command("sleep 60"), fault).unwrap();
        let began = Instant::now();
        for _ in 0..3 {
            speaker.tell(Effect::Speak("long".into()));
        }
        std::thread::sleep(Duration::from_millis(100));
        speaker.tell(Effect::StopSpeaking);
        std::thread::sleep(Duration::from_millis(100));
        drop(speaker);
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(faults.lock().unwrap().is_empty());
    }

    #[test]
    fn a_command_that_fails_or_is_missing_is_told_without_the_text() {
        for line in ["false", "/nonexistent/voice --stdin"] {
            let (faults, fault) = faults();
            let speaker = Speaker::start(command(line), fault).unwrap();
            speaker.tell(Effect::Speak("a secret".into()));
            wait_for(|| !faults.lock().unwrap().is_empty());
            let text = faults.lock().unwrap()[0].clone();
            assert!(text.contains("speak_command") && !text.contains("secret"), "{text}");
        }
        let silent = Speaker::start(None, |_| panic!("no command")).unwrap();
        assert!(silent.tell(Effect::Speak("nothing".into())));
    }
}
