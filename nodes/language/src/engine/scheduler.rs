//! When the model runs: one slice to a tick, the more urgent class first, at the pace of the shares.

use crate::{
    IntentTask, LanguageNode, Request,
    engine::interface::{Class, EngineError, ModelInput, Progress, Slice},
    ms,
    reply::verbosity::Verbosity,
    understand::facts::Observation,
};
use auriga_lm::intent::{classifier::context::Context, scene::SceneFacts};
use auriga_msgs::v1::{Severity, WorkloadUsage};
use auriga_runtime::{Nanos, Outbox};
use std::time::Duration;

/// What the slices of one class have used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    pub slices: u64,
    pub last_slice: Duration,
    /// On the processor, in all; as long as taken to be where nothing is measured.
    pub cpu: Duration,
    /// Times its unfinished work was taken off the processor.
    pub preemptions: u64,
}

/// The slices so far.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    used: [Used; 2],
    /// Until when the last slice runs.
    busy_until: Nanos,
    /// Whose slice was the last.
    last: Option<Class>,
    /// When its next was asked for, where its length is not measured: a later tick tells that it took longer.
    expected: Option<Nanos>,
}

impl Clock {
    /// A class may not run any more, or may again; `mid_work`: it had work under way.
    pub fn taken_off(&mut self, class: Class, mid_work: bool) -> Used {
        (self.last, self.expected) = (None, None);
        let used = &mut self.used[class as usize];
        used.preemptions += u64::from(mid_work);
        *used
    }
}

impl LanguageNode {
    /// Runs one slice if one is due.
    pub(crate) fn slice(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        if now < self.clock.busy_until {
            return;
        }
        self.charge_lateness(now);
        let before = self.clock.last.take();
        let Some(class) = self.due(now) else { return };
        if class == Class::Intent && !self.begin_intent(now, out) {
            return;
        }
        if class == Class::Intent && before == Some(Class::Dialogue) && self.reply.is_some() {
            self.clock.used[Class::Dialogue as usize].preemptions += 1;
        }
        let (layers, nominal) = self.slice_size(class, now);
        let Ok(engine) = &mut self.model else { return };
        let progress = engine.advance(class, layers);
        let measured = if progress.is_ok() { engine.last_slice() } else { None };
        self.account(class, nominal, measured, now);
        self.progress(class, progress, now, out);
        self.tell_problem(now, out);
        if self.has_work(class) {
            self.clock.last = Some(class);
        } else {
            // Nothing more of it is asked for, so nothing can be late.
            self.clock.expected = None;
        }
    }

    /// A slice has run: as long as it was measured, or else as long as it is taken to be.
    fn account(&mut self, class: Class, nominal: Duration, measured: Option<Slice>, now: Nanos) {
        let (length, cpu) = measured.map_or((nominal, nominal), |slice| (slice.wall, slice.cpu));
        if let Some(slice) = &measured {
            self.paces[class as usize].took(slice);
        }
        self.clock.busy_until = now + length;
        let used = &mut self.clock.used[class as usize];
        (used.slices, used.last_slice, used.cpu) = (used.slices + 1, length, used.cpu + cpu);
        let share = self.shares.of(class);
        share.charge(cpu, now);
        let next = share.ready_at(self.clock.busy_until).max(self.clock.busy_until);
        self.clock.expected = measured.is_none().then_some(next);
    }

    fn has_work(&self, class: Class) -> bool {
        match class {
            Class::Intent => self.intent.is_some() || !self.queue.is_empty(),
            Class::Dialogue => self.reply.is_some(),
        }
    }

    /// Whether a class may use the processor. What must not be said yet is not worked out either.
    fn may_run(&mut self, class: Class, now: Nanos) -> bool {
        let held = class == Class::Dialogue && self.talk(now) == Verbosity::Silent;
        !held && self.shares.of(class).may_run(now)
    }

    /// The class whose slice may run now.
    fn due(&mut self, now: Nanos) -> Option<Class> {
        [Class::Intent, Class::Dialogue].into_iter().find(|&class| {
            self.has_work(class) && self.may_run(class, now) && self.shares.of(class).ready_at(now) <= now
        })
    }

    /// Layers of a slice and how long it is taken to be. Intent at its floor runs in half slices.
    fn slice_size(&self, class: Class, now: Nanos) -> (usize, Duration) {
        let full = self.paces[class as usize].layers();
        let short = class == Class::Intent && self.shares.intent.level(now) == 0;
        let layers = if short { (full / 2).max(1) } else { full };
        (layers, self.config.slice().mul_f64(layers as f64 / full as f64))
    }

    /// A tick that comes later than asked for means that the slice before took longer than nominal, or that others had
    /// the processor. The two cannot be told apart, so the share pays for the slice once more at most: a busy machine
    /// must not make the node owe time it never had.
    fn charge_lateness(&mut self, now: Nanos) {
        let Some(class) = self.clock.last else { return };
        let Some(asked) = self.clock.expected.take_if(|asked| *asked <= now) else { return };
        let used = &mut self.clock.used[class as usize];
        let late = now.since(asked).min(used.last_slice);
        used.last_slice += late;
        self.shares.of(class).charge(late, now);
    }

    /// Makes sure that intent work is under way; false when nothing of the queue is worth it, or needs no model.
    fn begin_intent(&mut self, now: Nanos, out: &mut Outbox<Self>) -> bool {
        if self.intent.is_some() {
            return true;
        }
        let Some(heard) = self.queue.pop_front() else { return false };
        let ask = self.ask(&heard, now, out);
        if self.is_answer(&heard, &ask, now, out) {
            return false;
        }
        let Ok(engine) = &mut self.model else { return false };
        match engine.begin_intent(&ask) {
            Ok(()) => self.intent = Some(IntentTask { heard, ask, best: None }),
            Err(e) => self.model_failed(&heard, &e, now, out),
        }
        self.tell_problem(now, out);
        self.intent.is_some()
    }

