//! Measures what the machine itself takes during a run: the wake-up latency of a thread that runs before all others, on
//! each core of the safety nodes, as `cyclictest` of rt-tests does.

use auriga_arbiter::table::WorkloadTable;
use auriga_runtime::Nanos;
use auriga_sil::analysis::{CoreFloor, Floor, Stall};
use rustix::{
    thread::{CpuSet, clock_nanosleep_absolute, sched_setaffinity},
    time::{ClockId, Timespec},
};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// A wake-up is due this often: `cyclictest`'s default.
const PERIOD: Duration = Duration::from_millis(1);
/// Shorter latencies are no stalls.
const STALL: Duration = Duration::from_micros(250);
/// Most stalls of one core that are kept one by one.
const MAX_STALLS: usize = 100_000;
/// The histogram has a bucket for each microsecond up to this; longer latencies are in the last.
const BUCKETS: usize = 100_000;
/// The highest priority of SCHED_FIFO.
const HIGHEST: u8 = 99;

/// Threads that measure until they are stopped.
pub struct FloorMeter {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Core>>,
}

/// What one thread measured.
struct Core {
    number: Option<u32>,
    realtime: bool,
    /// By microseconds.
    histogram: Vec<u32>,
    max: Duration,
    stalls: Vec<Stall>,
}

impl FloorMeter {
    /// Starts a thread on each core that the workload table gives to safety nodes, with a priority above theirs. Where the
    /// permission for that is missing it measures without.
    pub fn start(workloads: &Path) -> FloorMeter {
        let mut cores: BTreeMap<Option<u32>, u8> = BTreeMap::new();
        if let Ok(table) = WorkloadTable::load(workloads) {
            for thread in table.safety().flat_map(|workload| &workload.threads) {
                let highest = cores.entry(Some(thread.core)).or_default();
                *highest = (*highest).max(thread.priority);
            }
        }
        if cores.is_empty() {
            cores.insert(None, HIGHEST - 1);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let threads = cores.into_iter().filter_map(|(core, highest)| {
            let stop = stop.clone();
            let measure = move || Core::measure(core, (highest + 1).min(HIGHEST), &stop);
            std::thread::Builder::new().name("floor".into()).spawn(measure).ok()
        });
        FloorMeter { threads: threads.collect(), stop }
    }

    /// Stops the threads and gives what they measured.
    pub fn finish(self) -> Floor {
        self.stop.store(true, Ordering::Relaxed);
        let cores: Vec<Core> = self.threads.into_iter().filter_map(|thread| thread.join().ok()).collect();
        Floor {
            realtime: !cores.is_empty() && cores.iter().all(|core| core.realtime),
            cores: cores.iter().map(Core::figures).collect(),
            stalls: Floor::merged(cores.into_iter().flat_map(|core| core.stalls).collect()),
        }
    }
}

impl Core {
    fn measure(number: Option<u32>, priority: u8, stop: &AtomicBool) -> Core {
        let pinned = number.filter(|core| {
            let mut cores = CpuSet::new();
            cores.set(*core as usize);
            // Refused where the machine has no such core.
            sched_setaffinity(None, &cores).is_ok()
        });
        let mut core = Core {
            number: pinned,
            realtime: set_realtime(priority),
            histogram: vec![0; BUCKETS + 1],
            max: Duration::ZERO,
            stalls: Vec::new(),
        };
        let mut due = Nanos::monotonic() + PERIOD;
        while !stop.load(Ordering::Relaxed) {
            let at = Timespec { tv_sec: (due.0 / 1_000_000_000) as i64, tv_nsec: (due.0 % 1_000_000_000) as i64 };
            if clock_nanosleep_absolute(ClockId::Monotonic, &at).is_err() {
                continue;
            }
            let now = Nanos::monotonic();
            core.record(due, now);
            due = due + PERIOD;
            if due < now {
                due = now + PERIOD;
            }
        }
        core
    }

    fn record(&mut self, due: Nanos, now: Nanos) {
        let late = now.since(due);
        let bucket = (late.as_micros() as usize).min(BUCKETS);
        if let Some(count) = self.histogram.get_mut(bucket) {
            *count = count.saturating_add(1);
        }
        self.max = self.max.max(late);
        if late >= STALL && self.stalls.len() < MAX_STALLS {
            self.stalls.push(Stall { from_ns: due.0, to_ns: now.0 });
        }
    }

    fn figures(&self) -> CoreFloor {
        let samples = self.histogram.iter().map(|&count| u64::from(count)).sum();
        CoreFloor {
            core: self.number,
            samples,
            p50_ms: self.quantile_ms(samples, 0.5),
            p999_ms: self.quantile_ms(samples, 0.999),
            max_ms: self.max.as_secs_f64() * 1e3,
        }
    }

    /// The least latency that this share of all wake-ups did not exceed.
    fn quantile_ms(&self, samples: u64, share: f64) -> f64 {
        let wanted = ((samples as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.histogram.iter().position(|&count| {
            seen += u64::from(count);
            seen >= wanted
        });
        match bucket {
            None => 0.0,
            Some(BUCKETS) => self.max.as_secs_f64() * 1e3,
            Some(microseconds) => microseconds as f64 * 1e-3,
        }
    }
}

/// SCHED_FIFO for the calling thread; returns whether the kernel allowed it.
fn set_realtime(priority: u8) -> bool {
    let param = libc::sched_param { sched_priority: priority.into() };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the kernel only reads `param`, which outlives the call; 0 is the calling thread.
    unsafe { libc::sched_setscheduler(0, policy, &param) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core() -> Core {
        let histogram = vec![0; BUCKETS + 1];
        Core { number: Some(0), realtime: true, histogram, max: Duration::ZERO, stalls: Vec::new() }
    }

    #[test]
    fn quantiles_are_those_of_all_wake_ups_and_late_ones_are_stalls() {
        let mut core = core();
        for n in 0..1000_u64 {
            let due = Nanos::from_millis(n);
            let late = if n == 500 { 3000 } else { 40 };
            core.record(due, due + Duration::from_micros(late));
        }
        let figures = core.figures();
        assert_eq!((figures.samples, figures.p50_ms, figures.p999_ms), (1000, 0.04, 0.04));
        assert_eq!(figures.max_ms, 3.0);
        assert_eq!(core.stalls, [Stall { from_ns: 500_000_000, to_ns: 503_000_000 }]);
        core.record(Nanos::ZERO, Nanos::from_millis(700));
        core.record(Nanos::ZERO, Nanos::from_millis(700));
        assert_eq!(core.figures().p999_ms, 700.0, "longer than the histogram");
    }

    #[test]
    fn it_measures_until_it_is_stopped() {
        let meter = FloorMeter::start(Path::new("/no/such/table.toml"));
        std::thread::sleep(Duration::from_millis(50));
        let floor = meter.finish();
        let [core] = floor.cores.as_slice() else { panic!("{floor:?}") };
        assert!(core.samples >= 2 && core.max_ms >= core.p50_ms, "{core:?}");
        assert!(floor.stalls.is_sorted_by_key(|s| s.from_ns));
    }
}
