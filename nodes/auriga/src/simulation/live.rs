//! Plays a drive through all processes in real time: `replay.launch.xml`, with files in place of devices.

use crate::{
    launch::{self, Host, LocalHost, Parameter, Value},
    simulation::{floor::FloorMeter, out_folder::OutFolder, serving},
    supervise::{self, Event, Exit, LogFolder, Outcome, Policy, Reason, Screen, Settings, Stop},
};
use anyhow::{Context, bail, ensure};
use auriga_msgs::NODES;
use auriga_runtime::Nanos;
use auriga_sil::{
    analysis::Floor,
    drive::Drive,
    scenario::{LivePlan, LiveRunner},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::{mpsc, watch};

/// From the start of the processes to the first sensor data: all nodes are connected earlier, also on two cores.
const START_DELAY: Duration = Duration::from_secs(5);
/// The workload table, in the folder of the package.
const WORKLOADS: &str = "launch/workloads.toml";
/// How often progress is reported.
const PROGRESS_PERIOD: Duration = Duration::from_millis(100);

/// What is played, and how.
pub struct LiveDrive<'a> {
    /// Arguments of `replay.launch.xml`.
    pub arguments: Vec<(String, String)>,
    /// Parameters over those of the launch file: node, key, value.
    pub params: &'a [(String, String, String)],
    /// Nodes to kill with SIGKILL, and when, in seconds of the drive.
    pub kills: Vec<(String, f64)>,
    /// Start of the part that is played, in seconds of the drive.
    pub from_s: f64,
    /// End of that part.
    pub to_s: f64,
    /// First port of the nodes.
    pub base_port: u16,
    /// Address of the live page, if there is one.
    pub page: Option<SocketAddr>,
    /// Where the output of the processes is logged.
    pub logs: LogFolder,
    /// Where it is shown.
    pub screen: Screen,
}

/// The state of a live drive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Progress {
    /// The processes start.
    Starting,
    /// The live page can be opened. Reported once.
    PageServed,
    /// The drive is played.
    Driving {
        /// Seconds of the drive.
        at_s: f64,
        /// Of the part that is played, from 0.
        fraction: f64,
    },
    /// The processes stop.
    Ending,
}

/// The launch arguments that play the files of a drive. A file that it lacks is an absent device.
pub fn launch_arguments(drive: &Drive) -> Vec<(String, String)> {
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

/// How a live drive went.
pub struct Played {
    /// Why it ended, and what failed.
    pub outcome: Outcome,
    /// How far it was played, in seconds of the drive.
    pub to_s: f64,
    /// What the machine itself took meanwhile.
    pub floor: Floor,
}

/// Plays a drive through all processes to its end. Ctrl-C stops it earlier.
///
/// # Errors
/// When a port is taken, the launch file cannot be used, or a parameter names no launched node.
pub fn run(drive: LiveDrive<'_>, progress: &mut dyn FnMut(Progress)) -> anyhow::Result<Played> {
    check_ports(drive.base_port)?;
    let machine = LocalHost::new();
    let share = machine
        .package_share("auriga")
        .context("package auriga was not found: this program is neither in a build tree nor installed")?;
    let start_at = Nanos::monotonic() + START_DELAY - Duration::from_secs_f64(drive.from_s.max(0.0));
    let mut arguments = drive.arguments;
    arguments.push(("start_at".into(), start_at.0.to_string()));
    arguments.push(("base_port".into(), drive.base_port.to_string()));
    let mut description = launch::load(&share.join("launch/replay.launch.xml"), &arguments, &machine)?;
    for (node, field, value) in drive.params {
        let process = description.processes.iter_mut().find(|process| process.name == *node);
        let process = process.with_context(|| format!("parameter {node}.{field}: no such node is launched"))?;
        process.parameters.push(Parameter::Value { name: field.clone(), value: Value::from_text(value) });
    }
    let (events, mut incoming) = mpsc::unbounded_channel();
    let (stop, stopping) = watch::channel(Stop::No);
    let settings = Settings {
        policy: Policy::default(),
        logs: drive.logs,
        screen: drive.screen.clone(),
        events,
        manager: None,
        device: None,
    };
    let mut watcher = Watcher {
        start_at,
        from_s: drive.from_s,
        to_s: drive.to_s,
        kills: drive.kills,
        pids: BTreeMap::new(),
        page: drive.page,
        ended_s: None,
        ending: false,
        screen: drive.screen,
        progress,
    };
    let meter = FloorMeter::start(&share.join(WORKLOADS));
    // On this thread: the processes get SIGTERM when the thread that started them ends.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let signals = supervise::stop_on_signals(stop).context("signals cannot be received")?;
        let watch = async {
            let mut tick = tokio::time::interval(PROGRESS_PERIOD);
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
        tokio::select! { outcome = run => anyhow::Ok(outcome), never = signals => match never {} }
    });
    let floor = meter.finish();
    let outcome = outcome?;
    let to_s = watcher.ended_s.map_or(watcher.to_s, |ended_s| ended_s.clamp(0.0, watcher.to_s));
    Ok(Played { outcome, to_s, floor })
}

/// The node that serves the live page.
const PAGE_NODE: &str = "hud";

