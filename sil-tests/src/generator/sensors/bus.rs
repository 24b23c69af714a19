//! The CAN log: frames of the vehicle's DBC in the format of `candump -L`.

use crate::generator::{
    noise::Gauss,
    script::{Script, Side},
    world::{
        motion::{self, BUMPER_AHEAD_M, CAMERA_AHEAD_M, CAR_LENGTH_M, Motion},
        road::Road,
    },
};
use anyhow::{Context, Result};
use auriga_can::dbc::Database;
use std::{fmt::Write as _, path::Path};

/// Duration of a frame of 8 bytes at 500 kbit/s with stuff bits.
const FRAME_US: u64 = 250;
/// From sampling a value to the end of its frame: the minimum, and the most that arbitration adds.
const LATENCY_US: f64 = 300.0;
const JITTER_US: f64 = 400.0;
/// The radar sees this far ahead and this far to the side (as a multiple of the distance).
pub const RADAR_RANGE_M: f64 = 160.0;
pub const RADAR_SLOPE: f64 = 0.9;
pub const RADAR_TRACKS: usize = 8;
/// Deviations of its measurements.
pub const RADAR_DISTANCE_NOISE_M: f64 = 0.06;
pub const RADAR_SPEED_NOISE_MPS: f64 = 0.04;

/// A frame to be sent: when its values were sampled, message name, values.
struct Sending {
    t_s: f64,
    message: String,
    values: Vec<(&'static str, f64)>,
}

/// Writes the log of the whole drive. `button_held`: when the talk button is, in seconds.
pub fn write(
    script: &Script,
    road: &Road,
    motion: &Motion,
    button_held: &[(f64, f64)],
    dbc: &Path,
    out: &Path,
) -> Result<()> {
    let database = Database::load(dbc)?;
    let mut sendings = Vec::new();
    body(script, road, motion, &mut sendings);
    radar(script, road, motion, &mut sendings);
    buttons(script.duration_s, button_held, &mut sendings);
    // By sampling time; at one instant in the order they were queued.
    sendings.sort_by(|a, b| a.t_s.total_cmp(&b.t_s));

    let mut jitter = Gauss::new(script.seed, 2);
    let mut text = String::new();
    let mut free_us = 0u64;
    let end_us = (script.duration_s * 1e6) as u64;
    for sending in &sendings {
        let message = database
            .message_by_name(&sending.message)
            .with_context(|| format!("{}: no message {}", dbc.display(), sending.message))?;
        let mut data = vec![0u8; message.length()];
        message
            .encode(&sending.values, &mut data)
            .with_context(|| format!("{}: message {}", dbc.display(), sending.message))?;
        let wanted_us = (sending.t_s * 1e6 + LATENCY_US + JITTER_US * jitter.uniform()) as u64;
        let stamp_us = wanted_us.max(free_us);
        free_us = stamp_us + FRAME_US;
        if stamp_us >= end_us {
            continue;
        }
        write!(text, "({:010}.{:06}) can0 {:03X}#", stamp_us / 1_000_000, stamp_us % 1_000_000, message.id())?;
        for byte in &data {
            write!(text, "{byte:02X}")?;
        }
        text.push('\n');
    }
    std::fs::write(out, text).with_context(|| format!("cannot write {}", out.display()))
}

/// Calls `send` for each period of a message, its first one after `phase_s`.
fn periodic(duration_s: f64, period_s: f64, phase_s: f64, mut send: impl FnMut(u64, f64)) {
    let count = ((duration_s - phase_s) / period_s).ceil().max(0.0) as u64;
    (0..count).for_each(|i| send(i, phase_s + i as f64 * period_s));
}

/// Frames on the ego vehicle.
fn body(script: &Script, road: &Road, motion: &Motion, out: &mut Vec<Sending>) {
    let end = script.duration_s;
    let mut send = |t_s: f64, message: &str, values: Vec<(&'static str, f64)>| {
        out.push(Sending { t_s, message: message.to_owned(), values })
    };
    periodic(end, 0.02, 0.001, |i, t| {
        let ego = motion.ego_at(t);
        let values = vec![
            ("VEHICLE_SPEED", ego.speed_mps * 3.6),
            ("YAW_RATE", ego.yaw_rate_radps.to_degrees()),
            ("LONG_ACCEL", ego.accel_mps2),
            ("COUNTER", (i % 16) as f64),
        ];
        send(t, "SPEED", values);
    });
    periodic(end, 0.01, 0.0, |_, t| {
        let wheel = motion.ego_at(t).steer_rad * motion::STEERING_RATIO;
        send(t, "STEERING", vec![("STEER_ANGLE", wheel.to_degrees())]);
    });
    periodic(end, 0.02, 0.004, |_, t| {
        let (accelerator, brake) = pedals(motion.ego_at(t).accel_mps2, motion.ego_at(t).speed_mps);
        let lit = f64::from(u8::from(brake > 0.0));
        send(t, "PEDALS", vec![("ACCEL_PEDAL", accelerator), ("BRAKE_PEDAL", brake), ("BRAKE_LIGHT", lit)]);
    });
    periodic(end, 0.1, 0.007, |_, t| {
        let indicator = match motion::indicator_at(script, road, t) {
            None => 0.0,
            Some(Side::Left) => 1.0,
            Some(Side::Right) => 2.0,
        };
        const DRIVE: f64 = 3.0;
        send(t, "BODY", vec![("INDICATOR", indicator), ("GEAR", DRIVE), ("OUTSIDE_TEMP", 17.5)]);
    });
    periodic(end, 1.0, 0.05, |_, t| {
        let driven_km = (motion.ego_at(t).s_m - motion.ego_at(0.0).s_m) / 1000.0;
        let (charge, range) = (62.4 - driven_km * 0.29, 214.0 - driven_km);
        send(t, "ENERGY", vec![("BATTERY_SOC", charge), ("RANGE", range)]);
    });
    periodic(end, 0.2, 0.013, |i, t| {
        const TYRES: [(&str, f64); 4] =
            [("PRESSURE_FL", 242.0), ("PRESSURE_FR", 240.0), ("PRESSURE_RL", 246.0), ("PRESSURE_RR", 244.0)];
        let (name, pressure) = TYRES[(i % 4) as usize];
        // Tyres warm up.
        let values = vec![("MUX", (i % 4) as f64), (name, pressure + 4.0 * (1.0 - (-t / 60.0).exp()))];
        send(t, "TYRES", values);
    });
}

/// The buttons of the steering wheel.
fn buttons(duration_s: f64, held: &[(f64, f64)], out: &mut Vec<Sending>) {
    periodic(duration_s, 0.02, 0.016, |_, t| {
        let talk = held.iter().any(|(from_s, to_s)| (*from_s..*to_s).contains(&t));
        out.push(Sending {
            t_s: t,
            message: "WHEEL_BUTTONS".to_owned(),
            values: vec![("TALK", f64::from(u8::from(talk)))],
        });
    });
}

/// Pedal positions in percent for an acceleration at a speed: what is left after drag and rolling is pushed or braked.
fn pedals(accel_mps2: f64, speed_mps: f64) -> (f64, f64) {
    let coasting = -0.15 - 0.0006 * speed_mps * speed_mps;
    if accel_mps2 >= coasting {
        (((accel_mps2 - coasting) * 22.0).clamp(0.0, 100.0), 0.0)
    } else {
        (0.0, ((coasting - accel_mps2) * 11.0).clamp(0.4, 100.0))
    }
}

/// A radar target relative to the front bumper: ahead, left, relative speed along x.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Echo {
    pub x_m: f64,
    pub y_m: f64,
    pub vx_mps: f64,
}

