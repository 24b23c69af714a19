//! Reads and checks the workload table.

use super::{
    admission::{build, chains, response},
    error::{TableError, invalid},
    levels,
    types::{
        Activation, Class, EventSource, Level, MICRO, MODES, RESOURCE_NAMES, RESOURCES, TIMER, Thread, Workload,
        WorkloadTable,
    },
};
use auriga_msgs::{NODES, TOPICS, v1::Mode};
use auriga_runtime::{config::refuse_renamed, suggestion::suggestion};
use std::{collections::BTreeSet, path::Path};

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
        let mut table: WorkloadTable = toml::from_str(text)?;
        table.check_rows()?;
        table.fill_in_safety()?;
        MODES.into_iter().try_for_each(|mode| table.check_floors(mode))?;
        Ok(table)
    }

    fn check_rows(&self) -> Result<(), TableError> {
        let c = &self.capacity;
        within("capacity", "cpu_cores", c.cpu_cores, 0.1, 1024.0)?;
        within("capacity", "gpu", c.gpu, 0.0, 64.0)?;
        within("capacity", "memory_mib", c.memory_mib as f64, 1.0, 1e9)?;
        within("capacity", "bandwidth_mb_per_s", c.bandwidth_mb_per_s, 0.0, 1e9)?;
        within("capacity", "hop_ms", c.hop_ms, 0.0, 1000.0)?;
        for mode in MODES {
            let (place, limits) = (format!("mode {}", mode.name()), self.mode.of(mode));
            let parts =
                [("cpu", limits.cpu), ("gpu", limits.gpu), ("memory", limits.memory), ("bandwidth", limits.bandwidth)];
            for (field, value) in parts {
                within(&place, field, value, 0.0, 1.0)?;
            }
        }
        let mut names = BTreeSet::new();
        for w in &self.workloads {
            if !names.insert(w.name.as_str()) {
                return Err(invalid(format!("workload {}", w.name), "name", "stands twice; give each its own"));
            }
            check_workload(w)?;
            w.threads.iter().try_for_each(|t| self.check_core(w, t))?;
        }
        check_sources("source", &self.sources)?;
        check_sources("limit", &self.limits)?;
        if let Some(limit) = self.limits.iter().find(|l| !TOPICS.iter().any(|t| t.name == l.name)) {
            let like = suggestion(&limit.name, TOPICS.iter().map(|t| t.name));
            return Err(invalid(format!("limit {}", limit.name), "name", format!("is not a topic{like}")));
        }
        for a in &self.ages {
            within(&format!("age {}", a.name), "max_ms", a.max_ms, 0.1, 3.6e6)?;
        }
        for (w, t) in self.safety().flat_map(|w| w.threads.iter().map(move |t| (w, t))) {
            build::check_names(self, w, t)?;
        }
        let model = build::model(self)?;
        build::check_complete(self)?;
        chains::check(self, &model)
    }

    /// Of safety workloads the cores that they take on average follow from their threads and what releases these.
    fn fill_in_safety(&mut self) -> Result<(), TableError> {
        let model = build::model(self)?;
        let loads = response::loads(&model.system);
        for w in self.workloads.iter_mut().filter(|w| w.class == Class::Safety) {
            let own = model.threads.iter().zip(&loads).filter(|(t, _)| t.workload == w.name);
            let cores: f64 = own.map(|(_, load)| load).sum();
            w.period_ms = SAFETY_PERIOD_MS;
            w.levels.iter_mut().for_each(|l| l.cpu_ms = cores * SAFETY_PERIOD_MS);
        }
        Ok(())
    }

    /// A workload pinned to a core that the machine lacks would be analysed on a core of its own.
    fn check_core(&self, w: &Workload, t: &Thread) -> Result<(), TableError> {
        let (cores, core) = (self.capacity.cpu_cores.ceil(), t.core);
        if f64::from(core) < cores {
            return Ok(());
        }
        let problem = format!("{core}: with capacity.cpu_cores = {cores} there are cores 0 to {}", cores - 1.0);
        Err(invalid(format!("workload {}, thread {}", w.name, t.name), "core", problem))
    }

    /// Whether safety and the lowest levels of the rest fit into a mode: below that there is nothing to arbitrate.
    fn check_floors(&self, mode: Mode) -> Result<(), TableError> {
        let mut floors = [0; RESOURCES];
        for (w, level) in self.workloads.iter().filter_map(|w| Some((w, w.levels.first()?))) {
            let cost = w.cost(level);
            floors = std::array::from_fn(|r| floors[r] + cost[r]);
        }
        let available = self.capacity.within(self.mode.of(mode));
        for r in 0..RESOURCES {
            if floors[r] > available[r] {
                let unit = if r < 2 { MICRO } else { 1.0 };
                return Err(TableError::FloorsDoNotFit {
                    mode: mode.name(),
                    resource: RESOURCE_NAMES[r],
                    needed: floors[r] as f64 / unit,
                    available: available[r] as f64 / unit,
                });
            }
        }
        Ok(())
    }
}

