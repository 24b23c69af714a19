//! The state machine.

use crate::{
    config::{Background, Config},
    dashboard::{
        collector::{Collector, driving},
        page_state::{PageState, Picture},
    },
    drawing::{
        canvas::Paint,
        content::{Decor, Extras},
        overlay::Overlay,
        palette,
        projection::Projection,
    },
    scene::latest::LatestScene,
};
use auriga_msgs::{Stamped, TopicId, node, topic, v1};
use auriga_runtime::{Lease, Nanos, Node, Outbox, image::bgr8_rows, plausibility::stamp_ahead};
use bytes::Bytes;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use v1::Severity;

const IMAGE: &str = "camera/front/image";
const INFO: &str = "camera/front/info";

/// How often the page's state is made.
const STATE_PERIOD: Duration = Duration::from_millis(100);
/// How often a dark picture is drawn while no camera frames come.
const DARK_PERIOD: Duration = Duration::from_millis(80);
/// Size of a picture drawn before the first camera frame.
const DEFAULT_SIZE: (usize, usize) = (640, 360);
/// The frame rate is measured over this many pictures.
const RATE_PICTURES: usize = 50;

/// What the shell shows.
#[derive(Debug, Clone)]
pub enum Effect {
    /// The HUD's newest picture, JPEG.
    Frame(Bytes),
    /// The page's newest state.
    State(Arc<PageState>),
}

/// The HUD node's state machine.
pub struct HudNode {
    config: Config,
    overlay: Overlay,
    scene: LatestScene,
    page: Collector,
    decor: Lease,
    info: Option<v1::CameraInfo>,
    /// For the size of the picture.
    projection: Option<Projection>,
    last_stamp: Option<Nanos>,
    /// When the last camera frame came.
    last_frame: Option<Nanos>,
    started: Option<Nanos>,
    /// Size of the camera's frames in pixels.
    size: (usize, usize),
    picture: Picture,
    /// When the last pictures were drawn.
    drawn_at: VecDeque<Nanos>,
    next_state: Nanos,
    next_dark: Nanos,
    dark_frames: u64,
}

