//! The camera node's executable.

use anyhow::Context;
use auriga_camera::{CameraNode, Config, DEFAULTS, calibration::Calibration, source};
use auriga_runtime::Shell;
use std::time::Duration;

const ABOUT: &str = "auriga-camera: frames from V4L2, a file or GStreamer, rectified and stamped with their exposure";

fn main() -> anyhow::Result<()> {
    let shell = Shell::<Config>::start(ABOUT, DEFAULTS)?;
    let config = shell.config().clone();
    let settings = config.source_settings().context("the camera's configuration")?;
    let node = CameraNode::new(Calibration::load(&config.calibration)?, Duration::from_millis(config.max_age_ms))?;
    shell.run(
        node,
        |devices| {
            std::thread::Builder::new()
                .name("camera-source".into())
                .spawn(move || source::pump(&settings, &devices))?;
            Ok(())
        },
        |()| {},
    )
}
