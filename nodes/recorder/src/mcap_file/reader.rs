//! Reads a recording in the order of publishing, also a truncated one.

use super::{
    image,
    scan::{Damaged, ReadSeek, Scan, Section, read_section, scan},
    schema,
};
use anyhow::{Context, anyhow};
use auriga_msgs::{Any, Record, TopicId, v1};
use auriga_runtime::Nanos;
use bytes::Bytes;
use mcap::records::{self, Metadata};
use prost::Message;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque},
    fs::File,
    io::Cursor,
    path::Path,
    time::Duration,
};

/// `drive/info` is published once a second: it is searched for in this time from the start.
const DRIVE_INFO_WITHIN: Duration = Duration::from_secs(3);

/// Two runs of a drive begin further apart than this.
const SAME_RUN: Duration = Duration::from_secs(1);
/// Topics of a foreign file that are named.
const MAX_NAMED: usize = 5;

/// What is missing at the end of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Bytes at its end that do not belong to a complete record.
    pub bytes: u64,
    /// The file ends as a complete one does: its end is damaged, not missing.
    pub has_end: bool,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Loss { bytes, has_end } = self;
        match has_end {
            true => write!(f, "the recording is damaged: its last {bytes} bytes cannot be read and are left out"),
            false => write!(
                f,
                "the recording is truncated: its last {bytes} bytes are incomplete, and all that followed is missing"
            ),
        }
    }
}

/// An iterator over the messages of a recording by log time; messages of the same time come in the file's order. An
/// error is about one part of the file; the messages after it follow.
pub struct Reader {
    source: Box<dyn ReadSeek>,
    sections: Vec<Section>,
    /// For each section, the earliest log time in it and all after it.
    floors: Vec<u64>,
    next_section: usize,
    schemas: HashMap<u16, String>,
    channels: HashMap<u16, Channel>,
    /// As the summary declares them: for channels whose declaration is damaged.
    declared: HashMap<u16, Channel>,
    /// Names of channels seen so far; whether one of them is a topic of the table.
    names: BTreeSet<String>,
    has_own_topic: bool,
    /// Start of the run that is read, once known.
    run: Option<u64>,
    /// Another run has begun: nothing more is read.
    over: bool,
    waiting: BinaryHeap<Reverse<Waiting>>,
    errors: VecDeque<anyhow::Error>,
    count: u64,
    last: u64,
    loss: Option<Loss>,
    metadata: Vec<Metadata>,
    drive_info: Option<v1::DriveInfo>,
    pixels: bool,
}

/// How a channel of the file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Channel {
    Topic(TopicId),
    /// Not in the table, or with another schema than the table's (reported once).
    Ignored,
}

/// A message that has been read but is not due yet. Ordered by its first two fields, which are unique.
struct Waiting {
    time: u64,
    index: u64,
    topic: TopicId,
    data: Bytes,
}

impl Reader {
    /// Opens the recording at `path`.
    ///
    /// # Errors
    /// When the file cannot be read or is not a recording.
    pub fn open(path: impl AsRef<Path>) -> anyhow::Result<Reader> {
        let path = path.as_ref();
        let file = File::open(path).with_context(|| format!("recording {}", path.display()))?;
        Self::from_source(Box::new(file)).with_context(|| format!("recording {}", path.display()))
    }

    /// Reads a recording in memory.
    ///
    /// # Errors
    /// When the bytes are not a recording.
    pub fn from_bytes(bytes: Vec<u8>) -> anyhow::Result<Reader> {
        Self::from_source(Box::new(Cursor::new(bytes)))
    }

    fn from_source(mut source: Box<dyn ReadSeek>) -> anyhow::Result<Reader> {
        let found = scan(source.as_mut())?;
        let loss = found.truncated_bytes.map(|bytes| Loss { bytes, has_end: found.has_end });
        let Scan { sections, summary, metadata, library, profile, chunks, counted_chunks, damaged, .. } = found;
        let mut floors: Vec<u64> = sections.iter().map(|p| p.start).collect();
        for i in (1..floors.len()).rev() {
            floors[i - 1] = floors[i - 1].min(floors[i]);
        }
        let mut errors: VecDeque<anyhow::Error> = damaged.iter().map(|damaged| no_records(*damaged)).collect();
        if let Some(counted) = counted_chunks.filter(|counted| *counted != chunks && errors.is_empty()) {
            errors.push_back(anyhow!("its summary counts {counted} chunks, {chunks} were found: the file is damaged"));
        }
        let mut reader = Reader {
            source,
            sections,
            floors,
            next_section: 0,
            schemas: HashMap::new(),
            channels: HashMap::new(),
            declared: HashMap::new(),
            names: BTreeSet::new(),
            has_own_topic: false,
            run: None,
            over: false,
            waiting: BinaryHeap::new(),
            errors,
            count: 0,
            last: 0,
            loss,
            metadata,
            drive_info: None,
            pixels: true,
        };
        reader.read_summary(&summary);
        reader.find_drive_info();
        while !reader.has_own_topic && reader.next_section < reader.sections.len() {
            reader.load_section();
        }
        anyhow::ensure!(reader.has_own_topic || reader.names.is_empty(), foreign(&profile, &library, &reader.names));
        Ok(reader)
    }

