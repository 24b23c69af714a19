//! Which messages are recorded, and errors of the disk.

use crate::common::{fault, header, hud_frame, noise, state, utterance};
use auriga_msgs::{Any, FromAny, TOPICS, node::RecorderInput, v1};
use auriga_recorder::{
    Config, DEFAULTS, Effect, RecorderNode,
    mcap_file::Reader,
    queue::Queue,
    recording::{self, FaultChange},
};
use auriga_runtime::{Nanos, Node, Outbox};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Mutex, mpsc},
    time::Duration,
};

fn config(path: &Path) -> Config {
    let mut config: Config = toml::from_str(DEFAULTS).unwrap();
    config.path = path.to_owned();
    config.sync = false;
    config
}

fn recorded(node: &mut RecorderNode, any: Any, now: Nanos) -> bool {
    let mut out = Outbox::default();
    node.on_input(RecorderInput::from_any(any.clone()).unwrap(), now, &mut out);
    let mut effects = out.take_effects();
    effects.retain(|effect| *effect != Effect::Release);
    assert!(effects.is_empty() || effects == [Effect::Write(any.clone())] || effects == [Effect::Hold(any.clone())]);
    effects == [Effect::Write(any)]
}

fn grants(level: u32, run: bool, lease_end: Nanos) -> Any {
    let grant = v1::Grant { workload: "recording".into(), level, run, lease_end_ns: lease_end.0, ..Default::default() };
    Any::ArbiterGrants(v1::Grants { header: header(0, 0), grants: vec![grant], ..Default::default() }.into())
}

#[test]
fn all_topics_are_recorded_and_private_ones_only_with_consent() {
    for consent in [false, true] {
        let mut config = config(Path::new("a.mcap"));
        config.record_private = consent;
        let mut node = RecorderNode::new(&config).unwrap();
        for topic in TOPICS.iter().filter(|t| !t.is_device()) {
            let any = Any::decode(topic.id, Bytes::new()).unwrap();
            let expected = consent || !topic.private;
            assert_eq!(recorded(&mut node, any, Nanos(0)), expected, "{} with consent {consent}", topic.name);
        }
    }
}

#[test]
fn images_are_recorded_as_granted_until_the_lease_ends() {
    let mut node = RecorderNode::new(&config(Path::new("a.mcap"))).unwrap();
    let image = || Any::HudFrame(hud_frame(0, 0).into());
    assert!(recorded(&mut node, image(), Nanos(0)), "without any grant: as configured");
    for (level, run, with_images) in [(0, true, false), (1, true, true), (1, false, false)] {
        assert!(recorded(&mut node, grants(level, run, Nanos(100)), Nanos(1)), "grants are recorded");
        assert_eq!(recorded(&mut node, image(), Nanos(2)), with_images, "level {level}, run {run}");
        assert!(recorded(&mut node, fault(0, "x"), Nanos(2)), "other messages are always recorded");
    }
    recorded(&mut node, grants(1, true, Nanos(100)), Nanos(1));
    assert!(recorded(&mut node, image(), Nanos(99)));
    assert!(!recorded(&mut node, image(), Nanos(100)), "the lease has ended");
    let mut config = config(Path::new("a.mcap"));
    config.images_without_grant = false;
    assert!(!recorded(&mut RecorderNode::new(&config).unwrap(), image(), Nanos(0)));
}

