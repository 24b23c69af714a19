//! Road users: a bracket around the vehicle ahead, small marks at the others.

use crate::{
    drawing::{
        canvas::{Paint, Px, Rect, px},
        content::Decor,
        palette,
        projection::Projection,
        surface::Surface,
        typeface::{bold, regular},
    },
    scene::{
        view::{Object, View},
        warnings::WarningKind,
    },
};
use auriga_msgs::v1::ObjectClass;

/// What a bracket encloses: a car's width and height.
const HALF_CAR_M: f64 = 1.0;
const CAR_HEIGHT_M: f64 = 1.5;
const HALF_PERSON_M: f64 = 0.4;
const PERSON_HEIGHT_M: f64 = 1.8;
/// Time gaps: below these the label turns amber and red (driving schools teach two seconds, one is the minimum).
const SHORT_GAP_S: f64 = 1.5;
const MIN_GAP_S: f64 = 0.8;
/// Height of the mark above another object.
const MARK_HEIGHT_M: f64 = 1.9;

/// Draws the vehicle ahead and the other road users. `taken`: places already used, which labels and marks avoid.
pub fn draw(
    surface: &mut Surface,
    view: &View,
    projection: &Projection,
    decor: Decor,
    taken: &[Rect],
) -> opencv::Result<()> {
    let mut taken = taken.to_vec();
    if let Some(lead) = &view.lead {
        let paint = lead_paint(lead, view.warning(WarningKind::ForwardCollision).is_some());
        if let Some(rect) = draw_bracket(surface, lead, projection, paint)? {
            let label = draw_lead_label(surface, lead, rect, paint, &taken)?;
            taken.extend([Some(rect), label].into_iter().flatten());
        }
    }
    let warned = view.warning(WarningKind::Pedestrian).is_some();
    for object in &view.others {
        // A pedestrian under a warning belongs to the safety layer.
        if warned && object.class == ObjectClass::Pedestrian {
            draw_bracket(surface, object, projection, palette::AMBER)?;
        } else if decor > Decor::Off {
            draw_mark(surface, object, projection, decor, &taken)?;
        }
    }
    Ok(())
}

/// The object's outline in the picture, at least as large as can be seen; `None` when it is outside.
fn outline(surface: &Surface, object: &Object, projection: &Projection) -> Option<Rect> {
    let (half, height) = match object.class {
        ObjectClass::Pedestrian | ObjectClass::Cyclist => (HALF_PERSON_M, PERSON_HEIGHT_M),
        ObjectClass::Vehicle | ObjectClass::Unspecified => (HALF_CAR_M, CAR_HEIGHT_M),
    };
    let bottom_left = projection.pixel(object.x_m, object.y_m + half, 0.0)?;
    let top_right = projection.pixel(object.x_m, object.y_m - half, height)?;
    let (w, h) = (top_right.x - bottom_left.x, bottom_left.y - top_right.y);
    let grow = (10.0 * surface.unit() / w.min(h).max(0.1)).clamp(1.0, 4.0);
    let (cx, cy) = (bottom_left.x + w / 2.0, top_right.y + h / 2.0);
    let rect = Rect { x: cx - w * grow / 2.0, y: cy - h * grow / 2.0, w: w * grow, h: h * grow };
    let (width, height) = surface.size();
    (rect.right() > 0.0 && rect.x < width && rect.y < height && rect.bottom() > 0.0).then_some(rect)
}

fn draw_bracket(
    surface: &mut Surface,
    object: &Object,
    projection: &Projection,
    paint: Paint,
) -> opencv::Result<Option<Rect>> {
    let Some(rect) = outline(surface, object, projection) else { return Ok(None) };
    let unit = surface.unit();
    let arm = (rect.w.min(rect.h) * 0.28).clamp(3.0 * unit, 16.0 * unit);
    for (x, toward_x) in [(rect.x, 1.0), (rect.right(), -1.0)] {
        for (y, toward_y) in [(rect.y, 1.0), (rect.bottom(), -1.0)] {
            let corner = [px(x + toward_x * arm, y), px(x, y), px(x, y + toward_y * arm)];
            surface.canvas.stroke(&corner, 3.5 * unit, palette::NIGHT.alpha(0.45))?;
            surface.canvas.stroke(&corner, 2.0 * unit, paint)?;
        }
    }
    Ok(Some(rect))
}

