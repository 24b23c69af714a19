//! How a test says that it could not run.
//!
//! Rust's test runner counts a test that returns early as passed. A test that needs something the machine lacks (a
//! device, a Python package, shared recordings) calls [`skip`] instead of returning in silence: it prints the reason and
//! adds it to the file that the variable [`SKIPPED_FILE`] names, from which `make test` prints its summary.
//!
//! ```
//! let Some(python) = auriga_testing::python("cantools") else { return };
//! # let _ = python;
//! ```
#![deny(missing_docs)]

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    thread,
};

/// The environment variable with the path of the file to which skipped tests are added, a line each: the test's name, a
/// tab, the reason. Not set: the reason is only printed.
pub const SKIPPED_FILE: &str = "AURIGA_SKIPPED_FILE";

/// Reports that the calling test could not run, and why: prints `test skipped: REASON` and records it for the summary.
/// The caller returns right after.
///
/// # Panics
/// When the file that [`SKIPPED_FILE`] names cannot be written: a skipped test must not get lost.
pub fn skip(reason: impl AsRef<str>) {
    // One line each, whatever the reason holds.
    let reason = reason.as_ref().split_whitespace().collect::<Vec<_>>().join(" ");
    println!("test skipped: {reason}");
    if let Some(file) = std::env::var_os(SKIPPED_FILE) {
        record(Path::new(&file), &test_name(), &reason);
    }
}

/// The folder of recordings that are not part of the project (`AURIGA_SHARED`, or `../shared/data` beside the checkout),
/// or `None` after the calling test has been reported as skipped. `file` is the path below the folder that the test
/// needs.
pub fn shared_data(file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("AURIGA_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let path = folder.join(file);
    if path.exists() {
        return Some(path);
    }
    skip(format!("{file} is absent (set AURIGA_SHARED to the folder of shared recordings)"));
    None
}

/// The Python that `AURIGA_PYTHON` names, with other implementations to compare with (`make setup` makes one), or `None` after
/// the calling test has been reported as skipped. `packages`: what the test needs of it, for that report.
pub fn python(packages: &str) -> Option<PathBuf> {
    let python = std::env::var_os("AURIGA_PYTHON").filter(|p| !p.is_empty()).map(PathBuf::from);
    if python.is_none() {
        skip(format!("set AURIGA_PYTHON to a Python with {packages} (`make setup` makes one)"));
    }
    python
}

/// Of the test runner's thread: tests run in threads that bear their names.
fn test_name() -> String {
    let program = std::env::args().next().unwrap_or_default();
    let program = Path::new(&program).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    // Cargo appends a hash to the name of a test executable.
    let program = program.rsplit_once('-').map_or(program.as_str(), |(name, _)| name);
    format!("{program}::{}", thread::current().name().unwrap_or("main"))
}

/// A single short write in append mode, so that lines of tests that run at the same time do not mix.
fn record(file: &Path, test: &str, reason: &str) {
    let line = format!("{test}\t{reason}\n");
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .and_then(|mut f| f.write_all(line.as_bytes()))
        .unwrap_or_else(|e| panic!("{SKIPPED_FILE}={}: {e}", file.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_test_is_recorded_with_its_name_and_reason() {
        let file = std::env::temp_dir().join(format!("auriga-skipped-{}", std::process::id()));
        record(&file, &test_name(), "no bus");
        record(&file, &test_name(), "no camera");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let name = "auriga_testing::tests::a_skipped_test_is_recorded_with_its_name_and_reason";
        assert_eq!(text, format!("{name}\tno bus\n{name}\tno camera\n"));
    }
}
