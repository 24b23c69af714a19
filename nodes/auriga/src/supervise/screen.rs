//! The terminal. Lines go to it over a short queue and a thread of its own: a terminal that is held up (by Ctrl-S, or
//! a slow connection) makes lines be left out and counted, and never holds up a node that writes to its log.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

const QUEUE: usize = 2048;
/// Blue, green, magenta, cyan, yellow and their bright kinds: red is left to errors.
const COLOURS: [u8; 10] = [36, 32, 35, 34, 33, 96, 92, 95, 94, 93];

#[derive(Clone)]
pub struct Screen {
    /// `None` ends the thread.
    lines: Option<SyncSender<Option<String>>>,
    left_out: Arc<AtomicU64>,
    colour: bool,
    filter: fn(&str) -> bool,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Screen {
    /// Hands each line to `sink`, on a thread of its own. `colour`: labels are coloured.
    pub fn new(colour: bool, mut sink: impl FnMut(&str) + Send + 'static) -> Screen {
        let (lines, incoming) = sync_channel::<Option<String>>(QUEUE);
        let left_out = Arc::new(AtomicU64::new(0));
        let missed = left_out.clone();
        let thread = std::thread::spawn(move || {
            while let Ok(Some(line)) = incoming.recv() {
                sink(&line);
                let missed = missed.swap(0, Ordering::Relaxed);
                if missed > 0 {
                    sink(&format!("({missed} lines were not shown; they are in the log)"));
                }
            }
        });
        Screen { lines: Some(lines), left_out, colour, filter: |_| true, thread: Arc::new(Mutex::new(Some(thread))) }
    }

    /// Shows only the lines of processes that `filter` lets through.
    pub fn filtered(self, filter: fn(&str) -> bool) -> Screen {
        Screen { filter, ..self }
    }

    /// Shows nothing.
    pub fn none() -> Screen {
        Screen { lines: None, left_out: Arc::default(), colour: false, filter: |_| false, thread: Arc::default() }
    }

    /// A line of this program's own.
    pub fn say(&self, text: &str) {
        let Some(lines) = &self.lines else { return };
        if let Err(TrySendError::Full(_)) = lines.try_send(Some(text.to_owned())) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A line of the process `name`, the `number`-th of the launch.
    pub(super) fn show(&self, number: usize, name: &str, line: &str) {
        if !(self.filter)(line) {
            return;
        }
        if self.colour {
            let colour = COLOURS[number % COLOURS.len()];
            self.say(&format!("\x1b[{colour}m[{name}]\x1b[0m {line}"));
        } else {
            self.say(&format!("[{name}] {line}"));
        }
    }

    /// Waits until all lines so far are shown, and shows none after that.
    pub fn close(&self) {
        let Some(lines) = &self.lines else { return };
        // The thread may have ended already.
        let _ = lines.send(None);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A sink that panicked has said so.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_terminal_that_hangs_holds_nobody_up_and_the_lines_left_out_are_counted() {
        let (go, wait) = channel::<()>();
        let (shown, seen) = channel();
        let screen = Screen::new(false, move |line| {
            let _ = wait.recv();
            shown.send(line.to_owned()).unwrap();
        });
        for n in 0..QUEUE + 100 {
            screen.show(0, "camera", &n.to_string());
        }
        drop(go);
        screen.close();
        let seen: Vec<String> = seen.iter().collect();
        assert_eq!(seen[0], "[camera] 0");
        let told = seen.iter().find(|line| line.contains("not shown")).expect("they are counted");
        let missed: usize = told.trim_start_matches('(').split(' ').next().unwrap().parse().unwrap();
        assert_eq!(seen.len() - 1 + missed, QUEUE + 100);
    }

    #[test]
    fn labels_are_coloured_where_colour_is_wanted() {
        let (shown, seen) = channel();
        let screen = Screen::new(true, move |line| shown.send(line.to_owned()).unwrap()).filtered(|l| l != "hidden");
        screen.show(1, "can", "x");
        screen.show(1, "can", "hidden");
        screen.close();
        assert_eq!(seen.iter().collect::<Vec<_>>(), ["\x1b[32m[can]\x1b[0m x"]);
    }
}
