//! Runs the live page over a video with an invented drive, without any other node.
//! `cargo run --release -p auriga-hud --example demo -- VIDEO CALIBRATION [ADDRESS:PORT]`

#[path = "../tests/suite/common/mod.rs"]
mod common;

use anyhow::Context;
use auriga_camera::{calibration::Calibration, rectify::Rectifier, source::VideoSource};
use auriga_hud::{
    Config, HudNode,
    page::{self, PageFeed},
};
use auriga_msgs::{CHAINS, NODES, node::HudInput, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use std::{sync::Arc, time::Duration};
use v1::{HazardKind, Indicator, Mode, Severity};

/// Period of the invented drive.
const PERIOD_S: f64 = 40.0;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [video, calibration, rest @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: demo VIDEO CALIBRATION [ADDRESS:PORT]");
    };
    let rectifier = Rectifier::new(Calibration::load(calibration)?)?;
    let mut config = Config::default();
    if let Some(bind) = rest.first() {
        config.page_bind = bind.clone();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let feed = PageFeed::default();
    println!("http://{}/", page::serve(&feed, &config, runtime.handle())?);
    let mut node = HudNode::new(&config)?;
    let mut out = Outbox::default();
    let start = Nanos::monotonic();
    let info = Arc::new(rectifier.calibration().rectified_info(v1::Header::default()));
    node.on_input(HudInput::CameraFrontInfo(info), start, &mut out);
    let mut begin = start;
    let mut last_t = 0.0;
    loop {
        let source = VideoSource::file(video).context("the video")?;
        let mut end = begin;
        for item in source {
            let (time, mut image) = item?;
            let due = begin + Duration::from_nanos(time.0);
            std::thread::sleep(due.since(Nanos::monotonic()));
            let now = Nanos::monotonic();
            image.header = Some(v1::Header::new(due.0, 1));
            image.data = rectifier.rectify(&image.data)?.into();
            let t = now.since(start).as_secs_f64();
            for input in inputs_at(last_t, t, now) {
                node.on_input(input, now, &mut out);
            }
            last_t = t;
            node.on_input(HudInput::CameraFrontImage(Arc::new(image)), now, &mut out);
            node.on_tick(Nanos::monotonic(), &mut out);
            out.take_messages();
            out.take_effects().into_iter().for_each(|effect| feed.publish(effect));
            end = due;
        }
        begin = end + Duration::from_millis(40);
    }
}

/// What the other nodes would publish between `last` and `t` seconds: a drive that repeats every [`PERIOD_S`].
fn inputs_at(last: f64, t: f64, now: Nanos) -> Vec<HudInput> {
    let phase = t % PERIOD_S;
    let hazard = (14.0..18.0).contains(&phase);
    let departure = (24.0..27.0).contains(&phase);
    let mut scene = common::scene(now);
    let vehicle = scene.vehicle.get_or_insert_default();
    vehicle.speed_mps = Some(24.0 + 2.0 * (t * 0.2).sin());
    vehicle.indicator = if (30.0..34.0).contains(&phase) { Indicator::Left } else { Indicator::Off }.into();
    let distance = if hazard { 26.0 - 4.0 * (phase - 14.0) } else { 38.0 + 6.0 * (t * 0.3).sin() };
    scene.tracks = vec![
        common::track(1, distance, 0.0, true),
        common::track(2, 46.0, 3.9, false),
        common::track(3, 70.0, -3.6, false),
    ];
    if hazard {
        let severity = if phase > 15.5 { Severity::Critical } else { Severity::Warning };
        let mut hazard = common::hazard(HazardKind::ForwardCollision, 1 + (t / PERIOD_S) as u64, now, severity);
        hazard.time_to_collision_s = Some(2.6 - 0.4 * (phase - 14.0));
        scene.hazards.push(hazard);
    }
    if departure {
        scene.hazards.push(common::hazard(
            HazardKind::LaneDeparture,
            900 + (t / PERIOD_S) as u64,
            now,
            Severity::Warning,
        ));
    }
    scene.driving_load = 0.35 + 0.3 * (t * 0.1).sin();
    let mut inputs = vec![
        HudInput::FusionScene(Arc::new(scene)),
        HudInput::ArbiterGrants(Arc::new(grants(phase, hazard, now))),
        HudInput::DriveInfo(Arc::new(v1::DriveInfo {
            header: common::header(now),
            name: "demo".into(),
            vehicle: "carnd".into(),
            seed: 1,
            transcript_track: true,
            ..Default::default()
        })),
        HudInput::DriveReport(Arc::new(report(t, now))),
    ];
    inputs.extend(dialogue(last % PERIOD_S, phase, t));
    inputs.extend(NODES.iter().filter(|n| n.name != "ros-bridge").map(|n| usage(n, t, now)));
    if last % PERIOD_S < 16.0 && 16.0 <= phase {
        inputs.push(HudInput::Fault(Arc::new(v1::Fault {
            header: common::header(now),
            node: "speech".into(),
            code: "no-microphone".into(),
            text: "no capture device; set `device` or connect one".into(),
            severity: Severity::Warning.into(),
            subject: "default".into(),
            count: 1,
            ..Default::default()
        })));
    }
    inputs
}

fn grants(phase: f64, hazard: bool, now: Nanos) -> v1::Grants {
    let mut grants = common::grants(now, if hazard { 0 } else { 2 });
    let demanding = (8.0..14.0).contains(&phase);
    let mode = if hazard {
        Mode::Hazard
    } else if demanding {
        Mode::Demanding
    } else {
        Mode::Nominal
    };
    grants.mode = mode.into();
    for g in &mut grants.grants {
        if g.workload == "language-dialogue" {
            (g.level, g.cpu_share, g.run) = match mode {
                Mode::Hazard => (0, 0.0, false),
                Mode::Demanding => (1, 0.1, true),
                _ => (3, 0.35, true),
            };
        }
    }
    for (name, node, share) in
        [("camera", "camera", 0.1), ("perception", "perception", 0.125), ("hud-warnings", "hud", 0.125)]
    {
        grants.grants.insert(
            0,
            v1::Grant {
                workload: name.into(),
                node: node.into(),
                cpu_share: share,
                run: true,
                lease_end_ns: now.0 + 500_000_000,
                ..Default::default()
            },
        );
    }
    grants.reason = if hazard { "hazard: forward collision" } else { "driving load" }.into();
    grants
}

/// An utterance at 4 s, its intent, and a reply word by word; a refused request at 28 s.
fn dialogue(last: f64, phase: f64, t: f64) -> Option<HudInput> {
    let at = |s: f64| last < s && s <= phase;
    let utterance = |s: f64, text: &str| {
        let source = v1::TranscriptSource::Track.into();
        let header = Some(v1::Header::new((t / PERIOD_S) as u64 * 1000 + s as u64 + 1, 0));
        HudInput::SpeechUtterance(Arc::new(v1::Utterance {
            header,
            text: text.into(),
            r#final: true,
            source,
            ..Default::default()
        }))
    };
    let of = |s: f64| Some(v1::Header::new((t / PERIOD_S) as u64 * 1000 + s as u64 + 1, 0));
    if at(4.0) {
        return Some(utterance(4.0, "navigate to the nearest charging station"));
    }
    if at(4.4) || at(28.4) {
        let refused = phase > 20.0;
        return Some(HudInput::LanguageIntent(Arc::new(v1::Intent {
            header: of(if refused { 28.0 } else { 4.0 }),
            name: if refused { "open_tailgate" } else { "navigate" }.into(),
            slots: if refused {
                vec![]
            } else {
                vec![v1::Slot { name: "place".into(), value: "charging station".into() }]
            },
            confidence: if refused { 0.91 } else { 0.97 },
            proposal: refused,
            allowed: !refused,
            refusal: if refused { "Not while driving: the tailgate opens below 3 km/h only." } else { "" }.into(),
            ..Default::default()
        })));
    }
    if at(28.0) {
        return Some(utterance(28.0, "open the tailgate"));
    }
    let words =
        ["The", " nearest", " charging", " station", " is", " 2.4", " kilometres", " ahead,", " on", " the", " right."];
    let word = words.iter().enumerate().find(|(i, _)| at(4.8 + 0.25 * *i as f64))?;
    let turn = v1::DialogueTurn {
        header: of(4.0),
        text: (*word.1).into(),
        first: word.0 == 0,
        last: word.0 + 1 == words.len(),
        from_transcript_track: true,
        ..Default::default()
    };
    Some(HudInput::LanguageTurn(Arc::new(turn)))
}

fn usage(node: &auriga_msgs::NodeSpec, t: f64, now: Nanos) -> HudInput {
    let load = 0.02 + 0.03 * f64::from(node.port % 5);
    HudInput::Usage(Arc::new(v1::Usage {
        header: common::header(now),
        node: node.name.into(),
        pid: 4000 + u32::from(node.port),
        uptime_ns: (t * 1e9) as u64,
        cpu_ns: (t * load * 1e9) as u64,
        rss_bytes: (30 + u64::from(node.port) * 9) << 20,
        messages_in: (t * 25.0) as u64 * u64::from(node.port),
        messages_out: (t * 30.0) as u64,
        messages_dropped: u64::from(node.port == 4) * 3,
        deadline_misses: u64::from(node.port == 8),
        ..Default::default()
    }))
}

fn report(t: f64, now: Nanos) -> v1::DriveReport {
    let chain = |(i, c): (usize, &auriga_msgs::ChainSpec)| v1::ChainStats {
        chain: c.name.into(),
        count: if i == 2 { 0 } else { (t * 25.0) as u64 },
        budget_ms: c.budget_ms,
        p50_ms: c.budget_ms * (0.15 + 0.05 * (i % 5) as f64),
        p99_ms: c.budget_ms * (0.3 + 0.1 * (i % 5) as f64),
        p999_ms: c.budget_ms * (0.4 + 0.13 * (i % 6) as f64),
        max_ms: c.budget_ms * (0.45 + 0.15 * (i % 6) as f64),
        over_budget: 0,
    };
    v1::DriveReport {
        header: common::header(now),
        chains: CHAINS.iter().enumerate().map(chain).collect(),
        messages: (t * 400.0) as u64,
        ..Default::default()
    }
}
