//! The transcript track of a drive: a YAML list of `start_s`, `end_s` (seconds of the drive) and `text`.

use auriga_msgs::v1;
use auriga_runtime::Nanos;
use serde::Deserialize;
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// A track is some kilobytes; a larger file is another kind of file.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// Longer than any drive.
const MAX_SECONDS: f64 = 1e6;
const MAX_TEXT_BYTES: usize = 2000;

/// Why a track cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TranscriptError {
    #[error("transcript {}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("transcript {}: larger than {MAX_FILE_BYTES} bytes; is it a transcript?", path.display())]
    TooLarge { path: PathBuf },
    #[error("transcript {}: expected a YAML list of start_s, end_s, text: {source}", path.display())]
    Yaml { path: PathBuf, source: serde_yaml_ng::Error },
    #[error("transcript {}, entry {entry}: {what}", path.display())]
    Entry { path: PathBuf, entry: usize, what: String },
}

#[derive(Deserialize)]
struct Entry {
    start_s: f64,
    end_s: f64,
    text: String,
}

/// Reads a track, in order of time. All lines are due at `base`, time 0 of the drive, which is also added to their
/// times.
pub fn load(path: &Path, base: Nanos) -> Result<Vec<(Nanos, v1::TranscriptLine)>, TranscriptError> {
    let io = |source| TranscriptError::Io { path: path.into(), source };
    let mut text = String::new();
    File::open(path).map_err(io)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(io)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(TranscriptError::TooLarge { path: path.into() });
    }
    parse(&text, path, base)
}

/// As [`load`], of a text; `path` is only named in errors.
pub fn parse(text: &str, path: &Path, base: Nanos) -> Result<Vec<(Nanos, v1::TranscriptLine)>, TranscriptError> {
    let entries: Vec<Entry> =
        serde_yaml_ng::from_str(text).map_err(|source| TranscriptError::Yaml { path: path.into(), source })?;
    let mut lines = Vec::with_capacity(entries.len());
    for (index, Entry { start_s, end_s, text }) in entries.into_iter().enumerate() {
        let wrong = |what| TranscriptError::Entry { path: path.into(), entry: index + 1, what };
        // Written so that a not-a-number fails, too.
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
    fn lines_come_in_order_of_time_shifted_by_the_base() {
        let lines =
            read("- {start_s: 3, end_s: 4.5, text: two}\n- {start_s: 1.25, end_s: 2, text: ' one '}\n").unwrap();
        let got: Vec<_> = lines.iter().map(|(t, l)| (*t, l.start_ns, l.end_ns, l.text.as_str())).collect();
        let at = Nanos::from_millis(5000);
        assert_eq!(got, [(at, 6_250_000_000, 7_000_000_000, "one"), (at, 8_000_000_000, 9_500_000_000, "two")]);
    }

    #[test]
    fn a_wrong_entry_is_named() {
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
        fn any_text_gives_lines_or_an_error(text in "[-{}a-z_:,.0-9 \n&*\"']{0,200}") {
            if let Ok(lines) = read(&text) {
                prop_assert!(lines.iter().all(|(_, l)| l.start_ns <= l.end_ns));
            }
        }
    }
}
