//! Images: conversion between their messages and the JPEG of a recording.

use super::schema::image::CompressedImage;
use auriga_msgs::{Any, Stamped, TopicId, v1};
use bytes::Bytes;
#[cfg(feature = "images")]
use opencv::{
    core::{Mat, MatTraitConst, MatTraitConstManual, Vec3b, Vector, VectorToVec},
    imgcodecs::{IMREAD_COLOR, IMREAD_GRAYSCALE, IMWRITE_JPEG_QUALITY, imdecode, imencode},
};
#[cfg(feature = "images")]
use std::borrow::Cow;
use std::sync::Arc;

/// Largest side of an image: a mislabelled one must not allocate gigabytes.
const MAX_SIDE_PX: u32 = 16384;

/// What is wrong with an image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The size is not plausible.
    #[error("image is {width}x{height}, expected 1 to {MAX_SIDE_PX} pixels a side")]
    Size {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// The encoding is not supported.
    #[error("image encoding is {0:?}, expected \"bgr8\" or \"mono8\"")]
    Encoding(String),
    /// The data do not have the stated size.
    #[error("{height} rows of {step} bytes for {width} pixels of {channels} bytes cannot be {found} bytes")]
    Length {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Bytes in a row.
        step: u32,
        /// Bytes in a pixel.
        channels: u32,
        /// Bytes in the message.
        found: usize,
    },
    /// The JPEG cannot be encoded or decoded.
    #[error("the JPEG is damaged: {0}")]
    Jpeg(String),
    /// The program was built without OpenCV.
    #[error("this program was built without the feature `images` of auriga-recorder")]
    NotBuilt,
    /// The topic is not recorded as JPEG.
    #[error("topic {0} is not recorded as images")]
    Topic(&'static str),
}

#[cfg(feature = "images")]
impl From<opencv::Error> for ImageError {
    fn from(e: opencv::Error) -> Self {
        ImageError::Jpeg(e.message)
    }
}

/// The compressed image to store for `any`; `None` for topics that are stored as they are.
pub(crate) fn store(any: &Any, quality: u8) -> Result<Option<CompressedImage>, ImageError> {
    Ok(Some(match any {
        Any::CameraFrontImage(image) => CompressedImage {
            timestamp: Some(timestamp(image.header_copy())),
            frame_id: image.frame_id.clone(),
            data: compress(image, quality)?.into(),
            format: "jpeg".into(),
            header: image.header,
            width: image.width,
            height: image.height,
            encoding: image.encoding.clone(),
            rectified: image.rectified,
            picture: image.picture,
        },
        Any::HudFrame(image) => CompressedImage {
            timestamp: Some(timestamp(image.header_copy())),
            frame_id: image.frame_id.clone(),
            data: image.data.clone(),
            format: image.format.clone(),
            header: image.header,
            width: image.width,
            height: image.height,
            ..Default::default()
        },
        _ => return Ok(None),
    }))
}

/// The topic's own message, from what [`store`] made of it. Without `pixels` a raw image has no data.
pub(crate) fn restore(topic: TopicId, stored: CompressedImage, pixels: bool) -> Result<Any, ImageError> {
    let CompressedImage { frame_id, data, format, header, width, height, encoding, rectified, picture, .. } = stored;
    match topic {
        TopicId::CameraFrontImage => {
            let channels = channels(&encoding)?;
            check_size(width, height)?;
            let data = if pixels { decompress(&data, width, height, channels)? } else { Bytes::new() };
            let step = channels * width;
            let image = v1::Image { header, frame_id, width, height, step, encoding, data, rectified, picture };
            Ok(Any::CameraFrontImage(Arc::new(image)))
        }
        TopicId::HudFrame => {
            let image = v1::CompressedImage { header, frame_id, width, height, format, data };
            Ok(Any::HudFrame(Arc::new(image)))
        }
        other => Err(ImageError::Topic(other.spec().name)),
    }
}

fn timestamp(header: v1::Header) -> prost_types::Timestamp {
    const NANOS: u64 = 1_000_000_000;
    prost_types::Timestamp { seconds: (header.stamp_ns / NANOS) as i64, nanos: (header.stamp_ns % NANOS) as i32 }
}

fn channels(encoding: &str) -> Result<u32, ImageError> {
    match encoding {
        "bgr8" => Ok(3),
        "mono8" => Ok(1),
        other => Err(ImageError::Encoding(other.into())),
    }
}

fn check_size(width: u32, height: u32) -> Result<(), ImageError> {
    let ok = |side: u32| (1..=MAX_SIDE_PX).contains(&side);
    if ok(width) && ok(height) { Ok(()) } else { Err(ImageError::Size { width, height }) }
}

#[cfg(feature = "images")]
fn compress(image: &v1::Image, quality: u8) -> Result<Vec<u8>, ImageError> {
    let channels = channels(&image.encoding)?;
    let v1::Image { width, height, step, .. } = *image;
    check_size(width, height)?;
    let row = channels * width;
    if step < row || u64::from(step) * u64::from(height) != image.data.len() as u64 {
        return Err(ImageError::Length { width, height, step, channels, found: image.data.len() });
    }
    let pixels: Cow<[u8]> = if step == row {
        Cow::Borrowed(&image.data)
    } else {
        image.data.chunks_exact(step as usize).flat_map(|r| &r[..row as usize]).copied().collect()
    };
    let (rows, cols) = (height as i32, width as i32);
    let mat = match channels {
        3 => Mat::new_rows_cols_with_bytes::<Vec3b>(rows, cols, &pixels)?,
        _ => Mat::new_rows_cols_with_bytes::<u8>(rows, cols, &pixels)?,
    };
    let mut jpeg = Vector::<u8>::new();
    let options = Vector::from_slice(&[IMWRITE_JPEG_QUALITY, i32::from(quality)]);
    if !imencode(".jpg", &mat, &mut jpeg, &options)? {
        return Err(ImageError::Jpeg("OpenCV did not encode it".into()));
    }
    Ok(jpeg.to_vec())
}

#[cfg(feature = "images")]
fn decompress(jpeg: &[u8], width: u32, height: u32, channels: u32) -> Result<Bytes, ImageError> {
    // The size in the JPEG header is checked first: OpenCV would allocate any size stated there.
    let found = jpeg_size(jpeg).ok_or_else(|| ImageError::Jpeg("it is not a baseline or progressive JPEG".into()))?;
    if found != (width, height) {
        return Err(ImageError::Jpeg(format!("{width}x{height} expected, its header has {found:?}")));
    }
    let mode = if channels == 3 { IMREAD_COLOR } else { IMREAD_GRAYSCALE };
    let mat = imdecode(&Mat::from_slice(jpeg)?, mode)?;
    let right = mat.rows() as u32 == height && mat.cols() as u32 == width && mat.channels() as u32 == channels;
    if !right {
        return Err(ImageError::Jpeg(format!("it gives {}x{} pixels", mat.cols(), mat.rows())));
    }
    Ok(Bytes::copy_from_slice(mat.data_bytes()?))
}

#[cfg(not(feature = "images"))]
fn compress(_image: &v1::Image, _quality: u8) -> Result<Vec<u8>, ImageError> {
    Err(ImageError::NotBuilt)
}

#[cfg(not(feature = "images"))]
fn decompress(_jpeg: &[u8], _width: u32, _height: u32, _channels: u32) -> Result<Bytes, ImageError> {
    Err(ImageError::NotBuilt)
}

/// Width and height of a JPEG, from its frame header (ITU T.81, B.2.2).
#[cfg(feature = "images")]
fn jpeg_size(jpeg: &[u8]) -> Option<(u32, u32)> {
    let mut rest = jpeg.strip_prefix(&[0xff, 0xd8])?;
    loop {
        let [0xff, marker, high, low, ..] = *rest else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if matches!(marker, 0xc0..=0xc2) {
            let [h1, h0, w1, w0] = *rest.get(5..9)? else { return None };
            return Some((u16::from_be_bytes([w1, w0]).into(), u16::from_be_bytes([h1, h0]).into()));
        }
        rest = rest.get(2 + length.max(2)..)?;
    }
}

#[cfg(all(test, feature = "images"))]
mod tests {
    use super::*;
    use auriga_msgs::{Record, TOPICS};

    #[test]
    fn every_topic_recorded_as_jpeg_is_restored_to_its_own_message() {
        for topic in TOPICS.iter().filter(|t| t.record == Record::Jpeg) {
            let any = Any::decode(topic.id, Bytes::new()).unwrap();
            let stored = match any {
                // An image without pixels is an error.
                Any::CameraFrontImage(_) => {
                    assert!(matches!(store(&any, 90), Err(ImageError::Encoding(_))));
                    let image = v1::Image {
                        width: 8,
                        height: 8,
                        step: 8,
                        encoding: "mono8".into(),
                        data: vec![7; 64].into(),
                        ..Default::default()
                    };
                    store(&Any::CameraFrontImage(Arc::new(image)), 90)
                }
                _ => store(&any, 90),
            };
            let stored = stored.unwrap().unwrap_or_else(|| panic!("{} is not stored as an image", topic.name));
            assert_eq!(restore(topic.id, stored, true).unwrap().topic(), topic.id);
        }
    }
}
