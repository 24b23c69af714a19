//! Any bytes as a recording: read to the end or to an error.
#![no_main]
use auriga_recorder::mcap_file::Reader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(reader) = Reader::from_bytes(bytes.to_vec()) {
        let _ = reader.count();
    }
});
