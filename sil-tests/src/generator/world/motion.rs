//! Motion: the ego vehicle by a kinematic bicycle model with a driver, the other cars along their lanes, pedestrians.
//! Everything else of a drive is derived from it.
//!
//! Kinematic bicycle, reference at the rear axle: x' = v cos ψ, y' = v sin ψ, ψ' = v tan(δ) / L (Rajamani, Vehicle
//! Dynamics and Control, 2nd ed., section 2.2, with the slip angles neglected).

use super::road::Road;
use crate::generator::{
    noise::Gauss,
    script::{Drift, Script, Side, TrafficCar, interpolate},
};

/// Integration step.
pub const STEP_S: f64 = 0.005;
/// Of the ego vehicle.
pub const WHEELBASE_M: f64 = 2.7;
/// From the rear axle to the camera.
pub const CAMERA_AHEAD_M: f64 = 1.5;
/// From the rear axle to the front bumper.
pub const BUMPER_AHEAD_M: f64 = 3.6;
/// From the rear axle to the rear bumper.
pub const REAR_BEHIND_M: f64 = 0.8;
/// Width of the ego vehicle.
pub const WIDTH_M: f64 = 1.8;
/// Angle of the steering wheel for one of the road wheels.
pub const STEERING_RATIO: f64 = 15.0;
/// Of the other cars.
pub const CAR_LENGTH_M: f64 = 4.4;
/// Of the other cars.
pub const CAR_WIDTH_M: f64 = 1.82;

/// The driver: car following by the Intelligent Driver Model (Treiber, Hennecke, Helbing 2000).
const HEADWAY_S: f64 = 1.4;
const STANDSTILL_GAP_M: f64 = 4.0;
const COMFORT_ACCEL_MPS2: f64 = 1.6;
const COMFORT_BRAKE_MPS2: f64 = 2.2;
const HARDEST_BRAKE_MPS2: f64 = 8.5;
/// How fast a driver changes the acceleration: on the brake in an emergency, and off it or on the accelerator.
const JERK_DOWN_MPS3: f64 = 25.0;
const JERK_UP_MPS3: f64 = 4.0;
/// Lateral control: natural frequency and damping of the return to the wanted line.
const LATERAL_RATE_PER_S: f64 = 1.3;
const LATERAL_DAMPING: f64 = 0.95;
/// Steering noise: curvature, and the time over which it wanders.
const STEER_NOISE_PER_M: f64 = 0.0002;
const STEER_NOISE_TAU_S: f64 = 1.2;

/// The ego vehicle at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ego {
    /// Rear axle in the plane.
    pub x_m: f64,
    /// Rear axle in the plane.
    pub y_m: f64,
    /// In the plane, positive to the left.
    pub heading_rad: f64,
    /// Of the rear axle.
    pub speed_mps: f64,
    /// Along its heading.
    pub accel_mps2: f64,
    /// Of the road wheels, positive to the left.
    pub steer_rad: f64,
    /// Positive to the left.
    pub yaw_rate_radps: f64,
    /// Position of the camera along the road.
    pub s_m: f64,
    /// Position of the camera across the road, positive to the left.
    pub d_m: f64,
    /// Relative to the road at the camera, positive to the left.
    pub road_heading_rad: f64,
    /// Of the road at the camera.
    pub curvature_per_m: f64,
}

/// Another car at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Car {
    /// Position of its centre along the road.
    pub s_m: f64,
    /// Position of its centre across the road.
    pub d_m: f64,
    /// In its own direction, never negative.
    pub speed_mps: f64,
    /// In its own direction.
    pub accel_mps2: f64,
    /// Whether it comes towards the ego vehicle.
    pub oncoming: bool,
}

/// A pedestrian at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pedestrian {
    /// Position along the road.
    pub s_m: f64,
    /// Position across the road.
    pub d_m: f64,
    /// Phase of the step; 0: standing.
    pub stride_rad: f64,
}

/// The motion of the drive in steps of [`STEP_S`].
#[derive(Debug, Clone)]
pub struct Motion {
    /// The ego vehicle by step.
    pub ego: Vec<Ego>,
    /// The other cars, by car and step.
    pub cars: Vec<Vec<Car>>,
}

