//! The folder of a drive's output. Only one drive at a time writes to it.

use anyhow::{Context, bail};
use auriga_recorder::recording;
use auriga_sil::analysis::FLOOR_FILE;
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Seek, Write},
    path::{Path, PathBuf},
};

/// The file that is locked. It holds the process id of its holder. It stays when the drive has ended.
const LOCK: &str = "drive.lock";

/// A folder that this process alone writes to until this value is dropped. The kernel gives up the lock when the process
/// ends, however it ends, so a lock of a dead process holds up nobody.
#[derive(Debug)]
pub struct OutFolder {
    path: PathBuf,
    _lock: File,
}

impl OutFolder {
    /// Creates the folder where it is missing and locks it. Nothing in it is changed.
    ///
    /// # Errors
    /// When another drive is using it, naming its process id, or the file cannot be made.
    pub fn lock(path: &Path) -> anyhow::Result<OutFolder> {
        fs::create_dir_all(path).with_context(|| format!("cannot create the folder {}", path.display()))?;
        let file = path.join(LOCK);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let mut lock = options.open(&file).with_context(|| format!("cannot open {}", file.display()))?;
        if let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                bail!("{}: it cannot be locked: {error}", file.display());
            }
            let mut holder = String::new();
            // Just for the message.
            let _ = Read::take(&lock, 32).read_to_string(&mut holder);
            let holder = if holder.trim().is_empty() { "unknown" } else { holder.trim() };
            bail!(
                "{} is in use by another drive (process {holder}); nothing was changed. Wait for its end, or choose another \
                 --out",
                path.display()
            );
        }
        let write = |lock: &mut File| {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())
        };
        write(&mut lock).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(OutFolder { path: path.to_owned(), _lock: lock })
    }

    /// Removes what an earlier drive recorded as `name`, all of its files, and returns the path to record to.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove_earlier(&self, name: &str) -> anyhow::Result<PathBuf> {
        let recording = self.path.join(name);
        let mut earlier = recording::files(&recording);
        earlier.push(self.path.join(FLOOR_FILE));
        for file in earlier {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot replace {}", file.display()));
                }
                _ => {}
            }
        }
        Ok(recording)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_refused_before_anything_is_touched_and_free_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new/out");
        let first = OutFolder::lock(&out).unwrap();
        fs::write(out.join("drive.mcap"), "recorded").unwrap();
        let error = OutFolder::lock(&out).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()) && error.contains("--out"), "{error}");
        assert_eq!(fs::read_to_string(out.join("drive.mcap")).unwrap(), "recorded");
        drop(first);
        // The file of a process that has ended stays, with a process id that may be another's by now.
        fs::write(out.join(LOCK), "1\n").unwrap();
        let second = OutFolder::lock(&out).unwrap();
        assert_eq!(fs::read_to_string(out.join(LOCK)).unwrap().trim(), std::process::id().to_string());
        drop(second);
    }

    #[test]
    fn all_files_of_an_earlier_recording_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["drive.mcap", "drive-1.mcap", "drive-2.mcap", "other.mcap", FLOOR_FILE] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let out = OutFolder::lock(folder.path()).unwrap();
        assert_eq!(out.remove_earlier("drive.mcap").unwrap(), folder.path().join("drive.mcap"));
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [LOCK, "other.mcap"]);
    }
}
