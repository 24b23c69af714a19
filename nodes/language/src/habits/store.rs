//! The private log on disk, for the executable: encrypted with age (X25519), with a key beside it that only its owner can
//! read.
//!
//! The file is small (a few thousand entries), so each change writes it anew, under another name first: a power cut
//! leaves the old one or the new one. A thread of its own writes, so that the disk never holds up the model. What cannot
//! be read is set aside under another name and told; the node starts without it.

use crate::habits::usage_history::{self, UsageEntry};
use age::{
    secrecy::ExposeSecret,
    x25519::{Identity, Recipient},
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::mpsc,
    thread::JoinHandle,
};

const KEY: &str = "habits.key";
const LOG: &str = "habits.age";
/// A larger file is none of this program's.
const MAX_BYTES: u64 = 16 << 20;
/// Damaged files kept for whoever wants to look at them.
const SET_ASIDE: usize = 3;

/// What is wrong with the state folder: the node goes on with its memory alone.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{path}: {source}; give a folder that this user can write to (state)")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path}: others than its owner can read it (mode {mode:o}); chmod 600 it, or remove it to begin anew")]
    KeyIsOpen { path: PathBuf, mode: u32 },
    #[error("{path} is no age key; remove it to begin anew")]
    Key { path: PathBuf },
}

/// A log that is kept.
#[derive(Debug)]
pub struct Store {
    recipient: Recipient,
    file: PathBuf,
    entries: Vec<UsageEntry>,
    most: usize,
}

/// A log that could not be read and was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    pub what: String,
    pub kept_as: PathBuf,
}

impl Store {
    /// Opens or begins the log in `folder`, of at most `most` entries.
    pub fn open(folder: &Path, most: usize) -> Result<(Self, Option<Damaged>), StoreError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { path, source }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at(folder))?;
        let identity = key(&folder.join(KEY))?;
        let file = folder.join(LOG);
        let mut damaged = None;
        let entries = match read(&file, &identity) {
            Ok(entries) => entries,
            Err(Unreadable::Io(e)) => return Err(at(&file)(e)),
            Err(Unreadable::Damaged(what)) => {
                let kept_as = set_aside(folder, &file).map_err(at(&file))?;
                damaged = Some(Damaged { what, kept_as });
                Vec::new()
            }
        };
        let mut store = Self { recipient: identity.to_public(), file, entries, most: most.max(1) };
        store.trim();
        Ok((store, damaged))
    }

    /// What is in it, oldest first.
    pub fn entries(&self) -> &[UsageEntry] {
        &self.entries
    }

    /// Adds entries and writes the file; the oldest make room.
    pub fn append(&mut self, entries: impl IntoIterator<Item = UsageEntry>) -> Result<(), StoreError> {
        self.entries.extend(entries);
        self.trim();
        let at = |source| StoreError::Io { path: self.file.clone(), source };
        let sealed = age::encrypt(&self.recipient, &usage_history::encode(self.entries.iter().cloned()));
        let sealed = sealed.map_err(|e| at(io::Error::other(e)))?;
        write(&self.file, &sealed).map_err(at)
    }

    fn trim(&mut self) {
        let surplus = self.entries.len().saturating_sub(self.most);
        self.entries.drain(..surplus);
    }

    /// Hands the store to a thread that keeps what is sent to it; the thread ends with the last sender. `failed` is told
    /// what went wrong.
    pub fn keep(
        mut self,
        mut failed: impl FnMut(StoreError) + Send + 'static,
    ) -> io::Result<(mpsc::Sender<UsageEntry>, JoinHandle<()>)> {
        let (sender, receiver) = mpsc::channel::<UsageEntry>();
        let work = move || {
            while let Ok(first) = receiver.recv() {
                // Whatever has come meanwhile is written with it.
                let entries: Vec<UsageEntry> = std::iter::once(first).chain(receiver.try_iter()).collect();
                if let Err(e) = self.append(entries) {
                    failed(e);
                }
            }
        };
        Ok((sender, std::thread::Builder::new().name("habits".into()).spawn(work)?))
    }
}

enum Unreadable {
    Io(io::Error),
    Damaged(String),
}

fn read(file: &Path, identity: &Identity) -> Result<Vec<UsageEntry>, Unreadable> {
    let size = match fs::metadata(file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found.map_err(Unreadable::Io)?.len(),
    };
    if size > MAX_BYTES {
        return Err(Unreadable::Damaged(format!("{size} bytes: expected at most {MAX_BYTES}")));
    }
    let sealed = fs::read(file).map_err(Unreadable::Io)?;
    let text = age::decrypt(identity, &sealed).map_err(|e| Unreadable::Damaged(e.to_string()))?;
    usage_history::decode(&text).map_err(|e| Unreadable::Damaged(e.to_string()))
}

