//! The machine as it is: cores, real-time throttling, affinity, governors, isolation.

use super::{Admission, curve::ms, error::AdmissionError};
use crate::table::types::WorkloadTable;
use std::{collections::BTreeSet, fs, path::Path};

/// The kernel's default where a file is absent, in microseconds.
const DEFAULT_PERIOD_US: u64 = 1_000_000;

/// What the kernel says of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Machine {
    /// Cores that are online; empty: unknown.
    pub online: BTreeSet<u32>,
    /// Cores that this process may use; empty: unknown.
    pub allowed: BTreeSet<u32>,
    /// Microseconds for which real-time threads may run on a core in each period; `None`: they are not stopped.
    pub rt_runtime_us: Option<u64>,
    /// That period, in microseconds.
    pub rt_period_us: u64,
    /// Cores that the scheduler leaves alone.
    pub isolated: BTreeSet<u32>,
    /// Frequency governor of each core that has one.
    pub governors: Vec<(u32, String)>,
    /// The kernel is fully preemptible (PREEMPT_RT).
    pub preempt_rt: bool,
    /// Processor and number of cores.
    pub name: String,
}

impl Machine {
    /// Reads /proc and /sys below `root`, which is "/" but in tests. What is absent is unknown.
    pub fn read(root: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(root.join(path)).ok().map(|t| t.trim().to_owned());
        let cores = |path: &str| text(path).map(|t| core_list(&t)).unwrap_or_default();
        let number = |path: &str| text(path).and_then(|t| t.parse::<i64>().ok());
        let online = cores("sys/devices/system/cpu/online");
        let status = text("proc/self/status").unwrap_or_default();
        let allowed = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:"));
        let governors = online.iter().filter_map(|&core| {
            text(&format!("sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor")).map(|g| (core, g))
        });
        let cpuinfo = text("proc/cpuinfo").unwrap_or_default();
        let model = ["model name", "Model", "Hardware"]
            .iter()
            .find_map(|key| cpuinfo.lines().find_map(|l| l.strip_prefix(key)?.trim_start().strip_prefix(':')));
        Self {
            allowed: allowed.map(|t| core_list(t.trim())).unwrap_or_default(),
            rt_runtime_us: number("proc/sys/kernel/sched_rt_runtime_us").and_then(|us| us.try_into().ok()),
            rt_period_us: number("proc/sys/kernel/sched_rt_period_us")
                .and_then(|us| us.try_into().ok())
                .unwrap_or(DEFAULT_PERIOD_US),
            isolated: cores("sys/devices/system/cpu/isolated"),
            governors: governors.collect(),
            preempt_rt: text("sys/kernel/realtime").as_deref() == Some("1"),
            name: format!("{}, {} cores", model.map_or("unknown processor", str::trim), online.len()),
            online,
        }
    }

    /// Whether an admitted table can run here as it was analysed. All that stands against it.
    pub fn refusals(&self, table: &WorkloadTable, admission: &Admission) -> Vec<AdmissionError> {
        let mut refusals = Vec::new();
        for thread in &admission.model.system.threads {
            let lacks = if !self.online.is_empty() && !self.online.contains(&thread.core) {
                format!("only {} are online", shown(&self.online))
            } else if !self.allowed.is_empty() && !self.allowed.contains(&thread.core) {
                format!("this process may only use {} (its affinity)", shown(&self.allowed))
            } else {
                continue;
            };
            refusals.push(AdmissionError::Core { thread: thread.name.clone(), core: thread.core, lacks });
        }
        let usable = if self.allowed.is_empty() { self.online.len() } else { self.allowed.len() };
        if usable > 0 && table.capacity.cpu_cores > usable as f64 {
            let lacks = format!("this process has {usable}; set it to what there is");
            refusals.push(AdmissionError::TooFewCores { planned: table.capacity.cpu_cores, lacks });
        }
        refusals.extend(self.throttled(admission));
        refusals
    }

    fn throttled(&self, admission: &Admission) -> Vec<AdmissionError> {
        let Some(runtime_us) = self.rt_runtime_us else { return Vec::new() };
        let cores: BTreeSet<u32> = admission.model.system.threads.iter().map(|t| t.core).collect();
        let over = cores.into_iter().filter_map(|core| {
            let demand = admission.demand(core, self.rt_period_us * 1000);
            (demand > runtime_us * 1000).then(|| AdmissionError::Throttled {
                core,
                demand_ms: ms(demand),
                window_ms: self.rt_period_us as f64 * 1e-3,
                runtime_ms: runtime_us as f64 * 1e-3,
            })
        });
        over.collect()
    }

    /// What weakens the result without refuting it.
    pub fn warnings(&self, table: &WorkloadTable, admission: &Admission) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.online.is_empty() {
            warnings.push("which cores are online is unknown (/sys/devices/system/cpu/online)".to_owned());
        }
        let cores: BTreeSet<u32> = admission.model.system.threads.iter().map(|t| t.core).collect();
        for (core, governor) in self.governors.iter().filter(|(core, g)| cores.contains(core) && g != "performance") {
            warnings.push(format!(
                "core {core} has the governor {governor}: costs measured at full speed do not hold; set it to performance"
            ));
        }
        let shared: BTreeSet<u32> = cores.difference(&self.isolated).copied().collect();
        if !shared.is_empty() {
            warnings.push(format!(
                "{} not isolated: the kernel's own work and interrupts there are only in blocking_ms and release_ms",
                shown(&shared)
            ));
        }
        if !self.preempt_rt {
            warnings.push(
                "the kernel is not PREEMPT_RT: sections of it can hold a thread up for longer than blocking_ms".into(),
            );
        }
        warnings.extend(self.unmeasured(table));
        warnings
    }

    /// Which costs nobody measured on this machine.
    fn unmeasured(&self, table: &WorkloadTable) -> Vec<String> {
        let (mut never, mut elsewhere) = (Vec::new(), Vec::new());
        for (name, measured) in table.costs() {
            match measured {
                None => never.push(name),
                Some(m) if m.machine != self.name => elsewhere.push(name),
                Some(_) => {}
            }
        }
        let mut lines = Vec::new();
        if !never.is_empty() {
            lines.push(format!("costs that nobody measured: {}", never.join(", ")));
        }
        if !elsewhere.is_empty() {
            lines.push(format!(
                "costs that were measured on another machine than this ({}): {}",
                self.name,
                elsewhere.join(", ")
            ));
        }
        lines
    }
}

/// "cores 0, 1".
fn shown(cores: &BTreeSet<u32>) -> String {
    let numbers: Vec<String> = cores.iter().map(u32::to_string).collect();
    format!("{} {}", if cores.len() == 1 { "core" } else { "cores" }, numbers.join(", "))
}

/// The kernel's form: "0-3,8".
fn core_list(text: &str) -> BTreeSet<u32> {
    /// No machine has more; a damaged file must not fill the memory.
    const MOST: u32 = 8192;
    let range = |part: &str| -> Option<std::ops::RangeInclusive<u32>> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse::<u32>().ok()?.min(MOST))
    };
    text.split(',').filter_map(range).flatten().collect()
}
