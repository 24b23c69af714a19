//! One running process and its two pipes.

use super::{event::Exit, log::LogFile, screen::Screen};
use crate::launch::{Output, Process};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::{
    collections::VecDeque,
    io,
    os::unix::process::ExitStatusExt,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    task::JoinHandle,
};

pub(super) const INT: i32 = Signal::INT.as_raw();
pub(super) const TERM: i32 = Signal::TERM.as_raw();
/// Longer lines are split.
const LONGEST_LINE: usize = 16 * 1024;
/// Lines kept for reports of crash loops.
const LAST_LINES: usize = 8;
/// How long pipes are read after the end of a process: its children may keep them open.
const PIPES_CLOSE_WITHIN: Duration = Duration::from_millis(500);

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
    child: tokio::process::Child,
    pid: Pid,
    pipes: Vec<JoinHandle<()>>,
    /// Set once it has been waited for: after that its pid may belong to another process.
    ended: Option<Exit>,
}

impl Child {
    pub fn start(process: &Process, outputs: &Outputs) -> io::Result<Child> {
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
        for (name, value) in &process.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
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
                rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
                // The parent may have died before that call.
                if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
            });
        }
        let mut child = command.spawn()?;
        let pid = child.id().and_then(|id| Pid::from_raw(id as i32)).ok_or(io::ErrorKind::NotFound)?;
        let mut pipes = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            pipes.push(tokio::task::spawn_local(read_lines(stdout, outputs.clone(), outputs.shows_stdout)));
        }
        if let Some(stderr) = child.stderr.take() {
            pipes.push(tokio::task::spawn_local(read_lines(stderr, outputs.clone(), true)));
        }
        Ok(Child { child, pid, pipes, ended: None })
    }

    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get() as u32
    }

    /// Waits for its end and its last output. Cancel safe.
    pub async fn wait(&mut self) -> Exit {
        let exit = match &self.ended {
            Some(exit) => exit.clone(),
            None => match self.child.wait().await {
                Ok(status) => match status.signal() {
                    Some(signal) => Exit::Signal(signal),
                    None => Exit::Code(status.code().unwrap_or(1)),
                },
                Err(error) => Exit::NotStarted(format!("cannot be waited for: {error}")),
            },
        };
        self.ended = Some(exit.clone());
        let all_read = async {
            // One by one: a finished task must not be awaited again.
            while let Some(pipe) = self.pipes.last_mut() {
                let _ = pipe.await;
                self.pipes.pop();
            }
        };
        if tokio::time::timeout(PIPES_CLOSE_WITHIN, all_read).await.is_err() {
            self.pipes.iter().for_each(JoinHandle::abort);
        }
        self.pipes.clear();
        exit
    }

    pub fn signal(&self, signal: i32) {
        if self.ended.is_none()
            && let Some(signal) = Signal::from_named_raw(signal)
        {
            // It may have ended just now.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Sends SIGKILL to its process group.
    pub fn kill_group(&self) {
        if self.ended.is_none() {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
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
