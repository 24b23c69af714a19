//! Cache of generated drives. An entry is valid as long as the generator, the script and the vehicle are the same.

use crate::{
    drive::Drive,
    generator::{generate_with, script::Script},
};
use anyhow::{Context, Result};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

/// The drive of `script` from the cache in `folder`, generated if it is not there. `vehicle` is its folder in
/// calibration/, `progress` gets the fraction that is done.
///
/// # Errors
/// As [`generate_with`].
pub fn load_or_generate(
    script: &Script,
    vehicle: &Path,
    folder: &Path,
    progress: &mut dyn FnMut(f64),
) -> Result<Drive> {
    let out = folder.join(format!("{}-{:016x}", script.name, fingerprint(script, vehicle)?));
    // The manifest is written last: a folder that opens as a drive is complete.
    if let Ok(drive) = Drive::open(&out) {
        progress(1.0);
        return Ok(drive);
    }
    generate_with(script, vehicle, &out, progress).with_context(|| format!("generating the drive {}", script.name))?;
    Ok(Drive::open(&out)?)
}

/// A hash of everything that determines the drive.
fn fingerprint(script: &Script, vehicle: &Path) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    env!("AURIGA_GENERATOR").hash(&mut hasher);
    serde_yaml_ng::to_string(script)?.hash(&mut hasher);
    let mut files: Vec<PathBuf> = std::fs::read_dir(vehicle)
        .with_context(|| format!("the vehicle's folder {}", vehicle.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    files.sort();
    for file in files.iter().filter(|f| f.is_file()) {
        std::fs::read(file).with_context(|| format!("reading {}", file.display()))?.hash(&mut hasher);
    }
    Ok(hasher.finish())
}
