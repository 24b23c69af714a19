//! Actuation on the kernel's real cgroups and scheduler; skipped where the kernel or the rights do not allow it.

use auriga_arbiter::{
    Config,
    actuate::{Actuator, NodeProcesses, NodeShare, Realtime},
    config::ActuationConfig,
};
use auriga_runtime::processes::ProcessList;
use rustix::{
    process::Pid,
    thread::{CpuSet, sched_setaffinity},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

/// One test at a time: a process forked while the other test's executable is open for writing keeps it busy.
static SERIAL: Mutex<()> = Mutex::new(());

/// A shell under a node's name that burns CPU on core 0 until dropped.
struct Burner(Child);

impl Burner {
    fn start(dir: &Path, node: &str) -> Self {
        let exe = dir.join(format!("auriga-{node}"));
        fs::copy(fs::canonicalize("/bin/sh").unwrap(), &exe).unwrap();
        let mut command = Command::new(exe);
        let child = command.args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().unwrap();
        let mut core = CpuSet::new();
        core.set(0);
        sched_setaffinity(Pid::from_raw(child.id() as i32), &core).unwrap();
        Burner(child)
    }

    /// CPU time so far, in clock ticks.
    fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    fn cgroup(&self) -> String {
        fs::read_to_string(format!("/proc/{}/cgroup", self.0.id())).unwrap()
    }
}

impl Drop for Burner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first one's part of the CPU time of both, over 1.5 s.
fn part_of_first(a: &Burner, b: &Burner) -> f64 {
    let before = (a.ticks(), b.ticks());
    std::thread::sleep(Duration::from_millis(1500));
    let (a, b) = ((a.ticks() - before.0) as f64, (b.ticks() - before.1) as f64);
    a / (a + b)
}

fn share(node: &'static str, burner: &Burner, cpu_weight: u32, quota_percent: Option<u32>) -> NodeShare {
    NodeShare { node, pid: burner.0.id(), cpu_weight, quota_percent, threads: Vec::new() }
}

/// The list of a supervisor that has started `nodes`.
fn list(nodes: &[&Burner]) -> ProcessList {
    let mut list = ProcessList::create().unwrap();
    nodes.iter().for_each(|node| list.add(node.0.id()).unwrap());
    list
}

/// An actuator on a group of this test's own, or why there is none.
fn actuator(list: &ProcessList) -> Result<(Actuator, Parent), String> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let parents: Vec<PathBuf> = mounts
        .lines()
        .map(|l| l.split(' ').collect::<Vec<_>>())
        .filter(|f| f[2] == "cgroup2" || (f[2] == "cgroup" && f[3].split(',').any(|o| o == "cpu")))
        .map(|f| Path::new(f[1]).join(format!("auriga-test-{}", std::process::id())))
        .collect();
    for parent in &parents {
        fs::create_dir(parent).map_err(|e| format!("{}: {e}", parent.display()))?;
        // v2 hands the controller down from the root.
        let _ = fs::write(parent.with_file_name("cgroup.subtree_control"), "+cpu");
    }
    let name = parents.first().and_then(|p| p.file_name()).ok_or("no cgroups are mounted")?;
    let config = ActuationConfig { cgroup_parent: name.into(), ..Config::default().actuation };
    let parent = Parent(parents.clone());
    let mut actuator = Actuator::new(&config, NodeProcesses::Listed(list.path().to_owned()));
    match actuator.apply(&[]).pop() {
        None => Ok((actuator, parent)),
        Some(problem) => Err(problem.text),
    }
}

struct Parent(Vec<PathBuf>);

impl Parent {
    /// The group "auriga" of the actuator.
    fn group(&self) -> PathBuf {
        self.0.iter().map(|p| p.join("auriga")).find(|p| p.exists()).unwrap()
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        self.0.iter().for_each(|p| drop(fs::remove_dir(p)));
    }
}

