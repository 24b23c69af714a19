//! Simulates a script and writes all files of the drive.

use super::{
    render::Renderer,
    script::Script,
    sensors::{
        bus,
        camera::{self, FPS},
        speech,
    },
    world::{motion::Motion, road::Road, truth},
};
use crate::drive::{MANIFEST, Manifest};
use anyhow::{Context, Result, ensure};
use auriga_camera::calibration::{Calibration, LensModel};
use serde::Serialize;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// Generates the drive of the script at `script` in the folder `out`. The folder of the vehicle is searched as
/// `calibration/<vehicle>` beside the script, above it, and above the working directory. `progress` gets the fraction
/// that is done. The manifest is written last: a folder without `drive.yaml` is an unfinished drive.
///
/// # Errors
/// When the script or the calibration cannot be used, espeak-ng is missing, or a file cannot be written.
pub fn generate(script: &Path, out: &Path, progress: &mut dyn FnMut(f64)) -> Result<()> {
    let calibration = |vehicle: &str| vehicle_folder(script, vehicle);
    let script = Script::load(script)?;
    let vehicle = calibration(&script.vehicle)?;
    generate_with(&script, &vehicle, out, progress)
}

/// As [`generate`], with the script and the folder of the vehicle.
///
/// # Errors
/// As [`generate`].
pub fn generate_with(script: &Script, vehicle: &Path, out: &Path, progress: &mut dyn FnMut(f64)) -> Result<()> {
    script.check()?;
    fs::create_dir_all(out).with_context(|| format!("cannot create the folder of the drive {}", out.display()))?;
    let manifest_path = out.join(MANIFEST);
    if manifest_path.exists() {
        fs::remove_file(&manifest_path).with_context(|| format!("cannot replace {}", manifest_path.display()))?;
    }
    progress(0.0);
    let calibration = Calibration::load(vehicle.join("camera.toml"))?;
    let model = calibration.model;
    ensure!(model == LensModel::PlumbBob, "drives are drawn through a plumb_bob lens; the calibration's is {model:?}");
    let road = Road::new(&script.road);
    let motion = Motion::new(script, &road);
    let (truths, events) = truth::compute(script, &road, &motion, FPS);

    write_lines(&out.join("truth.jsonl"), truths.iter().map(serde_json::to_string))?;

    progress(0.02);
    let transcript = speech::write(&script.speech, script.seed, script.duration_s, &out.join("speech.wav"))?;
    let button_held = speech::button_held(&script.speech, &transcript);
    bus::write(script, &road, &motion, &button_held, &vehicle.join("vehicle.dbc"), &out.join("can.log"))?;
    let heading = "# Transcript track: what is said in speech.wav, known from the script, not recognised.\n";
    write_yaml(&out.join("transcript.yaml"), heading, &transcript)?;
    progress(0.05);
    let renderer = Renderer::new(script, &road, &motion, &calibration);
    let frames = truths.len() as u64;
    camera::write(&renderer, &calibration, frames, &out.join(camera::FILE), &mut |f| progress(0.05 + 0.95 * f))?;

    let file = |name: &str| Some(PathBuf::from(name));
    let manifest = Manifest {
        name: script.name.clone(),
        vehicle: script.vehicle.clone(),
        seed: script.seed,
        duration_s: script.duration_s,
        start: script.start.clone(),
        fps: Some(FPS),
        frames: Some(frames),
        camera: file(camera::FILE),
        can: file("can.log"),
        speech: file("speech.wav"),
        transcript: file("transcript.yaml"),
        truth: file("truth.jsonl"),
        events,
    };
    write_yaml(&manifest_path, "# A generated drive. Times in seconds from its start.\n", &manifest)?;
    progress(1.0);
    Ok(())
}

/// Finds `calibration/<vehicle>` beside the script or above it, or above the working directory.
fn vehicle_folder(script: &Path, vehicle: &str) -> Result<PathBuf> {
    let script = fs::canonicalize(script).unwrap_or_else(|_| script.to_owned());
    let here = std::env::current_dir().unwrap_or_default();
    let folders = script.ancestors().skip(1).chain(here.ancestors());
    let mut candidates = folders.map(|folder| folder.join("calibration").join(vehicle));
    candidates.find(|folder| folder.join("camera.toml").is_file()).with_context(|| {
        format!(
            "vehicle = {vehicle}: no calibration/{vehicle}/camera.toml beside or above {} or {}",
            script.display(),
            here.display()
        )
    })
}

fn write_lines(path: &Path, lines: impl Iterator<Item = serde_json::Result<String>>) -> Result<()> {
    let file = fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut file = std::io::BufWriter::new(file);
    for line in lines {
        writeln!(file, "{}", line?).with_context(|| format!("cannot write {}", path.display()))?;
    }
    file.flush().with_context(|| format!("cannot write {}", path.display()))
}

fn write_yaml(path: &Path, heading: &str, value: &impl Serialize) -> Result<()> {
    let text = format!("{heading}{}", serde_yaml_ng::to_string(value)?);
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
