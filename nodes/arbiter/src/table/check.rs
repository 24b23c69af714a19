//! Reads and checks the workload table.

use super::types::{Chain, Class, Level, MICRO, MODES, RESOURCES, Workload, WorkloadTable};
use auriga_msgs::{CHAINS, ChainSpec, Edge, NODES, TOPICS, TopicId, v1::Mode};
use auriga_runtime::config::{RenamedKey, refuse_renamed};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Why a table is refused.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file cannot be read.
    #[error("workload table {path}: {source}; give its place with -p workloads=FILE")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, or a field is missing, unknown or of another type.
    #[error("workload table: {0}")]
    Parse(#[from] toml::de::Error),
    /// A key has another name now.
    #[error(transparent)]
    Renamed(#[from] RenamedKey),
    /// A value is not allowed.
    #[error("workload table: {place}: {field}: {problem}")]
    Invalid {
        /// "workload camera", "capacity", …
        place: String,
        /// The field.
        field: String,
        /// What was found and what is expected.
        problem: String,
    },
    /// The lowest levels of all workloads together exceed what a mode may plan with.
    #[error(
        "workload table: mode {mode}: the lowest levels alone need {needed:.3} {resource}, the mode may plan with {available:.3}"
    )]
    FloorsDoNotFit {
        /// The mode.
        mode: &'static str,
        /// Which resource, in which unit.
        resource: &'static str,
        /// The sum of all floors.
        needed: f64,
        /// What the mode may plan with.
        available: f64,
    },
}

fn invalid(place: impl Into<String>, field: impl Into<String>, problem: impl Into<String>) -> TableError {
    TableError::Invalid { place: place.into(), field: field.into(), problem: problem.into() }
}

impl WorkloadTable {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, or breaks a rule of the table; the error names the place and the field.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, TableError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| TableError::Read { path: path.into(), source })?;
        Self::parse(&text)
    }

    /// Reads and checks TOML text.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(text: &str) -> Result<Self, TableError> {
        refuse_renamed("workloads", "workload table", &text.parse::<toml::Table>()?)?;
        let table: WorkloadTable = toml::from_str(text)?;
        table.check()?;
        Ok(table)
    }

    fn check(&self) -> Result<(), TableError> {
        let c = &self.capacity;
        within("capacity", "cpu_cores", c.cpu_cores, 0.1, 1024.0)?;
        within("capacity", "gpu", c.gpu, 0.0, 64.0)?;
        within("capacity", "memory_mib", c.memory_mib as f64, 1.0, 1e9)?;
        within("capacity", "hop_ms", c.hop_ms, 0.0, 1000.0)?;
        for mode in MODES {
            let (place, limits) = (format!("mode {}", mode.name()), self.mode.of(mode));
            for (field, value) in [("cpu", limits.cpu), ("gpu", limits.gpu), ("memory", limits.memory)] {
                within(&place, field, value, 0.0, 1.0)?;
            }
        }
        let mut names = BTreeSet::new();
        for w in &self.workloads {
            if !names.insert(w.name.as_str()) {
                return Err(invalid(format!("workload {}", w.name), "name", "stands twice; give each its own"));
            }
            check_workload(w)?;
            self.check_core(w)?;
        }
        if self.chains.is_empty() {
            let problem =
                "there is none, so no end-to-end budget would be analysed; add the chains of msgs/topics.toml";
            return Err(invalid("table", "chain", problem));
        }
        self.chains.iter().try_for_each(|chain| self.check_chain(chain))?;
        MODES.into_iter().try_for_each(|mode| self.check_floors(mode))
    }

    /// A workload pinned to a core that the machine lacks would be analysed on a core of its own.
    fn check_core(&self, w: &Workload) -> Result<(), TableError> {
        let cores = self.capacity.cpu_cores.ceil();
        match w.core.filter(|core| f64::from(*core) >= cores) {
            None => Ok(()),
            Some(core) => {
                let problem = format!("{core}: with capacity.cpu_cores = {cores} there are cores 0 to {}", cores - 1.0);
                Err(invalid(format!("workload {}", w.name), "core", problem))
            }
        }
    }

    fn check_chain(&self, chain: &Chain) -> Result<(), TableError> {
        let place = format!("chain {}", chain.name);
        let Some(spec) = CHAINS.iter().find(|c| c.name == chain.name) else {
            return Err(invalid(place, "name", "is not a chain of the topic table, msgs/topics.toml"));
        };
        if chain.tasks.is_empty() {
            return Err(invalid(place, "tasks", "is empty"));
        }
        let mut nodes = Vec::new();
        for task in &chain.tasks {
            match self.workload(task).filter(|w| w.class == Class::Safety) {
                Some(w) => nodes.push(w.node.as_str()),
                None => {
                    return Err(invalid(place, "tasks", format!("{task:?} is not a safety workload of this table")));
                }
            }
        }
        path_problem(spec, &nodes).map_or(Ok(()), |problem| Err(invalid(place, "tasks", problem)))
    }

    /// Whether safety and the lowest levels of the rest fit into a mode: below that there is nothing to arbitrate.
    fn check_floors(&self, mode: Mode) -> Result<(), TableError> {
        let mut floors = [0; RESOURCES];
        for (w, level) in self.workloads.iter().filter_map(|w| Some((w, w.levels.first()?))) {
            let cost = w.cost(level);
            floors = std::array::from_fn(|r| floors[r] + cost[r]);
        }
        let (c, limits) = (&self.capacity, self.mode.of(mode));
        let rows = [
            ("cores", floors[0] as f64 / MICRO, c.cpu_cores * limits.cpu),
            ("GPU", floors[1] as f64 / MICRO, c.gpu * limits.gpu),
            ("MiB of memory", floors[2] as f64, c.memory_mib as f64 * limits.memory),
        ];
        for (resource, needed, available) in rows {
            if needed > available + 1e-9 {
                return Err(TableError::FloorsDoNotFit { mode: mode.name(), resource, needed, available });
            }
        }
        Ok(())
    }
}