impl Motion {
    /// Simulates the script.
    pub fn new(script: &Script, road: &Road) -> Motion {
        // Half a second more than the drive, so that what is sampled at its very end is there.
        let steps = ((script.duration_s + 0.5) / STEP_S).ceil() as usize;
        let start_m = CAMERA_AHEAD_M;
        let cars: Vec<Vec<Car>> = script.traffic.iter().map(|c| simulate_car(c, road, start_m, steps)).collect();
        let mut noise = Gauss::new(script.seed, 1);
        let mut ego = start(script, road, start_m);
        let mut wander = 0.0;
        let mut states = Vec::with_capacity(steps);
        for step in 0..steps {
            states.push(ego);
            let t = step as f64 * STEP_S;
            let decay = STEP_S / STEER_NOISE_TAU_S;
            wander += -wander * decay + STEER_NOISE_PER_M * (2.0 * decay).sqrt() * noise.next();
            let accel = drive_along(script, road, &ego, &cars, step);
            let steer = steer(script, road, &ego, t, wander);
            ego = advance(ego, accel, steer, road);
        }
        Motion { ego: states, cars }
    }

    /// The ego vehicle at `t_s`, linear between the steps.
    pub fn ego_at(&self, t_s: f64) -> Ego {
        let (i, f) = self.locate(t_s);
        let (a, b) = (&self.ego[i], &self.ego[i + 1]);
        let mix = |p: f64, q: f64| p + (q - p) * f;
        Ego {
            x_m: mix(a.x_m, b.x_m),
            y_m: mix(a.y_m, b.y_m),
            heading_rad: mix(a.heading_rad, b.heading_rad),
            speed_mps: mix(a.speed_mps, b.speed_mps),
            accel_mps2: mix(a.accel_mps2, b.accel_mps2),
            steer_rad: mix(a.steer_rad, b.steer_rad),
            yaw_rate_radps: mix(a.yaw_rate_radps, b.yaw_rate_radps),
            s_m: mix(a.s_m, b.s_m),
            d_m: mix(a.d_m, b.d_m),
            road_heading_rad: mix(a.road_heading_rad, b.road_heading_rad),
            curvature_per_m: mix(a.curvature_per_m, b.curvature_per_m),
        }
    }

    /// The car of this index at `t_s`.
    pub fn car_at(&self, car: usize, t_s: f64) -> Car {
        let (i, f) = self.locate(t_s);
        let (a, b) = (&self.cars[car][i], &self.cars[car][i + 1]);
        let mix = |p: f64, q: f64| p + (q - p) * f;
        Car {
            s_m: mix(a.s_m, b.s_m),
            d_m: a.d_m,
            speed_mps: mix(a.speed_mps, b.speed_mps),
            accel_mps2: a.accel_mps2,
            oncoming: a.oncoming,
        }
    }

    /// The next car ahead in the lane: its index and the gap from the front bumper to its rear along the road.
    pub fn lead_at(&self, t_s: f64, road: &Road) -> Option<(usize, f64)> {
        let ego = self.ego_at(t_s);
        let cars = (0..self.cars.len()).map(|i| (i, self.car_at(i, t_s)));
        ahead(&ego, road, cars)
    }

    fn locate(&self, t_s: f64) -> (usize, f64) {
        let position = (t_s / STEP_S).clamp(0.0, (self.ego.len() - 2) as f64);
        (position as usize, position.fract())
    }
}

/// The pedestrian of this index: waits beyond the kerb, then takes two steps to the edge line.
pub fn pedestrian_at(script: &Script, road: &Road, index: usize, t_s: f64) -> Pedestrian {
    const WAITS_M: f64 = 1.5;
    const STOPS_M: f64 = 0.15;
    const PACE_MPS: f64 = 1.1;
    const STRIDE_M: f64 = 0.7;
    let pedestrian = script.pedestrians[index];
    let walked = ((t_s - pedestrian.steps_at_s).max(0.0) * PACE_MPS).min(WAITS_M - STOPS_M);
    let walking = walked > 0.0 && walked < WAITS_M - STOPS_M;
    let stride_rad = if walking { walked / STRIDE_M * std::f64::consts::PI } else { 0.0 };
    Pedestrian { s_m: pedestrian.s_m, d_m: road.edges_m().0 - WAITS_M + walked, stride_rad }
}

