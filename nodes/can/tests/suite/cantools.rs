//! Every value compared with cantools, an independent decoder.

use crate::common::{demo_database, repository};
use auriga_can::{dbc::Database, log};
use auriga_runtime::Nanos;
use auriga_testing::{python, shared_data};
use std::{
    collections::BTreeMap,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// The index of a message in the database, and the bytes of a frame.
type Frame = (usize, Vec<u8>);

/// The frames decoded by cantools; `None` where it refuses one.
fn cantools(python: &Path, dbc: &Path, database: &Database, frames: &[Frame]) -> Vec<Option<BTreeMap<String, f64>>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cantools_decode.py");
    let mut input = String::new();
    for (message, data) in frames {
        let message = &database.messages()[*message];
        let hex: String = data.iter().map(|b| format!("{b:02x}")).collect();
        input.push_str(&format!("{:x} {} {hex}\n", message.id(), u8::from(message.is_extended())));
    }
    let mut child = Command::new(python)
        .arg(script)
        .arg(dbc)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("AURIGA_PYTHON runs");
    let mut stdin = child.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("it reads all");
    assert!(output.status.success(), "cantools_decode.py failed");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let values = |line: &str| {
        let value = |pair: &str| {
            let (name, bits) = pair.split_once('=').expect("NAME=BITS");
            (name.to_owned(), f64::from_bits(u64::from_str_radix(bits, 16).expect("a double's bits")))
        };
        (line != "refused").then(|| line.split_whitespace().map(value).collect())
    };
    text.lines().map(values).collect()
}

/// Compares all values; returns how many frames and values were compared.
fn compare(python: &Path, dbc: &Path, database: &Database, frames: &[Frame]) -> (usize, usize) {
    let all_expected = cantools(python, dbc, database, frames);
    assert_eq!(all_expected.len(), frames.len());
    let (mut compared, mut values) = (0, 0);
    for ((message, data), expected) in frames.iter().zip(all_expected) {
        let message = &database.messages()[*message];
        let Some(expected) = expected else {
            // A multiplexer value without signals is an error in cantools; here the other signals are still decoded.
            assert!(message.signals().iter().any(|s| s.is_multiplexed()), "{} {data:02x?}", message.name());
            continue;
        };
        let found: BTreeMap<String, f64> = message.decode(data).map(|(s, v)| (s.name().to_owned(), v)).collect();
        let same =
            found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| a.0 == b.0 && equal(*a.1, *b.1));
        assert!(same, "{} {data:02x?}\nfound    {found:?}\nexpected {expected:?}", message.name());
        (compared, values) = (compared + 1, values + found.len());
    }
    (compared, values)
}

/// Python scales integers by integers exactly, beyond the precision of a double; all other values must be identical.
fn equal(found: f64, expected: f64) -> bool {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    found == expected || (expected.abs() > EXACT && ((found - expected) / expected).abs() < 1e-15)
}

/// Random frames of every message, the same in each run.
fn random_frames(database: &Database, each: usize) -> Vec<Frame> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    let mut frames = Vec::new();
    for (index, message) in database.messages().iter().enumerate() {
        // Without signals there is nothing to compare.
        if message.signals().is_empty() {
            continue;
        }
        for _ in 0..each {
            frames.push((index, (0..message.length()).map(|_| next()).collect()));
        }
    }
    frames
}

#[test]
fn random_frames_of_the_demo_database_decode_as_in_cantools() {
    let Some(python) = python("cantools") else { return };
    let dbc = repository().join("calibration/auriga-demo/vehicle.dbc");
    let database = demo_database();
    let frames = random_frames(&database, 300);
    let (compared, values) = compare(&python, &dbc, &database, &frames);
    println!("{compared} of {} frames, {values} values", frames.len());
    assert!(compared > frames.len() * 9 / 10);
}

#[test]
fn random_frames_of_real_databases_decode_as_in_cantools() {
    let Some(python) = python("cantools") else { return };
    for file in ["honda_common", "Model3CAN", "tesla_model3_party", "toyota_adas", "toyota_tss2_adas"] {
        let Some(dbc) = shared_data(&format!("can/{file}.dbc")) else { return };
        let database = Database::load(&dbc).expect(file);
        let frames = random_frames(&database, 60);
        let (compared, values) = compare(&python, &dbc, &database, &frames);
        println!("{file}: {compared} of {} frames, {values} values", frames.len());
        assert!(compared > frames.len() / 2, "{file}: {compared} of {}", frames.len());
    }
}

#[test]
fn a_real_recording_decodes_as_in_cantools() {
    let Some(python) = python("cantools") else { return };
    let (Some(dbc), Some(path)) = (shared_data("can/honda_common.dbc"), shared_data("can/icsim-sample-can.log")) else {
        return;
    };
    let database = Database::load(&dbc).expect("honda");
    let (mut known, mut refused) = (Vec::new(), 0);
    for batch in log::frames(path, Nanos::ZERO).expect("a log") {
        for frame in batch.expect("frames").1.frames {
            let Some(index) = database.index(frame.id, frame.extended) else { continue };
            match database.messages()[index].accepts_length(frame.data.len()) {
                true => known.push((index, frame.data.to_vec())),
                false => refused += 1,
            }
        }
    }
    let (compared, values) = compare(&python, &dbc, &database, &known);
    println!("{compared} frames, {values} values, {refused} of another length");
    assert_eq!((compared, refused), (known.len(), 31));
    assert!(compared > 1000, "{compared}");
}
