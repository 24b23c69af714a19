//! The life of a fault: raised, active while it is raised again, cleared.
//!
//! * The first raise is published at once ([`v1::FaultState::Raised`]).
//! * While the fault is raised again it stays active; of the repeats those are published whose count is a power of two,
//!   and one at least every [`REPEAT_AFTER`]: a broken sensor cannot flood the bus and a long outage stays visible.
//! * It is cleared ([`v1::FaultState::Cleared`], severity INFO) by its node, or because it was not raised for
//!   [`CLEARED_AFTER`]. The next raise is a first one again.
//! * A standing fault is raised once and stays until it is cleared by its node.
//! * At most [`MAX_ACTIVE`] faults of a node are active at once, because subjects come from input. More are not published
//!   one by one: they are counted in the fault [`TOO_MANY`], whose text names the newest of them.

use crate::{checks::text::one_line, time::Nanos};
use auriga_msgs::v1::{self, FaultState, Severity};
use std::{collections::BTreeMap, time::Duration};

/// A fault that was not raised for this long is cleared. Twice the longest wait between two attempts to open a lost
/// device (5 s), so that a device which stays lost stays a fault.
pub const CLEARED_AFTER: Duration = Duration::from_secs(10);

/// A fault that goes on being raised is published at least this often, at the next raise.
pub const REPEAT_AFTER: Duration = Duration::from_secs(10);

/// Most faults of one node that are active at once.
pub const MAX_ACTIVE: usize = 128;

/// Code of the fault that stands for those beyond [`MAX_ACTIVE`]; its subject is the node.
pub const TOO_MANY: &str = "too-many-faults";

/// Texts of faults are cut at this length and made one line: they may quote input.
const MAX_TEXT_BYTES: usize = 1000;
/// Likewise their codes and subjects.
const MAX_NAME_BYTES: usize = 200;

/// A fault as a node raises it.
pub(crate) struct Raise<'a> {
    pub severity: Severity,
    /// A stable name in kebab case.
    pub code: &'a str,
    /// The topic, file or device it is about.
    pub subject: &'a str,
    pub text: String,
    /// Stays active until it is cleared by its node.
    pub standing: bool,
}

/// The active faults of a node. The clock is the one of its calls.
pub(crate) struct Faults {
    node: &'static str,
    /// By code and subject. Ordered, so that what ends at one instant is published in the same order every time.
    active: BTreeMap<(String, String), Active>,
}

struct Active {
    severity: Severity,
    text: String,
    count: u64,
    raised: Nanos,
    published: Nanos,
    standing: bool,
}

impl Active {
    /// When it is over unless it is raised again.
    fn ends(&self) -> Option<Nanos> {
        (!self.standing).then(|| self.raised + CLEARED_AFTER)
    }
}

impl Faults {
    pub(crate) fn new(node: &'static str) -> Self {
        Self { node, active: BTreeMap::new() }
    }

    /// Raises a fault or goes on with it. Returns what is to be published.
    pub(crate) fn raise(&mut self, now: Nanos, raise: Raise<'_>) -> Option<v1::Fault> {
        let key = key(raise.code, raise.subject);
        let known = self.active.get(&key).is_some_and(|active| active.ends().is_none_or(|end| now < end));
        if !known && raise.code != TOO_MANY && self.active.len() >= MAX_ACTIVE {
            let text = format!(
                "{MAX_ACTIVE} faults are active; further ones are only counted here, the newest: {} ({}): {}",
                raise.code, raise.subject, raise.text
            );
            let node = self.node;
            return self.raise(now, Raise { code: TOO_MANY, subject: node, text, standing: false, ..raise });
        }
        if !known {
            self.active.remove(&key);
        }
        let active = self.active.entry(key.clone()).or_insert(Active {
            severity: raise.severity,
            text: String::new(),
            count: 0,
            raised: now,
            published: now,
            standing: raise.standing,
        });
        active.count += 1;
        active.raised = now;
        active.standing |= raise.standing;
        active.severity = match raise.code {
            // The worst of those it stands for.
            TOO_MANY => active.severity.max(raise.severity),
            _ => raise.severity,
        };
        active.text = one_line(&raise.text, MAX_TEXT_BYTES);
        if !active.count.is_power_of_two() && now.since(active.published) < REPEAT_AFTER {
            return None;
        }
        active.published = now;
        let state = if active.count == 1 { FaultState::Raised } else { FaultState::Active };
        Some(message(self.node, key, active, state, now))
    }

