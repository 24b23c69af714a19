//! `launch/configuration.md`, the reference of all configuration keys, is made from the nodes' own commented defaults and
//! the ranges that they check. `make config` writes it; this test fails when it is not what the nodes say.

use auriga_runtime::config::{RUNTIME_DEFAULTS, Range, RuntimeConfig, shipped, unit_of};
use std::{fmt::Write, fs, path::Path};

/// Set: the file is written instead of compared.
const WRITE: &str = "AURIGA_WRITE_CONFIGURATION";

const INTRODUCTION: &str = "\
# Configuration

All keys of all nodes. This file is generated (`make config`) from `nodes/*/config.toml` and the ranges that the nodes
check when they start: a value outside its range ends the start with the key, the value and what was expected.

A node takes its configuration from these defaults, then from a file (`--config FILE`, TOML), then from ROS 2 parameter
files (`--params-file`), then from single parameters (`-p key=value`, `-p table.key=value`), each over the one before. In a
launch file: `<param name=\"table.key\" value=\"…\"/>`. `auriga-NODE --print-config` prints what is in force.
";

struct Node {
    name: &'static str,
    defaults: &'static str,
    ranges: Vec<Range>,
}

fn nodes() -> Vec<Node> {
    macro_rules! node {
        ($name:literal, $node:ident) => {
            Node { name: $name, defaults: $node::DEFAULTS, ranges: shipped::<$node::Config>($node::DEFAULTS).ranges() }
        };
    }
    vec![
        node!("camera", auriga_camera),
        // Texts and switches alone.
        Node { name: "can", defaults: auriga_can::DEFAULTS, ranges: Vec::new() },
        node!("speech", auriga_speech),
        node!("perception", auriga_perception),
        node!("fusion", auriga_fusion),
        node!("language", auriga_language),
        node!("arbiter", auriga_arbiter),
        node!("hud", auriga_hud),
        node!("recorder", auriga_recorder),
        node!("monitor", auriga_monitor),
        node!("ros-bridge", auriga_ros_bridge),
    ]
}

/// A key of a `config.toml` with the comment before it.
struct Key {
    /// Dotted path.
    path: String,
    default: String,
    /// Empty: the comment of the key before it is about this one, too.
    comment: String,
}

/// The keys of a commented TOML text, in its order. `[table]` lines and `key = value` lines (an array may go over several)
/// are all that the shipped files hold.
fn keys(text: &str) -> Vec<Key> {
    let (mut keys, mut comment, mut table): (Vec<Key>, Vec<&str>, String) = Default::default();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim_end();
        if let Some(text) = line.strip_prefix('#') {
            comment.push(text.trim());
        } else if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            table = format!("{name}.");
            comment.clear();
        } else if let Some((key, value)) = line.split_once('=') {
            let mut value = value.trim().to_owned();
            while value.starts_with('[') && !value.ends_with(']') {
                value += " ";
                value += lines.next().expect("an array ends").trim();
            }
            let path = format!("{table}{}", key.trim());
            keys.push(Key { path, default: value, comment: std::mem::take(&mut comment).join(" ") });
        } else {
            comment.clear();
        }
    }
    keys
}

/// Without the unit, which has a column of its own.
fn allowed(range: &Range) -> String {
    range.clone().unit("").expected()
}

fn table(defaults: &str, ranges: &[Range]) -> String {
    let mut text = String::from("| key | unit | default | allowed | meaning |\n| --- | --- | --- | --- | --- |\n");
    for key in keys(defaults) {
        let range = ranges.iter().find(|r| r.key == key.path);
        let unit = range.map_or_else(|| unit_of(leaf(&key.path)), |r| r.unit);
        let allowed = range.map_or_else(|| kind(&key.default).to_owned(), allowed);
        let comment = if key.comment.is_empty() { "as above" } else { &key.comment };
        let comment = comment.replace('|', "\\|");
        writeln!(text, "| `{}` | {unit} | `{}` | {allowed} | {comment} |", key.path, key.default).unwrap();
    }
    text
}

fn leaf(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn kind(default: &str) -> &'static str {
    match default.chars().next() {
        Some('"') => "text",
        Some('[') => "list",
        Some('t' | 'f') => "true, false",
        _ => "number",
    }
}

fn reference() -> String {
    let mut text = INTRODUCTION.to_owned();
    for node in nodes() {
        write!(text, "\n## {}\n{}", node.name, table(node.defaults, &node.ranges)).unwrap();
    }
    let runtime = RuntimeConfig::default().ranges();
    write!(text, "\n## every node\n{}", table(RUNTIME_DEFAULTS, &runtime)).unwrap();
    text
}

#[test]
fn the_reference_of_configuration_keys_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../launch/configuration.md");
    let expected = reference();
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let line = expected.lines().zip(found.lines()).position(|(e, f)| e != f);
    assert!(found == expected, "launch/configuration.md is out of date from line {line:?} on: `make config` writes it");
}

#[test]
fn every_number_has_a_range_and_every_range_a_key() {
    for node in nodes() {
        let keys = keys(node.defaults);
        for key in &keys {
            let has_range = node.ranges.iter().any(|r| r.key == key.path);
            assert!(has_range || kind(&key.default) != "number", "{}: {} has no range", node.name, key.path);
        }
        for range in &node.ranges {
            assert!(keys.iter().any(|k| k.path == range.key), "{}: {} is no key", node.name, range.key);
        }
    }
}

#[test]
fn every_default_is_found_by_the_reference() {
    for node in nodes() {
        let parsed: toml::Table = node.defaults.parse().unwrap();
        let count =
            |table: &toml::Table| table.values().map(|v| v.as_table().map_or(1, toml::Table::len)).sum::<usize>();
        assert_eq!(keys(node.defaults).len(), count(&parsed), "{}", node.name);
    }
}
