//! The state machine.

use crate::{
    config::Config,
    drive::{self, Drive, Truth},
    losses::ToldLosses,
};
use anyhow::Context;
use auriga_msgs::{Any, node, topic, v1};
use auriga_runtime::{
    Nanos, Node, Outbox,
    chains::{ChainMonitor, LossMonitor},
};
use std::{collections::VecDeque, time::Duration};

/// How often info and report are published.
const PERIOD: Duration = Duration::from_secs(1);
/// A node that starts in the middle of a drive leaves out truth older than this.
const OLDEST_TRUTH: Duration = Duration::from_millis(200);
/// Longest drive: a day.
const LONGEST_S: f64 = 86_400.0;

/// What the shell is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The drive is over and the last report is out: end the process.
    End,
}

/// The state machine.
pub struct MonitorNode {
    info: v1::DriveInfo,
    /// What is still to be played, by time.
    truth: VecDeque<Truth>,
    /// Time 0 of the drive; the first tick's time until it is known.
    start_at: Option<Nanos>,
    /// From the start to the last report.
    runs: Option<Duration>,
    ended: bool,
    next_report: Nanos,
    chains: ChainMonitor,
    losses: LossMonitor,
    told_losses: ToldLosses,
    messages: u64,
}

impl MonitorNode {
    /// Reads the drive that `config` names. `start_at`: the instant of the drive's time 0; `None`: at once.
    pub fn new(config: &Config, start_at: Option<Nanos>) -> anyhow::Result<Self> {
        for (field, value) in [("duration_s", config.duration_s), ("tail_s", config.tail_s)] {
            anyhow::ensure!((0.0..=LONGEST_S).contains(&value), "{field} = {value}: expected 0 to {LONGEST_S} s");
        }
        let drive = match config.drive.as_os_str().is_empty() {
            true => None,
            false => Some(Drive::open(&config.drive).context("drive")?),
        };
        let truth = drive.as_ref().map_or(Ok(Vec::new()), Drive::truth)?;
        let manifest = drive.map(|d| d.manifest);
        let or_drives = |own: &str, field: fn(&drive::Manifest) -> &String| match (own, &manifest) {
            ("", Some(manifest)) => field(manifest).clone(),
            (own, _) => own.to_owned(),
        };
        let duration_s = match (config.duration_s, &manifest) {
            (0.0, Some(manifest)) => manifest.duration_s,
            (own, _) => own,
        };
        let info = v1::DriveInfo {
            header: None,
            name: or_drives(&config.name, |m| &m.name),
            vehicle: or_drives(&config.vehicle, |m| &m.vehicle),
            seed: manifest.as_ref().map_or(0, |m| m.seed),
            transcript_track: config.transcript_track,
            start_ns: 0,
            duration_s,
            ..Default::default()
        };
        let story = manifest.as_ref().and_then(|m| drive::wall_time(&m.start));
        let node = Self {
            info,
            truth: truth.into(),
            start_at,
            runs: (duration_s > 0.0).then(|| Duration::from_secs_f64(duration_s + config.tail_s)),
            ended: false,
            next_report: Nanos::ZERO,
            chains: ChainMonitor::new(),
            losses: LossMonitor::default(),
            told_losses: ToldLosses::default(),
            messages: 0,
        };
        Ok(match story {
            Some((unix_ns, utc_offset_s)) => node.starting_at(unix_ns, utc_offset_s),
            None => node,
        })
    }

    /// Tells the wall clock's time at the start, unless the drive that is played has told its own.
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
            lost_reliable: self.losses.lost_reliable + self.told_losses.total(),
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
        self.losses.observe_message(&any);
        if let Any::Usage(usage) = &any {
            self.told_losses.take(usage);
        }
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
        let end = self.runs.map(|runs| start + runs);
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
