//! What grants mean to the kernel: a cgroup for each node, with the weight of its grants, and real-time priority for
//! safety nodes. The shell's part: a state machine never does any of this, it asks for it with a list of [`NodeShare`].
//!
//! Groups are `auriga/<node>` under the hierarchy that has the CPU controller: cgroup v2 where there is one, else v1.
//! Only a process that is what it says is touched. When the [`Actuator`] is dropped, every process goes back to where
//! it was and the groups are removed.

use crate::config::ActuationConfig;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// What one node's process may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeShare {
    pub node: &'static str,
    pub pid: u32,
    /// As cgroup v2 counts it, 1..10000.
    pub cpu_weight: u32,
    /// Of one core; `None`: no limit.
    pub quota_percent: Option<u32>,
    pub realtime: Option<Realtime>,
}

/// SCHED_FIFO on the core the analysis puts it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Realtime {
    pub priority: u8,
    pub core: u32,
}

/// Something that could not be done, to be told as a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub code: &'static str,
    pub subject: String,
    pub text: String,
}

/// Without privileges, or without the kernel's support.
const SOFT_ONLY: &str = "actuation-soft-only";
const FAILED: &str = "actuation-failed";

/// CPU period of a quota, in microseconds: the kernel's own default.
const QUOTA_PERIOD_US: u32 = 100_000;

/// How long the end of the arbiter waits for nodes that end with it.
const GROUP_REMOVAL_TIMEOUT: Duration = Duration::from_millis(500);

/// Carries shares out, and remembers what it did to write only what changed and to undo it.
pub struct Actuator {
    groups: Option<Groups>,
    /// Why there are no groups, until it has been told.
    unreported: Option<Problem>,
    done: BTreeMap<&'static str, NodeShare>,
    realtime_refused: bool,
}

impl Actuator {
    /// Looks for a hierarchy and makes the group "auriga" in it. Without the right to, [`Self::apply`] says so once.
    pub fn new(config: &ActuationConfig) -> Self {
        let groups = if config.cgroups { Groups::create(&config.cgroup_parent).map(Some) } else { Ok(None) };
        let unreported = groups.as_ref().err().map(|text| Problem {
            code: SOFT_ONLY,
            subject: "cgroups".into(),
            text: format!("{text}; the grants act only on workloads that obey them"),
        });
        Self { groups: groups.unwrap_or_default(), unreported, done: BTreeMap::new(), realtime_refused: false }
    }

    /// Makes it so. Gives what could not be done.
    pub fn apply(&mut self, shares: &[NodeShare]) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.unreported.take().into_iter().collect();
        for share in shares {
            if self.done.get(share.node) != Some(share) {
                problems.extend(self.apply_one(share));
                // Done or told: trying again at every switch would change nothing.
                self.done.insert(share.node, share.clone());
            }
        }
        problems
    }

    fn apply_one(&mut self, share: &NodeShare) -> Vec<Problem> {
        if !is_node(share.pid, share.node) {
            let text = format!("process {} is not auriga-{}; it is left alone", share.pid, share.node);
            return vec![Problem { code: FAILED, subject: share.node.into(), text }];
        }
        let mut problems = Vec::new();
        let before = self.done.get(share.node).filter(|d| d.pid == share.pid);
        if let Some(realtime) =
            share.realtime.filter(|r| !self.realtime_refused && before.and_then(|b| b.realtime) != Some(*r))
            && let Err(e) = make_realtime(share.pid, realtime)
        {
            self.realtime_refused = true;
            let text = format!("SCHED_FIFO was refused ({e}); give the arbiter CAP_SYS_NICE");
            problems.push(Problem { code: SOFT_ONLY, subject: "realtime".into(), text });
        }
        if let Some(groups) = &mut self.groups
            && let Err(e) = groups.apply(share, before)
        {
            let text = format!("{e}; the grants act only if the node obeys them");
            problems.push(Problem { code: FAILED, subject: share.node.into(), text });
        }
        problems
    }
}

impl Drop for Actuator {
    fn drop(&mut self) {
        for share in self.done.values().filter(|s| s.realtime.is_some() && is_node(s.pid, s.node)) {
            reset_scheduling(share.pid);
        }
    }
}

