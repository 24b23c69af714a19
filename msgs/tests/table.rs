//! The topic table: the shipped one is what the types were made from, and a bad one is refused with its row.

use auriga_msgs::{Any, CHAINS, Criticality, NODES, Reliability, Stamped, TOPICS, TopicId, table::Table, v1};
use proptest::prelude::*;
use std::{collections::HashSet, sync::Arc};

const SHIPPED: &str = include_str!("../topics.toml");

#[test]
fn the_types_are_those_of_the_table() {
    let table = Table::parse(SHIPPED).expect("the shipped table");
    assert_eq!(table.topics.len(), TOPICS.len());
    for (row, spec) in table.topics.iter().zip(TOPICS) {
        assert_eq!((row.name.as_str(), row.message.as_str()), (spec.name, spec.message));
        assert_eq!((row.depth, row.private, row.reliability), (spec.depth, spec.private, spec.reliability));
        assert_eq!(TopicId::by_name(&row.name), Some(spec.id));
    }
    assert_eq!(table.nodes.len(), NODES.len());
    assert_eq!(table.chains.len(), CHAINS.len());
}

#[test]
fn every_topic_has_a_reader_and_every_reader_its_topics() {
    for node in NODES {
        for topic in node.reads {
            assert_ne!(topic.spec().publisher, node.name);
        }
    }
    let read: HashSet<TopicId> = NODES.iter().flat_map(|n| n.reads.iter().copied()).collect();
    for topic in TOPICS {
        assert!(read.contains(&topic.id), "nobody reads {}", topic.name);
    }
}

#[test]
fn private_topics_go_to_listed_readers_the_recorder_and_the_monitor_only() {
    let table = Table::parse(SHIPPED).expect("the shipped table");
    for node in NODES.iter().filter(|n| !matches!(n.name, "recorder" | "monitor")) {
        for topic in node.reads.iter().map(|t| t.spec()).filter(|t| t.private) {
            let row = table.topics.iter().find(|t| t.name == topic.name).expect("a row");
            assert!(row.subscribers.iter().any(|s| s == node.name), "{} reads {}", node.name, topic.name);
        }
    }
}

#[test]
fn safety_topics_that_nodes_act_on_are_reliable() {
    for name in ["vehicle/state", "fusion/hazard", "arbiter/grants"] {
        let topic = TopicId::by_name(name).expect(name).spec();
        assert_eq!(topic.reliability, Reliability::Reliable, "{name}");
    }
}

#[test]
fn every_topic_that_safety_nodes_act_on_has_a_validity() {
    let safety = NODES.iter().filter(|node| node.criticality == Criticality::Safety);
    for topic in safety.flat_map(|node| node.reads).map(|topic| topic.spec()) {
        assert!(topic.validity_ms.is_some(), "{}", topic.name);
    }
    let keeping: Vec<&str> = NODES.iter().filter(|node| node.keeps_stale).map(|node| node.name).collect();
    assert_eq!(keeping, ["recorder", "monitor"]);
}

#[test]
fn a_trace_id_names_its_source_topic() {
    for topic in TOPICS {
        let header = v1::Header::new(1, v1::Header::trace(topic.id, u64::MAX));
        assert_eq!(header.source(), Some(topic.id));
    }
    assert_eq!(v1::Header::new(1, 0).source(), None);
    assert_eq!(v1::Header::new(1, u64::MAX).source(), None);
}

/// The shipped table with one change, which must be there to be made.
fn changed(from: &str, to: &str) -> String {
    assert!(SHIPPED.contains(from), "{from}");
    SHIPPED.replacen(from, to, 1)
}

