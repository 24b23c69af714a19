//! A command that synthesises and plays by itself (`speak_command`).

use crate::output::speech_output::{SpeechOutput, end, start};
use std::process::{Child, Stdio};

/// One run of the command for each sentence, read from its standard input; a stop kills it. Its sound is not known to the
/// node, so the echo canceller has no reference for it.
pub struct PlaybackCommand {
    command: Vec<String>,
    child: Option<Child>,
}

impl PlaybackCommand {
    /// `command`: program and arguments, separated by spaces; `None` when it is empty.
    pub fn new(command: &str) -> Option<Self> {
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        (!command.is_empty()).then_some(Self { command, child: None })
    }
}

impl SpeechOutput for PlaybackCommand {
    fn begin(&mut self, text: &str) -> Result<(), String> {
        let started = start(&self.command, text, Stdio::null());
        self.child = Some(started.map_err(|e| format!("{}: {e}; is it installed? (speak_command)", self.command[0]))?);
        Ok(())
    }

    fn poll(&mut self) -> Result<bool, String> {
        let Some(child) = &mut self.child else { return Ok(false) };
        let ended = match child.try_wait() {
            Ok(None) => return Ok(true),
            Ok(Some(status)) if status.success() => Ok(false),
            Ok(Some(status)) => Err(format!("{} failed: {status} (speak_command)", self.command[0])),
            Err(e) => Err(format!("waiting for {}: {e}", self.command[0])),
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
