//! Text in B612, a typeface made for cockpit displays. Glyphs are rasterised with anti-aliasing and cached.

use super::canvas::{Canvas, Paint, Px};
use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use std::collections::HashMap;

const REGULAR: &[u8] = include_bytes!("../../fonts/B612-Regular.ttf");
const BOLD: &[u8] = include_bytes!("../../fonts/B612-Bold.ttf");

/// Most cached glyphs. Only a text in a script with thousands of characters has more.
const MAX_CACHED_GLYPHS: usize = 4096;
/// Positions within a pixel at which a glyph is rasterised, so that letter spacing stays even.
const SUBPIXELS: f32 = 4.0;

/// The weight of the strokes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Weight {
    /// B612 Regular.
    Regular,
    /// B612 Bold.
    Bold,
}

/// Weight and size of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Style {
    /// Regular or bold.
    pub weight: Weight,
    /// Height of the em in pixels.
    pub size: f32,
}

/// The regular weight in a size.
pub fn regular(size: f32) -> Style {
    Style { weight: Weight::Regular, size }
}

/// The bold weight in a size.
pub fn bold(size: f32) -> Style {
    Style { weight: Weight::Bold, size }
}

/// Weight, size in quarters of a pixel, position within a pixel, character.
type Key = (Weight, u32, u8, char);

struct Glyph {
    left: i32,
    top: i32,
    width: usize,
    coverage: Vec<u8>,
}

/// The fonts and the cache of their glyphs.
pub struct Typeface {
    regular: FontRef<'static>,
    bold: FontRef<'static>,
    glyphs: HashMap<Key, Glyph>,
}

impl Typeface {
    /// Loads the fonts of the program.
    pub fn new() -> Result<Self, ab_glyph::InvalidFont> {
        let (regular, bold) = (FontRef::try_from_slice(REGULAR)?, FontRef::try_from_slice(BOLD)?);
        Ok(Self { regular, bold, glyphs: HashMap::new() })
    }

    fn font(&self, weight: Weight) -> &FontRef<'static> {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }

    fn scale(&self, style: Style) -> PxScale {
        let font = self.font(style.weight);
        let em = font.units_per_em().unwrap_or(1000.0);
        PxScale::from(style.size * font.height_unscaled() / em)
    }

    /// Where each character begins, and the width of the text.
    fn advances(&self, text: &str, style: Style) -> (Vec<(char, f32)>, f32) {
        let font = self.font(style.weight).as_scaled(self.scale(style));
        let (mut x, mut last) = (0.0, None);
        let mut places = Vec::with_capacity(text.len());
        for letter in text.chars().filter(|c| !c.is_control()) {
            let id = font.glyph_id(letter);
            x += last.map_or(0.0, |last| font.kern(last, id));
            places.push((letter, x));
            x += font.h_advance(id);
            last = Some(id);
        }
        (places, x)
    }

    /// The width of a text in pixels.
    pub fn width(&self, text: &str, style: Style) -> f32 {
        self.advances(text, style).1
    }

    /// Writes from `at.x` on the baseline `at.y`; returns where the text ends.
    pub fn write(&mut self, canvas: &mut Canvas, text: &str, at: Px, style: Style, paint: Paint) -> f32 {
        let Px { x, y: baseline } = at;
        let (places, width) = self.advances(text, style);
        if !(x.is_finite() && baseline.is_finite() && style.size > 0.0) {
            return x;
        }
        for (letter, dx) in places {
            let at = x + dx;
            let sub = ((at - at.floor()) * SUBPIXELS) as u8;
            let glyph = self.glyph((style.weight, (style.size * 4.0).round() as u32, sub, letter));
            let (left, top) = (at.floor() as i32 + glyph.left, baseline.round() as i32 + glyph.top);
            canvas.blend_coverage(left, top, glyph.width, &glyph.coverage, paint);
        }
        x + width
    }

    fn glyph(&mut self, key: Key) -> &Glyph {
        if self.glyphs.len() >= MAX_CACHED_GLYPHS && !self.glyphs.contains_key(&key) {
            self.glyphs.clear();
        }
        if !self.glyphs.contains_key(&key) {
            let glyph = self.rasterise(key);
            self.glyphs.insert(key, glyph);
        }
        &self.glyphs[&key]
    }