/// Distance and time gap on a plate: under the bracket, above it where the footer is in the way.
fn draw_lead_label(
    surface: &mut Surface,
    lead: &Object,
    bracket: Rect,
    paint: Paint,
    taken: &[Rect],
) -> opencv::Result<Option<Rect>> {
    let (unit, (width, _)) = (surface.unit(), surface.size());
    let distance = format!("{:.0} m", lead.distance_m);
    let gap = lead.time_gap_s.map(|gap| format!("{gap:.1} s"));
    let (style, gap_style) = (bold(12.0 * unit), regular(12.0 * unit));
    let (pad, between) = (7.0 * unit, 6.0 * unit);
    let gap_width = gap.as_ref().map_or(0.0, |g| between + surface.text_width(g, gap_style));
    let (w, h) = (surface.text_width(&distance, style) + gap_width + 2.0 * pad, 18.0 * unit);
    let x = (bracket.x + bracket.w / 2.0 - w / 2.0).clamp(4.0, (width - w - 4.0).max(4.0));
    let under = Rect { x, y: bracket.bottom() + 4.0 * unit, w, h };
    let above = Rect { y: bracket.y - h - 4.0 * unit, ..under };
    let free = |r: &Rect| r.y > 0.0 && !taken.iter().any(|t| t.overlaps(r));
    // Neither is free only when the vehicle ahead fills the picture: then the bracket is enough.
    let Some(place) = [under, above].into_iter().find(free) else { return Ok(None) };
    surface.plate(place, palette::NIGHT.alpha(0.68))?;
    let baseline = place.y + 13.2 * unit;
    let x = surface.write(&distance, px(place.x + pad, baseline), style, paint);
    if let Some(gap) = gap {
        surface.write(&gap, px(x + between, baseline), gap_style, palette::INK);
    }
    Ok(Some(place))
}

fn draw_mark(
    surface: &mut Surface,
    object: &Object,
    projection: &Projection,
    decor: Decor,
    taken: &[Rect],
) -> opencv::Result<()> {
    let Some(p) = projection.pixel(object.x_m, object.y_m, MARK_HEIGHT_M) else { return Ok(()) };
    let (unit, (width, height)) = (surface.unit(), surface.size());
    let size = (5.5 - object.distance_m as f32 * 0.03).clamp(2.5, 5.5) * unit;
    let around = Rect { x: p.x - 2.0 * size, y: p.y - 2.0 * size, w: 4.0 * size, h: 4.0 * size };
    let inside = p.x > 0.0 && p.x < width && p.y > 0.0 && p.y < height;
    if !inside || taken.iter().any(|t| t.overlaps(&around)) {
        return Ok(());
    }
    let shape: Vec<Px> = match object.class {
        ObjectClass::Pedestrian | ObjectClass::Cyclist => diamond(p, size),
        ObjectClass::Vehicle | ObjectClass::Unspecified => {
            vec![px(p.x - size, p.y - size * 0.6), px(p.x + size, p.y - size * 0.6), px(p.x, p.y + size * 0.6)]
        }
    };
    let rim: Vec<Px> = shape.iter().map(|q| px(p.x + (q.x - p.x) * 1.5, p.y + (q.y - p.y) * 1.5)).collect();
    surface.canvas.fill(&rim, palette::NIGHT.alpha(0.4))?;
    surface.canvas.fill(&shape, palette::INK.alpha(0.85))?;
    if decor == Decor::Full {
        let text = format!("{:.0}", object.distance_m);
        let style = regular(9.0 * unit);
        let x = p.x - surface.text_width(&text, style) / 2.0;
        surface.write_outlined(&text, px(x, p.y - size * 1.2), style, palette::INK.alpha(0.9));
    }
    Ok(())
}

/// Red when there is a collision warning or the gap is dangerous, amber when it is short.
fn lead_paint(lead: &Object, collision_warning: bool) -> Paint {
    let gap = lead.time_gap_s.unwrap_or(f64::MAX);
    if collision_warning || gap < MIN_GAP_S {
        palette::RED
    } else if gap < SHORT_GAP_S {
        palette::AMBER
    } else {
        palette::CALM
    }
}

fn diamond(p: Px, size: f32) -> Vec<Px> {
    vec![px(p.x - size * 0.8, p.y), px(p.x, p.y - size), px(p.x + size * 0.8, p.y), px(p.x, p.y + size)]
}
