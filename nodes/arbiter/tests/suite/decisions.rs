//! The state machine: what it publishes for what it receives.

use crate::common::*;
use auriga_arbiter::{ArbiterNode, config::ActuationConfig, explain, table::MODES};
use auriga_msgs::{Any, node::ArbiterInput, v1, v1::Mode};
use auriga_runtime::{Lease, Nanos, Replay};
use proptest::prelude::*;
use std::time::Duration;

#[test]
fn a_table_that_is_not_admitted_is_refused_with_chain_term_and_amount() {
    let mut table = table();
    table.capacity.hop_ms = 6.0;
    let e = ArbiterNode::with_table(&config(), table).err().unwrap().to_string();
    for part in ["chain evidence-to-warning", "budget of 5.000 ms by ", "workload fusion with"] {
        assert!(e.contains(part), "{e}");
    }
    let missing = auriga_arbiter::Config { workloads: "no/such/table.toml".into(), ..config() };
    let e = ArbiterNode::new(&missing).err().unwrap().to_string();
    assert!(e.contains("no/such/table.toml") && e.contains("-p workloads="), "{e}");
}

#[test]
fn a_hazard_switches_in_the_same_call_with_its_stamp_and_trace() {
    let mut rig = Rig::new(&config());
    rig.input(vehicle(20.0));
    rig.run(500);
    assert!(grant(rig.last(), "language-dialogue").run);
    let grants = rig.input(hazard(7, true, 1_234_567, 42)).expect("in the same call");
    assert_eq!((grants.mode(), grants.switched), (Mode::Hazard, true));
    let header = grants.header.unwrap();
    assert_eq!((header.stamp_ns, header.trace_id), (1_234_567, 42));
    for stopped in ["language-dialogue", "hud-decor"] {
        let g = grant(&grants, stopped);
        assert!(!g.run && g.level == 0 && g.cpu_share == 0.0, "{g:?}");
    }
    for runs in ["can", "camera", "perception", "fusion", "hud-warnings", "arbiter", "language-intent", "recording"] {
        assert!(grant(&grants, runs).run, "{runs}");
    }
    // Nothing new: no switch, and the renewals that follow are caused by the clock.
    assert_eq!(rig.input(hazard(7, true, 2_000_000, 43)), None);
    rig.run(200);
    assert_eq!((rig.last().switched, rig.last().header.unwrap().trace_id), (false, 0));
}

#[test]
fn a_hazard_does_not_wait_for_planning() {
    let mut rig = Rig::new(&config());
    rig.input(demand(&[("language-dialogue", 1.0, 5.0, 5000)]));
    rig.tick();
    let grants = rig.input(hazard(1, true, 5, 5)).expect("in the same call");
    assert_eq!(grants.mode(), Mode::Hazard);
}

#[test]
fn after_a_hazard_the_former_levels_return() {
    let mut rig = Rig::new(&config());
    let before = rig.last().grants.iter().map(|g| g.level).collect::<Vec<_>>();
    rig.input(hazard(1, true, 0, 1));
    rig.run(300);
    rig.input(hazard(1, false, 0, 2));
    rig.run(1400);
    assert_eq!(rig.last().mode(), Mode::Hazard, "held");
    rig.run(200);
    assert_eq!(rig.last().mode(), Mode::Nominal);
    assert_eq!(rig.last().grants.iter().map(|g| g.level).collect::<Vec<_>>(), before);
}

#[test]
fn leases_are_renewed_in_time_and_end_when_the_arbiter_stops() {
    let mut rig = Rig::new(&config());
    rig.run(3000);
    let renewals: Vec<Nanos> = rig.grants.iter().map(|(at, _)| *at).collect();
    assert!(renewals.windows(2).all(|w| w[1].since(w[0]) == Duration::from_millis(100)), "{renewals:?}");
    let mut lease = Lease::new("language-dialogue");
    for (at, grants) in &mut rig.grants {
        grants.header.as_mut().unwrap().published_ns = at.0;
        lease.update(grants);
        assert!(lease.may_run(*at + Duration::from_millis(299)));
    }
    // The arbiter dies right after the last one.
    let died = *renewals.last().unwrap();
    assert!(lease.current(died + Duration::from_millis(299)).is_some());
    assert!(lease.current(died + Duration::from_millis(300)).is_none());
    assert!(!lease.may_run(died + Duration::from_millis(300)));
}