/// The key of the folder, made at the first start.
fn key(path: &Path) -> Result<Identity, StoreError> {
    let at = |source| StoreError::Io { path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(found) => {
            let mode = found.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(StoreError::KeyIsOpen { path: path.to_owned(), mode });
            }
            let text = fs::read_to_string(path).map_err(at)?;
            text.trim().parse().map_err(|_| StoreError::Key { path: path.to_owned() })
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let identity = Identity::generate();
            write(path, format!("{}\n", identity.to_string().expose_secret()).as_bytes()).map_err(at)?;
            Ok(identity)
        }
        Err(e) => Err(at(e)),
    }
}

/// Writes the whole file or leaves the old one, readable by its owner alone.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    // The name is in the folder, which is a file of its own.
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Renames a damaged file to the first free name, or over the last.
fn set_aside(folder: &Path, file: &Path) -> io::Result<PathBuf> {
    let name = |i: usize| folder.join(format!("{LOG}.damaged-{i}"));
    let free = (1..SET_ASIDE).map(name).find(|name| !name.exists());
    let name = free.unwrap_or_else(|| name(SET_ASIDE));
    fs::rename(file, &name)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(intent: &str) -> UsageEntry {
        UsageEntry { intent: intent.into(), gap_s: Some(5), circumstances: Default::default() }
    }

    fn names(store: &Store) -> Vec<&str> {
        store.entries().iter().map(|e| e.intent.as_str()).collect()
    }

    #[test]
    fn what_was_kept_is_there_again_and_nobody_else_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state/language");
        let (mut store, damaged) = Store::open(&state, 100).unwrap();
        assert_eq!((names(&store).len(), damaged), (0, None));
        store.append([entry("call"), entry("weather")]).unwrap();
        store.append([entry("fan")]).unwrap();
        assert_eq!(names(&Store::open(&state, 100).unwrap().0), ["call", "weather", "fan"]);
        let sealed = fs::read(state.join(LOG)).unwrap();
        assert!(sealed.starts_with(b"age-encryption.org/v1"));
        assert!(!sealed.windows(7).any(|w| w == b"weather"), "it is not encrypted");
        for name in [KEY, LOG] {
            let mode = fs::metadata(state.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn only_the_newest_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(folder.path(), 3).unwrap();
        store.append(["a", "b", "c", "d", "e"].map(entry)).unwrap();
        assert_eq!(names(&Store::open(folder.path(), 3).unwrap().0), ["c", "d", "e"]);
        assert_eq!(names(&Store::open(folder.path(), 2).unwrap().0), ["d", "e"]);
    }

    #[test]
    fn a_damaged_log_is_set_aside_and_the_next_one_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        for round in 1..=5 {
            let (mut store, _) = Store::open(folder.path(), 100).unwrap();
            store.append([entry("call")]).unwrap();
            let mut bytes = fs::read(folder.path().join(LOG)).unwrap();
            match round {
                1 => bytes.truncate(bytes.len() - 5),
                2 => bytes.clear(),
                3 => bytes = b"call weather".to_vec(),
                _ => *bytes.last_mut().unwrap() ^= 1,
            }
            fs::write(folder.path().join(LOG), bytes).unwrap();
            let (store, damaged) = Store::open(folder.path(), 100).unwrap();
            let damaged = damaged.expect("the damage is seen");
            assert!(damaged.kept_as.exists() && !damaged.what.contains("call"), "{damaged:?}");
            assert_eq!(names(&store), [""; 0]);
            assert!(!folder.path().join(LOG).exists());
        }
        let kept = fs::read_dir(folder.path())
            .unwrap()
            .filter(|f| f.as_ref().unwrap().file_name().to_string_lossy().contains("damaged"));
        assert_eq!(kept.count(), SET_ASIDE);
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path(), 100).unwrap());
        let key = folder.path().join(KEY);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        let e = Store::open(folder.path(), 100).unwrap_err().to_string();
        assert!(e.contains("640") && e.contains("chmod"), "{e}");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&key, "a key").unwrap();
        assert!(matches!(Store::open(folder.path(), 100), Err(StoreError::Key { .. })));
    }

    #[test]
    fn a_folder_that_cannot_be_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let e = Store::open(&file.join("state"), 100).unwrap_err().to_string();
        assert!(e.contains("state"), "{e}");
    }

    #[test]
    fn what_is_sent_to_the_keeping_thread_is_on_disk_when_it_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path(), 100).unwrap();
        let (sender, thread) = store.keep(|e| panic!("{e}")).unwrap();
        (0..50).for_each(|i| sender.send(entry(&format!("intent_{i}"))).unwrap());
        drop(sender);
        thread.join().unwrap();
        assert_eq!(Store::open(folder.path(), 100).unwrap().0.entries().len(), 50);
    }

    #[test]
    fn a_half_written_file_of_before_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("habits.new"), "half").unwrap();
        let (mut store, _) = Store::open(folder.path(), 100).unwrap();
        store.append([entry("call")]).unwrap();
        assert_eq!(names(&Store::open(folder.path(), 100).unwrap().0), ["call"]);
    }
}
