//! The ROS bridge's executable.

use auriga_msgs::v1::Severity;
use auriga_ros_bridge::{Config, DEFAULTS, RosBridgeNode, clock::RosClock, dds::Bridge};
use auriga_runtime::Shell;
use std::cell::OnceCell;

const ABOUT: &str = "auriga-ros-bridge: the topics as standard ROS 2 messages";

fn main() -> anyhow::Result<()> {
    let shell = Shell::<Config>::start(ABOUT, DEFAULTS)?;
    // RustDDS logs each large datagram as a warning. Errors of the bridge are published as faults.
    log::set_max_level(log::LevelFilter::Error);
    let node = RosBridgeNode::new(shell.config())?;
    let mut bridge = Bridge::open(shell.config())?;
    let faults = OnceCell::new();
    shell.run(
        node,
        |devices| {
            faults.get_or_init(|| devices);
            Ok(())
        },
        |publish| {
            let name = publish.ros.name;
            if let (Err(e), Some(sink)) = (bridge.publish(publish, RosClock::measure()), faults.get()) {
                sink.fault(Severity::Warning, "ros-publish-failed", name, e.to_string());
            }
        },
    )
}
