//! The messages (protobuf) and the table of topics (`topics.toml`). The build script turns both into types.
//!
//! | item | holds |
//! | --- | --- |
//! | [`v1`] | the messages; every one that travels begins with a [`v1::Header`] ([`Stamped`]) |
//! | [`TopicId`], [`TOPICS`] | the rows of the table |
//! | [`topic`] | a type for each topic: publishing another message, or from another node, does not compile ([`PublishedBy`]) |
//! | [`node`], [`NODES`] | a type for each node, with an enum of exactly the topics it reads: a node that forgets one does not compile |
//! | [`Any`] | a message together with its topic |
//! | [`CHAINS`] | the end-to-end budgets |
//! | [`table`] | the table as it is read and checked |
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

#![deny(missing_docs)]

mod names;
pub mod sentence;
pub mod table;
pub use table::{Criticality, Edge, Priority, Record, Reliability};

/// Messages of package `auriga.v1`; `proto/auriga/v1/*.proto` documents them.
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/auriga.v1.rs"));
}
include!(concat!(env!("OUT_DIR"), "/topics.rs"));

/// The protobuf `FileDescriptorSet` of all messages: the schema data of recordings.
pub static DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// A row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicSpec {
    /// Its place in [`TOPICS`].
    pub id: TopicId,
    /// E.g. `vehicle/state`.
    pub name: &'static str,
    /// Message name within `auriga.v1`.
    pub message: &'static str,
    /// A node's name, `any` or `device`.
    pub publisher: &'static str,
    /// The nodes that read it, besides those that read everything.
    pub subscribers: &'static [&'static str],
    /// The class of what it carries.
    pub criticality: Criticality,
    /// Usual rate.
    pub rate_hz: f64,
    /// Silence that is a fault; `None`: any silence is normal.
    pub timeout_ms: Option<u64>,
    /// Age from which a message is not handed to its reader, in ms; `None`: at any age. Counted from its publishing; of a
    /// device topic from its stamp.
    pub validity_ms: Option<u64>,
    /// What happens when a reader's queue is full.
    pub reliability: Reliability,
    /// Length of a reader's queue, in messages.
    pub depth: usize,
    /// Of its messages on the wire.
    pub priority: Priority,
    /// Large payloads go through shared memory.
    pub shared_memory: bool,
    /// Holds what is said or heard in the cabin.
    pub private: bool,
    /// How the recorder writes it.
    pub record: Record,
    /// In replay of a recording: the device topic it stands for; `Some("")` plays it as it is, `None` leaves it out.
    pub replay_as: Option<&'static str>,
    /// Its ROS 2 side.
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
    /// The ROS 2 topic.
    pub name: &'static str,
    /// The ROS 2 message type, e.g. `sensor_msgs/msg/Image`.
    pub ty: &'static str,
}

/// A node of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeSpec {
    /// In kebab case.
    pub name: &'static str,
    /// The class of its work.
    pub criticality: Criticality,
    /// Its Zenoh listener is the base port plus this.
    pub port: u16,
    /// Time from its start until it is up, in seconds.
    pub start_limit_s: u32,
    /// Also takes messages that are past their validity: it only stores or measures them.
    pub keeps_stale: bool,
    /// The topics it reads, its device topics included.
    pub reads: &'static [TopicId],
}

/// An end-to-end budget: from the stamp of `to` (or from the message of `from` with the same trace) to its publishing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChainSpec {
    /// In kebab case.
    pub name: &'static str,
    /// The topic whose publishing ends it.
    pub to: TopicId,
    /// The topic it starts at; `None`: at the stamp of `to`.
    pub from: Option<TopicId>,
    /// At which time of the message of `from` it starts.
    pub from_edge: Edge,
    /// Counts only what was caused by this topic, as the trace id says.
    pub source: Option<TopicId>,
    /// What is allowed at the 99.9th percentile.
    pub budget_ms: f64,
    /// The class of its deadline.
    pub criticality: Criticality,
}

/// A type that stands for a topic.
pub trait Topic: 'static {
    /// Its message.
    type Message: Stamped;
    /// Its row.
    const ID: TopicId;
    /// A message of the topic together with it.
    fn wrap(message: std::sync::Arc<Self::Message>) -> Any;
}

/// Implemented for the topics that node `N` may publish.
pub trait PublishedBy<N>: Topic {}

/// A type that stands for a node.
pub trait NodeName: Send + 'static {
    /// Its row.
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
    /// The header to fill in.
    fn header_slot(&mut self) -> &mut Option<v1::Header>;
    /// The header; `None` when the sender left it out.
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

impl v1::Fault {
    /// Whether the fault is on after this message: all but a cleared one. Messages of recordings made before faults had
    /// a state count as raised.
    pub fn is_active(&self) -> bool {
        self.state() != v1::FaultState::Cleared
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
