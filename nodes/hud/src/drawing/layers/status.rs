//! What stands in fixed places: speed, gear and indicators at the lower left, the dialogue line beside them, the mark
//! of a transcript track at the upper right.

use crate::drawing::overlay::{Decor, Extras, Painter, palette};
use crate::{
    drawing::{
        canvas::{Px, Rect, px},
        text::{bold, regular},
    },
    scene::world::View,
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

impl Painter {
    /// The speed and its neighbours; returns the place they take.
    pub(crate) fn footer(&mut self, view: &View, extras: &Extras) -> opencv::Result<Rect> {
        let unit = self.unit();
        let (width, height) = (self.canvas.width() as f32, self.canvas.height() as f32);
        let top = height - 1.5 * FOOTER_HEIGHT * unit;
        self.canvas.shade_rows(top, height, palette::NIGHT, |row| {
            let down = ((row - top) / (height - top)).clamp(0.0, 1.0);
            0.82 * down * (2.0 - down)
        });
        self.speed(view, extras, height)?;
        let dialogue = extras.spoken.filter(|_| extras.decor > Decor::Off);
        if let Some(spoken) = dialogue {
            self.dialogue(spoken.by, &spoken.text, width, height);
        }
        let w = if dialogue.is_some() { width } else { DIALOGUE_X * unit };
        Ok(Rect { x: 0.0, y: height - FOOTER_HEIGHT * unit, w, h: FOOTER_HEIGHT * unit })
    }

    fn speed(&mut self, view: &View, extras: &Extras, height: f32) -> opencv::Result<()> {
        let unit = self.unit();
        let baseline = height - 16.0 * unit;
        let style = bold(SPEED_SIZE * unit);
        let (digits, paint) = match extras.speed {
            Some(speed) => (format!("{speed:.0}"), palette::INK),
            None => ("--".to_owned(), palette::AMBER),
        };
        let left = (MARGIN + ARROW_WIDTH + 6.0) * unit;
        let field = self.face.width("000", style);
        // Right-aligned in a field of three digits: the unit beside it stays where it is.
        let x = left + field - self.face.width(&digits, style);
        self.face.write(&mut self.canvas, &digits, x, baseline, style, paint);
        let beside = left + field + 7.0 * unit;
        self.face.write(&mut self.canvas, extras.unit, beside, baseline, regular(11.0 * unit), palette::DIM);
        if let Some(gear) = view.gear {
            let size = 17.0 * unit;
            let tile = Rect { x: beside, y: baseline - 31.0 * unit, w: size, h: size };
            self.canvas.rounded_stroke(tile, 4.0 * unit, 1.2 * unit, palette::DIM.alpha(0.8))?;
            let (text, style) = (gear.to_string(), bold(12.0 * unit));
            let x = tile.x + (size - self.face.width(&text, style)) / 2.0;
            self.face.write(&mut self.canvas, &text, x, tile.y + 12.9 * unit, style, palette::INK);
        }
        let middle = baseline - 15.0 * unit;
        let right = beside + 32.0 * unit;
        for (lit, tip, direction) in
            [(view.indicate_left, MARGIN * unit, 1.0), (view.indicate_right, right + ARROW_WIDTH * unit, -1.0)]
        {
            if lit {
                self.canvas.fill(&arrow(tip, middle, direction, unit), palette::CALM)?;
            }
        }
        Ok(())
    }

    fn dialogue(&mut self, by: &str, text: &str, width: f32, height: f32) {
        let unit = self.unit();
        let (style, tag) = (regular(DIALOGUE_SIZE * unit), bold(9.0 * unit));
        let x = DIALOGUE_X * unit;
        let room = (width - x - MARGIN * unit).max(1.0);
        let mut lines = self.face.lines(text, style, room);
        // Of a long text the end: that is what is being said.
        lines.drain(..lines.len().saturating_sub(DIALOGUE_LINES));
        let step = DIALOGUE_SIZE * 1.28 * unit;
        let mut baseline = height - 17.0 * unit - step * (lines.len() as f32 - 1.0);
        self.face.write(&mut self.canvas, by, x, baseline - 1.35 * DIALOGUE_SIZE * unit, tag, palette::LANE);
        for line in lines {
            self.face.write(&mut self.canvas, &line, x, baseline, style, palette::INK);
            baseline += step;
        }
    }

    pub(crate) fn transcript_badge(&mut self) -> opencv::Result<()> {
        const TEXT: &str = "TRANSCRIPT TRACK";
        let unit = self.unit();
        let style = bold(8.5 * unit);
        let (w, h) = (self.face.width(TEXT, style) + 16.0 * unit, 17.0 * unit);
        let rect = Rect { x: self.canvas.width() as f32 - w - MARGIN * unit, y: MARGIN * unit, w, h };
        self.plate(rect, palette::NIGHT.alpha(0.72))?;
        self.canvas.rounded_stroke(rect, h / 2.0, unit.max(1.0), palette::AMBER.alpha(0.9))?;
        self.face.write(&mut self.canvas, TEXT, rect.x + 8.0 * unit, rect.y + 11.6 * unit, style, palette::AMBER);
        Ok(())
    }
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
