//! Intrinsics and distortion from chessboard photos:
//! `cargo run --release -p auriga-camera --example chessboard -- PHOTO…`
//!
//! Prints the fields of a `camera.toml` that follow from photos, and the error of each photo. Boards may be cut off:
//! the inner-corner counts below are tried in turn.

use opencv::{
    calib3d,
    core::{Mat, Point2f, Point3f, Size, TermCriteria, TermCriteria_COUNT, TermCriteria_EPS, Vector, no_array},
    imgcodecs, imgproc,
    prelude::*,
};

/// Inner corners across and down.
type Pattern = (i32, i32);

const PATTERNS: [Pattern; 4] = [(9, 6), (9, 5), (7, 6), (6, 5)];

fn main() -> anyhow::Result<()> {
    opencv::core::set_num_threads(1)?;
    let (mut boards, mut corners, mut used) =
        (Vector::<Vector<Point3f>>::new(), Vector::<Vector<Point2f>>::new(), vec![]);
    let mut size = Size::default();
    for photo in std::env::args().skip(1) {
        let grey = imgcodecs::imread(&photo, imgcodecs::IMREAD_GRAYSCALE)?;
        anyhow::ensure!(!grey.empty(), "{photo}: not a readable image");
        let Some((pattern, found)) = find(&grey)? else {
            println!("# {photo}: no board");
            continue;
        };
        // Photos of a camera may differ by a pixel at the edge; the first one counts.
        size = if used.is_empty() { grey.size()? } else { size };
        let board = (0..pattern.1).flat_map(|y| (0..pattern.0).map(move |x| Point3f::new(x as f32, y as f32, 0.0)));
        boards.push(board.collect());
        corners.push(found);
        used.push(photo);
    }
    anyhow::ensure!(used.len() >= 3, "boards in {} photos, at least 3 are needed", used.len());
    let (mut k, mut d, mut per_view) = (Mat::default(), Mat::default(), Mat::default());
    let (mut rotations, mut translations) = (Vector::<Mat>::new(), Vector::<Mat>::new());
    let criteria = TermCriteria::new(TermCriteria_COUNT + TermCriteria_EPS, 100, 1e-9)?;
    let rms = calib3d::calibrate_camera_extended(
        &boards,
        &corners,
        size,
        &mut k,
        &mut d,
        &mut rotations,
        &mut translations,
        &mut no_array(),
        &mut no_array(),
        &mut per_view,
        0,
        criteria,
    )?;
    for (photo, error) in used.iter().zip(per_view.data_typed::<f64>()?) {
        println!("# {photo}: {error:.2} px");
    }
    println!("# {} photos, root mean square error {rms:.3} px", used.len());
    println!("width = {}\nheight = {}", size.width, size.height);
    let k = k.data_typed::<f64>()?;
    println!("fx = {:.2}\nfy = {:.2}\ncx = {:.2}\ncy = {:.2}", k[0], k[4], k[2], k[5]);
    for (name, value) in ["k1", "k2", "p1", "p2", "k3"].iter().zip(d.data_typed::<f64>()?) {
        println!("{name} = {value:.5}");
    }
    Ok(())
}

fn find(grey: &Mat) -> anyhow::Result<Option<(Pattern, Vector<Point2f>)>> {
    let flags = calib3d::CALIB_CB_ADAPTIVE_THRESH | calib3d::CALIB_CB_NORMALIZE_IMAGE;
    for pattern in PATTERNS {
        let mut corners = Vector::<Point2f>::new();
        if calib3d::find_chessboard_corners(grey, Size::new(pattern.0, pattern.1), &mut corners, flags)? {
            let criteria = TermCriteria::new(TermCriteria_COUNT + TermCriteria_EPS, 60, 1e-4)?;
            imgproc::corner_sub_pix(grey, &mut corners, Size::new(11, 11), Size::new(-1, -1), criteria)?;
            return Ok(Some((pattern, corners)));
        }
    }
    Ok(None)
}