/// The lateral position that the driver wants at `t`: lane, lane changes, drifts.
pub fn desired_d(script: &Script, road: &Road, t: f64) -> f64 {
    let mut d = road.lane_centre_m(script.ego.lane);
    for change in script.ego.lane_changes.iter().filter(|c| t >= c.t_s) {
        d += (road.lane_centre_m(change.to_lane) - d) * smooth((t - change.t_s) / change.duration_s);
    }
    d + script.ego.drifts.iter().map(|drift| drifted(drift, road, t)).sum::<f64>()
}

/// Lateral offset of a drift: out over 60 % of the time, back over the rest.
fn drifted(drift: &Drift, road: &Road, t: f64) -> f64 {
    let f = (t - drift.t_s) / drift.duration_s;
    let furthest = road.lane_width_m() / 2.0 - WIDTH_M / 2.0 + drift.beyond_m;
    let sign = if drift.side == Side::Left { 1.0 } else { -1.0 };
    sign * furthest * if f < 0.6 { smooth(f / 0.6) } else { 1.0 - smooth((f - 0.6) / 0.4) }
}

/// 0 to 1 with zero first and second derivatives at both ends.
fn smooth(f: f64) -> f64 {
    let f = f.clamp(0.0, 1.0);
    f * f * f * (f * (6.0 * f - 15.0) + 10.0)
}

/// The side of the indicator, which is on during a lane change; `None`: off.
pub fn indicator_at(script: &Script, road: &Road, t: f64) -> Option<Side> {
    let change = script.ego.lane_changes.iter().find(|c| t >= c.t_s - c.indicator_s && t < c.t_s + c.duration_s)?;
    let before = desired_d(script, road, change.t_s - 1e-6);
    Some(if road.lane_centre_m(change.to_lane) > before { Side::Left } else { Side::Right })
}

fn start(script: &Script, road: &Road, s_m: f64) -> Ego {
    let d_m = road.lane_centre_m(script.ego.lane);
    let (x, y) = road.place(s_m, d_m);
    let at = road.at(s_m);
    let speed_mps = interpolate(script.ego.speed.iter().map(|p| (p.t_s, p.mps)), 0.0);
    let mut ego = Ego { heading_rad: at.heading_rad, speed_mps, s_m, d_m, ..Ego::default() };
    ego.x_m = x - CAMERA_AHEAD_M * ego.heading_rad.cos();
    ego.y_m = y - CAMERA_AHEAD_M * ego.heading_rad.sin();
    ego.curvature_per_m = at.curvature_per_m;
    ego
}

/// The motion of one car: on its lane centre with the speed of the script, integrated by the trapezoidal rule.
fn simulate_car(script: &TrafficCar, road: &Road, ego_s_m: f64, steps: usize) -> Vec<Car> {
    let oncoming = script.lane >= 2;
    let speed = |step: usize| interpolate(script.speed.iter().map(|p| (p.t_s, p.mps)), step as f64 * STEP_S);
    let mut s_m = ego_s_m + script.ahead_m;
    let d_m = road.lane_centre_m(script.lane);
    (0..steps)
        .map(|step| {
            let (now, next) = (speed(step), speed(step + 1));
            let car = Car { s_m, d_m, speed_mps: now, accel_mps2: (next - now) / STEP_S, oncoming };
            s_m += (now + next) / 2.0 * STEP_S * if oncoming { -1.0 } else { 1.0 };
            car
        })
        .collect()
}

fn ahead(ego: &Ego, road: &Road, cars: impl Iterator<Item = (usize, Car)>) -> Option<(usize, f64)> {
    let front = ego.s_m + BUMPER_AHEAD_M - CAMERA_AHEAD_M;
    cars.filter(|(_, car)| !car.oncoming && (car.d_m - ego.d_m).abs() < road.lane_width_m() * 0.55)
        .map(|(i, car)| (i, car.s_m - CAR_LENGTH_M / 2.0 - front))
        .filter(|(_, gap)| *gap > -CAR_LENGTH_M)
        .min_by(|a, b| a.1.total_cmp(&b.1))
}

