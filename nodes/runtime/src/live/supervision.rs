//! How a node tells the program that started it that it is alive.
//!
//! The supervisor (`auriga launch`) gives each process one end of a pipe of its own and names it in [`CHANNEL`]. The node
//! writes lines to it, in the words of systemd's `sd_notify`: it is up, its loop turns, it is closing. A pipe, because it
//! costs one `write` of a few bytes, needs no name that another process could write to, works without Zenoh, and is closed
//! by the kernel with the process. Only the node's own loop writes: a node whose loop hangs is silent, whatever its other
//! threads do.
//!
//! A program without the variable (run by hand, under a debugger, by `ros2 launch`) writes nothing.

use crate::time::Nanos;
use auriga_msgs::Criticality;
use rustix::{
    fd::{BorrowedFd, OwnedFd},
    fs::{FileType, fstat},
    io::{FdFlags, fcntl_setfd},
};
use std::time::Duration;

/// Environment variable of the pipe: `FD:INODE`, the number of the file descriptor and the inode of the pipe, so that a
/// program that inherits only the variable does not write to something else.
pub const CHANNEL: &str = "AURIGA_SUPERVISOR";
/// Environment variable: how often the supervisor has restarted the process.
pub const RESTARTS: &str = "AURIGA_RESTARTS";
/// Environment variable: how the process before this one ended.
pub const RESTART_REASON: &str = "AURIGA_RESTART_REASON";

/// What a process says over the pipe: a line each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// It is up: its loop begins.
    Ready,
    /// Its loop turns.
    Alive,
    /// Its loop has ended; it closes files and connections.
    Closing,
}

impl Message {
    /// The line, with its end.
    pub fn line(self) -> &'static str {
        match self {
            Message::Ready => "READY=1\n",
            Message::Alive => "WATCHDOG=1\n",
            Message::Closing => "STOPPING=1\n",
        }
    }

    /// The message of a line without its end; `None` for any other line.
    pub fn parse(line: &str) -> Option<Message> {
        let line = line.trim_end();
        [Message::Ready, Message::Alive, Message::Closing].into_iter().find(|message| message.line().trim_end() == line)
    }
}

/// Time between two heartbeats of a node of this class; also what one step of its state machine may take before that is
/// reported. A third of the time after which the supervisor takes it for hung.
pub fn heartbeat_period(class: Criticality) -> Duration {
    match class {
        Criticality::Safety => Duration::from_millis(100),
        Criticality::Assist | Criticality::Infotainment => Duration::from_millis(400),
    }
}

/// The node's end of the pipe.
pub(super) struct Heartbeat {
    pipe: Option<OwnedFd>,
    period: Duration,
    /// When the next heartbeat is due; `None` without a supervisor.
    next: Option<Nanos>,
}

impl Heartbeat {
    /// Over the pipe that the environment names, if it does.
    pub(super) fn from_environment(class: Criticality) -> Self {
        let pipe = std::env::var(CHANNEL).ok().and_then(|value| take_pipe(&value));
        Self { pipe, period: heartbeat_period(class), next: None }
    }

    /// When the next heartbeat is due.
    pub(super) fn next(&self) -> Nanos {
        self.next.unwrap_or(Nanos(u64::MAX))
    }

    /// What one step may take.
    pub(super) fn period(&self) -> Duration {
        self.period
    }

    /// The loop begins.
    pub(super) fn ready(&mut self, now: Nanos) {
        self.say(Message::Ready);
        self.next = self.pipe.is_some().then_some(now + self.period);
    }

    /// The loop turns.
    pub(super) fn beat(&mut self, now: Nanos) {
        if self.next.is_some_and(|next| next <= now) {
            self.say(Message::Alive);
            self.next = Some(now + self.period);
        }
    }

    /// The loop has ended.
    pub(super) fn closing(&mut self) {
        self.say(Message::Closing);
        self.next = None;
    }

