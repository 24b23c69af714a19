//! The live shell: one process, one node, Zenoh around it.

use super::{
    device::DeviceSink,
    health::Health,
    mailbox::{Item, Mailbox, Taken},
    scheduling,
    transport::Link,
};
use crate::{
    config::{self, Args, RuntimeConfig},
    node::{
        Node,
        runner::{NodeRunner, Runner},
    },
    time::Nanos,
};
use anyhow::Context;
use auriga_msgs::{Any, NodeName, v1};
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};
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
        scheduling::apply(&self.runtime);
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
        devices(DeviceSink::new(mailbox.clone(), start_at))?;
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
