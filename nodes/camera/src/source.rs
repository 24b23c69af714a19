//! Where frames come from: V4L2, a video file or a GStreamer pipeline, all through OpenCV's VideoCapture.
//!
//! [`VideoSource`] is an iterator of (time, image). Live, [`pump`] reads it on a thread of its own; replay reads files
//! with the same type, in log time.

use auriga_msgs::{node, topic, v1};
use auriga_runtime::{Backoff, DeviceSink, Nanos};
use opencv::{
    core::{CV_8UC3, Mat},
    prelude::*,
    videoio::{self, VideoCapture, VideoWriter},
};
use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};
use v1::Severity;

/// What is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// No camera.
    None,
    /// A device path such as `/dev/video0`.
    V4l2(String),
    /// A pipeline description that ends in an appsink.
    Gstreamer(String),
    /// A video file.
    File(PathBuf),
}

impl Device {
    /// Reads a `device` value: `""`, `"0"`, `"/dev/video0"`, `"gst:…"` or a file's path.
    pub fn parse(text: &str) -> Device {
        if text.is_empty() {
            Device::None
        } else if let Some(pipeline) = text.strip_prefix("gst:") {
            Device::Gstreamer(pipeline.trim().to_owned())
        } else if text.parse::<u8>().is_ok() {
            Device::V4l2(format!("/dev/video{text}"))
        } else if text.starts_with("/dev/") {
            Device::V4l2(text.to_owned())
        } else {
            Device::File(PathBuf::from(text))
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::None => f.write_str("no camera"),
            Device::V4l2(path) => f.write_str(path),
            Device::Gstreamer(pipeline) => write!(f, "gst:{pipeline}"),
            Device::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What is asked of a source; zeros and an empty `fourcc` leave it to the device.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where frames come from.
    pub device: Device,
    /// Pixels across; 0: the device's own.
    pub width: u32,
    /// Pixels down; 0: the device's own.
    pub height: u32,
    /// Frames per second; 0: the device's own. Of a file: in place of the rate that it states.
    pub fps: f64,
    /// Pixel format, four letters; empty: the device's own.
    pub fourcc: String,
}

impl Settings {
    /// A file as it is.
    pub fn file(path: impl AsRef<Path>) -> Settings {
        let device = Device::File(path.as_ref().to_owned());
        Settings { device, width: 0, height: 0, fps: 0.0, fourcc: String::new() }
    }
}

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
    /// A file that states no frame rate, or one that cannot be.
    #[error("{device}: states {fps} frames a second; set `fps` to the rate it was recorded with")]
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

/// Rates taken as meant; files state 0 or 90000 when they do not know.
const RATES_HZ: std::ops::RangeInclusive<f64> = 0.5..=1000.0;

/// Containers' frame counts may be off by this many at the end of an intact file.
const COUNT_SLACK: u64 = 2;

/// An open source.
pub struct VideoSource {
    device: Device,
    capture: VideoCapture,
    /// Of a file.
    fps: f64,
    stated_frames: u64,
    read: u64,
    frame: Mat,
    ended: bool,
    stamps: Stamps,
}

impl VideoSource {
    /// Opens what `settings` name.
    ///
    /// # Errors
    /// No device, a missing file, a device that OpenCV cannot open, a file without a plausible frame rate.
    pub fn open(settings: &Settings) -> Result<Self, SourceError> {
        let device = settings.device.clone();
        let wrap = |source| SourceError::OpenCv { device: device.clone(), source };
        // Before the device: no frame it will give is older.
        let stamps = Stamps { opened: Nanos::monotonic(), monotonic: false };
        let capture = match &device {
            Device::None => return Err(SourceError::NoDevice),
            Device::File(path) if !path.is_file() => return Err(SourceError::Missing(path.clone())),
            Device::File(path) => VideoCapture::from_file(&*path.to_string_lossy(), videoio::CAP_ANY),
            Device::V4l2(path) => VideoCapture::from_file(path, videoio::CAP_V4L2),
            Device::Gstreamer(pipeline) => VideoCapture::from_file(pipeline, videoio::CAP_GSTREAMER),
        };
        let mut capture = capture.map_err(wrap)?;
        if !capture.is_opened().map_err(wrap)? {
            return Err(SourceError::Open(device));
        }
        if matches!(device, Device::V4l2(_)) {
            ask(&mut capture, settings).map_err(wrap)?;
        }
        let (mut fps, mut stated_frames) = (0.0, 0);
        if matches!(device, Device::File(_)) {
            fps = if settings.fps > 0.0 { settings.fps } else { capture.get(videoio::CAP_PROP_FPS).map_err(wrap)? };
            if !RATES_HZ.contains(&fps) {
                return Err(SourceError::Rate { device, fps });
            }
            // Streams state a negative or absurd count: the cast makes that 0 or is caught by the bound.
            stated_frames = capture.get(videoio::CAP_PROP_FRAME_COUNT).map_err(wrap)? as u64;
            stated_frames = if stated_frames > 1 << 40 { 0 } else { stated_frames };
        }
        Ok(Self { device, capture, fps, stated_frames, read: 0, frame: Mat::default(), ended: false, stamps })
    }

    /// Opens a video file to be read in log time.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn file(path: impl AsRef<Path>) -> Result<Self, SourceError> {
        Self::open(&Settings::file(path))
    }

    /// Frames per second of a file; 0 for a live source.
    pub fn fps(&self) -> f64 {
        self.fps
    }

    /// The next frame with its time: index / fps of a file, else the exposure on CLOCK_MONOTONIC (the driver's stamp
    /// where it gives one, else the arrival). `None` at the end of a file.
    ///
    /// # Errors
    /// A live device that gives no frame, a file that ends too early, frames that are not 8-bit BGR.
    pub fn next_frame(&mut self) -> Result<Option<(Nanos, v1::Image)>, SourceError> {
        let wrap = |device: &Device, source| SourceError::OpenCv { device: device.clone(), source };
        let got = self.capture.read(&mut self.frame).map_err(|e| wrap(&self.device, e))?;
        if !got {
            return self.no_frame();
        }
        let time = match self.device {
            Device::File(_) => Nanos::from_secs_f64(self.read as f64 / self.fps),
            Device::V4l2(_) => {
                let arrival = Nanos::monotonic();
                let stated = self.capture.get(videoio::CAP_PROP_POS_MSEC).map_err(|e| wrap(&self.device, e))?;
                self.stamps.exposure(stated, arrival).unwrap_or(arrival)
            }
            Device::Gstreamer(_) | Device::None => Nanos::monotonic(),
        };
        self.read += 1;
        if self.frame.typ() != CV_8UC3 {
            return Err(SourceError::Format { device: self.device.clone(), found: self.frame.typ() });
        }
        let image = image_message(&self.frame, time).map_err(|e| wrap(&self.device, e))?;
        Ok(Some((time, image)))
    }

    fn no_frame(&self) -> Result<Option<(Nanos, v1::Image)>, SourceError> {
        let device = self.device.clone();
        match device {
            Device::File(_) if self.read + COUNT_SLACK < self.stated_frames => {
                Err(SourceError::Truncated { device, read: self.read, stated: self.stated_frames })
            }
            Device::File(_) => Ok(None),
            _ => Err(SourceError::Lost(device)),
        }
    }
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

/// OpenCV's V4L2 backend states the buffer's own timestamp as POS_MSEC (`retrieveFrame` in cap_v4l.cpp), which UVC and
/// most drivers take from CLOCK_MONOTONIC at the start of the frame; others use the wall clock or one of their own.
struct Stamps {
    opened: Nanos,
    /// A stamp has shown which clock they are of.
    monotonic: bool,
}

impl Stamps {
    /// The first stamp shortly before its frame's arrival shows the clock. From then on a frame may have waited for as
    /// long as the device is open: a node that stood still must not take what it finds for new.
    fn exposure(&mut self, stated_ms: f64, arrival: Nanos) -> Option<Nanos> {
        const LONGEST_TRANSFER: Duration = Duration::from_secs(1);
        let stated = Nanos::from_secs_f64(stated_ms * 1e-3);
        let oldest = if self.monotonic { self.opened } else { self.opened.max(arrival - LONGEST_TRANSFER) };
        let possible = stated_ms > 0.0 && stated >= oldest && stated <= arrival;
        self.monotonic |= possible;
        possible.then_some(stated)
    }
}

fn image_message(frame: &Mat, time: Nanos) -> opencv::Result<v1::Image> {
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
    })
}

