//! Radar objects over time: a Kalman filter for each radar id and axis, and which object is the lead.
//!
//! Range and range rate are independent scalar measurements, taken in one after the other.
//!
//! To a radar a bridge, a sign, a guard rail or a manhole cover is an object that stands in the lane ([`motion`]).

pub mod corridor;
mod kalman;
mod motion;

use crate::{config, input::align};
use auriga_msgs::v1;
use auriga_runtime::{Nanos, plausibility};
use corridor::Corridor;
use kalman::Axis;
use motion::{Memory, Moving};
use std::{collections::BTreeMap, time::Duration};

/// Ids kept at most: a radar has a few dozen.
const MAX_TRACKS: usize = 64;
/// Initial variance of the lateral speed, which radar does not measure: objects cross a lane at up to about 3 m/s.
const LATERAL_SPEED_VARIANCE: f64 = 9.0;

#[derive(Debug, Clone)]
struct Track {
    x: Axis,
    y: Axis,
    stamp: Nanos,
    hits: u32,
    outside_gate: u32,
    in_lane: bool,
    moving: Moving,
}

impl Track {
    /// From its first report. What is where a moving object was lost is that object.
    fn begin(
        report: &v1::RadarTrack,
        stamp: Nanos,
        own_speed_mps: Option<f64>,
        memory: &Memory,
        c: &config::TracksConfig,
    ) -> Track {
        let axis = |p: f32, v: f32, pp: f64, vv: f64| Axis { p: p.into(), v: v.into(), pp, pv: 0.0, vv };
        let mut moving = memory.recall(report, stamp);
        moving.update(report, own_speed_mps, c);
        Track {
            x: axis(report.x_m, report.vx_mps, c.range_sigma_m.powi(2), c.speed_sigma_mps.powi(2)),
            y: axis(report.y_m, 0.0, c.lateral_sigma_m.powi(2), LATERAL_SPEED_VARIANCE),
            stamp,
            hits: 1,
            outside_gate: 0,
            in_lane: false,
            moving,
        }
    }
}

/// The nearest object ahead in the own lane, measured from the front bumper.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lead {
    /// The radar's id.
    pub id: u32,
    /// When it was last measured.
    pub stamp: Nanos,
    /// Distance, never negative.
    pub distance_m: f64,
    /// Closing speed; positive when the distance shrinks.
    pub closing_mps: f64,
    /// It is something on the road: it was seen moving, or whether it moves cannot be told.
    pub confirmed: bool,
}

/// All tracked objects.
#[derive(Debug)]
pub struct Tracks {
    config: config::TracksConfig,
    tracks: BTreeMap<u32, Track>,
    /// Moving objects that were lost lately.
    memory: Memory,
    own_speed_mps: Option<f64>,
    lead: Option<Lead>,
}

impl Tracks {
    /// No objects.
    pub fn new(config: config::TracksConfig) -> Self {
        Self { config, tracks: BTreeMap::new(), memory: Memory::default(), own_speed_mps: None, lead: None }
    }

    /// Sets the vehicle's own speed for the reports to come; without one, nothing is known to stand.
    pub fn set_own_speed(&mut self, speed_mps: Option<f64>) {
        self.own_speed_mps = speed_mps;
    }

    /// Takes in one report measured at `stamp`. Returns whether anything changed: a report that is not newer than the last
    /// one of its id is ignored.
    pub fn measure(&mut self, report: &v1::RadarTrack, stamp: Nanos) -> bool {
        let id = report.id;
        if !report.valid {
            let over = self.tracks.get(&id).is_some_and(|t| t.stamp < stamp);
            let lost = self.tracks.remove(&id).filter(|_| over);
            lost.iter().for_each(|t| self.memory.keep(&t.x, &t.y, t.stamp, t.moving));
            return lost.is_some();
        }
        if !plausibility::is_radar_track(report) || (self.tracks.len() >= MAX_TRACKS && !self.tracks.contains_key(&id))
        {
            return false;
        }
        let c = &self.config;
        let own = self.own_speed_mps;
        let Some(track) = self.tracks.get_mut(&id) else {
            self.tracks.insert(id, Track::begin(report, stamp, own, &self.memory, c));
            return true;
        };
        if stamp <= track.stamp {
            return false;
        }
        let dt = stamp.since(track.stamp);
        if dt > Duration::from_millis(c.timeout_ms) {
            self.memory.keep(&track.x, &track.y, track.stamp, track.moving);
            *track = Track::begin(report, stamp, own, &self.memory, c);
            return true;
        }
        let (rp, rv, ry) = (c.range_sigma_m.powi(2), c.speed_sigma_mps.powi(2), c.lateral_sigma_m.powi(2));
        let (zx, zv, zy) = (report.x_m.into(), report.vx_mps.into(), report.y_m.into());
        let x = track.x.predicted(dt.as_secs_f64(), c.acceleration_psd);
        if x.distance_p(zx, rp) + x.distance_v(zv, rv) > c.gate {
            // Not this object. After a few in a row the radar has reused the id.
            track.outside_gate += 1;
            if track.outside_gate >= c.restart_after {
                self.memory.keep(&track.x, &track.y, track.stamp, track.moving);
                *track = Track::begin(report, stamp, own, &self.memory, c);
            }
            return true;
        }
        track.x = x;
        track.x.update_p(zx, rp);
        track.x.update_v(zv, rv);
        track.y = track.y.predicted(dt.as_secs_f64(), c.acceleration_psd);
        track.y.update_p(zy, ry);
        track.stamp = stamp;
        track.hits = track.hits.saturating_add(1);
        track.outside_gate = 0;
        track.moving.update(report, own, c);
        true
    }

