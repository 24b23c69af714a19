//! Any text as a CAN database: a valid one decodes any frame and encodes the decoded values.
#![no_main]
use auriga_can::dbc::Database;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(database) = Database::parse(text, "fuzz.dbc") else { return };
    for message in database.messages() {
        let frame = vec![0xA5; message.length()];
        let decoded = message.decode(&frame);
        let values: Vec<(String, f64)> = decoded.map(|(signal, value)| (signal.name().to_owned(), value)).collect();
        let values: Vec<(&str, f64)> = values.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let mut out = vec![0; message.length()];
        let _ = message.encode(&values, &mut out);
    }
});