    fn say(&self, message: Message) {
        if let Some(pipe) = &self.pipe {
            // It does not wait: when the supervisor reads nothing for minutes the pipe is full, and what is in it says
            // enough. When it has died the kernel stops this process.
            let _ = rustix::io::write(pipe, message.line().as_bytes());
        }
    }
}

/// The pipe of `FD:INODE`, which programs that this process starts do not inherit from now on. `None` when there is no
/// such pipe.
fn take_pipe(value: &str) -> Option<OwnedFd> {
    let (number, inode) = value.split_once(':')?;
    let (number, inode): (i32, u64) = (number.parse().ok().filter(|number| *number > 2)?, inode.parse().ok()?);
    // SAFETY: the descriptor is used only if it is the pipe that the supervisor opened for this process before it was
    // started; no other part of the process knows its number, so nothing closes it.
    let inherited = unsafe { BorrowedFd::borrow_raw(number) };
    let stat = fstat(inherited).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo || stat.st_ino != inode {
        return None;
    }
    fcntl_setfd(inherited, FdFlags::CLOEXEC).ok()?;
    // A copy of its own, closed on exec as well.
    inherited.try_clone_to_owned().ok()
}

/// What the supervisor says of the process before this one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Restarted {
    /// Restarts since the launch.
    pub(super) count: u32,
    /// How the process before this one ended; empty when there was none.
    pub(super) reason: String,
}

impl Restarted {
    /// From [`RESTARTS`] and [`RESTART_REASON`].
    pub(super) fn from_environment() -> Self {
        let count = std::env::var(RESTARTS).ok().and_then(|count| count.parse().ok()).unwrap_or_default();
        Self { count, reason: std::env::var(RESTART_REASON).unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::Read,
        os::fd::{AsFd, AsRawFd},
    };

    fn name_of(pipe: impl AsFd) -> String {
        let inode = fstat(&pipe).unwrap().st_ino;
        format!("{}:{inode}", pipe.as_fd().as_raw_fd())
    }

    #[test]
    fn every_message_is_a_line_that_is_read_again() {
        for message in [Message::Ready, Message::Alive, Message::Closing] {
            assert_eq!(message.line().matches('\n').count(), 1);
            assert_eq!(Message::parse(message.line().trim_end()), Some(message));
        }
        for line in ["", "READY", "READY=0", "STATUS=fine", "WATCHDOG=trigger"] {
            assert_eq!(Message::parse(line), None, "{line}");
        }
    }

    #[test]
    fn the_loop_says_that_it_is_up_then_that_it_turns_once_a_period_and_then_that_it_closes() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let at = Nanos::from_millis;
        let pipe = take_pipe(&name_of(&writer));
        assert!(pipe.is_some());
        let mut heartbeat = Heartbeat { pipe, period: Duration::from_millis(100), next: None };
        heartbeat.beat(at(5));
        heartbeat.ready(at(10));
        assert_eq!(heartbeat.next(), at(110));
        [20, 109, 110, 111, 250].into_iter().for_each(|ms| heartbeat.beat(at(ms)));
        heartbeat.closing();
        heartbeat.beat(at(1000));
        drop((heartbeat, writer));
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        assert_eq!(said, "READY=1\nWATCHDOG=1\nWATCHDOG=1\nSTOPPING=1\n");
    }

    #[test]
    fn what_is_not_the_supervisors_pipe_is_not_written_to() {
        let (_reader, writer) = std::io::pipe().unwrap();
        let good = name_of(&writer);
        let fd = good.split(':').next().unwrap();
        let file = tempfile::tempfile().unwrap();
        let file = name_of(&file);
        for value in ["", ":", "7", "x:1", "1:1", "-1:4", "99999999999:1", &format!("{fd}:1"), "4000000:1", &file] {
            assert!(take_pipe(value).is_none(), "{value}");
        }
    }

    #[test]
    fn without_a_supervisor_the_loop_is_never_woken_for_a_heartbeat() {
        let mut heartbeat = Heartbeat { pipe: None, period: Duration::from_millis(100), next: None };
        heartbeat.ready(Nanos(0));
        assert_eq!(heartbeat.next(), Nanos(u64::MAX));
    }
}
