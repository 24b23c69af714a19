//! Real-time scheduling of other processes: SCHED_FIFO and the core a process runs on.

use super::{process::threads, share::Realtime};
use std::{fs, io};

/// Name of Tokio's workers, which serve what is on no safety chain (signals, the page's clients).
const NON_REALTIME_THREAD: &str = "tokio-rt-worker";

/// Bytes that the kernel keeps of a thread's name.
const NAME_LENGTH: usize = 15;

/// What became of the threads of a process.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Threads that have their priority and core.
    pub placed: usize,
    /// Names of threads without a row in the table: they stay under the ordinary scheduler.
    pub without_row: Vec<String>,
    /// Threads that run with their priority, but could not be pinned, and why.
    pub unpinned: Vec<String>,
}

/// SCHED_FIFO with its priority and core for every thread of the process that has a row, because a message is only as early
/// as the slowest thread that carries it.
///
/// # Errors
/// When the kernel refuses the policy (no CAP_SYS_NICE).
pub(crate) fn set_realtime(pid: u32, rows: &[Realtime]) -> io::Result<Placed> {
    let mut result = Placed::default();
    for thread in threads(pid) {
        let name = fs::read_to_string(format!("/proc/{pid}/task/{thread}/comm")).unwrap_or_default();
        let name = if thread == pid { "main" } else { name.trim_end() };
        let Some(row) = rows.iter().find(|row| is_named(name, &row.thread)) else {
            if name != NON_REALTIME_THREAD && !name.is_empty() {
                result.without_row.push(name.to_owned());
            }
            continue;
        };
        let param = libc::sched_param { sched_priority: row.priority.into() };
        // SAFETY: the kernel only reads `param`, which outlives the call.
        let refused = unsafe {
            libc::sched_setscheduler(thread as libc::pid_t, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &param)
        } != 0;
        let error = io::Error::last_os_error();
        if refused {
            // A thread may have ended meanwhile; the process itself was there a moment ago.
            if thread == pid || error.raw_os_error() != Some(libc::ESRCH) {
                return Err(error);
            }
            continue;
        }
        match pin(thread, row.core) {
            Ok(()) => result.placed += 1,
            Err(e) => result.unpinned.push(format!("{name} to core {} ({e})", row.core)),
        }
    }
    Ok(result)
}

fn pin(thread: u32, core: u32) -> io::Result<()> {
    let Some(id) = rustix::process::Pid::from_raw(thread as i32) else { return Ok(()) };
    if core as usize >= rustix::thread::CpuSet::MAX_CPU {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core as usize);
    Ok(rustix::thread::sched_setaffinity(Some(id), &cores)?)
}

/// Whether a thread is that of a row: the kernel cuts names, and libraries number their threads.
fn is_named(comm: &str, row: &str) -> bool {
    let row = row.get(..NAME_LENGTH).unwrap_or(row);
    let base = comm.rsplit_once('-').filter(|(_, number)| number.bytes().all(|b| b.is_ascii_digit()));
    comm == row || base.is_some_and(|(base, _)| base == row)
}

/// Back to the ordinary policy, on all cores that the arbiter itself may use.
pub(crate) fn reset_scheduling(pid: u32) {
    let param = libc::sched_param { sched_priority: 0 };
    for thread in threads(pid) {
        // SAFETY: as above. A thread that has ended is not an error.
        unsafe { libc::sched_setscheduler(thread as libc::pid_t, libc::SCHED_OTHER, &param) };
    }
    let Ok(cores) = rustix::thread::sched_getaffinity(None) else { return };
    for id in threads(pid).into_iter().filter_map(|thread| rustix::process::Pid::from_raw(thread as i32)) {
        let _ = rustix::thread::sched_setaffinity(Some(id), &cores);
    }
}

/// Whether a thread has a real-time policy.
pub(crate) fn is_realtime(thread: u32) -> bool {
    // SAFETY: takes and returns plain numbers.
    let policy = unsafe { libc::sched_getscheduler(thread as libc::pid_t) } & !libc::SCHED_RESET_ON_FORK;
    policy == libc::SCHED_FIFO || policy == libc::SCHED_RR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_found_by_its_name_without_the_number_that_a_library_gave_it() {
        assert!(is_named("rx-0", "rx") && is_named("rx-11", "rx") && is_named("can-source", "can-source"));
        assert!(is_named("Watchdog Confir", "Watchdog Confirmator"));
        assert!(!is_named("rx-a", "rx") && !is_named("can-source", "can") && !is_named("trx-0", "rx"));
    }
}
