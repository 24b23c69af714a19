//! The commands on recordings that are damaged or another program's, and on a folder in use.

use auriga_msgs::{Any, v1};
use auriga_recorder::mcap_file::Writer;
use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Output},
};

fn auriga(arguments: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_auriga")).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output, text)
}

/// A decision of the arbiter in each of six seconds.
fn decisions(path: &Path) {
    let mut writer = Writer::create(path).unwrap();
    for second in 0..6_u64 {
        let published_ns = second * 1_000_000_000 + 1;
        let header = Some(v1::Header { stamp_ns: published_ns, published_ns, seq: second, trace_id: 1 });
        let reason = format!("decision {second}");
        let grants =
            v1::Grants { header, reason, switched: true, mode: v1::Mode::Nominal.into(), ..Default::default() };
        writer.write(&Any::ArbiterGrants(grants.into())).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn explain_goes_on_after_a_damaged_chunk_and_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive.mcap");
    decisions(&path);
    let whole = fs::read(&path).unwrap();
    // The third chunk: of all things that are found between the second and the fourth, one byte.
    let chunk = |n: usize| {
        let mut at = 8;
        let mut seen = 0;
        loop {
            let length = u64::from_le_bytes(whole[at + 1..at + 9].try_into().unwrap()) as usize + 9;
            seen += usize::from(whole[at] == 6);
            if seen == n {
                return at..at + length;
            }
            at += length;
        }
    };
    let mut broken = whole.clone();
    broken[chunk(3).start + 1] ^= 0xff;
    fs::write(&path, &broken).unwrap();
    let (output, text) = auriga(&["explain", path.to_str().unwrap()]);
    assert!(output.status.success(), "{text}");
    for second in [0, 1, 3, 4, 5] {
        assert!(text.contains(&format!("decision {second}")), "{second}: {text}");
    }
    assert!(!text.contains("decision 2") && text.contains("warning") && text.contains("damaged"), "{text}");
    fs::write(&path, &whole[..chunk(5).start + 20]).unwrap();
    let (output, text) = auriga(&["explain", path.to_str().unwrap()]);
    assert!(output.status.success() && text.contains("decision 3") && text.contains("truncated"), "{text}");
}

#[test]
#[cfg(feature = "simulation")]
fn recordings_of_other_programs_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bag.db3");
    fs::write(&path, b"SQLite format 3\0 and so on").unwrap();
    let path = path.to_str().unwrap();
    for command in ["replay", "explain"] {
        let (output, text) = auriga(&[command, path]);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("rosbag2") && text.contains(path) && !text.contains("hash"), "{text}");
    }
    let bag = folder.path().join("bag");
    fs::create_dir(&bag).unwrap();
    fs::write(bag.join("metadata.yaml"), "rosbag2_bagfile_information: {}").unwrap();
    let (output, text) = auriga(&["replay", bag.to_str().unwrap()]);
    assert!(output.status.code() == Some(1) && text.contains("rosbag2"), "{text}");
}

#[test]
#[cfg(feature = "simulation")]
fn a_drive_into_a_folder_in_use_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("drive.mcap");
    fs::write(&recording, "of the first drive").unwrap();
    // Another process that holds the lock, as `auriga drive` does.
    let lock = File::create(folder.path().join("drive.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    fs::write(folder.path().join("drive.lock"), "4711\n").unwrap();
    let out = folder.path().to_str().unwrap();
    let (output, text) = auriga(&["drive", "/no/such/drive", "--out", out, "--page", "", "--base-port", "29440"]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("in use by another drive (process 4711)"), "{text}");
    assert_eq!(fs::read_to_string(&recording).unwrap(), "of the first drive");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no log folder, no report");
    drop(lock);
    let (output, text) = auriga(&["drive", "/no/such/drive", "--out", out, "--page", "", "--base-port", "29440"]);
    assert!(output.status.code() == Some(1) && text.contains("/no/such/drive"), "{text}");
    assert_eq!(fs::read_to_string(&recording).unwrap(), "of the first drive", "this drive never started");
}

#[test]
#[cfg(feature = "simulation")]
fn the_help_has_the_exit_codes() {
    for command in ["drive", "replay", "sil"] {
        let (_, text) = auriga(&[command, "--help"]);
        assert!(text.contains("Exit code") && text.contains("--strict") && text.contains("3 "), "{command}: {text}");
    }
}
