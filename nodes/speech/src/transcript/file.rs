//! The transcript track of a drive: a YAML list of `start_s`, `end_s` (seconds of the drive) and `text`.

use auriga_msgs::v1;
use auriga_runtime::Nanos;
use serde::Deserialize;
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Largest file; a track has some kilobytes.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// Latest time of a line, in s; longer than any drive.
const MAX_SECONDS: f64 = 1e6;
const MAX_TEXT_BYTES: usize = 2000;

/// Why a track cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TranscriptError {
    /// The file cannot be read.
    #[error("transcript {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is too large.
    #[error("transcript {}: larger than {MAX_FILE_BYTES} bytes; is it a transcript?", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a YAML list of lines.
    #[error("transcript {}: expected a YAML list of start_s, end_s, text: {source}", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_yaml_ng::Error,
    },
    /// A line is invalid.
    #[error("transcript {}, entry {entry}: {what}", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// Number of the line, counted from 1.
        entry: usize,
        /// What is wrong with it.
        what: String,
    },
}

#[derive(Deserialize)]
struct Entry {
    start_s: f64,
    end_s: f64,
    text: String,
}

/// Reads a track, sorted by time. Each line comes with the time at which it is delivered: `base`, time 0 of the drive,
/// which is also added to the line's own times.
///
/// # Errors
/// When the file cannot be read or a line is invalid; the text names it.
pub fn load(path: &Path, base: Nanos) -> Result<Vec<(Nanos, v1::TranscriptLine)>, TranscriptError> {
    let io = |source| TranscriptError::Io { path: path.into(), source };
    let mut text = String::new();
    File::open(path).map_err(io)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(io)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(TranscriptError::TooLarge { path: path.into() });
    }
    parse(&text, path, base)
}

/// As [`load`], from a text; `path` is only named in errors.
///
/// # Errors
/// When a line is invalid.
pub fn parse(text: &str, path: &Path, base: Nanos) -> Result<Vec<(Nanos, v1::TranscriptLine)>, TranscriptError> {
    let entries: Vec<Entry> =
        serde_yaml_ng::from_str(text).map_err(|source| TranscriptError::Yaml { path: path.into(), source })?;
    let mut lines = Vec::with_capacity(entries.len());
    for (index, Entry { start_s, end_s, text }) in entries.into_iter().enumerate() {
        let wrong = |what| TranscriptError::Entry { path: path.into(), entry: index + 1, what };
        // Written so that NaN fails, too.
        if !(0.0..=MAX_SECONDS).contains(&start_s) || !(0.0..=MAX_SECONDS).contains(&end_s) || start_s >= end_s {
            return Err(wrong(format!("expected 0 <= start_s < end_s, found {start_s} and {end_s}")));
        }
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_TEXT_BYTES {
            return Err(wrong(format!("expected a text of 1 to {MAX_TEXT_BYTES} bytes, found {}", text.len())));
        }
        let at = |seconds| base.0.saturating_add(Nanos::from_secs_f64(seconds).0);
        let line = v1::TranscriptLine {
            header: Some(v1::Header::new(at(start_s), 0)),
            start_ns: at(start_s),
            end_ns: at(end_s),
            text: text.into(),
        };
        lines.push((base, line));
    }
    lines.sort_by_key(|(_, line)| line.start_ns);
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Vec<(Nanos, v1::TranscriptLine)>, TranscriptError> {
        parse(text, Path::new("t.yaml"), Nanos::from_millis(5000))
    }

    #[test]
    fn lines_are_sorted_and_shifted_by_the_base() {
        let lines =
            read("- {start_s: 3, end_s: 4.5, text: two}\n- {start_s: 1.25, end_s: 2, text: ' one '}\n").unwrap();
        let got: Vec<_> = lines.iter().map(|(t, l)| (*t, l.start_ns, l.end_ns, l.text.as_str())).collect();
        let at = Nanos::from_millis(5000);
        assert_eq!(got, [(at, 6_250_000_000, 7_000_000_000, "one"), (at, 8_000_000_000, 9_500_000_000, "two")]);
    }

    #[test]
    fn an_invalid_entry_is_named() {
        let wrong = [
            ("- {start_s: 0, end_s: 1, text: a}\n- {start_s: 3, end_s: 2, text: b}\n", "entry 2"),
            ("- {start_s: .nan, end_s: 2, text: b}\n", "NaN"),
            ("- {start_s: 0, end_s: 2, text: ' '}\n", "text"),
            ("- {start_s: 0, end_s: 2}\n", "text"),
            ("lines: 3\n", "list"),
        ];
        for (text, expect) in wrong {
            let e = read(text).unwrap_err().to_string();
            assert!(e.contains("t.yaml") && e.contains(expect), "{e}");
        }
        assert!(load(Path::new("/nonexistent.yaml"), Nanos::ZERO).unwrap_err().to_string().contains("nonexistent"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[-{}a-z_:,.0-9 \n&*\"']{0,200}") {
            if let Ok(lines) = read(&text) {
                prop_assert!(lines.iter().all(|(_, l)| l.start_ns <= l.end_ns));
            }
        }
    }
}
