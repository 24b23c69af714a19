//! Which processes a supervisor has started, told to those that may act on processes.
//!
//! A usage message names its node's process, and anyone on the wire can send one. The supervisor knows: it writes what it
//! has started to a file in a folder that only its user can enter, and names the file in the environment of its processes
//! ([`VARIABLE`]). A process is its number and its start time together, so that a number that the kernel has given to
//! another process is noticed.
//!
//! ```
//! use auriga_runtime::processes::{ProcessId, ProcessList, listed};
//!
//! let mut child = std::process::Command::new("sleep").arg("60").spawn()?;
//! let mut list = ProcessList::create()?;
//! list.add(child.id())?;
//! let process = ProcessId::of(child.id())?;
//! assert_eq!(listed(list.path())?, [process]);
//! list.remove(child.id())?;
//! assert_eq!(listed(list.path())?, []);
//! child.kill()?;
//! child.wait()?;
//! # Ok::<(), std::io::Error>(())
//! ```

use std::{
    env, fs,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The environment variable in which a supervisor names its list to the processes it starts.
pub const VARIABLE: &str = "AURIGA_PROCESS_LIST";

/// Name of the list in its folder.
const FILE: &str = "processes";
/// Larger lists are no supervisor's: 64 KiB are some thousand processes.
const MAX_BYTES: u64 = 64 << 10;

/// A process: its number, and when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// Its start, in clock ticks since boot: field 22 of /proc/PID/stat.
    pub start_ticks: u64,
}

impl ProcessId {
    /// The process that has this number now.
    ///
    /// # Errors
    /// There is none, or no /proc.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name, in parentheses, may hold spaces and parentheses itself.
        let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let start_ticks = after_name.split(' ').nth(22 - 3).and_then(|field| field.parse().ok());
        let start_ticks = start_ticks.ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has no start time")))?;
        Ok(Self { pid, start_ticks })
    }

    /// Whether the process still runs: its number is not another's.
    pub fn is_alive(self) -> bool {
        Self::of(self.pid).is_ok_and(|now| now == self)
    }
}

/// The supervisor's list. Dropping it removes the file and its folder.
#[derive(Debug)]
pub struct ProcessList {
    folder: PathBuf,
    path: PathBuf,
    processes: Vec<ProcessId>,
}

impl ProcessList {
    /// An empty list in a new folder with mode 0700, in `$XDG_RUNTIME_DIR` or else in the folder for temporary files.
    ///
    /// # Errors
    /// When the folder or the file cannot be made.
    pub fn create() -> io::Result<Self> {
        let above = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_dir());
        Self::create_in(&above.unwrap_or_else(env::temp_dir))
    }

    /// The same with the new folder in `above`.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_in(above: &Path) -> io::Result<Self> {
        let pid = std::process::id();
        for attempt in 0..1000 {
            let folder = above.join(format!("auriga-{pid}-{attempt}"));
            match fs::DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => {
                    let list = Self { path: folder.join(FILE), folder, processes: Vec::new() };
                    list.write()?;
                    return Ok(list);
                }
                // Of a supervisor that was killed, or made by someone who wants it to be used.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(io::Error::new(e.kind(), format!("{}: {e}", folder.display()))),
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{}/auriga-{pid}-*", above.display())))
    }

    /// The file, for [`VARIABLE`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a process that was started and not yet waited for.
    ///
    /// # Errors
    /// When the process is gone or the file cannot be written.
    pub fn add(&mut self, pid: u32) -> io::Result<()> {
        let process = ProcessId::of(pid)?;
        self.processes.retain(|p| p.pid != pid);
        self.processes.push(process);
        self.write()
    }

    /// Removes a process that has ended.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remove(&mut self, pid: u32) -> io::Result<()> {
        let before = self.processes.len();
        self.processes.retain(|p| p.pid != pid);
        if self.processes.len() == before { Ok(()) } else { self.write() }
    }

    /// Replaces the file in one step, so that a reader never sees a part of it.
    fn write(&self) -> io::Result<()> {
        let new = self.folder.join("new");
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        let lines: String = self.processes.iter().map(|p| format!("{} {}\n", p.pid, p.start_ticks)).collect();
        file.write_all(lines.as_bytes())?;
        fs::rename(&new, &self.path)
    }
}