#[test]
fn images_of_a_hazard_are_held_and_released_when_images_are_allowed_again() {
    let mut node = RecorderNode::new(&config(Path::new("a.mcap"))).unwrap();
    let mut effects = |any: Any, now| {
        let mut out = Outbox::default();
        node.on_input(RecorderInput::from_any(any).unwrap(), Nanos(now), &mut out);
        out.take_effects()
    };
    let image = |seq| Any::HudFrame(hud_frame(0, seq).into());
    let (none, all) = (grants(0, true, Nanos(100)), grants(1, true, Nanos(100)));
    assert_eq!(effects(none.clone(), 1), [Effect::Write(none)]);
    assert_eq!(effects(image(1), 2), [Effect::Hold(image(1))]);
    assert_eq!(effects(all.clone(), 3), [Effect::Write(all.clone()), Effect::Release]);
    assert_eq!(effects(image(2), 4), [Effect::Write(image(2))]);
    assert_eq!(effects(all.clone(), 5), [Effect::Write(all)]);
    let mut without = RecorderNode::new(&Config { held_images_mib: 0, ..config(Path::new("a.mcap")) }).unwrap();
    assert!(recorded(&mut without, grants(0, true, Nanos(100)), Nanos(1)));
    let mut out = Outbox::default();
    without.on_input(RecorderInput::from_any(image(1)).unwrap(), Nanos(2), &mut out);
    assert!(out.take_effects().is_empty());
}

#[test]
fn held_images_are_in_the_recording_at_their_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("drive.mcap");
    let queue = Queue::new(1000, 8).with_held_images(4);
    for n in 0..100 {
        queue.push(state(n * 100, n));
        // The hazard lasts from 2 s to 5 s.
        if (20..50).contains(&n) {
            queue.hold(&Any::HudFrame(hud_frame(n * 100 + 1, n).into()));
        }
    }
    queue.release();
    queue.close();
    recording::record(&queue, &config(&path), &BTreeMap::new(), &|_| ());
    let all = read(&path);
    assert_eq!(all.len(), 130);
    assert!(all.is_sorted_by_key(|any| any.header().published_ns));
    assert_eq!(all.iter().filter(|any| matches!(any, Any::HudFrame(_))).count(), 30);
}

#[test]
fn an_error_in_the_configuration_names_the_field() {
    let base = || config(Path::new("a.mcap"));
    for (bad, field) in [
        (Config { path: "".into(), ..base() }, "path"),
        (Config { jpeg_quality: 0, ..base() }, "jpeg_quality"),
        (Config { queue_images: 0, ..base() }, "queue_images"),
    ] {
        let e = RecorderNode::new(&bad).err().unwrap();
        assert!(e.to_string().starts_with(field), "{e}");
    }
}

/// Records `messages`; returns the changes of faults.
fn record(config: &Config, messages: Vec<Any>) -> Vec<FaultChange> {
    let queue = Queue::new(config.queue_messages, config.queue_images);
    let faults = Mutex::new(Vec::new());
    messages.into_iter().for_each(|any| queue.push(any));
    queue.close();
    recording::record(&queue, config, &BTreeMap::new(), &|change| faults.lock().unwrap().push(change));
    faults.into_inner().unwrap()
}

fn is_stopped(change: &FaultChange) -> bool {
    matches!(change, FaultChange::Standing(v1::Severity::Critical, "recording-stopped", _))
}

/// What a recording without trouble reports.
const NO_FAULTS: [FaultChange; 1] = [FaultChange::Cleared("recording-stopped")];

fn read(path: &Path) -> Vec<Any> {
    Reader::open(path).unwrap().map(|item| item.unwrap().1).collect()
}

#[test]
fn an_existing_recording_is_kept_and_the_new_one_is_numbered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/drive.mcap");
    for seq in 0..3 {
        assert_eq!(record(&config(&path), vec![state(0, seq)]), NO_FAULTS);
    }
    for (name, seq) in [("drive.mcap", 0), ("drive-1.mcap", 1), ("drive-2.mcap", 2)] {
        assert_eq!(read(&path.with_file_name(name)), [state(0, seq)], "{name}");
    }
    let over = Config { overwrite: true, ..config(&path) };
    record(&over, vec![state(0, 9)]);
    assert_eq!(read(&path), [state(0, 9)]);
}

