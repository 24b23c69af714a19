//! Keys of configuration files that have another name now.

use serde::Serialize;
use serde_yaml_ng::Value;

/// A key that was renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renamed {
    /// Whose key it is: a node's name for its `config.toml`; `runtime` for the `[runtime]` table of every node;
    /// `topics`, `workloads`, `scenario` and `drive` for the files of those names.
    pub owner: &'static str,
    /// The old key, dotted from the top of the file, without the indices of lists: `modes.hold_ms`, `workload.levels.ms`.
    pub old: &'static str,
    /// The new key, written like the old one.
    pub new: &'static str,
}

/// All renamed keys: whoever renames a key adds a row, and an old file gets an error that names the new key.
pub const RENAMED: &[Renamed] = &[
    Renamed { owner: "drive", old: "own", new: "ego" },
    Renamed { owner: "language", old: "reply_words_calm", new: "reply_max_words_low_load" },
    Renamed { owner: "language", old: "reply_words_busy", new: "reply_max_words_high_load" },
    Renamed { owner: "language", old: "connected", new: "connected_tools" },
    Renamed { owner: "language", old: "outcome_within_ms", new: "outcome_timeout_ms" },
    Renamed { owner: "scenario", old: "drive.overrides.own", new: "drive.overrides.ego" },
    Renamed { owner: "scenario", old: "expect.nothing_lost", new: "expect.no_lost_messages" },
    Renamed { owner: "scenario", old: "expect.safety_deadlines_held", new: "expect.safety_deadlines_met" },
    Renamed { owner: "speech", old: "attention_s", new: "follow_up_s" },
    Renamed { owner: "speech", old: "open_end_silence_ms", new: "incomplete_end_silence_ms" },
    Renamed { owner: "speech", old: "voice", new: "tts_command" },
    Renamed { owner: "speech", old: "voice_threshold", new: "vad_threshold" },
    Renamed { owner: "workloads", old: "workload.core", new: "workload.thread.core" },
    Renamed { owner: "workloads", old: "workload.priority", new: "workload.thread.priority" },
    Renamed { owner: "workloads", old: "workload.blocking_ms", new: "workload.thread.blocking_ms" },
    Renamed { owner: "workloads", old: "workload.jitter_ms", new: "workload.thread.release_ms" },
];

/// An old key was met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: the key {old:?} is called {new:?} now; rename it")]
pub struct RenamedKey {
    /// The file or parameter that holds it.
    pub place: String,
    /// As it is written there.
    pub old: String,
    /// What it is called now.
    pub new: &'static str,
}

/// Checks that a file holds no old key of `owner`. `file` is its parsed content (a [`toml::Table`], a
/// [`serde_yaml_ng::Value`]), `place` its path for the error. For files that are read without [`super::load`], before
/// they are turned into their type.
///
/// # Errors
/// The first old key.
pub fn refuse_renamed(owner: &str, place: &str, file: &impl Serialize) -> Result<(), RenamedKey> {
    // What cannot be turned into a value cannot be turned into the file's type either; that error is the better one.
    let value = serde_yaml_ng::to_value(file).unwrap_or_default();
    find(RENAMED, owner, "", &value)
        .map_or(Ok(()), |row| Err(RenamedKey { place: place.to_owned(), old: row.old.to_owned(), new: row.new }))
}

/// The first old key of `owner` at or below `value`, which stands at `path`.
fn find<'a>(rows: &'a [Renamed], owner: &str, path: &str, value: &Value) -> Option<&'a Renamed> {
    match value {
        Value::Mapping(map) => map.iter().find_map(|(key, value)| {
            let key = key.as_str()?;
            let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            let here = rows.iter().find(|row| row.owner == owner && row.old == path);
            here.or_else(|| find(rows, owner, &path, value))
        }),
        Value::Sequence(items) => items.iter().find_map(|item| find(rows, owner, path, item)),
        _ => None,
    }
}

/// The new name of the unknown key `old` among the keys of a node's configuration, of which `is_key` knows.
pub(super) fn new_name(rows: &[Renamed], old: &str, is_key: impl Fn(&str) -> bool) -> Option<&'static str> {
    rows.iter().find(|row| row.old == old && is_key(row.new)).map(|row| row.new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    const ROWS: &[Renamed] = &[
        Renamed { owner: "workloads", old: "workload.level.ms", new: "workload.level.cpu_ms" },
        Renamed { owner: "scenario", old: "hold", new: "debounce" },
    ];

    #[test]
    fn an_old_key_is_found_in_tables_and_lists() {
        let file: toml::Table = "[[workload]]\nname = \"a\"\n[[workload.level]]\nms = 3\n".parse().unwrap();
        let value = serde_yaml_ng::to_value(&file).unwrap();
        assert_eq!(find(ROWS, "workloads", "", &value), Some(&ROWS[0]));
        assert_eq!(find(ROWS, "scenario", "", &value), None);
        let value = serde_yaml_ng::from_str("a: [1, 2]\nhold: 3\n").unwrap();
        assert_eq!(find(ROWS, "scenario", "", &value), Some(&ROWS[1]));
    }

    #[test]
    fn every_new_key_of_a_node_is_in_its_configuration_and_no_old_one_is() {
        let nodes = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for row in RENAMED.iter().filter(|row| nodes.join(row.owner).is_dir()) {
            let text = fs::read_to_string(nodes.join(row.owner).join("config.toml")).unwrap();
            let table: toml::Table = text.parse().unwrap();
            let has = |key: &str| {
                let mut parts = key.split('.');
                let first = parts.next().and_then(|part| table.get(part));
                parts.try_fold(first, |at, part| at.map(|value| value.get(part))).flatten().is_some()
            };
            assert!(has(row.new) && !has(row.old), "{row:?}");
        }
    }
}
