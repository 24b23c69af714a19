//! `cargo bench -p auriga-perception`: time per frame on one core, compared with OpenCV functions for parts of the work.
//!
//! Frames: the 960x540 motorway video of the shared data where it is present, else a synthetic road. The rows alternate
//! frame by frame, so that other load on the machine affects all of them alike.

#[path = "../tests/suite/common/mod.rs"]
mod common;

use auriga_camera::{calibration::Calibration, rectify::Rectifier, source::VideoSource};
use auriga_msgs::v1;
use auriga_perception::{
    Config,
    ground::{BirdsEye, ground_homography},
    lanes::LaneDetector,
};
use auriga_runtime::Nanos;
use auriga_runtime::image::packed_bgr8;
use opencv::{
    calib3d,
    core::{BORDER_CONSTANT, Mat, Scalar, Size, Vec3b},
    imgproc,
};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Times over the frames.
const PASSES: usize = 3;

struct Row {
    name: &'static str,
    times: Vec<Duration>,
}

impl Row {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let result = std::hint::black_box(work());
        self.times.push(begin.elapsed());
        result
    }
}

fn main() -> anyhow::Result<()> {
    opencv::core::set_num_threads(1)?;
    let (frames, calibration, what) = frames()?;
    // A lens with distortion, so that rectifying is not a copy.
    let lens = Calibration { k1: -0.25, k2: 0.06, k3: -0.1, ..calibration.clone() };
    let info = calibration.rectified_info(v1::Header::default());
    let (rectifier, mut bare) = (Rectifier::new(lens.clone())?, BareOpenCv::new(&lens, &info)?);
    let region = Config::default().region()?;
    let view = || BirdsEye::new(&info, region);
    let (mut road, mut worst) = (LaneDetector::new(view()?), LaneDetector::new(view()?));
    let noise: Vec<Vec<u8>> = (1..4).map(|seed| noise(seed, frames[0].len())).collect();

    let names = [
        "rectify",
        "  cv::remap into a ready buffer",
        "  cv::undistort",
        "lanes",
        "lanes, a frame of nothing but noise",
        "  cv::warpPerspective + GaussianBlur 5x5, same frame",
    ];
    let mut rows = names.map(|name| Row { name, times: Vec::new() });
    for index in 0..PASSES * frames.len() {
        let frame = &frames[index % frames.len()];
        let at = Nanos::from_millis(40 * index as u64);
        let [rectify, remap, undistort, lanes, lanes_noise, warp] = &mut rows;
        rectify.time(|| rectifier.rectify(frame))?;
        remap.time(|| bare.remap(frame))?;
        undistort.time(|| bare.undistort(frame))?;
        lanes.time(|| road.detect(frame, at))?;
        lanes_noise.time(|| worst.detect(&noise[index % noise.len()], at))?;
        warp.time(|| bare.warp_and_blur(frame))?;
    }
    println!("{what}, one core, {} frames; ms per frame\n", rows[0].times.len());
    println!("{:<52} {:>7} {:>7} {:>7}", "", "p50", "p99", "max");
    for row in &mut rows {
        row.times.sort();
        let ms = |q: f64| row.times[((row.times.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e3;
        println!("{:<52} {:>7.2} {:>7.2} {:>7.2}", row.name, ms(0.5), ms(0.99), ms(1.0));
    }
    Ok(())
}

fn frames() -> anyhow::Result<(Vec<Vec<u8>>, Calibration, &'static str)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let calibration = Calibration::load(root.join("calibration/carnd/camera.toml"))?;
    if let Some(video) = auriga_testing::shared_data("road/solidWhiteRight.mp4") {
        let frames = VideoSource::file(video)?.map(|f| Ok(packed_bgr8(&f?.1)?.into_owned()));
        return Ok((frames.collect::<anyhow::Result<_>>()?, calibration, "motorway video 960x540"));
    }
    println!("the motorway video is absent; a synthetic road is used instead");
    let drawn = common::info();
    let k = &drawn.k;
    let calibration = Calibration {
        width: drawn.width,
        height: drawn.height,
        fx: k[0],
        fy: k[4],
        cx: k[2],
        cy: k[5],
        height_m: drawn.height_m,
        pitch_rad: drawn.pitch_rad,
        yaw_rad: drawn.yaw_rad,
        bumper_ahead_m: drawn.bumper_ahead_m,
        ..calibration
    };
    let road = |i: u64| common::Road { travelled_m: i as f64, seed: i + 1, ..Default::default() }.draw();
    Ok(((0..60).map(road).collect(), calibration, "drawn road 640x360"))
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = common::Random(seed);
    (0..length).map(|_| (random.next() * 256.0) as u8).collect()
}

/// The same library without this project around it.
struct BareOpenCv {
    size: (i32, i32),
    matrix: [f64; 9],
    distortion: Vec<f64>,
    maps: (Mat, Mat),
    homography: [f64; 9],
    out: Mat,
    blurred: Mat,
}

impl BareOpenCv {
    fn new(lens: &Calibration, info: &v1::CameraInfo) -> anyhow::Result<Self> {
        let (matrix, distortion) = (lens.matrix(), lens.distortion());
        let mut maps = (Mat::default(), Mat::default());
        let k = Mat::new_rows_cols_with_data(3, 3, &matrix)?;
        let d = Mat::from_slice(&distortion)?;
        let size = Size::new(lens.width as i32, lens.height as i32);
        let kind = opencv::core::CV_16SC2;
        calib3d::init_undistort_rectify_map(&k, &d, &Mat::default(), &k, size, kind, &mut maps.0, &mut maps.1)?;
        // The same road to the same number of pixels as the lane detector looks at.
        let above = nalgebra::Matrix3::new(0.0, -0.1, 45.0, -0.05, 0.0, 7.0, 0.0, 0.0, 1.0);
        let homography = (ground_homography(info)? * above).transpose();
        Ok(Self {
            size: (lens.height as i32, lens.width as i32),
            matrix,
            distortion: lens.distortion(),
            maps,
            homography: std::array::from_fn(|i| homography.as_slice()[i]),
            out: Mat::default(),
            blurred: Mat::default(),
        })
    }

    fn remap(&mut self, frame: &[u8]) -> opencv::Result<()> {
        let source = Mat::new_rows_cols_with_bytes::<Vec3b>(self.size.0, self.size.1, frame)?;
        let (map1, map2) = &self.maps;
        imgproc::remap(&source, &mut self.out, map1, map2, imgproc::INTER_LINEAR, BORDER_CONSTANT, Scalar::default())
    }

    fn undistort(&mut self, frame: &[u8]) -> opencv::Result<()> {
        let source = Mat::new_rows_cols_with_bytes::<Vec3b>(self.size.0, self.size.1, frame)?;
        let k = Mat::new_rows_cols_with_data(3, 3, &self.matrix)?;
        calib3d::undistort(&source, &mut self.out, &k, &Mat::from_slice(&self.distortion)?, &k)
    }

    fn warp_and_blur(&mut self, frame: &[u8]) -> opencv::Result<()> {
        let source = Mat::new_rows_cols_with_bytes::<Vec3b>(self.size.0, self.size.1, frame)?;
        let homography = Mat::new_rows_cols_with_data(3, 3, &self.homography)?;
        let flags = imgproc::INTER_LINEAR | imgproc::WARP_INVERSE_MAP;
        let size = Size::new(280, 390);
        imgproc::warp_perspective(
            &source,
            &mut self.out,
            &homography,
            size,
            flags,
            BORDER_CONSTANT,
            Scalar::default(),
        )?;
        imgproc::gaussian_blur_def(&source, &mut self.blurred, Size::new(5, 5), 0.0)
    }
}
