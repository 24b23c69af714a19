//! The arbiter node's executable.

use auriga_arbiter::{
    ArbiterNode, Config, DEFAULTS,
    actuate::{Actuator, NodeProcesses},
};
use auriga_msgs::v1::Severity;
use auriga_runtime::Shell;
use std::{cell::OnceCell, rc::Rc};

const ABOUT: &str = "auriga-arbiter: leases of CPU, GPU and memory, switched at once on a hazard";

fn main() -> anyhow::Result<()> {
    let shell = Shell::<Config>::start(ABOUT, DEFAULTS)?;
    let node = ArbiterNode::new(shell.config())?;
    for chain in &node.admission().chains {
        let (bound_ms, budget_ms) = (chain.bound_ms, chain.budget_ms);
        tracing::info!(chain = chain.chain, bound_ms, budget_ms, "admitted");
    }
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
