//! The wire: real Zenoh sessions on loopback between nodes of the table.

use auriga_msgs::{Any, NodeName, NodeSpec, Stamped, TopicId, node, v1};
use auriga_runtime::{config::RuntimeConfig, transport::Link};
use bytes::Bytes;
use std::{
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

/// Time a message may take on a busy machine before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ports that are free now: the table's nodes take the base port plus their number.
fn runtime_config() -> RuntimeConfig {
    let highest = auriga_msgs::NODES.iter().map(|n| n.port).max().unwrap_or_default();
    let free = |base: &u16| (1..=highest).all(|p| TcpListener::bind(("127.0.0.1", base + p)).is_ok());
    // The tests of this file run at once: each looks among its own.
    static TEST: AtomicU16 = AtomicU16::new(0);
    let start = 20_000 + TEST.fetch_add(1, Ordering::Relaxed) * 2_000 + (std::process::id() % 40) as u16 * 50;
    let base = (start..60_000).step_by(50).find(free).expect("free ports");
    RuntimeConfig { zenoh_base_port: base, ..Default::default() }
}

/// Sessions of nodes that find each other.
struct Network {
    runtime: RuntimeConfig,
}

/// Publisher and payload of the messages that a reader gets.
type Received = mpsc::Receiver<(String, Bytes)>;

impl Network {
    fn new(runtime: RuntimeConfig) -> Self {
        Self { runtime }
    }

    fn open(&self, node: NodeSpec) -> Link {
        Link::open(&self.runtime, node).expect("a session")
    }

    /// A session that reads `topic`. `after` runs on Zenoh's thread after each message.
    fn reader_with(
        &self,
        node: NodeSpec,
        topic: TopicId,
        after: impl Fn() + Send + Sync + 'static,
    ) -> (Link, Received) {
        let (deliver, received) = mpsc::channel();
        let mut link = self.open(node);
        let subscribe = link.subscribe(topic, move |publisher, payload| {
            // The test may be over: then nobody listens.
            let _ = deliver.send((publisher.to_owned(), payload));
            after();
        });
        subscribe.expect("a subscription");
        (link, received)
    }

    fn reader(&self, node: NodeSpec, topic: TopicId) -> (Link, Received) {
        self.reader_with(node, topic, || ())
    }

    fn close(&self, links: impl IntoIterator<Item = Link>) {
        links.into_iter().for_each(Link::close);
    }
}

fn image(bytes: usize, seq: u64) -> Any {
    let data: Vec<u8> = (0..bytes).map(|i| (i as u64 + seq) as u8).collect();
    Any::CameraFrontImage(Arc::new(v1::Image {
        header: Some(v1::Header { seq, ..v1::Header::new(1, 2) }),
        data: data.into(),
        ..Default::default()
    }))
}

/// Publishes until the reader has got one: sessions find each other in their own time.
fn until_connected(link: &mut Link, message: &Any, received: &Received) -> (String, Bytes) {
    let start = Instant::now();
    loop {
        link.publish(message).expect("a topic of this node");
        if let Ok(got) = received.recv_timeout(Duration::from_millis(50)) {
            return got;
        }
        assert!(start.elapsed() < PATIENCE, "nothing arrived");
    }
}

fn fault(node: &str, seq: u64, text_bytes: usize) -> Any {
    let header = Some(v1::Header { seq, ..v1::Header::new(7, 0) });
    Any::Fault(Arc::new(v1::Fault { header, node: node.into(), text: "x".repeat(text_bytes), ..Default::default() }))
}

#[test]
fn messages_arrive_complete_in_order_and_with_their_publisher() {
    let network = Network::new(runtime_config());
    let (reader, received) = network.reader(node::Hud::SPEC, TopicId::Fault);
    // Faster than they can be sent: this node is none of safety, so it waits.
    let mut writer = network.open(node::Speech::SPEC);
    let fault = |seq| fault("speech", seq, 0);
    let (publisher, payload) = until_connected(&mut writer, &fault(0), &received);
    assert_eq!(publisher, "speech", "one key for each node of an `any` topic");
    assert_eq!(Any::decode(TopicId::Fault, payload).expect("a fault"), fault(0));
    while received.recv_timeout(Duration::from_millis(200)).is_ok() {}
    for seq in 1..=2000 {
        writer.publish(&fault(seq)).expect("published");
    }
    for seq in 1..=2000 {
        let (_, payload) = received.recv_timeout(PATIENCE).expect("a reliable topic loses nothing");
        assert_eq!(Any::decode(TopicId::Fault, payload).expect("a fault").header().seq, seq);
    }
    network.close([reader, writer]);
}

#[test]
fn a_safety_node_loses_nothing_while_its_readers_read() {
    let network = Network::new(runtime_config());
    let (reader, received) = network.reader(node::Hud::SPEC, TopicId::Fault);
    let mut writer = network.open(node::Can::SPEC);
    until_connected(&mut writer, &fault("can", 0, 0), &received);
    while received.recv_timeout(Duration::from_millis(200)).is_ok() {}
    // Bursts of ten, each as soon as the reader has the one before: a busy machine only makes it slower.
    for burst in 0..100 {
        let burst = burst * 10 + 1..=burst * 10 + 10;
        for seq in burst.clone() {
            writer.publish(&fault("can", seq, 100)).expect("published");
        }
        for seq in burst {
            let (_, payload) = received.recv_timeout(PATIENCE).expect("a reader that reads gets every message");
            assert_eq!(Any::decode(TopicId::Fault, payload).expect("a fault").header().seq, seq);
        }
    }
    network.close([reader, writer]);
}

#[test]
fn a_safety_node_does_not_wait_for_a_reader_that_stopped() {
    // 24 MB in all: more than the sockets to the stopped reader hold.
    const MESSAGES: u64 = 400;
    /// How long a message may take to the reader that reads.
    const ARRIVES_WITHIN: Duration = Duration::from_secs(1);
    let network = Network::new(runtime_config());
    // This reader's callback does not return, as if its process stood still: nothing is read from its socket any more.
    // (Only one test may do so: Zenoh has two receiving threads for all sessions of a process.)
    let (resume, stop) = mpsc::channel::<()>();
    let stop = Mutex::new(stop);
    let wait = move || {
        let _ = stop.lock().expect("no panic").recv();
    };
    let (stopped, stopped_received) = network.reader_with(node::Hud::SPEC, TopicId::Fault, wait);
    let (reader, received) = network.reader(node::Recorder::SPEC, TopicId::Fault);
    let mut writer = network.open(node::Can::SPEC);
    until_connected(&mut writer, &fault("can", 0, 0), &received);
    until_connected(&mut writer, &fault("can", 0, 0), &stopped_received);
    while received.recv_timeout(Duration::from_millis(200)).is_ok() {}
    let mut took = Vec::new();
    let mut got = 0;
    for seq in 1..=MESSAGES {
        let start = Instant::now();
        writer.publish(&fault("can", seq, 60_000)).expect("published");
        took.push(start.elapsed());
        got += u64::from(received.recv_timeout(ARRIVES_WITHIN).is_ok());
    }
    drop(resume);
    let got_by_stopped = std::iter::from_fn(|| stopped_received.recv_timeout(Duration::from_millis(500)).ok()).count();
    network.close([stopped, reader, writer]);
    took.sort();
    let (p95, longest) = (took[took.len() * 95 / 100], took[took.len() - 1]);
    println!("p95 {p95:?}, longest {longest:?}; of {MESSAGES} the reader got {got}, the stopped one {got_by_stopped}");
    // Only until the first message to the stopped reader is dropped does it wait, for 5 ms at most.
    assert!(p95 < Duration::from_millis(5), "the publisher waits {p95:?}");
    // With Zenoh's blocking congestion control it is 5 s. A busy machine may take its processor away for a while.
    assert!(longest < Duration::from_secs(1), "the publisher waited {longest:?}");
    assert!(got > MESSAGES * 95 / 100, "the reader that reads got {got} of {MESSAGES}");
    assert!((got_by_stopped as u64) < MESSAGES, "the sockets hold everything: this test shows nothing");
}

#[test]
fn images_go_through_shared_memory_and_by_copy_when_it_is_full() {
    let network = Network::new(RuntimeConfig { shared_memory_mib: 1, ..runtime_config() });
    let (reader, received) = network.reader(node::Perception::SPEC, TopicId::CameraFrontImage);
    let mut writer = network.open(node::Camera::SPEC);
    // The payloads are kept, and with them their shared memory.
    let mut kept = vec![until_connected(&mut writer, &image(300_000, 0), &received).1];
    for seq in 1..8 {
        kept.push(until_connected(&mut writer, &image(300_000, seq), &received).1);
    }
    assert!(writer.shared_full > 0, "eight kept images of 300 kB do not fit 1 MiB");
    for payload in kept {
        let got = Any::decode(TopicId::CameraFrontImage, payload).expect("an image");
        assert_eq!(got, image(300_000, got.header().seq), "untouched by later ones");
    }
    network.close([reader, writer]);
}

#[test]
fn publishing_another_nodes_topic_is_an_error() {
    let network = Network::new(runtime_config());
    let mut link = network.open(node::Speech::SPEC);
    let error = link.publish(&image(10, 0)).expect_err("the camera's topic");
    assert!(error.to_string().contains("camera/front/image"), "{error}");
    network.close([link]);
}

#[test]
fn a_taken_port_is_an_error() {
    let network = Network::new(runtime_config());
    let port = network.runtime.zenoh_base_port + node::Speech::SPEC.port;
    let taken = TcpListener::bind(("127.0.0.1", port)).expect("free");
    let opened = Link::open(&network.runtime, node::Speech::SPEC);
    let error = opened.err().expect("the port is taken");
    assert!(error.to_string().contains("taken?"), "{error}");
    drop(taken);
}

#[test]
fn random_bytes_decode_to_an_error_or_a_message_and_never_panic() {
    use proptest::prelude::*;
    proptest!(|(bytes in proptest::collection::vec(any::<u8>(), 0..200), topic in 0..auriga_msgs::TOPICS.len())| {
        let id = auriga_msgs::TOPICS[topic].id;
        if let Ok(decoded) = Any::decode(id, bytes.into()) {
            prop_assert_eq!(decoded.topic(), id);
        }
    });
}

#[test]
fn a_truncated_message_is_an_error() {
    let state = v1::VehicleState { header: Some(v1::Header::new(1, 2)), speed_mps: Some(3.0), ..Default::default() };
    let any = Any::VehicleState(Arc::new(state));
    let mut bytes = Vec::new();
    any.encode(&mut bytes).expect("room");
    bytes.truncate(bytes.len() - 3);
    assert!(Any::decode(TopicId::VehicleState, bytes.into()).is_err());
    assert_eq!(v1::VehicleState::default().header_copy(), v1::Header::default());
}
