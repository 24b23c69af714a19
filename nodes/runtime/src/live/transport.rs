//! Zenoh sessions, publishers and subscriptions, made from the topic table.

use crate::config::RuntimeConfig;
use anyhow::{Context, anyhow};
use auriga_msgs::{Any, Criticality, NODES, NodeSpec, Priority, Reliability, TOPICS, TopicId, TopicSpec};
use bytes::Bytes;
use std::collections::HashMap;
use zenoh::{
    Session, Wait,
    bytes::ZBytes,
    pubsub::{Publisher, Subscriber},
    qos::CongestionControl,
    sample::Sample,
    shm::{GarbageCollect, PosixShmProviderBackend, ShmProvider, ShmProviderBuilder},
};

/// Every key begins with it.
const PREFIX: &str = "auriga";
/// Payloads from this size on go through shared memory on topics that ask for it.
const SHARED_FROM_BYTES: usize = 4096;

/// Messages of one priority that may wait for one peer's socket, which is all that Zenoh allows: each message is sent in
/// a batch of its own (`express`), and a burst must not be dropped before the sending thread has run.
const SEND_QUEUE: usize = 16;

/// How long a message that may be dropped waits for room in that queue, in microseconds: so much and no more may a peer
/// that does not read delay a safety node's message to the others. Once one was dropped, the next ones to that peer are
/// dropped without a wait until it reads again. Half of the shortest period of a safety topic (vehicle/state, 10 ms).
const WAIT_BEFORE_DROP_US: u64 = 5000;

/// How long a message that may not be dropped waits, in microseconds, before Zenoh closes the connection to the peer that does
/// not read: shorter than the silence after which the supervisor takes the waiting node for hung (1.5 s).
const WAIT_BEFORE_CLOSE_US: u64 = 1_000_000;

