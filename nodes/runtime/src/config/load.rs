//! Merges the layers of a node's configuration.

use super::{
    args::Args,
    ranges::check_ranges,
    renamed::{RENAMED, Renamed, RenamedKey, new_name},
    runtime::{RUNTIME_DEFAULTS, RuntimeConfig},
};
use anyhow::{Context, bail};
use serde::de::DeserializeOwned;
use std::{fs, path::Path};
use toml::{Table, Value};

/// Merges `defaults` (TOML text, the node's own), the file and the parameters of `args` into a `C` and the shell's
/// configuration.
///
/// # Errors
/// As [`effective`]; a value that does not fit its field; one of `[runtime]` that is not allowed. The error names the
/// file or the parameter.
pub fn load<C: DeserializeOwned>(defaults: &str, args: &Args) -> anyhow::Result<(C, RuntimeConfig)> {
    let (config, runtime) = split(defaults, args)?;
    Ok((typed(config)?, runtime))
}

/// The first half of [`load`]: the node's merged table, and the shell's configuration.
pub(crate) fn split(defaults: &str, args: &Args) -> anyhow::Result<(Table, RuntimeConfig)> {
    let mut table = effective(defaults, args)?;
    let runtime = table.remove("runtime").unwrap_or(Value::Table(Table::new()));
    let runtime: RuntimeConfig = runtime.try_into().map_err(|e| anyhow::anyhow!("configuration [runtime]: {e}"))?;
    check_ranges(&runtime.ranges())?;
    Ok((table, runtime))
}

/// The second half of [`load`].
pub(crate) fn typed<C: DeserializeOwned>(config: Table) -> anyhow::Result<C> {
    config.try_into().map_err(|e| anyhow::anyhow!("configuration: {e}"))
}

/// A node's configuration as it ships.
///
/// # Panics
/// When `defaults` are not a valid `C`: they are part of the program, and each node's tests load them.
pub fn shipped<C: DeserializeOwned>(defaults: &str) -> C {
    load(defaults, &Args::default()).expect("the shipped config.toml is valid").0
}

/// The merged configuration as TOML, the `[runtime]` table included.
///
/// # Errors
/// A file that cannot be read or parsed, an unknown or renamed key, a value of another type than the default's.
pub fn effective(defaults: &str, args: &Args) -> anyhow::Result<Table> {
    merged(defaults, args, RENAMED)
}

fn merged(defaults: &str, args: &Args, renamed: &'static [Renamed]) -> anyhow::Result<Table> {
    let mut table: Table = format!("{defaults}\n{RUNTIME_DEFAULTS}").parse().context("the built-in defaults")?;
    let mut layers = Vec::new();
    if let Some(path) = &args.config {
        let text = fs::read_to_string(path).with_context(|| format!("configuration file {path}"))?;
        let over: Table = text.parse().with_context(|| format!("configuration file {path}"))?;
        layers.push((path.clone(), over));
    }
    for path in &args.params_files {
        layers.push((path.clone(), ros_parameters(Path::new(path))?));
    }
    for (key, value) in &args.params {
        layers.push((format!("parameter {key}"), nested(key, &table, value)));
    }
    for (place, over) in layers {
        refuse_renamed(&table, &over, &place, renamed)?;
        merge(&mut table, over, &place)?;
    }
    Ok(table)
}

/// Old keys of `over` among keys that `known` does not have.
fn refuse_renamed(known: &Table, over: &Table, place: &str, rows: &[Renamed]) -> Result<(), RenamedKey> {
    let mut paths: Vec<(String, &Table)> = vec![(String::new(), over)];
    while let Some((prefix, table)) = paths.pop() {
        for (key, value) in table {
            let path = format!("{prefix}{key}");
            if at(known, &path).is_none()
                && let Some(new) = new_name(rows, &path, |new| at(known, new).is_some())
            {
                return Err(RenamedKey { place: place.to_owned(), old: path, new });
            }
            paths.extend(value.as_table().map(|below| (format!("{path}."), below)));
        }
    }
    Ok(())
}

