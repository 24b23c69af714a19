//! The head-up display: draws over each camera frame what the driver needs to see, and collects what the live page
//! shows.
//!
//! * A frame's way: checked ([`image`]), loaded into the [`canvas`]; the newest scene moved to the frame's instant
//!   ([`world`], [`motion`]) and projected ([`projection`]); drawn ([`overlay`], [`text`]) and published as JPEG with
//!   the frame's stamp and trace, so that the way from exposure to HUD can be told.
//! * The display never waits: it draws what it knows when a frame comes. When none comes it goes on by itself, dark,
//!   with the warning and the speed. Nothing old is shown as if it were now.
//! * The page's state is made here ([`board`]); the shell ([`page`]) only ships it.

use crate::{
    config::{Background, Config},
    dashboard::{self, Board, PageState, Picture},
    drawing::{
        canvas,
        overlay::{Decor, Extras, Painter, palette},
        projection::Projection,
    },
    scene::world::World,
};
use auriga_msgs::{Stamped, TopicId, node, topic, v1};
use auriga_runtime::{Lease, Nanos, Node, Outbox, image::bgr8_rows};
use bytes::Bytes;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use v1::Severity;

const IMAGE: &str = "camera/front/image";
const INFO: &str = "camera/front/info";

/// How often the page's state is made, and how often the display draws by itself when the camera is silent.
const STATE_PERIOD: Duration = Duration::from_millis(100);
const DARK_PERIOD: Duration = Duration::from_millis(80);
/// A stamp may lie this far ahead of the node's clock (rounding between clock reads) before it is taken to be wrong.
const STAMP_AHEAD: Duration = Duration::from_millis(50);
/// Size of a picture drawn before any camera is known.
const UNKNOWN_SIZE: (usize, usize) = (640, 360);
/// Over how many pictures the rate is told.
const RATE_OVER: usize = 50;

/// What the shell is asked to show.
#[derive(Debug, Clone)]
pub enum Effect {
    /// The HUD's newest picture, JPEG.
    Frame(Bytes),
    State(Arc<PageState>),
}

/// The state machine.
pub struct HudNode {
    config: Config,
    painter: Painter,
    world: World,
    board: Board,
    decor: Lease,
    info: Option<v1::CameraInfo>,
    /// For the size of the canvas.
    projection: Option<Projection>,
    last_stamp: Option<Nanos>,
    /// When the last camera frame came, and when the node began to wait for one.
    last_frame: Option<Nanos>,
    started: Option<Nanos>,
    /// Size of the camera's frames.
    size: (usize, usize),
    picture: Picture,
    drawn_at: VecDeque<Nanos>,
    next_state: Nanos,
    next_dark: Nanos,
    dark_frames: u64,
}

