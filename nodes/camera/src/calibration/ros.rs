//! The YAML file of ROS's `camera_calibration` (`camera_info_manager` reads and writes it too).

use super::camera::{Calibration, CalibrationError, LensModel};
use serde::Deserialize;
use std::path::Path;

/// The mounting of a usual car's camera, behind the windscreen: what is taken where the file has none.
const USUAL: Mounting = Mounting { height_m: 1.3, pitch_rad: 0.0, yaw_rad: 0.0, bumper_ahead_m: 2.0 };

/// What is read of the file. The rectification of a stereo pair and the projection are left to whoever uses them: images
/// are rectified to the camera matrix itself.
#[derive(Deserialize)]
struct CameraYaml {
    image_width: u32,
    image_height: u32,
    #[serde(default)]
    camera_name: String,
    camera_matrix: Matrix,
    #[serde(default)]
    distortion_model: Option<String>,
    distortion_coefficients: Matrix,
    /// Ours; ROS's readers do not mind.
    #[serde(default)]
    mounting: Option<Mounting>,
}

#[derive(Deserialize)]
struct Matrix {
    data: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mounting {
    height_m: f64,
    pitch_rad: f64,
    yaw_rad: f64,
    bumper_ahead_m: f64,
}

pub(super) fn parse(text: &str, path: &Path) -> Result<Calibration, CalibrationError> {
    // OpenCV's FileStorage begins with a directive that is no YAML and tags its matrices.
    let text = text.strip_prefix("%YAML:1.0").unwrap_or(text).replace("!!opencv-matrix", "");
    let yaml: CameraYaml =
        serde_yaml_ng::from_str(&text).map_err(|source| CalibrationError::Yaml { path: path.to_owned(), source })?;
    let matrix = |field, expected, found: &Matrix| {
        let (path, found) = (path.to_owned(), found.data.clone());
        CalibrationError::Matrix { path, field, expected, found }
    };
    let [fx, skew, cx, b, fy, cy, c, d, one] = yaml.camera_matrix.data[..] else {
        return Err(matrix("camera_matrix", "9 numbers", &yaml.camera_matrix));
    };
    if [skew, b, c, d, one] != [0.0, 0.0, 0.0, 0.0, 1.0] {
        return Err(matrix("camera_matrix", "fx 0 cx, 0 fy cy, 0 0 1", &yaml.camera_matrix));
    }
    let name = yaml.distortion_model.as_deref().unwrap_or("plumb_bob");
    let model = match name {
        "plumb_bob" => LensModel::PlumbBob,
        "rational_polynomial" => LensModel::RationalPolynomial,
        "equidistant" => LensModel::Equidistant,
        other => return Err(CalibrationError::Model { path: path.to_owned(), model: other.to_owned() }),
    };
    let [k1, k2, p1, p2, k3, k4, k5, k6] = match (model, &yaml.distortion_coefficients.data[..]) {
        // A camera without distortion.
        (LensModel::PlumbBob, []) => [0.0; 8],
        (LensModel::PlumbBob, &[k1, k2, p1, p2]) => [k1, k2, p1, p2, 0.0, 0.0, 0.0, 0.0],
        (LensModel::PlumbBob, &[k1, k2, p1, p2, k3]) => [k1, k2, p1, p2, k3, 0.0, 0.0, 0.0],
        (LensModel::RationalPolynomial, &[k1, k2, p1, p2, k3, k4, k5, k6, ref more @ ..])
            if more.iter().all(|&m| m == 0.0) =>
        {
            [k1, k2, p1, p2, k3, k4, k5, k6]
        }
        (LensModel::Equidistant, &[k1, k2, k3, k4]) => [k1, k2, 0.0, 0.0, k3, k4, 0.0, 0.0],
        (model, _) => {
            let expected = match model {
                LensModel::PlumbBob => "4 or 5 numbers for plumb_bob",
                LensModel::RationalPolynomial => "8 numbers for rational_polynomial (thin prism: only zeros)",
                LensModel::Equidistant => "4 numbers for equidistant",
            };
            return Err(matrix("distortion_coefficients", expected, &yaml.distortion_coefficients));
        }
    };
    let mounting_assumed = yaml.mounting.is_none();
    let Mounting { height_m, pitch_rad, yaw_rad, bumper_ahead_m } = yaml.mounting.unwrap_or(USUAL);
    let frame_id = if yaml.camera_name.is_empty() { "camera_front".to_owned() } else { yaml.camera_name };
    Ok(Calibration {
        frame_id,
        width: yaml.image_width,
        height: yaml.image_height,
        fx,
        fy,
        cx,
        cy,
        model,
        k1,
        k2,
        p1,
        p2,
        k3,
        k4,
        k5,
        k6,
        height_m,
        pitch_rad,
        yaw_rad,
        bumper_ahead_m,
        mounting_assumed,
    })
}