/// The device thread: reads the source until the node stops. A file plays in real time from
/// [`DeviceSink::start_at`]; a live device that is lost is a fault until it delivers again, and is opened again with
/// growing waits.
pub fn pump(settings: &Settings, sink: &DeviceSink<node::Camera>) {
    let subject = settings.device.to_string();
    match settings.device {
        Device::None => {
            sink.standing_fault(Severity::Warning, "camera-absent", "camera", SourceError::NoDevice.to_string());
        }
        Device::File(_) => match play(settings, sink) {
            Ok(()) => sink.end_of_input(),
            Err(e) => sink.standing_fault(Severity::Critical, "camera-file", &subject, e.to_string()),
        },
        Device::V4l2(_) | Device::Gstreamer(_) => capture(settings, sink, &subject),
    }
}

fn play(settings: &Settings, sink: &DeviceSink<node::Camera>) -> Result<(), SourceError> {
    for item in VideoSource::open(settings)? {
        let (t, mut image) = item?;
        let due = sink.start_at() + Duration::from_nanos(t.0);
        image.header = Some(v1::Header::new(due.0, 0));
        if !sink.sleep_until(due) || !sink.send::<topic::DeviceCameraFront>(image) {
            break;
        }
    }
    Ok(())
}

/// Code of the fault of a device that does not deliver.
const LOST: &str = "camera-lost";

