//! The terminal. Lines go to it over a bounded queue and a thread: when the terminal blocks (Ctrl-S, a slow connection),
//! lines are dropped and counted, and no node blocks on its output.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

/// Lines.
const QUEUE: usize = 2048;
/// ANSI codes of cyan, green, magenta, blue, yellow and their bright variants; red is for errors.
const COLOURS: [u8; 10] = [36, 32, 35, 34, 33, 96, 92, 95, 94, 93];

/// Shows lines of processes and of the supervisor. Clones share the terminal.
#[derive(Clone)]
pub struct Screen {
    /// `None` ends the thread.
    lines: Option<SyncSender<Option<String>>>,
    dropped: Arc<AtomicU64>,
    colour: bool,
    filter: fn(&str) -> bool,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Screen {
    /// Passes each line to `sink`, on its own thread. `colour`: labels are coloured.
    pub fn new(colour: bool, mut sink: impl FnMut(&str) + Send + 'static) -> Screen {
        let (lines, incoming) = sync_channel::<Option<String>>(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let missed = dropped.clone();
        let thread = std::thread::spawn(move || {
            while let Ok(Some(line)) = incoming.recv() {
                sink(&line);
                let missed = missed.swap(0, Ordering::Relaxed);
                if missed > 0 {
                    sink(&format!("({missed} lines were not shown; they are in the log)"));
                }
            }
        });
        Screen { lines: Some(lines), dropped, colour, filter: |_| true, thread: Arc::new(Mutex::new(Some(thread))) }
    }

    /// Shows only those lines of processes for which `filter` returns true.
    pub fn filtered(self, filter: fn(&str) -> bool) -> Screen {
        Screen { filter, ..self }
    }

    /// Shows nothing.
    pub fn none() -> Screen {
        Screen { lines: None, dropped: Arc::default(), colour: false, filter: |_| false, thread: Arc::default() }
    }

    /// Shows a line of the supervisor.
    pub fn print(&self, text: &str) {
        let Some(lines) = &self.lines else { return };
        if let Err(TrySendError::Full(_)) = lines.try_send(Some(text.to_owned())) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Shows a line of the process `name`.
    pub(super) fn show(&self, name: &str, line: &str) {
        if !(self.filter)(line) {
            return;
        }
        if self.colour {
            let colour = label_colour(name);
            self.print(&format!("\x1b[{colour}m[{name}]\x1b[0m {line}"));
        } else {
            self.print(&format!("[{name}] {line}"));
        }
    }

    /// Waits until all lines so far are shown; shows none after that.
    pub fn close(&self) {
        let Some(lines) = &self.lines else { return };
        // The thread may have ended before.
        let _ = lines.send(None);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the sink has been printed.
            let _ = thread.join();
        }
    }
}

/// The colour of a process's label, the same in each launch: FNV-1a of its name.
fn label_colour(name: &str) -> u8 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    COLOURS[hash as usize % COLOURS.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_blocked_terminal_does_not_block_and_dropped_lines_are_counted() {
        let (go, wait) = channel::<()>();
        let (shown, seen) = channel();
        let screen = Screen::new(false, move |line| {
            let _ = wait.recv();
            shown.send(line.to_owned()).unwrap();
        });
        for n in 0..QUEUE + 100 {
            screen.show("camera", &n.to_string());
        }
        drop(go);
        screen.close();
        let seen: Vec<String> = seen.iter().collect();
        assert_eq!(seen[0], "[camera] 0");
        let count = seen.iter().find(|line| line.contains("not shown")).expect("a count");
        let missed: usize = count.trim_start_matches('(').split(' ').next().unwrap().parse().unwrap();
        assert_eq!(seen.len() - 1 + missed, QUEUE + 100);
    }

    #[test]
    fn labels_are_coloured_when_colour_is_on() {
        let (shown, seen) = channel();
        let screen = Screen::new(true, move |line| shown.send(line.to_owned()).unwrap()).filtered(|l| l != "hidden");
        screen.show("can", "x");
        screen.show("can", "hidden");
        screen.close();
        let colour = label_colour("can");
        assert_eq!(seen.iter().collect::<Vec<_>>(), [format!("\x1b[{colour}m[can]\x1b[0m x")]);
    }

    #[test]
    fn a_name_of_any_length_has_a_colour_that_stays_the_same() {
        let long = "a_node_in_a_deep_namespace_".repeat(100);
        for name in ["", "can", "größe", &long] {
            assert!(COLOURS.contains(&label_colour(name)), "{name}");
            assert_eq!(label_colour(name), label_colour(name));
        }
        let nodes = ["arbiter", "hud", "language", "fusion", "perception", "speech", "can", "camera", "recorder"];
        let different: std::collections::BTreeSet<u8> = nodes.iter().map(|name| label_colour(name)).collect();
        assert!(different.len() >= 5, "{different:?}");
    }
}
