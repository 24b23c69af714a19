//! Calibrations as ROS's `camera_calibration` writes them, and the lens models they name.

use auriga_camera::{
    CameraNode,
    calibration::{Calibration, CalibrationError, LensModel},
    rectify::Rectifier,
};
use auriga_msgs::{Any, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use auriga_testing::shared_data;
use proptest::prelude::*;
use std::time::Duration;

fn load(name: &str, text: &str) -> Result<Calibration, CalibrationError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    Calibration::load(path)
}

fn yaml(model: &str, coefficients: &str) -> String {
    let count = if coefficients.is_empty() { 0 } else { coefficients.split(',').count() };
    format!(
        "image_width: 320\nimage_height: 180\ncamera_name: narrow_stereo\ncamera_matrix:\n  rows: 3\n  cols: 3\n  data: [290., 0, \
         163.5, 0, 288.25, 92., 0, 0, 1]\n{model}distortion_coefficients:\n  rows: 1\n  cols: {count}\n  data: \
         [{coefficients}]\nrectification_matrix:\n  rows: 3\n  cols: 3\n  data: [1, 0, 0, 0, 1, 0, 0, 0, \
         1]\nprojection_matrix:\n  rows: 3\n  cols: 4\n  data: [280, 0, 160, 0, 0, 285, 90, 0, 0, 0, 1, 0]\n"
    )
}