/// The period over which the costs of safety workloads are counted, in milliseconds.
const SAFETY_PERIOD_MS: f64 = 1000.0;

fn within(place: &str, field: &str, value: f64, low: f64, high: f64) -> Result<(), TableError> {
    // NaN is in no range.
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(invalid(place, field, format!("{value} is not within {low} to {high}")))
}

fn check_sources(kind: &str, sources: &[EventSource]) -> Result<(), TableError> {
    let mut names = BTreeSet::new();
    for s in sources {
        let place = format!("{kind} {}", s.name);
        if !names.insert(s.name.as_str()) {
            return Err(invalid(place, "name", "stands twice; give each its own"));
        }
        check_source(s, place)?;
    }
    Ok(())
}

fn check_source(s: &EventSource, place: String) -> Result<(), TableError> {
    within(&place, "distance_ms", s.distance_ms, 0.0, 1e4)?;
    within(&place, "delay_ms", s.delay_ms, 0.0, 1e4)?;
    if s.streams.is_empty() || s.streams.len() > 64 {
        return Err(invalid(place, "stream", format!("{} streams: expected 1 to 64", s.streams.len())));
    }
    for stream in &s.streams {
        within(&place, "period_ms", stream.period_ms, 0.01, 3.6e6)?;
        within(&place, "jitter_ms", stream.jitter_ms, 0.0, 1e5)?;
        within(&place, "burst", stream.burst as f64, 1.0, 1000.0)?;
        within(&place, "count", stream.count as f64, 1.0, 1000.0)?;
        within(&place, "stream.distance_ms", stream.distance_ms, 0.0, stream.period_ms / stream.burst as f64)?;
    }
    Ok(())
}

fn check_workload(w: &Workload) -> Result<(), TableError> {
    let place = format!("workload {}", w.name);
    let Some(node) = NODES.iter().find(|n| n.name == w.node) else {
        let like = suggestion(&w.node, NODES.iter().map(|n| n.name));
        let problem = format!("{:?} is not a node of the topic table, msgs/topics.toml{like}", w.node);
        return Err(invalid(place, "node", problem));
    };
    within(&place, "deadline_ms", w.deadline_ms, 0.01, 3.6e6)?;
    if w.levels.is_empty() || w.levels.len() > 16 {
        return Err(invalid(place, "level", format!("{} levels: expected 1 to 16", w.levels.len())));
    }
    levels::check_names(w)?;
    if w.class == Class::Safety {
        if node.criticality != auriga_msgs::Criticality::Safety {
            return Err(invalid(place, "node", format!("{} is not a safety node in msgs/topics.toml", w.node)));
        }
        check_safety(w, &place)?;
    } else {
        if !w.threads.is_empty() {
            return Err(invalid(place, "thread", "is for safety workloads only"));
        }
        within(&place, "period_ms", w.period_ms, 0.1, 3.6e6)?;
    }
    w.levels.iter().try_for_each(|level| check_level(w, level))
}

