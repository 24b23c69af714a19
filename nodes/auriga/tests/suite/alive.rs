//! Supervision of real nodes: stopped, hung, killed; and what an arbiter does that was away during a hazard.

use crate::supervise::{rest, run_with};
use auriga::{
    launch::{self, LocalHost, Process},
    supervise::{self, Event, LogFolder, Outcome, Policy, Screen, ServiceManager, Settings, Stop, WatchdogDevice},
};
use auriga_msgs::{Any, NodeName, TopicId, node, v1};
use auriga_runtime::{Nanos, config::RuntimeConfig, transport::Link};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, OpenOptions},
    io::Read,
    net::TcpListener,
    os::unix::{fs::OpenOptionsExt, net::UnixDatagram},
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{mpsc::UnboundedReceiver, watch};

/// Time for a node to be up, to connect or to publish on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A base port for the nodes of one test: all that they take are free.
fn free_base_port() -> u16 {
    static TEST: AtomicU16 = AtomicU16::new(0);
    let start = 20_000 + TEST.fetch_add(1, Ordering::Relaxed) * 1000 + (std::process::id() % 19) as u16 * 50;
    let free = |base: &u16| (1..=30).all(|port| TcpListener::bind(("127.0.0.1", base + port)).is_ok());
    (start..60_000).step_by(50).find(free).expect("free ports")
}

