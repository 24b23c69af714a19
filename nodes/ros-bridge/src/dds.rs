//! DDS: one participant, with a writer for each ROS name of the topic table.

use crate::{
    clock::RosClock,
    config::Config,
    message::{CameraInfo, DiagnosticArray, Image, RosMessage, TwistStamped},
    node::Publish,
};
use anyhow::{Context as _, anyhow, bail};
use auriga_msgs::{Reliability, TOPICS, TopicSpec};
use ros2_client::{
    Context, MessageTypeName, Name, Node, NodeName, NodeOptions, Publisher, QosProfile,
    dds::rustdds::{DomainParticipant, DomainParticipantBuilder},
    qos::{Durability, History, WhenFull},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::{IpAddr, Ipv4Addr},
    os::fd::{BorrowedFd, RawFd},
    time::{Duration, Instant},
};
use tracing::info;

/// How often the list of readers is updated.
const READERS_PERIOD: Duration = Duration::from_millis(500);

/// Why a message was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// There is no writer for the name.
    #[error("{0} is no ROS name of the topic table")]
    NoTopic(String),
    /// The message is not of the topic's type.
    #[error("{name} carries {expected}, not {found}; correct its type in msgs/topics.toml")]
    Type {
        /// ROS name of the topic.
        name: String,
        /// ROS type of the topic.
        expected: &'static str,
        /// ROS type of the message.
        found: &'static str,
    },
    /// DDS refused the message.
    #[error("{name}: DDS refused the message: {text}")]
    Dds {
        /// ROS name of the topic.
        name: String,
        /// What DDS reported.
        text: String,
    },
}

/// An open DDS participant with a writer for each ROS name.
pub struct Bridge {
    participant: DomainParticipant,
    /// Keeps the ROS graph's entry alive.
    _node: Node,
    writers: BTreeMap<&'static str, Writer>,
    /// DDS topics with a reader, and when the list was updated.
    readers: (BTreeSet<String>, Instant),
}

enum Writer {
    Image(Publisher<Image>),
    CameraInfo(Publisher<CameraInfo>),
    TwistStamped(Publisher<TwistStamped>),
    DiagnosticArray(Publisher<DiagnosticArray>),
}

impl Bridge {
    /// Joins the domain. It must be called before other threads open sockets: without `allow_network` all sockets opened
    /// meanwhile are bound to loopback.
    ///
    /// # Errors
    /// When DDS cannot join the domain, or its sockets cannot be bound to loopback.
    pub fn open(config: &Config) -> anyhow::Result<Bridge> {
        let participant = participant(config)?;
        let context = Context::from_domain_participant(participant.clone())
            .map_err(|e| anyhow!("DDS domain {}: {e:?}", config.domain_id))?;
        let name = NodeName::new("/auriga", "bridge").map_err(|e| anyhow!("the node's ROS name: {e:?}"))?;
        let options = NodeOptions::new().enable_rosout(false).start_parameter_services(false);
        let mut node = context.new_node(name, options).map_err(|e| anyhow!("the ROS node: {e:?}"))?;
        let mut writers = BTreeMap::new();
        for topic in TOPICS {
            let Some(ros) = topic.ros else { continue };
            if !writers.contains_key(ros.name) {
                let writer = writer(&mut node, topic, ros.name, ros.ty);
                writers.insert(ros.name, writer.with_context(|| format!("ROS topic {} {}", ros.name, ros.ty))?);
            }
        }
        let scope = if config.allow_network { "the network can read it" } else { "loopback only" };
        info!(domain = config.domain_id, topics = writers.len(), "in the DDS domain; {scope}");
        Ok(Bridge { participant, _node: node, writers, readers: (BTreeSet::new(), Instant::now()) })
    }

