//! Any text as the topic table.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(table) = auriga_msgs::table::Table::parse(text) {
        assert!(!table.topics.iter().any(|t| t.name.is_empty()));
    }
});