/// What is wrong with the path of a chain through the nodes of the topic table: it has to begin and end where the chain
/// does, and each node has to read a topic of the node before it.
fn path_problem(spec: &ChainSpec, nodes: &[&str]) -> Option<String> {
    let publisher = |topic: TopicId| topic.spec().publisher;
    let reads = |node: &str, topic: TopicId| NODES.iter().any(|n| n.name == node && n.reads.contains(&topic));
    let (first, last) = (*nodes.first()?, *nodes.last()?);
    let end = publisher(spec.to);
    if last != end {
        return Some(format!(
            "ends at node {last}, but {} is published by {end}; add its workload",
            spec.to.spec().name
        ));
    }
    match (spec.from, spec.from_edge, spec.source) {
        (Some(from), Edge::Published, _) if !reads(first, from) => {
            return Some(format!("begins at node {first}, which does not read {}", from.spec().name));
        }
        (Some(from), Edge::Stamp, _) if !nodes.contains(&publisher(from)) => {
            return Some(format!("leaves out node {}, which publishes {}", publisher(from), from.spec().name));
        }
        _ => {}
    }
    let from_published = spec.from.is_some() && spec.from_edge == Edge::Published;
    if let Some(source) = spec.source.filter(|s| !from_published && publisher(*s) != first) {
        return Some(format!("leaves out node {}, which publishes {}", publisher(source), source.spec().name));
    }
    let reads_device = TOPICS.iter().any(|t| t.is_device() && reads(first, t.id));
    if spec.from.is_none() && spec.source.is_none() && !reads_device {
        return Some(format!("begins at node {first}, which has no device; add the workloads before it"));
    }
    let linked = |pair: &&[&str]| TOPICS.iter().any(|t| t.publisher == pair[0] && reads(pair[1], t.id));
    let gap = nodes.windows(2).filter(|pair| pair[0] != pair[1]).find(|pair| !linked(pair))?;
    Some(format!("node {} reads no topic of node {}; add the workloads between them", gap[1], gap[0]))
}

fn within(place: &str, field: &str, value: f64, low: f64, high: f64) -> Result<(), TableError> {
    // NaN is in no range.
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(invalid(place, field, format!("{value} is not within {low} to {high}")))
}

fn check_workload(w: &Workload) -> Result<(), TableError> {
    let place = format!("workload {}", w.name);
    let Some(node) = NODES.iter().find(|n| n.name == w.node) else {
        return Err(invalid(place, "node", format!("{:?} is not a node of the topic table, msgs/topics.toml", w.node)));
    };
    within(&place, "period_ms", w.period_ms, 0.1, 3.6e6)?;
    within(&place, "deadline_ms", w.deadline_ms, 0.01, 3.6e6)?;
    let timing = [
        ("core", w.core.map(f64::from), 1023.0),
        ("priority", w.priority.map(f64::from), 99.0),
        ("jitter_ms", w.jitter_ms, 1e4),
        ("blocking_ms", w.blocking_ms, 1e4),
    ];
    for (field, value, high) in timing {
        match (w.class, value) {
            (Class::Safety, None) => {
                return Err(invalid(place, field, "is missing: a safety workload is analysed with it"));
            }
            (Class::Safety, Some(v)) => within(&place, field, v, if field == "priority" { 1.0 } else { 0.0 }, high)?,
            (_, Some(_)) => return Err(invalid(place, field, "is for safety workloads only")),
            (_, None) => {}
        }
    }
    if w.class == Class::Safety {
        if node.criticality != auriga_msgs::Criticality::Safety {
            return Err(invalid(place, "node", format!("{} is not a safety node in msgs/topics.toml", w.node)));
        }
        if w.levels.len() != 1 {
            let problem = format!("{} levels: a safety workload has one, it is never degraded", w.levels.len());
            return Err(invalid(place, "level", problem));
        }
    }
    if w.levels.is_empty() || w.levels.len() > 16 {
        return Err(invalid(place, "level", format!("{} levels: expected 1 to 16", w.levels.len())));
    }
    for level in &w.levels {
        check_level(w, level)?;
    }
    Ok(())
}