fn check_safety(w: &Workload, place: &str) -> Result<(), TableError> {
    if !w.period_ms.is_nan() {
        let problem = "is for other workloads; a safety workload is released by what its threads are activated by";
        return Err(invalid(place, "period_ms", problem));
    }
    if w.levels.len() != 1 {
        let problem = format!("{} levels: a safety workload has one, it is never degraded", w.levels.len());
        return Err(invalid(place, "level", problem));
    }
    let mut names = BTreeSet::new();
    for t in &w.threads {
        let place = format!("{place}, thread {}", t.name);
        if !names.insert(t.name.as_str()) {
            return Err(invalid(place, "name", "stands twice; give each its own"));
        }
        within(&place, "priority", t.priority.into(), 1.0, 99.0)?;
        within(&place, "core", t.core.into(), 0.0, 1023.0)?;
        within(&place, "blocking_ms", t.blocking_ms, 0.0, 1e4)?;
        within(&place, "release_ms", t.release_ms, 0.0, 1e4)?;
        within(&place, "deadline_ms", t.deadline_ms.unwrap_or(w.deadline_ms), 0.01, 3.6e6)?;
        t.activations.iter().try_for_each(|a| check_activation(a, &place))?;
        if t.activations.is_empty() {
            return Err(invalid(place, "activation", "is missing: what activates the thread?"));
        }
    }
    if !names.contains("main") {
        return Err(invalid(place, "thread", "\"main\" is missing: the thread that runs the node"));
    }
    Ok(())
}

fn check_activation(a: &Activation, place: &str) -> Result<(), TableError> {
    let place = format!("{place}, on {}", a.on);
    within(&place, "cpu_ms", a.cpu_ms, 0.0, 1e5)?;
    within(&place, "suspension_ms", a.suspension_ms, 0.0, 1e5)?;
    within(&place, "suspensions", a.suspensions as f64, 1.0, 1000.0)?;
    match (a.on == TIMER, a.every_ms) {
        (true, None) => Err(invalid(place, "every_ms", "is missing: the period of the timer")),
        (true, Some(every_ms)) => within(&place, "every_ms", every_ms, 0.1, 3.6e6),
        (false, Some(_)) => Err(invalid(place, "every_ms", "is for on = \"timer\" only")),
        (false, None) => Ok(()),
    }
}

