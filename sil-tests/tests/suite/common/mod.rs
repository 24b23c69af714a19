//! Shared by the tests of this crate.
#![allow(dead_code)]

use auriga_sil::{
    drive::Drive,
    generator::{self, script::Script},
};
use std::path::{Path, PathBuf};

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository").to_owned()
}

pub fn demo() -> PathBuf {
    repository().join("calibration/auriga-demo")
}

pub fn shipped() -> Script {
    Script::load(Path::new(env!("CARGO_MANIFEST_DIR")).join("drive.yaml")).expect("the shipped script")
}

/// The first seconds of the shipped drive, with one short request.
pub fn short(duration_s: f64) -> Script {
    let mut script = shipped();
    script.name = "short".into();
    script.duration_s = duration_s;
    script.ego.lane_changes.clear();
    script.ego.drifts.clear();
    script.ego.inattentive.clear();
    script.pedestrians.clear();
    script.speech.utterances.truncate(1);
    script.speech.utterances[0].t_s = 0.5;
    script.speech.utterances[0].text = "play some jazz".into();
    script.speech.utterances[0].button = true;
    script
}

pub fn made(script: &Script) -> (tempfile::TempDir, Drive) {
    let folder = tempfile::tempdir().expect("a folder");
    generator::generate_with(script, &demo(), folder.path(), &mut |_| ()).expect("a drive");
    let drive = Drive::open(folder.path()).expect("a drive that opens");
    (folder, drive)
}
