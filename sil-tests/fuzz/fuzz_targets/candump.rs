//! Any text as a recording of a bus (its format is recognised by its content): read to the end or to an error; times never
//! decrease.
#![no_main]
use auriga_can::log::{Frames, Options};
use auriga_runtime::Nanos;
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

fuzz_target!(|text: &[u8]| {
    let reader = Box::new(Cursor::new(text.to_vec()));
    let mut last = Nanos::ZERO;
    let Ok(frames) = Frames::new(reader, "any.log".into(), Nanos::ZERO, &Options::default()) else { return };
    for item in frames {
        let Ok((time, _)) = item else { break };
        assert!(time >= last, "{time:?} after {last:?}");
        last = time;
    }
});
