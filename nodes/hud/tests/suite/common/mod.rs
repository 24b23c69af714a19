//! Messages of an invented drive, for tests, the bench and the demo.
#![allow(dead_code)]

use auriga_hud::{Config, Effect, HudNode};
use auriga_msgs::{Any, node::HudInput, v1};
use auriga_runtime::{
    Nanos, Node, Outbox,
    camera::{Mounting, Pinhole},
};
use opencv::{
    core::{Mat, MatTraitConst, MatTraitConstManual, Vector},
    imgcodecs,
};
use std::sync::Arc;
use v1::{Gear, HazardKind, Indicator, Mode, Severity};

pub fn header(now: Nanos) -> Option<v1::Header> {
    Some(v1::Header { stamp_ns: now.0, published_ns: now.0, seq: 0, trace_id: 0 })
}

/// A camera 1.4 m above the road; the focal length is proportional to the width.
pub fn info(width: u32, height: u32) -> v1::CameraInfo {
    let mounting = Mounting { height_m: 1.4, pitch_rad: 0.03, bumper_ahead_m: 2.1, ..Mounting::default() };
    let camera = Pinhole::new(width, height, f64::from(width) * 457.0 / 640.0, mounting);
    camera.info("camera_front", v1::Header::default())
}

/// Sky over road with some grain, so that a JPEG of it costs what one of a picture costs.
pub fn road(width: u32, height: u32, now: Nanos) -> v1::Image {
    let mut seed = now.0 | 1;
    let mut data = Vec::with_capacity((3 * width * height) as usize);
    for y in 0..height {
        let tone = if y < height * 45 / 100 { [176u8, 160, 140] } else { [92, 94, 96] };
        for _ in 0..width {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let grain = (seed >> 59) as u8 / 4;
            data.extend(tone.map(|t| t + grain));
        }
    }
    image(width, height, now, data)
}

pub fn image(width: u32, height: u32, now: Nanos, data: Vec<u8>) -> v1::Image {
    v1::Image {
        header: Some(v1::Header { trace_id: 77, ..header(now).unwrap() }),
        frame_id: "camera_front".into(),
        width,
        height,
        step: 3 * width,
        encoding: "bgr8".into(),
        data: data.into(),
        rectified: true,
        ..Default::default()
    }
}

pub fn line(c0_m: f64, c2_per_m: f64) -> v1::LaneLine {
    v1::LaneLine { c0_m, c1: 0.0, c2_per_m, confidence: 0.9, x_min_m: 6.0, x_max_m: 45.0, dashed: false }
}

pub fn hazard(kind: HazardKind, id: u64, now: Nanos, severity: Severity) -> v1::Hazard {
    v1::Hazard {
        header: header(now),
        kind: kind.into(),
        severity: severity.into(),
        active: true,
        time_to_collision_s: (kind == HazardKind::ForwardCollision).then_some(1.6),
        distance_m: Some(21.0),
        text: match kind {
            HazardKind::SensorLost => "no CAN for 600 ms".into(),
            _ => String::new(),
        },
        id,
        side: v1::Side::Left.into(),
    }
}

pub fn scene(now: Nanos) -> v1::Scene {
    v1::Scene {
        header: header(now),
        lanes: Some(v1::Lanes {
            header: header(now),
            left: Some(line(1.75, 0.0004)),
            right: Some(line(-1.75, 0.0004)),
            ..Default::default()
        }),
        vehicle: Some(v1::VehicleState {
            header: header(now),
            speed_mps: Some(13.9),
            yaw_rate_radps: Some(0.0),
            gear: Gear::Drive.into(),
            indicator: Indicator::Off.into(),
            ..Default::default()
        }),
        tracks: vec![track(1, 24.0, 0.2, true), track(2, 38.0, 3.6, false), track(3, 61.0, 7.1, false)],
        camera_age_ns: Some(0),
        can_age_ns: Some(5_000_000),
        driving_load: 0.4,
        ..Default::default()
    }
}

pub fn track(id: u32, x_m: f64, y_m: f64, lead: bool) -> v1::Track {
    v1::Track { id, class: v1::ObjectClass::Vehicle.into(), x_m, y_m, lead, ..Default::default() }
}

pub fn grants(now: Nanos, decor: u32) -> v1::Grants {
    let grant = |workload: &str, node: &str, level: u32, cpu_share: f64| v1::Grant {
        workload: workload.into(),
        node: node.into(),
        level,
        cpu_share,
        run: level > 0,
        lease_end_ns: now.0 + 500_000_000,
        ..Default::default()
    };
    v1::Grants {
        header: header(now),
        mode: Mode::Nominal.into(),
        grants: vec![
            grant("language-intent", "language", 1, 0.06),
            grant("language-dialogue", "language", 3, 0.35),
            grant("hud-decor", "hud", decor, 0.05),
            grant("recording", "recorder", 1, 0.05),
        ],
        reason: "nominal: driving load 0.40".into(),
        ..Default::default()
    }
}