impl HudNode {
    /// The state machine before its first input.
    ///
    /// # Errors
    /// When a value of the configuration is out of its range, naming the field.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        config.check()?;
        // One thread: the node owns its core, and the picture does not depend on how OpenCV divides the rows.
        opencv::core::set_num_threads(1)?;
        Ok(Self {
            config: config.clone(),
            overlay: Overlay::new()?,
            scene: LatestScene::default(),
            page: Collector::default(),
            decor: Lease::new("hud-decor"),
            info: None,
            projection: None,
            last_stamp: None,
            last_frame: None,
            started: None,
            size: DEFAULT_SIZE,
            picture: Picture::default(),
            drawn_at: VecDeque::new(),
            next_state: Nanos::ZERO,
            next_dark: Nanos::ZERO,
            dark_frames: 0,
        })
    }

    fn start(&mut self, now: Nanos) {
        self.started.get_or_insert(now);
        self.scene.start(now);
    }

    fn on_info(&mut self, info: &v1::CameraInfo, now: Nanos, out: &mut Outbox<Self>) {
        let unchanged = |old: &v1::CameraInfo| v1::CameraInfo { header: info.header, ..old.clone() } == *info;
        if self.info.as_ref().is_some_and(unchanged) {
            return;
        }
        self.info = Some(info.clone());
        self.projection = match Projection::new(info) {
            Ok(projection) => {
                out.clear_fault(now, "camera-info-unusable", INFO);
                self.scene.set_bumper(info.bumper_ahead_m);
                Some(projection.scaled(self.config.scale))
            }
            Err(e) => {
                out.standing_fault(now, Severity::Critical, "camera-info-unusable", INFO, e.to_string());
                None
            }
        };
    }

    fn on_image(&mut self, image: &v1::Image, now: Nanos, out: &mut Outbox<Self>) {
        let header = image.header_copy();
        let stamp = Nanos(header.stamp_ns);
        if let Some(ahead) = stamp_ahead(stamp, now) {
            let text = format!("a frame's stamp is {} ms ahead of the clock", ahead.as_millis());
            return out.fault(now, Severity::Warning, "camera-stamp-ahead", IMAGE, text);
        }
        if self.last_stamp.is_some_and(|last| stamp <= last) {
            let text = "a frame is not newer than the last one and was dropped";
            return out.fault(now, Severity::Warning, "camera-frame-out-of-order", IMAGE, text);
        }
        let rows = match bgr8_rows(image) {
            Ok(rows) => rows,
            Err(e) => return out.fault(now, Severity::Warning, "camera-image-malformed", IMAGE, e.to_string()),
        };
        self.last_stamp = Some(stamp);
        self.last_frame = Some(now);
        self.size = (image.width as usize, image.height as usize);
        let factor = self.config.scale as usize;
        let loaded = match self.config.background {
            Background::Camera => self.overlay.canvas_mut().load(self.size.0, self.size.1, rows, factor),
            Background::Black => {
                self.clear_canvas(Paint::rgb(0));
                Ok(())
            }
        };
        self.picture.frame_age_ms = Some(now.since(stamp).as_secs_f64() * 1e3);
        self.picture.camera_silent = false;
        let drawn = loaded.and_then(|()| self.draw(self.display_instant(stamp, now), now, None));
        self.publish(drawn, v1::Header::new(header.stamp_ns, header.trace_id), &image.frame_id, now, out);
    }

    fn clear_canvas(&mut self, paint: Paint) {
        let factor = self.config.scale as usize;
        self.overlay.canvas_mut().clear(self.size.0 * factor, self.size.1 * factor, paint);
    }

    /// The instant that the overlay is drawn for.
    fn display_instant(&self, stamp: Nanos, now: Nanos) -> Nanos {
        match self.config.background {
            Background::Camera => stamp,
            Background::Black => now + Duration::from_millis(self.config.display_latency_ms),
        }
    }

    /// Draws the overlay and returns the picture as JPEG. `silent`: for how long no camera frame has come.
    fn draw(&mut self, at: Nanos, now: Nanos, silent: Option<Duration>) -> opencv::Result<Bytes> {
        let view = self.scene.view(&self.config, at, now, silent);
        let factor = self.config.scale;
        let size = (self.size.0 as u32 * factor, self.size.1 as u32 * factor);
        let projection = self.projection.as_ref().filter(|p| silent.is_none() && p.size() == size);
        let shown = Duration::from_millis(self.config.dialogue_shown_ms);
        let extras = Extras {
            decor: self.decor_level(now),
            dialogue: self.page.dialogue.line(now, shown),
            transcript_track: self.page.dialogue.uses_transcript_track() || self.page.drive_has_transcript_track(),
            speed: view.speed_mps.map(|v| self.config.units.from_mps(v)),
            unit: self.config.units.label(),
        };
        self.overlay.draw(&view, projection, &extras)?;
        self.overlay.canvas().jpeg(self.config.jpeg_quality)
    }

    fn decor_level(&self, now: Nanos) -> Decor {
        match self.decor.current(now).filter(|grant| grant.run).map(|grant| grant.level) {
            None | Some(0) => Decor::Off,
            Some(1) => Decor::Plain,
            Some(_) => Decor::Full,
        }
    }

    fn publish(
        &mut self,
        drawn: opencv::Result<Bytes>,
        header: v1::Header,
        frame_id: &str,
        now: Nanos,
        out: &mut Outbox<Self>,
    ) {
        let data = match drawn {
            Ok(data) => data,
            Err(e) => return out.fault(now, Severity::Critical, "hud-draw-failed", "hud/frame", e.to_string()),
        };
        self.picture.frames += 1;
        (self.picture.width, self.picture.height) = (self.overlay.canvas().width(), self.overlay.canvas().height());
        self.drawn_at.push_back(now);
        if self.drawn_at.len() > RATE_PICTURES {
            self.drawn_at.pop_front();
        }
        out.publish::<topic::HudFrame>(v1::CompressedImage {
            header: Some(header),
            frame_id: frame_id.to_owned(),
            width: self.picture.width as u32,
            height: self.picture.height as u32,
            format: "jpeg".into(),
            data: data.clone(),
        });
        self.show(Effect::Frame(data), out);
    }

    fn show(&self, effect: Effect, out: &mut Outbox<Self>) {
        if !self.config.page_bind.is_empty() {
            out.effect(effect);
        }
    }

    /// For how long no camera frame has come, once that is longer than the limit.
    fn camera_silence(&self, now: Nanos) -> Option<Duration> {
        let since = self.last_frame.or(self.started)?;
        Some(now.since(since)).filter(|silent| *silent >= self.config.camera_silent())
    }

    /// Draws a picture without camera.
    fn draw_dark(&mut self, silent: Duration, now: Nanos, out: &mut Outbox<Self>) {
        self.clear_canvas(match self.config.background {
            Background::Camera => palette::NIGHT,
            Background::Black => Paint::rgb(0),
        });
        self.picture.frame_age_ms = None;
        self.picture.camera_silent = true;
        let drawn = self.draw(now, now, Some(silent));
        let header = v1::Header::new(now.0, v1::Header::trace(TopicId::HudFrame, self.dark_frames));
        self.dark_frames += 1;
        let frame_id = self.info.as_ref().map(|info| info.frame_id.clone()).unwrap_or_default();
        self.publish(drawn, header, &frame_id, now, out);
    }

    fn publish_state(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let view = self.scene.view(&self.config, now, now, self.camera_silence(now));
        let (first, last) = (self.drawn_at.front(), self.drawn_at.back());
        let span = first.zip(last).map_or(0.0, |(a, b)| b.since(*a).as_secs_f64());
        self.picture.fps = if span > 0.0 { (self.drawn_at.len() - 1) as f64 / span } else { 0.0 };
        self.picture.decor = match self.decor_level(now) {
            Decor::Off => "off",
            Decor::Plain => "plain",
            Decor::Full => "full",
        };
        let load = self.scene.fresh(&self.config, now).map(|s| s.driving_load);
        let driving = driving(&view, self.config.units, load);
        let state = self.page.state(now, driving, &view.warnings, self.picture);
        self.show(Effect::State(Arc::new(state)), out);
    }
}