/// The value at a dotted path.
fn at<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        Some((head, rest)) => at(table.get(head)?.as_table()?, rest),
        None => table.get(path),
    }
}

/// `a.b` = value as nested tables; the type follows the default's, so that `device=0` can stay a text.
fn nested(key: &str, defaults: &Table, value: &str) -> Table {
    let (head, rest) = key.split_once('.').map_or((key, None), |(h, r)| (h, Some(r)));
    let below = defaults.get(head);
    let value = match rest {
        Some(rest) => {
            let empty = Table::new();
            Value::Table(nested(rest, below.and_then(Value::as_table).unwrap_or(&empty), value))
        }
        None => parameter(below, value),
    };
    Table::from_iter([(head.to_owned(), value)])
}

fn parameter(default: Option<&Value>, text: &str) -> Value {
    if matches!(default, Some(Value::String(_))) {
        // A text in double quotes is the text between them: that is how a launch file passes "7" to a ROS 2 node.
        let quoted = (text.len() >= 2 && text.starts_with('"') && text.ends_with('"'))
            .then(|| format!("v = {text}").parse::<Table>().ok()?.remove("v"))
            .flatten();
        return quoted.unwrap_or_else(|| Value::String(text.to_owned()));
    }
    // As ROS 2's <set_parameter> writes truth.
    let text = match text {
        "True" => "true",
        "False" => "false",
        other => other,
    };
    match format!("v = {text}").parse::<Table>().ok().and_then(|mut t| t.remove("v")) {
        Some(Value::Integer(i)) if matches!(default, Some(Value::Float(_))) => Value::Float(i as f64),
        Some(v) => v,
        None => Value::String(text.to_owned()),
    }
}

fn merge(base: &mut Table, over: Table, from: &str) -> anyhow::Result<()> {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (None, _) => {
                let known: Vec<&str> = base.keys().map(String::as_str).collect();
                bail!("{from}: unknown field {key:?}; known here: {}", known.join(", "));
            }
            (Some(Value::Table(b)), Value::Table(o)) => merge(b, o, from)?,
            (Some(slot @ Value::Float(_)), Value::Integer(i)) => *slot = Value::Float(i as f64),
            (Some(slot), value) if slot.same_type(&value) => *slot = value,
            (Some(slot), value) => {
                bail!("{from}: {key} must be of type {}, found {} of type {}", slot.type_str(), value, value.type_str())
            }
        }
    }
    Ok(())
}

/// Reads a ROS 2 parameter file: `<node or /**>: ros__parameters: {…}`. Empty texts of ROS stand for the default.
fn ros_parameters(path: &Path) -> anyhow::Result<Table> {
    let text = fs::read_to_string(path).with_context(|| format!("parameter file {}", path.display()))?;
    let file: serde_yaml_ng::Value =
        serde_yaml_ng::from_str(&text).with_context(|| format!("parameter file {}", path.display()))?;
    let mut all = Table::new();
    for (_, node) in file.as_mapping().into_iter().flatten() {
        let Some(parameters) = node.get("ros__parameters") else { continue };
        let table: Table = serde_yaml_ng::from_value(parameters.clone())
            .with_context(|| format!("parameter file {}: ros__parameters", path.display()))?;
        for (key, value) in table {
            if key != "use_sim_time" {
                all.extend(spread(&key, value));
            }
        }
    }
    Ok(all)
}