    /// Leaves the pixels out of raw images, whose JPEGs take most of the reading time.
    pub fn without_pixels(self) -> Reader {
        Reader { pixels: false, ..self }
    }

    /// Whether the file is truncated, for example because the recorder was killed.
    pub fn truncated(&self) -> bool {
        self.loss.is_some()
    }

    /// What is missing at the end of a truncated file. A damaged last chunk is added when it is read.
    pub fn loss(&self) -> Option<Loss> {
        self.loss
    }

    /// The drive's description, if it is in the first seconds.
    pub fn drive_info(&self) -> Option<&v1::DriveInfo> {
        self.drive_info.as_ref()
    }

    /// A metadata record: facts about the recording as a whole.
    pub fn metadata(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        self.metadata.iter().find(|m| m.name == name).map(|m| &m.metadata)
    }

    /// Log time of the earliest message.
    pub fn start(&self) -> Option<Nanos> {
        self.sections.iter().map(|p| p.start).filter(|&s| s != u64::MAX).min().map(Nanos)
    }

    /// All messages that can be read. What is damaged or missing is left out and passed to `report`, in words.
    pub fn readable(mut self, mut report: impl FnMut(String)) -> impl Iterator<Item = (Nanos, Any)> {
        let mut said = None;
        std::iter::from_fn(move || {
            loop {
                // At first, since not everybody reads to the end; again when a damaged last chunk is added to it.
                if let Some(loss) = self.loss.filter(|loss| said != Some(*loss)) {
                    said = Some(loss);
                    report(loss.to_string());
                }
                match self.next() {
                    Some(Ok(message)) => return Some(message),
                    Some(Err(e)) => report(format!("{e:#}")),
                    None if self.loss == said => return None,
                    None => {}
                }
            }
        })
    }

    fn read_summary(&mut self, summary: &[Section]) {
        let Reader { source, declared, names, has_own_topic, .. } = self;
        let mut schemas = HashMap::new();
        for section in summary {
            // A damaged summary is not needed where the chunks are whole.
            let _ = read_section(source.as_mut(), *section, |record| match record {
                records::Record::Schema { header, .. } => drop(schemas.insert(header.id, header.name)),
                records::Record::Channel(channel) => {
                    *has_own_topic |= TopicId::by_name(&channel.topic).is_some();
                    if let Ok(kind) = channel_topic(&channel, &schemas) {
                        declared.insert(channel.id, kind);
                    }
                    names.insert(channel.topic);
                }
                _ => {}
            });
        }
    }

    fn find_drive_info(&mut self) {
        let Some(end) = self.start().map(|s| s + DRIVE_INFO_WITHIN) else { return };
        while self.floor().is_some_and(|floor| floor <= end.0) {
            self.load_section();
            let infos = self.waiting.iter().filter(|w| w.0.topic == TopicId::DriveInfo);
            if let Some(Reverse(first)) = infos.min_by_key(|w| (w.0.time, w.0.index)) {
                self.drive_info = v1::DriveInfo::decode(first.data.clone()).ok();
                return;
            }
        }
    }

    /// The earliest log time in the sections not loaded yet; `None` when all are loaded.
    fn floor(&self) -> Option<u64> {
        self.floors.get(self.next_section).copied()
    }

    /// Loads the next section of the file.
    fn load_section(&mut self) {
        let index = self.next_section;
        self.next_section += 1;
        let section = self.sections[index];
        let Reader { source, schemas, channels, declared, waiting, errors, count, names, has_own_topic, .. } = self;
        let result = read_section(source.as_mut(), section, |record| match record {
            records::Record::Schema { header, .. } => {
                schemas.insert(header.id, header.name);
            }
            records::Record::Channel(channel) => {
                let kind = channel_topic(&channel, schemas).unwrap_or_else(|e| {
                    errors.push_back(e);
                    Channel::Ignored
                });
                channels.insert(channel.id, kind);
                *has_own_topic |= TopicId::by_name(&channel.topic).is_some();
                names.insert(channel.topic);
            }
            records::Record::Message { header, data } => {
                let channel = channels.entry(header.channel_id).or_insert_with(|| {
                    declared.get(&header.channel_id).copied().unwrap_or_else(|| {
                        errors.push_back(undeclared(header.channel_id));
                        Channel::Ignored
                    })
                });
                if let Channel::Topic(topic) = *channel {
                    let data = Bytes::copy_from_slice(&data);
                    waiting.push(Reverse(Waiting { time: header.log_time, index: *count, topic, data }));
                    *count += 1;
                }
            }
            _ => {}
        });
        let Err(e) = result else { return };
        match &mut self.loss {
            // Complete in length only: its blocks were not written before the power was cut.
            Some(loss) if index + 1 == self.sections.len() => loss.bytes += section.bytes,
            _ => self.errors.push_back(damaged(section, e)),
        }
    }

