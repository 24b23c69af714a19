//! Real road frames (not part of the repository).

use auriga_camera::{calibration::Calibration, rectify::Rectifier, source::VideoSource};
use auriga_msgs::v1;
use auriga_perception::{Config, ground::BirdsEye, lanes::LaneDetector};
use auriga_runtime::image::packed_bgr8;
use auriga_testing::shared_data;
use std::path::Path;

/// The lanes of each frame of a video or image.
fn lanes(file: &Path, calibration: &str) -> Vec<v1::Lanes> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../calibration/carnd");
    let calibration = Calibration::load(folder.join(calibration)).unwrap();
    let region = Config::default().region().unwrap();
    let view = BirdsEye::new(&calibration.rectified_info(v1::Header::default()), region).unwrap();
    let (rectifier, mut detector) = (Rectifier::new(calibration).unwrap(), LaneDetector::new(view));
    let frames = VideoSource::file(file).unwrap();
    frames
        .map(|item| {
            let (time, image) = item.unwrap();
            let pixels = rectifier.rectify(&packed_bgr8(&image).unwrap()).unwrap();
            detector.detect(&pixels, time).unwrap()
        })
        .collect()
}

#[test]
fn the_lane_is_tracked_through_the_motorway_video() {
    let Some(file) = shared_data("road/solidWhiteRight.mp4") else { return };
    let lanes = lanes(&file, "camera.toml");
    assert_eq!(lanes.len(), 221);
    let both: Vec<&v1::Lanes> = lanes.iter().filter(|l| l.left.is_some() && l.right.is_some()).collect();
    println!("both lines in {} of {} frames", both.len(), lanes.len());
    assert!(both.len() * 100 >= lanes.len() * 95);
    for (i, l) in both.iter().enumerate() {
        let width = l.width_m.unwrap();
        // A Californian motorway lane is 3.66 m.
        assert!((3.4..=3.95).contains(&width), "frame {i}: width {width}");
        // The video shows a straight road: dashes on the left, a solid line on the right.
        assert!(l.heading_rad.unwrap().abs() < 0.03 && l.curvature_per_m.unwrap().abs() < 0.0015, "frame {i}: {l:?}");
        assert!(l.left.as_ref().unwrap().dashed && !l.right.as_ref().unwrap().dashed, "frame {i}: {l:?}");
    }
    for (i, pair) in both.windows(2).enumerate() {
        let step = pair[1].offset_m.unwrap() - pair[0].offset_m.unwrap();
        // 0.1 m in a frame of 40 ms would be 2.5 m/s sideways.
        assert!(step.abs() < 0.1, "frame {i}: the offset jumps by {step}");
    }
}

#[test]
fn the_lane_is_found_in_each_road_photo() {
    // Name, calibration, whether the left and the right line are dashed.
    let photos = [
        ("solidWhiteCurve", "camera.toml", [true, false]),
        ("solidWhiteRight", "camera.toml", [true, false]),
        ("solidYellowCurve", "camera.toml", [false, true]),
        ("solidYellowCurve2", "camera.toml", [false, true]),
        ("solidYellowLeft", "camera.toml", [false, true]),
        ("whiteCarLaneSwitch", "camera.toml", [false, true]),
        ("adv_straight_lines1", "camera_1280.toml", [false, true]),
        ("adv_test1", "camera_1280.toml", [false, true]),
        ("adv_test2", "camera_1280.toml", [false, true]),
        ("adv_test3", "camera_1280.toml", [false, true]),
    ];
    for (name, calibration, dashed) in photos {
        let Some(file) = shared_data(&format!("road/images/{name}.jpg")) else { return };
        let lanes = lanes(&file, calibration);
        let [l] = lanes.as_slice() else { panic!("{name}: {} frames", lanes.len()) };
        let (Some(left), Some(right)) = (&l.left, &l.right) else { panic!("{name}: {l:?}") };
        assert_eq!([left.dashed, right.dashed], dashed, "{name}");
        let (width, offset) = (l.width_m.unwrap(), l.offset_m.unwrap());
        println!("{name}: width {width:.2} m, offset {offset:.2} m, curvature {:.5} 1/m", l.curvature_per_m.unwrap());
        assert!((3.4..=4.0).contains(&width) && offset.abs() < 0.6, "{name}: width {width}, offset {offset}");
    }
}
