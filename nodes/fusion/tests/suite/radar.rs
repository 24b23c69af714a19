//! What a radar sees that is no obstacle, and what is one.

use auriga_fusion::{Config, FusionNode};
use auriga_msgs::{Any, node::FusionInput, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use std::sync::Arc;
use v1::{HazardKind, Severity};

/// An object as the radar reports it: id, ahead, left, relative speed.
type Echo = (u32, f64, f64, f64);

/// Twenty radar frames a second while the vehicle goes at `own_mps` with `yaw_radps`: the forward collisions raised, with
/// their time in seconds and severity, and the last tracks.
fn drive(
    own_mps: impl Fn(f64) -> Option<f64>,
    yaw_radps: f64,
    seconds: f64,
    echoes: impl Fn(f64) -> Vec<Echo>,
) -> (Vec<(f64, Severity)>, Vec<v1::Track>) {
    let mut node = FusionNode::new(Config::default()).unwrap();
    let mut out = Outbox::default();
    let info = v1::CameraInfo { bumper_ahead_m: 2.0, ..Default::default() };
    node.on_input(FusionInput::CameraFrontInfo(Arc::new(info)), Nanos::ZERO, &mut out);
    let (mut raised, mut tracks, mut known) = (vec![], vec![], std::collections::BTreeSet::new());
    for k in 0..(seconds * 20.0) as u64 {
        let t = 0.05 * k as f64;
        let now = Nanos::from_millis(1000 + 50 * k);
        let now_seen = echoes(t);
        let valid = now_seen.iter().map(|&(id, x, y, v)| {
            known.insert(id);
            v1::RadarTrack { id, x_m: x as f32, y_m: y as f32, vx_mps: v as f32, valid: true, stamp_ns: 0 }
        });
        let mut radar: Vec<_> = valid.collect();
        let gone = known.iter().filter(|id| now_seen.iter().all(|e| e.0 != **id));
        radar.extend(gone.map(|&id| v1::RadarTrack { id, ..Default::default() }));
        let header = Some(v1::Header { seq: k, ..v1::Header::new(now.0, k + 1) });
        let state = v1::VehicleState {
            header,
            speed_mps: own_mps(t),
            yaw_rate_radps: Some(yaw_radps),
            radar,
            ..Default::default()
        };
        node.on_input(FusionInput::VehicleState(Arc::new(state)), now, &mut out);
        for message in out.take_messages() {
            match message {
                Any::FusionHazard(h) if h.kind() == HazardKind::ForwardCollision && h.active => {
                    raised.push((t, h.severity()));
                }
                Any::FusionTracks(message) => tracks = message.tracks.clone(),
                _ => {}
            }
        }
    }
    (raised, tracks)
}

fn none(name: &str, own_mps: f64, yaw_radps: f64, echoes: impl Fn(f64) -> Vec<Echo>) {
    let (raised, _) = drive(|_| Some(own_mps), yaw_radps, 6.0, echoes);
    assert_eq!(raised, [], "{name} at {own_mps} m/s");
}

/// Something that stands, first seen at `from_m`, until it is passed.
fn standing(id: u32, from_m: f64, y: f64, own_mps: f64, t: f64) -> Option<Echo> {
    let x = from_m - own_mps * t;
    (x > 1.0).then_some((id, x, y, -own_mps))
}

#[test]
fn what_stands_and_was_never_seen_moving_is_no_collision() {
    for own in [8.0, 14.0, 25.0, 36.0] {
        // A bridge is lost when the beam no longer reaches it; a manhole cover is seen late.
        none("overhead bridge", own, 0.0, |t| {
            standing(7, 4.0 * own, 0.2, own, t).filter(|e| e.1 > 18.0).into_iter().collect()
        });
        none("gantry, three ids", own, 0.0, |t| {
            (0..3).filter_map(|i| standing(i, 4.0 * own, f64::from(i) - 1.0, own, t)).collect()
        });
        none("manhole cover", own, 0.0, |t| {
            standing(6, 3.0 * own, -0.3, own, t).filter(|e| e.1 < 25.0).into_iter().collect()
        });
        none("a sign a little aside", own, 0.0, |t| standing(5, 4.0 * own, 1.4, own, t).into_iter().collect());
        // Its radial speed falls as it is passed: beside the road it seems to move.
        none("a sign with its radial speed", own, 0.0, |t| {
            let seen = standing(5, 4.0 * own, 1.3, own, t);
            seen.map(|(id, x, y, v)| (id, x, y, v * x / x.hypot(y))).into_iter().collect()
        });
        // The speedometer reads up to a tenth too much.
        none("a bridge and a speedometer that reads too much", 1.08 * own, 0.0, |t| {
            standing(7, 4.0 * own, 0.0, own, t).into_iter().collect()
        });
    }
}

#[test]
fn a_guard_rail_in_a_bend_is_no_collision() {
    for (own, yaw) in [(20.0, 0.12), (20.0, -0.12), (30.0, 0.08)] {
        // The vehicle enters the bend: straight ahead, where its path still points, stands the rail, post after post.
        let posts = |t: f64| (0..4).map(|i| (i, 20.0 + 10.0 * f64::from(i) - (own * t) % 10.0, 0.0, -own)).collect();
        none("posts straight ahead", own, 0.0, posts);
        // And along the path itself, as where the lines are not seen.
        let along = |t: f64| {
            let place = |i: u32| {
                let x = 60.0 - own * t + 8.0 * f64::from(i);
                (x > 2.0).then(|| (i, x, 0.5 * yaw / own * x * x, -own))
            };
            (0..5).filter_map(place).collect::<Vec<_>>()
        };
        none("posts along the path", own, yaw, along);
        // A reflection that slides along the rail beside the vehicle.
        none("sliding reflection", own, yaw, |_| vec![(3, 12.0, 0.4, 0.0)]);
    }
}

#[test]
fn ghosts_of_one_and_two_cycles_give_no_warning() {
    for cycles in [1, 2] {
        for v in [-15.0, -5.0, -9.0] {
            let shown = |t: f64| (t - 2.0) / 0.05;
            none("ghost", 14.0, 0.0, |t| {
                let k = shown(t).round();
                (0.0..f64::from(cycles)).contains(&k).then_some((7, 12.0 + v * 0.05 * k, 0.0, v)).into_iter().collect()
            });
            // Every second, each time near.
            none("ghost again and again", 14.0, 0.0, |t| {
                let k = ((t % 1.0) / 0.05).round();
                (0.0..f64::from(cycles)).contains(&k).then_some((7, 9.0, 0.1, v)).into_iter().collect()
            });
        }
    }
}

#[test]
fn a_target_that_jumps_is_no_collision() {
    let step = |t: f64| (t / 0.05).round() as u64;
    none("to and fro", 14.0, 0.0, |t| vec![(7, if step(t) % 2 == 0 { 40.0 } else { 8.0 }, 0.0, -12.0)]);
    none("elsewhere each time", 14.0, 0.0, |t| vec![(7, 5.0 + (step(t) * 17 % 50) as f64, 0.0, -10.0)]);
    // The id of a lead that drives well is given to a bridge: where it was, and nearer.
    for to in [40.0, 15.0] {
        none("from a lead to a bridge", 20.0, 0.0, |t| match t {
            t if t < 2.0 => vec![(2, 40.0, 0.0, 0.0)],
            t => standing(2, to, 0.0, 20.0, t - 2.0).into_iter().collect(),
        });
    }
}

#[test]
fn oncoming_traffic_is_no_collision_also_where_the_bend_leads_through_it() {
    for oncoming in [2.0, 5.0, 14.0, 30.0] {
        none("across the path", 14.0, 0.0, |t| {
            let x = 90.0 - (14.0 + oncoming) * t;
            (x > 1.0).then_some((4, x, 0.06 * x - 1.0, -(14.0 + oncoming))).into_iter().collect()
        });
    }
}

#[test]
fn a_bridge_does_not_hide_the_car_that_brakes_behind_it() {
    let (raised, _) = drive(
        |_| Some(20.0),
        0.0,
        6.0,
        |t| {
            let v = (20.0 - 7.0 * (t - 1.0).max(0.0)).max(0.0);
            let braked = 20.0 - v;
            let x = 45.0 - braked * braked / 14.0 - if v == 0.0 { 20.0 * (t - 1.0 - 20.0 / 7.0) } else { 0.0 };
            let mut seen = vec![];
            if x > 0.5 {
                seen.push((2, x, 0.0, v - 20.0));
            }
            seen.extend(standing(6, 70.0, 0.1, 20.0, t));
            seen
        },
    );
    assert!(raised.iter().any(|(_, s)| *s == Severity::Critical), "{raised:?}");
}

/// A lead 30 m ahead that brakes from the vehicle's speed to a standstill with `mps2` from 1 s on.
fn braking(own: f64, mps2: f64, t: f64) -> (f64, f64) {
    let brakes = (t - 1.0).clamp(0.0, own / mps2);
    let v = own - mps2 * brakes;
    let lost = own * (t - 1.0).max(0.0) - (own * brakes - 0.5 * mps2 * brakes * brakes);
    (30.0 - lost, v - own)
}

#[test]
fn a_lead_that_brakes_to_a_standstill_is_a_collision_in_time() {
    for (own, mps2) in [(8.0, 3.0), (14.0, 6.0), (25.0, 8.0)] {
        let echoes = |t: f64| {
            let (x, v) = braking(own, mps2, t);
            if x > 0.5 { vec![(2, x, 0.1, v)] } else { vec![] }
        };
        let (raised, _) = drive(|_| Some(own), 0.0, 8.0, echoes);
        // When the time to collision is below 2.5 s.
        let due = (0..160).map(|k| 0.05 * f64::from(k)).find(|&t| {
            let (x, v) = braking(own, mps2, t);
            v < -1.0 && x / -v < 2.5
        });
        let late = raised[0].0 - due.unwrap();
        assert!((-0.1..0.25).contains(&late), "{own} m/s, {mps2} m/s²: {late} s late, {raised:?}");
        assert!(raised.iter().any(|(_, s)| *s == Severity::Critical));
    }
}

#[test]
fn a_standing_car_that_was_seen_moving_and_is_found_again_under_another_id_is_a_collision() {
    let own = 14.0;
    // Lost for 0.6 s in spray while it stops.
    let echoes = |t: f64| {
        let (x, v) = braking(own, 7.0, t);
        match t {
            _ if x < 0.5 => vec![],
            t if t < 2.6 => vec![(2, x, 0.1, v)],
            t if t < 3.2 => vec![],
            _ => vec![(5, x, -0.2, v)],
        }
    };
    let (raised, _) = drive(|_| Some(own), 0.0, 5.0, echoes);
    assert!(raised.iter().any(|(t, s)| *t > 3.2 && *s == Severity::Critical), "{raised:?}");
}

#[test]
fn slow_vehicles_ahead_are_collisions() {
    // A tractor, and a car that rolls from a side road into the lane and goes on slowly.
    for (own, slow) in [(25.0, 6.0), (14.0, 3.0), (36.0, 20.0)] {
        let (raised, tracks) = drive(
            |_| Some(own),
            0.0,
            6.0,
            |t| {
                let x = 80.0 - (own - slow) * t;
                if x > 0.5 { vec![(1, x, 0.0, slow - own)] } else { vec![] }
            },
        );
        assert!(raised.iter().any(|(_, s)| *s == Severity::Critical), "{own} on {slow}: {raised:?}");
        assert!(tracks.iter().all(|t| t.confirmed));
    }
}

#[test]
fn without_own_speed_nothing_is_known_to_stand_and_the_radar_still_warns() {
    let (raised, tracks) = drive(|_| None, 0.0, 3.0, |t| vec![(1, (40.0 - 14.0 * t).max(1.0), 0.0, -14.0)]);
    assert!(!raised.is_empty() && tracks.iter().all(|t| t.confirmed));
}

#[test]
fn an_unconfirmed_object_is_still_in_the_tracks() {
    let (_, tracks) = drive(|_| Some(14.0), 0.0, 2.0, |t| standing(7, 60.0, 0.0, 14.0, t).into_iter().collect());
    let [bridge] = &tracks[..] else { panic!("{tracks:?}") };
    assert!(!bridge.confirmed && bridge.lead);
}