/// Whether process `pid` runs the executable auriga-`node`.
fn is_node(pid: u32, node: &str) -> bool {
    let name = format!("auriga-{node}");
    match fs::read_link(format!("/proc/{pid}/exe")) {
        // A replaced executable reads "… (deleted)".
        Ok(exe) => exe.file_name().is_some_and(|f| f.to_string_lossy().trim_end_matches(" (deleted)") == name),
        // Another user's. The kernel keeps 15 bytes of a name.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => fs::read_to_string(format!("/proc/{pid}/comm"))
            .is_ok_and(|comm| comm.trim_end() == &name[..name.len().min(15)]),
        Err(_) => false,
    }
}

/// The shell's own workers, which serve what is not on a safety chain (signals, the page's clients).
const NON_REALTIME_THREAD: &str = "tokio-rt-worker";

/// The state machine's thread on its core, and on any core those that bring it its data and take it on: a message is no
/// sooner than the slowest of them. Threads that the process starts from now on do not inherit it.
fn make_realtime(pid: u32, realtime: Realtime) -> io::Result<()> {
    let param = libc::sched_param { sched_priority: realtime.priority.into() };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    for thread in threads(pid) {
        let name = fs::read_to_string(format!("/proc/{pid}/task/{thread}/comm")).unwrap_or_default();
        if name.trim_end() == NON_REALTIME_THREAD {
            continue;
        }
        // SAFETY: the kernel only reads `param`, which outlives the call.
        let refused = unsafe { libc::sched_setscheduler(thread as libc::pid_t, policy, &param) } != 0;
        let error = io::Error::last_os_error();
        // A thread may have ended in the meantime; the process itself has been seen a moment ago.
        if refused && (thread == pid || error.raw_os_error() != Some(libc::ESRCH)) {
            return Err(error);
        }
    }
    let Some(id) = rustix::process::Pid::from_raw(pid as i32) else { return Ok(()) };
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(realtime.core as usize);
    // A core this machine does not have: the priority holds, on any core.
    let _ = rustix::thread::sched_setaffinity(Some(id), &cores);
    Ok(())
}

fn reset_scheduling(pid: u32) {
    let param = libc::sched_param { sched_priority: 0 };
    for thread in threads(pid) {
        // SAFETY: as above. A thread that is gone is no matter.
        unsafe { libc::sched_setscheduler(thread as libc::pid_t, libc::SCHED_OTHER, &param) };
    }
    // All cores that we may use ourselves.
    let id = rustix::process::Pid::from_raw(pid as i32);
    if let (Some(id), Ok(cores)) = (id, rustix::thread::sched_getaffinity(None)) {
        let _ = rustix::thread::sched_setaffinity(Some(id), &cores);
    }
}

