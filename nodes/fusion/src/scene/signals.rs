//! The newest value of every signal on the bus.

use auriga_msgs::v1::{self, vss_signal::Value};
use auriga_runtime::Nanos;
use std::collections::BTreeMap;

/// VSS paths kept at most; VSS 4.2 has about 1000 signals in all.
const MAX_SIGNALS: usize = 1024;
/// Longest path and label in bytes; the longest path of VSS 4.2 has 103.
const MAX_TEXT_BYTES: usize = 256;

/// The newest signals by VSS path.
#[derive(Debug, Default)]
pub struct SignalCache {
    by_path: BTreeMap<String, v1::VssSignal>,
}

impl SignalCache {
    /// Takes in the signals of a message measured at `stamp`; older values than the known ones are ignored. No signal is
    /// newer than the message that carries it. Returns how many were refused: with a text that no signal has, or one path
    /// too many, which makes room by the oldest value when the next message comes.
    pub fn update(&mut self, state: &v1::VehicleState, stamp: Nanos) -> usize {
        let mut refused = state.signals.len().saturating_sub(MAX_SIGNALS);
        for signal in state.signals.iter().take(MAX_SIGNALS) {
            let label_bytes = if let Some(Value::Label(label)) = &signal.value { label.len() } else { 0 };
            if signal.path.len().max(label_bytes) > MAX_TEXT_BYTES {
                refused += 1;
                continue;
            }
            let stamp_ns = signal.stamp_ns.min(stamp.0);
            match self.by_path.get_mut(&signal.path) {
                Some(known) if known.stamp_ns <= stamp_ns => *known = v1::VssSignal { stamp_ns, ..signal.clone() },
                Some(_) => {}
                None => {
                    refused += usize::from(self.by_path.len() >= MAX_SIGNALS && !self.make_room(stamp_ns));
                    if self.by_path.len() < MAX_SIGNALS {
                        self.by_path.insert(signal.path.clone(), v1::VssSignal { stamp_ns, ..signal.clone() });
                    }
                }
            }
        }
        refused
    }

    /// Drops the oldest value if it is older than `stamp_ns`: a path that nothing reports any more gives way.
    fn make_room(&mut self, stamp_ns: u64) -> bool {
        let oldest = self.by_path.iter().min_by_key(|(_, signal)| signal.stamp_ns);
        let path = oldest.filter(|(_, signal)| signal.stamp_ns < stamp_ns).map(|(path, _)| path.clone());
        path.is_some_and(|path| self.by_path.remove(&path).is_some())
    }

    /// All signals, ordered by path.
    pub fn all(&self) -> Vec<v1::VssSignal> {
        self.by_path.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(signals: Vec<(String, u64, f64)>) -> v1::VehicleState {
        let signal = |(path, stamp_ns, number)| v1::VssSignal { path, stamp_ns, value: Some(Value::Number(number)) };
        v1::VehicleState { signals: signals.into_iter().map(signal).collect(), ..Default::default() }
    }

    #[test]
    fn a_stamp_from_the_future_does_not_freeze_a_signal() {
        let mut cache = SignalCache::default();
        cache.update(&state(vec![("Vehicle.Speed".into(), u64::MAX, 9.0)]), Nanos(100));
        cache.update(&state(vec![("Vehicle.Speed".into(), 110, 10.0)]), Nanos(110));
        assert_eq!(cache.all()[0].value, Some(Value::Number(10.0)));
    }

    #[test]
    fn paths_that_no_car_has_do_not_keep_true_ones_out() {
        let mut cache = SignalCache::default();
        let forged = (0..2 * MAX_SIGNALS).map(|i| (format!("Forged.{i}"), 100, 0.0)).collect();
        assert_eq!(cache.update(&state(forged), Nanos(100)), MAX_SIGNALS);
        assert_eq!(cache.update(&state(vec![("x".repeat(MAX_TEXT_BYTES + 1), 110, 0.0)]), Nanos(110)), 1);
        let speed = || vec![("Vehicle.Speed".to_owned(), 120, 10.0)];
        assert_eq!(cache.update(&state(speed()), Nanos(120)), 0);
        assert_eq!(cache.all().len(), MAX_SIGNALS);
        assert!(cache.all().iter().any(|s| s.path == "Vehicle.Speed"));
    }
}
