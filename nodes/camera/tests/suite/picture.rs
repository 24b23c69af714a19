//! Pictures that show nothing, or not the present: faults raised and cleared, and the condition in each image.

use crate::common::{H264, HEIGHT, WIDTH, bricks, film, one_film_at_a_time};
use auriga_camera::{CameraNode, calibration::Calibration, source::VideoSource};
use auriga_msgs::{Any, node::CameraInput, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use auriga_testing::{shared_data, skip};
use opencv::{
    core::{BORDER_REFLECT, Mat, Size, Vec3b},
    imgcodecs, imgproc,
    prelude::*,
};
use proptest::prelude::*;
use std::{sync::Arc, time::Duration};
use v1::{FaultState, PictureCondition};

fn calibration(width: u32, height: u32) -> Calibration {
    let text = format!(
        "frame_id = 'camera_front'\nwidth = {width}\nheight = {height}\nfx = 290.0\nfy = 290.0\ncx = {}\ncy = {}\nk1 = 0.0\n\
         k2 = 0.0\np1 = 0.0\np2 = 0.0\nk3 = 0.0\nheight_m = 1.3\npitch_rad = 0.0\nyaw_rad = 0.0\nbumper_ahead_m = 2.0",
        width / 2,
        height / 2
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("camera.toml");
    std::fs::write(&path, text).unwrap();
    Calibration::load(path).unwrap()
}

/// A camera on a vehicle, given frames and speeds.
struct Rig {
    node: CameraNode,
    out: Outbox<CameraNode>,
    /// When, which, and whether raised.
    faults: Vec<(u64, String, bool)>,
    conditions: Vec<(u64, PictureCondition)>,
}

impl Rig {
    fn new(width: u32, height: u32) -> Self {
        let node = CameraNode::new(calibration(width, height), Duration::from_millis(200)).unwrap();
        Rig { node, out: Outbox::default(), faults: vec![], conditions: vec![] }
    }

    fn collect(&mut self, ms: u64) {
        for message in self.out.take_messages() {
            match message {
                Any::Fault(f) => match f.state() {
                    FaultState::Raised => self.faults.push((ms, f.code.clone(), true)),
                    FaultState::Cleared => self.faults.push((ms, f.code.clone(), false)),
                    _ => {}
                },
                Any::CameraFrontImage(image) => self.conditions.push((ms, image.picture())),
                _ => {}
            }
        }
    }

    fn speed(&mut self, ms: u64, speed: f64) {
        let header = Some(v1::Header::new(Nanos::from_millis(ms).0, 0));
        let state = v1::VehicleState { header, speed_mps: Some(speed), ..Default::default() };
        self.node.on_input(CameraInput::VehicleState(state.into()), Nanos::from_millis(ms), &mut self.out);
        self.collect(ms);
    }

    fn image(&mut self, ms: u64, image: v1::Image) {
        let image = v1::Image { header: Some(v1::Header::new(Nanos::from_millis(ms).0, 0)), ..image };
        self.node.on_input(CameraInput::DeviceCameraFront(Arc::new(image)), Nanos::from_millis(ms), &mut self.out);
        self.collect(ms);
    }

    fn frame(&mut self, ms: u64, pixels: Vec<u8>) {
        let (width, height) = (WIDTH as u32, HEIGHT as u32);
        let data = pixels.into();
        self.image(
            ms,
            v1::Image { width, height, step: 3 * width, encoding: "bgr8".into(), data, ..Default::default() },
        );
    }

    fn tick(&mut self, ms: u64) {
        self.node.on_tick(Nanos::from_millis(ms), &mut self.out);
        self.collect(ms);
    }

    /// The conditions that were seen, each once.
    fn seen(&self) -> Vec<PictureCondition> {
        let mut seen: Vec<_> = self.conditions.iter().map(|(_, c)| *c).collect();
        seen.dedup();
        seen
    }
}

fn blurred(pixels: &[u8], width: usize, sigma: f64) -> Vec<u8> {
    let rows = (pixels.len() / (3 * width)) as i32;
    let source = Mat::new_rows_cols_with_bytes::<Vec3b>(rows, width as i32, pixels).unwrap();
    let mut target = Mat::default();
    imgproc::gaussian_blur_def(&source, &mut target, Size::new(0, 0), sigma).unwrap();
    target.data_bytes().unwrap().to_vec()
}

/// Frames every 40 ms at 20 m/s: a second of good ones, a second and a half of others, and two good ones.
fn drive(bad: impl Fn(u64) -> Vec<u8>) -> Rig {
    let mut rig = Rig::new(WIDTH as u32, HEIGHT as u32);
    for k in 0..112 {
        rig.speed(40 * k, 20.0);
        let good = bricks(1, 3 * k as usize);
        rig.frame(40 * k, if (25..62).contains(&k) { bad(k) } else { good });
    }
    rig
}

#[test]
fn black_covered_frozen_and_blurred_pictures_are_faults_until_they_are_over() {
    let noise =
        |k: u64, i: usize, amount: u64| (i as u64 * 7919 + k * 104_729).wrapping_mul(0x9e37_79b9) >> 16 & amount;
    type Bad = Box<dyn Fn(u64) -> Vec<u8>>;
    let cases: [(&str, PictureCondition, Bad); 7] = [
        ("camera-black", PictureCondition::Black, Box::new(|_| vec![0; 3 * WIDTH * HEIGHT])),
        // A closed lens at full gain.
        (
            "camera-black",
            PictureCondition::Black,
            Box::new(move |k| (0..3 * WIDTH * HEIGHT).map(|i| 4 + noise(k, i, 7) as u8).collect()),
        ),
        // A hand, lit from one side.
        (
            "camera-covered",
            PictureCondition::Covered,
            Box::new(move |k| {
                let grey = |i: usize| 60 + (i / 3 % WIDTH / 5) as u8 + noise(k, i / 3, 3) as u8;
                (0..3 * WIDTH * HEIGHT).map(grey).collect()
            }),
        ),
        ("camera-covered", PictureCondition::Covered, Box::new(|_| vec![255; 3 * WIDTH * HEIGHT])),
        ("camera-frozen", PictureCondition::Frozen, Box::new(|_| bricks(1, 3 * 24))),
        // Sent anew by the encoder, each time a little different.
        (
            "camera-frozen",
            PictureCondition::Frozen,
            Box::new(move |k| {
                let still = bricks(1, 3 * 24);
                still.iter().enumerate().map(|(i, b)| b + noise(k, i, 3) as u8).collect()
            }),
        ),
        ("camera-blurred", PictureCondition::Blurred, Box::new(|k| blurred(&bricks(1, 3 * k as usize), WIDTH, 4.0))),
    ];
    for (i, (code, condition, bad)) in cases.into_iter().enumerate() {
        let rig = drive(bad);
        let [(raised, first, true), (cleared, second, false)] = &rig.faults[..] else {
            panic!("{i}: {code}: {:?}", rig.faults)
        };
        assert_eq!((first.as_str(), second.as_str()), (code, code), "{i}");
        // Bad from 1000 ms to 2480 ms.
        assert!((1300..=1800).contains(raised) && (2900..=3100).contains(cleared), "{i}: {code}: {raised} {cleared}");
        assert_eq!(rig.seen(), [PictureCondition::Clear, condition, PictureCondition::Clear], "{i}: {code}");
    }
}

#[test]
fn one_bad_picture_is_marked_and_no_fault() {
    let rig = drive(|k| if k == 30 { vec![0; 3 * WIDTH * HEIGHT] } else { bricks(1, 3 * k as usize) });
    assert_eq!(rig.faults, []);
    assert_eq!(rig.seen(), [PictureCondition::Clear, PictureCondition::Black, PictureCondition::Clear]);
}

#[test]
fn a_standing_vehicle_and_one_of_unknown_speed_see_the_same_for_long() {
    for speed in [Some(0.0), Some(1.5), None] {
        let mut rig = Rig::new(WIDTH as u32, HEIGHT as u32);
        for k in 0..250 {
            speed.into_iter().for_each(|v| rig.speed(40 * k, v));
            // The sensor's noise.
            let mut pixels = bricks(1, 0);
            pixels[(k as usize * 101) % 3000..][..200].iter_mut().for_each(|b| *b ^= 8);
            rig.frame(40 * k, pixels);
        }
        assert_eq!((rig.faults, rig.conditions.len()), (vec![], 250), "{speed:?}");
    }
    // To the last bit the same, of unknown speed, for ten seconds.
    let mut rig = Rig::new(WIDTH as u32, HEIGHT as u32);
    (0..250).for_each(|k| rig.frame(40 * k, bricks(1, 0)));
    assert_eq!(rig.faults.iter().map(|f| f.1.as_str()).collect::<Vec<_>>(), ["camera-frozen"]);
}

#[test]
fn a_speed_of_long_ago_or_one_that_cannot_be_freezes_nothing() {
    let mut rig = Rig::new(WIDTH as u32, HEIGHT as u32);
    rig.speed(0, 30.0);
    for k in 0..70 {
        rig.speed(40 * k, f64::NAN);
        rig.speed(40 * k, 1e9);
        rig.frame(40 * k, bricks(1, 0));
    }
    // Within half a second of the one speed it is believed.
    assert!(rig.conditions.iter().all(|(ms, c)| *c == PictureCondition::Clear || *ms <= 500), "{:?}", rig.seen());
    assert_eq!(rig.faults, []);
}

#[test]
fn a_source_that_stalls_is_a_fault_until_it_delivers_again() {
    let mut rig = Rig::new(WIDTH as u32, HEIGHT as u32);
    rig.tick(0);
    rig.tick(5000);
    assert_eq!(rig.faults, [], "what never began has not stalled");
    for k in 0..10 {
        rig.frame(5000 + 40 * k, bricks(1, 3 * k as usize));
    }
    rig.tick(5800);
    assert_eq!(rig.faults, []);
    rig.tick(5860);
    assert_eq!(rig.faults, [(5860, "camera-stalled".into(), true)]);
    rig.tick(7000);
    rig.frame(8000, bricks(1, 0));
    assert_eq!(rig.faults[1..], [(8000, "camera-stalled".to_owned(), false)]);
    rig.tick(8500);
    assert_eq!(rig.faults[2..], [(8500, "camera-stalled".to_owned(), true)]);
}

#[test]
fn a_film_that_freezes_and_goes_on_is_noticed_through_its_encoding() {
    let _alone = one_film_at_a_time();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("freeze.mp4");
    let frames = (0..25).chain(std::iter::repeat_n(25, 50)).chain(26..60);
    if film(&path, H264, frames.map(|i| bricks(1, 3 * i))).is_none() {
        return skip("OpenCV here writes no H.264");
    }
    let mut rig = Rig::new(WIDTH as u32, HEIGHT as u32);
    for (k, item) in VideoSource::file(&path).unwrap().enumerate() {
        rig.speed(40 * k as u64, 25.0);
        rig.image(40 * k as u64, item.unwrap().1);
    }
    let codes: Vec<_> = rig.faults.iter().map(|(_, code, raised)| (code.as_str(), *raised)).collect();
    assert_eq!(codes, [("camera-frozen", true), ("camera-frozen", false)], "{:?}", rig.faults);
}

fn pixels_of(image: &Mat) -> (u32, Vec<u8>) {
    (image.cols() as u32, image.data_bytes().unwrap().to_vec())
}

#[test]
fn real_roads_are_clear_and_blurred_ones_are_blurred() {
    let Some(folder) = shared_data("road/images") else { return };
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let image = imgcodecs::imread(&*path.to_string_lossy(), imgcodecs::IMREAD_COLOR).unwrap();
        let (width, pixels) = pixels_of(&image);
        let height = image.rows() as u32;
        for sigma in [0.0, 5.0] {
            let sigma = sigma * f64::from(width) / 640.0;
            let mut soft = Mat::default();
            if sigma > 0.0 {
                imgproc::gaussian_blur(&image, &mut soft, Size::new(0, 0), sigma, sigma, BORDER_REFLECT).unwrap();
            }
            let data = if sigma > 0.0 { pixels_of(&soft).1 } else { pixels.clone() };
            let mut rig = Rig::new(width, height);
            let step = 3 * width;
            rig.image(
                0,
                v1::Image { width, height, step, encoding: "bgr8".into(), data: data.into(), ..Default::default() },
            );
            let expected = if sigma > 0.0 { PictureCondition::Blurred } else { PictureCondition::Clear };
            assert_eq!(rig.seen(), [expected], "{} by {sigma}", path.display());
        }
    }
}

#[test]
fn the_shared_films_are_clear_but_for_what_was_done_to_them() {
    let Some(folder) = shared_data("cases/vision/video") else { return };
    let _alone = one_film_at_a_time();
    let faults = |file: &str| {
        let mut rig = Rig::new(640, 360);
        for item in VideoSource::file(folder.join(file)).unwrap() {
            let (time, image) = item.unwrap();
            rig.speed(time.0 / 1_000_000, 25.0);
            rig.image(time.0 / 1_000_000, image);
        }
        rig.faults.iter().map(|(_, code, raised)| format!("{code} {raised}")).collect::<Vec<_>>()
    };
    assert_eq!(faults("ok.mp4"), Vec::<String>::new());
    assert_eq!(faults("vfr.mp4"), Vec::<String>::new());
    assert_eq!(faults("corrupt.mp4"), ["camera-stream-damaged true", "camera-stream-damaged false"]);
    assert_eq!(faults("freeze3s.mp4"), ["camera-frozen true", "camera-frozen false"]);
    assert_eq!(faults("../../../road/solidWhiteRight.mp4"), ["camera-size-scaled true"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_picture_has_a_condition(width in 1usize..200, height in 1usize..80, bytes in proptest::collection::vec(any::<u8>(), 1..200)) {
        let pixels: Vec<u8> = bytes.iter().copied().cycle().take(3 * width * height).collect();
        let mut watch = auriga_camera::picture::PictureWatch::default();
        for k in 0..3 {
            let (condition, _) = watch.update(&pixels, width, Nanos::from_millis(400 * k), Some(20.0), false);
            prop_assert_ne!(condition, PictureCondition::Unspecified);
        }
    }
}