#[test]
fn bad_rows_are_rejected_with_their_name() {
    let cases = [
        (changed("name = \"camera/front/image\"", "name = \"Camera Front\""), "Camera Front"),
        (changed("name = \"camera/front/info\"", "name = \"camera/front/image\""), "camera/front/image"),
        (changed("publisher = \"fusion\"", "publisher = \"fussion\""), "fussion"),
        (changed("subscribers = [\"perception\", \"hud\"]", "subscribers = [\"hood\"]"), "hood"),
        (changed("subscribers = [\"perception\", \"hud\"]", "subscribers = [\"camera\"]"), "both publishes and reads"),
        (changed("rate_hz = 25.0", "rate_hz = 0.0"), "rate_hz"),
        (changed("depth = 1\n", "depth = 0\n"), "depth"),
        (changed("replay_as = \"device/can\"", "replay_as = \"device/audio\""), "replay_as"),
        (changed("budget_ms = 1.0", "budget_ms = -1.0"), "budget_ms"),
        (changed("to = \"vehicle/state\"", "to = \"vehicle/stat\""), "vehicle/stat"),
        (changed("port = 2\n", "port = 1\n"), "port 1"),
        (changed("start_limit_s = 20", "start_limit_s = 0"), "start_limit_s"),
        (changed("validity_ms = 500", "validity_ms = 0"), "validity_ms"),
        (changed("timeout_ms = 500\nvalidity_ms = 500", "timeout_ms = 500\nvalidity_ms = 501"), "at most"),
        (changed("name = \"can\"", "name = \"any\""), "taken"),
        (changed("reliability = \"reliable\"", "reliability = \"mostly\""), "mostly"),
        (changed("rate_hz = 25.0", "rate = 25.0"), "rate"),
    ];
    for (text, expected) in cases {
        let error = Table::parse(&text).expect_err(expected);
        assert!(error.contains(expected), "{expected:?} is not in: {error}");
    }
}

#[test]
fn messages_survive_encoding() {
    let frame = v1::CanFrame { id: 0x158, data: vec![1, 2, 3].into(), ..Default::default() };
    let frames = v1::CanFrames { header: Some(v1::Header::new(5, 6)), frames: vec![frame] };
    let any = Any::CanFrames(Arc::new(frames));
    let mut bytes = Vec::new();
    any.encode(&mut bytes).expect("a Vec has room");
    assert_eq!(bytes.len(), any.encoded_len());
    let back = Any::decode(TopicId::CanFrames, bytes.into()).expect("what was encoded");
    assert_eq!(back, any);
    assert_eq!(back.header().stamp_ns, 5);
    assert_eq!(v1::Image::default().header_copy(), v1::Header::default());
}

proptest! {
    #[test]
    fn arbitrary_text_does_not_panic(text in ".{0,400}") {
        let _ = Table::parse(&text);
    }

    #[test]
    fn a_truncated_table_does_not_panic(cut in 0..SHIPPED.len()) {
        if let Some(text) = SHIPPED.get(..cut) {
            let _ = Table::parse(text);
        }
    }
}

proptest! {
    #[test]
    fn private_messages_are_not_formatted(text in "[a-z]{6,12} [a-z]{6,12}", bytes in prop::collection::vec(200u8..=255, 8..64)) {
        let word = v1::Word { text: text.clone(), ..Default::default() };
        let slot = v1::Slot { name: text.clone(), value: text.clone() };
        let utterance = v1::Utterance { text: text.clone(), words: vec![word.clone()], ..Default::default() };
        let formatted = [
            format!("{word:?}"),
            format!("{slot:?}"),
            format!("{:?}", v1::Intent { slots: vec![slot.clone()], utterance: text.clone(), ..Default::default() }),
            format!("{:?}", v1::DialogueTurn { text: text.clone(), user_text: text.clone(), ..Default::default() }),
            format!("{:?}", v1::TranscriptLine { text: text.clone(), ..Default::default() }),
            format!("{:?}", v1::Scene { last_utterance: Some(utterance.clone()), ..Default::default() }),
            format!("{:?}", Any::SpeechUtterance(Arc::new(utterance))),
            format!("{:#?}", Any::SpeechAudio(Arc::new(v1::AudioChunk { pcm_s16le: bytes.clone().into(), ..Default::default() }))),
        ];
        for shown in &formatted {
            prop_assert!(!shown.contains(&text) && !shown.contains(&text[..6]), "{}", shown);
            prop_assert!(shown.len() < 2000 && !shown.contains(&bytes[0].to_string()), "{}", shown);
        }
    }
}
