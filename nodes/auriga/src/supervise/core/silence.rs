//! How long a process has said nothing, and whether it is hung or only waits for a processor.

use crate::supervise::policy::Limits;
use auriga_runtime::Nanos;
use std::time::Duration;

/// What a process does at the moment, as the kernel sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Stopped by a signal.
    Stopped,
    /// A debugger is attached.
    Traced,
    /// It runs, or waits for a processor.
    Runnable {
        /// Processor time of its main thread since its start, in nanoseconds.
        cpu_ns: u64,
    },
    /// It sleeps until something happens.
    Waiting,
    /// It waits for a disk or a device, without being interruptible.
    Blocked,
    /// It has ended, or cannot be looked at.
    Unknown,
}

/// The silence of a process.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    heard: Nanos,
    /// The part of it in which the process could have said something.
    counted: Duration,
    look: Option<Look>,
    /// It was reported as late.
    reported: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Look {
    at: Nanos,
    cpu_ns: Option<u64>,
    /// As a runnable process, for how long it had no processor.
    starved: Duration,
}

/// What a look at a silent process says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to report.
    Fine,
    /// It is silent for longer than it should be, for this reason, which is none of its own.
    Late(&'static str),
    /// It is hung, in this way.
    Hung(String),
}

impl Silence {
    /// It was heard now.
    pub fn new(now: Nanos) -> Self {
        Self { heard: now, counted: Duration::ZERO, look: None, reported: false }
    }

    /// Since it was last heard.
    pub fn length(&self, now: Nanos) -> Duration {
        now.since(self.heard)
    }

    /// Whether to look at what the process does: from half of what it may be silent.
    pub fn needs_look(&self, now: Nanos, limits: &Limits) -> bool {
        self.length(now) >= limits.silent / 2
    }

    /// The supervisor itself, and so perhaps the whole machine, stood still for so long until `now`.
    pub fn excuse(&mut self, standstill: Duration, now: Nanos) {
        self.heard = now.min(self.heard + standstill);
        if let Some(look) = &mut self.look {
            look.at = now.min(look.at + standstill);
        }
    }

    /// Judges what the process does at `now`.
    pub fn look(&mut self, activity: Activity, now: Nanos, limits: &Limits) -> Verdict {
        if activity == Activity::Traced {
            let reported = self.reported;
            *self = Self { reported: true, ..Self::new(now) };
            return if reported { Verdict::Fine } else { Verdict::Late("a debugger is attached") };
        }
        let before = self.look.unwrap_or(Look { at: self.heard, cpu_ns: None, starved: Duration::ZERO });
        let elapsed = now.since(before.at);
        let cpu_ns = if let Activity::Runnable { cpu_ns } = activity { Some(cpu_ns) } else { None };
        let ran = match (before.cpu_ns, cpu_ns) {
            (Some(before), Some(now)) => Duration::from_nanos(now.saturating_sub(before)).min(elapsed),
            _ => elapsed,
        };
        self.counted += ran;
        let starved = before.starved + (elapsed - ran);
        self.look = Some(Look { at: now, cpu_ns, starved });
        let silence = self.length(now);
        if self.counted >= limits.silent || silence >= limits.at_most {
            return Verdict::Hung(format!("no heartbeat for {} ms, {}", silence.as_millis(), words(activity, starved)));
        }
        if silence >= limits.silent && !self.reported {
            self.reported = true;
            return Verdict::Late("it gets no processor");
        }
        Verdict::Fine
    }
}

