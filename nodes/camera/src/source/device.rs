//! What is read from, and what is asked of it.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// What is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// No camera.
    None,
    /// A device path such as `/dev/video0`.
    V4l2(String),
    /// A pipeline description that ends in an appsink.
    Gstreamer(String),
    /// A network stream's address, `rtsp://…` or any other that libav opens.
    Stream(String),
    /// A video file.
    File(PathBuf),
}

impl Device {
    /// Reads a `device` value: `""`, `"0"`, `"/dev/video0"`, `"gst:…"`, `"rtsp://…"` or a file's path.
    pub fn parse(text: &str) -> Device {
        if text.is_empty() {
            Device::None
        } else if let Some(pipeline) = text.strip_prefix("gst:") {
            Device::Gstreamer(pipeline.trim().to_owned())
        } else if text.parse::<u8>().is_ok() {
            Device::V4l2(format!("/dev/video{text}"))
        } else if text.starts_with("/dev/") {
            Device::V4l2(text.to_owned())
        } else if text.contains("://") {
            Device::Stream(text.to_owned())
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
            Device::Stream(address) => f.write_str(&without_login(address)),
            Device::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A stream's address as it may be shown and logged.
fn without_login(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match host.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://…@{host}{path}"),
        None => address.to_owned(),
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
    /// Frames per second; 0: the device's own. Of a file: in place of the times that it states.
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
        assert_eq!(Device::parse("rtsp://cam/1"), Device::Stream("rtsp://cam/1".into()));
    }

    #[test]
    fn a_password_of_a_stream_is_not_shown() {
        let shown = |text: &str| Device::parse(text).to_string();
        assert_eq!(shown("rtsp://user:secret@10.0.0.2:554/a?b@c"), "rtsp://…@10.0.0.2:554/a?b@c");
        assert_eq!(shown("http://cam/a@b"), "http://cam/a@b");
    }
}