    /// Publishes a message with its stamp in ROS time. An image without a reader is not published.
    ///
    /// # Errors
    /// When the topic or its type does not match the topic table, or DDS refuses the message.
    pub fn publish(&mut self, publish: Publish, clock: RosClock) -> Result<(), PublishError> {
        let Publish { ros, stamp, mut message } = publish;
        // Images are large: they are encoded only for a reader.
        if matches!(message, RosMessage::Image(_)) && !self.has_reader(ros.name) {
            return Ok(());
        }
        message.header_mut().stamp = clock.at(stamp);
        let found = message.type_name();
        let dds = |text: String| PublishError::Dds { name: ros.name.into(), text };
        let send = match (self.writers.get(ros.name), message) {
            (Some(Writer::Image(w)), RosMessage::Image(m)) => w.publish(m).map_err(|e| format!("{e:?}")),
            (Some(Writer::CameraInfo(w)), RosMessage::CameraInfo(m)) => w.publish(*m).map_err(|e| format!("{e:?}")),
            (Some(Writer::TwistStamped(w)), RosMessage::TwistStamped(m)) => w.publish(m).map_err(|e| format!("{e:?}")),
            (Some(Writer::DiagnosticArray(w)), RosMessage::DiagnosticArray(m)) => {
                w.publish(m).map_err(|e| format!("{e:?}"))
            }
            (Some(_), _) => return Err(PublishError::Type { name: ros.name.into(), expected: ros.ty, found }),
            (None, _) => return Err(PublishError::NoTopic(ros.name.into())),
        };
        send.map_err(dds)
    }

    fn has_reader(&mut self, ros_name: &str) -> bool {
        let (readers, updated) = &mut self.readers;
        if readers.is_empty() || updated.elapsed() > READERS_PERIOD {
            let found = self.participant.discovered_readers();
            *readers = found.iter().map(|r| r.subscription_topic_data.topic_name().clone()).collect();
            *updated = Instant::now();
        }
        readers.contains(&format!("rt{ros_name}"))
    }
}

