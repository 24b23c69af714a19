//! The picture that is drawn on. OpenCV draws a shape, anti-aliased, into a coverage mask, and the mask is blended into
//! the picture: so every shape can be translucent, and overlapping strokes of one shape do not add up.

use bytes::Bytes;
use opencv::{
    boxed_ref::BoxedRefMut,
    core::{Mat, Point, Scalar, Size, Vec3b, Vector},
    imgcodecs, imgproc,
};

/// A position in the picture, in pixels; integers are pixel centres.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Px {
    /// To the right.
    pub x: f32,
    /// Downwards.
    pub y: f32,
}

/// The position (x, y).
pub fn px(x: f32, y: f32) -> Px {
    Px { x, y }
}

/// A colour with an opacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paint {
    /// Blue, green, red.
    pub bgr: [u8; 3],
    /// Opacity, 0 to 1.
    pub alpha: f32,
}

impl Paint {
    /// An opaque colour from 0xRRGGBB.
    pub const fn rgb(rgb: u32) -> Self {
        Self { bgr: [rgb as u8, (rgb >> 8) as u8, (rgb >> 16) as u8], alpha: 1.0 }
    }

    /// The same colour, its opacity multiplied by `alpha`.
    pub fn alpha(self, alpha: f32) -> Self {
        Self { alpha: self.alpha * alpha, ..self }
    }
}

/// An axis-aligned rectangle, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rect {
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
}

impl Rect {
    /// Right edge.
    pub fn right(&self) -> f32 {
        self.x + self.w
    }

    /// Lower edge.
    pub fn bottom(&self) -> f32 {
        self.y + self.h
    }

    /// Whether the two share an area.
    pub fn overlaps(&self, other: &Rect) -> bool {
        self.x < other.right() && other.x < self.right() && self.y < other.bottom() && other.y < self.bottom()
    }
}

/// Fractional bits of the fixed-point positions given to OpenCV.
const SHIFT: i32 = 4;
/// Shapes with a point farther outside are not drawn: OpenCV's fixed point would overflow.
const FAR_PX: f32 = 20_000.0;

/// Packed rows of blue, green, red, with a coverage mask of the same size that is black between calls.
#[derive(Default)]
pub struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
    mask: Vec<u8>,
}

impl Canvas {
    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Height rows of width pixels, each blue, green, red.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    fn resize(&mut self, width: usize, height: usize) {
        if (self.width, self.height) != (width, height) {
            (self.width, self.height) = (width, height);
            self.pixels = vec![0; 3 * width * height];
            self.mask = vec![0; width * height];
        }
    }

    /// Starts a picture of one colour.
    pub fn clear(&mut self, width: usize, height: usize, paint: Paint) {
        self.resize(width, height);
        self.pixels.as_chunks_mut::<3>().0.fill(paint.bgr);
    }

