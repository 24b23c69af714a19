//! Reads a recording in the order of publishing, also a truncated one.

use super::{
    image,
    scan::{ReadSeek, Section, read_section, scan},
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
    collections::{BTreeMap, BinaryHeap, HashMap, VecDeque},
    fs::File,
    io::Cursor,
    path::Path,
    time::Duration,
};

/// `drive/info` is published once a second: it is searched for in this time from the start.
const DRIVE_INFO_WITHIN: Duration = Duration::from_secs(3);

/// What is missing in a truncated file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Bytes at its end that do not belong to a complete record.
    pub bytes: u64,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Loss { bytes } = self;
        write!(f, "the recording is truncated: its last {bytes} bytes are incomplete, and all that followed is missing")
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
    waiting: BinaryHeap<Reverse<Waiting>>,
    errors: VecDeque<anyhow::Error>,
    count: u64,
    last: u64,
    loss: Option<Loss>,
    metadata: Vec<Metadata>,
    drive_info: Option<v1::DriveInfo>,
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
        let mut floors: Vec<u64> = found.sections.iter().map(|p| p.start).collect();
        for i in (1..floors.len()).rev() {
            floors[i - 1] = floors[i - 1].min(floors[i]);
        }
        let mut reader = Reader {
            source,
            sections: found.sections,
            floors,
            next_section: 0,
            schemas: HashMap::new(),
            channels: HashMap::new(),
            waiting: BinaryHeap::new(),
            errors: found.unknown.iter().map(|&(at, kind)| unknown_record(at, kind)).collect(),
            count: 0,
            last: 0,
            loss: found.truncated_bytes.map(|bytes| Loss { bytes }),
            metadata: found.metadata,
            drive_info: None,
        };
        reader.find_drive_info();
        Ok(reader)
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
        let Reader { source, schemas, channels, waiting, errors, count, .. } = self;
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
            }
            records::Record::Message { header, data } => {
                let channel = channels.entry(header.channel_id).or_insert_with(|| {
                    errors.push_back(undeclared(header.channel_id));
                    Channel::Ignored
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
                image::restore(topic, stored).with_context(at)?
            }
        };
        Ok((Nanos(time), any))
    }
}

fn damaged(section: Section, e: mcap::McapError) -> anyhow::Error {
    let Section { offset, bytes, .. } = section;
    anyhow!(e).context(format!("the {bytes} bytes from {offset} on are damaged and left out"))
}

fn unknown_record(at: u64, kind: u8) -> anyhow::Error {
    anyhow!("at byte {at} there is a record with the reserved opcode {kind:#04x}: the file is damaged there")
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