/// The nodes of the build as a launch file starts them, or `None` after the test has been reported as skipped.
fn nodes(folder: &Path, base_port: u16, names: &[&str]) -> Option<Vec<Process>> {
    let mut text = format!(r#"<launch><set_parameter name="runtime.zenoh_base_port" value="{base_port}"/>"#);
    for name in names {
        let workloads = match *name {
            "arbiter" => {
                r#"<param name="workloads" value="$(find-pkg-share auriga)/launch/workloads.toml" type="str"/>"#
            }
            _ => "",
        };
        text += &format!(r#"<node pkg="auriga" exec="{name}" name="{name}" respawn="true">{workloads}</node>"#);
    }
    let file = folder.join("test.launch.xml");
    fs::write(&file, text + "</launch>").unwrap();
    match launch::load(&file, &[], &LocalHost::new()) {
        Ok(description) => Some(description.processes),
        Err(error) if error.to_string().contains("make build") => {
            auriga_testing::skip(format!("executables of nodes are absent (make build): {error}"));
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// The example that hangs, in the place of a node; `None` after the test has been reported as skipped.
fn hanging(how: &str, mark: &Path, base_port: u16, start_ms: u64) -> Option<Process> {
    let executable = std::env::current_exe().unwrap().parent().unwrap().join("../examples/hang");
    if !executable.is_file() {
        auriga_testing::skip("the example hang is not built (cargo build --release -p auriga --example hang)");
        return None;
    }
    let parameter = |name: &str, value: String| launch::Parameter::Value {
        name: name.into(),
        value: launch::Value::from_text(&value),
    };
    Some(Process {
        executable,
        arguments: vec![],
        table_node: Some(auriga_msgs::NODES.iter().find(|node| node.name == "can").unwrap()),
        parameters: vec![
            parameter("how", how.into()),
            parameter("mark", mark.display().to_string()),
            parameter("start_ms", start_ms.to_string()),
            parameter("runtime.zenoh_base_port", base_port.to_string()),
        ],
        ..crate::supervise::respawned("hang", "", None)
    })
}

fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
}

/// Measures for how long this machine lets a thread stand still, which no supervisor can be better than.
struct Machine {
    worst_ns: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Machine {
    fn watch() -> Machine {
        let machine = Machine { worst_ns: Arc::default(), over: Arc::default() };
        let (worst, over) = (machine.worst_ns.clone(), machine.over.clone());
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let due = Instant::now() + Duration::from_millis(5);
                std::thread::sleep(Duration::from_millis(5));
                worst.fetch_max(due.elapsed().as_nanos() as u64, Ordering::Relaxed);
            }
        });
        machine
    }

    /// The longest standstill since the last call.
    fn worst(&self) -> Duration {
        Duration::from_nanos(self.worst_ns.swap(0, Ordering::Relaxed))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// The events of a launch, one by one.
struct Events {
    incoming: UnboundedReceiver<Event>,
    seen: Vec<Event>,
}

impl Events {
    /// The next event that `wanted` accepts. All that came until then are kept.
    async fn until<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let next = async {
            loop {
                let event = self.incoming.recv().await.expect("the launch goes on");
                let found = wanted(&event);
                self.seen.push(event);
                if let Some(found) = found {
                    return found;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, next).await {
            Ok(found) => found,
            Err(_) => panic!(
                "it did not come in {PATIENCE:?}; last: {:?}",
                self.seen.iter().rev().take(8).collect::<Vec<_>>()
            ),
        }
    }

    async fn started(&mut self, of: &str) -> u32 {
        self.until(|event| match event {
            Event::Started { name, pid } if name == of => Some(*pid),
            _ => None,
        })
        .await
    }

    async fn up(&mut self, of: &str) {
        self.until(|event| matches!(event, Event::Up { name, .. } if name == of).then_some(())).await;
    }

    async fn hung(&mut self, of: &str) -> String {
        self.until(|event| match event {
            Event::Hung { name, why } if name == of => Some(why.clone()),
            _ => None,
        })
        .await
    }
}

/// Runs processes as `auriga launch` does; `meanwhile` sees the events and stops the launch when it returns.
fn launched<F: Future<Output = ()>>(
    processes: Vec<Process>,
    logs: &Path,
    meanwhile: impl FnOnce(Events, watch::Sender<Stop>) -> F,
) -> Outcome {
    let (outcome, _) = run_with(processes, logs, Policy::default(), |incoming, stop| async move {
        let again = stop.clone();
        meanwhile(Events { incoming, seen: Vec::new() }, stop).await;
        again.send_replace(Stop::Gracefully);
        Vec::new()
    });
    outcome
}

#[test]
fn a_stopped_node_is_restarted_within_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let base_port = free_base_port();
    for (name, bound) in [("arbiter", Duration::from_millis(500)), ("recorder", Duration::from_secs(2))] {
        let Some(processes) = nodes(folder.path(), base_port, &[name]) else { return };
        launched(processes, folder.path(), async |mut events, _| {
            let machine = Machine::watch();
            let mut pid = events.started(name).await;
            for round in 0..3 {
                events.up(name).await;
                machine.worst();
                let stopped = Instant::now();
                send(pid, Signal::STOP);
                let why = events.hung(name).await;
                pid = events.started(name).await;
                let (took, late) = (stopped.elapsed(), machine.worst());
                println!("{name}, round {round}: SIGSTOP to restart {took:?} (machine's standstill {late:?}): {why}");
                assert!(why.contains("stopped by a signal"), "{why}");
                // Three immediate restarts of a safety node, and one of another; then there are delays.
                if name == "arbiter" || round == 0 {
                    assert!(took <= bound + 3 * late, "{name}: {took:?}");
                }
            }
            events.up(name).await;
        });
    }
}

#[test]
fn a_node_that_loops_for_ever_or_waits_for_a_lock_is_restarted_and_a_slow_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    for (how, word) in [("loop", "runs without end"), ("deadlock", "a lock")] {
        let mark = folder.path().join(how);
        // It takes longer to start than it may be silent later.
        let Some(process) = hanging(how, &mark, free_base_port(), 1000) else { return };
        launched(vec![process], folder.path(), async |mut events, _| {
            let machine = Machine::watch();
            events.up("hang").await;
            assert!(!events.seen.iter().any(|event| matches!(event, Event::Hung { .. })), "{:?}", events.seen);
            let why = events.hung("hang").await;
            events.started("hang").await;
            let hung_at = fs::metadata(&mark).unwrap().modified().unwrap();
            let (took, late) = (hung_at.elapsed().unwrap(), machine.worst());
            println!("{how}: hang to restart {took:?} (machine's standstill {late:?}): {why}");
            assert!(why.contains(word), "{why}");
            // On a busy machine an endless loop is given the time in which it had no processor, up to 1 s in all.
            let bound = if why.contains("no processor") { 1200 } else { 500 };
            assert!(took <= Duration::from_millis(bound) + 3 * late, "{took:?}");
        });
    }
    let mark = folder.path().join("slow");
    let Some(process) = hanging("slow", &mark, free_base_port(), 0) else { return };
    launched(vec![process], folder.path(), async |mut events, _| {
        events.up("hang").await;
        // Its log says it: the step is reported, and it goes on.
        let log = folder.path().join("hang.log");
        while !fs::read_to_string(&log).unwrap().contains("slow-step") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        while let Ok(event) = events.incoming.try_recv() {
            assert!(!matches!(event, Event::Hung { .. }), "{event}");
        }
    });
}

#[test]
fn the_watchdog_device_is_no_longer_fed_once_a_safety_node_stays_away() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("watchdog");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let mut device = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&fifo).unwrap();
    let mut fed = || {
        let mut bytes = [0; 4096];
        device.read(&mut bytes).map_or(String::new(), |n| String::from_utf8_lossy(&bytes[..n]).into_owned())
    };
    let Some(processes) = nodes(folder.path(), free_base_port(), &["arbiter"]) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (events, incoming) = tokio::sync::mpsc::unbounded_channel();
    let (stop, stopping) = watch::channel(Stop::No);
    let settings = Settings {
        policy: Policy { safety_away: Duration::from_secs(2), ..Policy::default() },
        logs: LogFolder::at(folder.path()).unwrap(),
        screen: Screen::none(),
        events,
        manager: None,
        device: Some(WatchdogDevice::open(&fifo, 3).unwrap()),
    };
    let test = async {
        let mut events = Events { incoming, seen: Vec::new() };
        events.up("arbiter").await;
        let mut pid = 0;
        for event in &events.seen {
            if let Event::Started { pid: started, .. } = event {
                pid = *started;
            }
        }
        assert!(fed().starts_with('1'), "fed from the start");
        // It is killed whenever it is started, so it is never up.
        send(pid, Signal::KILL);
        let lost = |event: &Event| match event {
            Event::Started { pid, .. } => {
                send(*pid, Signal::KILL);
                None
            }
            Event::SafetyLost { name } => Some(name.clone()),
            _ => None,
        };
        assert_eq!(events.until(lost).await, "arbiter");
        fed();
        for _ in 0..2 {
            let pid = events.started("arbiter").await;
            assert_eq!(fed(), "", "not fed while it is away");
            send(pid, Signal::KILL);
        }
        events.until(|event| matches!(event, Event::SafetyBack).then_some(())).await;
        stop.send_replace(Stop::Gracefully);
        let seen = events.seen.len();
        let left = rest(events.incoming).await;
        println!("{seen} events, then {left:?}");
    };
    runtime.block_on(async { tokio::join!(supervise::run(processes, settings, stopping), test) });
    let last = fed();
    assert!(last.starts_with('1') && last.ends_with('V'), "fed again, and switched off by the stop: {last:?}");
}

#[test]
fn systemd_is_notified_by_auriga_launch_and_its_nodes_are_not() {
    let folder = tempfile::tempdir().unwrap();
    if nodes(folder.path(), free_base_port(), &["arbiter"]).is_none() {
        return;
    }
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let said = || {
        let mut bytes = [0; 500];
        let n = socket.recv(&mut bytes).expect("a notification");
        String::from_utf8_lossy(&bytes[..n]).into_owned()
    };
    let until = |wanted: &str| while said() != wanted {};
    let mut auriga = Command::new(env!("CARGO_BIN_EXE_auriga"))
        .args(["launch", "--log-dir"])
        .arg(folder.path().join("log"))
        .arg(folder.path().join("test.launch.xml"))
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "1000000")
        .env_remove("WATCHDOG_PID")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until("READY=1");
    until("STATUS=1 of 1 safety nodes and 0 of 0 others are up");
    until("WATCHDOG=1");
    until("WATCHDOG=1");
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", auriga.id())).unwrap();
    let arbiter: u32 = children.split_whitespace().next().unwrap().parse().unwrap();
    let environment = fs::read_to_string(format!("/proc/{arbiter}/environ")).unwrap();
    assert!(environment.contains("AURIGA_SUPERVISOR=") && !environment.contains("NOTIFY_SOCKET"), "{environment}");
    send(arbiter, Signal::STOP);
    until("STATUS=0 of 1 safety nodes and 0 of 0 others are up");
    until("STATUS=1 of 1 safety nodes and 0 of 0 others are up");
    send(auriga.id(), Signal::TERM);
    until("STOPPING=1");
    assert!(auriga.wait().unwrap().success());
    assert!(ServiceManager::at(path.as_os_str(), None).is_ok());
}

