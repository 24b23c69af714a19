//! Where frames come from: V4L2, a network stream, a video file or a GStreamer pipeline, all through OpenCV's
//! VideoCapture.
//!
//! [`VideoSource`] is an iterator of (time, image). Live, [`pump`] reads it on a thread of its own; replay reads files
//! with the same type, in log time. A file's frames come with the times, turned and with the pixel aspect that its
//! container states, and marked where the decoder met errors.

mod container;
mod decoder;
mod device;
mod pump;
mod shape;
mod times;
mod video;

pub use device::{Device, Settings};
pub use pump::pump;
pub use video::{SourceError, VideoSource};
