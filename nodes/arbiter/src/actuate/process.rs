//! Processes and threads as /proc shows them.

use std::{fs, io};

/// Whether process `pid` runs the executable auriga-`node`.
pub(crate) fn is_node(pid: u32, node: &str) -> bool {
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
