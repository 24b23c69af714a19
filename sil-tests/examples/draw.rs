//! Draws single frames of a script as PNG: `cargo run --release -p auriga-sil --example draw -- SCRIPT OUT T_S...`

use anyhow::{Context, Result};
use auriga_camera::calibration::Calibration;
use auriga_sil::generator::{
    render::Renderer,
    script::Script,
    world::{motion::Motion, road::Road},
};
use opencv::{
    core::{Mat, MatTraitConst, Vector},
    imgcodecs,
};
use std::path::PathBuf;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let script = words.next().context("usage: draw SCRIPT OUT T_S...")?;
    let out = PathBuf::from(words.next().context("usage: draw SCRIPT OUT T_S...")?);
    let script = Script::load(script)?;
    let calibration = Calibration::load(PathBuf::from("calibration").join(&script.vehicle).join("camera.toml"))?;
    let road = Road::new(&script.road);
    let motion = Motion::new(&script, &road);
    let renderer = Renderer::new(&script, &road, &motion, &calibration);
    let mut scratch = renderer.scratch();
    for word in words {
        let t_s: f64 = word.parse().with_context(|| format!("{word} is no time in seconds"))?;
        let started = std::time::Instant::now();
        let bytes = renderer.frame(t_s, &mut scratch);
        let took = started.elapsed();
        let mat = Mat::from_slice(&bytes)?;
        let path = out.join(format!("frame-{t_s:05.2}.png"));
        let path = path.to_str().context("a path in UTF-8")?;
        imgcodecs::imwrite(path, &mat.reshape(3, calibration.height as i32)?, &Vector::new())?;
        println!("{path}: s = {:.1} m, drawn in {took:.1?}", motion.ego_at(t_s).s_m);
    }
    Ok(())
}
