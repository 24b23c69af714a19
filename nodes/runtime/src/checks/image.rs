//! Pixels of an image message, checked before anything computes with them.

use super::camera::MAX_SIDE_PX;
use auriga_msgs::v1;
use std::borrow::Cow;

/// What is wrong with an image message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The image's sides, in pixels.
    #[error("image is {width}x{height}, expected 1 to {MAX_SIDE_PX} pixels a side; check the source's settings")]
    Size {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// Another encoding than bgr8.
    #[error("image encoding is {0:?}, expected \"bgr8\"; have the source convert to it")]
    Encoding(String),
    /// `step` is shorter than a row of pixels.
    #[error("a row of {width} bgr8 pixels takes {expected} bytes, found step {step}")]
    Step {
        /// Pixels across.
        width: u32,
        /// Bytes of a row without padding.
        expected: u32,
        /// Bytes per row.
        step: u32,
    },
    /// The data are not `height` rows of `step` bytes.
    #[error("{height} rows of {step} bytes are {expected} bytes, found {found}: the frame is truncated or mislabelled")]
    Length {
        /// Pixels down.
        height: u32,
        /// Bytes per row.
        step: u32,
        /// Bytes that the rows would take.
        expected: u64,
        /// Bytes of the data.
        found: usize,
    },
}

/// The image's rows, each of 3 * width bytes (blue, green, red), without padding.
pub fn bgr8_rows(image: &v1::Image) -> Result<impl Iterator<Item = &[u8]>, ImageError> {
    let v1::Image { width, height, step, .. } = *image;
    if width.min(height) < 1 || width.max(height) > MAX_SIDE_PX {
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
    Ok(image.data.chunks_exact(step as usize).map(move |r| &r[..row as usize]))
}

/// The image's pixels as height rows of 3 * width bytes; borrowed where the message has no padding.
pub fn packed_bgr8(image: &v1::Image) -> Result<Cow<'_, [u8]>, ImageError> {
    let rows = bgr8_rows(image)?;
    if image.step == 3 * image.width {
        return Ok(Cow::Borrowed(&image.data));
    }
    Ok(Cow::Owned(rows.flatten().copied().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded() -> v1::Image {
        v1::Image {
            width: 16,
            height: 16,
            step: 50,
            encoding: "bgr8".into(),
            data: vec![7; 50 * 16].into(),
            ..Default::default()
        }
    }

    #[test]
    fn row_padding_is_removed() {
        assert!(bgr8_rows(&padded()).unwrap().all(|r| r == [7; 48]));
        assert_eq!(bgr8_rows(&padded()).unwrap().count(), 16);
        assert_eq!(packed_bgr8(&padded()).unwrap(), vec![7; 48 * 16]);
        let packed = v1::Image { step: 48, data: vec![7; 48 * 16].into(), ..padded() };
        assert!(matches!(packed_bgr8(&packed), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn malformed_images_are_rejected() {
        let error = |image: v1::Image| packed_bgr8(&image).unwrap_err();
        assert!(matches!(error(v1::Image { data: vec![7; 49 * 16].into(), ..padded() }), ImageError::Length { .. }));
        assert!(matches!(error(v1::Image { step: 47, ..padded() }), ImageError::Step { .. }));
        assert!(matches!(error(v1::Image { encoding: "mono8".into(), ..padded() }), ImageError::Encoding(_)));
        assert!(matches!(error(v1::Image { height: 0, ..padded() }), ImageError::Size { .. }));
        let huge = v1::Image { width: u32::MAX, height: u32::MAX, ..padded() };
        assert!(matches!(error(huge), ImageError::Size { .. }));
    }
}
