//! The state of the drive: the newest scene, the mode of the arbiter, the local time and the last hazard.

use super::facts::{self, Observation};
use crate::{
    engine::interface::ModelInput,
    habits::{usage_history::Circumstances, wall_clock::WallClock},
    reply::verbosity::DriverWorkload,
};
use auriga_lm::intent::{classifier::context::Context, scene::SceneFacts};
use auriga_msgs::{
    Stamped, node,
    v1::{self, Mode},
};
use auriga_runtime::{Nanos, Node, Outbox};
use std::{sync::Arc, time::Duration};

/// "What was that" refers to a hazard that was active at most this long ago.
const HAZARD_MEMORY: Duration = Duration::from_secs(30);

/// The state of the drive.
pub(crate) struct DrivingContext {
    scene_max_age: Duration,
    scene: Option<Arc<v1::Scene>>,
    wall_clock: Option<WallClock>,
    /// The mode of the arbiter, and the end of its leases.
    mode: Option<(Mode, Nanos)>,
    /// When the grants with that mode were published.
    mode_published_ns: u64,
    /// The kind of the last hazard, and when it was active.
    last_hazard: Option<(String, Nanos)>,
}

impl DrivingContext {
    /// Everything unknown. `scene_max_age`: older values of the scene are unknown.
    pub fn new(scene_max_age: Duration) -> Self {
        Self { scene_max_age, scene: None, wall_clock: None, mode: None, mode_published_ns: 0, last_hazard: None }
    }

    /// Takes a scene, unless a newer one is known.
    pub fn update_scene(&mut self, scene: Arc<v1::Scene>, now: Nanos) {
        let stamp = |scene: &v1::Scene| scene.header_copy().stamp_ns;
        if self.scene.as_ref().is_some_and(|known| stamp(known) > stamp(&scene)) {
            return;
        }
        if let Some(kind) = facts::hazards(&scene.hazards).into_iter().next() {
            self.last_hazard = Some((kind, now));
        }
        self.scene = Some(scene);
    }

    /// Takes the mode of the arbiter, unless that of later grants is known.
    pub fn update_mode(&mut self, grants: &v1::Grants) {
        let published_ns = grants.header_copy().published_ns;
        let until = grants.grants.iter().map(|grant| Nanos(grant.lease_end_ns)).max();
        if let Some(until) = until.filter(|_| self.mode_published_ns <= published_ns) {
            (self.mode, self.mode_published_ns) = (Some((grants.mode(), until)), published_ns);
        }
    }

    /// Takes the local time, if the message has a plausible one.
    pub fn update_time(&mut self, info: &v1::DriveInfo) {
        self.wall_clock = WallClock::from_drive(info).or(self.wall_clock);
    }

    /// Whether there was a scene.
    pub fn has_scene(&self) -> bool {
        self.scene.is_some()
    }

    fn observation(&self, now: Nanos) -> Observation {
        Observation::of(self.scene.as_deref(), now, self.scene_max_age)
    }

    /// The context for the model, and the names of implausible values of the scene, which are unknown in it. `recent`: the
    /// last intents, newest first.
    fn model_context(&self, recent: Vec<String>, now: Nanos) -> (Context, Vec<&'static str>) {
        let Observation { facts, lane, raining, implausible } = self.observation(now);
        let minute_of_day = self.wall_clock.map(|clock| clock.minute_of_day(now));
        let scene = SceneFacts { minute_of_day, ..facts };
        (Context { scene, lane, raining, recent }, implausible)
    }

    /// A request with its context. Implausible values of the scene are reported and unknown to the model.
    pub fn model_input<N: Node<Name = node::Language>>(
        &self,
        text: &str,
        recent: Vec<String>,
        now: Nanos,
        out: &mut Outbox<N>,
    ) -> ModelInput {
        let (context, implausible) = self.model_context(recent, now);
        for name in implausible {
            let text = format!("{name} of the scene is implausible for a car and counts as unknown; check fusion");
            out.fault(now, v1::Severity::Warning, "scene-absurd-value", "fusion/scene", text);
        }
        ModelInput { text: text.to_owned(), context }
    }

    /// When and where a request is made.
    pub fn circumstances(&self, now: Nanos) -> Circumstances {
        let speed_mps = self.observation(now).facts.speed_mps;
        Circumstances::of(self.scene.as_deref(), speed_mps, self.wall_clock, now)
    }

    /// The workload of the driver.
    pub fn workload(&self, now: Nanos) -> DriverWorkload {
        let mode = self.mode.filter(|(_, until)| now < *until).map(|(mode, _)| mode);
        DriverWorkload::observe(self.scene.as_deref(), mode, self.scene_max_age, now)
    }

    /// When the workload of the driver changes with time alone: the scene becomes too old, or the leases end.
    pub fn workload_changes(&self, now: Nanos) -> impl Iterator<Item = Nanos> {
        let scene = self.scene.as_ref().map(|scene| Nanos(scene.header_copy().stamp_ns));
        let too_old = scene.map(|stamp| stamp + self.scene_max_age + Duration::from_nanos(1));
        let lease_end = self.mode.map(|(_, until)| until);
        too_old.into_iter().chain(lease_end).filter(move |at| *at > now)
    }

    /// The kind of the hazard that "what was that" refers to.
    pub fn last_hazard(&self, now: Nanos) -> Option<&str> {
        let (kind, at) = self.last_hazard.as_ref()?;
        (now.since(*at) <= HAZARD_MEMORY).then_some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_long_lease_does_not_hold_its_mode_against_later_grants() {
        let grants = |at_ms: u64, lease_ms: u64, mode: Mode| {
            let lease_end_ns = Nanos::from_millis(at_ms + lease_ms).0;
            let header = Some(v1::Header { published_ns: Nanos::from_millis(at_ms).0, ..Default::default() });
            let grants = vec![v1::Grant { lease_end_ns, ..Default::default() }];
            v1::Grants { header, mode: mode.into(), grants, ..Default::default() }
        };
        let mut context = DrivingContext::new(Duration::from_secs(2));
        context.update_mode(&grants(1000, 10_000, Mode::Nominal));
        context.update_mode(&grants(1100, 300, Mode::Hazard));
        assert_eq!(context.mode, Some((Mode::Hazard, Nanos::from_millis(1400))));
        context.update_mode(&grants(1050, 300, Mode::Nominal));
        assert_eq!(context.mode.map(|(mode, _)| mode), Some(Mode::Hazard), "older grants");
    }
}
