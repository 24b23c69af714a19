//! The canvas with its typeface and the unit of the layout.

use super::{
    canvas::{Canvas, Paint, Px, Rect},
    palette,
    typeface::{Style, Typeface},
};

/// The layout is made for a picture of this size and grows with it.
const DESIGN_WIDTH: f32 = 640.0;
const DESIGN_HEIGHT: f32 = 360.0;

/// What the layers draw on.
pub(crate) struct Surface {
    pub canvas: Canvas,
    typeface: Typeface,
}

impl Surface {
    pub fn new() -> Result<Self, ab_glyph::InvalidFont> {
        Ok(Self { canvas: Canvas::default(), typeface: Typeface::new()? })
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (f32, f32) {
        (self.canvas.width() as f32, self.canvas.height() as f32)
    }

    /// Pixels of one unit of the layout.
    pub fn unit(&self) -> f32 {
        let (width, height) = self.size();
        (height / DESIGN_HEIGHT).min(width / DESIGN_WIDTH).max(0.1)
    }

    /// The width of a text in pixels.
    pub fn text_width(&self, text: &str, style: Style) -> f32 {
        self.typeface.width(text, style)
    }

    /// See [`Typeface::fit`].
    pub fn fit(&self, text: &str, style: Style, width: f32) -> String {
        self.typeface.fit(text, style, width)
    }

    /// See [`Typeface::lines`].
    pub fn lines(&self, text: &str, style: Style, width: f32) -> Vec<String> {
        self.typeface.lines(text, style, width)
    }

    /// Writes from `at.x` on the baseline `at.y`; returns where the text ends.
    pub fn write(&mut self, text: &str, at: Px, style: Style, paint: Paint) -> f32 {
        self.typeface.write(&mut self.canvas, text, at, style, paint)
    }

    /// Text with a thin dark rim, for places without a plate.
    pub fn write_outlined(&mut self, text: &str, at: Px, style: Style, paint: Paint) {
        for (dx, dy) in [(-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0)] {
            self.write(text, Px { x: at.x + dx, y: at.y + dy }, style, palette::NIGHT.alpha(0.45));
        }
        self.write(text, at, style, paint);
    }

    /// A dark plate under light text, which keeps it readable over any picture.
    pub fn plate(&mut self, rect: Rect, paint: Paint) -> opencv::Result<()> {
        self.canvas.rounded(rect, rect.h * 0.5, paint)
    }
}
