//! How long a message takes from one process to another through the runtime (state machine to state machine: encoded,
//! published, received, queued, decoded) beside bare Zenoh with the same settings, in the same run:
//!
//!     cargo bench -p auriga-runtime --bench latency
//!
//! Bare Zenoh is measured twice: to its own callback, and to an application's thread through Zenoh's default handler (a
//! channel). The runtime also hands a message to the node's thread, because a node may be at work for longer than Zenoh's
//! thread can be kept; what that hand-over costs is the difference of the two.
//!
//! One way, on the one monotonic clock all processes of a machine share. Rounds of both alternate, so that what else
//! the machine does hits both. 64 bytes go by TCP on loopback, images by shared memory (allocate, copy in, publish).

use auriga_msgs::{NodeName, TopicId, node, topic, v1};
use auriga_runtime::{Nanos, Node, Outbox, Shell, config::NoConfig, transport};
use hdrhistogram::Histogram;
use std::{
    io::Write,
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};
use zenoh::{Wait, shm::ShmProviderBuilder};

const ROLE: &str = "AURIGA_BENCH_ROLE";
const IMAGE_BYTES: usize = 1280 * 720 * 3;
const SMALL_BYTES: usize = 64;
const PERIOD: Duration = Duration::from_millis(4);
/// The first ones find connections and caches cold.
const WARM_UP: u64 = 100;
const ROUNDS: usize = 4;

fn main() {
    let result = match std::env::var(ROLE).as_deref() {
        Err(_) => table(),
        Ok("runtime-send") => runtime_send(),
        Ok("runtime-receive") => runtime_receive(),
        Ok("callback-send" | "channel-send") => zenoh_send(),
        Ok("callback-receive") => zenoh_receive_callback(),
        Ok("channel-receive") => zenoh_receive_channel(),
        Ok(other) => Err(anyhow::anyhow!("{ROLE} = {other:?} is no role")),
    };
    if let Err(e) = result {
        eprintln!("{e:#}");
        std::process::exit(1);
    }
}

/// A setting of both sides of a measurement.
fn setting(name: &str) -> anyhow::Result<usize> {
    Ok(std::env::var(name)?.parse()?)
}

fn table() -> anyhow::Result<()> {
    println!("{:<34} {:>7} {:>9} {:>9} {:>9} {:>9}", "one way, microseconds", "count", "p50", "p99", "p99.9", "max");
    for (what, bytes, count) in [("64 B", SMALL_BYTES, 1000), ("1280x720x3 image", IMAGE_BYTES, 400)] {
        let mut all = [Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?];
        for round in 0..ROUNDS {
            for (way, histogram) in ["callback", "channel", "runtime"].iter().zip(&mut all) {
                measure(way, bytes, count, 21_000 + round as u16 * 100, histogram)?;
            }
        }
        for (way, h) in ["zenoh callback", "zenoh channel", "runtime"].iter().zip(&all) {
            let us = |q| h.value_at_quantile(q) as f64 / 1000.0;
            println!(
                "{:<34} {:>7} {:>9.1} {:>9.1} {:>9.1} {:>9.1}",
                format!("{what}, {way}"),
                h.len(),
                us(0.5),
                us(0.99),
                us(0.999),
                us(1.0)
            );
        }
        for (peer, name) in [(0, "callback"), (1, "channel")] {
            let ratio = |q| all[2].value_at_quantile(q) as f64 / all[peer].value_at_quantile(q) as f64;
            let row = format!("{what}, to {name}");
            println!("{row:<34} {:>7} {:>8.2}x {:>8.2}x", "ratio", ratio(0.5), ratio(0.99));
        }
    }
    Ok(())
}

/// One round: a receiver, a sender, and the latencies the receiver prints, in nanoseconds.
fn measure(way: &str, bytes: usize, count: usize, port: u16, into: &mut Histogram<u64>) -> anyhow::Result<()> {
    let child = |role: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap_or_default());
        command.env(ROLE, format!("{way}-{role}")).env("BYTES", bytes.to_string()).env("COUNT", count.to_string());
        command.env("PORT", port.to_string());
        if way == "runtime" {
            command.args(["-p", &format!("runtime.zenoh_base_port={port}"), "-p", "runtime.log=warn"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    };
    let receiver = child("receive").spawn()?;
    let mut sender = child("send").spawn()?;
    let output = receiver.wait_with_output()?;
    sender.kill()?;
    sender.wait()?;
    anyhow::ensure!(output.status.success(), "the receiver of {way} failed: {}", output.status);
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        into.record(line.parse()?)?;
    }
    Ok(())
}

fn print_all(latencies: &[u64]) -> std::io::Result<()> {
    let text: String = latencies.iter().map(|l| format!("{l}\n")).collect();
    std::io::stdout().write_all(text.as_bytes())
}

// --- through the runtime: the camera's image and the speech node's utterance, to the head-up display

struct CameraSender(bytes::Bytes, u64);
impl Node for CameraSender {
    type Name = node::Camera;
    type Effect = ();
    fn on_input(&mut self, _: node::CameraInput, _: Nanos, _: &mut Outbox<Self>) {}
    fn on_tick(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        self.1 += 1;
        let header = Some(v1::Header::new(now.0, self.1));
        out.publish::<topic::CameraFrontImage>(v1::Image { header, data: self.0.clone(), ..Default::default() });
        out.tick_at(now + PERIOD);
    }
}

struct SpeechSender(String, u64);
impl Node for SpeechSender {
    type Name = node::Speech;
    type Effect = ();
    fn on_input(&mut self, _: node::SpeechInput, _: Nanos, _: &mut Outbox<Self>) {}
    fn on_tick(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        self.1 += 1;
        let header = Some(v1::Header::new(now.0, self.1));
        out.publish::<topic::SpeechUtterance>(v1::Utterance { header, text: self.0.clone(), ..Default::default() });
        out.tick_at(now + PERIOD);
    }
}

