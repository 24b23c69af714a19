//! Faults as scenario files describe them. All times are seconds of the drive.

use crate::replay::config::check_node_names;
use anyhow::{Context, Result};
use auriga_msgs::TopicId;
use serde::{Deserialize, Serialize};

/// Faults to inject, by kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Nodes that die.
    pub kill: Vec<Kill>,
    /// Topics whose messages are lost; device/… for a silent sensor.
    pub drop: Vec<Drop>,
    /// Devices whose messages come late, with unchanged stamps.
    pub delay: Vec<Delay>,
    /// The camera repeats one image.
    pub freeze: Vec<Span>,
    /// CAN frames with random identifiers and bytes.
    pub can_garbage: Vec<Garbage>,
    /// CAN frames are truncated.
    pub can_wrong_length: Vec<WrongLength>,
    /// Noise on a CAN signal.
    pub can_noise: Vec<Noise>,
}

/// An interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Start of the interval.
    pub from_s: f64,
    /// End of the interval.
    pub to_s: f64,
}

/// A node dies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// The node.
    pub node: String,
    /// When.
    pub at_s: f64,
    /// When it is restarted; live, the supervisor decides that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_s: Option<f64>,
}

/// Messages of a topic are lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drop {
    /// The topic.
    pub topic: String,
    /// Start of the interval.
    pub from_s: f64,
    /// End of the interval.
    pub to_s: f64,
}

/// Messages of a device come late.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delay {
    /// A device topic.
    pub topic: String,
    /// Start of the interval.
    pub from_s: f64,
    /// End of the interval.
    pub to_s: f64,
    /// The delay.
    pub by_ms: u64,
}

/// Random CAN frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Garbage {
    /// Start of the interval.
    pub from_s: f64,
    /// End of the interval.
    pub to_s: f64,
    /// Frames per second.
    pub rate_hz: f64,
}

/// CAN frames are truncated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrongLength {
    /// Start of the interval.
    pub from_s: f64,
    /// End of the interval.
    pub to_s: f64,
    /// Bytes that are left of each frame.
    pub bytes: usize,
}

/// Gaussian noise on a CAN signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// Start of the interval.
    pub from_s: f64,
    /// End of the interval.
    pub to_s: f64,
    /// The DBC of the vehicle, below calibration/.
    pub dbc: String,
    /// The message.
    pub message: String,
    /// The signal.
    pub signal: String,
    /// Standard deviation, in the unit of the signal.
    pub sigma: f64,
}

/// The highest rate of random frames.
const MAX_RATE_HZ: f64 = 20_000.0;
/// Longest delay.
const MAX_DELAY_MS: u64 = 60_000;

impl Faults {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Faults::default()
    }

    /// Whether a live drive supports them: there, only processes can be killed.
    pub fn supported_live(&self) -> bool {
        Faults { kill: Vec::new(), ..self.clone() }.is_empty()
    }

    /// The faults in words.
    pub fn describe(&self) -> String {
        let at = |from_s: f64, to_s: f64| format!("from {from_s} s to {to_s} s");
        let mut all: Vec<String> = self
            .kill
            .iter()
            .map(|k| {
                let back = k.restart_s.map_or(String::new(), |s| format!(", back at {s} s"));
                format!("{} dies at {} s{back}", k.node, k.at_s)
            })
            .collect();
        all.extend(self.drop.iter().map(|d| format!("{} lost {}", d.topic, at(d.from_s, d.to_s))));
        all.extend(self.delay.iter().map(|d| format!("{} late by {} ms {}", d.topic, d.by_ms, at(d.from_s, d.to_s))));
        all.extend(self.freeze.iter().map(|f| format!("camera frozen {}", at(f.from_s, f.to_s))));
        let garbage = |g: &Garbage| format!("{} random frames per second {}", g.rate_hz, at(g.from_s, g.to_s));
        all.extend(self.can_garbage.iter().map(garbage));
        all.extend(
            self.can_wrong_length
                .iter()
                .map(|w| format!("frames truncated to {} bytes {}", w.bytes, at(w.from_s, w.to_s))),
        );
        all.extend(
            self.can_noise.iter().map(|n| format!("noise of {} on {} {}", n.sigma, n.signal, at(n.from_s, n.to_s))),
        );
        all.join("; ")
    }

    /// Checks all values.
    ///
    /// # Errors
    /// Names the field with a wrong value.
    pub fn check(&self) -> Result<()> {
        check_node_names(self.kill.iter().map(|k| k.node.as_str())).context("faults.kill")?;
        for kill in &self.kill {
            let back = kill.restart_s.unwrap_or(f64::INFINITY);
            anyhow::ensure!(
                kill.at_s >= 0.0 && back > kill.at_s,
                "faults.kill: at_s {} and restart_s {back}: expected 0 <= at_s < restart_s",
                kill.at_s
            );
        }
        for drop in &self.drop {
            topic_named(&drop.topic).map_err(|e| anyhow::anyhow!("faults.drop: {e}"))?;
            span("drop", drop.from_s, drop.to_s)?;
        }
        for delay in &self.delay {
            let topic = topic_named(&delay.topic).map_err(|e| anyhow::anyhow!("faults.delay: {e}"))?;
            anyhow::ensure!(topic.spec().is_device(), "faults.delay: topic {}: expected a device topic", delay.topic);
            anyhow::ensure!(delay.by_ms <= MAX_DELAY_MS, "faults.delay: by_ms {}: at most {MAX_DELAY_MS}", delay.by_ms);
            span("delay", delay.from_s, delay.to_s)?;
        }
        self.freeze.iter().try_for_each(|f| span("freeze", f.from_s, f.to_s))?;
        for g in &self.can_garbage {
            span("can_garbage", g.from_s, g.to_s)?;
            anyhow::ensure!(
                g.rate_hz > 0.0 && g.rate_hz <= MAX_RATE_HZ,
                "faults.can_garbage: rate_hz {}: expected above 0, to {MAX_RATE_HZ}",
                g.rate_hz
            );
        }
        self.can_wrong_length.iter().try_for_each(|w| span("can_wrong_length", w.from_s, w.to_s))?;
        for n in &self.can_noise {
            span("can_noise", n.from_s, n.to_s)?;
            anyhow::ensure!(
                n.sigma.is_finite() && n.sigma >= 0.0,
                "faults.can_noise: sigma {}: expected 0 or more",
                n.sigma
            );
        }
        Ok(())
    }
}

fn span(kind: &str, from_s: f64, to_s: f64) -> Result<()> {
    anyhow::ensure!(
        from_s >= 0.0 && to_s > from_s,
        "faults.{kind}: from_s {from_s}, to_s {to_s}: expected 0 <= from_s < to_s"
    );
    Ok(())
}

/// A topic by its name; the error lists all topics.
pub(super) fn topic_named(name: &str) -> Result<TopicId, String> {
    TopicId::by_name(name).ok_or_else(|| {
        let known: Vec<&str> = auriga_msgs::TOPICS.iter().map(|t| t.name).collect();
        format!("topic {name:?}: expected one of {}", known.join(", "))
    })
}