#[test]
fn demand_raises_a_level_until_its_horizon_and_the_hold_time_after() {
    let mut rig = Rig::new(&config());
    // CPU is scarce in demanding mode.
    rig.run_with(1000, |r| drop(r.input(vehicle(40.0))));
    assert_eq!((rig.last().mode(), rig.level("language-dialogue")), (Mode::Demanding, 1));
    rig.input(demand(&[("language-dialogue", 1.0, 5.0, 2000)]));
    rig.plan();
    assert_eq!(rig.level("language-dialogue"), 2);
    assert!(rig.last().switched);
    assert!(rig.last().reason.contains("forecast: language-dialogue x5"), "{}", rig.last().reason);
    rig.run_with(2900, |r| drop(r.input(vehicle(40.0))));
    assert_eq!(rig.level("language-dialogue"), 2, "held");
    rig.run_with(300, |r| drop(r.input(vehicle(40.0))));
    assert_eq!(rig.level("language-dialogue"), 1);
    assert!(rig.last().reason.contains("forecast: none"), "{}", rig.last().reason);
}

#[test]
fn alternating_demand_does_not_toggle_levels() {
    let mut rig = Rig::new(&config());
    rig.run_with(1000, |r| drop(r.input(vehicle(40.0))));
    let before = rig.grants.len();
    let mut odd = false;
    rig.run_with(20_000, |r| {
        r.input(vehicle(40.0));
        odd = !odd;
        r.input(demand(&[("language-dialogue", if odd { 1.0 } else { 0.0 }, 5.0, 1000)]));
    });
    let switches = rig.grants[before..].iter().filter(|(_, g)| g.switched).count();
    assert_eq!(switches, 1, "up once, then held");
}

#[test]
fn invalid_demand_is_a_fault_and_its_valid_items_count() {
    let mut rig = Rig::new(&config());
    rig.run_with(1000, |r| drop(r.input(vehicle(40.0))));
    rig.input(demand(&[
        ("language-dialogue", f32::NAN, 5.0, 1000),
        ("language-intent", 0.5, f32::INFINITY, 1000),
        ("recording", 1.0, 1e9, 1000),
        ("warp-drive", 1.0, 2.0, 1000),
        ("language-dialogue", 1.0, 5.0, u64::MAX),
    ]));
    rig.plan();
    assert_eq!(rig.level("language-dialogue"), 2);
    // Repeats of a code are published at powers of two.
    assert_eq!(rig.fault_codes(), ["malformed-demand", "malformed-demand", "unknown-workload"]);
    let unknown = &rig.faults[2].text;
    assert!(unknown.contains("warp-drive") && unknown.contains("language-intent"), "{unknown}");
}

#[test]
fn implausible_vehicle_states_hazards_and_usages_are_faults() {
    let mut rig = Rig::new(&config());
    rig.input(vehicle(f64::NAN));
    rig.input(ArbiterInput::FusionHazard(v1::Hazard { active: true, kind: 99, ..Default::default() }.into()));
    assert_eq!(rig.last().mode(), Mode::Hazard, "an unknown kind counts");
    rig.input(usage("../../etc", 1, 0, 0));
    assert_eq!(rig.fault_codes(), ["implausible-value", "malformed-hazard", "unknown-node"]);
}

#[test]
fn demand_is_ignored_when_the_forecast_source_is_none() {
    let mut config = config();
    config.forecast.source = auriga_arbiter::config::ForecastSource::None;
    let mut rig = Rig::new(&config);
    rig.run_with(1000, |r| drop(r.input(vehicle(40.0))));
    rig.input(demand(&[("language-dialogue", 1.0, 5.0, 2000)]));
    rig.plan();
    assert_eq!(rig.level("language-dialogue"), 1);
}

#[test]
fn safety_nodes_that_miss_deadlines_all_the_time_mean_limp() {
    let mut rig = Rig::new(&config());
    let mut misses = 0;
    rig.run_with(5000, |r| {
        misses += 3;
        let (node, uptime_ns) = ("fusion".into(), r.now.0);
        r.input(ArbiterInput::Usage(
            v1::Usage { node, pid: 9, uptime_ns, deadline_misses: misses, ..Default::default() }.into(),
        ));
    });
    assert_eq!(rig.last().mode(), Mode::Limp);
    assert!(rig.last().reason.starts_with("limp: safety nodes miss "), "{}", rig.last().reason);
}

#[test]
fn a_safety_node_that_dies_means_limp_until_it_is_back() {
    let mut rig = Rig::new(&config());
    rig.input(usage("can", 10, 500, 0));
    rig.run(200);
    rig.input(usage("can", 10, 700, 0));
    rig.run(2000);
    assert_eq!(rig.last().mode(), Mode::Nominal);
    rig.run(60_000);
    assert_eq!(rig.last().mode(), Mode::Limp);
    assert!(rig.last().reason.starts_with("limp: the safety node can has not reported"), "{}", rig.last().reason);
    rig.input(usage("can", 11, 10, 0));
    assert_eq!(rig.last().mode(), Mode::Nominal);
}

