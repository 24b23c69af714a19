//! Writes a recording.

use super::{
    image::{self, ImageError},
    schema,
};
use auriga_msgs::{Any, Record, TOPICS, TopicId, TopicSpec};
use mcap::{
    WriteOptions,
    records::{MessageHeader, Metadata},
};
use prost::Message;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Seek, Write},
    path::Path,
    time::Duration,
};

/// A chunk ends when it holds this much, before compression.
pub const CHUNK_BYTES: usize = 4 << 20;
/// A chunk ends before a message published this much after its first.
pub const CHUNK_DURATION: Duration = Duration::from_secs(1);

/// How a recording is written.
#[derive(Debug, Clone)]
pub struct Settings {
    /// JPEG quality of raw images, 1 to 100.
    pub jpeg_quality: u8,
    /// Replace an existing file; else an existing file is an error.
    pub overwrite: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { jpeg_quality: 90, overwrite: true }
    }
}

/// Why a message was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The message is left out; the file accepts further messages.
    #[error("{topic}: a message is left out of the recording: {source}")]
    Image {
        /// The message's topic.
        topic: &'static str,
        /// What is wrong with the image.
        source: ImageError,
    },
    /// Nothing more can be written to this file.
    #[error("writing the recording: {0}; is there room on the disk?")]
    Mcap(#[from] mcap::McapError),
    /// Nothing more can be written to this file.
    #[error("writing the recording: {0}; is there room on the disk?")]
    Io(#[from] std::io::Error),
}

impl WriteError {
    /// Whether the file accepts further messages.
    pub fn is_about_one_message(&self) -> bool {
        matches!(self, WriteError::Image { .. })
    }
}

/// Writes a recording. Dropping it finishes the file without reporting errors; [`Writer::finish`] reports them.
pub struct Writer<W: Write + Seek = BufWriter<File>> {
    mcap: mcap::Writer<W>,
    settings: Settings,
    /// By [`TopicId`]: the channel, once declared.
    channels: Vec<Option<u16>>,
    /// Publishing time of the first message of the open chunk.
    chunk_start: Option<u64>,
    chunk_bytes: usize,
    chunks: u64,
    messages: u64,
    encoded: Vec<u8>,
}

impl Writer {
    /// Writes to `path`; an existing file is replaced.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: impl AsRef<Path>) -> Result<Writer, WriteError> {
        Self::create_with(path, Settings::default())
    }

    /// Writes to `path`.
    ///
    /// # Errors
    /// When the file cannot be created, or exists and is not to be replaced.
    pub fn create_with(path: impl AsRef<Path>, settings: Settings) -> Result<Writer, WriteError> {
        let mut options = File::options();
        options.write(true);
        let file = if settings.overwrite {
            options.create(true).truncate(true).open(path)?
        } else {
            options.create_new(true).open(path)?
        };
        Self::new(BufWriter::new(file), settings)
    }
}

impl<W: Write + Seek> Writer<W> {
    /// Writes to any seekable stream.
    ///
    /// # Errors
    /// When the stream cannot be written.
    pub fn new(stream: W, settings: Settings) -> Result<Self, WriteError> {
        let options = WriteOptions::new()
            .profile("")
            .library(concat!("auriga ", env!("CARGO_PKG_VERSION")))
            // Chunks end by the rule above and are written at once: an incomplete chunk cannot be read.
            .chunk_size(None)
            .disable_seeking(true)
            // In the caller's thread: deterministic, and counted as the recorder's processor time.
            .compression_threads(0);
        let mut mcap = options.create(stream)?;
        // The magic is written at once: a recorder killed in its first second leaves a valid empty recording.
        mcap.flush()?;
        let channels = vec![None; TOPICS.len()];
        Ok(Self {
            mcap,
            settings,
            channels,
            chunk_start: None,
            chunk_bytes: 0,
            chunks: 0,
            messages: 0,
            encoded: Vec::new(),
        })
    }

