//! An arbiter on the shipped table, with a clock and an outbox.
#![allow(dead_code)]

use auriga_arbiter::{ArbiterNode, Config, actuate::NodeShare, table::WorkloadTable};
use auriga_msgs::{Any, node::ArbiterInput, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use std::{sync::Arc, time::Duration};

/// How often the rig's clock ticks.
const STEP: Duration = Duration::from_millis(10);

pub fn config() -> Config {
    let workloads = concat!(env!("CARGO_MANIFEST_DIR"), "/../../launch/workloads.toml").into();
    Config { workloads, ..Config::default() }
}

pub fn table() -> WorkloadTable {
    WorkloadTable::load(config().workloads).unwrap()
}

pub struct Rig {
    pub node: ArbiterNode,
    pub out: Outbox<ArbiterNode>,
    pub now: Nanos,
    pub grants: Vec<(Nanos, v1::Grants)>,
    pub faults: Vec<v1::Fault>,
    pub effects: Vec<Vec<NodeShare>>,
}

impl Rig {
    pub fn new(config: &Config) -> Self {
        Self::of(ArbiterNode::new(config).unwrap())
    }

    /// Fusion has stated that no hazard is active.
    pub fn of(node: ArbiterNode) -> Self {
        let mut rig = Self::unstarted(node);
        // No active hazard: nothing holds the mode after the start.
        rig.input(scene(vec![]));
        rig.tick();
        rig
    }

    /// Nothing has been received.
    pub fn started(node: ArbiterNode) -> Self {
        let mut rig = Self::unstarted(node);
        rig.tick();
        rig
    }

    fn unstarted(node: ArbiterNode) -> Self {
        let now = Nanos::from_millis(1000);
        Self { node, out: Outbox::default(), now, grants: vec![], faults: vec![], effects: vec![] }
    }

    /// Hands an input in and returns the grants it caused in the same call.
    pub fn input(&mut self, input: ArbiterInput) -> Option<v1::Grants> {
        let before = self.grants.len();
        self.node.on_input(input, self.now, &mut self.out);
        self.collect();
        self.grants.get(before).map(|(_, g)| g.clone())
    }

    pub fn tick(&mut self) {
        self.node.on_tick(self.now, &mut self.out);
        self.collect();
    }

    /// Ticks every 10 ms of the next `ms`.
    pub fn run(&mut self, ms: u64) {
        self.run_with(ms, |_| ());
    }

    /// The same with something to do before each tick.
    pub fn run_with(&mut self, ms: u64, mut each: impl FnMut(&mut Rig)) {
        for _ in 0..ms / STEP.as_millis() as u64 {
            self.now = self.now + STEP;
            each(self);
            self.tick();
        }
    }

    /// Ticks as often as planning asks for at one instant.
    pub fn plan(&mut self) {
        (0..50).for_each(|_| self.tick());
    }

    fn collect(&mut self) {
        for any in self.out.take_messages() {
            match any {
                Any::ArbiterGrants(g) => self.grants.push((self.now, Arc::unwrap_or_clone(g))),
                Any::Fault(f) => self.faults.push(Arc::unwrap_or_clone(f)),
                other => panic!("the arbiter published {other:?}"),
            }
        }
        self.effects.extend(self.out.take_effects());
    }

    pub fn last(&self) -> &v1::Grants {
        &self.grants.last().unwrap().1
    }

    pub fn level(&self, workload: &str) -> u32 {
        grant(self.last(), workload).level
    }

    pub fn fault_codes(&self) -> Vec<&str> {
        self.faults.iter().map(|f| f.code.as_str()).collect()
    }
}

pub fn grant<'a>(grants: &'a v1::Grants, workload: &str) -> &'a v1::Grant {
    grants.grants.iter().find(|g| g.workload == workload).unwrap()
}

pub fn hazard(id: u64, active: bool, stamp_ns: u64, trace_id: u64) -> ArbiterInput {
    let hazard = v1::Hazard {
        header: Some(v1::Header::new(stamp_ns, trace_id)),
        kind: v1::HazardKind::ForwardCollision.into(),
        severity: v1::Severity::Critical.into(),
        active,
        text: "vehicle ahead: 12 m, 0.9 s to collision".into(),
        id,
        ..Default::default()
    };
    ArbiterInput::FusionHazard(hazard.into())
}

pub fn scene(hazards: Vec<v1::Hazard>) -> ArbiterInput {
    ArbiterInput::FusionScene(v1::Scene { hazards, ..Default::default() }.into())
}

pub fn vehicle(speed_mps: f64) -> ArbiterInput {
    let gear = v1::Gear::Drive.into();
    ArbiterInput::VehicleState(v1::VehicleState { speed_mps: Some(speed_mps), gear, ..Default::default() }.into())
}

/// Workload, probability, weight, horizon in ms.
pub fn demand(items: &[(&str, f32, f32, u64)]) -> ArbiterInput {
    let items = items.iter().map(|&(workload, probability, weight, horizon_ms)| v1::DemandItem {
        workload: workload.into(),
        probability,
        weight,
        horizon_ns: horizon_ms.saturating_mul(1_000_000),
        reason: String::new(),
    });
    ArbiterInput::LanguageDemand(v1::Demand { items: items.collect(), ..Default::default() }.into())
}

pub fn usage(node: &str, pid: u32, uptime_ms: u64, cpu_ms: u64) -> ArbiterInput {
    let usage = v1::Usage {
        node: node.into(),
        pid,
        uptime_ns: uptime_ms * 1_000_000,
        cpu_ns: cpu_ms * 1_000_000,
        ..Default::default()
    };
    ArbiterInput::Usage(usage.into())
}
