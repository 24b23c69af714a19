//! The thread that writes the recording. It opens files, continues in a new one when one is full or fails, and reports
//! faults.

use crate::{
    config::Config,
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

/// The metadata record with the facts about the recording.
pub const METADATA: &str = "auriga.recorder";
/// An open chunk is written to the file when no message comes for this long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);
/// Time between two attempts to open a file.
const RETRY_PERIOD: Duration = Duration::from_secs(1);
/// Most files of one name in a folder.
const MAX_FILES: u32 = 100_000;

/// Nothing can be written.
const STOPPED: &str = "recording-stopped";

/// A change of a fault's state.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultChange {
    /// A fault that lasts until it is cleared.
    Standing(Severity, &'static str, String),
    /// A fault about a single event.
    Event(Severity, &'static str, String),
    /// The fault with this code is over.
    Cleared(&'static str),
}

/// Writes the messages of `queue` until it is closed. `facts` are added to each file's [`METADATA`]; `report` gets the
/// faults.
pub fn record(queue: &Queue, config: &Config, facts: &BTreeMap<String, String>, report: &dyn Fn(FaultChange)) {
    let mut recorder =
        Recorder { queue, config, facts, report, next: 0, continues: false, reported: Losses::default(), left_out: 0 };
    let mut open: Option<OpenFile> = None;
    loop {
        let Some(file) = &mut open else {
            open = recorder.try_open();
            if open.is_none() && queue.wait_without_file(RETRY_PERIOD) {
                return;
            }
            continue;
        };
        let result = match queue.take(IDLE_TIMEOUT) {
            Taken::Message(any) => recorder.write(file, &any),
            Taken::Idle => file.flush(config.sync),
            Taken::Closed => break,
        };
        recorder.report_losses();
        match result {
            Err(e) => {
                recorder.fail(&e);
                open.take().into_iter().for_each(OpenFile::abandon);
            }
            Ok(()) if file.is_full(config) => {
                open = recorder.finish(open);
                recorder.continues = true;
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
    report: &'a dyn Fn(FaultChange),
    /// Number of the next file.
    next: u32,
    /// The file continues a full one.
    continues: bool,
    /// The losses reported so far.
    reported: Losses,
    /// Held images without room, reported so far.
    left_out: u64,
}

impl Recorder<'_> {
    fn try_open(&mut self) -> Option<OpenFile> {
        match self.open() {
            Ok(file) => {
                self.queue.set_file_open();
                info!("recording to {}", file.path.display());
                (self.report)(FaultChange::Cleared(STOPPED));
                Some(file)
            }
            Err(e) => {
                self.fail(&e);
                None
            }
        }
    }

    fn fail(&self, e: &WriteError) {
        let text = format!("{}: {e}; the next attempt is in a second", self.config.path.display());
        (self.report)(FaultChange::Standing(Severity::Critical, STOPPED, text));
    }

    /// Creates the next file whose name is free, or replaces an existing one if so configured.
    fn open(&mut self) -> Result<OpenFile, WriteError> {
        if let Some(folder) = self.config.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let (path, file) = loop {
            let path = numbered(&self.config.path, self.next);
            let mut options = File::options();
            let created = match self.config.overwrite {
                true => options.write(true).create(true).truncate(true).open(&path),
                false => options.write(true).create_new(true).open(&path),
            };
            match created {
                Err(e) if e.kind() == ErrorKind::AlreadyExists && self.next < MAX_FILES => self.next += 1,
                other => break (path, other?),
            }
        };
        let opened = OpenFile::new(path.clone(), file, self.config, self.facts);
        match &opened {
            Ok(_) => self.next += 1,
            // A file without its first bytes is of no use.
            Err(_) => drop(fs::remove_file(&path)),
        }
        opened
    }

    fn write(&self, file: &mut OpenFile, any: &Any) -> Result<(), WriteError> {
        match file.write(any, self.config.sync) {
            Err(e) if e.is_about_one_message() => {
                (self.report)(FaultChange::Event(Severity::Warning, "recorder-image-malformed", e.to_string()));
                Ok(())
            }
            other => other,
        }
    }

    fn report_losses(&mut self) {
        let losses = self.queue.losses();
        if losses.images > self.reported.images {
            let text =
                format!("{} images dropped so far: the disk or the processor is too slow for them", losses.images);
            (self.report)(FaultChange::Event(Severity::Warning, "recorder-images-dropped", text));
        }
        if losses.messages > self.reported.messages {
            let text = format!("{} messages dropped so far: nothing could be written for too long", losses.messages);
            (self.report)(FaultChange::Event(Severity::Critical, "recorder-messages-lost", text));
        }
        let left_out = self.queue.left_out();
        if left_out > self.left_out {
            let text = format!(
                "{left_out} images of times that allowed none were left out so far: held_images_mib is too small for all"
            );
            (self.report)(FaultChange::Event(Severity::Info, "recorder-images-thinned", text));
        }
        self.left_out = left_out;
        self.reported = losses;
    }

    fn finish(&mut self, open: Option<OpenFile>) -> Option<OpenFile> {
        let file = open?;
        let path = file.path.clone();
        let messages = file.writer.messages();
        match file.finish(self.config.sync) {
            // No message came after the last full file.
            Ok(()) if messages == 0 && self.continues => drop(fs::remove_file(&path)),
            Ok(()) => info!(messages, "finished {}", path.display()),
            Err(e) => self.fail(&e),
        }
        None
    }
}

/// The files of the recording at `path` that exist, in their order: `drive.mcap`, `drive-1.mcap`, and so on.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let first = path.is_file().then(|| path.to_owned());
    let further = (1..MAX_FILES).map(|number| numbered(path, number)).take_while(|path| path.is_file());
    first.into_iter().chain(further).collect()
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
    /// A second handle to the file, to wait for the disk.
    disk: File,
    /// Messages in complete chunks.
    complete: u64,
    /// Bytes in complete chunks.
    size: u64,
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
        Ok(Self { path, writer, disk, complete: 0, size: 0 })
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
        self.complete = self.writer.messages() - u64::from(self.writer.has_open_chunk());
        self.size = self.disk.metadata()?.len();
        if sync { Ok(self.disk.sync_data()?) } else { Ok(()) }
    }

    fn is_full(&self, config: &Config) -> bool {
        config.max_file_mib > 0 && self.size >= config.max_file_mib << 20
    }

    fn finish(self, sync: bool) -> Result<(), WriteError> {
        let file = self.writer.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        if sync { Ok(file.sync_all()?) } else { Ok(()) }
    }

    /// After an error: removes a file without complete chunks; any other keeps its complete chunks.
    fn abandon(self) {
        let (path, empty) = (self.path, self.complete == 0);
        drop(self.writer);
        if empty {
            drop(fs::remove_file(path));
        }
    }
}