#[test]
fn one_report_about_a_safety_node_that_does_not_run_does_not_mean_limp() {
    let mut rig = Rig::new(&config());
    rig.input(usage("camera", 10, 500, 0));
    rig.run(60_000);
    assert_eq!(rig.last().mode(), Mode::Nominal);
}

#[test]
fn hazards_end_when_fusion_restarts() {
    let mut rig = Rig::new(&config());
    rig.input(usage("fusion", 10, 500, 0));
    rig.input(hazard(1, true, 0, 1));
    rig.run(500);
    rig.input(usage("fusion", 11, 100, 0));
    rig.run(1600);
    assert_eq!(rig.last().mode(), Mode::Nominal);
}

#[test]
fn a_restarted_arbiter_is_not_more_permissive_while_a_hazard_stands() {
    let mut rig = Rig::started(ArbiterNode::new(&config()).unwrap());
    assert_eq!(rig.last().mode(), Mode::Hazard);
    assert!(!grant(rig.last(), "language-dialogue").run);
    assert!(rig.last().reason.contains("just started"), "{}", rig.last().reason);
    let ArbiterInput::FusionHazard(standing) = hazard(7, true, 0, 0) else { unreachable!() };
    rig.input(scene(vec![standing.as_ref().clone()]));
    // Fusion publishes it again and again, then it dies.
    for _ in 0..10 {
        rig.run(500);
        rig.input(ArbiterInput::FusionHazard(standing.clone()));
        assert!(rig.last().reason.contains("hazard 7"), "{}", rig.last().reason);
    }
    rig.run(1990);
    assert!(rig.last().reason.contains("hazard 7"), "{}", rig.last().reason);
    rig.run(1600);
    assert_eq!(rig.last().mode(), Mode::Nominal);
}

#[test]
fn effects_are_emitted_only_on_change() {
    let mut rig = Rig::new(&config());
    rig.input(usage("language", 100, 10, 0));
    rig.input(usage("hud", 101, 10, 0));
    rig.input(usage("ros-bridge", 102, 10, 0));
    let shares = rig.effects.last().unwrap().clone();
    let rows: Vec<_> = shares.iter().map(|s| (s.node, s.pid, s.cpu_weight, s.quota_percent, s.threads.len())).collect();
    // The weight of a node's heaviest workload; a node without workload in the table is not moved.
    assert_eq!(rows, [("hud", 101, 10_000, None, 0), ("language", 100, 1000, None, 0)]);
    let asked = rig.effects.len();
    rig.run(1000);
    rig.input(usage("hud", 101, 1000, 0));
    assert_eq!(rig.effects.len(), asked);
    rig.input(hazard(1, true, 0, 1));
    assert_eq!(rig.effects.len(), asked + 1);
    assert_eq!(rig.effects.last().unwrap()[1].cpu_weight, 300);
}

#[test]
fn a_node_without_running_workload_gets_a_quota_and_a_safety_node_its_priority() {
    let mut table = table();
    table.workloads.retain(|w| w.name != "language-intent");
    let actuation = ActuationConfig { realtime: true, ..config().actuation };
    let config = auriga_arbiter::Config { actuation, ..config() };
    let mut rig = Rig::of(ArbiterNode::with_table(&config, table).unwrap());
    rig.input(usage("language", 100, 10, 0));
    rig.input(usage("can", 99, 10, 0));
    rig.input(hazard(1, true, 0, 1));
    let shares = rig.effects.last().unwrap();
    assert_eq!((shares[1].node, shares[1].quota_percent), ("language", Some(5)));
    // Each thread as it was analysed.
    let rows = ["can-source", "main", "tx"].map(|name| shares[0].threads.iter().find(|t| t.thread == name).unwrap());
    assert_eq!(rows.map(|t| (t.priority, t.core)), [(95, 0), (94, 0), (93, 0)]);
}

#[test]
fn the_reason_of_a_decision_is_explained() {
    let mut rig = Rig::new(&config());
    rig.run_with(1000, |r| drop(r.input(vehicle(40.0))));
    rig.input(demand(&[("language-dialogue", 0.75, 5.0, 2000)]));
    rig.plan();
    let trace = v1::Header::trace(auriga_msgs::TopicId::VehicleState, 0xabc);
    let mut grants = rig.input(hazard(7, true, rig.now.0 - 1_500_000, trace)).unwrap();
    grants.header.as_mut().unwrap().published_ns = rig.now.0 + 400_000;
    assert_eq!(explain(&grants), include_str!("../explained.txt"));
    // Any text of another sender.
    let strange = v1::Grants { reason: "; levels: ; x; : ".into(), mode: 77, ..Default::default() };
    assert!(explain(&strange).contains("unspecified"));
}