    /// Clears a fault. Returns what is to be published: nothing when it was not active.
    pub(crate) fn clear(&mut self, now: Nanos, code: &str, subject: &str) -> Option<v1::Fault> {
        let key = key(code, subject);
        let active = self.active.remove(&key)?;
        Some(message(self.node, key, &active, FaultState::Cleared, now))
    }

    /// Clears the faults that were not raised for [`CLEARED_AFTER`].
    pub(crate) fn expire(&mut self, now: Nanos) -> Vec<v1::Fault> {
        let over = self.active.extract_if(.., |_, active| active.ends().is_some_and(|end| now >= end));
        over.map(|(key, active)| message(self.node, key, &active, FaultState::Cleared, now)).collect()
    }

    /// When [`Self::expire`] next has something to do.
    pub(crate) fn next_expiry(&self) -> Option<Nanos> {
        self.active.values().filter_map(Active::ends).min()
    }
}

fn key(code: &str, subject: &str) -> (String, String) {
    (one_line(code, MAX_NAME_BYTES), one_line(subject, MAX_NAME_BYTES))
}

fn message(node: &str, key: (String, String), active: &Active, state: FaultState, now: Nanos) -> v1::Fault {
    let severity = if state == FaultState::Cleared { Severity::Info } else { active.severity };
    v1::Fault {
        header: Some(v1::Header::new(now.0, 0)),
        node: node.into(),
        code: key.0,
        text: active.text.clone(),
        severity: severity.into(),
        subject: key.1,
        count: active.count,
        state: state.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raise<'a>(code: &'a str, subject: &'a str) -> Raise<'a> {
        Raise { severity: Severity::Warning, code, subject, text: "expected x, found y".into(), standing: false }
    }

    fn at(ms: u64) -> Nanos {
        Nanos::from_millis(ms)
    }

    /// State and count of what was published.
    fn seen(fault: Option<v1::Fault>) -> Option<(FaultState, u64)> {
        fault.map(|f| (f.state(), f.count))
    }

    #[test]
    fn a_second_outage_is_published_at_its_first_raise() {
        let mut faults = Faults::new("can");
        // 60 s of outage, ten raises a second.
        let published: Vec<_> =
            (0..600).filter_map(|i| seen(faults.raise(at(100 * i), raise("lost", "can0")))).collect();
        assert_eq!(published[0], (FaultState::Raised, 1));
        assert!(published[1..].iter().all(|(state, _)| *state == FaultState::Active), "{published:?}");
        let cleared = faults.expire(at(59_900) + CLEARED_AFTER);
        assert_eq!(
            cleared.iter().map(|f| (f.state(), f.count, f.severity())).collect::<Vec<_>>(),
            [(FaultState::Cleared, 600, Severity::Info)]
        );
        assert_eq!(seen(faults.raise(at(80_000), raise("lost", "can0"))), Some((FaultState::Raised, 1)));
        // Cleared by its node the same holds.
        assert_eq!(seen(faults.clear(at(80_100), "lost", "can0")), Some((FaultState::Cleared, 1)));
        assert_eq!(seen(faults.clear(at(80_200), "lost", "can0")), None);
        assert_eq!(seen(faults.raise(at(80_300), raise("lost", "can0"))), Some((FaultState::Raised, 1)));
    }

    #[test]
    fn repeats_are_published_at_powers_of_two_and_at_least_every_ten_seconds() {
        let mut faults = Faults::new("can");
        let mut published = Vec::new();
        for ms in (0..60_000).step_by(10) {
            published.extend(
                faults.raise(at(ms), raise("bad", "s")).map(|f| (f.count, f.header.unwrap_or_default().stamp_ns)),
            );
        }
        let gaps: Vec<u64> = published.windows(2).map(|w| w[1].1 - w[0].1).collect();
        assert!(gaps.iter().all(|gap| *gap <= REPEAT_AFTER.as_nanos() as u64), "{published:?}");
        assert!(published.len() < 20, "6000 raises are {} messages", published.len());
    }

    #[test]
    fn a_standing_fault_stays_until_it_is_cleared() {
        let mut faults = Faults::new("camera");
        faults.raise(at(0), Raise { standing: true, ..raise("absent", "camera") });
        assert_eq!(faults.next_expiry(), None);
        assert!(faults.expire(at(3_600_000)).is_empty());
        assert_eq!(seen(faults.clear(at(3_600_000), "absent", "camera")), Some((FaultState::Cleared, 1)));
    }

    #[test]
    fn faults_beyond_the_bound_are_counted_in_one_fault() {
        let mut faults = Faults::new("hud");
        for i in 0..MAX_ACTIVE {
            assert!(faults.raise(at(0), raise("odd", &format!("topic {i}"))).is_some());
        }
        let published: Vec<v1::Fault> =
            (0..1000).filter_map(|i| faults.raise(at(1), raise("odd", &format!("more {i}")))).collect();
        assert!(published.iter().all(|f| (f.code.as_str(), f.subject.as_str()) == (TOO_MANY, "hud")));
        assert_eq!(published.len(), 10, "1, 2, 4 … 512");
        assert!(published[0].text.contains("odd (more 0)"), "{}", published[0].text);
        assert_eq!(faults.active.len(), MAX_ACTIVE + 1);
        // One that is known is still published on its own, and room comes back.
        assert_eq!(seen(faults.raise(at(2), raise("odd", "topic 0"))), Some((FaultState::Active, 2)));
        assert_eq!(faults.expire(at(2) + CLEARED_AFTER).len(), MAX_ACTIVE + 1);
        assert_eq!(seen(faults.raise(at(20_000), raise("odd", "more 1"))), Some((FaultState::Raised, 1)));
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let mut faults = Faults::new("hud");
        let fault = faults.raise(at(0), Raise { text: "é".repeat(2000), ..raise("odd", "s") }).unwrap();
        assert_eq!(fault.text.len(), MAX_TEXT_BYTES);
    }

    #[test]
    fn control_characters_and_long_names_from_input_do_not_reach_the_message() {
        let mut faults = Faults::new("hud");
        let subject = format!("\u{1b}]0;owned\u{7}{}", "x".repeat(5000));
        let text = "found \u{1b}[2J\nWARN forged line".into();
        let fault = faults.raise(at(0), Raise { text, ..raise("odd", &subject) }).unwrap();
        assert_eq!(fault.text, "found \u{fffd}[2J WARN forged line");
        assert!(fault.subject.len() <= MAX_NAME_BYTES && !fault.subject.contains(char::is_control));
        assert_eq!(seen(faults.clear(at(1), "odd", &subject)), Some((FaultState::Cleared, 1)));
    }

    proptest! {
        /// Whatever is raised and cleared when, a consumer that follows the states sees each fault begin with Raised
        /// and end with Cleared.
        #[test]
        fn states_alternate(steps in proptest::collection::vec((0..4u8, 0..4000u64, any::<bool>()), 1..200)) {
            let mut faults = Faults::new("can");
            let mut active = std::collections::BTreeSet::new();
            let mut now = 0;
            for (subject, wait_ms, clear) in steps {
                now += wait_ms;
                let subject = subject.to_string();
                let mut published = faults.expire(at(now));
                published.extend(match clear {
                    true => faults.clear(at(now), "c", &subject),
                    false => faults.raise(at(now), raise("c", &subject)),
                });
                for fault in published {
                    match fault.state() {
                        FaultState::Raised => prop_assert!(active.insert(fault.subject)),
                        FaultState::Active => prop_assert!(active.contains(&fault.subject)),
                        FaultState::Cleared => prop_assert!(active.remove(&fault.subject)),
                        FaultState::Unspecified => prop_assert!(false, "no state"),
                    }
                }
            }
        }
    }
}