impl Node for HudNode {
    type Name = node::Hud;
    type Effect = Effect;

    fn on_input(&mut self, input: node::HudInput, now: Nanos, out: &mut Outbox<Self>) {
        use node::HudInput as I;
        self.start(now);
        match input {
            I::CameraFrontImage(image) => self.on_image(&image, now, out),
            I::CameraFrontInfo(info) => self.on_info(&info, now, out),
            I::FusionScene(scene) => self.scene.on_scene(scene, now),
            I::FusionHazard(hazard) => {
                self.scene.on_hazard(&hazard);
                self.page.compute.on_hazard();
            }
            I::SpeechUtterance(utterance) => self.page.dialogue.on_utterance(&utterance, now),
            I::LanguageIntent(intent) => self.page.dialogue.on_intent(&intent, now),
            I::LanguageTurn(turn) => self.page.dialogue.on_turn(&turn, now),
            I::LanguageSlices(status) => self.page.dialogue.on_slices(&status),
            I::ArbiterGrants(grants) => {
                self.decor.update(&grants);
                self.page.compute.on_grants(grants);
            }
            I::Usage(usage) => self.page.health.on_usage(usage, now),
            I::Fault(fault) => self.page.health.on_fault(&fault, now),
            I::DriveInfo(info) => self.page.on_drive(info, now),
            I::DriveReport(report) => self.page.compute.on_report(report),
        }
    }

    fn on_tick(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        self.start(now);
        if now >= self.next_dark {
            self.next_dark = now + DARK_PERIOD;
            if let Some(silent) = self.camera_silence(now) {
                self.draw_dark(silent, now, out);
            }
        }
        if now >= self.next_state {
            self.next_state = now + STATE_PERIOD;
            self.publish_state(now, out);
        }
        out.tick_at(self.next_dark.min(self.next_state));
    }
}
