//! Sensor loss: a modality that fell silent, or that never came although it is expected.

use super::registry::Assessment;
use auriga_msgs::v1::Severity;
use auriga_runtime::Nanos;
use std::time::Duration;

/// When one modality counts as lost.
#[derive(Debug)]
pub struct SensorLoss {
    /// Of the modality, for the hazard's text.
    name: &'static str,
    timeout: Duration,
    /// How long after the start a modality that never came is lost; `None`: it is not expected.
    startup_grace: Option<Duration>,
}

impl SensorLoss {
    /// Lost after `timeout` of silence; if `startup_grace` is given, also that long after the start without any message.
    pub fn new(name: &'static str, timeout: Duration, startup_grace: Option<Duration>) -> Self {
        Self { name, timeout, startup_grace }
    }

    /// The loss as a hazard, if there is one at `now`. `last`: stamp of the newest message; `started`: of the node.
    pub fn assessment(&self, last: Option<Nanos>, started: Option<Nanos>, now: Nanos) -> Option<Assessment> {
        if self.deadline(last, started)? > now {
            return None;
        }
        let ms = |d: Duration| d.as_millis();
        let text = match last {
            Some(_) => format!("{}: nothing new for more than {} ms", self.name, ms(self.timeout)),
            None => {
                let grace = self.startup_grace.unwrap_or_default();
                format!("{}: nothing since the start, {} ms ago", self.name, ms(grace))
            }
        };
        Some(Assessment { severity: Severity::Warning, time_to_collision_s: None, distance_m: None, text })
    }

    /// When the modality is lost unless a message comes; `None`: never.
    pub fn deadline(&self, last: Option<Nanos>, started: Option<Nanos>) -> Option<Nanos> {
        match last {
            Some(last) => Some(last + self.timeout),
            None => Some(started? + self.startup_grace?),
        }
    }
}