    /// Drops objects that were not measured lately and selects the lead: the nearest object in the corridor that was
    /// measured often enough and is confirmed; without such a one the nearest that is not.
    pub fn assign(&mut self, now: Nanos, corridor: &Corridor) {
        let timeout = Duration::from_millis(self.config.timeout_ms);
        for (_, t) in self.tracks.extract_if(.., |_, t| now.since(t.stamp) > timeout) {
            self.memory.keep(&t.x, &t.y, t.stamp, t.moving);
        }
        let c = &self.config;
        for t in self.tracks.values_mut() {
            let limit = if t.in_lane { c.lane_leave_m } else { c.lane_enter_m };
            t.in_lane = corridor.offset_m(t.x.p, t.y.p).abs() <= limit;
        }
        let leads = self.tracks.iter().filter(|(_, t)| t.in_lane && t.hits >= c.confirm_after).map(|(&id, t)| Lead {
            id,
            stamp: t.stamp,
            distance_m: t.x.p.max(0.0),
            closing_mps: -t.x.v,
            confirmed: self.is_confirmed(t),
        });
        // True comes after false: those that are not confirmed go last.
        self.lead = leads.min_by(|a, b| (!a.confirmed).cmp(&!b.confirmed).then(a.distance_m.total_cmp(&b.distance_m)));
    }

    fn is_confirmed(&self, track: &Track) -> bool {
        track.moving.seen() || self.own_speed_mps.is_none()
    }

    /// The lead, as of the last [`Self::assign`].
    pub fn lead(&self) -> Option<Lead> {
        self.lead
    }

