//! The two workloads of this node in the workload table (`launch/workloads.toml`).

use serde::Deserialize;
use std::{path::Path, time::Duration};

/// Intent recognition, of the class assist.
const INTENT: &str = "language-intent";
/// Replies, of the class infotainment.
const DIALOGUE: &str = "language-dialogue";

/// The columns of a workload that this node uses.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Its name in the table.
    pub name: &'static str,
    /// The period over which its CPU time is counted.
    pub period: Duration,
    /// CPU time of the lowest level as a fraction of one core.
    pub floor_rate: f64,
    /// Whether the workload runs at its lowest level.
    pub floor_runs: bool,
    /// Cores of the machine: the share of a grant is a fraction of all of them.
    pub cores: f64,
}

/// Why the workload table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    #[error("workload table {path}: {source}; start in the root of the repository or set the key workloads")]
    Read { path: String, source: std::io::Error },
    #[error("workload table {path}: {source}")]
    Toml { path: String, source: toml::de::Error },
    #[error("workload table {path}: {what}")]
    Value { path: String, what: String },
}

#[derive(Deserialize)]
struct Table {
    capacity: Capacity,
    workload: Vec<Row>,
}
#[derive(Deserialize)]
struct Capacity {
    cpu_cores: f64,
}
#[derive(Deserialize)]
struct Row {
    name: String,
    /// Not there for safety workloads.
    #[serde(default)]
    period_ms: f64,
    level: Vec<Level>,
}
#[derive(Deserialize)]
struct Level {
    /// Not there for safety workloads.
    #[serde(default = "missing")]
    cpu_ms: f64,
    #[serde(default = "yes")]
    run: bool,
}

fn yes() -> bool {
    true
}

/// In no range.
fn missing() -> f64 {
    f64::NAN
}

/// The workloads of intent and dialogue from the table at `path`.
pub fn load(path: &Path) -> Result<[Workload; 2], WorkloadError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| WorkloadError::Read { path: name.clone(), source })?;
    parse(&text, &name)
}

fn parse(text: &str, path: &str) -> Result<[Workload; 2], WorkloadError> {
    let table: Table = toml::from_str(text).map_err(|source| WorkloadError::Toml { path: path.into(), source })?;
    let invalid = |what: String| WorkloadError::Value { path: path.into(), what };
    let cores = table.capacity.cpu_cores;
    if !(0.01..=1e4).contains(&cores) {
        return Err(invalid(format!("capacity.cpu_cores = {cores}: expected 0.01 to 10000")));
    }
    let find = |name: &'static str| {
        let row = table.workload.iter().find(|w| w.name == name);
        let row = row.ok_or_else(|| invalid(format!("it has no workload {name:?}, which the language node runs")))?;
        let floor = row.level.first().ok_or_else(|| invalid(format!("{name} has no level")))?;
        if !(1.0..=1e6).contains(&row.period_ms) || !(0.0..=row.period_ms).contains(&floor.cpu_ms) {
            let (period, cpu) = (row.period_ms, floor.cpu_ms);
            return Err(invalid(format!(
                "{name}: period_ms = {period}, cpu_ms = {cpu} at the lowest level: expected a period of 1 to 1000000 ms and at \
                 most that much CPU time"
            )));
        }
        Ok(Workload {
            name,
            period: Duration::from_secs_f64(row.period_ms / 1e3),
            floor_rate: floor.cpu_ms / row.period_ms,
            floor_runs: floor.run,
            cores,
        })
    };
    Ok([find(INTENT)?, find(DIALOGUE)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../../launch/workloads.toml");

    #[test]
    fn in_the_shipped_table_intent_runs_at_its_floor_and_dialogue_pauses() {
        let [intent, dialogue] = parse(SHIPPED, "shipped").unwrap();
        assert!(intent.floor_runs && intent.floor_rate > 0.0, "{intent:?}");
        assert!(!dialogue.floor_runs, "{dialogue:?}");
    }

    #[test]
    fn an_invalid_table_is_refused_with_the_reason() {
        for (old, new, expect) in [
            ("cpu_cores = 2.0", "cpu_cores = nan", "cpu_cores"),
            ("name = \"language-dialogue\"", "name = \"talk\"", "language-dialogue"),
            ("cpu_ms = 60", "cpu_ms = -1", "language-intent"),
        ] {
            assert!(SHIPPED.contains(old), "{old}");
            let e = parse(&SHIPPED.replacen(old, new, 1), "t").unwrap_err().to_string();
            assert!(e.contains(expect), "{e}");
        }
        assert!(load(Path::new("/nowhere/w.toml")).unwrap_err().to_string().contains("workloads"));
    }
}
