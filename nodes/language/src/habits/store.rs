//! The usage history on disk, for the executable: encrypted with age (X25519), with the key in a file beside it that only
//! its owner can read.
//!
//! The file is small (a few thousand entries), so each change writes a new file under another name and renames it: after a
//! power cut the old or the new file is there. A thread of its own writes, so that the disk never delays the model. A file
//! that cannot be read is renamed and reported, and the node starts with an empty history.

use super::usage_history::{self, UsageEntry};
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
/// Larger files are refused: this program writes none.
const MAX_BYTES: u64 = 16 << 20;
/// Damaged files that are kept for diagnosis.
const MAX_DAMAGED: usize = 3;

/// Why the state folder cannot be used. The node then keeps the usage history in memory only.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder cannot be read or written.
    #[error("{path}: {source}; set state to a folder that this user can write to")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Other users can read the key.
    #[error("{path}: other users can read this key (mode {mode:o}); chmod 600 it, or remove it to start a new history")]
    KeyIsOpen {
        /// The file of the key.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file of the key has no key.
    #[error("{path} is not an age key; remove it to start a new history")]
    Key {
        /// The file of the key.
        path: PathBuf,
    },
}

/// An open usage history.
#[derive(Debug)]
pub struct Store {
    recipient: Recipient,
    file: PathBuf,
    entries: Vec<UsageEntry>,
    max_entries: usize,
}

/// A usage history that could not be read and was renamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// What is wrong with it.
    pub reason: String,
    /// Its new path.
    pub kept_as: PathBuf,
}

impl Store {
    /// Opens or creates the usage history in `folder`, of at most `max_entries` entries. A damaged file is renamed.
    ///
    /// # Errors
    /// When the folder cannot be used, or the key is invalid or readable by other users.
    pub fn open(folder: &Path, max_entries: usize) -> Result<(Self, Option<Damaged>), StoreError> {
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
            Err(Unreadable::Damaged(reason)) => {
                let kept_as = set_aside(folder, &file).map_err(at(&file))?;
                damaged = Some(Damaged { reason, kept_as });
                Vec::new()
            }
        };
        let mut store = Self { recipient: identity.to_public(), file, entries, max_entries: max_entries.max(1) };
        store.trim();
        Ok((store, damaged))
    }

    /// The entries, oldest first.
    pub fn entries(&self) -> &[UsageEntry] {
        &self.entries
    }

    /// Adds entries, drops the oldest beyond the limit, and writes the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&mut self, entries: impl IntoIterator<Item = UsageEntry>) -> Result<(), StoreError> {
        self.entries.extend(entries);
        self.trim();
        let at = |source| StoreError::Io { path: self.file.clone(), source };
        let sealed = age::encrypt(&self.recipient, &usage_history::encode(self.entries.iter().cloned()));
        let sealed = sealed.map_err(|e| at(io::Error::other(e)))?;
        write(&self.file, &sealed).map_err(at)
    }

    fn trim(&mut self) {
        let surplus = self.entries.len().saturating_sub(self.max_entries);
        self.entries.drain(..surplus);
    }

    /// Moves the store to a thread that appends the entries sent to it and ends with the last sender. `failed` is called
    /// with each error.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn spawn_writer(
        mut self,
        mut failed: impl FnMut(StoreError) + Send + 'static,
    ) -> io::Result<(mpsc::Sender<UsageEntry>, JoinHandle<()>)> {
        let (sender, receiver) = mpsc::channel::<UsageEntry>();
        let work = move || {
            while let Ok(first) = receiver.recv() {
                // Entries that arrived meanwhile are written together.
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

/// Reads the key of the folder; creates it at the first start.
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

/// Replaces a file atomically; only its owner can read it.
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
    // The new name is durable once the folder is synced.
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Renames a damaged file to the first free name, or replaces the last one.
fn set_aside(folder: &Path, file: &Path) -> io::Result<PathBuf> {
    let name = |i: usize| folder.join(format!("{LOG}.damaged-{i}"));
    let free = (1..MAX_DAMAGED).map(name).find(|name| !name.exists());
    let name = free.unwrap_or_else(|| name(MAX_DAMAGED));
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
    fn entries_are_restored_from_encrypted_files_that_only_the_owner_can_read() {
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
    fn the_oldest_entries_beyond_the_limit_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(folder.path(), 3).unwrap();
        store.append(["a", "b", "c", "d", "e"].map(entry)).unwrap();
        assert_eq!(names(&Store::open(folder.path(), 3).unwrap().0), ["c", "d", "e"]);
        assert_eq!(names(&Store::open(folder.path(), 2).unwrap().0), ["d", "e"]);
    }

    #[test]
    fn a_damaged_history_is_renamed_and_a_new_one_is_started() {
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
            let damaged = damaged.expect("the damage is detected");
            assert!(damaged.kept_as.exists() && !damaged.reason.contains("call"), "{damaged:?}");
            assert_eq!(names(&store), [""; 0]);
            assert!(!folder.path().join(LOG).exists());
        }
        let kept = fs::read_dir(folder.path())
            .unwrap()
            .filter(|f| f.as_ref().unwrap().file_name().to_string_lossy().contains("damaged"));
        assert_eq!(kept.count(), MAX_DAMAGED);
    }

    #[test]
    fn an_invalid_key_or_one_that_others_can_read_is_refused() {
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
    fn an_impossible_folder_gives_an_error_that_names_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let e = Store::open(&file.join("state"), 100).unwrap_err().to_string();
        assert!(e.contains("state"), "{e}");
    }

    #[test]
    fn the_writer_thread_has_written_all_entries_when_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path(), 100).unwrap();
        let (sender, thread) = store.spawn_writer(|e| panic!("{e}")).unwrap();
        (0..50).for_each(|i| sender.send(entry(&format!("intent_{i}"))).unwrap());
        drop(sender);
        thread.join().unwrap();
        assert_eq!(Store::open(folder.path(), 100).unwrap().0.entries().len(), 50);
    }

    #[test]
    fn a_leftover_temporary_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("habits.new"), "half").unwrap();
        let (mut store, _) = Store::open(folder.path(), 100).unwrap();
        store.append([entry("call")]).unwrap();
        assert_eq!(names(&Store::open(folder.path(), 100).unwrap().0), ["call"]);
    }
}
