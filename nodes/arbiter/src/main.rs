//! The arbiter node's executable.

use anyhow::ensure;
use auriga_arbiter::{
    ArbiterNode, Config, DEFAULTS,
    actuate::{Actuator, NodeProcesses},
    table::{
        WorkloadTable,
        admission::{Admission, machine::Machine},
    },
};
use auriga_msgs::v1::Severity;
use auriga_runtime::Shell;
use std::{cell::OnceCell, rc::Rc};

const ABOUT: &str = "auriga-arbiter: leases of CPU, GPU and memory, switched at once on a hazard";

fn main() -> anyhow::Result<()> {
    let shell = Shell::<Config>::start(ABOUT, DEFAULTS)?;
    let table = WorkloadTable::load(&shell.config().workloads)?;
    let node = ArbiterNode::with_table(shell.config(), table.clone())?;
    check_machine(&table, node.admission(), shell.config().actuation.realtime)?;
    let actuation = &shell.config().actuation;
    let nodes = NodeProcesses::of_this_launch(actuation.node_uid());
    if actuation.cgroups || actuation.realtime {
        tracing::info!("acts on {}", nodes.describe());
    }
    let mut actuator = Actuator::new(actuation, nodes);
    // Both run on the node's thread; the sink is there before the first effect.
    let sink = Rc::new(OnceCell::new());
    let faults = sink.clone();
    shell.run(
        node,
        move |devices| {
            sink.get_or_init(|| devices);
            Ok(())
        },
        move |shares| {
            for problem in actuator.apply(&shares) {
                if let Some(devices) = faults.get() {
                    devices.fault(Severity::Info, problem.code, &problem.subject, problem.text);
                }
            }
        },
    )
}

/// Reports what was admitted, and holds it against the machine. Without real-time priorities nothing is pinned, and what
/// stands against the table is reported only.
fn check_machine(table: &WorkloadTable, admission: &Admission, realtime: bool) -> anyhow::Result<()> {
    for chain in &admission.chains {
        let (name, bound_ms, budget_ms) = (&chain.chain, chain.bound_ms, chain.budget_ms);
        match chain.accepted_ms {
            None => tracing::info!(chain = name, bound_ms, budget_ms, "admitted"),
            Some(_) => tracing::warn!(chain = name, bound_ms, budget_ms, "not shown, accepted by the workload table"),
        }
    }
    let machine = Machine::read("/".as_ref());
    for warning in machine.warnings(table, admission) {
        tracing::info!("admission: {warning}");
    }
    let refusals = machine.refusals(table, admission);
    refusals.iter().for_each(|refusal| tracing::warn!("{refusal}"));
    ensure!(!realtime || refusals.is_empty(), "{}", refusals[0]);
    Ok(())
}
