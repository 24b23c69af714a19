//! The log folder: one file for each process, with all of its output.

use anyhow::Context;
use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// A folder of log files.
#[derive(Debug, Clone)]
pub struct LogFolder {
    path: PathBuf,
}

impl LogFolder {
    /// Creates a new folder in `parent`, named by `label` and a number, and links `parent/latest` to it.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub fn new_in(parent: &Path, label: &str) -> anyhow::Result<LogFolder> {
        fs::create_dir_all(parent).with_context(|| format!("cannot make the log folder {}", parent.display()))?;
        let name = (1..).map(|n| format!("{label}-{n:04}")).find(|name| {
            // Created, not looked up: two launches that start at once get different folders.
            !matches!(fs::create_dir(parent.join(name)), Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists)
        });
        let name = name.unwrap_or_default();
        let path = parent.join(&name);
        anyhow::ensure!(path.is_dir(), "cannot make the log folder {}", path.display());
        let latest = parent.join("latest");
        // A convenience; another launch may do the same at this moment.
        let _ = fs::remove_file(&latest);
        let _ = symlink(&name, &latest);
        Ok(LogFolder { path })
    }

    /// Uses the folder at `path`; log files in it are overwritten.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub fn at(path: &Path) -> anyhow::Result<LogFolder> {
        fs::create_dir_all(path).with_context(|| format!("cannot make the log folder {}", path.display()))?;
        Ok(LogFolder { path: path.to_owned() })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The log of the process `name`.
    pub(super) fn file(&self, name: &str) -> LogFile {
        let plain: String =
            name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
        let path = self.path.join(format!("{plain}.log"));
        let file = File::create(&path)
            .inspect_err(|error| tracing::warn!("{}: {error}; {name} is not logged", path.display()))
            .ok();
        LogFile(Arc::new(Mutex::new(file)))
    }
}

/// A file for both output streams of a process.
#[derive(Debug, Clone)]
pub(super) struct LogFile(Arc<Mutex<Option<File>>>);

impl LogFile {
    pub fn line(&self, line: &str) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A single write for each line: no line is cut by a crash. A full disk ends the log, not the launch.
        if file.as_mut().is_some_and(|file| file.write_all(format!("{line}\n").as_bytes()).is_err()) {
            tracing::warn!("a log file cannot be written any more");
            *file = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_launch_gets_a_new_folder_and_latest_links_to_the_newest() {
        let parent = tempfile::tempdir().unwrap();
        let first = LogFolder::new_in(parent.path(), "drive").unwrap();
        let second = LogFolder::new_in(parent.path(), "drive").unwrap();
        assert_ne!(first.path(), second.path());
        second.file("a/b").line("hello");
        let text = fs::read_to_string(parent.path().join("latest/a_b.log")).unwrap();
        assert_eq!(text, "hello\n");
    }

    #[test]
    fn a_folder_that_cannot_be_created_is_named_in_the_error() {
        let error = LogFolder::new_in(Path::new("/proc/nowhere"), "x").unwrap_err();
        assert!(format!("{error:#}").contains("/proc/nowhere"), "{error:#}");
    }
}
