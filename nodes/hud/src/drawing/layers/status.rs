//! What has a fixed place: speed, gear and indicators at the lower left, the dialogue line beside them, the mark of a
//! transcript track at the upper right.

use crate::{
    drawing::{
        canvas::{Px, Rect, px},
        content::{Decor, DialogueLine, Extras},
        palette,
        surface::Surface,
        typeface::{bold, regular},
    },
    scene::view::View,
};

/// Places of the layout, in units.
const MARGIN: f32 = 14.0;
const FOOTER_HEIGHT: f32 = 62.0;
const SPEED_SIZE: f32 = 42.0;
const ARROW_WIDTH: f32 = 17.0;
/// Where the dialogue begins: right of the widest speed.
const DIALOGUE_X: f32 = 196.0;
const DIALOGUE_SIZE: f32 = 13.0;
const DIALOGUE_LINES: usize = 2;
const TRANSCRIPT_MARK: &str = "TRANSCRIPT TRACK";

/// Draws speed, gear, indicators and the dialogue line; returns the place they take.
pub fn draw_footer(surface: &mut Surface, view: &View, extras: &Extras) -> opencv::Result<Rect> {
    let unit = surface.unit();
    let (width, height) = surface.size();
    let top = height - 1.5 * FOOTER_HEIGHT * unit;
    surface.canvas.shade_rows(top, height, palette::NIGHT, |row| {
        let down = ((row - top) / (height - top)).clamp(0.0, 1.0);
        0.82 * down * (2.0 - down)
    });
    draw_speed(surface, view, extras)?;
    let dialogue = extras.dialogue.filter(|_| extras.decor > Decor::Off);
    if let Some(line) = dialogue {
        draw_dialogue(surface, line);
    }
    let w = if dialogue.is_some() { width } else { DIALOGUE_X * unit };
    Ok(Rect { x: 0.0, y: height - FOOTER_HEIGHT * unit, w, h: FOOTER_HEIGHT * unit })
}

fn draw_speed(surface: &mut Surface, view: &View, extras: &Extras) -> opencv::Result<()> {
    let (unit, (_, height)) = (surface.unit(), surface.size());
    let baseline = height - 16.0 * unit;
    let style = bold(SPEED_SIZE * unit);
    let (digits, paint) = match extras.speed {
        Some(speed) => (format!("{speed:.0}"), palette::INK),
        None => ("--".to_owned(), palette::AMBER),
    };
    let left = (MARGIN + ARROW_WIDTH + 6.0) * unit;
    let field = surface.text_width("000", style);
    // Right-aligned in a field of three digits: the unit beside it keeps its place.
    let x = left + field - surface.text_width(&digits, style);
    surface.write(&digits, px(x, baseline), style, paint);
    let beside = left + field + 7.0 * unit;
    surface.write(extras.unit, px(beside, baseline), regular(11.0 * unit), palette::DIM);
    if let Some(gear) = view.gear {
        draw_gear(surface, gear, px(beside, baseline - 31.0 * unit))?;
    }
    let middle = baseline - 15.0 * unit;
    let right = beside + 32.0 * unit;
    for (lit, tip, direction) in
        [(view.indicate_left, MARGIN * unit, 1.0), (view.indicate_right, right + ARROW_WIDTH * unit, -1.0)]
    {
        if lit {
            surface.canvas.fill(&arrow(tip, middle, direction, unit), palette::CALM)?;
        }
    }
    Ok(())
}

/// The gear's letter in a small tile with its upper left corner at `at`.
fn draw_gear(surface: &mut Surface, gear: char, at: Px) -> opencv::Result<()> {
    let unit = surface.unit();
    let size = 17.0 * unit;
    let tile = Rect { x: at.x, y: at.y, w: size, h: size };
    surface.canvas.rounded_stroke(tile, 4.0 * unit, 1.2 * unit, palette::DIM.alpha(0.8))?;
    let (text, style) = (gear.to_string(), bold(12.0 * unit));
    let x = tile.x + (size - surface.text_width(&text, style)) / 2.0;
    surface.write(&text, px(x, tile.y + 12.9 * unit), style, palette::INK);
    Ok(())
}

fn draw_dialogue(surface: &mut Surface, line: &DialogueLine) {
    let (unit, (width, height)) = (surface.unit(), surface.size());
    let (style, tag) = (regular(DIALOGUE_SIZE * unit), bold(9.0 * unit));
    let x = DIALOGUE_X * unit;
    let room = (width - x - MARGIN * unit).max(1.0);
    let mut lines = surface.lines(&line.text, style, room);
    // Of a long text the end is shown: that is what is being said.
    lines.drain(..lines.len().saturating_sub(DIALOGUE_LINES));
    let step = DIALOGUE_SIZE * 1.28 * unit;
    let mut baseline = height - 17.0 * unit - step * (lines.len() as f32 - 1.0);
    surface.write(line.speaker, px(x, baseline - 1.35 * DIALOGUE_SIZE * unit), tag, palette::LANE);
    for line in lines {
        surface.write(&line, px(x, baseline), style, palette::INK);
        baseline += step;
    }
}

/// Marks that speech comes from a transcript track.
pub fn draw_transcript_mark(surface: &mut Surface) -> opencv::Result<()> {
    let (unit, (width, _)) = (surface.unit(), surface.size());
    let style = bold(8.5 * unit);
    let (w, h) = (surface.text_width(TRANSCRIPT_MARK, style) + 16.0 * unit, 17.0 * unit);
    let rect = Rect { x: width - w - MARGIN * unit, y: MARGIN * unit, w, h };
    surface.plate(rect, palette::NIGHT.alpha(0.72))?;
    surface.canvas.rounded_stroke(rect, h / 2.0, unit.max(1.0), palette::AMBER.alpha(0.9))?;
    surface.write(TRANSCRIPT_MARK, px(rect.x + 8.0 * unit, rect.y + 11.6 * unit), style, palette::AMBER);
    Ok(())
}

/// An arrow with its tip at `x`; `direction` 1 points left.
fn arrow(x: f32, y: f32, direction: f32, unit: f32) -> Vec<Px> {
    let at = |dx: f32, dy: f32| px(x + direction * dx * unit, y + dy * unit);
    vec![
        at(0.0, 0.0),
        at(9.0, -9.0),
        at(9.0, -4.0),
        at(ARROW_WIDTH, -4.0),
        at(ARROW_WIDTH, 4.0),
        at(9.0, 4.0),
        at(9.0, 9.0),
    ]
}