fn words(activity: Activity, starved: Duration) -> String {
    match activity {
        Activity::Stopped => "stopped by a signal".into(),
        Activity::Runnable { .. } if starved > Duration::from_millis(50) => {
            format!("runs without end and had no processor for {} ms", starved.as_millis())
        }
        Activity::Runnable { .. } => "runs without end".into(),
        Activity::Waiting => "waits without end (a lock, a device or a peer)".into(),
        Activity::Blocked => "waits for a disk or device in the kernel".into(),
        Activity::Traced => "a debugger is attached".into(),
        Activity::Unknown => "it cannot be looked at".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { silent: Duration::from_millis(300), at_most: Duration::from_millis(1000) };

    /// Looks every 25 ms at a process that does `activity`. When it is found hung, in ms, and what was said before.
    fn judged(activity: impl Fn(u64) -> Activity) -> (Option<u64>, Vec<Verdict>) {
        let mut silence = Silence::new(Nanos(0));
        let mut said = Vec::new();
        for ms in (0..5000).step_by(25) {
            let now = Nanos::from_millis(ms);
            if silence.needs_look(now, &LIMITS) {
                match silence.look(activity(ms), now, &LIMITS) {
                    Verdict::Fine => {}
                    Verdict::Hung(text) => {
                        said.push(Verdict::Hung(text));
                        return (Some(ms), said);
                    }
                    late => said.push(late),
                }
            }
        }
        (None, said)
    }

    #[test]
    fn a_stopped_or_waiting_process_is_hung_at_the_limit_and_the_text_says_how() {
        for (activity, word) in [
            (Activity::Stopped, "signal"),
            (Activity::Waiting, "lock"),
            (Activity::Blocked, "disk"),
            (Activity::Unknown, ""),
        ] {
            let (at, said) = judged(|_| activity);
            assert_eq!(at, Some(300), "{activity:?}");
            assert!(
                matches!(&said[..], [Verdict::Hung(text)] if text.contains(word) && text.contains("300 ms")),
                "{said:?}"
            );
        }
    }

    #[test]
    fn an_endless_loop_is_hung_at_the_limit() {
        let (at, said) = judged(|ms| Activity::Runnable { cpu_ns: ms * 1_000_000 });
        assert_eq!(at, Some(300));
        assert!(matches!(&said[..], [Verdict::Hung(text)] if text.ends_with("runs without end")), "{said:?}");
    }

    #[test]
    fn a_process_that_gets_no_processor_is_reported_late_and_has_more_time_but_not_for_ever() {
        let (at, said) = judged(|_| Activity::Runnable { cpu_ns: 7 });
        assert_eq!(at, Some(1000));
        assert_eq!(said[0], Verdict::Late("it gets no processor"));
        assert!(matches!(&said[1..], [Verdict::Hung(text)] if text.contains("no processor for")), "{said:?}");
        // With a third of a processor it is found after the same time of its own: 150 ms before the first look, and 150 more.
        let (at, _) = judged(|ms| Activity::Runnable { cpu_ns: ms * 333_334 });
        assert_eq!(at, Some(600));
    }

    #[test]
    fn a_process_under_a_debugger_is_never_hung_and_that_is_said_once() {
        let (at, said) = judged(|_| Activity::Traced);
        assert_eq!((at, said), (None, vec![Verdict::Late("a debugger is attached")]));
    }

    #[test]
    fn a_standstill_of_the_supervisor_does_not_count() {
        let at = Nanos::from_millis;
        let mut silence = Silence::new(at(0));
        silence.excuse(Duration::from_secs(5), at(5000));
        assert!(!silence.needs_look(at(5100), &LIMITS));
        assert_eq!(silence.look(Activity::Waiting, at(5250), &LIMITS), Verdict::Fine);
        assert!(matches!(silence.look(Activity::Waiting, at(5300), &LIMITS), Verdict::Hung(_)));
        // What was heard just now is not heard in the future.
        let mut fresh = Silence::new(at(5000));
        fresh.excuse(Duration::from_secs(5), at(5000));
        assert_eq!(fresh, Silence::new(at(5000)));
    }

    fn any_activity() -> impl Strategy<Value = Activity> {
        prop_oneof![
            Just(Activity::Stopped),
            Just(Activity::Waiting),
            Just(Activity::Blocked),
            Just(Activity::Unknown),
            any::<u64>().prop_map(|cpu_ns| Activity::Runnable { cpu_ns }),
        ]
    }

    proptest! {
        #[test]
        fn a_silent_process_is_hung_neither_before_the_limit_nor_after_the_longest_wait(
            looks in prop::collection::vec((1..200u64, any_activity()), 1..60),
        ) {
            let mut silence = Silence::new(Nanos(0));
            let mut ms = 0;
            for (step, activity) in looks {
                ms += step;
                let hung = matches!(silence.look(activity, Nanos::from_millis(ms), &LIMITS), Verdict::Hung(_));
                prop_assert!(!hung || ms >= 300, "hung after {ms} ms");
                prop_assert!(hung || ms < 1000, "not hung after {ms} ms");
                if hung {
                    return Ok(());
                }
            }
        }
    }
}
