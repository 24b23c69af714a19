//! Real-time scheduling of other processes: SCHED_FIFO and the core a process runs on.

use super::{process::threads, share::Realtime};
use std::{fs, io};

/// Name of Tokio's workers, which serve what is on no safety chain (signals, the page's clients).
const NON_REALTIME_THREAD: &str = "tokio-rt-worker";

/// SCHED_FIFO for every thread of the process but Tokio's workers, because a message is only as early as the slowest
/// thread that carries it; the main thread, which runs the state machine, is pinned to `realtime.core`. Threads that the
/// process starts later do not inherit it.
///
/// # Errors
/// When the kernel refuses the policy (no CAP_SYS_NICE).
pub(crate) fn set_realtime(pid: u32, realtime: Realtime) -> io::Result<()> {
    let param = libc::sched_param { sched_priority: realtime.priority.into() };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    for thread in threads(pid) {
        let name = fs::read_to_string(format!("/proc/{pid}/task/{thread}/comm")).unwrap_or_default();
        if name.trim_end() == NON_REALTIME_THREAD {
            continue;
        }
        // SAFETY: the kernel only reads `param`, which outlives the call.
        let refused = unsafe { libc::sched_setscheduler(thread as libc::pid_t, policy, &param) } != 0;
        let error = io::Error::last_os_error();
        // A thread may have ended meanwhile; the process itself was there a moment ago.
        if refused && (thread == pid || error.raw_os_error() != Some(libc::ESRCH)) {
            return Err(error);
        }
    }
    let Some(id) = rustix::process::Pid::from_raw(pid as i32) else { return Ok(()) };
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(realtime.core as usize);
    // Refused for a core that is offline: the priority holds on any core.
    let _ = rustix::thread::sched_setaffinity(Some(id), &cores);
    Ok(())
}

/// Back to the ordinary policy, on all cores that the arbiter itself may use.
pub(crate) fn reset_scheduling(pid: u32) {
    let param = libc::sched_param { sched_priority: 0 };
    for thread in threads(pid) {
        // SAFETY: as above. A thread that has ended is not an error.
        unsafe { libc::sched_setscheduler(thread as libc::pid_t, libc::SCHED_OTHER, &param) };
    }
    let id = rustix::process::Pid::from_raw(pid as i32);
    if let (Some(id), Ok(cores)) = (id, rustix::thread::sched_getaffinity(None)) {
        let _ = rustix::thread::sched_setaffinity(Some(id), &cores);
    }
}

/// Whether a thread has a real-time policy.
pub(crate) fn is_realtime(thread: u32) -> bool {
    // SAFETY: takes and returns plain numbers.
    let policy = unsafe { libc::sched_getscheduler(thread as libc::pid_t) } & !libc::SCHED_RESET_ON_FORK;
    policy == libc::SCHED_FIFO || policy == libc::SCHED_RR
}