#[test]
fn the_three_models_of_ros_are_read_with_their_coefficients() {
    let named = |name: &str| format!("distortion_model: {name}\n");
    let cases = [
        (named("plumb_bob"), "-0.25, 0.06, 0.001, -0.002, -0.02", LensModel::PlumbBob, 5),
        (named("plumb_bob"), "-0.25, 0.06, 0.001, -0.002", LensModel::PlumbBob, 5),
        (String::new(), "-0.25, 0.06, 0.001, -0.002, 0", LensModel::PlumbBob, 5),
        (named("plumb_bob"), "", LensModel::PlumbBob, 5),
        (
            named("rational_polynomial"),
            "18.5, -120.0, 1e-4, 2e-4, 600.0, 18.7, -117.0, 590.0",
            LensModel::RationalPolynomial,
            8,
        ),
        (named("rational_polynomial"), "1, 2, 0, 0, 3, 4, 5, 6, 0, 0, 0, 0", LensModel::RationalPolynomial, 8),
        (named("equidistant"), "-0.01, 0.02, -0.003, 0.0004", LensModel::Equidistant, 4),
    ];
    for (model, coefficients, expected, count) in cases {
        let text = yaml(&model, coefficients);
        let read = load("camera.yaml", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(
            (read.model, read.width, read.height, read.frame_id.as_str()),
            (expected, 320, 180, "narrow_stereo")
        );
        assert_eq!((read.fx, read.fy, read.cx, read.cy), (290.0, 288.25, 163.5, 92.0));
        let given: Vec<f64> = coefficients.split(',').filter_map(|c| c.trim().parse().ok()).collect();
        let found = read.distortion();
        assert_eq!(found.len(), count);
        assert!(found.iter().zip(given.iter().chain(std::iter::repeat(&0.0))).all(|(a, b)| a == b), "{found:?}");
        assert!(read.mounting_assumed);
    }
}

#[test]
fn other_models_are_refused_by_their_name_and_wrong_matrices_by_theirs() {
    for name in ["thin_prism", "fisheye", "double_sphere", "Plumb_bob", "none"] {
        let error = load("camera.yml", &yaml(&format!("distortion_model: {name}\n"), "0, 0, 0, 0, 0")).unwrap_err();
        assert!(matches!(&error, CalibrationError::Model { model, .. } if model == name), "{error}");
        assert!(error.to_string().contains(name) && error.to_string().contains("camera.yml"), "{error}");
    }
    let plumb_bob = "distortion_model: plumb_bob\n";
    let good = yaml(plumb_bob, "0, 0, 0, 0, 0");
    let cases = [
        (yaml(plumb_bob, "0.1, 0, 0"), "distortion_coefficients"),
        (yaml("distortion_model: equidistant\n", "0, 0, 0, 0, 0"), "distortion_coefficients"),
        (yaml("distortion_model: rational_polynomial\n", "0, 0, 0, 0, 0, 0, 0, 0, 0.1, 0, 0, 0"), "thin prism"),
        (good.replace("[290., 0, ", "[290., 0.4, "), "camera_matrix"),
        (good.replace("[290., 0, ", "[290., "), "camera_matrix"),
        (good.replace("[290., ", "[-290., "), "fx"),
        (good.replace("image_width: 320", "image_width: 0"), "width"),
        (good.replace("image_width: 320\n", ""), "image_width"),
        (good.replace("data", "values"), "data"),
        (yaml(plumb_bob, ".nan, 0, 0, 0, 0"), "k1"),
        ("just a text".into(), "camera.yaml"),
    ];
    for (text, word) in cases {
        let error = load("camera.yaml", &text).expect_err(&text).to_string();
        assert!(error.contains(word), "{word}: {error}");
    }
}

#[test]
fn a_mounting_in_the_yaml_is_taken_and_without_one_a_fault_says_so() {
    let text = yaml("distortion_model: plumb_bob\n", "0, 0, 0, 0, 0");
    let faults = |calibration: Calibration| {
        let mut node = CameraNode::new(calibration, Duration::from_millis(200)).unwrap();
        let mut out = Outbox::default();
        (0..30).for_each(|s| node.on_tick(Nanos::from_millis(1000 * s), &mut out));
        let messages = out.take_messages();
        messages.iter().filter(|m| matches!(m, Any::Fault(f) if f.code == "camera-mounting-assumed")).count()
    };
    assert_eq!(faults(load("a.yaml", &text).unwrap()), 1);
    let mounted = format!("{text}mounting: {{height_m: 1.1, pitch_rad: 0.03, yaw_rad: -0.01, bumper_ahead_m: 1.7}}\n");
    let read = load("a.yaml", &mounted).unwrap();
    assert_eq!((read.height_m, read.pitch_rad, read.yaw_rad, read.bumper_ahead_m), (1.1, 0.03, -0.01, 1.7));
    assert_eq!(faults(read), 0);
    let typo = mounted.replace("pitch_rad", "pitch");
    assert!(load("a.yaml", &typo).unwrap_err().to_string().contains("pitch"));
}

#[test]
fn opencvs_own_yaml_is_read_too() {
    let text = yaml("distortion_model: plumb_bob\n", "-0.25, 0.06, 0.001, -0.002, -0.02")
        .replace("camera_matrix:", "camera_matrix: !!opencv-matrix")
        .replace("coefficients:", "coefficients: !!opencv-matrix")
        .replace("  data:", "  dt: d\n  data:");
    let read = load("camera.yaml", &format!("%YAML:1.0\n---\n{text}")).unwrap();
    assert_eq!((read.k1, read.cx), (-0.25, 163.5));
}

#[test]
fn the_shared_yaml_is_read_as_it_is() {
    let Some(path) = shared_data("cases/vision/calib/plumb_bob.yaml") else { return };
    let read = Calibration::load(path).unwrap();
    assert_eq!((read.width, read.fx, read.cy, read.k3), (1280, 1161.46, 389.14, -0.10161));
}

/// A smooth picture, so that interpolation loses nothing.
fn picture(x: f64, y: f64) -> f64 {
    127.0 + 60.0 * (x * 0.07).sin() + 60.0 * (y * 0.09).cos()
}

/// Where a ray (x, y, 1) is seen, as OpenCV's documentation of calib3d states the models.
fn bend(c: &Calibration, x: f64, y: f64) -> (f64, f64) {
    let r2 = x * x + y * y;
    if c.model == LensModel::Equidistant {
        let r = r2.sqrt();
        let t = r.atan();
        let bent = t * (1.0 + c.k1 * t.powi(2) + c.k2 * t.powi(4) + c.k3 * t.powi(6) + c.k4 * t.powi(8));
        let scale = if r > 1e-9 { bent / r } else { 1.0 };
        return (x * scale, y * scale);
    }
    let over = 1.0 + c.k1 * r2 + c.k2 * r2.powi(2) + c.k3 * r2.powi(3);
    let under = 1.0 + c.k4 * r2 + c.k5 * r2.powi(2) + c.k6 * r2.powi(3);
    let radial = over / under;
    (
        x * radial + 2.0 * c.p1 * x * y + c.p2 * (r2 + 2.0 * x * x),
        y * radial + c.p1 * (r2 + 2.0 * y * y) + 2.0 * c.p2 * x * y,
    )
}

#[test]
fn each_model_is_taken_out_of_the_images() {
    let rational = "distortion_model: rational_polynomial\n";
    for text in [
        yaml("distortion_model: plumb_bob\n", "-0.25, 0.06, 0.001, -0.002, -0.02"),
        yaml(rational, "0.3, 0.1, 0.001, -0.002, 0.02, 0.6, 0.25, 0.03"),
        yaml("distortion_model: equidistant\n", "-0.05, 0.02, -0.01, 0.004"),
        // A fisheye lens bends also where its coefficients are zero.
        yaml("distortion_model: equidistant\n", "0, 0, 0, 0"),
    ] {
        let c = load("camera.yaml", &text).unwrap();
        let pixel = |u: u32, v: u32| {
            let (xd, yd) = ((f64::from(u) - c.cx) / c.fx, (f64::from(v) - c.cy) / c.fy);
            let (mut x, mut y) = (xd, yd);
            for _ in 0..100 {
                let (bx, by) = bend(&c, x, y);
                (x, y) = (x + xd - bx, y + yd - by);
            }
            picture(x * c.fx + c.cx, y * c.fy + c.cy).round() as u8
        };
        let bent: Vec<u8> = (0..180).flat_map(|v| (0..320).flat_map(move |u| [pixel(u, v); 3])).collect();
        let rectifier = Rectifier::new(c.clone()).unwrap();
        assert!(!rectifier.is_identity());
        let flat = rectifier.rectify(&bent).unwrap();
        let (mut worst, mut before) = (0.0f64, 0.0f64);
        for (v, u) in (25..155u32).flat_map(|v| (30..290u32).map(move |u| (v, u))) {
            let at = ((v * 320 + u) * 3) as usize;
            let truth = picture(u.into(), v.into());
            worst = worst.max((f64::from(flat[at]) - truth).abs());
            before = before.max((f64::from(bent[at]) - truth).abs());
        }
        assert!(worst < 3.0 && before > 10.0, "{:?}: off by {worst}, before {before}", c.model);
    }
}

#[test]
fn toml_takes_the_models_too_and_refuses_coefficients_of_another() {
    let base = "frame_id = 'f'\nwidth = 320\nheight = 180\nfx = 290.0\nfy = 290.0\ncx = 160.0\ncy = 90.0\nk1 = 0.1\nk2 = 0.0\n\
                p1 = 0.0\np2 = 0.0\nk3 = 0.0\nheight_m = 1.3\npitch_rad = 0.0\nyaw_rad = 0.0\nbumper_ahead_m = 2.0\n";
    assert_eq!(load("camera.toml", base).unwrap().model, LensModel::PlumbBob);
    let fisheye = format!("{base}model = 'equidistant'\nk4 = 0.01\n");
    assert_eq!(load("camera.toml", &fisheye).unwrap().distortion(), [0.1, 0.0, 0.0, 0.01]);
    for (more, field) in [("k4 = 0.1\n", "k4"), ("model = 'equidistant'\nk5 = 0.1\n", "k5"), ("model = 'x'\n", "model")]
    {
        let error = load("camera.toml", &format!("{base}{more}")).unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
}

proptest! {
    #[test]
    fn arbitrary_text_is_no_yaml_calibration(text in ".{0,300}") {
        prop_assert!(load("camera.yaml", &text).is_err());
    }

    #[test]
    fn any_numbers_are_read_or_refused(width in any::<u32>(), k in proptest::collection::vec(any::<f64>(), 0..12), m in proptest::collection::vec(any::<f64>(), 0..12)) {
        let text = format!(
            "image_width: {width}\nimage_height: 180\ncamera_matrix: {{data: {m:?}}}\ndistortion_coefficients: {{data: {k:?}}}\n"
        );
        let _ = load("camera.yaml", &text);
    }
}

/// Of the message: what other tests of this file build on.
#[test]
fn the_published_matrix_is_the_camera_matrix() {
    let c = load("camera.yaml", &yaml("distortion_model: equidistant\n", "0, 0, 0, 0")).unwrap();
    let info = c.rectified_info(v1::Header::default());
    assert_eq!((info.k[0], info.k[2], info.d), (290.0, 163.5, vec![0.0; 5]));
}
