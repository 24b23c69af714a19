//! Warnings: banners in the upper middle, a red frame for a collision, a glow at the side a car leaves its lane to.

use crate::{
    drawing::{
        canvas::{Paint, Px, Rect, px},
        palette,
        surface::Surface,
        typeface::{bold, regular},
    },
    scene::{
        view::View,
        warnings::{Warning, WarningKind},
    },
};
use auriga_msgs::v1::Side;

/// Places of the layout, in units.
const TOP: f32 = 14.0;
const HEIGHT: f32 = 30.0;
const MAX_BANNERS: usize = 3;
/// Kept free on both sides of the banners: the mark of a transcript track is there.
const SIDE_MARGIN: f32 = 146.0;
/// Widths of the red frame and of a side's glow.
const FRAME: f32 = 26.0;
const GLOW: f32 = 54.0;

/// Draws the frame and the glow at the picture's edges, which are seen from the corner of the eye; all text lies over
/// them.
pub fn draw_edges(surface: &mut Surface, view: &View) -> opencv::Result<()> {
    if let Some(collision) = view.warning(WarningKind::ForwardCollision) {
        draw_frame(surface, if collision.critical { 0.85 } else { 0.45 });
    }
    for side in [Side::Left, Side::Right] {
        if view.departs(side) {
            draw_glow(surface, side)?;
        }
    }
    Ok(())
}

/// Draws the banners; returns the place they take.
pub fn draw_banners(surface: &mut Surface, view: &View) -> opencv::Result<Rect> {
    let unit = surface.unit();
    let mut taken = Rect { x: surface.canvas.width() as f32 / 2.0, y: 0.0, w: 0.0, h: 0.0 };
    for (index, warning) in view.warnings.iter().take(MAX_BANNERS).enumerate() {
        let rect = draw_banner(surface, warning, (TOP + index as f32 * (HEIGHT + 6.0)) * unit)?;
        let (left, right) = (taken.x.min(rect.x), taken.right().max(rect.right()));
        taken = Rect { x: left, y: 0.0, w: right - left, h: rect.bottom() + 4.0 * unit };
    }
    Ok(taken)
}

fn draw_banner(surface: &mut Surface, warning: &Warning, top: f32) -> opencv::Result<Rect> {
    let (unit, (width, _)) = (surface.unit(), surface.size());
    let red = warning.critical || warning.kind == WarningKind::ForwardCollision;
    let (ground, ink) = match red {
        true => (palette::RED.alpha(0.94), palette::INK),
        false => (palette::AMBER.alpha(0.94), palette::NIGHT),
    };
    let (title_style, detail_style) = (bold(15.0 * unit), regular(14.0 * unit));
    let (pad, icon, gap) = (11.0 * unit, 18.0 * unit, 8.0 * unit);
    let title_width = surface.text_width(warning.title, title_style);
    let room = width - 2.0 * SIDE_MARGIN * unit - 2.0 * pad - icon - 2.0 * gap - title_width;
    let detail = surface.fit(&warning.detail, detail_style, room.max(40.0 * unit));
    let detail_width = if detail.is_empty() { 0.0 } else { gap + surface.text_width(&detail, detail_style) };
    let w = 2.0 * pad + icon + gap + title_width + detail_width;
    let rect = Rect { x: (width - w) / 2.0, y: top, w, h: HEIGHT * unit };
    surface.canvas.rounded(rect, 8.0 * unit, ground)?;
    draw_warning_sign(surface, px(rect.x + pad, rect.y + 6.0 * unit), icon, ink, ground)?;
    let baseline = rect.y + 20.4 * unit;
    let x = surface.write(warning.title, px(rect.x + pad + icon + gap, baseline), title_style, ink);
    surface.write(&detail, px(x + gap, baseline), detail_style, ink);
    Ok(rect)
}

/// A triangle with an exclamation mark, its upper left corner at `at`.
fn draw_warning_sign(surface: &mut Surface, at: Px, size: f32, ink: Paint, ground: Paint) -> opencv::Result<()> {
    let Px { x, y } = at;
    let outline = [px(x, y + size * 0.94), px(x + size / 2.0, y), px(x + size, y + size * 0.94)];
    surface.canvas.fill(&outline, ink)?;
    let (middle, half) = (x + size / 2.0, size * 0.055);
    let bar = |top: f32, bottom: f32| {
        [
            px(middle - half, y + top),
            px(middle + half, y + top),
            px(middle + half, y + bottom),
            px(middle - half, y + bottom),
        ]
    };
    surface.canvas.fill(&bar(size * 0.34, size * 0.64), ground)?;
    surface.canvas.fill(&bar(size * 0.74, size * 0.84), ground)
}

fn draw_frame(surface: &mut Surface, strength: f32) {
    let band = FRAME * surface.unit();
    let (width, height) = surface.size();
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
        surface.canvas.shade(area, paint, opacity);
    }
}

fn draw_glow(surface: &mut Surface, side: Side) -> opencv::Result<()> {
    let (unit, (width, height)) = (surface.unit(), surface.size());
    let band = GLOW * unit;
    let left = side == Side::Left;
    let x = if left { 0.0 } else { width - band };
    surface.canvas.shade(Rect { x, y: 0.0, w: band, h: height }, palette::AMBER.alpha(0.8), |x, _| {
        let inside = if left { x } else { width - 1.0 - x };
        (1.0 - inside / band).clamp(0.0, 1.0).powi(2)
    });
    let (tip, back) = match left {
        true => (10.0 * unit, 24.0 * unit),
        false => (width - 10.0 * unit, width - 24.0 * unit),
    };
    let middle = height * 0.47;
    let chevron = [px(back, middle - 20.0 * unit), px(tip, middle), px(back, middle + 20.0 * unit)];
    surface.canvas.stroke(&chevron, 7.0 * unit, palette::NIGHT.alpha(0.5))?;
    surface.canvas.stroke(&chevron, 5.0 * unit, palette::AMBER)
}
