//! The monitor's state machine.

use auriga_monitor::{Config, DEFAULTS, Effect, MonitorNode};
use auriga_msgs::{Any, TopicId, node::MonitorInput, v1};
use auriga_runtime::{Nanos, Node, Outbox, config};
use std::{fs, sync::Arc};

fn config(params: &[(&str, &str)]) -> Config {
    let params = params.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    config::load(DEFAULTS, &config::Args { params, ..Default::default() }).expect("a configuration").0
}

/// A drive of two seconds with a line of truth every 0.1 s.
fn drive() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let line = |i: u32| {
        format!(
            r#"{{"frame":{i},"t_s":{},"speed_mps":{i},"accel_mps2":0,"yaw_rate_radps":0,"steering_wheel_rad":0,"s_m":0,
            "lane":0,"lane_width_m":3.5,"lane_offset_m":0.1,"heading_rad":0,"curvature_per_m":0,"lead_distance_m":null,
            "lead_speed_mps":null,"time_to_collision_s":null,"brightness":1,"event":"dark"}}"#,
            f64::from(i) / 10.0
        )
        .replace('\n', "")
    };
    let truth: Vec<String> = (0..20).map(line).collect();
    fs::write(folder.path().join("truth.jsonl"), truth.join("\n")).unwrap();
    let manifest = "name: two-seconds\nvehicle: auriga-demo\nseed: 7\nduration_s: 2\ntruth: truth.jsonl\n";
    fs::write(folder.path().join("drive.yaml"), manifest).unwrap();
    folder
}

/// Ticks the node as a shell would until `until`, and collects what it publishes.
fn run(node: &mut MonitorNode, out: &mut Outbox<MonitorNode>, from_ms: u64, until_ms: u64) -> Vec<(u64, Any)> {
    let mut all = Vec::new();
    for ms in from_ms..=until_ms {
        node.on_tick(Nanos::from_millis(ms), out);
        all.extend(out.take_messages().into_iter().map(|m| (ms, m)));
    }
    all
}

fn reports(messages: &[(u64, Any)]) -> Vec<(u64, v1::DriveReport)> {
    messages
        .iter()
        .filter_map(|(t, m)| if let Any::DriveReport(r) = m { Some((*t, (**r).clone())) } else { None })
        .collect()
}

