//! Frames decoded per second on one core: the compiled database, a decoder written by hand for one message, cantools, and
//! the node. `cargo bench -p auriga-can`; the rows of cantools need AURIGA_PYTHON, a Python with cantools.

#[path = "../tests/suite/common/mod.rs"]
mod common;

use auriga_can::{CanNode, dbc::Database, log, mapping::Mapping};
use auriga_msgs::{node::CanInput, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use std::{
    hint::black_box,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

/// Duration of one measurement, and the number of measurements, of which the best is shown.
const DURATION: Duration = Duration::from_millis(300);
const REPEATS: usize = 7;

/// Frames per second of `run`, which decodes `frames` of them.
fn rate(frames: usize, mut run: impl FnMut()) -> f64 {
    let mut best = 0f64;
    for _ in 0..REPEATS {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < DURATION {
            run();
            count += frames;
        }
        best = best.max(count as f64 / start.elapsed().as_secs_f64());
    }
    best
}

/// The message SPEED of the demo car, by hand.
#[inline(never)]
fn by_hand(data: &[u8]) -> Option<[f64; 4]> {
    let data: &[u8; 8] = data.try_into().ok()?;
    let speed = f64::from(u16::from_be_bytes([data[0], data[1]])) * 0.01;
    let yaw = f64::from(i16::from_be_bytes([data[2], data[3]])) * 0.005;
    let accel = f64::from(i16::from_be_bytes([data[4], data[5]]) >> 4) * 0.01;
    Some([speed, yaw, accel, f64::from(data[7] & 0xf)])
}

fn cantools(python: &Path, dbc: &Path, database: &Database, frames: &[(usize, Vec<u8>)]) -> Option<f64> {
    let mut child = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cantools_decode.py"))
        .args(["--time", "3"])
        .arg(dbc)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = String::new();
    for (index, data) in frames {
        let message = &database.messages()[*index];
        let hex: String = data.iter().map(|b| format!("{b:02x}")).collect();
        input.push_str(&format!("{:x} {} {hex}\n", message.id(), u8::from(message.is_extended())));
    }
    child.stdin.take()?.write_all(input.as_bytes()).ok()?;
    let output = child.wait_with_output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (count, seconds) = text.trim().split_once(' ')?;
    Some(count.parse::<f64>().ok()? / seconds.parse::<f64>().ok()?)
}

fn decode_all(database: &Database, frames: &[(u32, Vec<u8>)]) -> f64 {
    let mut sum = 0.0;
    for (id, data) in frames {
        if let Some(message) = database.message(*id, false) {
            message.decode_each(black_box(data), |_, value| sum += value);
        }
    }
    sum
}

fn row(name: &str, rate: f64, note: &str) {
    println!("{name:<58} {:>10.3} M/s {:>9.1} ns   {note}", rate / 1e6, 1e9 / rate);
}

fn one_message() {
    let database = common::demo_database();
    let speed = database.message_by_name("SPEED").expect("SPEED");
    let mut frames = Vec::new();
    for i in 0..1024 {
        let i = f64::from(i);
        let values = [("VEHICLE_SPEED", i / 8.0), ("YAW_RATE", i / 50.0 - 10.0), ("LONG_ACCEL", i / 100.0 - 5.0)];
        let mut data = vec![0; 8];
        speed.encode(&values, &mut data).expect("in range");
        frames.push((208, data));
    }
    println!("one message of 4 signals (SPEED of the demo car)");
    let hand = rate(frames.len(), || {
        for (_, data) in &frames {
            black_box(by_hand(black_box(data)));
        }
    });
    row("  written by hand", hand, "");
    let compiled = rate(frames.len(), || {
        let mut values = [0.0; 4];
        for (_, data) in &frames {
            speed.decode_each(black_box(data), |i, value| values[i] = value);
            black_box(&values);
        }
    });
    row("  compiled database", compiled, &format!("{:.2} times the time by hand", hand / compiled));
    let looked_up = rate(frames.len(), || {
        black_box(decode_all(&database, &frames));
    });
    row("  compiled plan, message found by identifier", looked_up, &format!("{:.2} times", hand / looked_up));
}

/// All signals of all known frames of a log, against cantools.
fn whole_log(name: &str, dbc: &Path, path: &Path) -> anyhow::Result<()> {
    let database = Database::load(dbc)?;
    let batches: Vec<(Nanos, v1::CanFrames)> = log::frames(path, Nanos::ZERO)?.collect::<anyhow::Result<_>>()?;
    let mut known = Vec::new();
    let (mut frames, mut signals) = (Vec::new(), 0);
    for frame in batches.iter().flat_map(|(_, batch)| &batch.frames) {
        let Some(index) = database.index(frame.id, frame.extended) else { continue };
        if database.messages()[index].accepts_length(frame.data.len()) {
            known.push((index, frame.data.to_vec()));
            frames.push((frame.id, frame.data.to_vec()));
            signals += database.messages()[index].signals().len();
        }
    }
    println!(
        "{name}: {} frames of the database, {:.1} signals each",
        frames.len(),
        signals as f64 / frames.len() as f64
    );
    let compiled = rate(frames.len(), || {
        black_box(decode_all(&database, &frames));
    });
    row("  compiled database", compiled, "");
    if let Some(python) = auriga_testing::python("cantools") {
        match cantools(&python, dbc, &database, &known) {
            Some(python) => row("  cantools", python, &format!("{:.0} times slower", compiled / python)),
            None => println!("  cantools did not run"),
        }
    }
    Ok(())
}

/// The log through the state machine: counting, order, decoding, mapping, state and recording.
fn through_the_node(name: &str, dbc: &Path, mapping: &Path, path: &Path) -> anyhow::Result<()> {
    let database = Database::load(dbc)?;
    let mapping = Mapping::load(mapping, &database)?;
    let batches: Vec<(Nanos, v1::CanFrames)> = log::frames(path, Nanos::ZERO)?.collect::<anyhow::Result<_>>()?;
    let count: usize = batches.iter().map(|(_, b)| b.frames.len()).sum();
    let mut best = f64::MAX;
    for _ in 0..20 {
        // The node owns what it is given, as it does live; the copies are made beforehand.
        let inputs: Vec<(Nanos, Arc<v1::CanFrames>)> = batches.iter().map(|(t, b)| (*t, Arc::new(b.clone()))).collect();
        let (mut node, mut out) = (CanNode::with(database.clone(), mapping.clone()), Outbox::default());
        let start = Instant::now();
        for (now, batch) in inputs {
            node.on_input(CanInput::DeviceCan(batch), now, &mut out);
            black_box(out.take_messages());
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    row(&format!("{name} through the node, {} batches", batches.len()), count as f64 / best, "");
    let read = rate(count, || {
        if let Ok(frames) = log::frames(path, Nanos::ZERO) {
            black_box(frames.count());
        }
    });
    row(&format!("{name} read from its file"), read, "");
    Ok(())
}

/// A minute of the demo car's bus, as the generator's periods have it, without its content.
fn demo_log(folder: &Path) -> std::path::PathBuf {
    let database = common::demo_database();
    let mut lines: Vec<(u64, String)> = Vec::new();
    for message in database.messages() {
        let period_us = match message.name() {
            "STEERING" => 10_000,
            "SPEED" | "PEDALS" => 20_000,
            "BODY" => 100_000,
            "TYRES" => 200_000,
            "ENERGY" => 1_000_000,
            _ => 50_000,
        };
        for i in 0..60_000_000 / period_us {
            let us = i * period_us + u64::from(message.id()) * 7 % 5000;
            let mut data: Vec<u8> = (0..message.length()).map(|b| ((i as usize * 31 + b * 17) % 128) as u8).collect();
            if message.name() == "TYRES" {
                // Its multiplexer knows four values.
                data[0] %= 4;
            }
            let hex: String = data.iter().map(|byte| format!("{byte:02X}")).collect();
            lines.push((us, format!("({}.{:06}) can0 {:03X}#{hex}\n", us / 1_000_000, us % 1_000_000, message.id())));
        }
    }
    lines.sort();
    let path = folder.join("can.log");
    let text: String = lines.into_iter().map(|(_, line)| line).collect();
    std::fs::write(&path, text).expect("written");
    path
}

fn main() -> anyhow::Result<()> {
    println!("{:<58} {:>14} {:>12}", "", "frames", "a frame");
    one_message();
    let folder = tempfile::tempdir()?;
    let demo = common::repository().join("calibration/auriga-demo");
    let path = demo_log(folder.path());
    whole_log("a minute of the demo car", &demo.join("vehicle.dbc"), &path)?;
    if let (Some(dbc), Some(real)) =
        (auriga_testing::shared_data("can/honda_common.dbc"), auriga_testing::shared_data("can/icsim-sample-can.log"))
    {
        whole_log("a real log", &dbc, &real)?;
        through_the_node("a real log", &dbc, &common::repository().join("calibration/honda/vss.toml"), &real)?;
    }
    through_the_node("a minute of the demo car", &demo.join("vehicle.dbc"), &demo.join("vss.toml"), &path)
}
