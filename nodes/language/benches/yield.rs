//! How soon the language model leaves the processor, how soon the intent of an utterance is known and the reply begins, and
//! what slicing costs:
//!
//!     cargo bench -p auriga-language --bench yield
//!
//! The first two are measured from outside: the executable of the node runs as a process of its own, this program takes
//! the place of speech, fusion and arbiter over Zenoh and reads the headers, whose times are of the same monotonic clock.
//! The settings are: no load; every core kept busy by threads of a tenth of the node's weight, which the workload table
//! gives to other infotainment; by threads of the same weight; and the same with the node at the lowest real-time priority.
//! Slicing is compared with undivided runs of the same requests.

use anyhow::{Context, ensure};
use auriga_language::{
    Config, DEFAULTS,
    engine::{
        interface::{Class, Engine, ModelInput, Progress},
        measure, models,
    },
};
use auriga_lm::intent::{catalogue::Catalogue, classifier::context, scene::SceneFacts};
use auriga_msgs::{Any, CHAINS, NodeName, TopicId, node, v1};
use auriga_runtime::{Nanos, config::RuntimeConfig, transport::Link};
use hdrhistogram::Histogram;
use std::{
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
    },
    time::Duration,
};

/// Revocations and requests in each setting.
const ROUNDS: usize = 300;
/// Requests with each size of slice.
const COMPARED: usize = 60;
/// Ports of this bench's Zenoh sessions, away from those of a running system.
const BASE_PORT: u16 = 24_800;
const PATIENCE: Duration = Duration::from_secs(20);
const REQUESTS: [&str; 4] =
    ["how far can i still go", "navigate to the nearest charging station", "i feel a bit dizzy", "what can you do"];

fn main() -> anyhow::Result<()> {
    let config = config()?;
    println!("checkpoint {}", config.checkpoint.display());
    let cores = std::thread::available_parallelism()?.get();
    let header = format!("milliseconds, {cores} cores");
    println!("{header:<52} {:>6} {:>7} {:>8} {:>8} {:>8} {:>8}", "count", "budget", "p50", "p99", "p99.9", "max");
    let settings = [
        ("no load", 0, 0, false),
        ("load of a tenth", cores, 10, false),
        ("load of the same", cores, 0, false),
        ("that, node real-time", cores, 0, true),
    ];
    for (setting, threads, nice, realtime) in settings {
        let started = Harness::start(&config, realtime);
        if realtime && started.is_err() {
            println!("skipped: {setting}: SCHED_FIFO needs CAP_SYS_NICE and chrt of util-linux");
            continue;
        }
        let mut harness = started?;
        let _load = Load::start(threads, nice);
        harness.measure()?;
        row(&format!("revocation to having left, {setting}"), "revocation-to-yield", &harness.left);
        row(&format!("end of speech to intent, {setting}"), "speech-to-intent", &harness.intent);
        row(&format!("end of speech to first words, {setting}"), "speech-to-first-word", &harness.first_word);
    }
    slicing(&config)
}

fn config() -> anyhow::Result<Config> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let config: Config = toml::from_str(DEFAULTS)?;
    let checkpoint = std::env::var_os("AURIGA_CHECKPOINT").map_or(root.join(&config.checkpoint), PathBuf::from);
    Ok(Config {
        checkpoint,
        encoder: root.join(&config.encoder),
        adapter: root.join(&config.adapter),
        catalogue: root.join(&config.catalogue),
        workloads: root.join(&config.workloads),
        ..config
    })
}

fn row(what: &str, chain: &str, h: &Histogram<u64>) {
    let budget = CHAINS.iter().find(|c| c.name == chain).map_or(f64::NAN, |c| c.budget_ms);
    let ms = |q| h.value_at_quantile(q) as f64 / 1e6;
    let (p50, p99, p999, max) = (ms(0.5), ms(0.99), ms(0.999), ms(1.0));
    println!("{what:<52} {:>6} {budget:>7.0} {p50:>8.2} {p99:>8.2} {p999:>8.2} {max:>8.2}", h.len());
}

