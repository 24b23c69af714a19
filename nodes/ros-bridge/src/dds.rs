//! The DDS side: one participant, one writer for each ROS name of the table.

use crate::{
    Config, Publish,
    clock::RosClock,
    message::{CameraInfo, DiagnosticArray, Image, RosMessage, TwistStamped},
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

/// How often it is looked whether anybody reads the images.
const READERS_PERIOD: Duration = Duration::from_millis(500);

/// Why a message did not go out.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("{0} is no ROS name of the topic table")]
    NoTopic(String),
    #[error("{name} carries {expected}, not {found}; mend its type in msgs/topics.toml")]
    Type { name: String, expected: &'static str, found: &'static str },
    #[error("{name}: DDS did not take the message: {text}")]
    Dds { name: String, text: String },
}

/// An open DDS participant with a writer for each ROS name.
pub struct Bridge {
    participant: DomainParticipant,
    /// Keeps the ROS graph's entry alive.
    _node: Node,
    writers: BTreeMap<&'static str, Writer>,
    /// Topics that somebody reads, and when that was looked up.
    readers: (BTreeSet<String>, Instant),
}

enum Writer {
    Image(Publisher<Image>),
    CameraInfo(Publisher<CameraInfo>),
    TwistStamped(Publisher<TwistStamped>),
    DiagnosticArray(Publisher<DiagnosticArray>),
}

impl Bridge {
    /// Joins the domain. Call it before other threads open sockets, see [`tie_to_loopback`].
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

    /// Publishes a message with its stamp in ROS time.
    pub fn publish(&mut self, publish: Publish, clock: RosClock) -> Result<(), PublishError> {
        let Publish { ros, stamp, mut message } = publish;
        // Megabytes that nobody reads are not worth their encoding.
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
        let (readers, looked) = &mut self.readers;
        if readers.is_empty() || looked.elapsed() > READERS_PERIOD {
            let found = self.participant.discovered_readers();
            *readers = found.iter().map(|r| r.subscription_topic_data.topic_name().clone()).collect();
            *looked = Instant::now();
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
        let tied = tie_to_loopback(&before).context(
            "the DDS sockets could not be tied to loopback (it takes Linux 5.7 or CAP_NET_RAW); \
             set allow_network = true if the network may reach them",
        )?;
        // Two for discovery and two for data, of which the multicast ones may be absent.
        if tied < 2 {
            bail!("only {tied} DDS sockets were found to tie to loopback; set allow_network = true to go on without");
        }
    }
    Ok(participant)
}

/// Ties the UDP sockets that were opened since `before` to the loopback device: DDS listens on all addresses, and this
/// keeps out what comes from other machines. Returns how many there were.
fn tie_to_loopback(before: &BTreeSet<RawFd>) -> io::Result<usize> {
    let mut tied = 0;
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
            tied += 1;
        }
    }
    Ok(tied)
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

/// The table's quality of service in DDS's words.
fn qos(topic: &TopicSpec) -> QosProfile {
    let qos = QosProfile::publisher_default()
        .durability(Durability::Volatile)
        .history(History::KeepLast { depth: topic.depth });
    match topic.reliability {
        // A reader that does not keep up costs its own messages, not our time.
        Reliability::Reliable => qos.reliability_reliable(WhenFull::Fail),
        Reliability::BestEffort => qos.reliability_best_effort(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, PoisonError};

    /// One participant at a time: a test must not see the descriptors of the other come and go.
    static ALONE: Mutex<()> = Mutex::new(());

    /// A domain whose ports lie below those that the kernel gives out by itself.
    fn config() -> Config {
        let domain_id = 50 + (std::process::id() % 50) as u16;
        Config { domain_id, allow_network: false, networks: vec![], vehicle_frame: "base_link".into() }
    }

    /// The device each UDP socket within these ports is tied to.
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
    fn the_sockets_of_the_domain_hear_nothing_but_loopback() {
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
    fn a_message_of_another_type_than_the_table_gives_is_refused() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bridge = Bridge::open(&config()).unwrap();
        let ros = auriga_msgs::RosSpec { name: "/vehicle/speed", ty: "geometry_msgs/msg/TwistStamped" };
        let message = RosMessage::DiagnosticArray(Default::default());
        let publish = Publish { ros, stamp: auriga_runtime::Nanos(0), message };
        let e = bridge.publish(publish, RosClock::with_offset(0)).unwrap_err();
        assert!(e.to_string().contains("carries geometry_msgs/msg/TwistStamped"), "{e}");
    }
}