struct Receiver {
    latencies: Vec<u64>,
    count: usize,
}
impl Receiver {
    fn received(&mut self, header: Option<v1::Header>) {
        let latency = Nanos::monotonic().since(Nanos(header.unwrap_or_default().published_ns));
        self.latencies.push(latency.as_nanos() as u64);
        if self.latencies.len() == self.count + WARM_UP as usize {
            let printed = print_all(&self.latencies[WARM_UP as usize..]);
            std::process::exit(i32::from(printed.is_err()));
        }
    }
}
impl Node for Receiver {
    type Name = node::Hud;
    type Effect = ();
    fn on_input(&mut self, input: node::HudInput, _: Nanos, _: &mut Outbox<Self>) {
        match input {
            node::HudInput::CameraFrontImage(image) => self.received(image.header),
            node::HudInput::SpeechUtterance(said) => self.received(said.header),
            _ => {}
        }
    }
    fn on_tick(&mut self, _: Nanos, _: &mut Outbox<Self>) {}
}

fn runtime_send() -> anyhow::Result<()> {
    let shell = Shell::<NoConfig>::start("bench", "")?;
    match setting("BYTES")? {
        IMAGE_BYTES => shell.run(CameraSender(vec![7; IMAGE_BYTES].into(), 0), |_| Ok(()), |()| {}),
        bytes => shell.run(SpeechSender("x".repeat(bytes.saturating_sub(38)), 0), |_| Ok(()), |()| {}),
    }
}

fn runtime_receive() -> anyhow::Result<()> {
    let shell = Shell::<NoConfig>::start("bench", "")?;
    shell.run(Receiver { latencies: Vec::new(), count: setting("COUNT")? }, |_| Ok(()), |()| {})
}

// --- bare Zenoh: the runtime's own session settings, the time in the payload's first eight bytes

fn session(node: auriga_msgs::NodeSpec) -> anyhow::Result<zenoh::Session> {
    let runtime =
        auriga_runtime::config::RuntimeConfig { zenoh_base_port: setting("PORT")? as u16, ..Default::default() };
    let config = transport::zenoh_config(&runtime, node)?;
    zenoh::open(config).wait().map_err(|e| anyhow::anyhow!("zenoh: {e}"))
}

/// The table's settings for what the runtime sends in the same case.
fn topic_of(bytes: usize) -> TopicId {
    if bytes == IMAGE_BYTES { TopicId::CameraFrontImage } else { TopicId::SpeechUtterance }
}

fn zenoh_send() -> anyhow::Result<()> {
    let session = session(node::Camera::SPEC)?;
    let bytes = setting("BYTES")?;
    let reliable = topic_of(bytes).spec().reliability == auriga_msgs::Reliability::Reliable;
    let publisher = session
        .declare_publisher("bench")
        .express(true)
        .congestion_control(if reliable {
            zenoh::qos::CongestionControl::Block
        } else {
            zenoh::qos::CongestionControl::Drop
        })
        .wait()
        .map_err(|e| anyhow::anyhow!("{e}"))?;
    let provider = ShmProviderBuilder::default_backend(32 << 20).wait().map_err(|e| anyhow::anyhow!("{e:?}"))?;
    let source = vec![7u8; bytes];
    loop {
        let now = Nanos::monotonic().0.to_le_bytes();
        let put = if bytes == IMAGE_BYTES {
            let alloc = provider.alloc(bytes).with_policy::<zenoh::shm::GarbageCollect>().wait();
            let mut buffer = alloc.map_err(|e| anyhow::anyhow!("{e:?}"))?;
            buffer.copy_from_slice(&source);
            buffer[..8].copy_from_slice(&now);
            publisher.put(buffer).wait()
        } else {
            let mut buffer = source.clone();
            buffer[..8].copy_from_slice(&now);
            publisher.put(buffer).wait()
        };
        put.map_err(|e| anyhow::anyhow!("{e}"))?;
        std::thread::sleep(PERIOD);
    }
}

/// Time from the stamp in a payload's first eight bytes.
fn latency_of(sample: &zenoh::sample::Sample) -> u64 {
    let now = Nanos::monotonic();
    let mut stamp = [0; 8];
    if let Some(first) = sample.payload().slices().next().and_then(|s| s.get(..8)) {
        stamp.copy_from_slice(first);
    }
    now.since(Nanos(u64::from_le_bytes(stamp))).as_nanos() as u64
}

fn zenoh_receive_callback() -> anyhow::Result<()> {
    let session = session(node::Hud::SPEC)?;
    let (send, receive) = mpsc::channel();
    let _subscriber = session
        .declare_subscriber("bench")
        // The main thread ends the process when it has enough; what comes after that has no one to go to.
        .callback(move |sample| {
            let _ = send.send(latency_of(&sample));
        })
        .wait()
        .map_err(|e| anyhow::anyhow!("{e}"))?;
    print_wanted(receive.iter())
}

fn zenoh_receive_channel() -> anyhow::Result<()> {
    let session = session(node::Hud::SPEC)?;
    let subscriber = session.declare_subscriber("bench").wait().map_err(|e| anyhow::anyhow!("{e}"))?;
    print_wanted(std::iter::from_fn(|| subscriber.recv().ok().map(|sample| latency_of(&sample))))
}

/// Prints what was asked for and ends the process.
fn print_wanted(latencies: impl Iterator<Item = u64>) -> anyhow::Result<()> {
    let latencies: Vec<u64> = latencies.take(setting("COUNT")? + WARM_UP as usize).collect();
    print_all(&latencies[WARM_UP as usize..])?;
    std::process::exit(0)
}
