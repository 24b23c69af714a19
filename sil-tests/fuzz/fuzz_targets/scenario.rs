//! Any text as a scenario and as a drive script.
#![no_main]
use auriga_sil::{generator::script::Script, scenario};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|text: &str| {
    if let Ok(read) = scenario::parse(text, Path::new("any.yaml")) {
        assert!(read.expect.count() > 0, "a scenario without expectations was accepted");
    }
    let _ = Script::parse(text, Path::new("any.yaml"));
});
