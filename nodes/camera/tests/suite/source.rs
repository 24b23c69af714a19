//! Reading video files and GStreamer pipelines, good and broken.

use crate::common::one_film_at_a_time;
use auriga_camera::source::{Device, Settings, SourceError, VideoSource};
use opencv::{
    core::{CV_8UC3, Mat, Scalar, Size},
    prelude::*,
    videoio::{CAP_ANY, VideoWriter},
};
use std::path::{Path, PathBuf};

const FRAMES: u32 = 30;

/// A Motion-JPEG film whose frame i is grey 4 i, with a checkered border that gives it some bytes.
fn film(dir: &Path) -> PathBuf {
    let path = dir.join("film.avi");
    let code = VideoWriter::fourcc('M', 'J', 'P', 'G').unwrap();
    let mut writer = VideoWriter::new_with_backend(&path, CAP_ANY, code, 20.0, Size::new(160, 96), true).unwrap();
    assert!(writer.is_opened().unwrap());
    for i in 0..FRAMES {
        let mut frame = Mat::new_rows_cols_with_default(96, 160, CV_8UC3, Scalar::all(f64::from(4 * i))).unwrap();
        for (at, byte) in frame.data_bytes_mut().unwrap()[..480 * 32].iter_mut().enumerate() {
            *byte = (at as u32 * (i + 7) % 251) as u8;
        }
        writer.write(&frame).unwrap();
    }
    writer.release().unwrap();
    path
}

#[test]
fn a_file_gives_every_frame_with_index_over_rate_as_its_time() {
    let _alone = one_film_at_a_time();
    let dir = tempfile::tempdir().unwrap();
    let frames: Vec<_> = VideoSource::file(film(dir.path())).unwrap().map(Result::unwrap).collect();
    assert_eq!(frames.len(), FRAMES as usize);
    for (i, (time, image)) in frames.iter().enumerate() {
        assert_eq!(time.0, i as u64 * 50_000_000);
        assert_eq!(image.header.unwrap().stamp_ns, time.0);
        assert_eq!((image.width, image.height, image.step, image.encoding.as_str()), (160, 96, 480, "bgr8"));
        assert_eq!(image.data.len(), 480 * 96);
        let middle = image.data[480 * 48 + 240];
        assert!(middle.abs_diff(4 * i as u8) <= 3, "frame {i} is {middle}");
    }
}

#[test]
fn a_rate_in_the_settings_replaces_the_files_own() {
    let _alone = one_film_at_a_time();
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { fps: 10.0, ..Settings::file(film(dir.path())) };
    let (time, _) = VideoSource::open(&settings).unwrap().nth(3).unwrap().unwrap();
    assert_eq!(time.0, 300_000_000);
}

#[test]
fn a_truncated_file_gives_its_frames_and_then_an_error_with_both_counts() {
    let _alone = one_film_at_a_time();
    let dir = tempfile::tempdir().unwrap();
    let path = film(dir.path());
    let bytes = std::fs::read(&path).unwrap();
    let mut read = 0;
    for part in [3, 5, 8] {
        std::fs::write(&path, &bytes[..bytes.len() * part / 10]).unwrap();
        let items: Vec<_> = match VideoSource::file(&path) {
            Ok(source) => source.collect(),
            Err(e) => panic!("{part}/10: {e}"),
        };
        let whole = items.iter().filter(|i| i.is_ok()).count();
        assert!(whole > read && whole < FRAMES as usize, "{part}/10: {whole}");
        read = whole;
        // Without the index at its end a file may no longer state how long it was meant to be.
        match items.last().unwrap() {
            Err(SourceError::Truncated { read, stated, .. }) => {
                assert_eq!((*read, *stated), (whole as u64, FRAMES.into()))
            }
            Ok(_) => println!("{part}/10: the container states no count"),
            Err(e) => panic!("{e}"),
        }
    }
}

#[test]
fn missing_files_and_non_videos_are_errors_with_their_path() {
    let _alone = one_film_at_a_time();
    let dir = tempfile::tempdir().unwrap();
    let missing = VideoSource::file(dir.path().join("none.mp4")).err().unwrap();
    assert!(missing.to_string().contains("none.mp4"), "{missing}");
    for (name, bytes) in [("empty.mp4", &b""[..]), ("text.mp4", b"this is no film\n"), ("zero.avi", &[0; 4096])] {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = VideoSource::file(&path).err().unwrap_or_else(|| panic!("{name} was opened"));
        assert!(error.to_string().contains(name), "{error}");
    }
    let none = VideoSource::open(&Settings { device: Device::parse(""), ..Settings::file("") }).err().unwrap();
    assert!(matches!(none, SourceError::NoDevice));
    let device = Settings { device: Device::parse("/dev/video63"), ..Settings::file("") };
    assert!(matches!(VideoSource::open(&device).err().unwrap(), SourceError::Open(Device::V4l2(_))));
}

#[test]
fn a_gstreamer_pipeline_delivers_and_its_end_is_a_loss() {
    let _alone = one_film_at_a_time();
    let pipeline = "gst:videotestsrc num-buffers=5 ! video/x-raw,width=320,height=180 ! videoconvert ! \
                    video/x-raw,format=BGR ! appsink";
    let settings = Settings { device: Device::parse(pipeline), ..Settings::file("") };
    let source = match VideoSource::open(&settings) {
        Ok(source) => source,
        Err(e) => {
            return auriga_testing::skip(format!("OpenCV here has no GStreamer with its base plugins ({e})"));
        }
    };
    let items: Vec<_> = source.collect();
    assert_eq!(items.iter().filter(|i| i.is_ok()).count(), 5);
    assert!(matches!(items.last(), Some(Err(SourceError::Lost(_)))));
}
