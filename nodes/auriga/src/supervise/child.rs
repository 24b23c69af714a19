//! One running process, its output and the pipe over which it says that it is alive.

use super::{event::Exit, log::LogFile, procfs, screen::Screen, watchdog};
use crate::launch::{Output, Process};
use auriga_runtime::supervision::{self, Message};
use rustix::{
    fs::{OFlags, fcntl_setfl, fstat},
    io::{FdFlags, fcntl_setfd},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal},
};
use std::{
    cell::Cell,
    collections::VecDeque,
    io::{self, PipeReader, Read},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    process::Stdio,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader, Interest, unix::AsyncFd},
    task::JoinHandle,
};

/// Longer lines are split.
const LONGEST_LINE: usize = 16 * 1024;
/// Lines kept for reports of crash loops.
const LAST_LINES: usize = 8;
/// How long the output is read after the end of a process and of all that it had started.
const OUTPUT_ENDS_WITHIN: Duration = Duration::from_millis(100);
/// How often what a process has left behind is looked for, in case that starts further programs meanwhile.
const LEFT_BEHIND: usize = 10;
/// Of a line over the supervision pipe.
const LONGEST_MESSAGE: usize = 256;

/// Where the output of a process goes; the same over all its restarts.
#[derive(Clone)]
pub(super) struct Outputs {
    name: String,
    shows_stdout: bool,
    log: LogFile,
    screen: Screen,
    last: Arc<Mutex<VecDeque<String>>>,
}

impl Outputs {
    pub fn new(process: &Process, log: LogFile, screen: Screen) -> Outputs {
        Outputs {
            name: process.name.clone(),
            shows_stdout: process.output == Output::Screen,
            log,
            screen,
            last: Arc::default(),
        }
    }