    /// Starts with an image of packed bgr8 rows, enlarged by `factor`.
    ///
    /// # Errors
    /// When OpenCV refuses to enlarge it.
    pub fn load<'a>(
        &mut self,
        width: usize,
        height: usize,
        rows: impl Iterator<Item = &'a [u8]>,
        factor: usize,
    ) -> opencv::Result<()> {
        if factor == 1 {
            self.resize(width, height);
            for (to, from) in self.pixels.chunks_exact_mut(3 * width).zip(rows) {
                to.copy_from_slice(from);
            }
            return Ok(());
        }
        let small: Vec<u8> = rows.flatten().copied().collect();
        self.resize(width * factor, height * factor);
        let small = Mat::new_rows_cols_with_bytes::<Vec3b>(height as i32, width as i32, &small)?;
        let size = Size::new(self.width as i32, self.height as i32);
        let mut target = Mat::new_rows_cols_with_bytes_mut::<Vec3b>(size.height, size.width, &mut self.pixels)?;
        imgproc::resize(&small, &mut target, size, 0.0, 0.0, imgproc::INTER_LINEAR)
    }

    /// The picture as JPEG; `quality` 1 to 100.
    ///
    /// # Errors
    /// When OpenCV cannot encode it.
    pub fn jpeg(&self, quality: i32) -> opencv::Result<Bytes> {
        let picture = Mat::new_rows_cols_with_bytes::<Vec3b>(self.height as i32, self.width as i32, &self.pixels)?;
        let mut out = Vector::<u8>::new();
        imgcodecs::imencode(
            ".jpg",
            &picture,
            &mut out,
            &Vector::from_slice(&[imgcodecs::IMWRITE_JPEG_QUALITY, quality]),
        )?;
        Ok(Bytes::copy_from_slice(out.as_slice()))
    }

    /// Fills a polygon.
    ///
    /// # Errors
    /// When OpenCV refuses to draw it.
    pub fn fill(&mut self, polygon: &[Px], paint: Paint) -> opencv::Result<()> {
        self.fill_faded(polygon, paint, |_| 1.0)
    }

    /// Fills a polygon with an opacity that depends on the row.
    ///
    /// # Errors
    /// When OpenCV refuses to draw it.
    pub fn fill_faded(&mut self, polygon: &[Px], paint: Paint, fade: impl Fn(f32) -> f32) -> opencv::Result<()> {
        if polygon.len() < 3 {
            return Ok(());
        }
        self.masked(polygon, 1.0, paint, fade, |mask, points| {
            let polygons = Vector::<Vector<Point>>::from_iter([points]);
            imgproc::fill_poly(mask, &polygons, Scalar::all(255.0), imgproc::LINE_AA, SHIFT, Point::default())
        })
    }

    /// Draws a line through points.
    ///
    /// # Errors
    /// When OpenCV refuses to draw it.
    pub fn stroke(&mut self, line: &[Px], width_px: f32, paint: Paint) -> opencv::Result<()> {
        if line.len() < 2 {
            return Ok(());
        }
        let thickness = (width_px.round() as i32).clamp(1, 100);
        self.masked(
            line,
            width_px,
            paint,
            |_| 1.0,
            |mask, points| {
                let lines = Vector::<Vector<Point>>::from_iter([points]);
                imgproc::polylines(mask, &lines, false, Scalar::all(255.0), thickness, imgproc::LINE_AA, SHIFT)
            },
        )
    }

    fn masked(
        &mut self,
        points: &[Px],
        margin: f32,
        paint: Paint,
        fade: impl Fn(f32) -> f32,
        draw: impl FnOnce(&mut BoxedRefMut<Mat>, Vector<Point>) -> opencv::Result<()>,
    ) -> opencv::Result<()> {
        if !points.iter().all(|p| p.x.abs() < FAR_PX && p.y.abs() < FAR_PX) {
            return Ok(());
        }
        let fold = |start: f32, f: fn(f32, f32) -> f32, v: fn(&Px) -> f32| points.iter().map(v).fold(start, f);
        let (left, right) = (fold(f32::MAX, f32::min, |p| p.x), fold(f32::MIN, f32::max, |p| p.x));
        let (top, bottom) = (fold(f32::MAX, f32::min, |p| p.y), fold(f32::MIN, f32::max, |p| p.y));
        let columns = range(left - margin - 2.0, right + margin + 3.0, self.width);
        let rows = range(top - margin - 2.0, bottom + margin + 3.0, self.height);
        if columns.is_empty() || rows.is_empty() || paint.alpha <= 0.0 {
            return Ok(());
        }
        let fixed = |v: f32| (v * (1 << SHIFT) as f32).round() as i32;
        let points = points.iter().map(|p| Point::new(fixed(p.x), fixed(p.y))).collect();
        let mut mask = Mat::new_rows_cols_with_data_mut::<u8>(self.height as i32, self.width as i32, &mut self.mask)?;
        draw(&mut mask, points)?;
        drop(mask);
        for row in rows {
            let alpha = alpha_of(paint.alpha * fade(row as f32));
            let at = row * self.width;
            let mask = &mut self.mask[at + columns.start..at + columns.end];
            let pixels = &mut self.pixels[3 * (at + columns.start)..3 * (at + columns.end)];
            if alpha > 0 {
                for (pixel, &coverage) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(mask.iter()) {
                    if coverage > 0 {
                        blend(pixel, paint.bgr, u32::from(coverage) * alpha);
                    }
                }
            }
            mask.fill(0);
        }
        Ok(())
    }

    /// Fills a rectangle with round corners.
    ///
    /// # Errors
    /// When OpenCV refuses to draw it.
    pub fn rounded(&mut self, rect: Rect, radius: f32, paint: Paint) -> opencv::Result<()> {
        self.fill(&rounded_outline(rect, radius), paint)
    }

    /// Draws the outline of a rectangle with round corners.
    ///
    /// # Errors
    /// When OpenCV refuses to draw it.
    pub fn rounded_stroke(&mut self, rect: Rect, radius: f32, width_px: f32, paint: Paint) -> opencv::Result<()> {
        let mut outline = rounded_outline(rect, radius);
        outline.extend(outline.first().copied());
        self.stroke(&outline, width_px, paint)
    }

    /// Blends a coverage map, such as that of a glyph, with its upper left corner at (`left`, `top`).
    pub fn blend_coverage(&mut self, left: i32, top: i32, width: usize, coverage: &[u8], paint: Paint) {
        let alpha = alpha_of(paint.alpha);
        if width == 0 {
            return;
        }
        for (row, line) in coverage.chunks_exact(width).enumerate() {
            let Some(y) = usize::try_from(i64::from(top) + row as i64).ok().filter(|&y| y < self.height) else {
                continue;
            };
            for (column, &c) in line.iter().enumerate().filter(|(_, c)| **c > 0) {
                let Some(x) = usize::try_from(i64::from(left) + column as i64).ok().filter(|&x| x < self.width) else {
                    continue;
                };
                let at = 3 * (y * self.width + x);
                if let Some(pixel) = self.pixels[at..].first_chunk_mut::<3>() {
                    blend(pixel, paint.bgr, u32::from(c) * alpha);
                }
            }
        }
    }

    /// Blends a colour over a part of the picture with an opacity that depends on the place (column, row).
    pub fn shade(&mut self, area: Rect, paint: Paint, opacity: impl Fn(f32, f32) -> f32) {
        for row in range(area.y, area.bottom(), self.height) {
            for column in range(area.x, area.right(), self.width) {
                let alpha = alpha_of(paint.alpha * opacity(column as f32, row as f32));
                let at = 3 * (row * self.width + column);
                if let Some(pixel) = self.pixels[at..].first_chunk_mut::<3>() {
                    blend(pixel, paint.bgr, 255 * alpha);
                }
            }
        }
    }

    /// Blends a colour over the rows from `top` to `bottom`, with an opacity that depends on the row.
    pub fn shade_rows(&mut self, top: f32, bottom: f32, paint: Paint, opacity: impl Fn(f32) -> f32) {
        for row in range(top, bottom, self.height) {
            let alpha = alpha_of(paint.alpha * opacity(row as f32));
            let line = &mut self.pixels[3 * row * self.width..3 * (row + 1) * self.width];
            line.as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| blend(pixel, paint.bgr, 255 * alpha));
        }
    }
}