/// The threads of a process, its first one among them.
fn threads(pid: u32) -> Vec<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Whether a thread is under a real-time policy. (sched_getscheduler: what the thread itself asked for.)
fn is_realtime(thread: u32) -> bool {
    // SAFETY: takes a number and gives one.
    let policy = unsafe { libc::sched_getscheduler(thread as libc::pid_t) } & !libc::SCHED_RESET_ON_FORK;
    policy == libc::SCHED_FIFO || policy == libc::SCHED_RR
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// The group "auriga" and those below it.
struct Groups {
    version: Version,
    /// Where the hierarchy is mounted.
    mount: PathBuf,
    /// The group "auriga".
    root: PathBuf,
    /// Processes that were moved, by their node: where they came from.
    origins: BTreeMap<&'static str, (u32, PathBuf)>,
    /// Groups that were made.
    made: Vec<PathBuf>,
}

impl Groups {
    fn create(parent: &Path) -> Result<Self, String> {
        let mounts = fs::read_to_string("/proc/self/mounts").map_err(|e| format!("/proc/self/mounts: {e}"))?;
        let (version, mount) =
            find_hierarchy(&mounts).ok_or("no cgroup hierarchy with the CPU controller is mounted")?;
        let above = mount.join(parent.strip_prefix("/").unwrap_or(parent));
        let root = above.join("auriga");
        let mut groups = Self { version, mount, root: root.clone(), origins: BTreeMap::new(), made: Vec::new() };
        let advice = "run the arbiter with the right to write there, or set actuation.cgroup_parent to a group it may";
        groups.make(&root, &above).map_err(|e| format!("{e}; {advice}"))?;
        Ok(groups)
    }

    /// Makes a group; on v2 `above` has to hand the controller down first.
    fn make(&mut self, path: &Path, above: &Path) -> Result<(), String> {
        if self.version == Version::V2 {
            write(&above.join("cgroup.subtree_control"), "+cpu")?;
        }
        match fs::create_dir(path) {
            Ok(()) => {}
            // Left by an arbiter that was killed.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(format!("{}: {e}", path.display())),
        }
        self.made.push(path.to_owned());
        // The whole has to weigh as much as its heaviest part, or safety would be light against strangers.
        if path == self.root { self.write_weight(path, 10_000) } else { Ok(()) }
    }

    fn apply(&mut self, share: &NodeShare, before: Option<&NodeShare>) -> Result<(), String> {
        let group = self.root.join(share.node);
        if !self.made.contains(&group) {
            self.make(&group, &self.root.clone())?;
        }
        if before.map(|b| b.cpu_weight) != Some(share.cpu_weight) {
            self.write_weight(&group, share.cpu_weight)?;
        }
        if before.map(|b| b.quota_percent) != Some(share.quota_percent) {
            self.write_quota(&group, share.quota_percent)?;
        }
        // SCHED_FIFO needs no weight, and a v1 group without real-time budget does not let it in.
        let stays = share.realtime.is_some() && group.join("cpu.rt_runtime_us").exists();
        if before.is_none() && !stays {
            let origin = self.origin(share.pid);
            self.join(&group, share.pid)?;
            self.origins.insert(share.node, (share.pid, origin));
        }
        Ok(())
    }

    /// Moves a process. On v1 thread by thread: a group without real-time budget refuses a process that has one
    /// real-time thread (Zenoh's watchdog of shared memory is one), and such a thread needs no weight.
    fn join(&self, group: &Path, pid: u32) -> Result<(), String> {
        if self.version == Version::V2 {
            return write(&group.join("cgroup.procs"), &pid.to_string());
        }
        for thread in threads(pid).into_iter().filter(|t| !is_realtime(*t)) {
            let moved = write(&group.join("tasks"), &thread.to_string());
            // One that has ended in the meantime is no matter.
            if moved.is_err() && Path::new(&format!("/proc/{pid}/task/{thread}")).exists() {
                return moved;
            }
        }
        Ok(())
    }

    fn leave_all(&self) {
        for (node, (pid, origin)) in &self.origins {
            if is_node(*pid, node) {
                self.leave(origin, *pid);
            }
        }
    }

    /// Moves a process back to where it came from, as far as it goes: the arbiter ends, and there is nobody to tell.
    /// Real-time threads too: those that were started in the group were in it.
    fn leave(&self, origin: &Path, pid: u32) {
        match self.version {
            Version::V2 => drop(write(&origin.join("cgroup.procs"), &pid.to_string())),
            Version::V1 => {
                threads(pid).iter().for_each(|thread| drop(write(&origin.join("tasks"), &thread.to_string())));
            }
        }
    }

    fn write_weight(&self, group: &Path, weight: u32) -> Result<(), String> {
        match self.version {
            Version::V2 => write(&group.join("cpu.weight"), &weight.to_string()),
            // 100 of v2 are 1024 of v1.
            Version::V1 => write(&group.join("cpu.shares"), &(u64::from(weight) * 1024 / 100).max(2).to_string()),
        }
    }

    fn write_quota(&self, group: &Path, percent: Option<u32>) -> Result<(), String> {
        let quota = percent.map(|p| QUOTA_PERIOD_US / 100 * p);
        match (self.version, quota) {
            (Version::V2, Some(q)) => write(&group.join("cpu.max"), &format!("{q} {QUOTA_PERIOD_US}")),
            (Version::V2, None) => write(&group.join("cpu.max"), &format!("max {QUOTA_PERIOD_US}")),
            (Version::V1, quota) => {
                write(&group.join("cpu.cfs_period_us"), &QUOTA_PERIOD_US.to_string())?;
                write(&group.join("cpu.cfs_quota_us"), &quota.map_or("-1".into(), |q| q.to_string()))
            }
        }
    }

    /// The group a process is in now; the parent of ours if that is one of ours.
    fn origin(&self, pid: u32) -> PathBuf {
        let above = self.root.parent().unwrap_or(&self.mount).to_owned();
        let lines = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let path = lines.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next()?, fields.next()?);
            let matches = match self.version {
                Version::V2 => controllers.is_empty(),
                Version::V1 => controllers.split(',').any(|c| c == "cpu"),
            };
            matches.then(|| self.mount.join(path.trim_start_matches('/')))
        });
        path.filter(|p| !p.starts_with(&self.root)).unwrap_or(above)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        self.leave_all();
        // A node that is ending itself (all are stopped at once) holds its group until its last thread is gone; one that
        // goes on may have started a thread in the meantime.
        let deadline = Instant::now() + GROUP_REMOVAL_TIMEOUT;
        for group in self.made.iter().rev() {
            while let Err(e) = fs::remove_dir(group) {
                if e.kind() != io::ErrorKind::ResourceBusy || Instant::now() >= deadline {
                    tracing::warn!("{} is left behind: {e}", group.display());
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
                self.leave_all();
            }
        }
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("writing {text:?} to {}: {e}", path.display()))
}

