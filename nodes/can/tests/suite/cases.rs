//! Logs, databases and mappings as people have them, each through the node: `shared/data/cases/can`.

use auriga_can::{CanNode, dbc::Database, log, mapping::Mapping};
use auriga_msgs::{Any, v1};
use auriga_runtime::{Nanos, Replay};
use auriga_testing::shared_data;
use std::{path::PathBuf, time::Duration};
use v1::vss_signal::Value;

/// What came out of the node for one log.
#[derive(Default)]
struct Run {
    states: Vec<v1::VehicleState>,
    faults: Vec<v1::Fault>,
    /// Of the log: lines passed over, jumps of the clock.
    notices: Vec<String>,
}

impl Run {
    /// All values of a VSS path in their order, with their time in seconds.
    fn numbers(&self, path: &str) -> Vec<(f64, Option<f64>)> {
        let signals = self.states.iter().flat_map(|s| s.signals.iter()).filter(|s| s.path == path);
        let number = |s: &v1::VssSignal| match s.value {
            Some(Value::Number(number)) => Some(number),
            _ => None,
        };
        signals.map(|s| (s.stamp_ns as f64 / 1e9, number(s))).collect()
    }

    fn told(&self, text: &str) -> bool {
        self.notices.iter().any(|n| n.contains(text)) || self.faults.iter().any(|f| f.text.contains(text))
    }
}

fn case(name: &str) -> Option<PathBuf> {
    shared_data(&format!("cases/can/{name}"))
}

/// Plays a log through a node; `bus`: added to the mapping.
fn play(log: &str, dbc: &str, mapping: &str, bus: &str) -> Option<Run> {
    let (log, dbc, mapping) = (case(log)?, case(dbc)?, case(mapping)?);
    let database = Database::load(&dbc).unwrap_or_else(|e| panic!("{e}"));
    let text = format!("{bus}\n{}", std::fs::read_to_string(&mapping).expect("readable"));
    let mapping = Mapping::parse(&text, "vss.toml", &database).unwrap_or_else(|e| panic!("{e}"));
    let mut frames = log::frames(&log, Nanos::ZERO).expect("a log");
    let mut batches = Vec::new();
    let mut run = Run::default();
    for batch in frames.by_ref() {
        batches.push(batch.map(|(t, frames)| (t, Any::DeviceCan(frames.into()))));
    }
    run.notices = frames.take_notices().into_iter().map(|n| format!("{}: {}", n.place, n.text)).collect();
    let mut replay = Replay::new();
    replay.add(CanNode::with(database, mapping));
    let sink = |any: &Any| {
        match any {
            Any::VehicleState(state) => run.states.push((**state).clone()),
            Any::Fault(fault) => run.faults.push((**fault).clone()),
            _ => {}
        }
        Ok(())
    };
    replay.run(batches.into_iter(), Duration::from_secs(1), |_, _| (), sink).expect("a replay");
    Some(run)
}

#[test]
fn logs_give_all_their_values_and_say_what_was_passed_over() {
    for (log, told) in [
        ("short_frame.log", "expected 8 bytes, found 7"),
        ("view_no_time.log", "the lines have no time"),
        ("cut_last.log", ".log:21: the file ends within the line"),
        ("foreign_line.log", ".log:11: "),
        ("start_770s.log", "begins at 770.593 s"),
        ("clock_forward.log", ".log:11: the frames from here on are 244000000.050 s ahead of"),
        ("clock_back.log", ".log:11: the frames from here on are 3599.950 s behind"),
        ("utf8_bom.log", ""),
    ] {
        let Some(run) = play(log, "l.dbc", "l.toml", "") else { return };
        let speeds: Vec<Option<f64>> = run.numbers("Vehicle.Test.SPD").iter().map(|(_, v)| *v).collect();
        let counts: Vec<Option<f64>> = run.numbers("Vehicle.Test.CNT").iter().map(|(_, v)| *v).collect();
        // The end of a cut frame is missing: its speed is there, its counter is not.
        let more = usize::from(log == "cut_last.log" && speeds.len() == 21);
        let expected: Vec<Option<f64>> = (0..20 + more).map(|i| Some(10.0 + i as f64)).collect();
        let near = |(a, b): (&Option<f64>, &Option<f64>)| (a.unwrap_or(-1.0) - b.unwrap_or(-2.0)).abs() < 1e-9;
        assert!(speeds.len() == expected.len() && speeds.iter().zip(&expected).all(near), "{log}: {speeds:?}");
        assert_eq!(counts, (0..20).map(|i| Some(f64::from(i))).collect::<Vec<_>>(), "{log}");
        let first = run.numbers("Vehicle.Test.SPD")[0].0;
        assert!(first < 1.0, "{log}: the first value comes at {first} s");
        assert!(told.is_empty() || run.told(told), "{log}: {:?} {:?}", run.notices, run.faults);
        let messages = run.notices.len() + run.faults.len();
        assert_eq!(messages, usize::from(!told.is_empty()), "{log}: {:?} {:?}", run.notices, run.faults);
    }
}