fn range(from: f32, to: f32, length: usize) -> std::ops::Range<usize> {
    // A cast of a float saturates, and not-a-number becomes 0.
    (from.floor().max(0.0) as usize).min(length)..(to.ceil().max(0.0) as usize).min(length)
}

/// 0..1 as 0..256.
fn alpha_of(alpha: f32) -> u32 {
    (alpha.clamp(0.0, 1.0) * 256.0) as u32
}

/// `weight`: 0..255 * 256.
fn blend(pixel: &mut [u8; 3], bgr: [u8; 3], weight: u32) {
    const FULL: u32 = 255 * 256;
    for (p, c) in pixel.iter_mut().zip(bgr) {
        *p = ((u32::from(*p) * (FULL - weight) + u32::from(c) * weight + FULL / 2) / FULL) as u8;
    }
}

fn rounded_outline(rect: Rect, radius: f32) -> Vec<Px> {
    /// Points of a quarter circle.
    const QUARTER: usize = 7;
    let r = radius.min(rect.w / 2.0).min(rect.h / 2.0).max(0.0);
    let corners = [
        (rect.right() - r, rect.bottom() - r),
        (rect.x + r, rect.bottom() - r),
        (rect.x + r, rect.y + r),
        (rect.right() - r, rect.y + r),
    ];
    let mut points = Vec::with_capacity(4 * QUARTER);
    for (quarter, (cx, cy)) in corners.into_iter().enumerate() {
        for i in 0..QUARTER {
            let angle = (quarter as f32 + i as f32 / (QUARTER - 1) as f32) * std::f32::consts::FRAC_PI_2;
            points.push(px(cx + r * angle.cos(), cy + r * angle.sin()));
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn black() -> Canvas {
        let mut canvas = Canvas::default();
        canvas.clear(40, 30, Paint::rgb(0));
        canvas
    }

    fn at(canvas: &Canvas, x: usize, y: usize) -> [u8; 3] {
        let i = 3 * (y * canvas.width() + x);
        [canvas.pixels()[i], canvas.pixels()[i + 1], canvas.pixels()[i + 2]]
    }

    #[test]
    fn a_shape_is_blended_by_its_opacity_and_the_mask_is_cleared() {
        let mut canvas = black();
        let square = [px(10.0, 10.0), px(20.0, 10.0), px(20.0, 20.0), px(10.0, 20.0)];
        canvas.fill(&square, Paint::rgb(0xff8000).alpha(0.5)).unwrap();
        assert_eq!(at(&canvas, 15, 15), [0, 64, 128]);
        assert_eq!(at(&canvas, 30, 15), [0, 0, 0]);
        canvas.fill(&[px(25.0, 5.0), px(35.0, 5.0), px(35.0, 25.0)], Paint::rgb(0xffffff)).unwrap();
        assert_eq!(at(&canvas, 15, 15), [0, 64, 128], "the first shape's mask is gone");
        assert_eq!(at(&canvas, 33, 8), [255, 255, 255]);
    }

    #[test]
    fn shapes_outside_the_picture_or_with_nan_draw_nothing() {
        let mut canvas = black();
        for far in [f32::NAN, f32::INFINITY, 1e30, -1e30, 19_000.0] {
            let shape = [px(far, far), px(far, 2.0 * far), px(far + 5.0, far)];
            canvas.fill(&shape, Paint::rgb(0xffffff)).unwrap();
            canvas.stroke(&shape, 3.0, Paint::rgb(0xffffff)).unwrap();
            canvas.shade(Rect { x: far, y: far, w: far, h: far }, Paint::rgb(0xffffff), |_, _| far);
        }
        canvas.blend_coverage(i32::MAX - 9, -5, 3, &[255; 9], Paint::rgb(0xffffff));
        assert!(canvas.pixels().iter().all(|p| *p == 0));
    }

    #[test]
    fn a_jpeg_decodes_to_the_size_of_the_picture() {
        let mut canvas = black();
        canvas.rounded(Rect { x: 5.0, y: 5.0, w: 20.0, h: 10.0 }, 3.0, Paint::rgb(0x40c0d0)).unwrap();
        let jpeg = canvas.jpeg(90).unwrap();
        let back = imgcodecs::imdecode(&Vector::<u8>::from_slice(&jpeg), imgcodecs::IMREAD_COLOR).unwrap();
        use opencv::prelude::*;
        assert_eq!((back.cols(), back.rows()), (40, 30));
    }
}
