//! Pixels of an image message, checked before anything computes with them.

use auriga_msgs::v1;
use std::borrow::Cow;

/// What is wrong with an image message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    #[error("image is {found:?} pixels, the camera info says {expected:?}; the camera node publishes both")]
    Size { found: (u32, u32), expected: (u32, u32) },
    #[error("image encoding is {0:?}, expected \"bgr8\"")]
    Encoding(String),
    #[error(
        "expected {height} rows of {step} bytes with at least 3 bytes a pixel ({width} of them), found {found} bytes"
    )]
    Length { width: u32, height: u32, step: u32, found: usize },
}

/// The image's pixels as height rows of 3*width bytes, without padding; borrowed where the message has none.
pub fn packed_bgr8(image: &v1::Image, expected: (u32, u32)) -> Result<Cow<'_, [u8]>, ImageError> {
    let v1::Image { width, height, step, .. } = *image;
    if (width, height) != expected {
        return Err(ImageError::Size { found: (width, height), expected });
    }
    if image.encoding != "bgr8" {
        return Err(ImageError::Encoding(image.encoding.clone()));
    }
    let row = 3 * u64::from(width);
    let found = image.data.len();
    if u64::from(step) < row || found as u64 != u64::from(step) * u64::from(height) {
        return Err(ImageError::Length { width, height, step, found });
    }
    if u64::from(step) == row {
        return Ok(Cow::Borrowed(&image.data));
    }
    let rows = image.data.chunks_exact(step as usize).flat_map(|r| &r[..row as usize]);
    Ok(Cow::Owned(rows.copied().collect()))
}
