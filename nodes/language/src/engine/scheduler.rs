//! When the model runs: one slice per tick, the more urgent class first, each class within its share of the processor.

use super::{
    interface::{Class, Slice},
    share::Share,
    slice_size::SliceSizer,
    workloads::Workload,
};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::time::Duration;

/// What the slices of one class have used.
#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    slices: u64,
    last_slice: Duration,
    /// Processor time in total; the nominal time where nothing is measured.
    cpu: Duration,
    /// How often unfinished work of the class was taken off the processor.
    preemptions: u64,
}

/// The size of the next slice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SlicePlan {
    pub layers: usize,
    /// How long the slice is taken to last where nothing is measured.
    pub nominal: Duration,
}

/// The shares, slice sizes and usage of both classes.
#[derive(Debug)]
pub(crate) struct Scheduler {
    shares: [Share; 2],
    sizers: [SliceSizer; 2],
    usage: [Usage; 2],
    /// Target length of a slice.
    slice: Duration,
    /// End of the last slice.
    busy_until: Nanos,
    /// The class of the last slice, while it has more work.
    last: Option<Class>,
    /// When the next tick was requested for, if the last slice was not measured: a later tick means that it took longer.
    expected: Option<Nanos>,
}

impl Scheduler {
    /// For the workloads of intent and dialogue. `slice`: target length of a slice; `layers`: layers of a slice until
    /// something has been measured.
    pub fn new(workloads: [Workload; 2], slice: Duration, layers: usize) -> Self {
        Self {
            shares: workloads.map(Share::new),
            sizers: [(); 2].map(|()| SliceSizer::new(slice, layers)),
            usage: [Usage::default(); 2],
            slice,
            busy_until: Nanos::ZERO,
            last: None,
            expected: None,
        }
    }

    /// Takes the grants of both classes.
    pub fn update(&mut self, grants: &v1::Grants, now: Nanos) {
        self.shares.iter_mut().for_each(|share| share.update(grants, now));
    }

    /// Whether the lease or the floor lets the class use the processor.
    pub fn may_run(&self, class: Class, now: Nanos) -> bool {
        self.shares[class as usize].may_run(now)
    }

    /// The class that runs now, and the class that ran before it, if that had more work. `None` while the last slice
    /// lasts and when no class is due. `runnable`, for each class: whether it has work and may use the processor.
    pub fn next_class(&mut self, runnable: [bool; 2], now: Nanos) -> Option<(Class, Option<Class>)> {
        if now < self.busy_until {
            return None;
        }
        self.charge_lateness(now);
        let previous = self.last.take();
        let due = |class: &Class| runnable[*class as usize] && self.shares[*class as usize].ready_at(now) <= now;
        let class = Class::ALL.into_iter().find(due)?;
        Some((class, previous))
    }

    /// A tick later than requested means that the slice before took longer than nominal, or that other programs had the
    /// processor. The two cannot be told apart, so the share is charged with one more slice at most: a busy machine must
    /// not put the node into debt for time that it never had.
    fn charge_lateness(&mut self, now: Nanos) {
        let Some(class) = self.last else { return };
        let Some(expected) = self.expected.take_if(|expected| *expected <= now) else { return };
        let usage = &mut self.usage[class as usize];
        let late = now.since(expected).min(usage.last_slice);
        usage.last_slice += late;
        self.shares[class as usize].charge(late, now);
    }

    /// Unfinished work of the class had to give way to the other class.
    pub fn count_preemption(&mut self, class: Class) {
        self.usage[class as usize].preemptions += 1;
    }

    /// The size of the next slice. Intent at its floor runs in half slices.
    pub fn plan(&self, class: Class, now: Nanos) -> SlicePlan {
        let full = self.sizers[class as usize].layers();
        let short = class == Class::Intent && self.shares[class as usize].level(now) == 0;
        let layers = if short { (full / 2).max(1) } else { full };
        SlicePlan { layers, nominal: self.slice.mul_f64(layers as f64 / full as f64) }
    }

    /// Charges a slice: its measured cost, or else the nominal one.
    pub fn account(&mut self, class: Class, plan: SlicePlan, measured: Option<Slice>, now: Nanos) {
        let (length, cpu) = measured.map_or((plan.nominal, plan.nominal), |slice| (slice.elapsed, slice.cpu));
        if let Some(slice) = &measured {
            self.sizers[class as usize].record(slice);
        }
        self.busy_until = now + length;
        let usage = &mut self.usage[class as usize];
        (usage.slices, usage.last_slice, usage.cpu) = (usage.slices + 1, length, usage.cpu + cpu);
        let share = &mut self.shares[class as usize];
        share.charge(cpu, now);
        let next = share.ready_at(self.busy_until).max(self.busy_until);
        self.expected = measured.is_none().then_some(next);
    }

    /// The slice's result has been handled. Without more work no tick is requested for the class, so none can be late.
    pub fn end_slice(&mut self, class: Class, has_work: bool) {
        if has_work {
            self.last = Some(class);
        } else {
            self.expected = None;
        }
    }

    /// The status to publish when a grant has taken the class off the processor or has returned it; `has_work`: whether
    /// the class has unfinished work.
    pub fn change(&mut self, class: Class, has_work: bool, now: Nanos) -> Option<v1::SliceStatus> {
        let share = &mut self.shares[class as usize];
        let change = share.change(now)?;
        (self.last, self.expected) = (None, None);
        let usage = &mut self.usage[class as usize];
        usage.preemptions += u64::from(!change.running && has_work);
        Some(v1::SliceStatus {
            header: Some(v1::Header::new(change.stamp.0, change.trace)),
            workload: share.name().into(),
            running: change.running,
            slices: usage.slices,
            last_slice_ns: usage.last_slice.as_nanos() as u64,
            preemptions: usage.preemptions,
        })
    }

    /// When the node needs a tick for the class: at the end of the lease, which is published with and without work, and
    /// for the next slice if the class is `runnable`.
    pub fn wakes(&mut self, class: Class, runnable: bool, now: Nanos) -> impl Iterator<Item = Nanos> + use<> {
        let share = &mut self.shares[class as usize];
        let next = runnable.then(|| share.ready_at(now).max(self.busy_until));
        share.lease_end(now).into_iter().chain(next)
    }

    /// For the usage message: the level of each class, and its processor time so far.
    pub fn workload_usage(&self, now: Nanos) -> Vec<v1::WorkloadUsage> {
        let usage = |(share, usage): (&Share, &Usage)| v1::WorkloadUsage {
            workload: share.name().into(),
            level: share.level(now),
            cpu_ns: usage.cpu.as_nanos() as u64,
        };
        self.shares.iter().zip(&self.usage).map(usage).collect()
    }
}