fn spread(key: &str, value: Value) -> Table {
    match key.split_once('.') {
        Some((head, rest)) => Table::from_iter([(head.to_owned(), Value::Table(spread(rest, value)))]),
        None => Table::from_iter([(key.to_owned(), value)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    const DEFAULTS: &str = "device = \"can0\"\nrate_hz = 10.0\ncount = 3\n[sub]\nflag = false\n";

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Config {
        device: String,
        rate_hz: f64,
        count: u32,
        sub: Sub,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Sub {
        flag: bool,
    }

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn later_layers_win_and_types_follow_the_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.toml");
        fs::write(&file, "rate_hz = 20\ncount = 4\n").unwrap();
        let ros = dir.path().join("p.yaml");
        fs::write(&ros, "/**:\n  ros__parameters:\n    count: 5\n    sub.flag: true\n    use_sim_time: false\n")
            .unwrap();
        let line = format!(
            "--config {} --ros-args -r __node:=can --params-file {} -p device:=7",
            file.display(),
            ros.display()
        );
        let (config, _) = load::<Config>(DEFAULTS, &Args::parse(words(&line)).unwrap()).unwrap();
        assert_eq!(config, Config { device: "7".into(), rate_hz: 20.0, count: 5, sub: Sub { flag: true } });
    }

    #[test]
    fn parameters_of_ros_launch_are_read() {
        for (param, device, flag) in [
            ("device:=\"7\"", "7", false),
            ("device:=\"\"", "", false),
            ("device:=\"a\\\"b\"", "a\"b", false),
            ("device:=\"half", "\"half", false),
            ("sub.flag:=True", "can0", true),
        ] {
            let args = Args::parse(words(&format!("--ros-args -p {param}"))).unwrap();
            let (config, _) = load::<Config>(DEFAULTS, &args).unwrap();
            assert_eq!((config.device.as_str(), config.sub.flag), (device, flag), "{param}");
        }
    }

    #[test]
    fn an_unknown_field_or_wrong_type_is_named() {
        for (param, expect) in
            [("devise=x", "devise"), ("count=abc", "count"), ("sub.flag=3", "flag"), ("count=-1", "count")]
        {
            let args = Args::parse(words(&format!("-p {param}"))).unwrap();
            let e = format!("{:#}", load::<Config>(DEFAULTS, &args).unwrap_err());
            assert!(e.contains(expect), "{e}");
        }
        let args = Args::parse(words("-p runtime.realtime_priority=100")).unwrap();
        let e = format!("{:#}", load::<Config>(DEFAULTS, &args).unwrap_err());
        assert_eq!(e, "runtime.realtime_priority = 100: expected 0 to 99 (0: none)");
        assert!(Args::parse(words("--frobnicate")).unwrap_err().to_string().contains("--frobnicate"));
    }

    #[test]
    fn a_renamed_key_is_an_error_that_names_the_new_key() {
        const ROWS: &[Renamed] = &[
            Renamed { owner: "can", old: "sub.on", new: "sub.flag" },
            Renamed { owner: "can", old: "hertz", new: "rate_hz" },
            Renamed { owner: "other", old: "count", new: "number" },
        ];
        let dir = tempfile::tempdir().unwrap();
        let (file, ros) = (dir.path().join("c.toml"), dir.path().join("p.yaml"));
        fs::write(&file, "[sub]\non = true\n").unwrap();
        fs::write(&ros, "/**:\n  ros__parameters:\n    hertz: 5.0\n").unwrap();
        let error = |line: String| merged(DEFAULTS, &Args::parse(words(&line)).unwrap(), ROWS).unwrap_err().to_string();
        let in_file = error(format!("--config {}", file.display()));
        assert!(in_file.contains("c.toml") && in_file.contains(r#""sub.on" is called "sub.flag" now"#), "{in_file}");
        let in_params = error(format!("--params-file {}", ros.display()));
        assert!(
            in_params.contains("p.yaml") && in_params.contains(r#""hertz" is called "rate_hz" now"#),
            "{in_params}"
        );
        let parameter = error("-p sub.on=true".into());
        assert!(parameter.contains(r#""sub.on" is called "sub.flag" now"#), "{parameter}");
        // Another node's old key that is a key here is taken as it is.
        assert!(merged(DEFAULTS, &Args::parse(words("-p count=4")).unwrap(), ROWS).is_ok());
    }

    proptest! {
        #[test]
        fn arbitrary_arguments_do_not_panic(words in proptest::collection::vec(".{0,12}", 0..8)) {
            if let Ok(args) = Args::parse(words) {
                let _ = load::<Config>(DEFAULTS, &Args { config: None, params_files: vec![], ..args });
            }
        }
    }
}