    /// What was said, with what is known: values that no car has are told and left out.
    fn ask(&self, heard: &Request, now: Nanos, out: &mut Outbox<Self>) -> ModelInput {
        let known = Observation::of(self.scene.as_deref(), now, ms(self.config.scene_max_age_ms));
        for name in known.implausible {
            let text = format!("{name} of the scene is not a car's; it counts as not known, check fusion");
            out.fault(now, Severity::Warning, "scene-absurd-value", "fusion/scene", text);
        }
        let minute_of_day = self.wall.map(|wall| wall.minute_of_day(now));
        let scene = SceneFacts { minute_of_day, ..known.facts };
        let context = Context { scene, lane: known.lane, raining: known.raining, recent: self.recall.recent() };
        ModelInput { text: heard.text.clone(), context }
    }

    fn progress(&mut self, class: Class, progress: Result<Progress, EngineError>, now: Nanos, out: &mut Outbox<Self>) {
        match (class, progress) {
            (_, Ok(Progress::Working)) => {}
            (Class::Intent, Ok(Progress::Intent(output))) => {
                if let Some(work) = self.intent.take() {
                    self.understood(work, output, now, out);
                }
            }
            (Class::Dialogue, Ok(Progress::Text(text))) => self.reply_goes_on(&text, now, out),
            (Class::Dialogue, Ok(Progress::Finished)) => self.reply_ends(now, out),
            (class, Ok(_)) => {
                let e = EngineError(format!("the model answered {class:?} work with the other class's result"));
                self.work_failed(class, &e, now, out);
            }
            (class, Err(e)) => self.work_failed(class, &e, now, out),
        }
    }

    fn work_failed(&mut self, class: Class, error: &EngineError, now: Nanos, out: &mut Outbox<Self>) {
        if let Ok(engine) = &mut self.model {
            engine.abandon(class);
        }
        let heard: Option<Request> = match class {
            Class::Intent => self.intent.take().map(|w| w.heard),
            Class::Dialogue => self.reply.as_ref().map(|w| w.turn.heard.clone()),
        };
        if let Some(heard) = heard {
            self.model_failed(&heard, error, now, out);
        }
    }

    /// A part of the model that is missing or failed is told; the rest goes on.
    pub(crate) fn tell_problem(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        if let Ok(engine) = &mut self.model
            && let Some(problem) = engine.problem()
        {
            out.fault(now, Severity::Warning, "language-model-part", "encoder", problem);
        }
    }

    /// Drops what nobody waits for any more: requests of long ago, and a reply that did not get the processor back.
    pub(crate) fn give_up_old(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let old = ms(self.config.utterance_max_age_ms);
        let is_old = |heard: &Request| now.since(Nanos(heard.header.stamp_ns)) > old;
        let waiting = self.queue.len();
        self.queue.retain(|heard| !is_old(heard));
        let mut given_up = waiting - self.queue.len();
        if self.intent.as_ref().is_some_and(|w| is_old(&w.heard)) {
            self.intent = None;
            given_up += 1;
            if let Ok(engine) = &mut self.model {
                engine.abandon(Class::Intent);
            }
        }
        for _ in 0..given_up {
            let text = format!("an utterance waited longer than {} ms and is not answered", old.as_millis());
            out.fault(now, Severity::Warning, "utterance-too-old", crate::UTTERANCE, text);
        }
        let may_run = self.may_run(Class::Dialogue, now);
        let Some(reply) = &mut self.reply else { return };
        if may_run {
            reply.paused = None;
        } else if now.since(*reply.paused.get_or_insert(now)) >= ms(self.config.reply_max_pause_ms) {
            self.interrupt_reply(out);
        }
    }

    /// Asks for a tick when the clock next decides something.
    pub(crate) fn arm(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let mut at: Vec<Nanos> = Vec::new();
        for class in [Class::Intent, Class::Dialogue] {
            let (runs, busy_until) = (self.has_work(class) && self.may_run(class, now), self.clock.busy_until);
            let share = self.shares.of(class);
            // A lease that ends is told, whether or not there is work.
            at.extend(share.lease_end(now));
            if runs {
                at.push(share.ready_at(now).max(busy_until));
            }
        }
        let heard = self.queue.iter().chain(self.intent.as_ref().map(|w| &w.heard));
        let old = ms(self.config.utterance_max_age_ms) + Duration::from_nanos(1);
        at.extend(heard.map(|h| Nanos(h.header.stamp_ns) + old));
        let paused = self.reply.as_ref().and_then(|r| r.paused);
        at.extend(paused.map(|since| since + ms(self.config.reply_max_pause_ms)));
        at.extend(self.wakes(now));
        if let Some(at) = at.into_iter().min() {
            out.tick_at(at.max(now));
        }
    }

    /// For the usage message: what each class has used, and the level it holds.
    pub(crate) fn used(&self, now: Nanos) -> Vec<WorkloadUsage> {
        let of = |class: Class| {
            let share = self.shares.get(class);
            let cpu_ns = self.clock.used[class as usize].cpu.as_nanos() as u64;
            WorkloadUsage { workload: share.name().into(), level: share.level(now), cpu_ns }
        };
        vec![of(Class::Intent), of(Class::Dialogue)]
    }
}
