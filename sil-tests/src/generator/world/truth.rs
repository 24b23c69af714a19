//! Ground truth at each camera frame, and the events of the drive.

use super::{
    motion::{self, BUMPER_AHEAD_M, CAMERA_AHEAD_M, Motion, WIDTH_M},
    road::Road,
};
use crate::{
    drive::{Event, EventKind, Truth},
    generator::script::Script,
};

/// Below this time to collision a forward collision is an event.
pub const DANGEROUS_TTC_S: f64 = 2.5;
/// The lead car brakes hard beyond this deceleration.
const HARD_BRAKE_MPS2: f64 = 2.0;
/// A pedestrian is an event within this distance ahead of the bumper.
const PEDESTRIAN_NEAR_M: f64 = 45.0;
/// It is dark below this brightness.
const DARK: f64 = 0.5;

/// Ground truth at a camera frame, without its event.
fn truth_at(script: &Script, road: &Road, motion: &Motion, frame: u64, t_s: f64) -> Truth {
    let ego = motion.ego_at(t_s);
    let lane = (ego.d_m / road.lane_width_m()).round().clamp(0.0, 1.0);
    let lead = motion.lead_at(t_s, road).filter(|(_, gap)| *gap > 0.0);
    let lead = lead.map(|(car, gap)| (gap, motion.car_at(car, t_s).speed_mps));
    let closing = lead.map(|(_, speed)| ego.speed_mps - speed);
    let time_to_collision_s = lead.zip(closing).and_then(|((gap, _), v)| (v > 0.05).then_some(gap / v));
    Truth {
        frame,
        t_s,
        speed_mps: rounded(ego.speed_mps),
        accel_mps2: rounded(ego.accel_mps2),
        yaw_rate_radps: rounded(ego.yaw_rate_radps),
        steering_wheel_rad: rounded(ego.steer_rad * motion::STEERING_RATIO),
        s_m: rounded(ego.s_m),
        lane: lane as u8,
        lane_width_m: road.lane_width_m(),
        lane_offset_m: rounded(ego.d_m - road.lane_centre_m(lane as u8)),
        heading_rad: rounded(ego.road_heading_rad),
        curvature_per_m: rounded(ego.curvature_per_m),
        lead_distance_m: lead.map(|l| rounded(l.0)),
        lead_speed_mps: lead.map(|l| rounded(l.1)),
        time_to_collision_s: time_to_collision_s.map(rounded),
        brightness: rounded(script.light_at(t_s).1),
        event: String::new(),
    }
}

/// To six decimals: far below the resolution of any sensor, and readable.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// Ground truth at all frames, and the events. `fps`: frames per second of the camera.
pub fn compute(script: &Script, road: &Road, motion: &Motion, fps: f64) -> (Vec<Truth>, Vec<Event>) {
    let frames = (script.duration_s * fps).floor() as u64;
    let mut truths: Vec<Truth> = (0..frames).map(|i| truth_at(script, road, motion, i, i as f64 / fps)).collect();
    let mut events = Vec::new();
    // By priority: a frame has the name of the first active event.
    for kind in EventKind::ALL {
        let values = truths.iter().map(|truth| measure(kind, script, road, motion, truth)).collect::<Vec<_>>();
        spans(kind, &values, fps, &mut events);
        for (truth, value) in truths.iter_mut().zip(&values) {
            if value.is_some() && truth.event.is_empty() {
                truth.event = kind.name().to_owned();
            }
        }
    }
    events.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
    (truths, events)
}

/// The value of an event (see [`EventKind`]) where it is active.
fn measure(kind: EventKind, script: &Script, road: &Road, motion: &Motion, truth: &Truth) -> Option<f64> {
    let t = truth.t_s;
    match kind {
        EventKind::ForwardCollision => truth.time_to_collision_s.filter(|ttc| *ttc < DANGEROUS_TTC_S),
        EventKind::Pedestrian => (0..script.pedestrians.len())
            .map(|i| motion::pedestrian_at(script, road, i, t).s_m - truth.s_m - (BUMPER_AHEAD_M - CAMERA_AHEAD_M))
            .filter(|ahead| (0.0..PEDESTRIAN_NEAR_M).contains(ahead))
            .min_by(f64::total_cmp),
        EventKind::LaneDeparture => {
            let beyond = truth.lane_offset_m.abs() + WIDTH_M / 2.0 - road.lane_width_m() / 2.0;
            (beyond > 0.0 && motion::indicator_at(script, road, t).is_none()).then_some(beyond)
        }
        EventKind::LeadBrakes => {
            let (car, _) = motion.lead_at(t, road)?;
            let braking = -motion.car_at(car, t).accel_mps2;
            (braking > HARD_BRAKE_MPS2).then_some(braking)
        }
        EventKind::LaneChange => motion::indicator_at(script, road, t).map(|_| truth.lane_offset_m.abs()),
        EventKind::Dark => (truth.brightness < DARK).then_some(truth.brightness),
    }
}

/// Events from the first to the last frame of consecutive values.
fn spans(kind: EventKind, values: &[Option<f64>], fps: f64, events: &mut Vec<Event>) {
    let mut open: Option<Event> = None;
    for (i, value) in values.iter().enumerate() {
        let t_s = i as f64 / fps;
        match (value, &mut open) {
            (Some(value), None) => open = Some(Event { kind, start_s: t_s, end_s: t_s, value: *value }),
            (Some(value), Some(event)) => {
                event.end_s = t_s;
                event.value = kind.worse(event.value, *value);
            }
            (None, _) => events.extend(open.take()),
        }
    }
    events.extend(open);
}