/// Threads that keep the cores busy.
struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<u64>>,
}

impl Load {
    /// `nice`: 10 is about a tenth of the ordinary weight.
    fn start(threads: usize, nice: i32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let work = |stop: Arc<AtomicBool>| {
            move || {
                // On Linux this applies to the calling thread only.
                rustix::process::nice(nice).expect("lowering the priority is always allowed");
                let mut x = 1u64;
                while !stop.load(Ordering::Relaxed) {
                    (0..10_000).for_each(|i| x = std::hint::black_box(x.wrapping_mul(6364136223846793005) + i));
                }
                x
            }
        };
        let threads = (0..threads).map(|_| std::thread::spawn(work(stop.clone()))).collect();
        Self { stop, threads }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|t| drop(t.join()));
    }
}

/// The process of the node, and the links in place of the nodes around it.
struct Harness {
    child: Child,
    speech: Option<Link>,
    fusion: Option<Link>,
    arbiter: Option<Link>,
    hud: Option<Link>,
    heard: Receiver<Any>,
    events: u64,
    left: Histogram<u64>,
    intent: Histogram<u64>,
    first_word: Histogram<u64>,
}

impl Harness {
    /// `realtime`: the node's threads at the lowest real-time priority, below all safety nodes.
    fn start(config: &Config, realtime: bool) -> anyhow::Result<Self> {
        let runtime = RuntimeConfig { zenoh_base_port: BASE_PORT, ..Default::default() };
        let mut hud = Link::open(&runtime, node::Hud::SPEC)?;
        let (deliver, heard) = mpsc::channel();
        for topic in [TopicId::LanguageSlices, TopicId::LanguageIntent, TopicId::LanguageTurn] {
            let deliver = deliver.clone();
            let take = move |_: &str, payload| {
                if let Ok(any) = Any::decode(topic, payload) {
                    // The receiver is gone when the bench has ended.
                    let _ = deliver.send(any);
                }
            };
            hud.subscribe(topic, take)?;
        }
        let open = |node| Link::open(&runtime, node).map(Some);
        let (speech, fusion) = (open(node::Speech::SPEC)?, open(node::Fusion::SPEC)?);
        let arbiter = open(node::Arbiter::SPEC)?;
        let path = |key: &str, path: &Path| format!("{key}={}", path.display());
        let node = env!("CARGO_BIN_EXE_auriga-language");
        let mut command = Command::new(if realtime { "chrt" } else { node });
        if realtime {
            command.args(["-f", "1", node]);
        }
        let child = command
            .args(["-p", &path("checkpoint", &config.checkpoint), "-p", &path("catalogue", &config.catalogue)])
            .args(["-p", &path("workloads", &config.workloads), "-p", "runtime.log=error"])
            .args(["-p", &format!("runtime.zenoh_base_port={BASE_PORT}")])
            .spawn()?;
        let histogram = || Histogram::new_with_bounds(1, 60_000_000_000, 3);
        let (left, intent, first_word) = (histogram()?, histogram()?, histogram()?);
        let hud = Some(hud);
        let mut harness = Self { child, speech, fusion, arbiter, hud, heard, events: 1, left, intent, first_word };
        harness.connect()?;
        Ok(harness)
    }

    /// Publishes grants until the node answers; the discovery of Zenoh sessions takes some time.
    fn connect(&mut self) -> anyhow::Result<()> {
        let start = Nanos::monotonic();
        while Nanos::monotonic().since(start) < PATIENCE {
            self.grants(true)?;
            self.wait(Duration::from_millis(100), |any| matches!(any, Any::LanguageSlices(_)).then_some(()));
            self.grants(false)?;
            let answered =
                self.wait(Duration::from_millis(200), |any| matches!(any, Any::LanguageSlices(_)).then_some(()));
            if answered.is_some() {
                return Ok(());
            }
        }
        anyhow::bail!("the node does not answer within {} s", PATIENCE.as_secs())
    }