/// The Zenoh configuration of a node: a TCP listener on its own port, connections to all nodes of lower numbers, which
/// are retried for ever, and no scouting. So any node can die and come back, and nothing is found that was not configured.
///
/// # Errors
/// A configuration file that cannot be read, an endpoint that is none.
pub fn zenoh_config(runtime: &RuntimeConfig, node: NodeSpec) -> anyhow::Result<zenoh::Config> {
    let mut config = match runtime.zenoh_config.as_str() {
        "" => zenoh::Config::default(),
        path => zenoh::Config::from_file(path).map_err(|e| anyhow!("zenoh configuration {path}: {e}"))?,
    };
    let at = |port: u16| match runtime.zenoh_bind {
        std::net::IpAddr::V4(ip) => format!("tcp/{ip}:{}", runtime.zenoh_base_port + port),
        std::net::IpAddr::V6(ip) => format!("tcp/[{ip}]:{}", runtime.zenoh_base_port + port),
    };
    let mut connect: Vec<String> = NODES.iter().filter(|n| n.port < node.port).map(|n| at(n.port)).collect();
    connect.extend(runtime.zenoh_connect.iter().cloned());
    let settings = [
        ("mode", r#""peer""#.to_owned()),
        ("listen/endpoints", format!("[{:?}]", at(node.port))),
        ("connect/endpoints", format!("{connect:?}")),
        ("connect/exit_on_failure", "false".into()),
        ("connect/retry", r#"{ period_init_ms: 50, period_max_ms: 500, period_increase_factor: 1.5 }"#.into()),
        ("scouting/multicast/enabled", "false".into()),
        ("scouting/gossip/enabled", "false".into()),
        ("open/return_conditions", "{ connect_scouted: false, declares: false }".into()),
        (
            "transport/link/tx/queue/size",
            format!(
                "{{ control: {q}, real_time: {q}, interactive_high: {q}, interactive_low: {q}, data_high: {q}, data: {q}, \
                 data_low: {q}, background: {q} }}",
                q = SEND_QUEUE
            ),
        ),
        ("transport/link/tx/queue/congestion_control/drop/wait_before_drop", WAIT_BEFORE_DROP_US.to_string()),
        ("transport/link/tx/queue/congestion_control/block/wait_before_close", WAIT_BEFORE_CLOSE_US.to_string()),
    ];
    for (key, value) in settings {
        config.insert_json5(key, &value).map_err(|e| anyhow!("zenoh configuration {key}: {e}"))?;
    }
    Ok(config)
}

fn key(topic: &TopicSpec, node: &str) -> String {
    if topic.publisher == "any" {
        format!("{PREFIX}/{}/{node}", topic.name)
    } else {
        format!("{PREFIX}/{}", topic.name)
    }
}

/// Gets publisher and payload of a message.
type Deliver = Box<dyn Fn(&str, Bytes) + Send + Sync>;

/// An open session with the node's publishers. Its functions are neither async nor generic: Zenoh's code behind them is
/// then compiled once, here, and not in every executable and test.
pub struct Link {
    session: Session,
    publishers: HashMap<TopicId, Publisher<'static>>,
    shared: Option<ShmProvider<PosixShmProviderBackend>>,
    /// Images that found no room in shared memory and went by copy.
    pub shared_full: u64,
    subscribers: Vec<Subscriber<()>>,
}

impl Link {
    /// Opens the session and declares what `node` publishes.
    ///
    /// # Errors
    /// A port that is taken, a configuration file that cannot be read. Shared memory that cannot be made is no error.
    pub fn open(runtime: &RuntimeConfig, node: NodeSpec) -> anyhow::Result<Link> {
        let config = zenoh_config(runtime, node)?;
        let session = zenoh::open(config).wait().map_err(|e| {
            anyhow!(
                "opening the Zenoh session of {} (is its port {} taken?): {e}",
                node.name,
                runtime.zenoh_base_port + node.port
            )
        })?;
        let mut publishers = HashMap::new();
        let mut shares = false;
        for topic in TOPICS.iter().filter(|t| t.publisher == node.name || t.publisher == "any") {
            shares |= topic.shared_memory;
            publishers.insert(topic.id, declare(&session, topic, node)?);
        }
        let shared = match runtime.shared_memory_mib {
            0 => None,
            mib if shares => shared_memory(mib),
            _ => None,
        };
        Ok(Link { session, publishers, shared, shared_full: 0, subscribers: Vec::new() })
    }

    /// Calls `deliver` with (publisher, payload) for every message of `topic`, on Zenoh's thread: it must not wait.
    ///
    /// # Errors
    /// Zenoh's.
    pub fn subscribe(
        &mut self,
        topic: TopicId,
        deliver: impl Fn(&str, Bytes) + Send + Sync + 'static,
    ) -> anyhow::Result<()> {
        self.subscribe_boxed(topic, Box::new(deliver))
    }

    fn subscribe_boxed(&mut self, topic: TopicId, deliver: Deliver) -> anyhow::Result<()> {
        let spec = topic.spec();
        let callback = move |sample: Sample| {
            let publisher = match spec.publisher {
                "any" => sample.key_expr().as_str().rsplit('/').next().unwrap_or_default(),
                node => node,
            };
            deliver(publisher, into_bytes(sample.payload().clone()));
        };
        let subscriber = self
            .session
            .declare_subscriber(key(spec, "*"))
            .callback(callback)
            .wait()
            .map_err(|e| anyhow!("subscribing to {}: {e}", spec.name))?;
        self.subscribers.push(subscriber);
        Ok(())
    }

    /// Publishes a complete message.
    ///
    /// # Errors
    /// A topic that the table gives to another node; Zenoh's.
    pub fn publish(&mut self, any: &Any) -> anyhow::Result<()> {
        let topic = any.topic();
        let publisher =
            self.publishers.get(&topic).with_context(|| format!("{} is another node's topic", topic.spec().name))?;
        let len = any.encoded_len();
        let shared = self.shared.as_ref().filter(|_| topic.spec().shared_memory && len >= SHARED_FROM_BYTES);
        let payload = match shared.map(|s| s.alloc(len).with_policy::<GarbageCollect>().wait()) {
            Some(Ok(mut buffer)) => {
                any.encode(&mut &mut buffer[..])?;
                ZBytes::from(buffer)
            }
            other => {
                self.shared_full += u64::from(other.is_some());
                let mut buffer = Vec::with_capacity(len);
                any.encode(&mut buffer)?;
                ZBytes::from(buffer)
            }
        };
        publisher.put(payload).wait().map_err(|e| anyhow!("publishing {}: {e}", topic.spec().name))
    }

    /// Closes the session.
    pub fn close(mut self) {
        self.subscribers.clear();
        self.publishers.clear();
        if let Err(e) = self.session.close().wait() {
            tracing::debug!("closing the Zenoh session: {e}");
        }
    }
}

/// Shared memory of `mib` MiB, or as much as there may be: Zenoh locks it, and an ordinary user may lock little. `None`: all
/// images go by copy.
fn shared_memory(mib: usize) -> Option<ShmProvider<PosixShmProviderBackend>> {
    let mut refused = None;
    let sizes = std::iter::successors(Some(mib), |size| Some(size / 2)).take_while(|size| *size > 0);
    for size in sizes {
        let made = ShmProviderBuilder::default_backend(size << 20).wait();
        let why = refused.as_deref().unwrap_or_default();
        match made {
            Ok(provider) => {
                if size < mib {
                    tracing::warn!(
                        "runtime.shared_memory_mib: {size} of {mib} MiB ({why}); images that find no room go by copy. \
                         {MORE_SHARED_MEMORY}"
                    );
                }
                return Some(provider);
            }
            Err(e) => drop(refused.get_or_insert(e.to_string())),
        }
    }
    let why = refused.unwrap_or_default();
    tracing::warn!(
        "runtime.shared_memory_mib: no shared memory ({why}); all images go by copy, which takes more processor time. \
         {MORE_SHARED_MEMORY}"
    );
    None
}

/// What to do when there is too little.
const MORE_SHARED_MEMORY: &str = "Raise the limit of locked memory (ulimit -l, or LimitMEMLOCK= of a systemd unit), give the \
                                  node CAP_IPC_LOCK, or make room in /dev/shm";

fn declare(session: &Session, topic: &TopicSpec, node: NodeSpec) -> anyhow::Result<Publisher<'static>> {
    let reliability = match topic.reliability {
        Reliability::Reliable => zenoh::qos::Reliability::Reliable,
        Reliability::BestEffort => zenoh::qos::Reliability::BestEffort,
    };
    // A safety node waits for no reader: one that stops reading would hold up the node, and with it all other readers, for
    // a second, until Zenoh closes the connection. Instead that reader loses messages, which it counts by their sequence
    // numbers. All topics of such a node are alike, because all messages of a priority share one queue for each peer.
    let congestion = match topic.reliability {
        Reliability::Reliable if node.criticality != Criticality::Safety => CongestionControl::Block,
        _ => CongestionControl::Drop,
    };
    let priority = match topic.priority {
        Priority::RealTime => zenoh::qos::Priority::RealTime,
        Priority::InteractiveHigh => zenoh::qos::Priority::InteractiveHigh,
        Priority::InteractiveLow => zenoh::qos::Priority::InteractiveLow,
        Priority::Data => zenoh::qos::Priority::Data,
        Priority::Background => zenoh::qos::Priority::Background,
    };
    session
        .declare_publisher(key(topic, node.name))
        .reliability(reliability)
        .congestion_control(congestion)
        .priority(priority)
        // Latency before throughput: a message is sent, not held back for company.
        .express(true)
        .wait()
        .map_err(|e| anyhow!("declaring {}: {e}", topic.name))
}

/// The payload without a copy where it is one piece, as it is in shared memory.
fn into_bytes(payload: ZBytes) -> Bytes {
    struct Owner(ZBytes);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            self.0.slices().next().unwrap_or_default()
        }
    }
    match payload.slices().count() {
        0 => Bytes::new(),
        1 => Bytes::from_owner(Owner(payload)),
        _ => Bytes::from(payload.to_bytes().into_owned()),
    }
}
