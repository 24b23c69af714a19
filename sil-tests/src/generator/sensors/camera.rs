//! The video of the camera.

use crate::generator::render::Renderer;
use anyhow::{Context, Result, bail};
use auriga_camera::calibration::Calibration;
use opencv::{
    core::{Mat, MatTraitConst, Size},
    videoio::{VideoWriter, VideoWriterTrait, VideoWriterTraitConst},
};
use std::{path::Path, sync::mpsc};

/// Frames per second of the camera.
pub const FPS: f64 = 25.0;
/// Name of the file in the folder of the drive.
pub const FILE: &str = "camera.mp4";
/// Encodings tried in turn: H.264 (half the size), and MPEG-4 part 2 where OpenCV's ffmpeg comes without an H.264
/// encoder. Both give exact frame counts and times.
const ENCODINGS: [[char; 4]; 2] = [['a', 'v', 'c', '1'], ['m', 'p', '4', 'v']];
/// Frames are independent of each other: this many threads draw them.
const THREADS: u64 = 2;

/// Draws and encodes `frames` frames.
pub fn write(
    renderer: &Renderer<'_>,
    calibration: &Calibration,
    frames: u64,
    path: &Path,
    progress: &mut dyn FnMut(f64),
) -> Result<()> {
    let size = Size::new(calibration.width as i32, calibration.height as i32);
    let mut writer = open(path, size)?;
    std::thread::scope(|scope| -> Result<()> {
        let drawn: Vec<mpsc::Receiver<Vec<u8>>> = (0..THREADS)
            .map(|first| {
                let (send, receive) = mpsc::sync_channel(2);
                scope.spawn(move || {
                    let mut scratch = renderer.scratch();
                    for frame in (first..frames).step_by(THREADS as usize) {
                        // The channel is closed when writing failed.
                        if send.send(renderer.frame(frame as f64 / FPS, &mut scratch)).is_err() {
                            return;
                        }
                    }
                });
                receive
            })
            .collect();
        for frame in 0..frames {
            let bytes = drawn[(frame % THREADS) as usize].recv().context("a drawing thread stopped")?;
            let mat = Mat::from_slice(&bytes)?;
            writer.write(&mat.reshape(3, size.height)?)?;
            progress((frame + 1) as f64 / frames as f64);
        }
        Ok(())
    })?;
    writer.release()?;
    Ok(())
}

fn open(path: &Path, size: Size) -> Result<VideoWriter> {
    let file = path.to_str().with_context(|| format!("{}: OpenCV needs a path in UTF-8", path.display()))?;
    for [a, b, c, d] in ENCODINGS {
        let writer = VideoWriter::new(file, VideoWriter::fourcc(a, b, c, d)?, FPS, size, true)?;
        if writer.is_opened()? {
            return Ok(writer);
        }
    }
    bail!(
        "OpenCV can write neither H.264 nor MPEG-4 to {}; is the folder writable and OpenCV built with ffmpeg (Debian: \
         libopencv-dev)?",
        path.display()
    )
}