    /// The confirmed objects, predicted to `instant`, ordered by id.
    pub fn at(&self, instant: Nanos) -> Vec<v1::Track> {
        let confirmed = self.tracks.iter().filter(|(_, t)| t.hits >= self.config.confirm_after);
        confirmed
            .map(|(&id, t)| {
                // A scene may lie a little before the newest radar frame.
                let dt = align::signed_difference(instant, t.stamp) as f64 * 1e-9;
                let dt = dt.clamp(-1.0, 1.0);
                let (x_m, y_m) = (t.x.p + t.x.v * dt, t.y.p + t.y.v * dt);
                v1::Track {
                    id,
                    // Radar measures positions, not classes.
                    class: v1::ObjectClass::Unspecified.into(),
                    x_m,
                    y_m,
                    vx_mps: t.x.v,
                    vy_mps: t.y.v,
                    time_to_collision_s: (t.x.v < -0.1).then(|| x_m.max(0.0) / -t.x.v),
                    lead: self.lead.is_some_and(|l| l.id == id),
                    stamp_ns: t.stamp.0,
                    confirmed: self.is_confirmed(t),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use proptest::prelude::*;

    fn tracks() -> Tracks {
        Tracks::new(Config::default().tracks)
    }

    fn report(id: u32, x: f64, y: f64, v: f64) -> v1::RadarTrack {
        v1::RadarTrack { id, x_m: x as f32, y_m: y as f32, vx_mps: v as f32, valid: true, stamp_ns: 0 }
    }

    fn ms(t: u64) -> Nanos {
        Nanos::from_millis(t)
    }

    #[test]
    fn the_filter_follows_a_noisy_object_closer_than_its_noise() {
        let mut tracks = tracks();
        let (mut worst_x, mut worst_v) = (0f64, 0f64);
        for k in 0..200u64 {
            let t = k as f64 * 0.05;
            let noise = ((k * 2654435761) % 1000) as f64 / 500.0 - 1.0;
            let (x, v) = (60.0 - 4.0 * t, -4.0);
            tracks.measure(&report(1, x + 0.4 * noise, 0.1 * noise, v + 0.2 * noise), ms(k * 50));
            tracks.assign(ms(k * 50), &Corridor::straight());
            if k > 20 {
                let lead = tracks.lead().unwrap();
                worst_x = worst_x.max((lead.distance_m - x).abs());
                worst_v = worst_v.max((lead.closing_mps - 4.0).abs());
            }
        }
        assert!(worst_x < 0.4 && worst_v < 0.25, "{worst_x} m, {worst_v} m/s");
    }

    #[test]
    fn hard_braking_is_followed_within_a_fifth_of_a_second() {
        let mut tracks = tracks();
        let (mut x, mut v) = (30.0, 0.0);
        for k in 0..60u64 {
            if k > 30 {
                v -= 6.0 * 0.05;
            }
            x += v * 0.05;
            tracks.measure(&report(1, x, 0.0, v), ms(k * 50));
            tracks.assign(ms(k * 50), &Corridor::straight());
        }
        let lead = tracks.lead().unwrap();
        assert!((lead.closing_mps + v).abs() < 6.0 * 0.2, "{} against {v}", lead.closing_mps);
    }

    #[test]
    fn an_outlier_is_rejected_and_a_reused_id_restarts_the_track() {
        let mut tracks = tracks();
        for k in 0..10 {
            tracks.measure(&report(1, 50.0, 0.0, 0.0), ms(k * 50));
        }
        tracks.measure(&report(1, 5.0, 0.0, -20.0), ms(500));
        tracks.assign(ms(500), &Corridor::straight());
        assert!(tracks.lead().unwrap().distance_m > 49.0);
        tracks.measure(&report(1, 5.0, 0.0, -20.0), ms(550));
        tracks.measure(&report(1, 4.0, 0.0, -20.0), ms(600));
        tracks.assign(ms(600), &Corridor::straight());
        assert!((tracks.lead().unwrap().distance_m - 4.0).abs() < 0.5);
    }

    #[test]
    fn a_track_begins_with_the_second_report_and_ends_when_invalid_or_silent() {
        let mut tracks = tracks();
        tracks.measure(&report(3, 20.0, 0.0, 0.0), ms(0));
        assert!(tracks.at(ms(0)).is_empty());
        tracks.measure(&report(3, 20.0, 0.0, 0.0), ms(50));
        assert_eq!(tracks.at(ms(50)).len(), 1);
        tracks.assign(ms(440), &Corridor::straight());
        assert_eq!(tracks.at(ms(440)).len(), 1);
        tracks.assign(ms(460), &Corridor::straight());
        assert!(tracks.at(ms(460)).is_empty(), "silent");
        tracks.measure(&report(3, 20.0, 0.0, 0.0), ms(500));
        tracks.measure(&report(3, 20.0, 0.0, 0.0), ms(550));
        assert!(tracks.measure(&v1::RadarTrack { valid: false, ..report(3, 0.0, 0.0, 0.0) }, ms(600)));
        assert!(tracks.at(ms(600)).is_empty(), "reported invalid");
    }

    #[test]
    fn a_repeated_or_older_report_changes_nothing() {
        let mut tracks = tracks();
        assert!(tracks.measure(&report(1, 20.0, 0.0, 0.0), ms(100)));
        assert!(!tracks.measure(&report(1, 25.0, 0.0, 0.0), ms(100)));
        assert!(!tracks.measure(&report(1, 25.0, 0.0, 0.0), ms(50)));
        assert!(!tracks.measure(&v1::RadarTrack { valid: false, ..report(1, 0.0, 0.0, 0.0) }, ms(90)));
    }

    #[test]
    fn the_lead_is_the_nearest_object_in_the_own_lane() {
        let mut tracks = tracks();
        for k in 0..3 {
            tracks.measure(&report(1, 10.0, 3.5, 0.0), ms(k * 50));
            tracks.measure(&report(2, 30.0, 0.3, 0.0), ms(k * 50));
            tracks.measure(&report(4, 60.0, 0.0, 0.0), ms(k * 50));
        }
        tracks.assign(ms(100), &Corridor::straight());
        assert_eq!(tracks.lead().unwrap().id, 2);
        assert_eq!(tracks.at(ms(100)).iter().filter(|t| t.lead).count(), 1);
    }

    proptest! {
        #[test]
        fn any_reports_leave_finite_numbers_and_bounded_memory(
            reports in proptest::collection::vec((0u32..200, any::<f32>(), any::<f32>(), any::<f32>(), any::<bool>(), 0u64..3000), 0..300),
        ) {
            let mut tracks = tracks();
            for (id, x_m, y_m, vx_mps, valid, t) in reports {
                tracks.measure(&v1::RadarTrack { id, stamp_ns: 0, x_m, y_m, vx_mps, valid }, ms(t));
                tracks.assign(ms(t), &Corridor::straight());
                for t in tracks.at(ms(t)) {
                    prop_assert!(t.x_m.is_finite() && t.y_m.is_finite() && t.vx_mps.is_finite());
                }
                prop_assert!(tracks.tracks.len() <= MAX_TRACKS);
            }
        }
    }
}