/// The inputs before a frame.
pub fn inputs(width: u32, height: u32, now: Nanos, hazardous: bool, decor: u32) -> Vec<HudInput> {
    let mut scene = scene(now);
    if hazardous {
        scene.hazards = vec![
            hazard(HazardKind::ForwardCollision, 1, now, Severity::Critical),
            hazard(HazardKind::LaneDeparture, 2, now, Severity::Warning),
            hazard(HazardKind::SensorLost, 3, now, Severity::Warning),
        ];
    }
    let utterance = v1::Utterance {
        header: header(now),
        text: "navigate to the nearest charging station and tell me how far it is from here".into(),
        r#final: true,
        source: v1::TranscriptSource::Track.into(),
        ..Default::default()
    };
    vec![
        HudInput::CameraFrontInfo(Arc::new(info(width, height))),
        HudInput::ArbiterGrants(Arc::new(grants(now, decor))),
        HudInput::FusionScene(Arc::new(scene)),
        HudInput::SpeechUtterance(Arc::new(utterance)),
    ]
}

/// A node with its outbox.
pub struct TestNode {
    pub node: HudNode,
    pub out: Outbox<HudNode>,
}

impl Default for TestNode {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl TestNode {
    pub fn new(config: Config) -> Self {
        Self { node: HudNode::new(&config).unwrap(), out: Outbox::default() }
    }

    pub fn feed(&mut self, inputs: impl IntoIterator<Item = HudInput>, now: Nanos) {
        inputs.into_iter().for_each(|input| self.node.on_input(input, now, &mut self.out));
    }

    /// The picture drawn for a frame.
    pub fn frame(&mut self, image: v1::Image, now: Nanos) -> Picture {
        self.out.take_messages();
        self.feed([HudInput::CameraFrontImage(Arc::new(image))], now);
        self.pictures().pop().expect("a frame makes a picture")
    }

    pub fn tick(&mut self, now: Nanos) -> Vec<Picture> {
        self.node.on_tick(now, &mut self.out);
        self.pictures()
    }

    pub fn pictures(&mut self) -> Vec<Picture> {
        let frames = self.out.take_messages().into_iter().filter_map(|any| match any {
            Any::HudFrame(frame) => Some(Picture::decode(frame)),
            _ => None,
        });
        frames.collect()
    }

    pub fn fault_codes(&mut self) -> Vec<String> {
        let faults = self.out.take_messages().into_iter().filter_map(|any| match any {
            Any::Fault(fault) => Some(fault.code.clone()),
            _ => None,
        });
        faults.collect()
    }

    pub fn states(&mut self) -> Vec<Arc<auriga_hud::PageState>> {
        let states = self.out.take_effects().into_iter().filter_map(|effect| match effect {
            Effect::State(state) => Some(state),
            Effect::Frame(_) => None,
        });
        states.collect()
    }
}

/// A published picture, decoded.
pub struct Picture {
    pub message: Arc<v1::CompressedImage>,
    pub width: usize,
    pub height: usize,
    pub bgr: Vec<u8>,
}

impl Picture {
    pub fn decode(message: Arc<v1::CompressedImage>) -> Self {
        assert_eq!(message.format, "jpeg");
        let mat: Mat = imgcodecs::imdecode(&Vector::<u8>::from_slice(&message.data), imgcodecs::IMREAD_COLOR).unwrap();
        let (width, height) = (mat.cols() as usize, mat.rows() as usize);
        assert_eq!((width as u32, height as u32), (message.width, message.height));
        Self { message, width, height, bgr: mat.data_bytes().unwrap().to_vec() }
    }

    pub fn at(&self, x: usize, y: usize) -> [i32; 3] {
        let i = 3 * (y * self.width + x);
        [0, 1, 2].map(|c| i32::from(self.bgr[i + c]))
    }

    /// Mean difference to another picture within columns x and rows y, as fractions of the size.
    pub fn difference(&self, other: &Picture, x: [f64; 2], y: [f64; 2]) -> f64 {
        let part =
            |range: [f64; 2], length: usize| (range[0] * length as f64) as usize..(range[1] * length as f64) as usize;
        let (mut sum, mut count) = (0, 0);
        for row in part(y, self.height) {
            for column in part(x, self.width) {
                let (a, b) = (self.at(column, row), other.at(column, row));
                sum += (0..3).map(|c| (a[c] - b[c]).abs()).sum::<i32>();
                count += 3;
            }
        }
        f64::from(sum) / f64::from(count.max(1))
    }
}
