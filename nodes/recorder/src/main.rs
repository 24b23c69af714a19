//! The recorder's executable.

use auriga_recorder::{
    Config, DEFAULTS, Effect, RecorderNode,
    queue::Queue,
    recording::{self, FaultChange},
};
use auriga_runtime::{Nanos, Shell};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

const ABOUT: &str = "auriga-recorder: every topic to an MCAP file";

fn main() -> anyhow::Result<()> {
    let shell = Shell::<Config>::start(ABOUT, DEFAULTS)?;
    let config = shell.config().clone();
    let node = RecorderNode::new(&config)?;
    let queue = Queue::new(config.queue_messages, config.queue_images).with_held_images(config.held_images_mib);
    let queue = Arc::new(queue);
    let mut thread = None;
    let writes = queue.clone();
    let result = shell.run(
        node,
        |devices| {
            let queue = queue.clone();
            let write = move || {
                let subject = config.path.display().to_string();
                let report = |change| match change {
                    FaultChange::Standing(severity, code, text) => {
                        devices.standing_fault(severity, code, &subject, text)
                    }
                    FaultChange::Event(severity, code, text) => devices.fault(severity, code, &subject, text),
                    FaultChange::Cleared(code) => devices.clear_fault(code, &subject),
                };
                recording::record(&queue, &config, &clock_facts(), &report);
            };
            thread = Some(std::thread::Builder::new().name("recorder-file".into()).spawn(write)?);
            Ok(())
        },
        |effect| match effect {
            Effect::Write(any) => writes.push(any),
            Effect::Hold(image) => writes.hold(&image),
            Effect::Release => writes.release(),
        },
    );
    // The thread writes the rest of the queue and the file's summary.
    queue.close();
    if let Some(thread) = thread
        && thread.join().is_err()
    {
        anyhow::bail!("the thread that writes the recording panicked; the file ends with its last complete chunk");
    }
    result
}

/// The offset of the recording's monotonic times to the calendar.
fn clock_facts() -> BTreeMap<String, String> {
    let realtime = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i128);
    let offset = realtime - i128::from(Nanos::monotonic().0);
    BTreeMap::from([("realtime_minus_log_time_ns".into(), offset.to_string())])
}
