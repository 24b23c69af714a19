//! Pixels of an image message, checked before anything computes with them.

use auriga_msgs::v1;

/// Longest side of an image that is taken.
pub const MAX_SIDE_PX: u32 = 8192;

/// What is wrong with an image message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    #[error("image is {width}x{height}, expected 16 to {MAX_SIDE_PX} pixels a side")]
    Size { width: u32, height: u32 },
    #[error("image encoding is {0:?}, expected \"bgr8\"")]
    Encoding(String),
    #[error("a row of {width} bgr8 pixels takes {expected} bytes, found step {step}")]
    Step { width: u32, expected: u32, step: u32 },
    #[error("{height} rows of {step} bytes are {expected} bytes, found {found}: the frame is truncated or mislabelled")]
    Length { height: u32, step: u32, expected: u64, found: usize },
}

/// The image's rows, each of 3 * width bytes (blue, green, red), without padding.
pub fn rows(image: &v1::Image) -> Result<impl Iterator<Item = &[u8]>, ImageError> {
    let v1::Image { width, height, step, .. } = *image;
    if width.min(height) < 16 || width.max(height) > MAX_SIDE_PX {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_left_out_and_what_does_not_fit_is_refused() {
        let image = v1::Image {
            width: 16,
            height: 16,
            step: 50,
            encoding: "bgr8".into(),
            data: vec![7; 50 * 16].into(),
            ..Default::default()
        };
        assert!(rows(&image).unwrap().all(|r| r.len() == 48));
        assert_eq!(rows(&image).unwrap().count(), 16);
        let cut = v1::Image { data: vec![7; 49 * 16].into(), ..image.clone() };
        assert!(matches!(rows(&cut), Err(ImageError::Length { .. })));
        let narrow = v1::Image { step: 47, ..image.clone() };
        assert!(matches!(rows(&narrow), Err(ImageError::Step { .. })));
        let grey = v1::Image { encoding: "mono8".into(), ..image.clone() };
        assert!(matches!(rows(&grey), Err(ImageError::Encoding(_))));
        let huge = v1::Image { width: u32::MAX, height: u32::MAX, ..image };
        assert!(matches!(rows(&huge), Err(ImageError::Size { .. })));
    }
}