fn check_level(w: &Workload, level: &Level) -> Result<(), TableError> {
    let place = format!("workload {}", w.name);
    let field = |name: &str| format!("level {}: {name}", level.name);
    within(&place, &field("cpu_ms"), level.cpu_ms, 0.0, w.period_ms * 1024.0)?;
    within(&place, &field("gpu_ms"), level.gpu_ms, 0.0, w.period_ms * 64.0)?;
    within(&place, &field("memory_mib"), level.memory_mib as f64, 0.0, 1e9)?;
    within(&place, &field("utility"), level.utility, 0.0, 1e6)?;
    within(&place, &field("cpu_weight"), level.cpu_weight.into(), 1.0, 10_000.0)?;
    if w.class == Class::Safety && !level.run {
        return Err(invalid(place, field("run"), "a safety workload always runs"));
    }
    if !level.run && (level.cpu_ms > 0.0 || level.gpu_ms > 0.0) {
        return Err(invalid(place, field("run"), "is false, but the level costs processor time"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHIPPED: &str = include_str!("../../../../launch/workloads.toml");

    fn error(from: &str, to: &str) -> String {
        assert!(SHIPPED.contains(from), "{from}");
        WorkloadTable::parse(&SHIPPED.replacen(from, to, 1)).unwrap_err().to_string()
    }

    #[test]
    fn the_shipped_table_is_valid_and_has_the_workloads_that_nodes_use() {
        let table = WorkloadTable::parse(SHIPPED).unwrap();
        for name in ["language-intent", "language-dialogue", "hud-decor", "recording", "hud-warnings", "camera"] {
            assert!(table.workload(name).is_some(), "{name}");
        }
        let decor = table.workload("hud-decor").unwrap();
        assert!(!decor.levels[0].run);
    }

    #[test]
    fn an_error_names_the_workload_and_the_field() {
        for (from, to, expected) in [
            ("node = \"hud\"", "node = \"hut\"", ["hud-warnings", "node"]),
            ("period_ms = 1000", "period_ms = -1", ["language-intent", "period_ms"]),
            ("period_ms = 1000", "period_ms = nan", ["language-intent", "period_ms"]),
            ("priority = 88", "", ["fusion", "priority"]),
            ("cpu_weight = 300", "cpu_weight = 0", ["language-intent", "cpu_weight"]),
            ("utility = 25", "utility = inf", ["language-dialogue", "utility"]),
            ("name = \"fusion\"", "name = \"can\"", ["can", "twice"]),
            ("class = \"assist\"", "class = \"safety\"", ["language-intent", "core"]),
            ("tasks = [\"arbiter\"]", "tasks = [\"recording\"]", ["hazard-to-grants", "recording"]),
            ("name = \"hazard-to-grants\"", "name = \"hazard-to-grunts\"", ["hazard-to-grunts", "name"]),
            ("cpu_cores = 2.0", "cpu_cores = 0", ["capacity", "cpu_cores"]),
            ("cpu = 0.55", "cpu = 0.1", ["limp", "cores"]),
            ("gpu_ms = 0", "gpu_mss = 0", ["gpu_mss", "line"]),
            ("core = 1", "core = 2", ["perception", "cores 0 to 1"]),
            ("assist = \"floor\"", "assist = \"ground\"", ["ground", "floor"]),
            (r#"["can", "fusion", "arbiter"]"#, r#"["can", "arbiter"]"#, ["evidence-to-revocation", "out node fusion"]),
            (
                r#"["camera", "perception", "fusion"]"#,
                r#"["perception", "fusion"]"#,
                ["camera-to-hazard", "out node camera"],
            ),
            (r#"["camera", "perception"]"#, r#"["perception"]"#, ["camera-to-lanes", "no device"]),
            (r#"["camera", "perception"]"#, r#"["camera"]"#, ["camera-to-lanes", "published by perception"]),
            (r#"["can", "fusion"]"#, r#"["can", "camera", "fusion"]"#, ["evidence-to-warning", "no topic of node can"]),
        ] {
            let e = error(from, to);
            assert!(expected.iter().all(|x| e.contains(x)), "{from} -> {to}: {e}");
        }
    }

    #[test]
    fn a_table_without_chains_is_refused() {
        let without = &SHIPPED[..SHIPPED.find("[[chain]]").unwrap()];
        let e = WorkloadTable::parse(without).unwrap_err().to_string();
        assert!(e.contains("no end-to-end budget") && e.contains("msgs/topics.toml"), "{e}");
    }

    #[test]
    fn a_level_that_does_not_run_must_cost_nothing() {
        let e = error("name = \"paused\"\ncpu_ms = 0", "name = \"paused\"\ncpu_ms = 5");
        assert!(e.contains("language-dialogue") && e.contains("run"), "{e}");
    }

    proptest! {
        #[test]
        fn any_text_gives_a_table_or_an_error(text in ".{0,200}", cut in 0usize..SHIPPED.len(), insert in ".{0,8}") {
            let _ = WorkloadTable::parse(&text);
            if SHIPPED.is_char_boundary(cut) {
                let _ = WorkloadTable::parse(&format!("{}{insert}{}", &SHIPPED[..cut], &SHIPPED[cut..]));
            }
        }
    }
}
