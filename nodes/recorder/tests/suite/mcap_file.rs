//! Recordings: round trip, order, truncated and damaged files.

use crate::common;
use crate::common::{camera_image, fault, state};
use auriga_msgs::{Any, Record, Stamped, TOPICS, TopicId, v1};
use auriga_recorder::mcap_file::{Reader, Settings, Writer};
use auriga_runtime::Nanos;
use bytes::Bytes;
use proptest::prelude::*;
use std::io::Cursor;

fn written(messages: &[Any]) -> Vec<u8> {
    let mut writer = Writer::new(Cursor::new(Vec::new()), Settings::default()).unwrap();
    for any in messages {
        writer.write(any).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn read(file: Vec<u8>) -> Vec<Any> {
    Reader::from_bytes(file).unwrap().map(|item| item.unwrap().1).collect()
}

/// Four messages a second for `seconds`.
fn drive(seconds: u64) -> Vec<Any> {
    let mut messages = vec![common::drive_info(0)];
    for ms in (0..seconds * 1000).step_by(250) {
        messages.push(state(ms, ms / 250));
    }
    messages
}

#[test]
fn every_topic_of_the_table_is_read_back_unchanged() {
    let messages: Vec<Any> = TOPICS
        .iter()
        .filter(|t| t.id != TopicId::CameraFrontImage)
        .enumerate()
        .map(|(i, t)| {
            let mut any = Any::decode(t.id, Bytes::new()).unwrap();
            let i = i as u64;
            *any.header_mut() = v1::Header { stamp_ns: i, published_ns: 1000 + i, seq: i, trace_id: u64::MAX - i };
            any
        })
        .collect();
    assert_eq!(read(written(&messages)), messages);
}

#[test]
fn a_camera_image_is_read_back_with_its_header_and_nearly_the_same_pixels() {
    let image = camera_image(40, 7);
    let all = read(written(&[Any::CameraFrontImage(image.clone().into())]));
    let [Any::CameraFrontImage(found)] = &all[..] else { panic!("{all:?}") };
    let bare = |i: &v1::Image| v1::Image { data: Bytes::new(), ..i.clone() };
    assert_eq!(bare(found), bare(&image));
    assert_eq!(found.data.len(), image.data.len());
    let error: u64 = found.data.iter().zip(&image.data).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    let mean = error as f64 / image.data.len() as f64;
    assert!(mean < 3.0, "mean difference of a pixel: {mean}");
}

#[test]
fn a_malformed_image_is_an_error_and_the_file_accepts_further_messages() {
    let mut writer = Writer::new(Cursor::new(Vec::new()), Settings::default()).unwrap();
    let mut image = camera_image(0, 0);
    image.data.truncate(100);
    let e = writer.write(&Any::CameraFrontImage(image.into())).unwrap_err();
    assert!(e.is_about_one_message() && e.to_string().contains("camera/front/image"), "{e}");
    writer.write(&state(1, 0)).unwrap();
    assert_eq!(read(writer.finish().unwrap().into_inner()), [state(1, 0)]);
}

#[test]
fn messages_are_read_in_the_order_of_publishing_and_equal_times_in_file_order() {
    let order = [3000, 10, 2990, 0, 1500, 1500, 9000, 8999, 0];
    let messages: Vec<Any> = order.iter().enumerate().map(|(i, &ms)| state(ms, i as u64)).collect();
    let found: Vec<(u64, u64)> =
        read(written(&messages)).iter().map(|a| (a.header().published_ns / 1_000_000, a.header().seq)).collect();
    assert_eq!(found, [(0, 3), (0, 8), (10, 1), (1500, 4), (1500, 5), (2990, 2), (3000, 0), (8999, 7), (9000, 6)]);
}

#[test]
fn the_same_messages_give_the_same_bytes() {
    let mut messages = drive(5);
    messages.push(Any::CameraFrontImage(camera_image(5000, 0).into()));
    messages.push(fault(5001, "x"));
    let file = written(&messages);
    assert_eq!(file, written(&messages));
    // A recording that is read and written again is the same, except for images, which are compressed twice.
    messages.retain(|m| m.topic() != TopicId::CameraFrontImage);
    let file = written(&messages);
    assert_eq!(file, written(&read(file.clone())));
}

#[test]
fn the_drive_info_is_known_before_the_first_message_is_read() {
    let reader = Reader::from_bytes(written(&drive(2))).unwrap();
    assert_eq!(reader.drive_info().map(|i| i.name.as_str()), Some("b-road"));
    assert_eq!(reader.start(), Some(Nanos(0)));
    assert_eq!(reader.count(), 9);
    let without = Reader::from_bytes(written(&[state(0, 0)])).unwrap();
    assert!(without.drive_info().is_none() && !without.truncated());
}

#[test]
fn an_unfinished_file_has_all_messages_up_to_the_last_flush() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mcap");
    let mut writer = Writer::create(&path).unwrap();
    let messages = drive(3);
    for any in &messages {
        writer.write(any).unwrap();
    }
    // The first two seconds are on the disk, the third is an open chunk.
    let mut reader = Reader::open(&path).unwrap();
    assert!(reader.truncated());
    let found: Vec<Any> = reader.by_ref().map(|i| i.unwrap().1).collect();
    assert_eq!(found, messages[..9]);
    writer.finish().unwrap();
    let finished = Reader::open(&path).unwrap();
    assert!(!finished.truncated());
    assert_eq!(finished.count(), messages.len());
    let second = Writer::create_with(&path, Settings { overwrite: false, ..Default::default() });
    assert!(second.is_err(), "an existing recording is not replaced");
}

#[test]
fn a_file_that_is_not_a_recording_is_an_error_that_names_the_format() {
    let e = Reader::from_bytes(b"PK\x03\x04 something else".to_vec()).err().unwrap();
    assert!(e.to_string().contains("MCAP"), "{e}");
    let e = Reader::open("/no/such/file.mcap").err().unwrap();
    assert!(format!("{e:#}").contains("/no/such/file.mcap"), "{e:#}");
    let empty = Reader::from_bytes(Vec::new()).unwrap();
    assert!(empty.truncated(), "a recorder killed before its first byte");
}

#[test]
fn a_channel_with_the_wrong_schema_is_an_error_and_an_unknown_topic_is_ignored() {
    let mut file = mcap::Writer::new(Cursor::new(Vec::new())).unwrap();
    let none = Default::default();
    let schema = file.add_schema("other.Thing", "protobuf", &[]).unwrap();
    for topic in ["vehicle/state", "unknown/topic"] {
        let id = file.add_channel(schema, topic, "protobuf", &none).unwrap();
        let header = mcap::records::MessageHeader { channel_id: id, sequence: 0, log_time: 5, publish_time: 5 };
        file.write_to_known_channel(&header, &[1, 2, 3]).unwrap();
    }
    file.finish().unwrap();
    let items: Vec<_> = Reader::from_bytes(file.into_inner().into_inner()).unwrap().collect();
    let [Err(e)] = &items[..] else { panic!("{items:?}") };
    assert!(e.to_string().contains("expected protobuf auriga.v1.VehicleState"), "{e}");
}

#[test]
fn any_damaged_byte_is_reported_or_changes_no_message() {
    let messages = drive(6);
    let file = written(&messages);
    let mut reported = 0;
    for at in 0..file.len() {
        let mut broken = file.clone();
        broken[at] ^= 0x55;
        let Ok(reader) = Reader::from_bytes(broken) else { continue };
        let truncated = reader.truncated();
        let items: Vec<_> = reader.collect();
        let good: Vec<&Any> = items.iter().flatten().map(|(_, any)| any).collect();
        assert!(good.iter().all(|any| messages.contains(any)), "byte {at}: a message is changed");
        let is_reported = truncated || items.iter().any(Result::is_err);
        assert!(is_reported || good.len() == messages.len(), "byte {at}: {} of {}", good.len(), messages.len());
        reported += usize::from(is_reported);
    }
    assert!(reported > 500, "{reported} of {} damages were reported", file.len());
}

#[test]
fn messages_outside_of_chunks_are_read_too() {
    let options = mcap::WriteOptions::new().use_chunks(false);
    let mut file = options.create(Cursor::new(Vec::new())).unwrap();
    let schema = file.add_schema("auriga.v1.VehicleState", "protobuf", &[]).unwrap();
    let id = file.add_channel(schema, "vehicle/state", "protobuf", &Default::default()).unwrap();
    for ms in [20, 10] {
        let any = state(ms, 0);
        let mut data = Vec::new();
        any.encode(&mut data).unwrap();
        let log_time = any.header().published_ns;
        let header = mcap::records::MessageHeader { channel_id: id, sequence: 0, log_time, publish_time: 0 };
        file.write_to_known_channel(&header, &data).unwrap();
    }
    file.finish().unwrap();
    assert_eq!(read(file.into_inner().into_inner()), [state(10, 0), state(20, 0)]);
}

/// Positions and lengths of the chunks of a file, from their opcode on.
fn chunks(file: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut at = mcap::MAGIC.len();
    while at + 9 <= file.len() {
        let length = u64::from_le_bytes(file[at + 1..at + 9].try_into().unwrap()) as usize + 9;
        match file[at] {
            mcap::records::op::CHUNK => found.push(at..at + length),
            mcap::records::op::DATA_END => break,
            _ => {}
        }
        at += length;
    }
    found
}

/// What can be read, and what is said of the rest.
fn readable(file: Vec<u8>) -> (Vec<Any>, Vec<String>) {
    let mut said = Vec::new();
    let reader = Reader::from_bytes(file).unwrap();
    let read = reader.readable(|what| said.push(what)).map(|(_, any)| any).collect();
    (read, said)
}

#[test]
fn a_damaged_chunk_costs_its_own_messages_wherever_it_is_damaged() {
    let messages = drive(6);
    let file = written(&messages);
    let chunks = chunks(&file);
    assert_eq!(chunks.len(), 6);
    for (i, chunk) in chunks.iter().enumerate() {
        let second = |any: &&Any| any.header().published_ns / 1_000_000_000 != i as u64;
        let others: Vec<Any> = messages.iter().filter(second).cloned().collect();
        // Opcode, length (its lowest and highest bytes), content, all of it.
        let zeros = chunk.clone().collect::<Vec<_>>();
        for bytes in [vec![0], vec![1], vec![2], vec![8], vec![60], (0..zeros.len()).collect()] {
            let mut broken = file.clone();
            bytes.iter().for_each(|at| broken[chunk.start + at] ^= 0x55);
            let (read, said) = readable(broken);
            assert_eq!(read, others, "chunk {i}, bytes {bytes:?}: {said:?}");
            assert_eq!(said.len(), 1, "chunk {i}, bytes {bytes:?}: {said:?}");
            assert!(said[0].contains("damaged") && !said[0].contains("truncated"), "{said:?}");
        }
    }
}

#[test]
fn a_cut_file_says_so_and_a_damaged_one_is_not_called_cut() {
    let messages = drive(4);
    let file = written(&messages);
    let chunks = chunks(&file);
    let (read, said) = readable(file[..chunks[2].end - 5].to_vec());
    assert_eq!(read, messages[..9]);
    assert!(said.len() == 1 && said[0].contains("truncated"), "{said:?}");
    // Its last chunk is damaged, its end is there.
    let mut broken = file.clone();
    broken[chunks[3].start + 3] ^= 0x55;
    let (read, said) = readable(broken);
    assert_eq!(read.len(), messages.len() - 4);
    assert!(said.iter().all(|s| !s.contains("truncated")) && !said.is_empty(), "{said:?}");
}

#[test]
fn two_files_one_after_the_other_are_refused_with_the_place() {
    let file = written(&drive(3));
    let cut = file[..chunks(&file)[1].end + 10].to_vec();
    for first in [file.clone(), cut] {
        let both = [first.clone(), file.clone()].concat();
        let error = Reader::from_bytes(both).err().expect("two recordings").to_string();
        assert!(error.contains("two recordings") && error.contains(&first.len().to_string()), "{error}");
    }
}

#[test]
fn a_second_run_in_a_file_is_reported_and_left_out() {
    let info = |ms: u64, start_ns| {
        let info = v1::DriveInfo { header: common::header(ms, 0), start_ns, ..Default::default() };
        Any::DriveInfo(info.into())
    };
    let first = [info(1000, 1_000_000_000), state(1500, 1), info(2000, 1_000_000_000)];
    let second = [info(70_000, 70_000_000_000), state(70_500, 0)];
    let (read, said) = readable(written(&[first.as_slice(), &second].concat()));
    assert_eq!(read, first);
    assert!(said.len() == 1 && said[0].contains("another run") && said[0].contains("70."), "{said:?}");
}

#[test]
fn files_of_other_programs_are_refused_by_name() {
    let foreign = |profile: &str, library: &str, topics: usize, summary: bool| {
        let options = mcap::WriteOptions::new().profile(profile).library(library);
        let mut file = options.create(Cursor::new(Vec::new())).unwrap();
        for n in 0..topics {
            let schema = file.add_schema("sensor_msgs/msg/Imu", "ros2msg", &[]).unwrap();
            let id = file.add_channel(schema, &format!("/imu{n}"), "cdr", &Default::default()).unwrap();
            let header = mcap::records::MessageHeader { channel_id: id, sequence: 0, log_time: 5, publish_time: 5 };
            file.write_to_known_channel(&header, &[1, 2, 3]).unwrap();
        }
        file.finish().unwrap();
        let mut bytes = file.into_inner().into_inner();
        if !summary {
            bytes.truncate(chunks(&bytes)[0].end);
        }
        Reader::from_bytes(bytes).err().expect("not Auriga's").to_string()
    };
    for summary in [true, false] {
        let error = foreign("ros2", "rosbag2_storage_mcap 0.15", 1, summary);
        assert!(error.contains("rosbag2") && error.contains("/imu0") && error.contains("0.15"), "{error}");
        let error = foreign("", "other", 9, summary);
        assert!(error.contains("another program") && error.contains("/imu4, …"), "{error}");
    }
    for (begin, name) in
        [(b"SQLite format 3\0xxxx".as_slice(), "rosbag2"), (b"#ROSBAG V2.0\n", "ROS 1"), (b"\x1f\x8b12", "gzip")]
    {
        let error = Reader::from_bytes(begin.to_vec()).err().unwrap().to_string();
        assert!(error.contains(name) && error.contains("MCAP"), "{error}");
    }
    // A recorder that was killed before its first chunk.
    assert_eq!(Reader::from_bytes(mcap::MAGIC.to_vec()).unwrap().count(), 0);
}

#[test]
fn an_image_without_pixels_has_its_header() {
    let image = camera_image(40, 7);
    let file = written(&[Any::CameraFrontImage(image.clone().into())]);
    let (_, any) = Reader::from_bytes(file).unwrap().without_pixels().next().unwrap().unwrap();
    assert_eq!(any, Any::CameraFrontImage(v1::Image { data: Bytes::new(), ..image }.into()));
}

fn any_message() -> impl Strategy<Value = Any> {
    let header = (any::<u64>(), 0..20_000_000_000u64, any::<u64>(), any::<u64>());
    let topics: Vec<TopicId> = TOPICS.iter().filter(|t| t.record == Record::Proto).map(|t| t.id).collect();
    (header, proptest::sample::select(topics)).prop_map(|((stamp_ns, published_ns, seq, trace_id), topic)| {
        let mut any = Any::decode(topic, Bytes::new()).unwrap();
        *any.header_mut() = v1::Header { stamp_ns, published_ns, seq, trace_id };
        any
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..Default::default() })]

    #[test]
    fn a_file_truncated_anywhere_gives_its_beginning(cut in 0.0..1.0f64, seconds in 1u64..6) {
        let messages = drive(seconds);
        let file = written(&messages);
        let cut = (file.len() as f64 * cut) as usize;
        if let Ok(reader) = Reader::from_bytes(file[..cut].to_vec()) {
            prop_assert!(reader.truncated());
            prop_assert!(reader.loss().unwrap().bytes <= cut as u64);
            let found: Vec<Any> = reader.map(|i| i.unwrap().1).collect();
            prop_assert_eq!(&found[..], &messages[..found.len()]);
        } else {
            prop_assert!(cut < 8, "only a file without its first eight bytes is not a recording");
        }
    }

    #[test]
    fn a_hole_costs_the_chunks_that_it_touches(from in 0.0..1.0f64, length in 1usize..3000, fill: u8) {
        let messages = drive(8);
        let mut file = written(&messages);
        let chunks = chunks(&file);
        let data = chunks[0].start..chunks[7].end;
        let from = data.start + ((data.len() as f64) * from) as usize;
        let hole = from..(from + length).min(data.end);
        file[hole.clone()].fill(fill);
        let (read, said) = readable(file);
        let whole = |any: &&Any| {
            let chunk = &chunks[(any.header().published_ns / 1_000_000_000) as usize];
            chunk.end <= hole.start || chunk.start >= hole.end
        };
        prop_assert!(messages.iter().filter(whole).all(|any| read.contains(any)), "{:?}", said);
        prop_assert!(read.iter().all(|any| messages.contains(any)));
        prop_assert!(read.len() == messages.len() || !said.is_empty());
    }

    #[test]
    fn zeros_after_a_truncation_are_not_records(cut in 200usize..3000, zeros in 1usize..5000) {
        let messages = drive(4);
        let mut file = written(&messages);
        file.truncate(cut);
        file.resize(file.len() + zeros, 0);
        let reader = Reader::from_bytes(file).unwrap();
        prop_assert!(reader.truncated());
        let found: Vec<Any> = reader.flatten().map(|(_, any)| any).collect();
        prop_assert_eq!(&found[..], &messages[..found.len()]);
    }

    #[test]
    fn any_bytes_give_messages_or_errors(bytes in proptest::collection::vec(any::<u8>(), 0..4096), magic: bool) {
        let mut file = if magic { mcap::MAGIC.to_vec() } else { vec![] };
        file.extend(bytes);
        if let Ok(reader) = Reader::from_bytes(file) {
            reader.for_each(drop);
        }
    }

    #[test]
    fn any_changed_byte_gives_messages_or_errors(at in 0.0..1.0f64, value: u8) {
        let mut file = written(&drive(3));
        let at = (file.len() as f64 * at) as usize;
        file[at] = value;
        if let Ok(reader) = Reader::from_bytes(file) {
            reader.for_each(drop);
        }
    }

    #[test]
    fn any_messages_in_any_order_are_read_back_sorted(
        messages in proptest::collection::vec(any_message(), 0..40),
    ) {
        let mut expected = messages.clone();
        expected.sort_by_key(|m| m.header().published_ns);
        prop_assert_eq!(read(written(&messages)), expected);
    }
}

#[test]
fn images_have_the_headers_of_their_messages() {
    let frame = common::hud_frame(80, 3);
    let all = read(written(&[Any::HudFrame(frame.clone().into())]));
    assert_eq!(all[0].header(), frame.header_copy());
    assert_eq!(all, [Any::HudFrame(frame.into())]);
}