impl Drop for ProcessList {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_dir(&self.folder);
    }
}

/// The processes of a supervisor's list. The list must be a file that only root or this process's real user can have
/// written: a privileged process believes neither a list that others can change nor a link to one.
///
/// # Errors
/// A file that cannot be read, belongs to someone else, can be written by others, or is no list.
pub fn listed(path: &Path) -> io::Result<Vec<ProcessId>> {
    let refused = |what: &str| io::Error::new(io::ErrorKind::PermissionDenied, format!("{}: {what}", path.display()));
    let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    let owner = rustix::process::getuid().as_raw();
    let private = |meta: &fs::Metadata| [0, owner].contains(&meta.uid()) && meta.mode() & 0o022 == 0;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let meta = fs::symlink_metadata(folder).map_err(named)?;
    if !meta.is_dir() || !private(&meta) {
        return Err(refused("its folder must be one that only its owner, this user or root, can write to"));
    }
    let no_link = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let file = fs::OpenOptions::new().read(true).custom_flags(no_link).open(path).map_err(named)?;
    let meta = file.metadata().map_err(named)?;
    if !meta.is_file() || !private(&meta) || meta.len() > MAX_BYTES {
        return Err(refused("a list of processes is a small file that only its owner, this user or root, can write"));
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(named)?;
    let process = |line: &str| {
        let (pid, start_ticks) = line.split_once(' ')?;
        Some(ProcessId { pid: pid.parse().ok()?, start_ticks: start_ticks.parse().ok()? })
    };
    let lines = text.lines().enumerate();
    lines.map(|(i, l)| process(l).ok_or_else(|| refused(&format!("line {} is no process", i + 1)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_process_is_known_by_its_start_time() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = ProcessId::of(child.id()).unwrap();
        assert!(process.is_alive());
        assert!(!ProcessId { start_ticks: process.start_ticks - 1, ..process }.is_alive(), "the number was another's");
        assert!(process.start_ticks >= ProcessId::of(std::process::id()).unwrap().start_ticks);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!process.is_alive());
        assert!(ProcessId::of(0).is_err() && ProcessId::of(u32::MAX).is_err());
    }

    #[test]
    fn the_list_is_private_and_goes_with_its_supervisor() {
        let above = tempfile::tempdir().unwrap();
        let mut list = ProcessList::create_in(above.path()).unwrap();
        let second = ProcessList::create_in(above.path()).unwrap();
        assert_ne!(list.path(), second.path());
        let me = std::process::id();
        list.add(me).unwrap();
        list.add(me).unwrap();
        assert_eq!(listed(list.path()).unwrap(), [ProcessId::of(me).unwrap()]);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(list.path()), mode(list.path().parent().unwrap())), (0o600, 0o700));
        assert!(list.add(u32::MAX).is_err(), "no such process");
        list.remove(me).unwrap();
        assert_eq!(listed(list.path()).unwrap(), []);
        drop((list, second));
        assert_eq!(fs::read_dir(above.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_list_that_others_can_change_is_refused() {
        let above = tempfile::tempdir().unwrap();
        let list = ProcessList::create_in(above.path()).unwrap();
        let refused = |path: &Path| listed(path).unwrap_err().to_string();
        set_mode(list.path(), 0o620);
        assert!(refused(list.path()).contains("only its owner"), "{}", refused(list.path()));
        set_mode(list.path(), 0o600);
        let link = list.path().with_file_name("link");
        symlink(list.path(), &link).unwrap();
        assert!(listed(&link).is_err());
        fs::remove_file(link).unwrap();
        fs::write(list.path(), "12 34\n12 thirty-four\n").unwrap();
        assert!(refused(list.path()).contains("line 2"));
        set_mode(list.path().parent().unwrap(), 0o777);
        assert!(refused(list.path()).contains("its folder"));
        assert!(listed(&above.path().join("absent")).is_err());
    }
}