#[test]
fn two_buses_are_not_mixed() {
    for (choice, first) in [("bus = \"can0\"", 10.0), ("bus = \"can1\"", f64::NAN)] {
        let Some(run) = play("two_buses.log", "l.dbc", "l.toml", choice) else { return };
        let speeds: Vec<f64> = run.numbers("Vehicle.Test.SPD").into_iter().filter_map(|(_, v)| v).collect();
        if first.is_nan() {
            // 655.35 km/h is outside the range of the database.
            assert!(speeds.is_empty() && run.told("655.35"), "{speeds:?}");
        } else {
            assert_eq!(speeds, (10..30).map(f64::from).collect::<Vec<_>>());
            assert!(run.faults.is_empty(), "{:?}", run.faults);
        }
    }
    let Some(run) = play("two_buses.log", "l.dbc", "l.toml", "") else { return };
    assert!(run.told("come from can0 and from can1"), "{:?}", run.faults);
    assert!(run.numbers("Vehicle.Test.SPD").iter().all(|(_, v)| v.is_none_or(|v| v < 30.0)));
}

#[test]
fn j1939_is_matched_by_parameter_group_and_its_codes_are_no_values() {
    let Some(run) = play("j1939.log", "j1939.dbc", "j1939.toml", "") else { return };
    let engine = run.numbers("Vehicle.Powertrain.CombustionEngine.Speed");
    assert_eq!(engine.len(), 20);
    assert_eq!((engine[0].1, engine[19].1), (Some(621.0), Some(623.375)));
    let speed: Vec<Option<f64>> = run.numbers("Vehicle.Speed").iter().map(|(_, v)| *v).collect();
    assert_eq!(speed, [Some(50.0), None]);
    assert!(run.numbers("Vehicle.Speed")[1].0 > 1.5);
    assert_eq!(run.states.last().expect("states").speed_mps, None);
    assert!(run.told("source addresses"), "{:?}", run.faults);
}

#[test]
fn databases_with_faults_are_loaded_without_the_faulty_items() {
    let load = |name: &str| case(name).map(|path| Database::load(path).unwrap_or_else(|e| panic!("{e}")));
    let decoded = |database: &Database, message: &str, data: &[u8]| -> Vec<f64> {
        database.message_by_name(message).expect(message).decode(data).map(|(_, value)| value).collect()
    };
    let Some(bound) = load("bound.dbc") else { return };
    assert_eq!(decoded(&bound, "MSG", &[3, 0xe8, 0, 0, 0, 0, 0, 0]), [10.0]);
    let [warning] = bound.warnings() else { panic!("{:?}", bound.warnings()) };
    assert!(warning.contains("bound.dbc:10: signal BAD.X is left out"), "{warning}");
    let Some(long) = load("j1939_long.dbc") else { return };
    assert_eq!(decoded(&long, "EEC1", &[0xff, 0xff, 0xff, 0x68, 0x13, 0xff, 0xff, 0xff]), [621.0]);
    let [warning] = long.warnings() else { panic!("{:?}", long.warnings()) };
    assert!(warning.contains("message ILI is left out: it has 200 bytes"), "{warning}");
    let Some(marked) = load("utf8_bom.dbc") else { return };
    assert!(marked.warnings().is_empty() && marked.messages().len() == 1);
}

#[test]
fn two_flags_give_the_indicator() {
    let (Some(dbc), Some(mapping)) = (case("two_flags.dbc"), case("two_flags.toml")) else { return };
    let database = Database::load(dbc).expect("valid");
    let mapping = Mapping::load(mapping, &database).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((mapping.signals().len(), mapping.combined().len()), (2, 1));
}
