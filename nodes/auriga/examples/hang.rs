//! A node that hangs when it is told to, to try supervision on: it runs in the place of the node `can`, and the input that
//! comes after a while never returns.
//!
//! `auriga launch` of a file with this executable in place of a node shows what happens; the tests do the same.

use auriga_msgs::{node, topic, v1};
use auriga_runtime::{Nanos, Node, Outbox, Shell};
use std::{sync::Mutex, time::Duration};

const DEFAULTS: &str = r#"
# What the input does: "loop" (runs for ever), "deadlock" (waits for a lock that it holds), "slow" (takes 150 ms).
how = "loop"
# When it comes, in milliseconds after the start.
after_ms = 500
# Time between the start of the process and its loop, in milliseconds, as a model takes to be loaded.
start_ms = 0
# The file to write to when the input comes.
mark = ""
"#;

struct Hanging {
    how: String,
    mark: String,
}

impl Node for Hanging {
    type Name = node::Can;
    type Effect = ();

    fn on_input(&mut self, _: node::CanInput, _: Nanos, _: &mut Outbox<Self>) {
        if let Err(error) = std::fs::write(&self.mark, "hangs\n") {
            tracing::error!("{}: {error}", self.mark);
        }
        match self.how.as_str() {
            "deadlock" => {
                let lock = Mutex::new(());
                let held = lock.lock();
                // The thread waits for itself.
                drop(lock.lock());
                drop(held);
            }
            "slow" => std::thread::sleep(Duration::from_millis(150)),
            _ => loop {
                std::hint::spin_loop();
            },
        }
    }

    fn on_tick(&mut self, _: Nanos, _: &mut Outbox<Self>) {}
}

fn main() -> anyhow::Result<()> {
    let shell = Shell::<toml::Table>::start("hang: a node that hangs, to try supervision on", DEFAULTS)?;
    let text = |key: &str| shell.config()[key].as_str().unwrap_or_default().to_owned();
    let time = |key: &str| Duration::from_millis(shell.config()[key].as_integer().unwrap_or(0).unsigned_abs());
    let (after, node) = (time("after_ms"), Hanging { how: text("how"), mark: text("mark") });
    std::thread::sleep(time("start_ms"));
    shell.run(
        node,
        move |devices| {
            std::thread::Builder::new().name("hang-source".into()).spawn(move || {
                let due = Nanos::monotonic() + after;
                while devices.sleep_until(due) {
                    let header = Some(v1::Header::new(Nanos::monotonic().0, 1));
                    devices.send::<topic::DeviceCan>(v1::CanFrames { header, frames: Vec::new() });
                    std::thread::sleep(Duration::from_millis(500));
                }
            })?;
            Ok(())
        },
        |()| {},
    )
}