/// The hierarchy with the CPU controller, from the text of /proc/self/mounts: v2 first.
fn find_hierarchy(mounts: &str) -> Option<(Version, PathBuf)> {
    let rows = || mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).filter(|f| f.len() >= 4);
    let v2 = rows().filter(|f| f[2] == "cgroup2").map(|f| PathBuf::from(f[1])).find(|mount| {
        let controllers = fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default();
        controllers.split_whitespace().any(|c| c == "cpu")
    });
    let v1 = || rows().find(|f| f[2] == "cgroup" && f[3].split(',').any(|o| o == "cpu")).map(|f| PathBuf::from(f[1]));
    v2.map(|mount| (Version::V2, mount)).or_else(|| v1().map(|mount| (Version::V1, mount)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_with_the_cpu_controller_is_taken_v2_first() {
        let dir = tempfile::tempdir().unwrap();
        let v2 = dir.path().display();
        let mounts = format!(
            "proc /proc proc rw 0 0\nshort\ncgroup /c/set cgroup rw,cpuset 0 0\ncgroup /c/cpu cgroup rw,cpu,cpuacct 0 0\n\
             cgroup2 {v2} cgroup2 rw 0 0\n"
        );
        fs::write(dir.path().join("cgroup.controllers"), "hugetlb\n").unwrap();
        assert_eq!(find_hierarchy(&mounts), Some((Version::V1, "/c/cpu".into())));
        fs::write(dir.path().join("cgroup.controllers"), "cpuset cpu io\n").unwrap();
        assert_eq!(find_hierarchy(&mounts), Some((Version::V2, dir.path().to_owned())));
        assert_eq!(find_hierarchy("proc /proc proc rw 0 0\n"), None);
    }

    #[test]
    fn a_process_that_is_not_the_node_is_left_alone() {
        let config = ActuationConfig { cgroups: false, ..crate::Config::default().actuation };
        let mut actuator = Actuator::new(&config);
        let me = std::process::id();
        let realtime = Some(Realtime { priority: 1, core: 0 });
        for pid in [me, 0, u32::MAX] {
            let share = NodeShare { node: "hud", pid, cpu_weight: 1, quota_percent: None, realtime };
            let problems = actuator.apply(&[share]);
            assert!(problems[0].text.contains("is not auriga-hud"), "{problems:?}");
        }
    }

    #[test]
    fn without_a_place_for_groups_it_says_once_that_only_the_grants_act() {
        let parent = "no/such/group".into();
        let config = ActuationConfig { cgroup_parent: parent, ..crate::Config::default().actuation };
        let mut actuator = Actuator::new(&config);
        let problems = actuator.apply(&[]);
        assert_eq!((problems.len(), problems[0].code), (1, SOFT_ONLY));
        assert_eq!(actuator.apply(&[]), []);
    }
}
