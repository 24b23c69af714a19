//! Warnings: banners in the upper middle, a red frame for a collision, a glow at the side a car leaves its lane to.

use crate::drawing::overlay::{Painter, palette};
use crate::{
    drawing::{
        canvas::{Paint, Rect, px},
        text::{bold, regular},
    },
    scene::{
        warnings::{Side, Topic, Warning},
        world::View,
    },
};

/// Places of the layout, in units.
const TOP: f32 = 14.0;
const HEIGHT: f32 = 30.0;
const MOST: usize = 3;
/// Kept free to either side of the banners: the badge is there.
const ASIDE: f32 = 146.0;
/// Widths of the red frame and of a side's glow.
const FRAME: f32 = 26.0;
const GLOW: f32 = 54.0;

impl Painter {
    /// What is seen from the corner of the eye; everything that is read lies over it.
    pub(crate) fn alarm_light(&mut self, view: &View) -> opencv::Result<()> {
        if let Some(collision) = view.warns_of(Topic::ForwardCollision) {
            self.red_frame(if collision.critical { 0.85 } else { 0.45 });
        }
        for side in [Side::Left, Side::Right] {
            if view.departs(side) {
                self.side_glow(side)?;
            }
        }
        Ok(())
    }

    /// Draws the banners; returns the place they take.
    pub(crate) fn banners(&mut self, view: &View) -> opencv::Result<Rect> {
        let unit = self.unit();
        let mut taken = Rect { x: self.canvas.width() as f32 / 2.0, y: 0.0, w: 0.0, h: 0.0 };
        for (index, warning) in view.warnings.iter().take(MOST).enumerate() {
            let rect = self.banner(warning, (TOP + index as f32 * (HEIGHT + 6.0)) * unit)?;
            let (left, right) = (taken.x.min(rect.x), taken.right().max(rect.right()));
            taken = Rect { x: left, y: 0.0, w: right - left, h: rect.bottom() + 4.0 * unit };
        }
        Ok(taken)
    }

    fn banner(&mut self, warning: &Warning, top: f32) -> opencv::Result<Rect> {
        let unit = self.unit();
        let collision = warning.topic == Topic::ForwardCollision;
        let (ground, ink) = match (collision, warning.critical) {
            (true, _) => (palette::RED.alpha(0.94), palette::INK),
            (false, true) => (palette::RED.alpha(0.94), palette::INK),
            (false, false) => (palette::AMBER.alpha(0.94), palette::NIGHT),
        };
        let most = self.canvas.width() as f32 - 2.0 * ASIDE * unit;
        let (title_style, detail_style) = (bold(15.0 * unit), regular(14.0 * unit));
        let (pad, icon) = (11.0 * unit, 18.0 * unit);
        let gap = 8.0 * unit;
        let title_width = self.face.width(warning.title, title_style);
        let room = (most - 2.0 * pad - icon - 2.0 * gap - title_width).max(0.0);
        let detail = self.face.fit(&warning.detail, detail_style, room.max(40.0 * unit));
        let detail_width = if detail.is_empty() { 0.0 } else { gap + self.face.width(&detail, detail_style) };
        let w = 2.0 * pad + icon + gap + title_width + detail_width;
        let rect = Rect { x: (self.canvas.width() as f32 - w) / 2.0, y: top, w, h: HEIGHT * unit };
        self.canvas.rounded(rect, 8.0 * unit, ground)?;
        self.triangle(rect.x + pad, rect.y + 6.0 * unit, icon, ink, ground)?;
        let baseline = rect.y + 20.4 * unit;
        let x = rect.x + pad + icon + gap;
        let x = self.face.write(&mut self.canvas, warning.title, x, baseline, title_style, ink);
        self.face.write(&mut self.canvas, &detail, x + gap, baseline, detail_style, ink);
        Ok(rect)
    }

    /// The sign of danger: a triangle with a mark of exclamation.
    fn triangle(&mut self, x: f32, y: f32, size: f32, ink: Paint, ground: Paint) -> opencv::Result<()> {
        let outline = [px(x, y + size * 0.94), px(x + size / 2.0, y), px(x + size, y + size * 0.94)];
        self.canvas.fill(&outline, ink)?;
        let (middle, half) = (x + size / 2.0, size * 0.055);
        let bar = |top: f32, bottom: f32| {
            [
                px(middle - half, y + top),
                px(middle + half, y + top),
                px(middle + half, y + bottom),
                px(middle - half, y + bottom),
            ]
        };
        self.canvas.fill(&bar(size * 0.34, size * 0.64), ground)?;
        self.canvas.fill(&bar(size * 0.74, size * 0.84), ground)
    }

    fn red_frame(&mut self, strength: f32) {
        let band = FRAME * self.unit();
        let (width, height) = (self.canvas.width() as f32, self.canvas.height() as f32);
        let paint = palette::RED.alpha(strength);
        let fade = |inside: f32| (1.0 - inside / band).clamp(0.0, 1.0).powi(2);
        let opacity = |x: f32, y: f32| fade(x.min(y).min(width - 1.0 - x).min(height - 1.0 - y));
        let side = Rect { x: 0.0, y: band, w: band, h: height - 2.0 * band };
        for area in [
            Rect { x: 0.0, y: 0.0, w: width, h: band },
            Rect { x: 0.0, y: height - band, w: width, h: band },
            side,
            Rect { x: width - band, ..side },
        ] {
            self.canvas.shade(area, paint, opacity);
        }
    }

    fn side_glow(&mut self, side: Side) -> opencv::Result<()> {
        let unit = self.unit();
        let (width, height) = (self.canvas.width() as f32, self.canvas.height() as f32);
        let band = GLOW * unit;
        let x = if side == Side::Left { 0.0 } else { width - band };
        self.canvas.shade(Rect { x, y: 0.0, w: band, h: height }, palette::AMBER.alpha(0.8), |x, _| {
            let inside = if side == Side::Left { x } else { width - 1.0 - x };
            (1.0 - inside / band).clamp(0.0, 1.0).powi(2)
        });
        let (tip, back) = match side {
            Side::Left => (10.0 * unit, 24.0 * unit),
            Side::Right => (width - 10.0 * unit, width - 24.0 * unit),
        };
        let middle = height * 0.47;
        let chevron = [px(back, middle - 20.0 * unit), px(tip, middle), px(back, middle + 20.0 * unit)];
        self.canvas.stroke(&chevron, 7.0 * unit, palette::NIGHT.alpha(0.5))?;
        self.canvas.stroke(&chevron, 5.0 * unit, palette::AMBER)
    }
}
