//! A drive through all processes in real time: `replay.launch.xml`, with the drive's files in place of the devices.

use crate::{
    launch::{self, Machine, Parameter, Surroundings, Value},
    supervise::{self, Event, Exit, LogFolder, Outcome, Policy, Reason, Screen, Settings, Stop},
};
use anyhow::{Context, bail, ensure};
use auriga_msgs::NODES;
use auriga_runtime::Nanos;
use auriga_sil::{
    drive::Drive,
    scenario::{LivePlan, LiveRunner},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::{mpsc, watch};

/// From the start of the processes to the first sensor data: on two cores, all nodes are up and have found each other
/// after less.
const LEAD: Duration = Duration::from_secs(5);
/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// What is driven and how.
pub struct Session<'a> {
    /// For `replay.launch.xml`.
    pub arguments: Vec<(String, String)>,
    /// Configuration of single nodes over the launch file's: node, field, value.
    pub params: &'a [(String, String, String)],
    /// Nodes to kill, at seconds of the drive.
    pub kills: Vec<(String, f64)>,
    /// The part of the drive that is played.
    pub from_s: f64,
    pub to_s: f64,
    pub base_port: u16,
    pub logs: LogFolder,
    pub screen: Screen,
}

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Progress {
    /// The processes come up.
    Starting,
    /// At a second of the drive, and the fraction of it that is done.
    Driving { at_s: f64, fraction: f64 },
    /// The processes end.
    Ending,
}

/// The arguments that play a drive's files. Files it does not have are absent devices.
pub fn arguments_of(drive: &Drive) -> Vec<(String, String)> {
    let file = |path: Option<PathBuf>| path.map(|path| path.display().to_string()).unwrap_or_default();
    [
        ("drive", drive.folder.display().to_string()),
        ("vehicle", drive.manifest.vehicle.clone()),
        ("camera", file(drive.camera())),
        ("can_log", file(drive.can())),
        ("speech", file(drive.speech())),
        ("transcript", file(drive.transcript_file())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Plays a session to its end. Ctrl-C ends it earlier.
pub fn run(session: Session<'_>, progress: &mut dyn FnMut(Progress)) -> anyhow::Result<Outcome> {
    check_ports(session.base_port)?;
    let machine = Machine::new();
    let share =
        machine.package_share("auriga").context("where is package auriga? neither a build tree nor installed")?;
    let start_at = Nanos::monotonic() + LEAD - Duration::from_secs_f64(session.from_s.max(0.0));
    let mut arguments = session.arguments;
    arguments.push(("start_at".into(), start_at.0.to_string()));
    arguments.push(("base_port".into(), session.base_port.to_string()));
    let mut description = launch::load(&share.join("launch/replay.launch.xml"), &arguments, &machine)?;
    for (node, field, value) in session.params {
        let process = description.processes.iter_mut().find(|process| process.name == *node);
        let process = process.with_context(|| format!("parameter {node}.{field}: no such node is launched"))?;
        process.parameters.push(Parameter::Value { name: field.clone(), value: Value::from_text(value) });
    }
    let (events, mut incoming) = mpsc::unbounded_channel();
    let (stop, stopping) = watch::channel(Stop::No);
    let settings = Settings { policy: Policy::default(), logs: session.logs, screen: session.screen.clone(), events };
    let mut watcher = Watcher {
        start_at,
        from_s: session.from_s,
        to_s: session.to_s,
        kills: session.kills,
        pids: BTreeMap::new(),
        ending: false,
        screen: session.screen,
        progress,
    };
    // On this thread: it lives as long as the session, as the processes' parent has to.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = supervise::stop_on_signals(stop).context("signals cannot be received")?;
        let watch = async {
            let mut tick = tokio::time::interval(TICK);
            loop {
                tokio::select! {
                    event = incoming.recv() => match event {
                        Some(event) => watcher.event(event),
                        None => break,
                    },
                    _ = tick.tick() => watcher.tick(Nanos::monotonic()),
                }
            }
        };
        let run = async { tokio::join!(supervise::run(description.processes, settings, stopping), watch).0 };
        tokio::select! { outcome = run => Ok(outcome), never = signals => match never {} }
    })
}

/// Follows a session.
struct Watcher<'a> {
    start_at: Nanos,
    from_s: f64,
    to_s: f64,
    kills: Vec<(String, f64)>,
    /// Of what runs now.
    pids: BTreeMap<String, u32>,
    ending: bool,
    screen: Screen,
    progress: &'a mut dyn FnMut(Progress),
}

