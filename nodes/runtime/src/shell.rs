//! The live shell: one process, one node, Zenoh around it.

use crate::{
    Nanos,
    chains::LossMonitor,
    config::{self, Args, RuntimeConfig},
    mailbox::{Fault, Item, Mailbox, Taken},
    node::{Node, NodeRunner, Runner},
    transport::Link,
};
use anyhow::Context;
use auriga_msgs::{Any, CHAINS, NodeName, PublishedBy, Topic, TopicId, node::Device, v1};
use serde::de::DeserializeOwned;
use std::{collections::HashMap, marker::PhantomData, sync::Arc, time::Duration};
use tracing::{debug, info, warn};

/// What a `main` gets from its command line, and the runtime its node will run in.
pub struct Shell<C> {
    config: C,
    runtime: RuntimeConfig,
    tokio: tokio::runtime::Runtime,
}

impl<C: DeserializeOwned> Shell<C> {
    /// Reads the command line over the node's commented `defaults` (TOML), answers `--help`, `--version` and
    /// `--print-config`, and sets up logging. `about` is the first line of the help.
    pub fn start(about: &str, defaults: &str) -> anyhow::Result<Shell<C>> {
        let args = Args::parse(std::env::args().skip(1))?;
        if args.help {
            println!("{about}\n\n{}\n{defaults}{}", USAGE, config::RUNTIME_DEFAULTS);
            std::process::exit(0);
        }
        if args.version {
            println!("{}", env!("CARGO_PKG_VERSION"));
            std::process::exit(0);
        }
        if args.print_config {
            print!("{}", toml::to_string(&config::effective(defaults, &args)?)?);
            std::process::exit(0);
        }
        let (config, runtime) = config::load(defaults, &args)?;
        init_tracing(&runtime)?;
        // Two threads move bytes; the node has its own.
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        Ok(Shell { config, runtime, tokio })
    }
}

const USAGE: &str = "\
Options:
  -c, --config FILE        TOML with the fields below
  -p, --param KEY=VALUE    one field (a.b=c for tables); also KEY:=VALUE, as ROS 2 writes it
      --params-file FILE   ROS 2 parameters (YAML)
      --print-config       print what is in force and stop
  -h, --help  -V, --version
  What `ros2 launch` appends (--ros-args -r …) is accepted.

Configuration, with its defaults:
";

/// Structured logging to standard error, once for each process.
pub fn init_tracing(runtime: &RuntimeConfig) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&runtime.log)
        .with_context(|| format!("runtime.log = {:?} is not a tracing filter", runtime.log))?
        // Zenoh reports every retried connection; the first seconds of a start-up are full of them.
        .add_directive("zenoh=error".parse()?)
        .add_directive("zenoh_transport=error".parse()?)
        .add_directive("zenoh_link=error".parse()?);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if runtime.log_json {
        builder.json().init()
    } else {
        builder.with_target(false).init()
    }
    Ok(())
}

impl<C> Shell<C> {
    pub fn config(&self) -> &C {
        &self.config
    }

    pub fn runtime(&self) -> &RuntimeConfig {
        &self.runtime
    }

    /// For tasks of the shell's own (a web server): the runtime lives until [`Self::run`] returns.
    pub fn handle(&self) -> tokio::runtime::Handle {
        self.tokio.handle().clone()
    }

    /// Runs `node` until SIGINT or SIGTERM. `devices` starts the device threads, `effect` carries out effects on the
    /// node's thread.
    pub fn run<N: Node>(
        self,
        node: N,
        devices: impl FnOnce(DeviceSink<N::Name>) -> anyhow::Result<()>,
        effect: impl FnMut(N::Effect),
    ) -> anyhow::Result<()> {
        let spec = N::Name::SPEC;
        let mailbox = Arc::new(Mailbox::new());
        apply_scheduling(&self.runtime);
        let mut link = self.tokio.block_on(Link::open(&self.runtime, spec))?;
        for &topic in spec.reads.iter().filter(|t| !t.spec().is_device()) {
            let mailbox = mailbox.clone();
            let deliver = move |publisher: &str, payload| {
                mailbox.push(Item::Wire { topic, publisher: publisher.into(), payload });
            };
            self.tokio.block_on(link.subscribe(topic, deliver))?;
        }
        self.tokio.spawn(stop_on_signal(mailbox.clone()));
        let start = Nanos::monotonic();
        let start_at = if self.runtime.start_at == 0 { start } else { Nanos(self.runtime.start_at) };
        devices(DeviceSink { mailbox: mailbox.clone(), start_at, node: PhantomData })?;
        info!(node = spec.name, "running");
        let period = Duration::from_millis(self.runtime.usage_period_ms.max(10));
        let core = Core {
            runner: NodeRunner::new(node, start),
            mailbox,
            link,
            effect,
            health: Health::new(start, start_at, period),
        };
        let link = core.run();
        self.tokio.block_on(link.close());
        info!(node = spec.name, "stopped");
        self.tokio.shutdown_timeout(Duration::from_millis(500));
        Ok(())
    }
}

