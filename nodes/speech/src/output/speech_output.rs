//! The trait of what speaks a sentence, and the processes that do.

use crate::output::playback::PlaybackGate;
use std::{
    io::Write,
    process::{Child, Command, Stdio},
    sync::Arc,
};

/// Longest text given to a process. A Linux pipe holds sixteen times this, so writing never blocks.
const MAX_TEXT_BYTES: usize = 4096;

/// Speaks one sentence at a time. Error texts never contain the sentence: it is private.
///
/// # Errors
/// When a process or the loudspeaker fails; the sentence is then given up.
pub trait SpeechOutput: Send {
    /// Begins a sentence.
    fn begin(&mut self, text: &str) -> Result<(), String>;
    /// Called every few milliseconds. False when the next sentence may begin.
    fn poll(&mut self) -> Result<bool, String>;
    /// Stops at once.
    fn stop(&mut self);
    /// A problem of the sentence just spoken that did not stop it.
    fn take_warning(&mut self) -> Option<String> {
        None
    }
    /// The gate that mutes this output from any thread, before [`SpeechOutput::stop`] is called.
    fn gate(&self) -> Option<Arc<PlaybackGate>> {
        None
    }
}

/// Starts a command (program and arguments) and writes a text to its standard input. Does not wait for a process that does
/// not read; one that has ended already is seen by its exit status.
pub(super) fn start(command: &[String], text: &str, output: Stdio) -> std::io::Result<Child> {
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        let text = &text[..text.floor_char_boundary(MAX_TEXT_BYTES)];
        let _ = stdin.write_all(text.as_bytes());
    }
    Ok(child)
}

/// Kills a process and collects it. It may have ended by itself; errors of either call are of no interest then.
pub(super) fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}