    /// Adds a message. Its header must be complete: the log time is its time of publishing.
    ///
    /// # Errors
    /// When the message is left out, see [`WriteError::is_about_one_message`], or nothing can be written.
    pub fn write(&mut self, any: &Any) -> Result<(), WriteError> {
        let topic = any.topic();
        let spec = topic.spec();
        self.encode(any).map_err(|source| WriteError::Image { topic: spec.name, source })?;
        let header = any.header();
        let start = *self.chunk_start.get_or_insert(header.published_ns);
        if header.published_ns.abs_diff(start) >= CHUNK_DURATION.as_nanos() as u64 {
            self.flush()?;
            self.chunk_start = Some(header.published_ns);
        }
        let channel_id = self.channel(topic)?;
        let message = MessageHeader {
            channel_id,
            sequence: header.seq as u32,
            log_time: header.published_ns,
            publish_time: header.stamp_ns,
        };
        self.mcap.write_to_known_channel(&message, &self.encoded)?;
        self.messages += 1;
        self.chunk_bytes += self.encoded.len();
        if self.chunk_bytes >= CHUNK_BYTES { self.flush() } else { Ok(()) }
    }

    /// Adds a metadata record: facts about the recording as a whole.
    ///
    /// # Errors
    /// When nothing can be written.
    pub fn metadata(&mut self, name: &str, facts: BTreeMap<String, String>) -> Result<(), WriteError> {
        self.mcap.write_metadata(&Metadata { name: name.into(), metadata: facts })?;
        self.flush()
    }

    /// Ends the chunk and writes it to the stream.
    ///
    /// # Errors
    /// When nothing can be written.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.chunks += u64::from(self.chunk_start.take().is_some());
        self.chunk_bytes = 0;
        Ok(self.mcap.flush()?)
    }

    /// Whether there are messages in an open chunk.
    pub fn has_open_chunk(&self) -> bool {
        self.chunk_start.is_some()
    }

    /// Complete chunks with messages in the stream.
    pub fn chunks(&self) -> u64 {
        self.chunks
    }

    /// Messages written.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Writes the summary and returns the stream.
    ///
    /// # Errors
    /// When nothing can be written.
    pub fn finish(mut self) -> Result<W, WriteError> {
        self.mcap.finish()?;
        let mut stream = self.mcap.into_inner();
        stream.flush()?;
        Ok(stream)
    }

    /// Encodes the message to store into `self.encoded`.
    fn encode(&mut self, any: &Any) -> Result<(), ImageError> {
        self.encoded.clear();
        let stored = match any.topic().spec().record {
            Record::Proto => None,
            Record::Jpeg => image::store(any, self.settings.jpeg_quality)?,
        };
        // A Vec grows: encoding into it cannot fail.
        let result = match stored {
            Some(image) => image.encode(&mut self.encoded),
            None => any.encode(&mut self.encoded),
        };
        debug_assert!(result.is_ok());
        Ok(())
    }

    fn channel(&mut self, topic: TopicId) -> Result<u16, WriteError> {
        if let Some(id) = self.channels[topic as usize] {
            return Ok(id);
        }
        let spec = topic.spec();
        let schema = self.mcap.add_schema(&schema::name(spec), "protobuf", &schema::data(spec))?;
        // In the table's order, whichever topic is first.
        let id = topic as u16 + 1;
        self.mcap.add_channel_with_id(id, schema, spec.name, "protobuf", &channel_metadata(spec))?;
        self.channels[topic as usize] = Some(id);
        Ok(id)
    }
}

fn channel_metadata(spec: &TopicSpec) -> BTreeMap<String, String> {
    let facts = [
        ("publisher", spec.publisher.to_owned()),
        ("criticality", format!("{:?}", spec.criticality).to_lowercase()),
        (
            "reliability",
            if spec.reliability == auriga_msgs::Reliability::Reliable { "reliable" } else { "best_effort" }.into(),
        ),
        ("rate_hz", spec.rate_hz.to_string()),
        ("private", spec.private.to_string()),
        ("message", format!("auriga.v1.{}", spec.message)),
    ];
    facts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
