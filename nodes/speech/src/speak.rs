//! Speech out: a command in a process of its own, one run for each sentence, killed when the driver speaks.

use crate::Effect;
use std::{
    io::Write,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    thread::JoinHandle,
    time::Duration,
};

/// Sentences that may wait; a reply is shorter.
const QUEUE: usize = 64;
/// Linux pipes hold sixteen times this.
const LONGEST_TEXT_BYTES: usize = 4096;
/// How often a running command is looked at: a stop takes effect within this time.
const POLL: Duration = Duration::from_millis(10);

/// A thread that speaks what it is told. Dropping it silences it.
pub struct Speaker {
    to_thread: Option<SyncSender<Effect>>,
    thread: Option<JoinHandle<()>>,
}

impl Speaker {
    /// `command`: program and arguments, separated by spaces; it reads the text on its standard input. Empty: nothing is
    /// ever spoken. `fault` is told when it fails.
    pub fn start(command: &str, fault: impl Fn(String) + Send + 'static) -> std::io::Result<Self> {
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            return Ok(Self { to_thread: None, thread: None });
        }
        let (to_thread, from_node) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("speaker".into())
            .spawn(move || Voice { words, from_node, waiting: Vec::new(), fault }.run())?;
        Ok(Self { to_thread: Some(to_thread), thread: Some(thread) })
    }

    /// Never waits: with more than a few dozen sentences waiting, further ones are dropped. Returns whether it was taken.
    pub fn tell(&self, effect: Effect) -> bool {
        match self.to_thread.as_ref().map(|t| t.try_send(effect)) {
            None | Some(Ok(())) => true,
            Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) => false,
        }
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

struct Voice<F> {
    words: Vec<String>,
    from_node: Receiver<Effect>,
    /// Sentences that came while one was being spoken.
    waiting: Vec<String>,
    fault: F,
}

impl<F: Fn(String)> Voice<F> {
    fn run(mut self) {
        loop {
            let sentence = if self.waiting.is_empty() {
                match self.from_node.recv() {
                    Ok(Effect::Speak(text)) => text,
                    Ok(Effect::StopSpeaking) => continue,
                    Err(_) => return,
                }
            } else {
                self.waiting.remove(0)
            };
            match self.spawn(&sentence) {
                Ok(child) => {
                    if !self.attend(child) {
                        return;
                    }
                }
                // Not the text: it is private.
                Err(e) => (self.fault)(format!("{}: {e}; is it installed? (speak_command)", self.words[0])),
            }
        }
    }

    fn spawn(&self, sentence: &str) -> std::io::Result<Child> {
        let mut child = Command::new(&self.words[0])
            .args(&self.words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // So much fits into the pipe: this does not wait for a command that does not read. One that has gone already
            // shows in its exit status.
            let text = &sentence[..sentence.floor_char_boundary(LONGEST_TEXT_BYTES)];
            let _ = stdin.write_all(text.as_bytes());
        }
        Ok(child)
    }

    /// Waits for the command to end, or ends it. False when the node is gone.
    fn attend(&mut self, mut child: Child) -> bool {
        loop {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => return true,
                Ok(Some(status)) => {
                    (self.fault)(format!("{} failed: {status} (speak_command)", self.words[0]));
                    return true;
                }
                Ok(None) => {}
                Err(e) => {
                    (self.fault)(format!("waiting for {}: {e}", self.words[0]));
                    return true;
                }
            }
            let gone = match self.from_node.recv_timeout(POLL) {
                Ok(Effect::Speak(text)) => {
                    if self.waiting.len() < QUEUE {
                        self.waiting.push(text);
                    }
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => continue,
                Ok(Effect::StopSpeaking) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            self.waiting.clear();
            // It may have ended by itself just now; either way it is over.
            let _ = child.kill();
            let _ = child.wait();
            return !gone;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{Arc, Mutex},
        time::Instant,
    };

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
        let speaker = Speaker::start(&format!("tee -a {}", said.display()), fault).unwrap();
        for text in ["One.", "Two.", "Three."] {
            assert!(speaker.tell(Effect::Speak(text.into())));
        }
        wait_for(|| std::fs::read_to_string(&said).is_ok_and(|s| s == "One.Two.Three."));
        assert!(faults.lock().unwrap().is_empty());
    }

    #[test]
    fn a_stop_kills_the_command_and_forgets_the_rest() {
        let (faults, fault) = faults();
        let speaker = Speaker::start("sleep 60", fault).unwrap();
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
        for command in ["false", "/nonexistent/voice --stdin"] {
            let (faults, fault) = faults();
            let speaker = Speaker::start(command, fault).unwrap();
            speaker.tell(Effect::Speak("a secret".into()));
            wait_for(|| !faults.lock().unwrap().is_empty());
            let text = faults.lock().unwrap()[0].clone();
            assert!(text.contains("speak_command") && !text.contains("secret"), "{text}");
        }
        let silent = Speaker::start("", |_| panic!("no command")).unwrap();
        assert!(silent.tell(Effect::Speak("nothing".into())));
    }
}