async fn stop_on_signal(mailbox: Arc<Mailbox>) {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut int), Ok(mut term)) => {
            tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
            mailbox.stop();
        }
        (Err(e), _) | (_, Err(e)) => warn!("no signal handling, only SIGKILL stops this node: {e}"),
    }
}

/// Both ask for privileges a desk may not have: said, and gone on without.
fn apply_scheduling(runtime: &RuntimeConfig) {
    if runtime.lock_memory {
        let flags = rustix::mm::MlockAllFlags::CURRENT | rustix::mm::MlockAllFlags::FUTURE;
        if let Err(e) = rustix::mm::mlockall(flags) {
            warn!("runtime.lock_memory: memory is not locked ({e}); give the node CAP_IPC_LOCK");
        }
    }
    if runtime.realtime_priority > 0 {
        use thread_priority::{RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};
        let set = thread_priority::ThreadPriorityValue::try_from(runtime.realtime_priority).ok().map(|p| {
            thread_priority::set_thread_priority_and_policy(
                thread_priority::thread_native_id(),
                ThreadPriority::Crossplatform(p),
                ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo),
            )
        });
        if !matches!(set, Some(Ok(()))) {
            warn!("runtime.realtime_priority: {set:?}; give the node CAP_SYS_NICE and a value of 1..99");
        }
    }
}

/// How a device thread hands what it measured to its node.
pub struct DeviceSink<N> {
    mailbox: Arc<Mailbox>,
    start_at: Nanos,
    node: PhantomData<fn() -> N>,
}

impl<N> Clone for DeviceSink<N> {
    fn clone(&self) -> Self {
        Self { mailbox: self.mailbox.clone(), start_at: self.start_at, node: PhantomData }
    }
}

impl<N: NodeName> DeviceSink<N> {
    /// Hands a message to the node by the topic's QoS: best effort replaces the oldest, reliable waits for room.
    /// Returns false once the node is stopping.
    pub fn send<T: Topic + PublishedBy<Device>>(&self, message: T::Message) -> bool {
        debug_assert!(N::SPEC.reads.contains(&T::ID), "{} does not read {}", N::SPEC.name, T::ID.spec().name);
        self.mailbox.push_waiting(Item::Device(T::wrap(Arc::new(message))))
    }

    /// Publishes a fault in the node's name.
    pub fn fault(&self, severity: v1::Severity, code: &'static str, subject: &str, text: impl Into<String>) {
        self.mailbox.push(Item::Fault(Fault { severity, code, subject: subject.into(), text: text.into() }));
    }

    /// Whether the node is shutting down: a device thread then ends.
    pub fn stopping(&self) -> bool {
        self.mailbox.stopping()
    }

    /// The instant (CLOCK_MONOTONIC) that is time 0 of a file played as a device.
    pub fn start_at(&self) -> Nanos {
        self.start_at
    }

    /// Says that a file played as a device is over. The node runs on.
    pub fn end_of_input(&self) {
        info!(node = N::SPEC.name, "end of input");
    }

    /// Sleeps until `time`; false when the node stops first.
    pub fn sleep_until(&self, time: Nanos) -> bool {
        loop {
            if self.stopping() {
                return false;
            }
            let left = time.since(Nanos::monotonic());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
    }
}

/// The node's own thread.
struct Core<N: Node, F> {
    runner: NodeRunner<N>,
    mailbox: Arc<Mailbox>,
    link: Link,
    effect: F,
    health: Health,
}

impl<N: Node, F: FnMut(N::Effect)> Core<N, F> {
    fn run(mut self) -> Link {
        loop {
            let wake = self.runner.next_tick().map_or(self.health.next, |t| t.min(self.health.next));
            match self.mailbox.take(wake) {
                Taken::Stopped => return self.link,
                Taken::TimedOut => {}
                // All that has come is taken in before the next tick, so a grant is seen between two slices.
                Taken::Items(items) => items.into_iter().for_each(|item| self.take(item)),
            }
            let now = Nanos::monotonic();
            if self.runner.next_tick().is_some_and(|t| t <= now) {
                self.step(None, now);
            }
            if now >= self.health.next {
                self.health(now);
            }
        }
    }

    fn take(&mut self, item: Item) {
        let now = Nanos::monotonic();
        match item {
            Item::Device(any) => self.step(Some(any), now),
            Item::Fault(f) => self.fault(f.severity, f.code, &f.subject, f.text),
            Item::Wire { topic, publisher, payload } => match Any::decode(topic, payload) {
                Ok(any) => {
                    self.health.received(&any, &publisher, now);
                    self.step(Some(any), now);
                }
                Err(e) => {
                    let text = format!("a message of {publisher} is not a {}: {e}", topic.spec().message);
                    self.fault(v1::Severity::Warning, "undecodable-message", topic.spec().name, text);
                }
            },
        }
    }

    fn fault(&mut self, severity: v1::Severity, code: &'static str, subject: &str, text: String) {
        let now = Nanos::monotonic();
        self.runner.outbox.fault(now, severity, code, subject, text.clone());
        // An input of no one: the runner only flushes what lies in the outbox.
        let messages = self.runner.flush();
        // Logged as often as it is told, which is less and less often.
        if !messages.is_empty() {
            warn!(code, subject, "{text}");
        }
        self.publish(messages);
    }

