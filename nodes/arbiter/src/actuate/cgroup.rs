//! Control groups: `auriga/<node>` under the hierarchy that has the CPU controller, cgroup v2 where there is one, else v1.

use super::{process::threads, scheduler::is_realtime, share::NodeShare};
use auriga_runtime::processes::ProcessId;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// CPU period of a quota, in microseconds: the kernel's own default.
const QUOTA_PERIOD_US: u32 = 100_000;

/// How long the arbiter's shutdown waits for nodes that are ending too: a group with threads cannot be removed.
const GROUP_REMOVAL_TIMEOUT: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// The group "auriga" and those below it. Dropping it moves every process back and removes the groups.
pub(crate) struct Groups {
    version: Version,
    /// Where the hierarchy is mounted.
    mount: PathBuf,
    /// The group "auriga".
    root: PathBuf,
    /// The moved process of each node and the group it came from.
    origins: BTreeMap<&'static str, (ProcessId, PathBuf)>,
    /// Groups that were made, in the order in which they were made.
    made: Vec<PathBuf>,
}

impl Groups {
    /// Finds the hierarchy and makes the group "auriga" below `parent` in it; the error says what to do.
    pub(crate) fn create(parent: &Path) -> Result<Self, String> {
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
        // As heavy as its heaviest member, or safety nodes would weigh little against other programs.
        if path == self.root { self.write_weight(path, 10_000) } else { Ok(()) }
    }

    /// Puts the node's process into its group and writes what changed against `before`.
    pub(crate) fn apply(
        &mut self,
        share: &NodeShare,
        process: ProcessId,
        before: Option<&NodeShare>,
    ) -> Result<(), String> {
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
        let stays = !share.threads.is_empty() && group.join("cpu.rt_runtime_us").exists();
        if before.is_none() && !stays {
            let origin = self.origin(process.pid);
            self.join(&group, process.pid)?;
            self.origins.insert(share.node, (process, origin));
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
            // A thread that has ended meanwhile is not an error.
            if moved.is_err() && Path::new(&format!("/proc/{pid}/task/{thread}")).exists() {
                return moved;
            }
        }
        Ok(())
    }

    fn leave_all(&self) {
        for (process, origin) in self.origins.values().filter(|(process, _)| process.is_alive()) {
            self.leave(origin, process.pid);
        }
    }

    /// Moves a process back to the group it came from. Errors are dropped: the arbiter ends and nobody would read them.
    /// Real-time threads too: those started in the group are in it.
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

    /// The group a process is in now; the parent of "auriga" if it is in a group below that.
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
}