/// Plays fusion and the CAN node towards an arbiter, and keeps what the arbiter publishes.
struct Bus {
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Any>>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Bus {
    /// `hazard`: a critical hazard is active, published twice a second and in each scene, as fusion does.
    fn start(base_port: u16, hazard: bool) -> Bus {
        let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (ends, keeps) = (over.clone(), seen.clone());
        let thread = std::thread::spawn(move || {
            let runtime = RuntimeConfig { zenoh_base_port: base_port, ..Default::default() };
            let open = |spec| Link::open(&runtime, spec).unwrap();
            let (mut fusion, mut can) = (open(node::Fusion::SPEC), open(node::Can::SPEC));
            let mut hud = open(node::Hud::SPEC);
            for topic in [TopicId::ArbiterGrants, TopicId::Usage, TopicId::Fault] {
                let keeps = keeps.clone();
                let keep = move |_: &str, payload| keeps.lock().unwrap().push(Any::decode(topic, payload).unwrap());
                hud.subscribe(topic, keep).unwrap();
            }
            let mut count = 0u64;
            while !ends.load(Ordering::Relaxed) {
                let now = Nanos::monotonic().0;
                let header = Some(v1::Header { published_ns: now, seq: count, ..v1::Header::new(now, 0) });
                let active = v1::Hazard {
                    header,
                    kind: v1::HazardKind::ForwardCollision.into(),
                    severity: v1::Severity::Critical.into(),
                    active: true,
                    text: "vehicle ahead: 12 m, 0.9 s to collision".into(),
                    id: 1,
                    ..Default::default()
                };
                let state = v1::VehicleState { header, speed_mps: Some(25.0), ..Default::default() };
                can.publish(&Any::VehicleState(state.into())).unwrap();
                if count.is_multiple_of(4) {
                    let hazards = if hazard { vec![active.clone()] } else { vec![] };
                    let scene = v1::Scene { header, hazards, ..Default::default() };
                    fusion.publish(&Any::FusionScene(scene.into())).unwrap();
                }
                if hazard && count.is_multiple_of(50) {
                    fusion.publish(&Any::FusionHazard(active.into())).unwrap();
                }
                count += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            [fusion, can, hud].into_iter().for_each(Link::close);
        });
        Bus { over, seen, thread: Some(thread) }
    }

    /// What was published since the last call.
    fn take(&self) -> Vec<Any> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// Waits for a message, and returns all until then.
    async fn until(&self, wanted: impl Fn(&Any) -> bool) -> Vec<Any> {
        let start = Instant::now();
        let mut all = Vec::new();
        loop {
            let new = self.take();
            let found = new.iter().any(&wanted);
            all.extend(new);
            if found {
                return all;
            }
            assert!(start.elapsed() < PATIENCE, "it was not published");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "the bus failed");
    }
}

#[test]
fn an_arbiter_that_is_killed_or_stopped_in_a_hazard_does_not_come_back_more_permissive() {
    let folder = tempfile::tempdir().unwrap();
    let base_port = free_base_port();
    let Some(processes) = nodes(folder.path(), base_port, &["arbiter"]) else { return };
    let bus = Bus::start(base_port, true);
    launched(processes, folder.path(), async |mut events, _| {
        let mut pid = events.started("arbiter").await;
        let is_hazard =
            |any: &Any| matches!(any, Any::ArbiterGrants(grants) if grants.reason.contains("vehicle ahead"));
        bus.until(is_hazard).await;
        let mut restarted_after = Vec::new();
        for (round, signal) in [Signal::KILL, Signal::STOP, Signal::KILL].into_iter().enumerate() {
            send(pid, signal);
            let at = Nanos::monotonic();
            pid = events.started("arbiter").await;
            // What is published from now on is the new process's: the old one cannot any more.
            let time = |any: &Any| any.header().published_ns;
            let is_new = |any: &Any| matches!(any, Any::ArbiterGrants(_)) && time(any) > at.0;
            let mut published = bus.until(is_new).await;
            restarted_after.extend(published.iter().find(|any| is_new(any)).map(|any| Nanos(time(any)).since(at)));
            published.extend(bus.until(is_hazard).await);
            for any in &published {
                let Any::ArbiterGrants(grants) = any else { continue };
                assert_eq!(grants.mode(), v1::Mode::Hazard, "round {round}: {}", grants.reason);
            }
            // What happened is published by the new process and in its usage.
            let reason = if signal == Signal::STOP { "hung" } else { "signal 9" };
            let fault = |any: &Any| matches!(any, Any::Fault(f) if f.code == "restarted" && f.text.contains(reason));
            bus.until(fault).await;
            let usage = |any: &Any| matches!(any, Any::Usage(u) if u.restarts == round as u32 + 1 && u.restart_reason.contains(reason));
            bus.until(usage).await;
        }
        println!("kill, stop, kill: first grants of the new arbiter after {restarted_after:?}");
    });
}

#[test]
fn a_node_that_was_stopped_does_not_act_on_what_came_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let base_port = free_base_port();
    let Some(processes) = nodes(folder.path(), base_port, &["arbiter"]) else { return };
    let bus = Bus::start(base_port, false);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // By hand, so that nobody kills it.
    let mut arbiter = Command::new(&processes[0].executable)
        .args(processes[0].command_line())
        .stderr(fs::File::create(folder.path().join("log")).unwrap())
        .spawn()
        .unwrap();
    runtime.block_on(async {
        bus.until(|any| matches!(any, Any::ArbiterGrants(grants) if grants.mode() == v1::Mode::Nominal)).await;
        let fresh = bus.until(|any| matches!(any, Any::Usage(_))).await;
        let none = |any: &Any| matches!(any, Any::Usage(usage) if usage.messages_stale > 0);
        assert!(!fresh.iter().any(none), "nothing is stale while it runs");
        send(arbiter.id(), Signal::STOP);
        tokio::time::sleep(Duration::from_secs(3)).await;
        bus.take();
        send(arbiter.id(), Signal::CONT);
        let after = bus.until(none).await;
        let text = after.iter().find_map(|any| match any {
            Any::Fault(fault) if fault.code == "stale-message" => Some(fault.text.clone()),
            _ => None,
        });
        println!("{}", text.expect("a fault"));
    });
    send(arbiter.id(), Signal::TERM);
    assert!(arbiter.wait().unwrap().success());
    drop(bus);
}