fn participant(config: &Config) -> anyhow::Result<DomainParticipant> {
    let before = open_files()?;
    let mut builder = DomainParticipantBuilder::new(config.domain_id);
    if !config.allow_network {
        builder = builder.with_only_networks([IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    } else if !config.networks.is_empty() {
        builder = builder.with_only_networks(config.networks.iter().copied());
    }
    let participant = builder.build().map_err(|e| anyhow!("DDS domain {}: {e:?}", config.domain_id))?;
    if !config.allow_network {
        let bound = bind_to_loopback(&before).context(
            "the DDS sockets could not be bound to loopback (it takes Linux 5.7 or CAP_NET_RAW); \
             set allow_network = true if the network may reach them",
        )?;
        // Two for discovery and two for data, of which the multicast ones may be absent.
        if bound < 2 {
            bail!(
                "only {bound} DDS sockets were found to bind to loopback; set allow_network = true to continue without"
            );
        }
    }
    Ok(participant)
}

/// Binds the UDP sockets that were opened since `before` to the loopback device: DDS listens on all addresses, and this
/// keeps out packets from other machines. Returns the number of these sockets.
fn bind_to_loopback(before: &BTreeSet<RawFd>) -> io::Result<usize> {
    let mut bound = 0;
    for fd in open_files()?.difference(before) {
        let target = fs::read_link(format!("/proc/self/fd/{fd}"));
        if !target.is_ok_and(|t| t.to_string_lossy().starts_with("socket:")) {
            continue;
        }
        // SAFETY: the descriptor was open a moment ago and belongs to the participant, which keeps its sockets for as
        // long as it lives; the borrow ends before this function returns.
        let socket = unsafe { BorrowedFd::borrow_raw(*fd) };
        let socket = socket2::SockRef::from(&socket);
        let is_ip = socket.domain().is_ok_and(|d| d == socket2::Domain::IPV4 || d == socket2::Domain::IPV6);
        if is_ip && socket.r#type()? == socket2::Type::DGRAM {
            socket.bind_device(Some(b"lo"))?;
            bound += 1;
        }
    }
    Ok(bound)
}

fn open_files() -> io::Result<BTreeSet<RawFd>> {
    let entries = fs::read_dir("/proc/self/fd")?;
    Ok(entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect())
}

fn writer(node: &mut Node, topic: &TopicSpec, name: &'static str, ty: &str) -> anyhow::Result<Writer> {
    Ok(match ty {
        "sensor_msgs/msg/Image" => Writer::Image(publisher(node, topic, name, ty)?),
        "sensor_msgs/msg/CameraInfo" => Writer::CameraInfo(publisher(node, topic, name, ty)?),
        "geometry_msgs/msg/TwistStamped" => Writer::TwistStamped(publisher(node, topic, name, ty)?),
        "diagnostic_msgs/msg/DiagnosticArray" => Writer::DiagnosticArray(publisher(node, topic, name, ty)?),
        _ => bail!("the bridge does not know this type"),
    })
}

fn publisher<M: Serialize>(
    node: &mut Node,
    topic: &TopicSpec,
    name: &'static str,
    ty: &str,
) -> anyhow::Result<Publisher<M>> {
    let (package, ty) = ty.split_once("/msg/").context("expected package/msg/Type")?;
    let name = Name::parse(name).map_err(|e| anyhow!("the name: {e:?}"))?;
    let qos = qos(topic);
    let topic = node
        .create_topic(&name, MessageTypeName::new(package, ty), &qos)
        .map_err(|e| anyhow!("the DDS topic: {e:?}"))?;
    node.create_publisher(&topic, Some(qos)).map_err(|e| anyhow!("the DDS writer: {e:?}"))
}

/// The quality of service of the topic table as a DDS profile.
fn qos(topic: &TopicSpec) -> QosProfile {
    let qos = QosProfile::publisher_default()
        .durability(Durability::Volatile)
        .history(History::KeepLast { depth: topic.depth });
    match topic.reliability {
        // A slow reader loses messages; it does not block the writer.
        Reliability::Reliable => qos.reliability_reliable(WhenFull::Fail),
        Reliability::BestEffort => qos.reliability_best_effort(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, PoisonError};

    /// One participant at a time: a test must not see the descriptors of the other.
    static ALONE: Mutex<()> = Mutex::new(());

    /// A domain whose ports are below the kernel's ephemeral ports.
    fn config() -> Config {
        let domain_id = 50 + (std::process::id() % 50) as u16;
        Config { domain_id, allow_network: false, networks: vec![], vehicle_frame: "base_link".into() }
    }

    /// The device to which each UDP socket with one of these ports is bound.
    fn devices(ports: std::ops::Range<u16>) -> Vec<Option<Vec<u8>>> {
        let mut devices = Vec::new();
        for fd in open_files().unwrap() {
            // SAFETY: the tests run one at a time, so none of these is closed meanwhile; a bad one gives an error.
            let socket = unsafe { BorrowedFd::borrow_raw(fd) };
            let socket = socket2::SockRef::from(&socket);
            let address = socket.local_addr().ok().and_then(|a| a.as_socket());
            if address.is_some_and(|a| ports.contains(&a.port())) {
                devices.push(socket.device().unwrap());
            }
        }
        devices
    }

    #[test]
    fn the_sockets_of_the_domain_are_bound_to_loopback() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        // RTPS 2.5, 9.6.2.3: 250 ports for each domain, from 7400 on.
        let first = 7400 + 250 * config().domain_id;
        let bridge = Bridge::open(&config()).unwrap();
        let devices = devices(first..first + 250);
        assert!(devices.len() >= 2, "{} sockets", devices.len());
        assert!(devices.iter().all(|d| d.as_deref() == Some(b"lo")), "{devices:?}");
        drop(bridge);
    }

    #[test]
    fn a_message_of_the_wrong_type_is_refused() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bridge = Bridge::open(&config()).unwrap();
        let ros = auriga_msgs::RosSpec { name: "/vehicle/speed", ty: "geometry_msgs/msg/TwistStamped" };
        let message = RosMessage::DiagnosticArray(Default::default());
        let publish = Publish { ros, stamp: auriga_runtime::Nanos(0), message };
        let e = bridge.publish(publish, RosClock::with_offset(0)).unwrap_err();
        assert!(e.to_string().contains("carries geometry_msgs/msg/TwistStamped"), "{e}");
    }
}
