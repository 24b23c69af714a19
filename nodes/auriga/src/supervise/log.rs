//! The log folder: one file for each process, with all it wrote.

use anyhow::Context;
use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Where the files are.
#[derive(Debug, Clone)]
pub struct LogFolder {
    path: PathBuf,
}

impl LogFolder {
    /// Makes a new folder in `parent`, named by `label` and a number, and points `parent/latest` to it.
    pub fn new_in(parent: &Path, label: &str) -> anyhow::Result<LogFolder> {
        fs::create_dir_all(parent).with_context(|| format!("cannot make the log folder {}", parent.display()))?;
        let name = (1..).map(|n| format!("{label}-{n:04}")).find(|name| {
            // Made, not looked up: of two launches that begin at once each gets its own.
            !matches!(fs::create_dir(parent.join(name)), Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists)
        });
        let name = name.unwrap_or_default();
        let path = parent.join(&name);
        anyhow::ensure!(path.is_dir(), "cannot make the log folder {}", path.display());
        let latest = parent.join("latest");
        // Only a convenience, and another launch may do the same now.
        let _ = fs::remove_file(&latest);
        let _ = symlink(&name, &latest);
        Ok(LogFolder { path })
    }

    /// Uses the folder at `path`; files of an earlier launch in it are replaced.
    pub fn at(path: &Path) -> anyhow::Result<LogFolder> {
        fs::create_dir_all(path).with_context(|| format!("cannot make the log folder {}", path.display()))?;
        Ok(LogFolder { path: path.to_owned() })
    }

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

/// A file that both pipes of a process are written to.
#[derive(Debug, Clone)]
pub(super) struct LogFile(Arc<Mutex<Option<File>>>);

impl LogFile {
    pub fn line(&self, line: &str) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One write for a line, so that a crash cuts none in two. A full disk ends the log, not the launch.
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
    fn each_launch_gets_a_folder_of_its_own_and_latest_points_to_the_last() {
        let parent = tempfile::tempdir().unwrap();
        let first = LogFolder::new_in(parent.path(), "drive").unwrap();
        let second = LogFolder::new_in(parent.path(), "drive").unwrap();
        assert_ne!(first.path(), second.path());
        second.file("a/b").line("hello");
        let text = fs::read_to_string(parent.path().join("latest/a_b.log")).unwrap();
        assert_eq!(text, "hello\n");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let error = LogFolder::new_in(Path::new("/proc/nowhere"), "x").unwrap_err();
        assert!(format!("{error:#}").contains("/proc/nowhere"), "{error:#}");
    }
}