/// Follows a live drive: reports progress and kills nodes when due.
struct Watcher<'a> {
    start_at: Nanos,
    from_s: f64,
    to_s: f64,
    kills: Vec<(String, f64)>,
    /// Of the running processes.
    pids: BTreeMap<String, u32>,
    /// Until it is served.
    page: Option<SocketAddr>,
    /// When the processes were stopped, in seconds of the drive.
    ended_s: Option<f64>,
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
                self.ended_s.get_or_insert(Nanos::monotonic().as_secs_f64() - self.start_at.as_secs_f64());
                (self.progress)(Progress::Ending);
            }
            _ => {}
        }
        // Starts and regular ends are not shown.
        let expected = matches!(event, Event::Started { .. } | Event::Up { .. })
            || matches!(&event, Event::Exited { exit: Exit::Code(0), .. } if self.ending)
            || matches!(&event, Event::Stopping { why: Reason::Ended { exit: Exit::Code(0), .. } })
            || matches!(&event, Event::Exited { name, exit: Exit::Code(0), .. } if name == "monitor");
        if !expected {
            self.screen.print(&format!("[auriga] {event}"));
        }
    }

    fn tick(&mut self, now: Nanos) {
        let (pids, start_at) = (&self.pids, self.start_at);
        self.kills.retain(|(node, at_s)| {
            if now < start_at + Duration::from_secs_f64(at_s.max(0.0)) {
                return true;
            }
            // A node that is being restarted is killed once it runs.
            let pid = pids.get(node).and_then(|pid| Pid::from_raw(*pid as i32));
            pid.is_none_or(|pid| kill_process(pid, Signal::KILL).is_err())
        });
        let hud = self.pids.get(PAGE_NODE);
        if self.page.zip(hud).is_some_and(|(page, pid)| serving::listens(*pid, page)) {
            self.page = None;
            (self.progress)(Progress::PageServed);
        }
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

/// Checks that the ports of the nodes are free: two launches on the same ports would mix their messages.
pub(super) fn check_ports(base: u16) -> anyhow::Result<()> {
    for node in NODES {
        let port = base
            .checked_add(node.port)
            .with_context(|| format!("base port {base} is too high for node {}", node.name))?;
        if let Err(error) = TcpListener::bind(("127.0.0.1", port)) {
            bail!(
                "port {port} of node {} cannot be used ({error}): is another drive or launch running? Choose another \
                 --base-port",
                node.name
            );
        }
    }
    Ok(())
}

/// Plays live scenarios by launching all processes.
pub struct LaunchRunner {
    /// First port of the nodes.
    pub base_port: u16,
}

impl LiveRunner for LaunchRunner {
    fn run(&mut self, plan: &LivePlan<'_>, progress: &mut dyn FnMut(f64)) -> anyhow::Result<PathBuf> {
        let drive = Drive::open(plan.drive)?;
        let out = OutFolder::lock(plan.out)?;
        let recording = out.remove_earlier("drive.mcap")?;
        let mut arguments = launch_arguments(&drive);
        let further = [
            ("record", recording.display().to_string()),
            // The drive of a scenario is generated: it contains no personal data.
            ("consent", "true".into()),
            ("page_bind", String::new()),
            ("seconds", format!("{:?}", plan.to_s)),
        ];
        arguments.extend(further.map(|(name, value)| (name.to_owned(), value)));
        let live = LiveDrive {
            arguments,
            params: &plan.params,
            kills: plan.kills.iter().map(|kill| (kill.node.clone(), kill.at_s)).collect(),
            from_s: plan.from_s,
            to_s: plan.to_s,
            base_port: self.base_port,
            page: None,
            logs: LogFolder::at(&plan.out.join("log"))?,
            screen: Screen::none(),
        };
        let Played { outcome, floor, .. } = run(live, &mut |now| {
            if let Progress::Driving { fraction, .. } = now {
                progress(fraction.min(1.0));
            }
        })?;
        floor.save(&recording)?;
        ensure!(outcome.reason != Reason::Requested, "stopped by a signal");
        let logs = plan.out.join("log");
        ensure!(outcome.code() == 0, "failed: {}; see {}", outcome.failed.join(", "), logs.display());
        ensure!(recording.is_file(), "nothing was recorded; see {}", logs.join("recorder.log").display());
        Ok(recording)
    }
}

/// Creates the folder of an output file and removes an older file.
///
/// # Errors
/// When either fails.
pub fn prepare_output(file: &Path) -> anyhow::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
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
    fn a_port_in_use_is_named_with_its_node() {
        // The camera port of another launch.
        let other = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = other.local_addr().unwrap().port();
        let camera = NODES.iter().find(|node| node.name == "camera").unwrap();
        let error = check_ports(port - camera.port).unwrap_err().to_string();
        assert!(error.contains(&port.to_string()) && error.contains("camera"), "{error}");
        assert!(check_ports(u16::MAX).unwrap_err().to_string().contains("too high"));
    }

    #[test]
    fn progress_is_reported_and_a_kill_waits_until_it_is_due_and_the_process_runs() {
        let mut reported = Vec::new();
        let mut progress = |now| reported.push(now);
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let mut watcher = Watcher {
            start_at: Nanos::from_millis(10_000),
            from_s: 2.0,
            to_s: 12.0,
            kills: vec![("can".into(), 5.0)],
            pids: BTreeMap::new(),
            page: None,
            ended_s: None,
            ending: false,
            screen: Screen::none(),
            progress: &mut progress,
        };
        watcher.tick(Nanos::from_millis(11_000));
        watcher.tick(Nanos::from_millis(16_000));
        assert_eq!(watcher.kills.len(), 1, "the process does not run yet");
        watcher.event(Event::Started { name: "can".into(), pid: child.id() });
        watcher.tick(Nanos::from_millis(17_000));
        assert!(watcher.kills.is_empty());
        watcher.event(Event::Stopping { why: Reason::Requested });
        watcher.tick(Nanos::from_millis(18_000));
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert_eq!(reported[0], Progress::Starting);
        assert!(
            matches!(reported[1], Progress::Driving { fraction, .. } if (fraction - 0.4).abs() < 1e-6),
            "{reported:?}"
        );
        assert_eq!(reported.last(), Some(&Progress::Ending));
    }
}
