//! Pixels of an image message, checked before anything computes with them.

use crate::calibration::MAX_SIDE_PX;
use auriga_msgs::v1;
use std::borrow::Cow;

/// What is wrong with an image message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    #[error("image is {width}x{height}, expected 1 to {MAX_SIDE_PX} pixels a side; check the source's settings")]
    Size { width: u32, height: u32 },
    #[error("image encoding is {0:?}, expected \"bgr8\"; have the source convert to it")]
    Encoding(String),
    #[error("a row of {width} bgr8 pixels takes {expected} bytes, found step {step}")]
    Step { width: u32, expected: u32, step: u32 },
    #[error("{height} rows of {step} bytes are {expected} bytes, found {found}: the frame is truncated or mislabelled")]
    Length { height: u32, step: u32, expected: u64, found: usize },
}

/// The image's pixels as height rows of 3*width bytes, without padding; borrowed where the message has none.
pub fn packed_bgr8(image: &v1::Image) -> Result<Cow<'_, [u8]>, ImageError> {
    let v1::Image { width, height, step, .. } = *image;
    if width == 0 || height == 0 || width > MAX_SIDE_PX || height > MAX_SIDE_PX {
        return Err(ImageError::Size { width, height });
    }
    if image.encoding != "bgr8" {
        return Err(ImageError::Encoding(image.encoding.clone()));
    }
    let row = 3 * width;
    if step < row {
        return Err(ImageError::Step { width, expected: row, step });
    }
    let expected = u64::from(step) * u64::from(height);
    if image.data.len() as u64 != expected {
        return Err(ImageError::Length { height, step, expected, found: image.data.len() });
    }
    if step == row {
        return Ok(Cow::Borrowed(&image.data));
    }
    let rows = image.data.chunks_exact(step as usize).flat_map(|r| &r[..row as usize]);
    Ok(Cow::Owned(rows.copied().collect()))
}
