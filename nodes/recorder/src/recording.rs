//! The thread that writes the recording: opens files, goes on in a new one when one is full or fails, and says so.

use crate::{
    Config,
    mcap_file::{Settings, WriteError, Writer},
    queue::{Losses, Queue, Taken},
};
use auriga_msgs::{Any, v1::Severity};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};
use tracing::info;

/// The metadata record in which a recording tells about itself.
pub const METADATA: &str = "auriga.recorder";
/// A chunk that nothing more comes for is ended after this.
const IDLE: Duration = Duration::from_secs(1);
/// Between two tries to open a file.
const RETRY: Duration = Duration::from_secs(1);
/// More files of one name than anybody keeps in a folder.
const MAX_FILES: u32 = 100_000;

/// Where faults go: severity, code, text.
pub type Tell<'a> = &'a dyn Fn(Severity, &'static str, String);

/// Writes what comes out of `queue` until it is closed. `facts` go into each file's [`METADATA`].
pub fn record(queue: &Queue, config: &Config, facts: &BTreeMap<String, String>, tell: Tell) {
    let mut recorder =
        Recorder { queue, config, facts, tell, next: 0, goes_on: false, failed: false, told: Losses::default() };
    let mut open: Option<OpenFile> = None;
    loop {
        let Some(file) = &mut open else {
            open = recorder.try_open();
            if open.is_none() && queue.wait_without_file(RETRY) {
                return;
            }
            continue;
        };
        let result = match queue.take(IDLE) {
            Taken::Message(any) => recorder.write(file, &any),
            Taken::Idle => file.flush(config.sync),
            Taken::Closed => break,
        };
        recorder.tell_losses();
        match result {
            Err(e) => {
                recorder.fail(&e);
                open.take().into_iter().for_each(OpenFile::give_up);
            }
            Ok(()) if file.is_full(config) => {
                open = recorder.finish(open);
                recorder.goes_on = true;
            }
            Ok(()) => {}
        }
    }
    recorder.finish(open);
}

struct Recorder<'a> {
    queue: &'a Queue,
    config: &'a Config,
    facts: &'a BTreeMap<String, String>,
    tell: Tell<'a>,
    /// Number of the next file.
    next: u32,
    /// The file goes on from a full one.
    goes_on: bool,
    failed: bool,
    told: Losses,
}

impl Recorder<'_> {
    fn try_open(&mut self) -> Option<OpenFile> {
        match self.open() {
            Ok(file) => {
                self.queue.has_file();
                info!("recording to {}", file.path.display());
                if std::mem::take(&mut self.failed) {
                    (self.tell)(Severity::Info, "recording-resumed", format!("recording to {}", file.path.display()));
                }
                Some(file)
            }
            Err(e) => {
                self.fail(&e);
                None
            }
        }
    }

    fn fail(&mut self, e: &WriteError) {
        self.failed = true;
        let path = self.config.path.display();
        (self.tell)(Severity::Critical, "recording-stopped", format!("{path}: {e}; it is tried again every second"));
    }

    /// Creates the next file whose name is free (or, if so configured, replaces it).
    fn open(&mut self) -> Result<OpenFile, WriteError> {
        if let Some(folder) = self.config.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let (path, file) = loop {
            let path = numbered(&self.config.path, self.next);
            let mut options = File::options();
            let made = match self.config.overwrite {
                true => options.write(true).create(true).truncate(true).open(&path),
                false => options.write(true).create_new(true).open(&path),
            };
            match made {
                Err(e) if e.kind() == ErrorKind::AlreadyExists && self.next < MAX_FILES => self.next += 1,
                other => break (path, other?),
            }
        };
        let opened = OpenFile::new(path.clone(), file, self.config, self.facts);
        match &opened {
            Ok(_) => self.next += 1,
            // Without even its first bytes it is only in the way.
            Err(_) => drop(fs::remove_file(&path)),
        }
        opened
    }

    fn write(&self, file: &mut OpenFile, any: &Any) -> Result<(), WriteError> {
        match file.write(any, self.config.sync) {
            Err(e) if e.is_about_one_message() => {
                (self.tell)(Severity::Warning, "recorder-image-malformed", e.to_string());
                Ok(())
            }
            other => other,
        }
    }

    fn tell_losses(&mut self) {
        let losses = self.queue.losses();
        if losses.images > self.told.images {
            let text =
                format!("{} images dropped so far: the disk or the processor is too slow for them", losses.images);
            (self.tell)(Severity::Warning, "recorder-images-dropped", text);
        }
        if losses.messages > self.told.messages {
            let text = format!("{} messages lost so far: nothing could be written for too long", losses.messages);
            (self.tell)(Severity::Critical, "recorder-messages-lost", text);
        }
        self.told = losses;
    }

    fn finish(&mut self, open: Option<OpenFile>) -> Option<OpenFile> {
        let file = open?;
        let path = file.path.clone();
        let messages = file.writer.messages();
        match file.finish(self.config.sync) {
            // A full file turned out to be the last.
            Ok(()) if messages == 0 && self.goes_on => drop(fs::remove_file(&path)),
            Ok(()) => info!(messages, "finished {}", path.display()),
            Err(e) => self.fail(&e),
        }
        None
    }
}

/// `drive.mcap`, `drive-1.mcap`, `drive-2.mcap`, …
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

struct OpenFile {
    path: PathBuf,
    writer: Writer,
    /// The same file, to wait for the disk.
    disk: File,
    /// Messages that are in whole chunks.
    kept: u64,
    synced: u64,
}

impl OpenFile {
    fn new(path: PathBuf, file: File, config: &Config, facts: &BTreeMap<String, String>) -> Result<Self, WriteError> {
        let disk = file.try_clone()?;
        let settings = Settings { jpeg_quality: config.jpeg_quality, ..Default::default() };
        let mut writer = Writer::new(BufWriter::new(file), settings)?;
        let mut facts = facts.clone();
        let private = if config.record_private { "recorded" } else { "left out" };
        facts.insert("private_topics".into(), private.into());
        writer.metadata(METADATA, facts)?;
        Ok(Self { path, writer, disk, kept: 0, synced: 0 })
    }

    fn write(&mut self, any: &Any, sync: bool) -> Result<(), WriteError> {
        let before = self.writer.chunks();
        self.writer.write(any)?;
        if self.writer.chunks() > before { self.chunk_ended(sync) } else { Ok(()) }
    }

    fn flush(&mut self, sync: bool) -> Result<(), WriteError> {
        if !self.writer.has_open_chunk() {
            return Ok(());
        }
        self.writer.flush()?;
        self.chunk_ended(sync)
    }

    fn chunk_ended(&mut self, sync: bool) -> Result<(), WriteError> {
        self.kept = self.writer.messages() - u64::from(self.writer.has_open_chunk());
        self.synced = self.disk.metadata()?.len();
        if sync { Ok(self.disk.sync_data()?) } else { Ok(()) }
    }

    fn is_full(&self, config: &Config) -> bool {
        config.max_file_mib > 0 && self.synced >= config.max_file_mib << 20
    }

    fn finish(self, sync: bool) -> Result<(), WriteError> {
        let file = self.writer.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        if sync { Ok(file.sync_all()?) } else { Ok(()) }
    }

    /// After an error: a file that holds nothing is only in the way; any other keeps its whole chunks.
    fn give_up(self) {
        let (path, empty) = (self.path, self.kept == 0);
        drop(self.writer);
        if empty {
            drop(fs::remove_file(path));
        }
    }
}
