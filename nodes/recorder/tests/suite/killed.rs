//! The executable, with messages over Zenoh, killed and stopped.

use crate::common::run_python;
use auriga_msgs::{Any, NodeName, TopicId, node, v1};
use auriga_recorder::mcap_file::Reader;
use auriga_runtime::{Nanos, config::RuntimeConfig, transport::Link};
use std::{
    path::Path,
    process::{Child, Command},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// Kills the process when the test fails.
struct Process(Child);
impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn recorder(path: &Path, port: u16) -> Process {
    let child = Command::new(env!("CARGO_BIN_EXE_auriga-recorder"))
        .args(["-p", &format!("path={}", path.display()), "-p", &format!("runtime.zenoh_base_port={port}")])
        .spawn()
        .unwrap();
    Process(child)
}

/// Publishes vehicle states and utterances as their nodes would, until `done`.
fn publish(port: u16, done: &AtomicBool) {
    let runtime = RuntimeConfig { zenoh_base_port: port, shared_memory_mib: 0, ..Default::default() };
    let mut can = Link::open(&runtime, node::Can::SPEC).unwrap();
    let mut speech = Link::open(&runtime, node::Speech::SPEC).unwrap();
    for seq in 0.. {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let now = Nanos::monotonic().0;
        let header = Some(v1::Header { stamp_ns: now, published_ns: now, seq, trace_id: 1 });
        let state = v1::VehicleState { header, speed_mps: Some(seq as f64), ..Default::default() };
        can.publish(&Any::VehicleState(state.into())).unwrap();
        let utterance = v1::Utterance { header, text: "private".into(), ..Default::default() };
        speech.publish(&Any::SpeechUtterance(utterance.into())).unwrap();
        // The rate of a bus: 1 kHz.
        std::thread::sleep(Duration::from_millis(1));
    }
    can.close();
    speech.close();
}

/// Sequence numbers of the vehicle states in the file so far.
fn sequences(path: &Path) -> Vec<u64> {
    let Ok(reader) = Reader::open(path) else { return vec![] };
    let messages = reader.map(|item| item.unwrap().1);
    messages.filter(|any| any.topic() == TopicId::VehicleState).map(|any| any.header().seq).collect()
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "{what} did not happen in a minute");
        std::thread::sleep(Duration::from_millis(50));
    }
}

const COUNT: &str = r#"
import sys
from mcap.reader import NonSeekingReader
from mcap.exceptions import EndOfFile
from mcap_protobuf.decoder import DecoderFactory
count, truncated = 0, False
with open(sys.argv[1], "rb") as f:
    try:
        reader = NonSeekingReader(f, decoder_factories=[DecoderFactory()])
        # Not sorted: to sort, it would first look for the file's end.
        for _, channel, message, m in reader.iter_decoded_messages(log_time_order=False):
            assert m.header.published_ns == message.log_time
            count += channel.topic == "vehicle/state"
    except EndOfFile:
        truncated = True
print(count, truncated)
"#;

#[test]
fn a_killed_recorder_leaves_a_readable_file_and_a_stopped_one_a_complete_file() {
    let dir = tempfile::tempdir().unwrap();
    let (killed, stopped) = (dir.path().join("killed.mcap"), dir.path().join("stopped.mcap"));
    let port = 21440 + (std::process::id() % 400) as u16 * 100;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| publish(port, &done));
        let end = scopeguard(&done);
        let mut process = recorder(&killed, port);
        wait_until("recording over more than one chunk", || sequences(&killed).len() > 1500);
        // SIGKILL.
        process.0.kill().unwrap();
        process.0.wait().unwrap();
        let mut process = recorder(&stopped, port);
        wait_until("recording again", || !sequences(&stopped).is_empty());
        let pid = process.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(process.0.wait().unwrap().success());
        drop(end);
    });
    let found = sequences(&killed);
    assert!(Reader::open(&killed).unwrap().truncated());
    assert!(found.windows(2).all(|w| w[1] == w[0] + 1), "a gap in {found:?}");
    assert!(!Reader::open(&stopped).unwrap().truncated());
    for path in [&killed, &stopped] {
        let mut all = Reader::open(path).unwrap().map(|item| item.unwrap().1);
        assert!(all.all(|any| any.topic() != TopicId::SpeechUtterance), "private without consent");
        let count = sequences(path).len();
        let truncated = if path == &killed { "True" } else { "False" };
        if let Some(python) = run_python(COUNT, &[path.to_str().unwrap()]) {
            assert_eq!(python.trim(), format!("{count} {truncated}"));
        }
    }
}

/// Ends the publishing thread also when an assertion fails, or the scope would wait for ever.
fn scopeguard(done: &AtomicBool) -> impl Drop + '_ {
    struct Guard<'a>(&'a AtomicBool);
    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    Guard(done)
}
