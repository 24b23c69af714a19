//! The overlay: what a [`View`] looks like over one picture.
//!
//! The safety layer (lines, the vehicle ahead, warnings, speed, indicators, the mark of a transcript track) is always
//! drawn. The decorative layer (the lane's surface, other objects, the dialogue line) obeys its grant ([`Decor`]).
//! The layout is made for a picture 360 pixels high and grows with it.

use super::{
    canvas::{Canvas, Paint, Rect},
    projection::Projection,
    text::Type,
};
use crate::scene::world::View;

/// How much of the decorative layer is granted: the levels of workload "hud-decor".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Decor {
    #[default]
    Off,
    Plain,
    Full,
}

/// A line of the dialogue: who says what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    pub by: &'static str,
    pub text: String,
}

/// What is drawn besides the view.
#[derive(Debug, Clone, Default)]
pub struct Extras<'a> {
    pub decor: Decor,
    pub spoken: Option<&'a Spoken>,
    /// Speech comes from the transcript track of a drive.
    pub transcript_track: bool,
    /// The speed in the driver's unit, and the unit.
    pub speed: Option<f64>,
    pub unit: &'a str,
}

/// The palette: calm where nothing is wrong, amber for a warning, red for a collision.
pub mod palette {
    use crate::drawing::canvas::Paint;
    pub const INK: Paint = Paint::rgb(0xf2f6f8);
    pub const DIM: Paint = Paint::rgb(0xa9b7c2);
    pub const NIGHT: Paint = Paint::rgb(0x070b10);
    pub const LANE: Paint = Paint::rgb(0x2fc4d6);
    pub const CALM: Paint = Paint::rgb(0x5fd8a0);
    pub const AMBER: Paint = Paint::rgb(0xffb638);
    pub const RED: Paint = Paint::rgb(0xff3b38);
}

/// Draws overlays.
pub struct Painter {
    pub canvas: Canvas,
    pub(crate) face: Type,
}

/// The height the layout is made for.
const DESIGN_HEIGHT: f32 = 360.0;
const DESIGN_WIDTH: f32 = 640.0;

impl Painter {
    pub fn new() -> Result<Self, ab_glyph::InvalidFont> {
        Ok(Self { canvas: Canvas::default(), face: Type::new()? })
    }

    /// Pixels of one unit of the layout.
    pub(crate) fn unit(&self) -> f32 {
        (self.canvas.height() as f32 / DESIGN_HEIGHT).min(self.canvas.width() as f32 / DESIGN_WIDTH).max(0.1)
    }

    /// Draws over what the canvas holds. `projection` must be for the canvas's size.
    pub fn draw(&mut self, view: &View, projection: Option<&Projection>, extras: &Extras) -> opencv::Result<()> {
        if let Some(projection) = projection {
            self.road(view, projection, extras.decor)?;
        }
        self.alarm_light(view)?;
        let taken = self.footer(view, extras)?;
        let banners = self.banners(view)?;
        if let Some(projection) = projection {
            self.objects(view, projection, extras.decor, &[taken, banners])?;
        }
        if extras.transcript_track {
            self.transcript_badge()?;
        }
        Ok(())
    }

    /// A dark plate under light text, so that it can be read over any picture.
    pub(crate) fn plate(&mut self, rect: Rect, paint: Paint) -> opencv::Result<()> {
        self.canvas.rounded(rect, rect.h * 0.5, paint)
    }
}