fn any_input() -> impl Strategy<Value = ArbiterInput> {
    let name = prop_oneof![Just("language-dialogue".to_string()), Just("recording".into()), ".{0,8}"];
    let item =
        (name, any::<f32>(), any::<f32>(), any::<u64>()).prop_map(|(workload, probability, weight, horizon_ns)| {
            v1::DemandItem { workload, probability, weight, horizon_ns, reason: String::new() }
        });
    let node = prop_oneof![Just("language".to_string()), Just("fusion".into()), Just("can".into()), ".{0,8}"];
    let number = || proptest::option::of(any::<f64>());
    prop_oneof![
        proptest::collection::vec(item, 0..5)
            .prop_map(|items| ArbiterInput::LanguageDemand(v1::Demand { items, ..Default::default() }.into())),
        (any::<u64>(), any::<i32>(), 0i32..5, any::<bool>(), ".{0,20}", any::<u64>()).prop_map(
            |(id, kind, severity, active, text, stamp)| {
                let header = Some(v1::Header::new(stamp, id));
                ArbiterInput::FusionHazard(
                    v1::Hazard { header, id: id % 4, kind: kind % 6, severity, active, text, ..Default::default() }
                        .into(),
                )
            }
        ),
        (number(), number(), number(), 0i32..6).prop_map(|(speed_mps, yaw_rate_radps, brake, gear)| {
            ArbiterInput::VehicleState(
                v1::VehicleState { speed_mps, yaw_rate_radps, brake, gear, ..Default::default() }.into(),
            )
        }),
        (node, any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>()).prop_map(
            |(node, pid, uptime_ns, cpu_ns, deadline_misses)| {
                ArbiterInput::Usage(
                    v1::Usage { node, pid: pid % 3, uptime_ns, cpu_ns, deadline_misses, ..Default::default() }.into(),
                )
            }
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn for_any_input_grants_stay_within_the_mode_and_safety_runs(
        inputs in proptest::collection::vec((any_input(), 0u64..500), 1..60),
    ) {
        let table = table();
        let mut rig = Rig::new(&config());
        for (input, wait) in inputs {
            rig.input(input);
            rig.run(wait);
        }
        for (at, grants) in &rig.grants {
            let mode = grants.mode();
            prop_assert!(MODES.contains(&mode));
            let share: f64 = grants.grants.iter().map(|g| g.cpu_share).sum();
            prop_assert!(share <= table.mode.of(mode).cpu + 1e-6, "{mode:?} {share}");
            for w in table.safety() {
                prop_assert!(grant(grants, &w.name).run);
            }
            for g in &grants.grants {
                prop_assert_eq!(g.lease_end_ns, at.0 + 300_000_000);
            }
        }
        // No gap in the renewals, whatever comes between.
        for pair in rig.grants.windows(2) {
            prop_assert!(pair[1].0.since(pair[0].0) <= Duration::from_millis(110));
        }
    }
}

/// A drive of 20 s: two hazards, demand now and then.
fn log() -> Vec<(Nanos, Any)> {
    let mut log = Vec::new();
    for t in (0..20_000u64).step_by(10) {
        let speed_mps = Some(30.0 + 10.0 * (t as f64 / 3000.0).sin());
        let header = Some(v1::Header::new(t * 1_000_000, t));
        let state = v1::VehicleState { header, speed_mps, ..Default::default() };
        log.push((Nanos::from_millis(t), Any::VehicleState(state.into())));
        if t % 7000 == 3000 || t % 7000 == 4000 {
            let ArbiterInput::FusionHazard(h) = hazard(t / 7000, t % 7000 == 3000, t * 1_000_000, t) else { continue };
            log.push((Nanos::from_millis(t), Any::FusionHazard(h)));
        }
        if t % 1700 == 0 {
            let p = (t % 5) as f32 / 5.0 + 0.2;
            let ArbiterInput::LanguageDemand(d) = demand(&[("language-dialogue", p, 6.0, 900)]) else { continue };
            log.push((Nanos::from_millis(t), Any::LanguageDemand(d)));
        }
    }
    log
}

#[test]
fn two_replays_give_the_same_bytes() {
    let replay = || {
        let mut replay = Replay::new();
        replay.add(ArbiterNode::new(&config()).unwrap());
        let (mut bytes, mut modes) = (Vec::new(), Vec::new());
        replay
            .run(
                log().into_iter().map(Ok),
                Duration::from_secs(5),
                |_, _| (),
                |any| {
                    if let Any::ArbiterGrants(g) = any {
                        any.encode(&mut bytes)?;
                        modes.push(g.mode());
                    }
                    Ok(())
                },
            )
            .unwrap();
        modes.dedup();
        (bytes, modes)
    };
    let (first, second) = (replay(), replay());
    assert_eq!(first, second);
    assert!(first.1.contains(&Mode::Hazard) && first.1.contains(&Mode::Demanding), "{:?}", first.1);
}