    fn line(&self, line: &str, shown: bool) {
        self.log.line(line);
        if shown {
            self.screen.show(&self.name, line);
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(line.to_owned());
    }

    /// Adds a line of the supervisor to the log.
    pub fn note(&self, text: &str) {
        self.log.line(&format!("--- {text}"));
    }

    pub fn last_lines(&self) -> Vec<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// A process that has been started.
pub(super) struct Child {
    pid: Pid,
    /// Refers to this process also when its pid has become another's.
    handle: Rc<OwnedFd>,
    /// Set before it is waited for: from then on its process group may be another's.
    ended: Rc<Cell<bool>>,
    said: Said,
}

/// The end of a process that has been started.
pub(super) struct Waiter {
    child: tokio::process::Child,
    pid: Pid,
    handle: AsyncFd<Rc<OwnedFd>>,
    ended: Rc<Cell<bool>>,
    /// The environment variable that all have which it has started.
    mark: String,
    output: Vec<JoinHandle<()>>,
}

impl Child {
    /// Starts a process. `restarts` and `reason`: how often it was restarted, and how it ended the last time.
    pub fn start(process: &Process, outputs: &Outputs, restarts: u32, reason: &str) -> io::Result<(Child, Waiter)> {
        let mut command = tokio::process::Command::new(&process.executable);
        command
            .args(process.command_line())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own process group: Ctrl-C in the terminal reaches it only through the supervisor, and SIGKILL reaches
            // its children too.
            .process_group(0)
            .kill_on_drop(true)
            // Its lines go to a file.
            .env("NO_COLOR", "1");
        if let Some(folder) = &process.folder {
            command.current_dir(folder);
        }
        for (name, value) in &process.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        for name in watchdog::VARIABLES {
            command.env_remove(name);
        }
        let (said, speaks) = io::pipe()?;
        fcntl_setfl(&said, OFlags::NONBLOCK)?;
        fcntl_setfl(&speaks, OFlags::NONBLOCK)?;
        // Unique among all pipes that are open.
        let name = format!("{}:{}", speaks.as_raw_fd(), fstat(&speaks)?.st_ino);
        command.env(supervision::CHANNEL, &name).env(supervision::RESTARTS, restarts.to_string());
        match reason {
            "" => command.env_remove(supervision::RESTART_REASON),
            reason => command.env(supervision::RESTART_REASON, reason.replace('\0', " ")),
        };
        let parent = rustix::process::getpid();
        // SAFETY: between fork and exec only system calls are made, without allocating or taking locks.
        unsafe {
            command.pre_exec(move || {
                // A launcher in the background ignores SIGINT, which its processes would inherit.
                for signal in [libc::SIGINT, libc::SIGTERM] {
                    if libc::signal(signal, libc::SIG_DFL) == libc::SIG_ERR {
                        return Err(io::Error::last_os_error());
                    }
                }
                fcntl_setfd(&speaks, FdFlags::empty())?;
                rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
                // The parent may have died before that call.
                if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
            });
        }
        let mut child = command.spawn()?;
        // And with it this process's end of `speaks`.
        drop(command);
        let pid = child.id().and_then(|id| Pid::from_raw(id as i32)).ok_or(io::ErrorKind::NotFound)?;
        let handle = Rc::new(pidfd_open(pid, PidfdFlags::empty())?);
        // SAFETY: the descriptor stays open, and the same, as long as this reference counts.
        let readable = unsafe { AsyncFd::register_with_interest(handle.clone(), Interest::READABLE) }?;
        let mut output = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            output.push(tokio::task::spawn_local(read_lines(stdout, outputs.clone(), outputs.shows_stdout)));
        }
        if let Some(stderr) = child.stderr.take() {
            output.push(tokio::task::spawn_local(read_lines(stderr, outputs.clone(), true)));
        }
        let ended = Rc::new(Cell::new(false));
        let waiter = Waiter {
            child,
            pid,
            handle: readable,
            ended: ended.clone(),
            mark: format!("{}={name}", supervision::CHANNEL),
            output,
        };
        Ok((Child { pid, handle, ended, said: Said { pipe: said, line: Vec::new() } }, waiter))
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// What it has said since the last call.
    pub fn said(&mut self) -> Vec<Message> {
        self.said.read()
    }

    pub fn signal(&self, signal: i32) {
        if let Some(signal) = Signal::from_named_raw(signal) {
            // It may have ended just now.
            let _ = pidfd_send_signal(&self.handle, signal);
        }
    }

    /// Sends SIGKILL to it and its process group. What has left the group is killed when it has ended.
    pub fn kill(&self) {
        self.signal(libc::SIGKILL);
        if !self.ended.get() {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }
}

impl Waiter {
    /// Waits for its end, ends all that it has left behind, and waits for the last output.
    pub async fn wait(mut self) -> Exit {
        // An error is that of epoll, and then the wait below is all there is.
        let _ = self.handle.readable().await;
        self.ended.set(true);
        // Before it is waited for: until then nobody else can have its process group.
        let _ = kill_process_group(self.pid, Signal::KILL);
        let exit = match self.child.wait().await {
            Ok(status) => match status.signal() {
                Some(signal) => Exit::Signal(signal),
                None => Exit::Code(status.code().unwrap_or(1)),
            },
            Err(error) => Exit::NotStarted(format!("cannot be waited for: {error}")),
        };
        for _ in 0..LEFT_BEHIND {
            if procfs::kill_all_with(&self.mark) == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let output = std::mem::take(&mut self.output);
        let aborts: Vec<_> = output.iter().map(JoinHandle::abort_handle).collect();
        let all_read = async {
            for task in output {
                let _ = task.await;
            }
        };
        if tokio::time::timeout(OUTPUT_ENDS_WITHIN, all_read).await.is_err() {
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
        exit
    }
}

/// The supervisor's end of the pipe.
struct Said {
    pipe: PipeReader,
    /// The beginning of a line.
    line: Vec<u8>,
}

impl Said {
    fn read(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut buffer = [0; 4096];
        // A program may write without end: one buffer a time.
        let read = self.pipe.read(&mut buffer).unwrap_or(0);
        for byte in &buffer[..read] {
            match byte {
                b'\n' => {
                    messages.extend(std::str::from_utf8(&self.line).ok().and_then(Message::parse));
                    self.line.clear();
                }
                // The rest of a line that is too long cannot be a message.
                byte if self.line.len() < LONGEST_MESSAGE => self.line.push(*byte),
                _ => {}
            }
        }
        messages
    }
}

async fn read_lines(pipe: impl AsyncRead + Unpin, outputs: Outputs, shown: bool) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        let (used, ended) = match pipe.fill_buf().await {
            Ok([]) | Err(_) => break,
            Ok(buffer) => match buffer.iter().position(|byte| *byte == b'\n') {
                Some(at) => {
                    line.extend_from_slice(&buffer[..at]);
                    (at + 1, true)
                }
                None => {
                    line.extend_from_slice(buffer);
                    (buffer.len(), line.len() >= LONGEST_LINE)
                }
            },
        };
        pipe.consume(used);
        if ended {
            outputs.line(String::from_utf8_lossy(&line).trim_end_matches('\r'), shown);
            line.clear();
        }
    }
    if !line.is_empty() {
        outputs.line(&String::from_utf8_lossy(&line), shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    proptest! {
        #[test]
        fn messages_are_found_among_any_other_bytes_and_however_they_are_cut(
            lines in prop::collection::vec(prop_oneof![Just(b"READY=1".to_vec()), Just(b"WATCHDOG=1".to_vec()),
                prop::collection::vec(any::<u8>().prop_filter("one line", |byte| *byte != b'\n'), 0..400)], 0..8),
            cut in 1..50usize,
        ) {
            let (reader, mut writer) = io::pipe().unwrap();
            fcntl_setfl(&reader, OFlags::NONBLOCK).unwrap();
            let mut said = Said { pipe: reader, line: Vec::new() };
            let bytes: Vec<u8> = lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect();
            let mut found = Vec::new();
            for part in bytes.chunks(cut) {
                writer.write_all(part).unwrap();
                found.extend(said.read());
            }
            prop_assert!(said.read().is_empty());
            let parsed = |line: &Vec<u8>| std::str::from_utf8(line).ok().and_then(Message::parse);
            let expected: Vec<Message> = lines.iter().filter_map(parsed).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
