//! Any text as a log of frames, candump's or Vector's: read to its end or to an error with the line; frames never go
//! back in time. (Which of the two it is, the text itself decides.)
#![no_main]
use auriga_can::log::Frames;
use auriga_runtime::Nanos;
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

fuzz_target!(|text: &[u8]| {
    let reader = Box::new(Cursor::new(text.to_vec()));
    let mut last = Nanos::ZERO;
    for item in Frames::new(reader, "any.log".into(), Nanos::ZERO) {
        let Ok((time, _)) = item else { break };
        assert!(time >= last, "{time:?} after {last:?}");
        last = time;
    }
});
