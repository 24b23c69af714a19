//! The newest value of every signal on the bus.

use auriga_msgs::v1;
use std::collections::BTreeMap;

/// VSS paths kept at most; VSS 4.2 has about 1000 signals in all.
const MAX_SIGNALS: usize = 1024;

/// The newest signals by VSS path.
#[derive(Debug, Default)]
pub struct SignalCache {
    by_path: BTreeMap<String, v1::VssSignal>,
}

impl SignalCache {
    /// Takes in the signals of a message; older values than the known ones are ignored.
    pub fn update(&mut self, state: &v1::VehicleState) {
        for signal in &state.signals {
            let full = self.by_path.len() >= MAX_SIGNALS;
            match self.by_path.get_mut(&signal.path) {
                Some(known) if known.stamp_ns <= signal.stamp_ns => *known = signal.clone(),
                Some(_) => {}
                None if !full => {
                    self.by_path.insert(signal.path.clone(), signal.clone());
                }
                None => {}
            }
        }
    }

    /// All signals, ordered by path.
    pub fn all(&self) -> Vec<v1::VssSignal> {
        self.by_path.values().cloned().collect()
    }
}
