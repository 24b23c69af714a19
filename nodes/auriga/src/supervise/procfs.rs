//! What the kernel says of processes: what one does at the moment, and which ones another has left behind.

use super::core::Activity;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs;

/// What a process's main thread does, in which a node's loop runs.
pub(super) fn activity(pid: Pid) -> Activity {
    let pid = pid.as_raw_nonzero();
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return Activity::Unknown };
    // Processor time, time in the run queue, number of time slices.
    let schedule = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    parse(&status, &schedule)
}

fn parse(status: &str, schedule: &str) -> Activity {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if field("TracerPid:").is_some_and(|tracer| tracer != "0") {
        return Activity::Traced;
    }
    match field("State:").and_then(|state| state.chars().next()) {
        Some('R') => match schedule.split_whitespace().next().and_then(|cpu| cpu.parse().ok()) {
            Some(cpu_ns) => Activity::Runnable { cpu_ns },
            None => Activity::Unknown,
        },
        Some('T') => Activity::Stopped,
        Some('t') => Activity::Traced,
        Some('S') => Activity::Waiting,
        Some('D') => Activity::Blocked,
        _ => Activity::Unknown,
    }
}

/// Sends SIGKILL to every process with `variable` (`NAME=VALUE`) in the environment it was started with, which its children
/// inherit wherever they have gone: to another process group, session or parent. Returns how many there were.
pub(super) fn kill_all_with(variable: &str) -> usize {
    let Ok(entries) = fs::read_dir("/proc") else { return 0 };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().and_then(Pid::from_raw));
    pids.filter(|pid| kill_with(*pid, variable)).count()
}

fn kill_with(pid: Pid, variable: &str) -> bool {
    let has_it = || {
        let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
    };
    if pid == rustix::process::getpid() || !has_it() {
        return false;
    }
    // Looked at again behind the handle: until then the pid may have become another process's.
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    has_it() && pidfd_send_signal(handle, Signal::KILL).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    const STATUS: &str = "Name:\tcan\nState:\tR (running)\nTracerPid:\t0\n";

    #[test]
    fn the_state_of_a_process_is_read() {
        let with = |from: &str, to: &str| parse(&STATUS.replace(from, to), "1234 5 6\n");
        assert_eq!(with("", ""), Activity::Runnable { cpu_ns: 1234 });
        assert_eq!(with("R (running)", "T (stopped)"), Activity::Stopped);
        assert_eq!(with("R (running)", "t (tracing stop)"), Activity::Traced);
        assert_eq!(with("R (running)", "S (sleeping)"), Activity::Waiting);
        assert_eq!(with("R (running)", "D (disk sleep)"), Activity::Blocked);
        assert_eq!(with("R (running)", "Z (zombie)"), Activity::Unknown);
        assert_eq!(with("TracerPid:\t0", "TracerPid:\t41"), Activity::Traced);
        assert_eq!(parse(STATUS, ""), Activity::Unknown, "a kernel without statistics excuses nobody");
        assert!(matches!(activity(rustix::process::getpid()), Activity::Runnable { .. } | Activity::Waiting));
    }

    #[test]
    fn only_processes_with_the_variable_are_killed() {
        let start = |value: &str| Command::new("sleep").arg("1000").env("AURIGA_TEST_OWNER", value).spawn().unwrap();
        let own = std::process::id();
        let (mut marked, mut other) = (start(&format!("{own}:1")), start(&format!("{own}:12")));
        assert_eq!(kill_all_with(&format!("AURIGA_TEST_OWNER={own}:1")), 1);
        assert!(!marked.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(status in ".{0,200}", schedule in ".{0,40}") {
            parse(&status, &schedule);
        }
    }
}