    fn rasterise(&self, (weight, quarters, sub, letter): Key) -> Glyph {
        let style = Style { weight, size: quarters as f32 / 4.0 };
        let font = self.font(weight);
        let place = point(f32::from(sub) / SUBPIXELS, 0.0);
        let glyph = font.glyph_id(letter).with_scale_and_position(self.scale(style), place);
        let Some(outline) = font.outline_glyph(glyph) else {
            return Glyph { left: 0, top: 0, width: 0, coverage: Vec::new() };
        };
        let bounds = outline.px_bounds();
        let (width, height) = (bounds.width().ceil() as usize, bounds.height().ceil() as usize);
        let mut coverage = vec![0; width * height];
        outline.draw(|x, y, c| {
            if let Some(pixel) = coverage.get_mut(y as usize * width + x as usize) {
                *pixel = (c.clamp(0.0, 1.0) * 255.0).round() as u8;
            }
        });
        Glyph { left: bounds.min.x as i32, top: bounds.min.y as i32, width, coverage }
    }

    /// The text, or its beginning with an ellipsis, no wider than `width`.
    pub fn fit(&self, text: &str, style: Style, width: f32) -> String {
        let (places, text_width) = self.advances(text, style);
        if text_width <= width {
            return text.to_owned();
        }
        let room = width - self.width("…", style);
        let ends = places.iter().skip(1).map(|(_, x)| *x);
        let kept = ends.take_while(|end| *end <= room).count();
        let begin: String = places.iter().take(kept).map(|(letter, _)| *letter).collect();
        begin.trim_end().to_owned() + "…"
    }

    /// The text in lines no wider than `width`, broken between words where it can be.
    pub fn lines(&self, text: &str, style: Style, width: f32) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let longer = lines.last().map(|line| format!("{line} {word}"));
            match (longer.filter(|line| self.width(line, style) <= width), lines.last_mut()) {
                (Some(longer), Some(line)) => *line = longer,
                _ => lines.push(self.fit(word, style, width)),
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_digits_have_the_same_width() {
        let typeface = Typeface::new().unwrap();
        let widths: Vec<f32> = ('0'..='9').map(|d| typeface.width(&d.to_string(), bold(40.0))).collect();
        assert!(widths.iter().all(|w| (w - widths[0]).abs() < 0.01), "{widths:?}");
    }

    #[test]
    fn text_is_drawn_between_its_start_and_the_end_returned() {
        let mut canvas = Canvas::default();
        canvas.clear(200, 60, Paint::rgb(0));
        let mut typeface = Typeface::new().unwrap();
        let end = typeface.write(&mut canvas, "88", Px { x: 20.0, y: 45.0 }, bold(40.0), Paint::rgb(0xffffff));
        let drawn = |x: usize| (0..60).any(|y| canvas.pixels()[3 * (y * 200 + x)] > 0);
        assert!(end > 50.0 && end < 90.0, "{end}");
        assert!((0..18).all(|x| !drawn(x)) && (end as usize + 2..200).all(|x| !drawn(x)));
        assert!(drawn(30));
    }

    proptest! {
        #[test]
        fn any_text_is_cut_to_the_width(text in "\\PC{0,80}", width in 30f32..300.0) {
            let typeface = Typeface::new().unwrap();
            let style = regular(13.0);
            prop_assert!(typeface.width(&typeface.fit(&text, style, width), style) <= width + 0.5);
            for line in typeface.lines(&text, style, width) {
                prop_assert!(typeface.width(&line, style) <= width + 0.5, "{line}");
            }
        }

        #[test]
        fn any_text_at_any_place_is_written_without_a_panic(text in "\\PC{0,20}", x in -1e9f32..1e9, size in -5f32..80.0) {
            let mut canvas = Canvas::default();
            canvas.clear(64, 32, Paint::rgb(0));
            Typeface::new().unwrap().write(&mut canvas, &text, Px { x, y: 20.0 }, bold(size), Paint::rgb(0xffffff));
        }
    }
}