impl Watcher<'_> {
    fn event(&mut self, event: Event) {
        match &event {
            Event::Started { name, pid } => drop(self.pids.insert(name.clone(), *pid)),
            Event::Exited { name, .. } => drop(self.pids.remove(name)),
            Event::Stopping { .. } => {
                self.ending = true;
                (self.progress)(Progress::Ending);
            }
            _ => {}
        }
        // A start and an orderly end are nothing to tell.
        let usual = matches!(event, Event::Started { .. })
            || matches!(&event, Event::Exited { exit: Exit::Code(0), .. } if self.ending)
            || matches!(&event, Event::Stopping { why: Reason::Ended { exit: Exit::Code(0), .. } })
            || matches!(&event, Event::Exited { name, exit: Exit::Code(0), .. } if name == "monitor");
        if !usual {
            self.screen.say(&format!("[auriga] {event}"));
        }
    }

    fn tick(&mut self, now: Nanos) {
        let (pids, start_at) = (&self.pids, self.start_at);
        self.kills.retain(|(node, at_s)| {
            if now < start_at + Duration::from_secs_f64(at_s.max(0.0)) {
                return true;
            }
            // One that is just being restarted is killed when it is up.
            let pid = pids.get(node).and_then(|pid| Pid::from_raw(*pid as i32));
            pid.is_none_or(|pid| kill_process(pid, Signal::KILL).is_err())
        });
        if !self.ending {
            let at_s = now.as_secs_f64() - self.start_at.as_secs_f64();
            (self.progress)(match at_s < self.from_s {
                true => Progress::Starting,
                false => {
                    Progress::Driving { at_s, fraction: (at_s - self.from_s) / (self.to_s - self.from_s).max(0.1) }
                }
            });
        }
    }
}

/// Whether the nodes' ports are free: another launch there would mix its messages with ours.
fn check_ports(base: u16) -> anyhow::Result<()> {
    for node in NODES {
        let port = base
            .checked_add(node.port)
            .with_context(|| format!("base port {base} leaves no room for {}", node.name))?;
        if let Err(error) = TcpListener::bind(("127.0.0.1", port)) {
            bail!(
                "port {port} of node {} cannot be had ({error}): is another drive or launch running? Choose another \
                 --base-port",
                node.name
            );
        }
    }
    Ok(())
}

/// Runs live scenarios.
pub struct Runner {
    pub base_port: u16,
}

impl LiveRunner for Runner {
    fn run(&mut self, plan: &LivePlan<'_>, progress: &mut dyn FnMut(f64)) -> anyhow::Result<PathBuf> {
        let drive = Drive::open(plan.drive)?;
        let recording = plan.out.join("drive.mcap");
        fresh(&recording)?;
        let mut arguments = arguments_of(&drive);
        let further = [
            ("record", recording.display().to_string()),
            // A scenario's drive is generated: nobody's privacy is in it.
            ("consent", "true".into()),
            ("page_bind", String::new()),
            ("seconds", format!("{:?}", plan.to_s)),
        ];
        arguments.extend(further.map(|(name, value)| (name.to_owned(), value)));
        let session = Session {
            arguments,
            params: &plan.params,
            kills: plan.kills.iter().map(|kill| (kill.node.clone(), kill.at_s)).collect(),
            from_s: plan.from_s,
            to_s: plan.to_s,
            base_port: self.base_port,
            logs: LogFolder::at(&plan.out.join("log"))?,
            screen: Screen::none(),
        };
        let outcome = run(session, &mut |now| {
            if let Progress::Driving { fraction, .. } = now {
                progress(fraction.min(1.0));
            }
        })?;
        ensure!(outcome.reason != Reason::Asked, "stopped by a signal");
        let logs = plan.out.join("log");
        ensure!(outcome.code() == 0, "failed: {}; see {}", outcome.failed.join(", "), logs.display());
        ensure!(recording.is_file(), "nothing was recorded; see {}", logs.join("recorder.log").display());
        Ok(recording)
    }
}

/// Makes room for a file that is to be written.
pub fn fresh(file: &Path) -> anyhow::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot replace {}", file.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_named_with_its_node() {
        // A listener on a port of the system's choice stands for another launch's camera.
        let other = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = other.local_addr().unwrap().port();
        let camera = NODES.iter().find(|node| node.name == "camera").unwrap();
        let error = check_ports(port - camera.port).unwrap_err().to_string();
        assert!(error.contains(&port.to_string()) && error.contains("camera"), "{error}");
        assert!(check_ports(u16::MAX).unwrap_err().to_string().contains("no room"));
    }

    #[test]
    fn progress_goes_from_starting_to_driving_and_a_kill_waits_for_its_time_and_its_process() {
        let mut told = Vec::new();
        let mut progress = |now| told.push(now);
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let mut watcher = Watcher {
            start_at: Nanos::from_millis(10_000),
            from_s: 2.0,
            to_s: 12.0,
            kills: vec![("can".into(), 5.0)],
            pids: BTreeMap::new(),
            ending: false,
            screen: Screen::none(),
            progress: &mut progress,
        };
        watcher.tick(Nanos::from_millis(11_000));
        watcher.tick(Nanos::from_millis(16_000));
        assert_eq!(watcher.kills.len(), 1, "the process is not up");
        watcher.event(Event::Started { name: "can".into(), pid: child.id() });
        watcher.tick(Nanos::from_millis(17_000));
        assert!(watcher.kills.is_empty());
        watcher.event(Event::Stopping { why: Reason::Asked });
        watcher.tick(Nanos::from_millis(18_000));
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert_eq!(told[0], Progress::Starting);
        assert!(matches!(told[1], Progress::Driving { fraction, .. } if (fraction - 0.4).abs() < 1e-6), "{told:?}");
        assert_eq!(told.last(), Some(&Progress::Ending));
    }
}