/// Between attempts to open a lost device.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

fn capture(settings: &Settings, sink: &DeviceSink<node::Camera>, subject: &str) {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    while !sink.stopping() {
        let lost = match VideoSource::open(settings) {
            Ok(source) => {
                tracing::info!(device = subject, "camera open");
                deliver(source, sink, subject, &mut backoff)
            }
            Err(e) => Some(e),
        };
        let Some(error) = lost else { return };
        let wait = backoff.wait();
        let text = format!("{error}; trying again in {:.1} s", wait.as_secs_f64());
        // Opening a device can take longer than a fault lasts by itself.
        sink.standing_fault(Severity::Critical, LOST, subject, text);
        sink.sleep_until(Nanos::monotonic() + wait);
    }
}

/// Hands frames on until the source fails; `None` when the node stops.
fn deliver(
    source: VideoSource,
    sink: &DeviceSink<node::Camera>,
    subject: &str,
    backoff: &mut Backoff,
) -> Option<SourceError> {
    for (index, item) in source.enumerate() {
        match item {
            Ok((_, image)) => {
                if index == 0 {
                    backoff.reset();
                    sink.clear_fault(LOST, subject);
                }
                if !sink.send::<topic::DeviceCameraFront>(image) {
                    return None;
                }
            }
            Err(e) => return Some(e),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_values_are_parsed() {
        assert_eq!(Device::parse(""), Device::None);
        assert_eq!(Device::parse("2"), Device::V4l2("/dev/video2".into()));
        assert_eq!(Device::parse("/dev/v4l/by-id/x"), Device::V4l2("/dev/v4l/by-id/x".into()));
        assert_eq!(Device::parse("gst: videotestsrc ! appsink"), Device::Gstreamer("videotestsrc ! appsink".into()));
        assert_eq!(Device::parse("out/drive/camera.mp4"), Device::File("out/drive/camera.mp4".into()));
    }

    #[test]
    fn driver_stamps_of_the_monotonic_clock_are_used() {
        let (opened, arrival) = (Nanos::from_millis(90_000), Nanos::from_millis(100_000));
        let mut stamps = Stamps { opened, monotonic: false };
        // None given, the wall clock, the future, a clock of its own, not a number.
        for stated in [0.0, 1_700_000_000_000.0, 100_001.0, 95_000.0, -5.0, f64::NAN, f64::INFINITY] {
            assert_eq!(stamps.exposure(stated, arrival), None, "{stated}");
        }
        assert_eq!(stamps.exposure(99_960.0, arrival), Some(Nanos::from_millis(99_960)));
        let later = Nanos::from_millis(110_000);
        assert_eq!(stamps.exposure(100_000.0, later), Some(Nanos::from_millis(100_000)));
        // Of before the device was opened, or after the frame came.
        assert_eq!(stamps.exposure(89_999.0, later), None);
        assert_eq!(stamps.exposure(110_001.0, later), None);
    }
}
