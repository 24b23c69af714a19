//! Real-time priority and locked memory.

use crate::config::RuntimeConfig;
use tracing::warn;

/// Gives the calling thread its priority and locks the process's memory. Threads that the caller starts from now on
/// inherit the policy. Both ask for privileges a desk may not have: without them there is a warning.
pub(super) fn apply(runtime: &RuntimeConfig) {
    if runtime.lock_memory {
        let flags = rustix::mm::MlockAllFlags::CURRENT | rustix::mm::MlockAllFlags::FUTURE;
        if let Err(e) = rustix::mm::mlockall(flags) {
            warn!("runtime.lock_memory: memory is not locked ({e}); give the node CAP_IPC_LOCK");
        }
    }
    if runtime.realtime_priority > 0 {
        use thread_priority::{RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};
        let set = thread_priority::ThreadPriorityValue::try_from(runtime.realtime_priority).ok().map(|p| {
            thread_priority::set_thread_priority_and_policy(
                thread_priority::thread_native_id(),
                ThreadPriority::Crossplatform(p),
                ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo),
            )
        });
        if !matches!(set, Some(Ok(()))) {
            warn!("runtime.realtime_priority: {set:?}; give the node CAP_SYS_NICE and a value of 1..99");
        }
    }
}