#[test]
fn a_drive_is_announced_its_truth_played_and_the_last_report_ends_the_node() {
    let folder = drive();
    let params = [("drive", folder.path().to_str().unwrap()), ("tail_s", "0.5")];
    let mut node = MonitorNode::new(&config(&params), Some(Nanos::from_millis(1000))).unwrap();
    let mut out = Outbox::default();
    let messages = run(&mut node, &mut out, 900, 5000);
    let Some((900, Any::DriveInfo(info))) = messages.first() else { panic!("{:?}", messages.first()) };
    assert_eq!((info.name.as_str(), info.vehicle.as_str(), info.seed), ("two-seconds", "auriga-demo", 7));
    let truth: Vec<(u64, u64)> = messages
        .iter()
        .filter_map(|(t, m)| if let Any::DriveTruth(m) = m { Some((*t, m.header.unwrap().stamp_ns)) } else { None })
        .collect();
    assert_eq!(truth.len(), 20);
    assert!(truth.iter().all(|(at, stamp)| at.abs_diff(stamp / 1_000_000) <= 1), "{truth:?}");
    let reports = reports(&messages);
    let times: Vec<(u64, bool)> = reports.iter().map(|(t, r)| (*t, r.r#final)).collect();
    assert_eq!(times, [(900, false), (1900, false), (2900, false), (3500, true)]);
    assert_eq!(reports[3].1.chains.len(), auriga_msgs::CHAINS.len());
    assert_eq!(out.take_effects(), [Effect::End]);
}

#[test]
fn the_time_of_day_is_the_drives_or_else_the_wall_clocks() {
    let folder = drive();
    let published = |start: &str, params: &[(&str, &str)]| {
        let path = folder.path().join("drive.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        let without: Vec<&str> = text.lines().filter(|l| !l.starts_with("start:")).collect();
        std::fs::write(&path, format!("{}\nstart: \"{start}\"\n", without.join("\n"))).unwrap();
        let node = MonitorNode::new(&config(params), Some(Nanos::from_millis(1000)))?.starting_at(5_000_000_000, 60);
        let messages = run(&mut { node }, &mut Outbox::default(), 900, 1000);
        let Some((_, Any::DriveInfo(info))) = messages.first() else { panic!("{:?}", messages.first()) };
        anyhow::Ok((info.wall_ns, info.utc_offset_s))
    };
    let of_drive = [("drive", folder.path().to_str().unwrap())];
    assert_eq!(published("1970-01-01T02:00:01+02:00", &of_drive).unwrap(), (1_000_000_000, 7200));
    assert_eq!(published("1970-01-01T00:00:02Z", &of_drive).unwrap(), (2_000_000_000, 0));
    assert_eq!(published("", &of_drive).unwrap(), (5_000_000_000, 60));
    assert_eq!(published("", &[]).unwrap(), (5_000_000_000, 60));
    assert!(format!("{:#}", published("tomorrow", &of_drive).unwrap_err()).contains("start"));
}

#[test]
fn a_node_started_again_in_mid_drive_leaves_out_old_truth_and_ends_in_time() {
    let folder = drive();
    let params = [("drive", folder.path().to_str().unwrap()), ("tail_s", "0")];
    let mut node = MonitorNode::new(&config(&params), Some(Nanos::from_millis(1000))).unwrap();
    let mut out = Outbox::default();
    let messages = run(&mut node, &mut out, 2500, 3100);
    let truth = messages.iter().filter(|(_, m)| m.topic() == TopicId::DriveTruth).count();
    assert_eq!(truth, 7, "1.3 s to 1.9 s");
    assert_eq!(reports(&messages).last().map(|(t, r)| (*t, r.r#final)), Some((3000, true)));
}

#[test]
fn without_a_drive_it_runs_on() {
    let mut node = MonitorNode::new(&config(&[("name", "a-car"), ("vehicle", "auriga-demo")]), None).unwrap();
    let mut out = Outbox::default();
    let messages = run(&mut node, &mut out, 0, 10_000);
    assert_eq!(reports(&messages).len(), 11);
    assert!(out.take_effects().is_empty());
}

#[test]
fn chains_and_losses_of_all_topics_are_in_the_report() {
    let mut node = MonitorNode::new(&config(&[("duration_s", "1")]), Some(Nanos::ZERO)).unwrap();
    let mut out = Outbox::default();
    let header = |seq, stamp_ms: u64, published_ms: u64| {
        let trace_id = v1::Header::trace(TopicId::CameraFrontImage, seq);
        Some(v1::Header { stamp_ns: stamp_ms * 1_000_000, published_ns: published_ms * 1_000_000, seq, trace_id })
    };
    for seq in [0, 1, 4] {
        let lanes = v1::Lanes { header: header(seq, seq * 40, seq * 40 + 10), ..Default::default() };
        node.on_input(MonitorInput::PerceptionLanes(Arc::new(lanes)), Nanos::from_millis(seq), &mut out);
    }
    // Faults of two nodes count apart: none of these is a gap.
    for (name, seq) in [("can", 0), ("hud", 7), ("can", 1), ("hud", 8)] {
        let fault = v1::Fault { header: header(seq, 0, 0), node: name.into(), ..Default::default() };
        node.on_input(MonitorInput::Fault(Arc::new(fault)), Nanos::ZERO, &mut out);
    }
    // A node's own count, over a restart of it: 3, and 1 since.
    for (seq, messages_lost) in [(0, 2), (1, 3), (0, 0), (1, 1)] {
        let usage = v1::Usage { header: header(seq, 0, 0), node: "hud".into(), messages_lost, ..Default::default() };
        node.on_input(MonitorInput::Usage(Arc::new(usage)), Nanos::ZERO, &mut out);
    }
    let last = reports(&run(&mut node, &mut out, 0, 10_000)).pop().unwrap().1;
    assert!(last.r#final);
    assert_eq!((last.messages, last.lost_reliable), (11, 2 + 3 + 1));
    let lanes = last.chains.iter().find(|c| c.chain == "camera-to-lanes").unwrap();
    assert_eq!((lanes.count, lanes.over_budget), (3, 0));
    assert!((lanes.max_ms - 10.0).abs() < 0.1, "{lanes:?}");
}

#[test]
fn invalid_configurations_are_rejected_with_the_field() {
    let refused = |params: &[(&str, &str)], expect: &str| {
        let error = MonitorNode::new(&config(params), None).err().map(|e| format!("{e:#}")).unwrap_or_default();
        assert!(error.contains(expect), "{params:?}: {error}");
    };
    refused(&[("drive", "/nonexistent")], "/nonexistent/drive.yaml");
    refused(&[("duration_s", "-1")], "duration_s");
    refused(&[("tail_s", "nan")], "tail_s");
}
