//! An open source and its frames.

use super::{
    container,
    decoder::{Damage, Decoder},
    device::{Device, Settings},
    shape::Shape,
    times::{FileTimes, Stamps},
};
use auriga_msgs::v1::{self, PictureCondition};
use auriga_runtime::Nanos;
use opencv::{
    core::{CV_8UC3, Mat, Vector},
    prelude::*,
    videoio::{self, VideoCapture, VideoWriter},
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// A source that cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// `device` is empty.
    #[error("no camera is configured: set `device` to /dev/videoN, a video file or gst:<pipeline>")]
    NoDevice,
    /// There is no such video file.
    #[error("{0}: there is no such file; set `device` to a video file or a /dev/videoN")]
    Missing(PathBuf),
    /// OpenCV cannot open it.
    #[error("{0}: cannot be opened; is it a camera or video, not in use by another program, and readable?")]
    Open(Device),
    /// A file that states neither the times of its frames nor a rate that can be.
    #[error(
        "{device}: states no times of its frames and {fps} frames a second; set `fps` to the rate it was recorded with"
    )]
    Rate {
        /// What is read from.
        device: Device,
        /// Frames per second that the device states.
        fps: f64,
    },
    /// Frames that are not 8-bit BGR.
    #[error("{device}: expected frames of 8-bit BGR, found OpenCV type {found}")]
    Format {
        /// What is read from.
        device: Device,
        /// OpenCV's number of the type.
        found: i32,
    },
    /// A file that ends too early.
    #[error("{device}: ended after {read} of the {stated} frames it states; the file is cut off or damaged")]
    Truncated {
        /// What is read from.
        device: Device,
        /// Frames that were read.
        read: u64,
        /// Frames that the file states.
        stated: u64,
    },
    /// A live device that gives no more frames.
    #[error("{0}: stopped delivering frames")]
    Lost(Device),
    /// Any other error of OpenCV.
    #[error("{device}: {source}")]
    OpenCv {
        /// What is read from.
        device: Device,
        /// What went wrong.
        source: opencv::Error,
    },
}

/// Containers' frame counts may be off by this many at the end of an intact file.
const COUNT_SLACK: u64 = 2;

/// OpenCV gives no frame for a packet that libav refuses, as at the end of a file: so many in a row are the end.
const MOST_UNDECODABLE: u32 = 250;
/// The same of a stream.
const STREAM_PATIENCE: Duration = Duration::from_secs(1);
/// A network stream that gives nothing for this long is lost, in milliseconds.
const STREAM_TIMEOUT_MS: i32 = 5000;

/// An open source.
pub struct VideoSource {
    device: Device,
    capture: VideoCapture,
    /// Frames per second of a file, as asked for or as it states.
    rate_hz: f64,
    stated_frames: u64,
    read: u64,
    last: Nanos,
    frame: Mat,
    ended: bool,
    times: FileTimes,
    stamps: Stamps,
    shape: Shape,
    decoder: Decoder,
    damage: Damage,
}

impl VideoSource {
    /// Opens what `settings` name.
    ///
    /// # Errors
    /// No device, a missing file, a device that OpenCV cannot open.
    pub fn open(settings: &Settings) -> Result<Self, SourceError> {
        let device = settings.device.clone();
        let wrap = |source| SourceError::OpenCv { device: device.clone(), source };
        // Before the device: no frame it will give is older.
        let stamps = Stamps::new(Nanos::monotonic());
        Decoder::listen();
        let mut capture = capture(&device)?.map_err(wrap)?;
        if !capture.is_opened().map_err(wrap)? {
            return Err(SourceError::Open(device));
        }
        let (mut rate_hz, mut stated_frames, mut shape) = (0.0, 0, Shape::default());
        match &device {
            Device::V4l2(_) => ask(&mut capture, settings).map_err(wrap)?,
            Device::File(path) => {
                rate_hz = capture.get(videoio::CAP_PROP_FPS).map_err(wrap)?;
                // Streams state a negative or absurd count: the cast makes that 0 or is caught by the bound.
                stated_frames = capture.get(videoio::CAP_PROP_FRAME_COUNT).map_err(wrap)? as u64;
                stated_frames = if stated_frames > 1 << 40 { 0 } else { stated_frames };
                // A container that cannot be read here again is left to OpenCV.
                if let Ok(Some(orientation)) = container::orientation(path) {
                    capture.set(videoio::CAP_PROP_ORIENTATION_AUTO, 0.0).map_err(wrap)?;
                    shape = Shape::new(orientation);
                }
            }
            Device::None | Device::Gstreamer(_) | Device::Stream(_) => {}
        }
        Ok(Self {
            capture,
            rate_hz: if settings.fps > 0.0 { settings.fps } else { rate_hz },
            stated_frames,
            read: 0,
            last: Nanos::ZERO,
            frame: Mat::default(),
            ended: false,
            times: FileTimes::new(rate_hz, settings.fps),
            stamps,
            shape,
            decoder: Decoder::begin(),
            damage: Damage::default(),
            device,
        })
    }

