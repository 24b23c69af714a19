//! Any text as a launch file: a description or an error.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|text: &str| {
    if let Err(error) = auriga::launch::parse_text(text, Path::new("any.launch.xml")) {
        assert!(!error.to_string().is_empty());
    }
});
