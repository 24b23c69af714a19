//! The overlay: a [`View`] drawn over one picture.
//!
//! The safety layer (lines, the vehicle ahead, warnings, speed, indicators, the mark of a transcript track) is always
//! drawn. The decorative layer (the lane's surface, other objects, the dialogue line) is drawn as far as it is granted
//! ([`Decor`](super::content::Decor)).

use super::{
    canvas::Canvas,
    content::Extras,
    layers::{objects, road, status, warnings},
    projection::Projection,
    surface::Surface,
};
use crate::scene::view::View;

/// Draws overlays onto its canvas.
pub struct Overlay {
    surface: Surface,
}

impl Overlay {
    /// Loads the typeface; fails only when the fonts in the program are damaged.
    pub fn new() -> Result<Self, ab_glyph::InvalidFont> {
        Ok(Self { surface: Surface::new()? })
    }

    /// The picture.
    pub fn canvas(&self) -> &Canvas {
        &self.surface.canvas
    }

    /// The picture, to load or clear it before [`Self::draw`].
    pub fn canvas_mut(&mut self) -> &mut Canvas {
        &mut self.surface.canvas
    }

    /// Draws over what the canvas holds. `projection` must be for the canvas's size.
    ///
    /// # Errors
    /// When OpenCV refuses a drawing operation.
    pub fn draw(&mut self, view: &View, projection: Option<&Projection>, extras: &Extras) -> opencv::Result<()> {
        let surface = &mut self.surface;
        if let Some(projection) = projection {
            road::draw(surface, view, projection, extras.decor)?;
        }
        warnings::draw_edges(surface, view)?;
        let footer = status::draw_footer(surface, view, extras)?;
        let banners = warnings::draw_banners(surface, view)?;
        if let Some(projection) = projection {
            objects::draw(surface, view, projection, extras.decor, &[footer, banners])?;
        }
        if extras.transcript_track {
            status::draw_transcript_mark(surface)?;
        }
        Ok(())
    }
}
