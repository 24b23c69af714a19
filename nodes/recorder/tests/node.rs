//! What is recorded, and what becomes of it when the disk is in the way.

mod common;

use auriga_msgs::{Any, FromAny, TOPICS, node::RecorderInput, v1};
use auriga_recorder::{Config, DEFAULTS, Effect, RecorderNode, mcap_file::Reader, queue::Queue, recording};
use auriga_runtime::{Nanos, Node, Outbox};
use bytes::Bytes;
use common::{fault, header, hud_frame, noise, state, utterance};
use std::{
    collections::{BTreeMap, BTreeSet},
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
    let effects = out.take_effects();
    assert!(effects.is_empty() || effects == [Effect::Write(any)]);
    !effects.is_empty()
}

fn grants(level: u32, run: bool, lease_end: Nanos) -> Any {
    let grant = v1::Grant { workload: "recording".into(), level, run, lease_end_ns: lease_end.0, ..Default::default() };
    Any::ArbiterGrants(v1::Grants { header: header(0, 0), grants: vec![grant], ..Default::default() }.into())
}

#[test]
fn everything_is_recorded_but_private_topics_and_those_only_with_consent() {
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
fn images_follow_the_grant_and_end_with_the_lease() {
    let mut node = RecorderNode::new(&config(Path::new("a.mcap"))).unwrap();
    let image = || Any::HudFrame(hud_frame(0, 0).into());
    assert!(recorded(&mut node, image(), Nanos(0)), "no arbiter was ever heard: as configured");
    for (level, run, with_images) in [(0, true, false), (1, true, true), (1, false, false)] {
        assert!(recorded(&mut node, grants(level, run, Nanos(100)), Nanos(1)), "grants themselves are recorded");
        assert_eq!(recorded(&mut node, image(), Nanos(2)), with_images, "level {level}, run {run}");
        assert!(recorded(&mut node, fault(0, "x"), Nanos(2)), "messages always are");
    }
    recorded(&mut node, grants(1, true, Nanos(100)), Nanos(1));
    assert!(recorded(&mut node, image(), Nanos(99)));
    assert!(!recorded(&mut node, image(), Nanos(100)), "the arbiter has fallen silent");
    let mut config = config(Path::new("a.mcap"));
    config.images_without_grant = false;
    assert!(!recorded(&mut RecorderNode::new(&config).unwrap(), image(), Nanos(0)));
}

#[test]
fn a_wrong_configuration_names_its_field() {
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

/// Records `messages` to the end with the thread's own function; gives the faults.
fn record(config: &Config, messages: Vec<Any>) -> Vec<(v1::Severity, &'static str)> {
    let queue = Queue::new(config.queue_messages, config.queue_images);
    let faults = Mutex::new(Vec::new());
    messages.into_iter().for_each(|any| queue.push(any));
    queue.close();
    recording::record(&queue, config, &BTreeMap::new(), &|severity, code, _| faults.lock().unwrap().push((severity, code)));
    faults.into_inner().unwrap()
}

fn read(path: &Path) -> Vec<Any> {
    Reader::open(path).unwrap().map(|item| item.unwrap().1).collect()
}

#[test]
fn an_existing_recording_is_kept_and_the_new_one_gets_a_number() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/drive.mcap");
    for seq in 0..3 {
        assert_eq!(record(&config(&path), vec![state(0, seq)]), []);
    }
    for (name, seq) in [("drive.mcap", 0), ("drive-1.mcap", 1), ("drive-2.mcap", 2)] {
        assert_eq!(read(&path.with_file_name(name)), [state(0, seq)], "{name}");
    }
    let over = Config { overwrite: true, ..config(&path) };
    record(&over, vec![state(0, 9)]);
    assert_eq!(read(&path), [state(0, 9)]);
}

#[test]
fn a_full_file_is_followed_by_the_next_and_nothing_is_lost_between() {
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
    assert_eq!(record(&config, messages.clone()), []);
    let mut files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort_by_key(|p| read(p)[0].header().seq);
    assert!(files.len() >= 3, "{files:?}");
    assert_eq!(files.iter().flat_map(|p| read(p)).collect::<Vec<_>>(), messages);
}

#[test]
fn the_recording_says_whether_private_topics_are_in_it_and_malformed_images_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("drive.mcap");
    let image = v1::Image { width: 5, height: 5, encoding: "bgr8".into(), ..Default::default() };
    let faults = record(&config(&path), vec![Any::CameraFrontImage(image.into()), utterance(5, "hello")]);
    assert_eq!(faults, [(v1::Severity::Warning, "recorder-image-malformed")]);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.metadata(recording::METADATA).unwrap()["private_topics"], "left out");
    assert_eq!(reader.count(), 1);
}

#[test]
fn a_path_that_cannot_be_written_is_a_critical_fault_and_recording_starts_when_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    fs::write(&folder, "a file where the folder should be").unwrap();
    let path = folder.join("drive.mcap");
    let config = config(&path);
    let queue = Queue::new(100, 8);
    let (told, faults) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let tell = move |severity, code, _| told.send((severity, code)).unwrap();
            recording::record(&queue, &config, &BTreeMap::new(), &tell);
        });
        let patience = Duration::from_secs(30);
        queue.push(state(0, 0));
        assert_eq!(faults.recv_timeout(patience).unwrap(), (v1::Severity::Critical, "recording-stopped"));
        fs::remove_file(&folder).unwrap();
        let until_resumed: BTreeSet<_> =
            std::iter::from_fn(|| faults.recv_timeout(patience).ok().map(|(_, code)| code))
                .take_while(|code| *code != "recording-resumed")
                .collect();
        assert!(until_resumed.iter().all(|c| *c == "recording-stopped"), "{until_resumed:?}");
        queue.push(state(1, 1));
        queue.close();
    });
    assert_eq!(read(&path), [state(0, 0), state(1, 1)], "what waited meanwhile is there too");
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
            println!("skipped: mounting a small tmpfs is not allowed here");
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
fn a_full_disk_is_a_critical_fault_and_what_was_written_before_stays_readable() {
    let Some(disk) = SmallDisk::mount() else { return };
    let path = disk.0.path().join("drive.mcap");
    let big = |i: u64| {
        let data = Bytes::from(noise(i, 100_000));
        Any::HudFrame(v1::CompressedImage { header: header(2000 * i, i), data, ..Default::default() }.into())
    };
    let config = Config { queue_images: 100, ..config(&path) };
    let faults = record(&config, (0..12).map(big).collect());
    assert!(faults.contains(&(v1::Severity::Critical, "recording-stopped")), "{faults:?}");
    let reader = Reader::open(&path).unwrap();
    assert!(reader.truncated());
    let found: Vec<Any> = reader.map(|i| i.unwrap().1).collect();
    assert!(found.len() >= 3, "{} messages", found.len());
    assert!(found.iter().enumerate().all(|(i, any)| *any == big(i as u64)));
}
