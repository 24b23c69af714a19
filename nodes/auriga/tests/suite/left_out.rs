//! A build without the feature `simulation`:
//! `cargo test -p auriga --no-default-features --test suite left_out`.
use std::process::Command;

#[test]
fn a_command_that_is_left_out_names_the_feature_and_how_to_build_it() {
    for arguments in [&["drive"][..], &["replay", "x.mcap", "--check"], &["sil", "--help"], &["generate", "a", "b"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_auriga")).args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}: {error}");
        assert!(error.contains("feature `simulation`") && error.contains(arguments[0]), "{arguments:?}: {error}");
        assert!(error.contains("cargo build"), "{arguments:?}: {error}");
    }
}
