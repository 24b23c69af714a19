//! Which processes may be acted on, as the supervisor and /proc show them.
//!
//! A usage message names its node's process, but anyone on the wire can send one. So the process is one that the
//! supervisor has started, and runs the executable of that node. Without a supervisor (`ros2 launch`, by hand) it has to run
//! the executable from the folder of the arbiter's own, which other users cannot write to, as the user that is configured.

use auriga_runtime::processes::{self, ProcessId};
use std::{
    env, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Where the processes of nodes are known from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeProcesses {
    /// From the list of the supervisor, see [`processes`].
    Listed(PathBuf),
    /// By their executable, which lies in this folder, and their user.
    Installed {
        /// The folder.
        folder: PathBuf,
        /// Real user id.
        uid: u32,
    },
}

impl NodeProcesses {
    /// From the supervisor that has started this process, if one has; otherwise by the folder of this process's own
    /// executable. `uid`: the user whose processes count then; `None`: that of this process.
    pub fn of_this_launch(uid: Option<u32>) -> Self {
        match env::var_os(processes::VARIABLE).filter(|path| !path.is_empty()) {
            Some(path) => Self::Listed(path.into()),
            None => Self::Installed {
                folder: env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_owned())).unwrap_or_default(),
                uid: uid.unwrap_or(rustix::process::getuid().as_raw()),
            },
        }
    }

    /// The rule in words.
    pub fn describe(&self) -> String {
        match self {
            Self::Listed(path) => format!("processes that the supervisor has started ({})", path.display()),
            Self::Installed { folder, uid } => format!(
                "no supervisor: processes of user {uid} whose executable is in {} ({} is not set)",
                folder.display(),
                processes::VARIABLE
            ),
        }
    }

    /// The process of `node` that has this number, or why it is none.
    pub(crate) fn find(&self, pid: u32, node: &str) -> Result<ProcessId, String> {
        let process = ProcessId::of(pid).map_err(|e| format!("process {pid}: {e}"))?;
        match self {
            Self::Listed(path) => {
                let listed = processes::listed(path).map_err(|e| e.to_string())?;
                if !listed.contains(&process) {
                    return Err(format!("process {pid} was not started by the supervisor"));
                }
            }
            Self::Installed { folder, uid } => {
                is_private(folder)?;
                if real_uid(pid) != Some(*uid) {
                    return Err(format!("process {pid} is not of user {uid} (actuation.node_uid)"));
                }
                let exe = fs::read_link(format!("/proc/{pid}/exe")).map_err(|e| format!("process {pid}: {e}"))?;
                if exe.parent() != Some(folder) {
                    return Err(format!("the executable of process {pid} is not in {}", folder.display()));
                }
            }
        }
        if !is_node(pid, node) {
            return Err(format!("process {pid} is not auriga-{node}"));
        }
        // All that was read is of the process that was asked for only if the number is still its own.
        if process.is_alive() { Ok(process) } else { Err(format!("process {pid} has ended")) }
    }
}

/// Whether other users cannot put an executable into the folder.
fn is_private(folder: &Path) -> Result<(), String> {
    let meta = fs::metadata(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    match meta.mode() & 0o002 {
        0 => Ok(()),
        _ => Err(format!("{} can be written to by every user (chmod o-w)", folder.display())),
    }
}

fn real_uid(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?.parse().ok()
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

/// The threads of a process, its first one among them.
pub(crate) fn threads(pid: u32) -> Vec<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use auriga_runtime::processes::ProcessList;
    use std::{
        os::unix::fs::PermissionsExt,
        process::{Child, Command},
    };

    /// A process that runs an executable of this name until dropped.
    struct Running(Child);

    impl Running {
        fn start(folder: &Path, node: &str) -> Self {
            let exe = folder.join(format!("auriga-{node}"));
            fs::copy(fs::canonicalize("/bin/sleep").unwrap(), &exe).unwrap();
            // A fork of another test may hold the new file open for a moment.
            loop {
                match Command::new(&exe).arg("60").spawn() {
                    Err(e) if e.kind() == io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                    child => return Self(child.unwrap()),
                }
            }
        }

        fn pid(&self) -> u32 {
            self.0.id()
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn only_what_the_supervisor_has_started_is_a_nodes_process() {
        let (folder, lists) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut list = ProcessList::create_in(lists.path()).unwrap();
        let nodes = NodeProcesses::Listed(list.path().to_owned());
        // The same executable, started by somebody else.
        let (own, other) = (Running::start(folder.path(), "hud"), Running::start(folder.path(), "can"));
        list.add(own.pid()).unwrap();
        assert_eq!(nodes.find(own.pid(), "hud"), ProcessId::of(own.pid()).map_err(|e| e.to_string()));
        assert!(nodes.find(other.pid(), "can").unwrap_err().contains("not started by the supervisor"));
        assert!(nodes.find(own.pid(), "can").unwrap_err().contains("is not auriga-can"));
        // The number of a process that has ended and that another one has now.
        let text = format!("{} {}\n", other.pid(), ProcessId::of(other.pid()).unwrap().start_ticks - 1);
        fs::write(list.path(), text).unwrap();
        assert!(nodes.find(other.pid(), "can").is_err());
        drop(list);
        assert!(nodes.find(own.pid(), "hud").unwrap_err().contains("processes"), "no list: nothing is believed");
    }

    #[test]
    fn without_a_supervisor_folder_and_user_decide() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let uid = rustix::process::getuid().as_raw();
        let nodes = |uid| NodeProcesses::Installed { folder: folder.path().canonicalize().unwrap(), uid };
        let (own, other) = (Running::start(folder.path(), "hud"), Running::start(elsewhere.path(), "hud"));
        assert!(nodes(uid).find(own.pid(), "hud").is_ok());
        assert!(nodes(uid).find(other.pid(), "hud").unwrap_err().contains("is not in"));
        assert!(nodes(uid + 1).find(own.pid(), "hud").unwrap_err().contains("node_uid"));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(nodes(uid).find(own.pid(), "hud").unwrap_err().contains("every user"));
    }
}