/// The acceleration the driver wants.
fn drive_along(script: &Script, road: &Road, ego: &Ego, cars: &[Vec<Car>], step: usize) -> f64 {
    let t = step as f64 * STEP_S;
    let wanted = interpolate(script.ego.speed.iter().map(|p| (p.t_s, p.mps)), t);
    let free = (0.8 * (wanted - ego.speed_mps)).clamp(-COMFORT_BRAKE_MPS2, COMFORT_ACCEL_MPS2);
    let inattentive = script.ego.inattentive.iter().any(|i| t >= i.from_s && t < i.to_s);
    let now = cars.iter().enumerate().map(|(i, states)| (i, states[step]));
    match ahead(ego, road, now) {
        Some((car, gap)) if !inattentive => {
            let closing = ego.speed_mps - cars[car][step].speed_mps;
            let dynamic = ego.speed_mps * HEADWAY_S
                + ego.speed_mps * closing / (2.0 * (COMFORT_ACCEL_MPS2 * COMFORT_BRAKE_MPS2).sqrt());
            let wanted_gap = STANDSTILL_GAP_M + dynamic.max(0.0);
            let follow = COMFORT_ACCEL_MPS2 * (1.0 - (wanted_gap / gap.max(0.5)).powi(2));
            free.min(follow).max(-HARDEST_BRAKE_MPS2)
        }
        _ => free,
    }
}

/// The angle of the road wheels the driver wants.
fn steer(script: &Script, road: &Road, ego: &Ego, t: f64, wander: f64) -> f64 {
    // A standing car cannot be steered; below this speed the control law would ask for full lock.
    let v = ego.speed_mps.max(3.0);
    let h = 0.05;
    let [before, at, after] = [t - h, t, t + h].map(|t| desired_d(script, road, t));
    let (rate, bend) = ((after - before) / (2.0 * h), (after - 2.0 * at + before) / (h * h));
    let error = ego.d_m - at;
    let heading_error = ego.road_heading_rad - rate / v;
    let correction = (LATERAL_RATE_PER_S * LATERAL_RATE_PER_S * error
        + 2.0 * LATERAL_DAMPING * LATERAL_RATE_PER_S * v * heading_error)
        / (v * v);
    (WHEELBASE_M * (ego.curvature_per_m + bend / (v * v) - correction + wander)).atan().clamp(-0.5, 0.5)
}

fn advance(ego: Ego, accel: f64, steer: f64, road: &Road) -> Ego {
    /// The steering follows the hands with this lag.
    const STEER_LAG_S: f64 = 0.06;
    let change = (accel - ego.accel_mps2).clamp(-JERK_DOWN_MPS3 * STEP_S, JERK_UP_MPS3 * STEP_S);
    let accel_mps2 = ego.accel_mps2 + change;
    let speed_mps = (ego.speed_mps + accel_mps2 * STEP_S).max(0.0);
    let steer_rad = ego.steer_rad + (steer - ego.steer_rad) * STEP_S / STEER_LAG_S;
    let yaw_rate_radps = speed_mps * steer_rad.tan() / WHEELBASE_M;
    let heading_rad = ego.heading_rad + yaw_rate_radps * STEP_S;
    let middle = ego.heading_rad + yaw_rate_radps * STEP_S / 2.0;
    let distance = (ego.speed_mps + speed_mps) / 2.0 * STEP_S;
    let (x_m, y_m) = (ego.x_m + distance * middle.cos(), ego.y_m + distance * middle.sin());
    let camera = (x_m + CAMERA_AHEAD_M * heading_rad.cos(), y_m + CAMERA_AHEAD_M * heading_rad.sin());
    let (s_m, d_m) = road.frenet(camera.0, camera.1, ego.s_m + distance, 2);
    let at = road.at(s_m);
    Ego {
        x_m,
        y_m,
        heading_rad,
        speed_mps,
        accel_mps2: if speed_mps > 0.0 { accel_mps2 } else { 0.0 },
        steer_rad,
        yaw_rate_radps,
        s_m,
        d_m,
        road_heading_rad: heading_rad - at.heading_rad,
        curvature_per_m: at.curvature_per_m,
    }
}
