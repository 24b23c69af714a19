//! Time of one frame in the HUD node, compared with OpenCV's JPEG encoding of the same frame.

#[path = "../tests/suite/common/mod.rs"]
mod common;

use auriga_hud::{Config, HudNode};
use auriga_msgs::node::HudInput;
use auriga_runtime::{Nanos, Node, Outbox};
use opencv::{
    core::{Mat, Vec3b, Vector},
    imgcodecs,
};
use std::{sync::Arc, time::Instant};

const FRAMES: u64 = 500;

fn main() -> anyhow::Result<()> {
    opencv::core::set_num_threads(1)?;
    println!("one core, {FRAMES} frames a row; ms per frame\n");
    println!("{:<44} {:>7} {:>7} {:>7} {:>7}", "", "p50", "p99", "p99.9", "max");
    for (width, height) in [(640, 360), (960, 540), (1280, 720)] {
        let config = Config { page_bind: String::new(), ..Config::default() };
        let quality = config.jpeg_quality;
        for (name, hazardous, decor) in
            [("warnings only", false, 0), ("all layers", false, 2), ("all layers, all warnings", true, 2)]
        {
            let mut node = HudNode::new(&config)?;
            let mut out = Outbox::default();
            let mut times = Vec::new();
            for i in 1..=FRAMES {
                let now = Nanos::from_millis(40 * i);
                for input in common::inputs(width, height, now, hazardous, decor) {
                    node.on_input(input, now, &mut out);
                }
                let image = Arc::new(common::road(width, height, now));
                let begin = Instant::now();
                node.on_input(HudInput::CameraFrontImage(image), now, &mut out);
                times.push(begin.elapsed());
                assert_eq!(out.take_messages().len(), 1);
                out.take_effects();
            }
            row(&format!("{width}x{height}, {name}"), times);
        }
        let mut times = Vec::new();
        for i in 1..=FRAMES {
            let image = common::road(width, height, Nanos::from_millis(40 * i));
            let begin = Instant::now();
            let picture = Mat::new_rows_cols_with_bytes::<Vec3b>(height as i32, width as i32, &image.data)?;
            let mut jpeg = Vector::<u8>::new();
            let quality = Vector::from_slice(&[imgcodecs::IMWRITE_JPEG_QUALITY, quality]);
            imgcodecs::imencode(".jpg", &picture, &mut jpeg, &quality)?;
            times.push(begin.elapsed());
        }
        row("  cv::imencode, the same frame", times);
    }
    Ok(())
}

fn row(name: &str, mut times: Vec<std::time::Duration>) {
    times.sort();
    let ms = |q: f64| times[((times.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e3;
    println!("{name:<44} {:>7.2} {:>7.2} {:>7.2} {:>7.2}", ms(0.5), ms(0.99), ms(0.999), ms(1.0));
}