    fn step(&mut self, input: Option<Any>, now: Nanos) {
        let span = input.as_ref().map(|any| {
            tracing::debug_span!(
                "input",
                topic = any.topic().spec().name,
                trace = format_args!("{:016x}", any.header().trace_id)
            )
        });
        let _entered = span.as_ref().map(tracing::Span::enter);
        let messages = self.runner.step(input, now);
        self.publish(messages);
        for effect in self.runner.outbox.take_effects() {
            (self.effect)(effect);
        }
    }

    fn publish(&mut self, messages: Vec<Any>) {
        for mut any in messages {
            let now = Nanos::monotonic();
            any.header_mut().published_ns = now.0;
            self.health.published(&any, now);
            if let Any::Fault(f) = &any {
                debug!(code = f.code, subject = f.subject, count = f.count, "{}", f.text);
            }
            if let Err(e) = self.link.publish(&any) {
                warn!("{e:#}");
            }
        }
    }

    fn health(&mut self, now: Nanos) {
        for (topic, silence) in self.health.silent(now) {
            let text =
                format!("nothing for {} ms; is its publisher {} running?", silence.as_millis(), topic.spec().publisher);
            self.fault(v1::Severity::Warning, "topic-silent", topic.spec().name, text);
        }
        let (dropped, overflowed) = self.mailbox.losses();
        if overflowed > self.health.overflowed {
            self.health.overflowed = overflowed;
            let text = format!("{overflowed} reliable messages lost: the node is slower than its inputs");
            self.fault(v1::Severity::Critical, "mailbox-full", N::Name::SPEC.name, text);
        }
        let usage = self.health.usage(N::Name::SPEC.name, now, dropped, overflowed);
        let usage = v1::Usage { workloads: self.runner.workloads(now), ..usage };
        self.runner.outbox.publish::<auriga_msgs::topic::Usage>(usage);
        let messages = self.runner.flush();
        self.publish(messages);
    }
}

/// What the shell measures of its node.
struct Health {
    start: Nanos,
    next: Nanos,
    period: Duration,
    messages_in: u64,
    messages_out: u64,
    deadline_misses: u64,
    overflowed: u64,
    loss: LossMonitor,
    /// When each topic was last heard; silence is only counted from the first message on.
    heard: HashMap<TopicId, Nanos>,
}

impl Health {
    fn new(start: Nanos, start_at: Nanos, period: Duration) -> Self {
        debug!(lead_ms = start_at.since(start).as_millis() as u64, "files start");
        Self {
            start,
            next: start,
            period,
            messages_in: 0,
            messages_out: 0,
            deadline_misses: 0,
            overflowed: 0,
            loss: LossMonitor::default(),
            heard: HashMap::new(),
        }
    }

    fn received(&mut self, any: &Any, publisher: &str, now: Nanos) {
        self.messages_in += 1;
        self.loss.observe(any.topic(), publisher, any.header().seq);
        self.heard.insert(any.topic(), now);
    }

    /// A chain that ends at a topic of ours and begins at its stamp is checked on the way out.
    fn published(&mut self, any: &Any, now: Nanos) {
        self.messages_out += 1;
        let header = any.header();
        let late = CHAINS.iter().any(|c| {
            c.to == any.topic()
                && c.from.is_none()
                && (c.source.is_none() || c.source == header.source())
                && now.since(Nanos(header.stamp_ns)).as_nanos() as f64 > c.budget_ms * 1e6
        });
        self.deadline_misses += u64::from(late);
    }

    fn silent(&mut self, now: Nanos) -> Vec<(TopicId, Duration)> {
        let mut silent: Vec<_> = self
            .heard
            .iter()
            .filter_map(|(&topic, &at)| {
                let limit = Duration::from_millis(topic.spec().timeout_ms?);
                Some((topic, now.since(at))).filter(|(_, silence)| *silence > limit)
            })
            .collect();
        silent.sort();
        self.deadline_misses += silent.len() as u64;
        silent
    }

    fn usage(&mut self, node: &str, now: Nanos, dropped: u64, overflowed: u64) -> v1::Usage {
        self.next = now + self.period;
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        v1::Usage {
            header: Some(v1::Header::new(now.0, 0)),
            node: node.into(),
            pid: std::process::id(),
            uptime_ns: now.since(self.start).as_nanos() as u64,
            cpu_ns: cpu.tv_sec as u64 * 1_000_000_000 + cpu.tv_nsec as u64,
            rss_bytes: resident_bytes(),
            messages_in: self.messages_in,
            messages_out: self.messages_out,
            messages_dropped: dropped,
            messages_lost: self.loss.lost_reliable + overflowed,
            deadline_misses: self.deadline_misses,
            ..Default::default()
        }
    }
}

/// Second field of /proc/self/statm, in pages; 0 where there is no /proc.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split_whitespace().nth(1).and_then(|p| p.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}
