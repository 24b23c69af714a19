//! The HUD node's executable.

use anyhow::Context;
use auriga_hud::{
    Config, DEFAULTS, HudNode,
    page::{self, PageFeed},
};
use auriga_msgs::v1::Severity;
use auriga_runtime::Shell;
use tracing::info;

const ABOUT: &str = "auriga-hud: the overlay on the camera's picture, and the live page";

fn main() -> anyhow::Result<()> {
    let shell = Shell::<Config>::start(ABOUT, DEFAULTS)?;
    let config = shell.config().clone();
    let node = HudNode::new(&config).context("the HUD's configuration")?;
    let (feed, runtime) = (PageFeed::default(), shell.handle());
    let node_feed = feed.clone();
    shell.run(
        node,
        |devices| {
            if config.page_bind.is_empty() {
                return Ok(());
            }
            match page::serve(&feed, &config, &runtime) {
                Ok(address) => info!("the live page is at http://{address}/"),
                // The display is more important than the page: it runs without.
                Err(e) => {
                    devices.standing_fault(Severity::Warning, "page-not-served", &config.page_bind, e.to_string())
                }
            }
            Ok(())
        },
        move |effect| node_feed.publish(effect),
    )
}