fn check_level(w: &Workload, level: &Level) -> Result<(), TableError> {
    let place = format!("workload {}", w.name);
    let field = |name: &str| format!("level {}: {name}", level.name);
    match (w.class, level.cpu_ms.is_nan()) {
        (Class::Safety, true) => within(&place, &field("gpu_ms"), level.gpu_ms, 0.0, SAFETY_PERIOD_MS * 64.0)?,
        (Class::Safety, false) => {
            return Err(invalid(place, field("cpu_ms"), "of a safety workload stands in its threads' activations"));
        }
        (_, true) => return Err(invalid(place, field("cpu_ms"), "is missing")),
        (_, false) => {
            within(&place, &field("cpu_ms"), level.cpu_ms, 0.0, w.period_ms * 1024.0)?;
            within(&place, &field("gpu_ms"), level.gpu_ms, 0.0, w.period_ms * 64.0)?;
        }
    }
    within(&place, &field("bandwidth_mb_per_s"), level.bandwidth_mb_per_s, 0.0, 1e9)?;
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
            ("node = \"hud\"", "node = \"hut\"", ["hud-warnings", "nearest: hud"]),
            (
                "class = \"assist\"\nperiod_ms = 1000",
                "class = \"assist\"\nperiod_ms = -1",
                ["language-intent", "period_ms"],
            ),
            (
                "class = \"assist\"\nperiod_ms = 1000",
                "class = \"assist\"\nperiod_ms = nan",
                ["language-intent", "period_ms"],
            ),
            ("priority = 90", "priority = 0", ["fusion", "priority"]),
            ("cpu_weight = 300", "cpu_weight = 0", ["language-intent", "cpu_weight"]),
            ("utility = 25", "utility = inf", ["language-dialogue", "utility"]),
            ("name = \"fusion\"", "name = \"can\"", ["can", "twice"]),
            ("class = \"assist\"", "class = \"safety\"", ["language-intent", "not a safety node"]),
            ("class = \"assist\"", "class = \"asist\"", ["asist", "nearest: assist"]),
            ("name = \"steady\"", "name = \"stedy\"", ["language-dialogue", "nearest: steady"]),
            ("name = \"brief\"", "name = \"full\"", ["language-dialogue", "level 3"]),
            ("tasks = [\"fusion\", \"arbiter\"]", "tasks = [\"fusoin\"]", ["hazard-to-grants", "nearest: fusion"]),
            (
                "name = \"hazard-to-grants\"",
                "name = \"hazard-to-grunts\"",
                ["hazard-to-grunts", "nearest: hazard-to-grants"],
            ),
            ("cpu_cores = 2.0", "cpu_cores = 0", ["capacity", "cpu_cores"]),
            ("cpu = 0.62", "cpu = 0.1", ["limp", "cores"]),
            ("gpu_ms = 0", "gpu_mss = 0", ["gpu_mss", "nearest: gpu_ms"]),
            ("core = 1", "core = 2", ["fusion", "cores 0 to 1"]),
            ("assist = \"floor\"", "assist = \"ground\"", ["ground", "floor"]),
            ("on = \"perception/lanes\"", "on = \"perception/lane\"", ["fusion", "nearest: perception/lanes"]),
            ("on = \"perception/lanes\"", "on = \"fusion/hazard\"", ["fusion", "does not read"]),
            ("{ on = \"speech/utterance\", cpu_ms = 0.05 },\n", "", ["node fusion", "none is on speech/utterance"]),
            (
                "publishes = [\"perception/lanes\"]",
                "publishes = [\"vehicle/state\"]",
                ["perception", "does not publish"],
            ),
            (", with = [\"hud-decor\"]", "", ["hud-decor", "would"]),
            ("name = \"camera-frames\"", "name = \"camera-frame\"", ["camera-source", "nearest: camera-frame"]),
            (
                r#"["can", "fusion", "arbiter"]"#,
                r#"["can", "arbiter"]"#,
                ["evidence-to-revocation", "leaves out fusion"],
            ),
            (
                r#"["camera", "perception", "fusion"]"#,
                r#"["camera", "fusion"]"#,
                ["camera-to-hazard", "leaves out perception"],
            ),
            (r#"["camera", "perception"]"#, r#"["perception"]"#, ["camera-to-lanes", "leaves out camera"]),
            (r#"["camera", "perception"]"#, r#"["camera"]"#, ["camera-to-lanes", "leaves out perception"]),
            (
                r#"["can", "fusion"]"#,
                r#"["can", "camera", "fusion"]"#,
                ["evidence-to-warning", "camera is not on the way"],
            ),
            (
                "[[chain]]\nname = \"can-to-vehicle-state\"\ntasks = [\"can\"]\n",
                "",
                ["chain", "can-to-vehicle-state is missing"],
            ),
            ("accepted_ms = 7", "accepted_ms = 1", ["evidence-to-warning", "accepted_ms"]),
            ("priority = 90", "priority = 90\ncost = 1", ["cost", "line"]),
        ] {
            let e = error(from, to);
            assert!(expected.iter().all(|x| e.contains(x)), "{from} -> {to}: {e}");
        }
    }

    #[test]
    fn a_table_without_chains_is_refused() {
        let without = &SHIPPED[..SHIPPED.find("[[chain]]").unwrap()];
        let e = WorkloadTable::parse(without).unwrap_err().to_string();
        assert!(e.contains("is missing") && e.contains("msgs/topics.toml"), "{e}");
    }

    #[test]
    fn a_key_of_the_former_table_is_refused_with_its_new_name() {
        let e = error("deadline_ms = 1\n", "deadline_ms = 1\ncore = 0\n");
        assert!(e.contains("workload.thread.core"), "{e}");
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