    fn measure(&mut self) -> anyhow::Result<()> {
        for round in 0..ROUNDS {
            self.grants(true)?;
            self.scene()?;
            let trace = self.say(REQUESTS[round % REQUESTS.len()])?;
            let of_trace = move |any: &Any| (any.header().trace_id == trace).then(|| any.header());
            let intent = self.wait(PATIENCE, |any| match any {
                Any::LanguageIntent(_) => of_trace(any),
                _ => None,
            });
            let intent = intent.context("no intent came")?;
            self.intent.record(latency(intent))?;
            if round % 2 == 0 {
                let words = self.wait(PATIENCE, |any| match any {
                    Any::LanguageTurn(turn) if !turn.text.is_empty() => of_trace(any),
                    _ => None,
                });
                self.first_word.record(latency(words.context("no reply came")?))?;
            } else {
                // Revoke during the reply, each time at another place.
                std::thread::sleep(Duration::from_micros(500 + (round as u64 * 2_711) % 25_000));
            }
            let (published, trace) = self.grants(false)?;
            let left = self.wait(PATIENCE, |any| match any {
                Any::LanguageSlices(status) if !status.running && any.header().trace_id == trace => Some(any.header()),
                _ => None,
            });
            let left = left.context("the node did not report that it has left the processor")?;
            ensure!(left.stamp_ns == published, "the stamp must be the publishing time of the grant");
            self.left.record(latency(left).max(1))?;
        }
        Ok(())
    }

    fn wait<T>(&self, patience: Duration, mut wanted: impl FnMut(&Any) -> Option<T>) -> Option<T> {
        let end = Nanos::monotonic() + patience;
        loop {
            let left = end.since(Nanos::monotonic());
            let any = self.heard.recv_timeout(left).ok()?;
            if let Some(found) = wanted(&any) {
                return Some(found);
            }
        }
    }

    /// The header of a new event, published now.
    fn header(&mut self, topic: TopicId) -> v1::Header {
        self.events += 1;
        let now = Nanos::monotonic().0;
        v1::Header {
            published_ns: now,
            seq: self.events,
            ..v1::Header::new(now, v1::Header::trace(topic, self.events))
        }
    }

    /// Both workloads at their highest level and with shares that do not limit them; or dialogue revoked as in the hazard
    /// mode.
    fn grants(&mut self, run: bool) -> anyhow::Result<(u64, u64)> {
        let header = self.header(TopicId::VehicleState);
        let end = header.published_ns + 30_000_000_000;
        let grant = |workload: &str, level, run, cpu_share| v1::Grant {
            workload: workload.into(),
            node: "language".into(),
            level,
            run,
            cpu_share,
            lease_end_ns: end,
            ..Default::default()
        };
        let dialogue =
            if run { grant("language-dialogue", 3, true, 0.5) } else { grant("language-dialogue", 0, false, 0.0) };
        let grants = vec![grant("language-intent", 1, true, 0.5), dialogue];
        let message = v1::Grants { header: Some(header), grants, ..Default::default() };
        let arbiter = self.arbiter.as_mut().context("closed")?;
        arbiter.publish(&Any::ArbiterGrants(Arc::new(message)))?;
        Ok((header.published_ns, header.trace_id))
    }

    fn scene(&mut self) -> anyhow::Result<()> {
        let header = Some(self.header(TopicId::CameraFrontImage));
        let vehicle = v1::VehicleState {
            speed_mps: Some(14.0),
            range_km: Some(212.0),
            battery: Some(0.64),
            gear: v1::Gear::Drive.into(),
            ..Default::default()
        };
        let scene = v1::Scene { header, vehicle: Some(vehicle), can_age_ns: Some(0), ..Default::default() };
        self.fusion.as_mut().context("closed")?.publish(&Any::FusionScene(Arc::new(scene)))
    }

