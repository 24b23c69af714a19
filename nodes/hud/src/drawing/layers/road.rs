//! The lane: its lines as strips of paint on the road, and its surface.

use crate::{
    drawing::{
        canvas::{Paint, Px},
        content::Decor,
        palette,
        projection::Projection,
        surface::Surface,
    },
    scene::view::{Line, View},
};
use auriga_msgs::v1::Side;

/// Half of a drawn line's width: that of a marking (0.15 m) and a little.
const HALF_LINE_M: f64 = 0.09;
/// Half of the width of a line that the car crosses.
const HALF_DEPARTED_LINE_M: f64 = 0.16;
/// Least width of a line where it is far.
const MIN_LINE_PX: f32 = 1.0;
/// Opacity of the lane's surface where it is nearest.
const SURFACE_ALPHA: f32 = 0.44;
const PLAIN_SURFACE_ALPHA: f32 = 0.22;

/// Draws the lane's surface (decorative) and its lines.
pub fn draw(surface: &mut Surface, view: &View, projection: &Projection, decor: Decor) -> opencv::Result<()> {
    if decor > Decor::Off
        && let (Some(left), Some(right)) = (&view.left, &view.right)
    {
        draw_surface(surface, left, right, projection, decor)?;
    }
    for (line, side) in [(&view.left, Side::Left), (&view.right, Side::Right)] {
        if let Some(line) = line {
            draw_line(surface, line, projection, view.departs(side))?;
        }
    }
    Ok(())
}

fn draw_surface(
    surface: &mut Surface,
    left: &Line,
    right: &Line,
    projection: &Projection,
    decor: Decor,
) -> opencv::Result<()> {
    let pixels =
        |line: &Line| -> Vec<Px> { line.points.iter().filter_map(|&(x, y)| projection.pixel(x, y, 0.0)).collect() };
    let mut outline = pixels(left);
    outline.extend(pixels(right).into_iter().rev());
    let rows = outline.iter().map(|p| p.y);
    let (top, bottom) = rows.fold((f32::MAX, f32::MIN), |(a, b), y| (a.min(y), b.max(y)));
    let height = (bottom.min(surface.canvas.height() as f32) - top).max(1.0);
    let confidence = left.confidence.min(right.confidence);
    match decor {
        Decor::Off => Ok(()),
        Decor::Plain => surface.canvas.fill(&outline, palette::LANE.alpha(PLAIN_SURFACE_ALPHA * confidence)),
        // It fades towards the horizon: there the lines are least certain.
        Decor::Full => surface.canvas.fill_faded(&outline, palette::LANE.alpha(SURFACE_ALPHA * confidence), |row| {
            let near = ((row - top) / height).clamp(0.0, 1.0);
            near.sqrt() * (0.35 + 0.65 * near)
        }),
    }
}

fn draw_line(surface: &mut Surface, line: &Line, projection: &Projection, departed: bool) -> opencv::Result<()> {
    let (half, paint) = match departed {
        true => (HALF_DEPARTED_LINE_M, palette::AMBER),
        false => (HALF_LINE_M, palette::INK.alpha(0.25 + 0.65 * line.confidence)),
    };
    let strip = strip(line, projection, half);
    // A dark rim keeps the line visible on a bright road.
    surface.canvas.fill(&widened(&strip, 1.0), Paint::alpha(palette::NIGHT, 0.35 * line.confidence))?;
    surface.canvas.fill(&strip, paint)
}

/// The outline of a line as a strip on the road: its left side from near to far, its right side back.
fn strip(line: &Line, projection: &Projection, half_m: f64) -> Vec<Px> {
    let edge = |side: f64| -> Vec<Px> {
        line.points.iter().filter_map(|&(x, y)| projection.pixel(x, y + side * half_m, 0.0)).collect()
    };
    let (mut left, mut right) = (edge(1.0), edge(-1.0));
    for (l, r) in left.iter_mut().zip(right.iter_mut()) {
        let missing = MIN_LINE_PX - (r.x - l.x);
        if missing > 0.0 {
            l.x -= missing / 2.0;
            r.x += missing / 2.0;
        }
    }
    left.extend(right.into_iter().rev());
    left
}

fn widened(strip: &[Px], by_px: f32) -> Vec<Px> {
    let half = strip.len() / 2;
    let moved = |(i, p): (usize, &Px)| Px { x: if i < half { p.x - by_px } else { p.x + by_px }, y: p.y };
    strip.iter().enumerate().map(moved).collect()
}
