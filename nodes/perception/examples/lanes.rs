//! Draws the result of the lane detector: `cargo run --release -p auriga-perception --example lanes -- CAMERA.TOML OUT INPUT…`
//!
//! Each INPUT is a video or an image; of a video every tenth frame is drawn (`EVERY=n` for another), and a line of
//! figures is printed for each frame. The drawing: the lane on the frame, and the bird's-eye view with the marks.

use anyhow::Context;
use auriga_camera::{calibration::Calibration, rectify::Rectifier, source::VideoSource};
use auriga_msgs::v1;
use auriga_perception::{Config, ground::BirdsEye, lanes::LaneDetector};
use auriga_runtime::image::packed_bgr8;
use opencv::{
    core::{Mat, Point, Scalar, Size, Vec3b, Vector, hconcat},
    imgcodecs, imgproc,
    prelude::*,
};
use std::path::Path;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [calibration, out, inputs @ ..] = args.as_slice() else {
        anyhow::bail!("usage: lanes CAMERA.TOML OUT INPUT…");
    };
    let every = std::env::var("EVERY").ok().and_then(|e| e.parse().ok()).unwrap_or(10);
    opencv::core::set_num_threads(1)?;
    std::fs::create_dir_all(out)?;
    for input in inputs {
        let name = Path::new(input).file_stem().context("a file name")?.to_string_lossy().into_owned();
        run(&Calibration::load(calibration)?, input, &format!("{out}/{name}"), every)?;
    }
    Ok(())
}

fn run(calibration: &Calibration, input: &str, out: &str, every: usize) -> anyhow::Result<()> {
    let mut chain: Option<(Rectifier, LaneDetector)> = None;
    for (index, item) in VideoSource::file(input)?.enumerate() {
        let (time, image) = item?;
        if chain.is_none() {
            let calibration = calibration.scaled_to(image.width, image.height)?;
            let region = Config::default().region()?;
            let view = BirdsEye::new(&calibration.rectified_info(v1::Header::default()), region)?;
            chain = Some((Rectifier::new(calibration)?, LaneDetector::new(view)));
        }
        let Some((rectifier, detector)) = &mut chain else { continue };
        let pixels = rectifier.rectify(&packed_bgr8(&image)?)?;
        let begin = std::time::Instant::now();
        let lanes = detector.detect(&pixels, time)?;
        let text = figures(&lanes);
        println!("{out} {index:4} {text} {:.2} ms", begin.elapsed().as_secs_f64() * 1e3);
        if index % every == 0 {
            draw(&pixels, detector, &lanes, &text, &format!("{out}-{index:04}.png"))?;
        }
    }
    Ok(())
}

fn figures(lanes: &v1::Lanes) -> String {
    let line = |l: &Option<v1::LaneLine>| match l {
        Some(l) => format!("{:5.2} {:6.3} c{:.2} {}", l.c0_m, l.c1, l.confidence, if l.dashed { "--" } else { "==" }),
        None => "  -                 ".into(),
    };
    let number = |v: Option<f64>| v.map_or("-".into(), |v| format!("{v:.3}"));
    format!(
        "L {} R {} offset {} width {} curv {} head {}",
        line(&lanes.left),
        line(&lanes.right),
        number(lanes.offset_m),
        number(lanes.width_m),
        lanes.curvature_per_m.map_or("-".into(), |v| format!("{v:.5}")),
        number(lanes.heading_rad)
    )
}

fn draw(pixels: &[u8], detector: &LaneDetector, lanes: &v1::Lanes, text: &str, path: &str) -> anyhow::Result<()> {
    let view = detector.view();
    let (width, height) = view.image_size();
    let mut frame = Mat::new_rows_cols_with_bytes::<Vec3b>(height as i32, width as i32, pixels)?.try_clone()?;
    let (above, marks) = detector.last();
    let mut road =
        Mat::new_rows_cols_with_bytes::<Vec3b>(view.rows() as i32, view.cols() as i32, above)?.try_clone()?;
    for mark in marks {
        let col = ((view.region().half_width_m - f64::from(mark.y_m)) / auriga_perception::ground::COL_M) as i32;
        let shade = 80.0 + 175.0 * f64::from(mark.weight);
        imgproc::circle(&mut road, Point::new(col, mark.row.into()), 1, Scalar::new(0.0, shade, 0.0, 0.0), -1, 8, 0)?;
    }
    for (line, colour) in [(&lanes.left, (0.0, 0.0, 255.0)), (&lanes.right, (255.0, 60.0, 0.0))] {
        let Some(line) = line else { continue };
        let colour = Scalar::new(colour.0, colour.1, colour.2, 0.0);
        let (mut on_frame, mut on_road) = (Vector::<Point>::new(), Vector::<Point>::new());
        let steps = ((line.x_max_m - line.x_min_m) / 0.5) as usize;
        for x in (0..=steps).map(|i| line.x_min_m + 0.5 * i as f64) {
            let y = line.c0_m + line.c1 * x + line.c2_per_m * x * x;
            let region = view.region();
            on_road.push(Point::new(
                ((region.half_width_m - y) / auriga_perception::ground::COL_M) as i32,
                ((region.far_m - x) / auriga_perception::ground::ROW_M) as i32,
            ));
            if let Some((u, v)) = view.to_image(x, y) {
                on_frame.push(Point::new(u as i32, v as i32));
            }
        }
        imgproc::polylines(&mut frame, &on_frame, false, colour, 3, imgproc::LINE_AA, 0)?;
        imgproc::polylines(&mut road, &on_road, false, colour, 1, imgproc::LINE_AA, 0)?;
    }
    let (white, black) = (Scalar::new(255.0, 255.0, 255.0, 0.0), Scalar::default());
    for (colour, thick) in [(black, 4), (white, 1)] {
        let at = Point::new(10, 24);
        imgproc::put_text(
            &mut frame,
            text,
            at,
            imgproc::FONT_HERSHEY_SIMPLEX,
            0.5,
            colour,
            thick,
            imgproc::LINE_AA,
            false,
        )?;
    }
    let size = Size::new((height as f64 * view.cols() as f64 / view.rows() as f64) as i32, height as i32);
    let (mut resized, mut both) = (Mat::default(), Mat::default());
    imgproc::resize(&road, &mut resized, size, 0.0, 0.0, imgproc::INTER_LINEAR)?;
    hconcat(&Vector::<Mat>::from_iter([frame, resized]), &mut both)?;
    imgcodecs::imwrite(path, &both, &Vector::new())?;
    Ok(())
}