impl HudNode {
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        config.check()?;
        // One thread: the node owns its core, and the picture does not depend on how rows are shared out.
        opencv::core::set_num_threads(1)?;
        Ok(Self {
            config: config.clone(),
            painter: Painter::new()?,
            world: World::default(),
            board: Board::default(),
            decor: Lease::new("hud-decor"),
            info: None,
            projection: None,
            last_stamp: None,
            last_frame: None,
            started: None,
            size: UNKNOWN_SIZE,
            picture: Picture::default(),
            drawn_at: VecDeque::new(),
            next_state: Nanos::ZERO,
            next_dark: Nanos::ZERO,
            dark_frames: 0,
        })
    }

    fn on_info(&mut self, info: &v1::CameraInfo, now: Nanos, out: &mut Outbox<Self>) {
        let unchanged = |old: &v1::CameraInfo| v1::CameraInfo { header: info.header, ..old.clone() } == *info;
        if self.info.as_ref().is_some_and(unchanged) {
            return;
        }
        self.info = Some(info.clone());
        self.projection = match Projection::new(info) {
            Ok(projection) => {
                self.world.bumper_ahead_m = info.bumper_ahead_m;
                Some(projection.scaled(self.config.scale))
            }
            Err(e) => {
                out.fault(now, Severity::Critical, "camera-info-unusable", INFO, e.to_string());
                None
            }
        };
    }

    fn on_image(&mut self, image: &v1::Image, now: Nanos, out: &mut Outbox<Self>) {
        let header = image.header_copy();
        let stamp = Nanos(header.stamp_ns);
        if stamp > now + STAMP_AHEAD {
            let text = format!("a frame's stamp is {} ms ahead of the clock", stamp.since(now).as_millis());
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
        let begun = match self.config.background {
            Background::Camera => self.painter.canvas.load(self.size.0, self.size.1, rows, factor),
            Background::Black => {
                self.painter.canvas.clear(self.size.0 * factor, self.size.1 * factor, canvas::Paint::rgb(0));
                Ok(())
            }
        };
        self.picture.frame_age_ms = Some(now.since(stamp).as_secs_f64() * 1e3);
        self.picture.camera_silent = false;
        let drawn = begun.and_then(|()| self.draw(self.instant(stamp, now), now, None));
        self.publish(drawn, v1::Header::new(header.stamp_ns, header.trace_id), &image.frame_id, now, out);
    }

    /// The instant that the overlay is for.
    fn instant(&self, stamp: Nanos, now: Nanos) -> Nanos {
        match self.config.background {
            Background::Camera => stamp,
            Background::Black => now + Duration::from_millis(self.config.display_latency_ms),
        }
    }

    fn draw(&mut self, at: Nanos, now: Nanos, silent: Option<Duration>) -> opencv::Result<Bytes> {
        let view = self.world.view(&self.config, at, now, silent);
        let factor = self.config.scale;
        let size = (self.size.0 as u32 * factor, self.size.1 as u32 * factor);
        let projection = self.projection.as_ref().filter(|p| silent.is_none() && p.size() == size);
        let shown = Duration::from_millis(self.config.dialogue_shown_ms);
        let extras = Extras {
            decor: self.decor_level(now),
            spoken: self.board.dialogue.line(now, shown),
            transcript_track: self.transcript_track(),
            speed: view.speed_mps.map(|v| self.config.units.from_mps(v)),
            unit: self.config.units.label(),
        };
        self.painter.draw(&view, projection, &extras)?;
        self.painter.canvas.jpeg(self.config.jpeg_quality)
    }

    fn transcript_track(&self) -> bool {
        self.board.dialogue.hears_transcript_track() || self.board.drive_has_transcript_track()
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
        (self.picture.width, self.picture.height) = (self.painter.canvas.width(), self.painter.canvas.height());
        self.drawn_at.push_back(now);
        if self.drawn_at.len() > RATE_OVER {
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

    /// For how long no camera frame has come, once that is too long.
    fn silent(&self, now: Nanos) -> Option<Duration> {
        let since = self.last_frame.or(self.started)?;
        Some(now.since(since)).filter(|silent| *silent >= self.config.camera_silent())
    }

    fn draw_dark(&mut self, silent: Duration, now: Nanos, out: &mut Outbox<Self>) {
        let factor = self.config.scale as usize;
        let ground = match self.config.background {
            Background::Camera => palette::NIGHT,
            Background::Black => canvas::Paint::rgb(0),
        };
        self.painter.canvas.clear(self.size.0 * factor, self.size.1 * factor, ground);
        self.picture.frame_age_ms = None;
        self.picture.camera_silent = true;
        let drawn = self.draw(now, now, Some(silent));
        let header = v1::Header::new(now.0, v1::Header::trace(TopicId::HudFrame, self.dark_frames));
        self.dark_frames += 1;
        let frame_id = self.info.as_ref().map(|info| info.frame_id.clone()).unwrap_or_default();
        self.publish(drawn, header, &frame_id, now, out);
    }

    fn make_state(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        let view = self.world.view(&self.config, now, now, self.silent(now));
        let (first, last) = (self.drawn_at.front(), self.drawn_at.back());
        let span = first.zip(last).map_or(0.0, |(a, b)| b.since(*a).as_secs_f64());
        self.picture.fps = if span > 0.0 { (self.drawn_at.len() - 1) as f64 / span } else { 0.0 };
        self.picture.decor = match self.decor_level(now) {
            Decor::Off => "off",
            Decor::Plain => "plain",
            Decor::Full => "full",
        };
        let units = self.config.units;
        let load = self.world.scene(&self.config, now).map(|s| s.driving_load);
        let speed = view.speed_mps.map(|v| units.from_mps(v));
        let driving = dashboard::driving(&view, speed, units.label(), load);
        let state = self.board.state(now, driving, &view.warnings, self.picture);
        self.show(Effect::State(Arc::new(state)), out);
    }
}

impl Node for HudNode {
    type Name = node::Hud;
    type Effect = Effect;

    fn on_input(&mut self, input: node::HudInput, now: Nanos, out: &mut Outbox<Self>) {
        use node::HudInput as I;
        match input {
            I::CameraFrontImage(image) => self.on_image(&image, now, out),
            I::CameraFrontInfo(info) => self.on_info(&info, now, out),
            I::FusionScene(scene) => self.world.on_scene(scene, now),
            I::FusionHazard(hazard) => {
                self.world.on_hazard(&hazard);
                self.board.compute.on_hazard();
            }
            I::SpeechUtterance(utterance) => self.board.dialogue.on_utterance(&utterance, now),
            I::LanguageIntent(intent) => self.board.dialogue.on_intent(&intent, now),
            I::LanguageTurn(turn) => self.board.dialogue.on_turn(&turn, now),
            I::LanguageSlices(status) => self.board.dialogue.on_slices(&status),
            I::ArbiterGrants(grants) => {
                self.decor.update(&grants);
                self.board.compute.on_grants(grants);
            }
            I::Usage(usage) => self.board.health.on_usage(usage, now),
            I::Fault(fault) => self.board.health.on_fault(fault, now),
            I::DriveInfo(info) => self.board.on_drive(info, now),
            I::DriveReport(report) => self.board.compute.on_report(report),
        }
    }

    fn on_tick(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        self.started.get_or_insert(now);
        if now >= self.next_dark {
            self.next_dark = now + DARK_PERIOD;
            if let Some(silent) = self.silent(now) {
                self.draw_dark(silent, now, out);
            }
        }
        if now >= self.next_state {
            self.next_state = now + STATE_PERIOD;
            self.make_state(now, out);
        }
        out.tick_at(self.next_dark.min(self.next_state));
    }
}
