//! The live shell: one process, one node, Zenoh around it.

use super::{
    device::DeviceSink,
    executor::Executor,
    health::Health,
    mailbox::{Item, Mailbox},
    scheduling,
    supervision::{Heartbeat, Restarted},
    transport::Link,
};
use crate::{
    config::{self, Args, RuntimeConfig},
    node::{Node, runner::NodeRunner},
    time::Nanos,
};
use anyhow::Context;
use auriga_msgs::{NodeName, NodeSpec};
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};
use tracing::{info, warn};

/// The configuration that a `main` got from its command line, and the runtime its node will run in.
pub struct Shell<C> {
    config: C,
    runtime: RuntimeConfig,
    tokio: tokio::runtime::Runtime,
}

impl<C: DeserializeOwned> Shell<C> {
    /// Reads the command line over the node's commented `defaults` (TOML), answers `--help`, `--version` and
    /// `--print-config`, and sets up logging. `about` is the first line of the help.
    ///
    /// # Errors
    /// A wrong command line or configuration, see [`config::load`]; threads that cannot be started.
    pub fn start(about: &str, defaults: &str) -> anyhow::Result<Shell<C>> {
        let (config, runtime) = command_line(about, defaults)?;
        let config = config::typed(config)?;
        init_tracing(&runtime)?;
        // Two threads move bytes; the node has its own.
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        Ok(Shell { config, runtime, tokio })
    }
}

/// The merged configuration of the command line. Answers `--help` and the like, and ends the process then.
fn command_line(about: &str, defaults: &str) -> anyhow::Result<(toml::Table, RuntimeConfig)> {
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
    config::split(defaults, &args)
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

/// Structured logging to standard error.
///
/// # Errors
/// `runtime.log` is not a tracing filter.
///
/// # Panics
/// When it is called a second time in a process.
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
    /// The node's configuration.
    pub fn config(&self) -> &C {
        &self.config
    }

    /// The shell's configuration.
    pub fn runtime(&self) -> &RuntimeConfig {
        &self.runtime
    }

    /// For tasks of the shell's own (a web server): the runtime lives until [`Self::run`] returns.
    pub fn handle(&self) -> tokio::runtime::Handle {
        self.tokio.handle().clone()
    }

    /// Runs `node` until SIGINT or SIGTERM. `devices` starts the device threads, `effect` carries out effects on the
    /// node's thread. What is queued at the signal is still worked off, for up to a second; what is left then is counted
    /// as lost and reported.
    ///
    /// # Errors
    /// A Zenoh session that cannot be opened; one of `devices`.
    pub fn run<N: Node>(
        self,
        node: N,
        devices: impl FnOnce(DeviceSink<N::Name>) -> anyhow::Result<()>,
        effect: impl FnMut(N::Effect),
    ) -> anyhow::Result<()> {
        let spec = N::Name::SPEC;
        // Before the devices start programs of their own, which must not inherit it.
        let heartbeat = Heartbeat::from_environment(spec.criticality);
        let (mailbox, link) = connect(&self.runtime, spec, self.tokio.handle())?;
        let start = Nanos::monotonic();
        let start_at = if self.runtime.start_at == 0 { start } else { Nanos(self.runtime.start_at) };
        devices(DeviceSink::new(mailbox.clone(), start_at))?;
        info!(node = spec.name, "running");
        let period = Duration::from_millis(self.runtime.usage_period_ms.max(10));
        let executor = Executor {
            runner: NodeRunner::new(node, start),
            mailbox,
            link,
            effect,
            health: Health::new(start, start_at, period, Restarted::from_environment()),
            heartbeat,
        };
        executor.run().close();
        info!(node = spec.name, "stopped");
        self.tokio.shutdown_timeout(Duration::from_millis(500));
        Ok(())
    }
}

/// Opens the node's session; what it reads comes into the mailbox, and so does a signal to stop.
fn connect(
    runtime: &RuntimeConfig,
    spec: NodeSpec,
    tokio: &tokio::runtime::Handle,
) -> anyhow::Result<(Arc<Mailbox>, Link)> {
    let mailbox = Arc::new(Mailbox::new());
    scheduling::apply(runtime);
    let mut link = Link::open(runtime, spec)?;
    for &topic in spec.reads.iter().filter(|t| !t.spec().is_device()) {
        let mailbox = mailbox.clone();
        link.subscribe(topic, move |publisher, payload| {
            mailbox.push(Item::Wire { topic, publisher: publisher.into(), payload });
        })?;
    }
    tokio.spawn(stop_on_signal(mailbox.clone()));
    Ok((mailbox, link))
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