    /// Opens a video file to be read in log time.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn file(path: impl AsRef<Path>) -> Result<Self, SourceError> {
        Self::open(&Settings::file(path))
    }

    /// Frames per second of a file, in the mean; 0 for a live source.
    pub fn fps(&self) -> f64 {
        self.rate_hz
    }

    /// The next frame with its time: of a file, what its container states, from 0; else the exposure on CLOCK_MONOTONIC
    /// (the driver's stamp where it gives one, else the arrival). `None` at the end of a file.
    ///
    /// # Errors
    /// A live device that gives no frame, a file that ends too early or knows no times, frames that are not 8-bit BGR.
    pub fn next_frame(&mut self) -> Result<Option<(Nanos, v1::Image)>, SourceError> {
        let device = &self.device;
        let wrap = |source| SourceError::OpenCv { device: device.clone(), source };
        let started = Nanos::monotonic();
        let mut attempts = 0;
        while !self.capture.read(&mut self.frame).map_err(wrap)? {
            attempts += 1;
            let patient = match device {
                Device::File(_) => attempts < MOST_UNDECODABLE,
                Device::Stream(_) => Nanos::monotonic().since(started) < STREAM_PATIENCE,
                _ => false,
            };
            if !patient {
                return self.no_frame();
            }
        }
        let property = |property| self.capture.get(property).map_err(wrap);
        let (time, aspect) = match device {
            Device::File(_) => {
                let stated = property(videoio::CAP_PROP_POS_MSEC)?;
                let rate = || SourceError::Rate { device: device.clone(), fps: self.rate_hz };
                let time = self.times.next(stated).ok_or_else(rate)?;
                (time, property(videoio::CAP_PROP_SAR_NUM)? / property(videoio::CAP_PROP_SAR_DEN)?)
            }
            Device::V4l2(_) => {
                let arrival = Nanos::monotonic();
                let stated = property(videoio::CAP_PROP_POS_MSEC)?;
                (self.stamps.exposure(stated, arrival).unwrap_or(arrival), 1.0)
            }
            Device::Gstreamer(_) | Device::Stream(_) | Device::None => (Nanos::monotonic(), 1.0),
        };
        self.read += 1;
        self.last = time;
        if self.frame.typ() != CV_8UC3 {
            return Err(SourceError::Format { device: device.clone(), found: self.frame.typ() });
        }
        self.shape.apply(&mut self.frame, aspect).map_err(wrap)?;
        let damaged = self.damage.update(self.decoder.frame(), time.as_secs_f64());
        let picture = if damaged { PictureCondition::Damaged } else { PictureCondition::Unspecified };
        let image = image_message(&self.frame, time, picture).map_err(wrap)?;
        Ok(Some((time, image)))
    }

    fn no_frame(&self) -> Result<Option<(Nanos, v1::Image)>, SourceError> {
        let device = self.device.clone();
        if !matches!(device, Device::File(_)) {
            return Err(SourceError::Lost(device));
        }
        // Frames that could not be decoded are missing in the count; where the last one is at the end, that is all.
        let missing = self.stated_frames.saturating_sub(self.read + COUNT_SLACK);
        let expected_s = self.stated_frames.saturating_sub(1 + COUNT_SLACK) as f64 / self.rate_hz;
        if missing > 0 && self.last.as_secs_f64() < expected_s {
            return Err(SourceError::Truncated { device, read: self.read, stated: self.stated_frames });
        }
        Ok(None)
    }
}

fn capture(device: &Device) -> Result<opencv::Result<VideoCapture>, SourceError> {
    Ok(match device {
        Device::None => return Err(SourceError::NoDevice),
        Device::File(path) if !path.is_file() => return Err(SourceError::Missing(path.clone())),
        Device::File(path) => VideoCapture::from_file(&*path.to_string_lossy(), videoio::CAP_ANY),
        Device::V4l2(path) => VideoCapture::from_file(path, videoio::CAP_V4L2),
        Device::Gstreamer(pipeline) => VideoCapture::from_file(pipeline, videoio::CAP_GSTREAMER),
        Device::Stream(address) => {
            let (open, read) = (videoio::CAP_PROP_OPEN_TIMEOUT_MSEC, videoio::CAP_PROP_READ_TIMEOUT_MSEC);
            let params = Vector::from_slice(&[open, STREAM_TIMEOUT_MS, read, STREAM_TIMEOUT_MS]);
            VideoCapture::from_file_with_params(address, videoio::CAP_FFMPEG, &params)
        }
    })
}

/// Ends after the first error: a decoder that failed has lost its place.
impl Iterator for VideoSource {
    type Item = Result<(Nanos, v1::Image), SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.next_frame().transpose();
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}

/// Asks a V4L2 device for a format, size and rate. It may answer with others, which the frames show.
fn ask(capture: &mut VideoCapture, settings: &Settings) -> opencv::Result<()> {
    // The format first: it decides which sizes and rates there are.
    if let &[a, b, c, d] = settings.fourcc.as_bytes() {
        let code = VideoWriter::fourcc(a.into(), b.into(), c.into(), d.into())?;
        capture.set(videoio::CAP_PROP_FOURCC, f64::from(code))?;
    }
    let wanted = [
        (videoio::CAP_PROP_FRAME_WIDTH, f64::from(settings.width)),
        (videoio::CAP_PROP_FRAME_HEIGHT, f64::from(settings.height)),
        (videoio::CAP_PROP_FPS, settings.fps),
    ];
    for (property, value) in wanted.into_iter().filter(|(_, value)| *value > 0.0) {
        capture.set(property, value)?;
    }
    Ok(())
}

fn image_message(frame: &Mat, time: Nanos, picture: PictureCondition) -> opencv::Result<v1::Image> {
    let (width, height) = (frame.cols() as u32, frame.rows() as u32);
    Ok(v1::Image {
        header: Some(v1::Header::new(time.0, 0)),
        frame_id: String::new(),
        width,
        height,
        step: 3 * width,
        encoding: "bgr8".into(),
        data: frame.data_bytes()?.to_vec().into(),
        rectified: false,
        picture: picture.into(),
    })
}
