//! The messages (protobuf) and the one table of topics (`topics.toml`), turned into types by the build script:
//!
//! * [`v1`]: the messages; every one that travels begins with a [`v1::Header`] ([`Stamped`]).
//! * [`TopicId`], [`TOPICS`]: the table's rows. [`topic`]: a type for each, so that publishing the wrong message, or
//!   from the wrong node, does not compile ([`PublishedBy`]).
//! * [`node`]: a type for each node and an input enum with exactly the topics it reads, so that a node which forgets
//!   one does not compile.
//! * [`CHAINS`]: the end-to-end budgets.
//!
//! ```
//! use auriga_msgs::{Any, TOPICS, TopicId, v1};
//! let state = v1::VehicleState { speed_mps: Some(13.9), ..Default::default() };
//! let any = Any::VehicleState(state.into());
//! let mut bytes = Vec::new();
//! any.encode(&mut bytes)?;
//! assert_eq!(Any::decode(TopicId::VehicleState, bytes.into())?, any);
//! assert_eq!(TOPICS[any.topic() as usize].name, "vehicle/state");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod table;
pub use table::{Criticality, Edge, Priority, Record, Reliability};

/// Messages of package `auriga.v1`.
#[allow(missing_docs)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/auriga.v1.rs"));
}
include!(concat!(env!("OUT_DIR"), "/topics.rs"));

/// The protobuf `FileDescriptorSet` of all messages: the schema data of recordings.
pub static DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// A row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicSpec {
    pub id: TopicId,
    pub name: &'static str,
    /// Message name within `auriga.v1`.
    pub message: &'static str,
    /// A node's name, `any` or `device`.
    pub publisher: &'static str,
    pub subscribers: &'static [&'static str],
    pub criticality: Criticality,
    pub rate_hz: f64,
    pub timeout_ms: Option<u64>,
    pub reliability: Reliability,
    /// Length of a reader's queue, in messages.
    pub depth: usize,
    pub priority: Priority,
    pub shared_memory: bool,
    pub private: bool,
    pub record: Record,
    /// In replay of a recording: the device topic it stands for; `Some("")` plays it as it is, `None` leaves it out.
    pub replay_as: Option<&'static str>,
    pub ros: Option<RosSpec>,
}

impl TopicSpec {
    /// From a node's shell to its own state machine: never on the wire.
    pub fn is_device(&self) -> bool {
        self.publisher == "device"
    }
}

/// The ROS 2 side of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RosSpec {
    pub name: &'static str,
    pub ty: &'static str,
}

/// A node of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeSpec {
    pub name: &'static str,
    pub criticality: Criticality,
    /// Its Zenoh listener is the base port plus this.
    pub port: u16,
    pub reads: &'static [TopicId],
}

/// An end-to-end budget: from the stamp of `to` (or from the message of `from` with the same trace) to its publishing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChainSpec {
    pub name: &'static str,
    pub to: TopicId,
    pub from: Option<TopicId>,
    pub from_edge: Edge,
    /// Counts only what was caused by this topic, told from the trace id.
    pub source: Option<TopicId>,
    pub budget_ms: f64,
    pub criticality: Criticality,
}

/// A type that stands for a topic.
pub trait Topic: 'static {
    type Message: Stamped;
    const ID: TopicId;
    fn wrap(message: std::sync::Arc<Self::Message>) -> Any;
}

/// Implemented for the topics that node `N` may publish.
pub trait PublishedBy<N>: Topic {}

/// A type that stands for a node.
pub trait NodeName: Send + 'static {
    const SPEC: NodeSpec;
    /// One variant for each topic it reads.
    type Input: FromAny + Send;
}

/// The part of [`Any`] a node reads.
pub trait FromAny: Sized {
    /// `None` for a topic the node does not read.
    fn from_any(any: Any) -> Option<Self>;
}

/// A message with a header.
pub trait Stamped: prost::Message + Default + Clone + Send + Sync + 'static {
    fn header_slot(&mut self) -> &mut Option<v1::Header>;
    fn header_opt(&self) -> Option<&v1::Header>;
    /// The header; zeros when the sender left it out.
    fn header_copy(&self) -> v1::Header {
        self.header_opt().copied().unwrap_or_default()
    }
}

impl TopicId {
    /// Its row.
    pub fn spec(self) -> &'static TopicSpec {
        &TOPICS[self as usize]
    }
    /// The topic of this name.
    pub fn by_name(name: &str) -> Option<TopicId> {
        TOPICS.iter().find(|t| t.name == name).map(|t| t.id)
    }
}

impl v1::Header {
    /// A header for content measured at `stamp_ns`, caused by `trace_id`; the runtime fills in the rest.
    pub fn new(stamp_ns: u64, trace_id: u64) -> Self {
        Self { stamp_ns, trace_id, ..Default::default() }
    }
    /// A new trace that begins at `topic`: the topic in the upper 16 bits, a count of the source's own in the rest.
    pub fn trace(topic: TopicId, count: u64) -> u64 {
        ((topic as u64 + 1) << 48) | (count & 0xffff_ffff_ffff)
    }
    /// The topic at which this header's trace began.
    pub fn source(&self) -> Option<TopicId> {
        let index = (self.trace_id >> 48).checked_sub(1)?;
        TOPICS.get(index as usize).map(|t| t.id)
    }
}
