//! Faults: what can go wrong in a car, put into a replay on purpose. All times are seconds of the drive.

use super::{
    nodes::{self, Nodes},
    sources::Stream,
};
use crate::observe::topic_named;
use anyhow::{Context, Result};
use auriga_can::dbc::Database;
use auriga_msgs::{Any, TopicId, v1};
use auriga_runtime::{Nanos, Replay, ReplayControl, Timed};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::{cmp::Reverse, path::Path, sync::Arc, time::Duration};

/// What is to go wrong, by kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// A node dies.
    pub kill: Vec<Kill>,
    /// Nothing of a topic gets through; device/… for a sensor that falls silent.
    pub drop: Vec<Drop>,
    /// What a device delivers comes late, its stamps unchanged.
    pub delay: Vec<Delay>,
    /// The camera delivers one and the same picture again and again.
    pub freeze: Vec<Span>,
    /// Frames of random identifiers and bytes on the bus.
    pub can_garbage: Vec<Garbage>,
    /// Frames of the bus lose bytes.
    pub can_wrong_length: Vec<WrongLength>,
    /// A signal on the bus jumps about.
    pub can_noise: Vec<Noise>,
}

/// An interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    pub from_s: f64,
    pub to_s: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    pub node: String,
    pub at_s: f64,
    /// When it is started again. Live, the supervisor decides that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_s: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drop {
    pub topic: String,
    pub from_s: f64,
    pub to_s: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delay {
    /// A device topic.
    pub topic: String,
    pub from_s: f64,
    pub to_s: f64,
    pub by_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Garbage {
    pub from_s: f64,
    pub to_s: f64,
    pub rate_hz: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrongLength {
    pub from_s: f64,
    pub to_s: f64,
    /// How many bytes are left of each frame.
    pub bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    pub from_s: f64,
    pub to_s: f64,
    /// The vehicle's DBC, below calibration/.
    pub dbc: String,
    pub message: String,
    pub signal: String,
    /// Deviation of what is added, in the signal's unit.
    pub sigma: f64,
}

/// Most garbage that is put on a bus.
const MAX_RATE_HZ: f64 = 20_000.0;
/// Longest delay.
const MAX_DELAY_MS: u64 = 60_000;

impl Faults {
    pub fn is_empty(&self) -> bool {
        *self == Faults::default()
    }

    /// Whether they can be had in a live drive, where only processes can be killed.
    pub fn are_live(&self) -> bool {
        Faults { kill: Vec::new(), ..self.clone() }.is_empty()
    }

    /// What goes wrong, in words.
    pub fn words(&self) -> String {
        let at = |from_s: f64, to_s: f64| format!("from {from_s} s to {to_s} s");
        let mut all: Vec<String> = self
            .kill
            .iter()
            .map(|k| {
                let back = k.restart_s.map_or(String::new(), |s| format!(", back at {s} s"));
                format!("{} dies at {} s{back}", k.node, k.at_s)
            })
            .collect();
        all.extend(self.drop.iter().map(|d| format!("nothing of {} {}", d.topic, at(d.from_s, d.to_s))));
        all.extend(self.delay.iter().map(|d| format!("{} late by {} ms {}", d.topic, d.by_ms, at(d.from_s, d.to_s))));
        all.extend(self.freeze.iter().map(|f| format!("the camera's picture stands still {}", at(f.from_s, f.to_s))));
        let garbage = |g: &Garbage| format!("{} frames of garbage a second {}", g.rate_hz, at(g.from_s, g.to_s));
        all.extend(self.can_garbage.iter().map(garbage));
        all.extend(
            self.can_wrong_length.iter().map(|w| format!("frames cut to {} bytes {}", w.bytes, at(w.from_s, w.to_s))),
        );
        all.extend(
            self.can_noise.iter().map(|n| format!("noise of {} on {} {}", n.sigma, n.signal, at(n.from_s, n.to_s))),
        );
        all.join("; ")
    }

    /// Errors name the field.
    pub fn check(&self) -> Result<()> {
        nodes::check_names(self.kill.iter().map(|k| k.node.as_str())).context("faults.kill")?;
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

    /// Loses what is to be dropped.
    pub(super) fn lose(&self, replay: &mut Replay, start: Nanos) -> Result<()> {
        let drops = self.drop.iter().map(|d| {
            let topic = topic_named(&d.topic).map_err(anyhow::Error::msg)?;
            Ok((topic, at(start, d.from_s), at(start, d.to_s)))
        });
        let drops = drops.collect::<Result<Vec<(TopicId, Nanos, Nanos)>>>()?;
        replay.lose(move |now, any| drops.iter().any(|d| d.0 == any.topic() && (d.1..d.2).contains(&now)));
        Ok(())
    }

    /// What is to die and come back, when.
    pub(super) fn kills(&self, start: Nanos, running: &[&str]) -> Result<Kills> {
        let mut due = Vec::new();
        for kill in &self.kill {
            anyhow::ensure!(
                running.contains(&kill.node.as_str()),
                "faults.kill: node {} does not run in this replay; running: {}",
                kill.node,
                running.join(", ")
            );
            due.push((at(start, kill.at_s), kill.node.clone(), Step::Kill));
            due.extend(kill.restart_s.map(|s| (at(start, s), kill.node.clone(), Step::Restart)));
        }
        // Latest first: they are taken from the end.
        due.sort_by_key(|d| Reverse(d.0));
        Ok(Kills { due })
    }

    /// Puts the faults of a device into what it delivers.
    pub(super) fn apply(&self, topic: TopicId, start: Nanos, root: &Path, mut stream: Stream) -> Result<Stream> {
        let span = move |from_s, to_s| at(start, from_s)..at(start, to_s);
        if topic == TopicId::DeviceCan {
            for w in self.can_wrong_length.clone() {
                let span = span(w.from_s, w.to_s);
                stream = each(stream, move |t, any| on_frames(span.contains(&t), any, |f| f.data.truncate(w.bytes)));
            }
            for n in self.can_noise.clone() {
                stream = noisy(&n, span(n.from_s, n.to_s), root, stream)?;
            }
        }
        if topic == TopicId::DeviceCameraFront {
            for f in &self.freeze {
                stream = frozen(span(f.from_s, f.to_s), stream);
            }
        }
        for d in self.delay.iter().filter(|d| d.topic == topic.spec().name) {
            stream = delayed(span(d.from_s, d.to_s), Duration::from_millis(d.by_ms), stream);
        }
        Ok(stream)
    }

    /// Frames that nobody on the bus means.
    pub(super) fn garbage(&self, start: Nanos) -> Option<Stream> {
        let spans = self.can_garbage.clone();
        if spans.is_empty() {
            return None;
        }
        let streams = spans.into_iter().enumerate().map(|(i, g)| garbage(g, i as u64, start)).collect();
        Some(Box::new(auriga_runtime::merge(streams)))
    }
}

fn span(kind: &str, from_s: f64, to_s: f64) -> Result<()> {
    anyhow::ensure!(
        from_s >= 0.0 && to_s > from_s,
        "faults.{kind}: from_s {from_s}, to_s {to_s}: expected 0 <= from_s < to_s"
    );
    Ok(())
}

fn at(start: Nanos, s: f64) -> Nanos {
    Nanos(start.0.saturating_add(Nanos::from_secs_f64(s).0))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Kill,
    Restart,
}

/// Deaths and returns still to come.
pub(super) struct Kills {
    due: Vec<(Nanos, String, Step)>,
}

impl Kills {
    pub(super) fn at(&mut self, now: Nanos, control: &mut ReplayControl<'_>, nodes: &Nodes) -> Result<()> {
        while let Some((_, node, step)) = self.due.pop_if(|(t, _, _)| *t <= now) {
            match step {
                Step::Kill => drop(control.kill(&node)),
                Step::Restart => nodes.add(&node, control)?,
            }
        }
        Ok(())
    }
}

fn each(stream: Stream, mut change: impl FnMut(Nanos, Any) -> Any + 'static) -> Stream {
    Box::new(stream.map(move |item| item.map(|(t, any)| (t, change(t, any)))))
}

/// Changes each frame of a message of the bus.
fn on_frames(applies: bool, any: Any, change: impl FnMut(&mut v1::CanFrame)) -> Any {
    match any {
        Any::DeviceCan(mut m) if applies => {
            Arc::make_mut(&mut m).frames.iter_mut().for_each(change);
            Any::DeviceCan(m)
        }
        other => other,
    }
}

fn noisy(n: &Noise, span: std::ops::Range<Nanos>, root: &Path, stream: Stream) -> Result<Stream> {
    let database = Database::load(root.join("calibration").join(&n.dbc)).context("faults.can_noise: dbc")?;
    let message = database.message_by_name(&n.message).cloned();
    let message = message.with_context(|| format!("faults.can_noise: no message {} in {}", n.message, n.dbc))?;
    anyhow::ensure!(
        message.signal(&n.signal).is_some(),
        "faults.can_noise: message {} of {} has no signal {}",
        n.message,
        n.dbc,
        n.signal
    );
    let (signal, sigma) = (n.signal.clone(), n.sigma);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    // The sum of twelve uniform numbers is normal enough to disturb a signal.
    let mut gauss = move || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
    let change = move |frame: &mut v1::CanFrame| {
        if frame.id != message.id() {
            return;
        }
        let value = message.decode(&frame.data).ok().and_then(|mut s| s.find(|(s, _)| s.name() == signal).map(|s| s.1));
        if let Some(value) = value {
            // A value outside the signal's range cannot be sent: the frame stays as it was.
            let mut data = frame.data.to_vec();
            if message.encode(&[(signal.as_str(), value + sigma * gauss())], &mut data).is_ok() {
                frame.data = data.into();
            }
        }
    };
    let mut change = change;
    Ok(each(stream, move |t, any| on_frames(span.contains(&t), any, &mut change)))
}

fn frozen(span: std::ops::Range<Nanos>, stream: Stream) -> Stream {
    let mut picture = None;
    each(stream, move |t, any| match any {
        Any::DeviceCameraFront(image) if span.contains(&t) => {
            let shown: &Arc<v1::Image> = picture.get_or_insert_with(|| image.clone());
            Any::DeviceCameraFront(Arc::new(v1::Image { header: image.header, ..(**shown).clone() }))
        }
        other => {
            picture = None;
            other
        }
    })
}

fn delayed(span: std::ops::Range<Nanos>, by: Duration, stream: Stream) -> Stream {
    let mut last = Nanos::ZERO;
    Box::new(stream.map(move |item| {
        let (t, any) = item?;
        // A queue keeps its order: what comes in time waits for what is late.
        last = last.max(if span.contains(&t) { t + by } else { t });
        Ok((last, any))
    }))
}

fn garbage(g: Garbage, seed: u64, start: Nanos) -> Box<dyn Iterator<Item = Result<Timed>>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = ((g.to_s - g.from_s) * g.rate_hz) as u64;
    Box::new((0..count).map(move |i| {
        let t = at(start, g.from_s + i as f64 / g.rate_hz);
        let extended = rng.random_bool(0.3);
        let mut data = vec![0u8; rng.random_range(0..=8)];
        rng.fill(&mut data[..]);
        let frame = v1::CanFrame {
            stamp_ns: t.0,
            id: rng.random::<u32>() & if extended { 0x1fff_ffff } else { 0x7ff },
            extended,
            error: rng.random_bool(0.05),
            data: data.into(),
            bus: "can0".into(),
            ..Default::default()
        };
        let frames = v1::CanFrames { header: Some(v1::Header::new(t.0, 0)), frames: vec![frame] };
        Ok((t, Any::DeviceCan(frames.into())))
    }))
}
