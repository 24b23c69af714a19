//! Injects faults into the messages of devices and topics.

use super::spec::{Faults, Garbage, Noise, topic_named};
use crate::replay::stream::{Stream, at};
use anyhow::{Context, Result};
use auriga_can::dbc::Database;
use auriga_msgs::{Any, TopicId, v1};
use auriga_runtime::{Nanos, Replay, Timed};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{path::Path, sync::Arc, time::Duration};

/// Drops messages.
pub(in crate::replay) fn lose(faults: &Faults, replay: &mut Replay, start: Nanos) -> Result<()> {
    let drops = faults.drop.iter().map(|d| {
        let topic = topic_named(&d.topic).map_err(anyhow::Error::msg)?;
        Ok((topic, at(start, d.from_s), at(start, d.to_s)))
    });
    let drops = drops.collect::<Result<Vec<(TopicId, Nanos, Nanos)>>>()?;
    replay.lose(move |now, any| drops.iter().any(|d| d.0 == any.topic() && (d.1..d.2).contains(&now)));
    Ok(())
}

/// Applies the faults of a device to its messages.
pub(in crate::replay) fn apply(
    faults: &Faults,
    topic: TopicId,
    start: Nanos,
    root: &Path,
    mut stream: Stream,
) -> Result<Stream> {
    let span = move |from_s, to_s| at(start, from_s)..at(start, to_s);
    if topic == TopicId::DeviceCan {
        for w in faults.can_wrong_length.clone() {
            let span = span(w.from_s, w.to_s);
            stream = each(stream, move |t, any| on_frames(span.contains(&t), any, |f| f.data.truncate(w.bytes)));
        }
        for n in faults.can_noise.clone() {
            stream = noisy(&n, span(n.from_s, n.to_s), root, stream)?;
        }
    }
    if topic == TopicId::DeviceCameraFront {
        for f in &faults.freeze {
            stream = frozen(span(f.from_s, f.to_s), stream);
        }
    }
    for d in faults.delay.iter().filter(|d| d.topic == topic.spec().name) {
        stream = delayed(span(d.from_s, d.to_s), Duration::from_millis(d.by_ms), stream);
    }
    Ok(stream)
}

/// Random frames, if any.
pub(in crate::replay) fn garbage(faults: &Faults, start: Nanos) -> Option<Stream> {
    let spans = faults.can_garbage.clone();
    if spans.is_empty() {
        return None;
    }
    let streams = spans.into_iter().enumerate().map(|(i, g)| garbage_stream(g, i as u64, start)).collect();
    Some(Box::new(auriga_runtime::merge(streams)))
}

fn each(stream: Stream, mut change: impl FnMut(Nanos, Any) -> Any + 'static) -> Stream {
    Box::new(stream.map(move |item| item.map(|(t, any)| (t, change(t, any)))))
}

/// Changes each CAN frame of a message.
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
        let value = message.decode(&frame.data).find(|(s, _)| s.name() == signal).map(|(_, value)| value);
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

fn garbage_stream(g: Garbage, seed: u64, start: Nanos) -> Box<dyn Iterator<Item = Result<Timed>>> {
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