    fn say(&mut self, text: &str) -> anyhow::Result<u64> {
        let header = self.header(TopicId::SpeechUtterance);
        let utterance = v1::Utterance { header: Some(header), text: text.into(), r#final: true, ..Default::default() };
        self.speech.as_mut().context("closed")?.publish(&Any::SpeechUtterance(Arc::new(utterance)))?;
        Ok(header.trace_id)
    }
}

fn latency(header: v1::Header) -> u64 {
    header.published_ns.saturating_sub(header.stamp_ns)
}

impl Drop for Harness {
    fn drop(&mut self) {
        // Started by this program, which waits for it.
        let _ = self.child.kill().and_then(|()| self.child.wait());
        for link in [&mut self.speech, &mut self.fusion, &mut self.arbiter, &mut self.hud] {
            if let Some(link) = link.take() {
                link.close();
            }
        }
    }
}

/// Compares the same requests in slices and undivided, alternating, on this thread.
fn slicing(config: &Config) -> anyhow::Result<()> {
    let mut engine = models::open(config, &Catalogue::load(&config.catalogue)?, None).map_err(anyhow::Error::msg)?;
    let cost = measure::layer_cost(engine.as_mut())?;
    let chosen = config.with_layer_cost(cost);
    println!(
        "\nthe slowest layer takes {:.3} ms: {} layers to a slice of {} ms",
        cost.as_secs_f64() * 1e3,
        chosen.layers_per_slice,
        config.slice_ms
    );
    let sizes = [usize::MAX, chosen.layers_per_slice, 1];
    let mut total = [Duration::ZERO; 3];
    let mut slices = [(); 3].map(|()| Vec::new());
    for round in 0..COMPARED {
        for (i, &size) in sizes.iter().enumerate() {
            let times = request(engine.as_mut(), REQUESTS[round % REQUESTS.len()], size)?;
            total[i] += times.iter().sum::<Duration>();
            slices[i].extend(times);
        }
    }
    println!(
        "{:<52} {:>6} {:>9} {:>8} {:>8} {:>8}",
        "intent and reply, ms", "slices", "a request", "ratio", "slice p99", "max"
    );
    for (i, name) in ["undivided", "slices as chosen", "slices of one layer"].iter().enumerate() {
        slices[i].sort();
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        let at = |q: f64| ms(slices[i][((slices[i].len() - 1) as f64 * q) as usize]);
        let ratio = total[i].as_secs_f64() / total[0].as_secs_f64();
        let count = slices[i].len() / COMPARED;
        println!(
            "{name:<52} {count:>6} {:>9.2} {ratio:>8.3} {:>8.3} {:>8.3}",
            ms(total[i]) / COMPARED as f64,
            at(0.99),
            at(1.0)
        );
    }
    Ok(())
}

/// The times of the slices of a request.
fn request(engine: &mut dyn Engine, text: &str, layers: usize) -> anyhow::Result<Vec<Duration>> {
    let scene = SceneFacts { speed_mps: Some(14.0), range_km: Some(212.0), battery: Some(0.64), ..Default::default() };
    let context = context::Context { scene, ..Default::default() };
    let mut times = Vec::new();
    let input = ModelInput { text: text.into(), context };
    engine.begin_intent(&input)?;
    let mut class = Class::Intent;
    loop {
        let begin = Nanos::monotonic();
        let progress = engine.advance(class, layers)?;
        times.push(Nanos::monotonic().since(begin));
        match progress {
            Progress::Intent(intent) => {
                engine.begin_reply(&input, &intent, 96)?;
                class = Class::Dialogue;
            }
            Progress::Finished => return Ok(times),
            Progress::Working | Progress::Text(_) => {}
        }
    }
}