    fn decode(&mut self, message: Waiting) -> anyhow::Result<(Nanos, Any)> {
        let Waiting { time, topic, data, .. } = message;
        let spec = topic.spec();
        let at = || format!("{} at {:?}", spec.name, Nanos(time));
        if time < self.last {
            let last = Nanos(self.last);
            return Err(anyhow!(
                "it is earlier than the time in its chunk's header, and {last:?} has been read; it is left out"
            ))
            .with_context(at);
        }
        self.last = time;
        let any = match spec.record {
            Record::Proto => Any::decode(topic, data).with_context(at)?,
            Record::Jpeg => {
                let stored = schema::image::CompressedImage::decode(data).with_context(at)?;
                image::restore(topic, stored, self.pixels).with_context(at)?
            }
        };
        self.check_run(&any).with_context(at)?;
        Ok((Nanos(time), any))
    }

    /// Messages of two runs in one file would be taken for one.
    fn check_run(&mut self, any: &Any) -> anyhow::Result<()> {
        let Any::DriveInfo(info) = any else { return Ok(()) };
        let start = info.start_ns;
        let first = *self.run.get_or_insert(start);
        self.over = Duration::from_nanos(first.abs_diff(start)) > SAME_RUN;
        anyhow::ensure!(
            !self.over,
            "another run begins here: it started at {:?}, the first one at {:?}; one run is read, the rest is left out",
            Nanos(start),
            Nanos(first)
        );
        Ok(())
    }
}

fn damaged(section: Section, e: mcap::McapError) -> anyhow::Error {
    let Section { offset, bytes, .. } = section;
    anyhow!(e).context(format!("the {bytes} bytes from {offset} on are damaged and left out"))
}

fn no_records(damaged: Damaged) -> anyhow::Error {
    let Damaged { offset, bytes } = damaged;
    anyhow!("the {bytes} bytes from {offset} on are damaged and left out: they are no records")
}

/// Names a file of another program.
fn foreign(profile: &str, library: &str, names: &BTreeSet<String>) -> String {
    let what = match profile {
        "ros2" => "a recording of ROS 2 (rosbag2)",
        "ros1" => "a recording of ROS 1",
        _ => "an MCAP file of another program",
    };
    let library = if library.is_empty() { String::new() } else { format!(", written by {library:?}") };
    let named: Vec<&str> = names.iter().take(MAX_NAMED).map(String::as_str).collect();
    let more = if names.len() > MAX_NAMED { ", …" } else { "" };
    format!(
        "it is {what}{library}: none of its topics ({}{more}) is one of Auriga's; expected a recording made by auriga-recorder",
        named.join(", ")
    )
}

fn undeclared(channel: u16) -> anyhow::Error {
    anyhow!("channel {channel} has messages but no declaration: the file is damaged; its messages are left out")
}

/// The topic of a channel.
fn channel_topic(channel: &records::Channel, schemas: &HashMap<u16, String>) -> anyhow::Result<Channel> {
    let readable = |topic: &TopicId| cfg!(feature = "images") || topic.spec().record != Record::Jpeg;
    let Some(topic) = TopicId::by_name(&channel.topic).filter(readable) else { return Ok(Channel::Ignored) };
    let expected = schema::name(topic.spec());
    let found = schemas.get(&channel.schema_id).map_or("no schema", String::as_str);
    anyhow::ensure!(
        channel.message_encoding == "protobuf" && found == expected,
        "{}: expected protobuf {expected}, found {} {found}; its messages are left out",
        channel.topic,
        channel.message_encoding
    );
    Ok(Channel::Topic(topic))
}

impl Iterator for Reader {
    type Item = anyhow::Result<(Nanos, Any)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.over {
                return None;
            }
            if let Some(e) = self.errors.pop_front() {
                return Some(Err(e));
            }
            let due = match (self.waiting.peek(), self.floor()) {
                (Some(Reverse(first)), Some(floor)) => first.time <= floor,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => return None,
            };
            match due.then(|| self.waiting.pop()).flatten() {
                Some(Reverse(message)) => return Some(self.decode(message)),
                None => self.load_section(),
            }
        }
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        (self.time, self.index) == (other.time, other.index)
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.time, self.index).cmp(&(other.time, other.index))
    }
}
