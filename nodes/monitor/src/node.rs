//! The monitor's state machine.

use crate::{
    config::Config,
    drive::{self, Drive, Truth},
    losses::Losses,
};
use anyhow::Context;
use auriga_msgs::{Any, node, topic, v1};
use auriga_runtime::{Nanos, Node, Outbox, chains::ChainMonitor};
use std::{collections::VecDeque, time::Duration};

/// How often info and report are published.
const PERIOD: Duration = Duration::from_secs(1);
/// A node that starts in the middle of a drive leaves out truth older than this.
const OLDEST_TRUTH: Duration = Duration::from_millis(200);

/// What the node's shell is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The drive is over and the last report is out: end the process.
    End,
}

/// The monitor's state machine: takes in every topic, publishes `drive/info`, `drive/truth` and `drive/report`.
pub struct MonitorNode {
    info: v1::DriveInfo,
    /// What is still to be played, by time.
    truth: VecDeque<Truth>,
    /// Time 0 of the drive; the first tick's time until it is known.
    start_at: Option<Nanos>,
    /// From the start to the last report; `None`: without end.
    duration: Option<Duration>,
    ended: bool,
    next_report: Nanos,
    chains: ChainMonitor,
    losses: Losses,
    messages: u64,
}

impl MonitorNode {
    /// Reads the drive that `config` names. `start_at`: the instant of the drive's time 0; `None`: the first tick's.
    ///
    /// # Errors
    /// A value of `config` that is not allowed; a folder that is not a drive.
    pub fn new(config: &Config, start_at: Option<Nanos>) -> anyhow::Result<Self> {
        config.check()?;
        let drive = match config.drive.as_os_str().is_empty() {
            true => None,
            false => Some(Drive::open(&config.drive).context("drive")?),
        };
        let truth = drive.as_ref().map_or(Ok(Vec::new()), Drive::truth)?;
        let manifest = drive.map(|d| d.manifest);
        let or_of_drive = |own: &str, field: fn(&drive::Manifest) -> &String| match (own, &manifest) {
            ("", Some(manifest)) => field(manifest).clone(),
            (own, _) => own.to_owned(),
        };
        let duration_s = match (config.duration_s, &manifest) {
            (0.0, Some(manifest)) => manifest.duration_s,
            (own, _) => own,
        };
        let info = v1::DriveInfo {
            header: None,
            name: or_of_drive(&config.name, |m| &m.name),
            vehicle: or_of_drive(&config.vehicle, |m| &m.vehicle),
            seed: manifest.as_ref().map_or(0, |m| m.seed),
            transcript_track: config.transcript_track,
            start_ns: 0,
            duration_s,
            ..Default::default()
        };
        let wall = manifest.as_ref().and_then(|m| drive::wall_time(&m.start));
        let node = Self {
            info,
            truth: truth.into(),
            start_at,
            duration: (duration_s > 0.0).then(|| Duration::from_secs_f64(duration_s + config.tail_s)),
            ended: false,
            next_report: Nanos::ZERO,
            chains: ChainMonitor::new(),
            losses: Losses::default(),
            messages: 0,
        };
        Ok(match wall {
            Some((unix_ns, utc_offset_s)) => node.starting_at(unix_ns, utc_offset_s),
            None => node,
        })
    }

    /// With the wall clock's time at the start: Unix time in nanoseconds and the offset of local time from UTC in
    /// seconds. A drive that states its own keeps that.
    pub fn starting_at(mut self, unix_ns: i64, utc_offset_s: i32) -> Self {
        if self.info.wall_ns == 0 {
            (self.info.wall_ns, self.info.utc_offset_s) = (unix_ns, utc_offset_s);
        }
        self
    }

    /// The figures so far.
    fn report(&self, now: Nanos, last: bool) -> v1::DriveReport {
        v1::DriveReport {
            header: Some(v1::Header::new(now.0, 0)),
            chains: self.chains.report(),
            messages: self.messages,
            lost_reliable: self.losses.total(),
            r#final: last,
        }
    }

    fn play_truth(&mut self, start: Nanos, now: Nanos, out: &mut Outbox<Self>) {
        let at = |truth: &Truth| start + Duration::from_secs_f64(truth.t_s);
        while let Some(truth) = self.truth.pop_front_if(|t| at(t) <= now) {
            let at = at(&truth);
            if now.since(at) > OLDEST_TRUTH {
                continue;
            }
            out.publish::<topic::DriveTruth>(v1::GroundTruth {
                header: Some(v1::Header::new(at.0, 0)),
                speed_mps: truth.speed_mps,
                yaw_rate_radps: truth.yaw_rate_radps,
                lane_offset_m: truth.lane_offset_m,
                curvature_per_m: truth.curvature_per_m,
                lead_distance_m: truth.lead_distance_m,
                lead_speed_mps: truth.lead_speed_mps,
                event: truth.event,
            });
        }
        if let Some(next) = self.truth.front() {
            out.tick_at(at(next));
        }
    }
}

impl Node for MonitorNode {
    type Name = node::Monitor;
    type Effect = Effect;

    fn on_input(&mut self, input: node::MonitorInput, _now: Nanos, _out: &mut Outbox<Self>) {
        let any = Any::from(input);
        self.messages += 1;
        self.chains.observe(&any);
        self.losses.observe(&any);
    }

    fn on_tick(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let start = *self.start_at.get_or_insert(now);
        if self.ended {
            return;
        }
        let due = now >= self.next_report;
        if due {
            let header = Some(v1::Header::new(now.0, 0));
            out.publish::<topic::DriveInfo>(v1::DriveInfo { header, start_ns: start.0, ..self.info.clone() });
            self.next_report = now + PERIOD;
        }
        self.play_truth(start, now, out);
        let end = self.duration.map(|duration| start + duration);
        self.ended = end.is_some_and(|end| now >= end);
        if due || self.ended {
            out.publish::<topic::DriveReport>(self.report(now, self.ended));
        }
        if self.ended {
            return out.effect(Effect::End);
        }
        out.tick_at(self.next_report);
        end.into_iter().for_each(|end| out.tick_at(end));
    }
}
