//! The state machine: what it publishes for what it receives.

use crate::{
    actuate::{NodeShare, Realtime},
    config::{ActuationConfig, Config},
    modes::{Decision, ModeSelector},
    plan::{CpuSample, MAX_ITEMS, Planner, Plans, UtilityWeights},
    table::admission::{self, Admission},
    table::{Class, Level, Thread, Workload, WorkloadTable},
};
use auriga_msgs::{NODES, Stamped, node, topic, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use std::{collections::BTreeMap, time::Duration};
use v1::{Mode, Severity};

const VEHICLE: &str = "vehicle/state";
const HAZARD: &str = "fusion/hazard";
const DEMAND: &str = "language/demand";
const USAGE: &str = "usage";

/// The state machine.
///
/// Invariant: it never plans while it handles an input, only in a tick, slice by slice.
pub struct ArbiterNode {
    table: WorkloadTable,
    admission: Admission,
    lease: Duration,
    renewal: Duration,
    modes: ModeSelector,
    weights: UtilityWeights,
    /// The plans in force, computed ahead.
    plans: Plans,
    /// The plans of newer weights, under computation.
    planner: Option<Planner>,
    /// What was granted last: the mode and the level of each workload, in the table's order.
    current: Option<(Mode, Vec<usize>)>,
    next_renewal: Nanos,
    actuation: ActuationConfig,
    /// The process of each node, from its usage.
    pids: BTreeMap<&'static str, u32>,
    /// The newest effect: what the shell applies to processes.
    shares: Vec<NodeShare>,
    /// When it is applied again, for threads that have started since.
    next_placement: Nanos,
}

/// How often the threads of safety nodes are looked through.
const PLACEMENT_PERIOD: Duration = Duration::from_secs(1);

impl ArbiterNode {
    /// Reads the workload table and analyses its timing.
    ///
    /// # Errors
    /// When a value of the configuration is out of range, or the table cannot be read, is invalid or is not admitted: the
    /// error names the field, or the workload or chain, the term and the amount.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        config.check()?;
        Self::with_table(config, WorkloadTable::load(&config.workloads)?)
    }

    /// The same with a table that is already read.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_table(config: &Config, table: WorkloadTable) -> anyhow::Result<Self> {
        config.check()?;
        Ok(Self {
            admission: admission::admit(&table)?,
            lease: Duration::from_millis(config.lease_ms),
            renewal: Duration::from_secs_f64(1.0 / config.renew_hz),
            modes: ModeSelector::new(config.modes.clone(), config.forced()),
            weights: UtilityWeights::new(&config.forecast, table.workloads.len()),
            plans: Plans::compute(&table, vec![1.0; table.workloads.len()]),
            planner: None,
            current: None,
            next_renewal: Nanos::ZERO,
            actuation: config.actuation.clone(),
            pids: BTreeMap::new(),
            shares: Vec::new(),
            next_placement: Nanos::ZERO,
            table,
        })
    }

    /// The result of the timing analysis.
    pub fn admission(&self) -> &Admission {
        &self.admission
    }

    fn on_vehicle(&mut self, state: &v1::VehicleState, now: Nanos, out: &mut Outbox<Self>) {
        for name in self.modes.on_vehicle(state, now) {
            let text = format!("{name} is out of a vehicle's range; the value is ignored, check the DBC");
            out.fault(now, Severity::Warning, "implausible-value", VEHICLE, text);
        }
        self.update_mode(v1::Header::new(now.0, 0), now, out);
    }

    fn on_hazard(&mut self, hazard: &v1::Hazard, now: Nanos, out: &mut Outbox<Self>) {
        let too_many = self.modes.on_hazard(hazard, now);
        let cause = hazard.header_copy();
        self.update_mode(v1::Header::new(cause.stamp_ns, cause.trace_id), now, out);
        if hazard.severity() == Severity::Unspecified {
            let text = format!("hazard {} has no severity; it counts as a warning", hazard.id);
            out.fault(now, Severity::Warning, "malformed-hazard", HAZARD, text);
        }
        if too_many {
            let text = "more hazards are active than fusion ever has; the least urgent is dropped";
            out.fault(now, Severity::Warning, "too-many-hazards", HAZARD, text);
        }
    }

    fn on_scene(&mut self, scene: &v1::Scene, now: Nanos, out: &mut Outbox<Self>) {
        if self.modes.on_scene(scene, now) {
            self.update_mode(v1::Header::new(now.0, 0), now, out);
        }
    }

    fn on_demand(&mut self, demand: &v1::Demand, now: Nanos, out: &mut Outbox<Self>) {
        for text in self.weights.on_demand(demand, now) {
            out.fault(now, Severity::Warning, "malformed-demand", DEMAND, text);
        }
        let items = demand.items.iter().take(MAX_ITEMS);
        for item in items.filter(|i| self.table.workload(&i.workload).is_none()) {
            let name = quoted(&item.workload);
            let text = format!("{name} is not a workload of the table, which has: {}", self.table.names());
            out.fault(now, Severity::Warning, "unknown-workload", DEMAND, text);
        }
        // Planning happens in ticks, so that a hazard right behind this message does not wait for it.
        out.tick_at(now);
    }

    fn on_usage(&mut self, usage: &v1::Usage, now: Nanos, out: &mut Outbox<Self>) {
        let Some(node) = NODES.iter().find(|n| n.name == usage.node) else {
            let text = format!("{} is not a node of the topic table; its usage is ignored", quoted(&usage.node));
            return out.fault(now, Severity::Warning, "unknown-node", USAGE, text);
        };
        let before = self.pids.insert(node.name, usage.pid);
        if node.name == "fusion" && before.is_some_and(|pid| pid != usage.pid) {
            self.modes.on_fusion_restart(now - Duration::from_nanos(usage.uptime_ns), now);
        }
        self.modes.on_usage(usage, now);
        self.record_cpu_use(node.name, usage, now);
        self.update_mode(v1::Header::new(now.0, 0), now, out);
        self.actuate(now, out);
    }

    fn record_cpu_use(&mut self, node: &str, usage: &v1::Usage, now: Nanos) {
        // More than there are in the table say nothing.
        for account in usage.workloads.iter().take(self.table.workloads.len()) {
            let granted = self.granted().find(|(w, _)| w.name == account.workload && w.node == node);
            if let Some(granted) = granted.map(|(w, level)| w.cores(level)) {
                self.weights.on_cpu_use(&account.workload, CpuSample::of(usage, account), granted, now);
            }
        }
    }

    /// The workloads with the levels granted to them.
    fn granted(&self) -> impl Iterator<Item = (&Workload, &Level)> {
        let levels = self.current.as_ref().map_or(&[][..], |(_, levels)| levels);
        self.table.workloads.iter().zip(levels).filter_map(|(w, &l)| Some((w, w.levels.get(l)?)))
    }

    /// Publishes grants if the mode or its plan has changed. `cause`: the header of a switch, its stamp and trace.
    fn update_mode(&mut self, cause: v1::Header, now: Nanos, out: &mut Outbox<Self>) {
        let decision = self.modes.decide(now);
        let levels = &self.plans.of(decision.mode).levels;
        if self.current.as_ref().is_some_and(|(mode, held)| *mode == decision.mode && held == levels) {
            return;
        }
        self.current = Some((decision.mode, levels.clone()));
        let reason = self.publish(cause, &decision, true, now, out);
        match decision.from {
            Some(from) => tracing::info!(
                from = from.name(),
                mode = decision.mode.name(),
                trace = format_args!("{:016x}", cause.trace_id),
                reason,
                "decision"
            ),
            None => tracing::debug!(mode = decision.mode.name(), reason, "decision"),
        }
        self.actuate(now, out);
    }

    fn publish(
        &mut self,
        cause: v1::Header,
        decision: &Decision,
        switched: bool,
        now: Nanos,
        out: &mut Outbox<Self>,
    ) -> String {
        let capacity = &self.table.capacity;
        let lease_end_ns = (now + self.lease).0;
        let share = |used: f64, capacity: f64| if capacity > 0.0 { used / capacity } else { 0.0 };
        let levels = self.current.as_ref().map_or(&[][..], |(_, levels)| levels);
        let grants = self.granted().zip(levels).map(|((w, level), &index)| v1::Grant {
            workload: w.name.clone(),
            node: w.node.clone(),
            level: index as u32,
            cpu_share: share(w.cores(level), capacity.cpu_cores),
            gpu_share: share(w.gpu(level), capacity.gpu),
            memory_bytes: level.memory_mib << 20,
            cpu_weight: level.cpu_weight,
            run: level.run,
            lease_end_ns,
        });
        let reason = self.reason(decision);
        let message = v1::Grants {
            header: Some(cause),
            mode: decision.mode.into(),
            grants: grants.collect(),
            reason: reason.clone(),
            switched,
            utility: self.plans.of(decision.mode).utility,
        };
        out.publish::<topic::ArbiterGrants>(message);
        self.next_renewal = now + self.renewal;
        reason
    }

    /// What led to a decision, in parts separated by `; `, which [`crate::explain()`] reads.
    fn reason(&self, decision: &Decision) -> String {
        let weighed = self.table.workloads.iter().zip(&self.plans.weights).filter(|(w, _)| w.class != Class::Safety);
        let forecast: Vec<String> =
            weighed.filter(|(_, x)| **x != 1.0).map(|(w, x)| format!("{} x{x}", w.name)).collect();
        let levels: Vec<String> = self
            .granted()
            .filter(|(w, _)| w.class != Class::Safety)
            .map(|(w, level)| format!("{} {}", w.name, level.name))
            .collect();
        format!(
            "{}: {}; forecast: {}; levels: {}{}",
            decision.mode.name(),
            self.modes.reason(decision),
            if forecast.is_empty() { "none".into() } else { forecast.join(", ") },
            levels.join(", "),
            if self.plans.of(decision.mode).optimal { "" } else { "; plan: the best found in the time there was" },
        )
    }

    /// Emits what the shell has to apply to processes, when that has changed.
    fn actuate(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let shares = self.shares();
        // From time to time also unchanged: a process may have started further threads, which get their priorities then.
        let again = self.actuation.realtime && now >= self.next_placement;
        if again || shares != self.shares {
            self.next_placement = now + PLACEMENT_PERIOD;
            self.shares = shares.clone();
            out.effect(shares);
        }
    }

    fn shares(&self) -> Vec<NodeShare> {
        if !self.actuation.cgroups && !self.actuation.realtime {
            return Vec::new();
        }
        let share = |(&node, &pid): (&&'static str, &u32)| {
            let mut held = self.granted().filter(|(w, _)| w.node == node).peekable();
            held.peek()?;
            let held: Vec<_> = held.collect();
            let stopped = held.iter().all(|(_, level)| !level.run);
            let threads = held.iter().filter(|_| self.actuation.realtime).flat_map(|(w, _)| &w.threads);
            let row = |t: &Thread| Realtime { thread: t.name.clone(), priority: t.priority, core: t.core };
            Some(NodeShare {
                node,
                pid,
                cpu_weight: held.iter().map(|(_, level)| level.cpu_weight).max()?,
                quota_percent: stopped.then_some(self.actuation.stopped_quota_percent),
                threads: threads.map(row).collect(),
            })
        };
        self.pids.iter().filter_map(share).collect()
    }

    /// One slice of planning, if the weights have changed.
    fn plan(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let weights = self.weights.at(&self.table, now);
        // A computation that has begun is finished first: weights that change all the time must not starve planning.
        if self.planner.is_none() && weights != self.plans.weights {
            self.planner = Some(Planner::new(&self.table, weights));
        }
        let Some(planner) = &mut self.planner else { return };
        if let Some(plans) = planner.slice(&self.table) {
            self.plans = plans;
            self.planner = None;
        }
        // Continue in another tick, so that waiting inputs go first.
        out.tick_at(now);
    }
}

/// The beginning of a text from another node, quoted and escaped, for a fault.
fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}

impl Node for ArbiterNode {
    type Name = node::Arbiter;
    type Effect = Vec<NodeShare>;

    fn on_input(&mut self, input: node::ArbiterInput, now: Nanos, out: &mut Outbox<Self>) {
        match input {
            node::ArbiterInput::VehicleState(state) => self.on_vehicle(&state, now, out),
            node::ArbiterInput::FusionHazard(hazard) => self.on_hazard(&hazard, now, out),
            node::ArbiterInput::FusionScene(scene) => self.on_scene(&scene, now, out),
            node::ArbiterInput::LanguageDemand(demand) => self.on_demand(&demand, now, out),
            node::ArbiterInput::Usage(usage) => self.on_usage(&usage, now, out),
        }
    }

    fn on_tick(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        self.plan(now, out);
        self.update_mode(v1::Header::new(now.0, 0), now, out);
        if now >= self.next_renewal {
            let decision = self.modes.decide(now);
            self.publish(v1::Header::new(now.0, 0), &decision, false, now, out);
        }
        out.tick_at(self.next_renewal);
    }
}