#[test]
fn weights_and_quotas_divide_the_cpu_between_nodes_and_are_undone() {
    let _serial = SERIAL.lock().unwrap_or_else(|e| e.into_inner());
    let dir = tempfile::tempdir().unwrap();
    let (language, recorder) = (Burner::start(dir.path(), "language"), Burner::start(dir.path(), "recorder"));
    let list = list(&[&language, &recorder]);
    let (mut actuator, parent) = match actuator(&list) {
        Ok(both) => both,
        Err(why) => return auriga_testing::skip(&why),
    };
    let before = (language.cgroup(), recorder.cgroup());

    let equal = [share("language", &language, 100, None), share("recorder", &recorder, 100, None)];
    assert_eq!(actuator.apply(&equal), []);
    assert!(language.cgroup().contains("auriga/language"), "{}", language.cgroup());
    let part = part_of_first(&language, &recorder);
    println!("equal weights: {part:.3}");
    assert!((0.4..0.6).contains(&part), "{part}");

    let hazard = [share("language", &language, 20, None), share("recorder", &recorder, 1000, None)];
    assert_eq!(actuator.apply(&hazard), []);
    let part = part_of_first(&language, &recorder);
    println!("weights 20 to 1000: {part:.3}");
    assert!(part < 0.1, "{part}");

    let stopped = [share("language", &language, 1000, Some(5)), share("recorder", &recorder, 20, None)];
    assert_eq!(actuator.apply(&stopped), []);
    let before_quota = language.ticks();
    std::thread::sleep(Duration::from_millis(2000));
    // 5 % of 2 s are 100 ms: 10 ticks of 10 ms; twice that for the periods at both ends and the tick's own grain.
    let used = language.ticks() - before_quota;
    println!("quota of 5 %: {used} of 200 ticks");
    assert!((1..=20).contains(&used), "{used}");

    // Written only when something changed.
    let weight = ["cpu.weight", "cpu.shares"].map(|f| parent.group().join("language").join(f));
    let weight = weight.iter().find(|p| p.exists()).unwrap();
    fs::write(weight, "77").unwrap();
    assert_eq!(actuator.apply(&stopped), []);
    assert_eq!(fs::read_to_string(weight).unwrap().trim(), "77");

    let group = parent.group();
    drop(actuator);
    assert!(!group.exists(), "{} is left behind", group.display());
    // The processes are back in their old groups.
    assert_eq!((language.cgroup(), recorder.cgroup()), before);
}

#[test]
fn a_safety_node_gets_its_priority_and_loses_it_when_the_arbiter_ends() {
    let _serial = SERIAL.lock().unwrap_or_else(|e| e.into_inner());
    let config = ActuationConfig { cgroups: false, realtime: true, ..Config::default().actuation };
    let dir = tempfile::tempdir().unwrap();
    let (can, stranger) = (Burner::start(dir.path(), "can"), Burner::start(dir.path(), "hud"));
    let list = list(&[&can]);
    let mut actuator = Actuator::new(&config, NodeProcesses::Listed(list.path().to_owned()));
    let threads = vec![Realtime { thread: "main".into(), priority: 3, core: 0 }];
    let of_can = NodeShare { threads: threads.clone(), ..share("can", &can, 10_000, None) };
    if let Some(problem) = actuator.apply(&[of_can]).pop() {
        assert_eq!(problem.code, "actuation-soft-only");
        return auriga_testing::skip(&problem.text);
    }
    // Fields 40 and 41 of /proc/<pid>/stat: priority and policy (1: SCHED_FIFO).
    let scheduling = |burner: &Burner| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", burner.0.id())).unwrap();
        let fields: Vec<String> = stat.rsplit_once(") ").unwrap().1.split(' ').map(str::to_owned).collect();
        (fields[37].clone(), fields[38].clone())
    };
    assert_eq!(scheduling(&can), ("3".into(), "1".into()));
    // One that carries a node's name and that the supervisor did not start.
    let problems = actuator.apply(&[NodeShare { threads, ..share("hud", &stranger, 10_000, None) }]);
    assert!(problems[0].text.contains("not started by the supervisor"), "{problems:?}");
    assert_eq!(scheduling(&stranger), ("0".into(), "0".into()));
    drop(actuator);
    assert_eq!(scheduling(&can), ("0".into(), "0".into()));
}
