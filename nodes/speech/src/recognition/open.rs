//! Opens the configured model. libvosk first loads it in a child process ([`probe`]): on a damaged model libvosk ends its
//! process.

use crate::{
    config::Config,
    input::audio::SAMPLE_RATE_HZ,
    recognition::{
        model::{check::check, error::ModelError},
        types::Recogniser,
        vocabulary,
        vosk::{VoskRecogniser, load},
    },
};
use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// How long libvosk may take to load a model.
const PROBE_TIMEOUT: Duration = Duration::from_secs(60);
/// The argument that makes this node's executable load a model and exit ([`run_probe`]).
const PROBE_ARGUMENT: &str = "--probe-model";

/// A recogniser that is ready.
pub struct OpenedRecogniser {
    /// The recogniser.
    pub recogniser: Box<dyn Recogniser>,
    /// Limitations that a person should know of, such as words that are not in the model. Reported as faults.
    pub notices: Vec<String>,
}

/// Opens the configured model; `None` when no folder is configured.
///
/// # Errors
/// When a file of the model is missing, damaged, or of another kind.
pub fn open(config: &Config) -> Result<Option<OpenedRecogniser>, ModelError> {
    if config.model.as_os_str().is_empty() {
        return Ok(None);
    }
    let info = check(&config.model)?;
    let mut notices = Vec::new();
    let language = vocabulary::language_model(config, &info, &mut notices);
    let model = load(&config.model)?;
    let refused = |reason: &str| ModelError::Refused { folder: config.model.clone(), reason: reason.into() };
    let recogniser = VoskRecogniser::new(&model, &language, config.alternatives > 0);
    let recogniser = recogniser.ok_or_else(|| refused("no recogniser for 16 kHz"))?;
    Ok(Some(OpenedRecogniser { recogniser: Box::new(recogniser), notices }))
}

/// As [`open`], after libvosk has loaded the model in a child process.
///
/// # Errors
/// As [`open`], and when the child process fails.
pub fn open_probed(config: &Config) -> Result<Option<OpenedRecogniser>, ModelError> {
    if !config.model.as_os_str().is_empty() {
        check(&config.model)?;
        let refused = |e: std::io::Error| ModelError::Refused { folder: config.model.clone(), reason: e.to_string() };
        probe(&std::env::current_exe().map_err(refused)?, &config.model)?;
    }
    open(config)
}

/// Loads the model in a child process. `exe` is this node's executable.
///
/// # Errors
/// When the child does not start, ends without success, or takes longer than 60 s.
pub fn probe(exe: &Path, folder: &Path) -> Result<(), ModelError> {
    let refused = |reason: String| ModelError::Refused { folder: folder.into(), reason };
    let mut child = Command::new(exe)
        .arg(PROBE_ARGUMENT)
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| refused(format!("{} does not start: {e}", exe.display())))?;
    let deadline = Instant::now() + PROBE_TIMEOUT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(refused(status.to_string())),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            stuck => {
                // Errors of either are of no interest any more: the child is given up.
                let _ = child.kill();
                let _ = child.wait();
                return Err(refused(format!("not loaded after {} s ({stuck:?})", PROBE_TIMEOUT.as_secs())));
            }
        }
    }
}

/// The child's side of [`probe`]: when the command line asks for it, loads the model and ends the process.
pub fn run_probe() {
    let mut arguments = std::env::args_os().skip(1);
    if let (Some(PROBE_ARGUMENT), Some(folder)) = (arguments.next().as_ref().and_then(|a| a.to_str()), arguments.next())
    {
        let loads = load(Path::new(&folder))
            .is_ok_and(|model| ::vosk::Recognizer::new(&model, SAMPLE_RATE_HZ as f32).is_some());
        std::process::exit(i32::from(!loads));
    }
}