/// All radar targets without noise: the cars, then the pedestrians; `None`: out of view.
pub fn echoes(script: &Script, road: &Road, motion: &Motion, t_s: f64) -> Vec<Option<Echo>> {
    let ego = motion.ego_at(t_s);
    let (sin, cos) = ego.heading_rad.sin_cos();
    let ahead = BUMPER_AHEAD_M;
    let (bx, by) = (ego.x_m + ahead * cos, ego.y_m + ahead * sin);
    let target = |s_m: f64, d_m: f64, speed_mps: f64| {
        let ((x, y), way) = (road.place(s_m, d_m), road.at(s_m).heading_rad);
        let (dx, dy) = (x - bx, y - by);
        let (x_m, y_m) = (dx * cos + dy * sin, dy * cos - dx * sin);
        let vx_mps = speed_mps * (way - ego.heading_rad).cos() - ego.speed_mps;
        let seen = x_m > 0.5 && x_m < RADAR_RANGE_M && y_m.abs() < RADAR_SLOPE * x_m + 1.0;
        seen.then_some(Echo { x_m, y_m, vx_mps })
    };
    let cars = (0..motion.cars.len()).map(|i| {
        let car = motion.car_at(i, t_s);
        // The end that faces us reflects: both have it on the near side.
        let speed = if car.oncoming { -car.speed_mps } else { car.speed_mps };
        target(car.s_m - CAR_LENGTH_M / 2.0, car.d_m, speed)
    });
    let pedestrians = (0..script.pedestrians.len()).map(|i| {
        let pedestrian = motion::pedestrian_at(script, road, i, t_s);
        target(pedestrian.s_m, pedestrian.d_m, 0.0)
    });
    debug_assert!(ahead > CAMERA_AHEAD_M, "the radar sits ahead of the camera");
    cars.chain(pedestrians).collect()
}

/// Radar frames. A target keeps its track while it is in view.
fn radar(script: &Script, road: &Road, motion: &Motion, out: &mut Vec<Sending>) {
    let mut noise = Gauss::new(script.seed, 3);
    let mut tracks: [Option<usize>; RADAR_TRACKS] = [None; RADAR_TRACKS];
    periodic(script.duration_s, 0.05, 0.011, |_, t| {
        let echoes = echoes(script, road, motion, t);
        for track in &mut tracks {
            *track = track.filter(|thing| echoes[*thing].is_some());
        }
        let mut unseen: Vec<usize> =
            (0..echoes.len()).filter(|i| echoes[*i].is_some() && !tracks.contains(&Some(*i))).collect();
        unseen.sort_by(|a, b| distance(&echoes[*a]).total_cmp(&distance(&echoes[*b])));
        for thing in unseen {
            if let Some(free) = tracks.iter_mut().find(|track| track.is_none()) {
                *free = Some(thing);
            }
        }
        for (i, track) in tracks.iter().enumerate() {
            let echo = track.and_then(|thing| echoes[thing]);
            let values = match echo {
                Some(echo) => vec![
                    ("VALID", 1.0),
                    ("LONG_DIST", (echo.x_m + RADAR_DISTANCE_NOISE_M * noise.next()).max(0.0)),
                    ("LAT_DIST", echo.y_m + RADAR_DISTANCE_NOISE_M * noise.next()),
                    ("REL_SPEED", echo.vx_mps + RADAR_SPEED_NOISE_MPS * noise.next()),
                ],
                None => vec![("VALID", 0.0), ("LONG_DIST", 0.0), ("LAT_DIST", 0.0), ("REL_SPEED", 0.0)],
            };
            out.push(Sending { t_s: t, message: format!("RADAR_TRACK_{i}"), values });
        }
    });
}

fn distance(echo: &Option<Echo>) -> f64 {
    echo.map_or(f64::MAX, |e| e.x_m.hypot(e.y_m))
}