#[test]
fn a_full_file_is_continued_in_the_next_without_loss() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("drive.mcap");
    let config = Config { max_file_mib: 1, ..config(&path) };
    // 300 kB in a chunk each.
    let messages: Vec<Any> = (0..14)
        .map(|i| {
            let text = String::from_utf8(noise(i, 300_000)).unwrap();
            Any::Fault(v1::Fault { header: header(2000 * i, i), text, ..Default::default() }.into())
        })
        .collect();
    let changes = record(&config, messages.clone());
    assert!(changes.iter().all(|c| *c == NO_FAULTS[0]), "{changes:?}");
    let mut files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort_by_key(|p| read(p)[0].header().seq);
    assert!(files.len() >= 3, "{files:?}");
    assert_eq!(files.iter().flat_map(|p| read(p)).collect::<Vec<_>>(), messages);
}

#[test]
fn the_metadata_state_whether_private_topics_are_recorded_and_malformed_images_are_faults() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("drive.mcap");
    let image = v1::Image { width: 5, height: 5, encoding: "bgr8".into(), ..Default::default() };
    let faults = record(&config(&path), vec![Any::CameraFrontImage(image.into()), utterance(5, "hello")]);
    let is_malformed =
        |f: &FaultChange| matches!(f, FaultChange::Event(v1::Severity::Warning, "recorder-image-malformed", _));
    assert!(faults.len() == 2 && is_malformed(&faults[1]), "{faults:?}");
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.metadata(recording::METADATA).unwrap()["private_topics"], "left out");
    assert_eq!(reader.count(), 1);
}

#[test]
fn a_path_that_cannot_be_written_is_a_critical_fault_until_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    fs::write(&folder, "a file where the folder should be").unwrap();
    let path = folder.join("drive.mcap");
    let config = config(&path);
    let queue = Queue::new(100, 8);
    let (sender, faults) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let report = move |change| sender.send(change).unwrap();
            recording::record(&queue, &config, &BTreeMap::new(), &report);
        });
        let timeout = Duration::from_secs(30);
        queue.push(state(0, 0));
        assert!(is_stopped(&faults.recv_timeout(timeout).unwrap()));
        fs::remove_file(&folder).unwrap();
        let until_cleared: Vec<_> = std::iter::from_fn(|| faults.recv_timeout(timeout).ok())
            .take_while(|change| *change != FaultChange::Cleared("recording-stopped"))
            .collect();
        assert!(until_cleared.iter().all(is_stopped), "{until_cleared:?}");
        queue.push(state(1, 1));
        queue.close();
    });
    assert_eq!(read(&path), [state(0, 0), state(1, 1)], "messages from the meantime are recorded too");
}

/// A file system of half a megabyte, where mounting is allowed.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let dir = tempfile::tempdir().unwrap();
        let options = ["-t", "tmpfs", "-o", "size=512k", "auriga-test"];
        let status = std::process::Command::new("mount").args(options).arg(dir.path()).output();
        let mounted = status.is_ok_and(|o| o.status.success());
        if !mounted {
            auriga_testing::skip("mounting a small tmpfs is not allowed here");
        }
        mounted.then_some(SmallDisk(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(std::process::Command::new("umount").arg(self.0.path()).status());
    }
}

#[test]
fn a_full_disk_is_a_critical_fault_and_the_messages_before_it_are_readable() {
    let Some(disk) = SmallDisk::mount() else { return };
    let path = disk.0.path().join("drive.mcap");
    let big = |i: u64| {
        let data = Bytes::from(noise(i, 100_000));
        Any::HudFrame(v1::CompressedImage { header: header(2000 * i, i), data, ..Default::default() }.into())
    };
    let config = Config { queue_images: 100, ..config(&path) };
    let faults = record(&config, (0..12).map(big).collect());
    assert!(faults.iter().any(is_stopped), "{faults:?}");
    let reader = Reader::open(&path).unwrap();
    assert!(reader.truncated());
    let found: Vec<Any> = reader.map(|i| i.unwrap().1).collect();
    assert!(found.len() >= 3, "{} messages", found.len());
    assert!(found.iter().enumerate().all(|(i, any)| *any == big(i as u64)));
}
