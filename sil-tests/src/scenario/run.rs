//! Runs scenarios.

use super::{
    file::{Loaded, Mode, Scenario},
    live::{LiveKill, LivePlan, LiveRunner},
    outcome::Outcome,
};
use crate::{
    analysis::{DriveRun, Inputs, Known, Observations},
    drive::Drive,
    generator::cache,
    replay::{self, Options, Param, Source},
};
use anyhow::{Context, Result};
use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Gets what is being done, and the fraction of it that is done; from one thread at a time.
type Progress<'a> = dyn FnMut(&str, f64) + Send + 'a;

/// What a scenario plays, and the generated drive with its ground truth, where it is one.
type Played = (Source, Option<Drive>);

/// How scenarios are run.
pub struct RunOptions<'a> {
    /// Folder for the recordings of live drives.
    pub out: PathBuf,
    /// Folder in which generated drives are cached.
    pub drives: PathBuf,
    /// The folder with calibration/, launch/, models/ and sil-tests/.
    pub root: PathBuf,
    /// Runs live scenarios; without it they are skipped.
    pub live: Option<&'a mut dyn LiveRunner>,
    /// Gets what is being done, and the fraction of it that is done.
    pub progress: &'a mut Progress<'a>,
}

impl RunOptions<'_> {
    /// The script of the shipped drive.
    fn shipped(&self) -> PathBuf {
        self.root.join("sil-tests/drive.yaml")
    }
}

/// Runs all scenarios: first their drives are generated (which uses all cores by itself), then replays run on all cores,
/// then live scenarios one by one, each with the machine for itself. A scenario that cannot be run has failed.
///
/// # Errors
/// When the folder of the results cannot be created.
pub fn run(scenarios: &[Loaded], options: &mut RunOptions<'_>) -> Result<Vec<Outcome>> {
    std::fs::create_dir_all(&options.out).with_context(|| format!("the folder {}", options.out.display()))?;
    let live = options.live.is_some();
    let played: Vec<Option<Result<Played>>> = scenarios
        .iter()
        .map(|loaded| (loaded.scenario.mode == Mode::Replay || live).then(|| source_of(loaded, options)))
        .collect();
    let mut outcomes = replay_all(scenarios, &played, &options.root, &mut *options.progress);
    for ((loaded, played), outcome) in scenarios.iter().zip(&played).zip(&mut outcomes) {
        if loaded.scenario.mode == Mode::Live {
            *outcome = Some(finish(loaded, played, |(_, drive)| driven(&loaded.scenario, drive.as_ref(), options)));
        }
    }
    Ok(outcomes.into_iter().flatten().collect())
}

/// The outcomes of the scenarios that are replays.
fn replay_all(
    scenarios: &[Loaded],
    played: &[Option<Result<Played>>],
    root: &Path,
    progress: &mut Progress<'_>,
) -> Vec<Option<Outcome>> {
    let progress = Mutex::new(progress);
    let next = AtomicUsize::new(0);
    let outcomes: Vec<OnceLock<Outcome>> = scenarios.iter().map(|_| OnceLock::new()).collect();
    let work = || {
        while let Some(i) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|i| *i < scenarios.len()) {
            let loaded = &scenarios[i];
            if loaded.scenario.mode == Mode::Replay {
                let what = format!("{}: replay", loaded.scenario.name);
                let mut progress = |fraction| {
                    let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                    progress(&what, fraction);
                };
                outcomes[i]
                    .get_or_init(|| finish(loaded, &played[i], |p| replayed(&loaded.scenario, p, root, &mut progress)));
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    outcomes.into_iter().map(OnceLock::into_inner).collect()
}

/// Runs one scenario on what it plays, and compares with what is expected.
fn finish(loaded: &Loaded, played: &Option<Result<Played>>, run: impl FnOnce(&Played) -> Result<DriveRun>) -> Outcome {
    let mut outcome = Outcome {
        path: loaded.path.clone(),
        scenario: loaded.scenario.clone(),
        checks: Vec::new(),
        error: None,
        skipped: None,
        wall: Duration::ZERO,
        played_s: 0.0,
        run: None,
        verdict: None,
    };
    let began = Instant::now();
    match played {
        None => outcome.skipped = Some("a live scenario needs a launcher: run it with `auriga sil`"),
        Some(Err(e)) => outcome.error = Some(format!("{e:#}")),
        Some(Ok(played)) => match run(played) {
            Ok(run) => {
                outcome.wall = began.elapsed();
                outcome.played_s = run.to_s - run.from_s;
                outcome.checks = loaded.scenario.expect.evaluate(&run);
                outcome.verdict = Some(run.verdict());
                outcome.run = Some(run);
            }
            Err(e) => outcome.error = Some(format!("{e:#}")),
        },
    }
    outcome
}

/// The source of the replay; a drive is generated if needed.
fn source_of(loaded: &Loaded, options: &mut RunOptions<'_>) -> Result<Played> {
    let beside = loaded.path.parent().unwrap_or(Path::new(""));
    let spec = &loaded.scenario.drive;
    if let Some(recorded) = &spec.recorded {
        let source = Source::from_path(&beside.join(recorded));
        let drive = replay::drive_of(&source)?;
        return Ok((source, drive));
    }
    let script = spec.script(beside, &options.shipped())?;
    let vehicle = options.root.join("calibration").join(&script.vehicle);
    let what = format!("{}: generating its drive", loaded.scenario.name);
    let progress = &mut options.progress;
    let drive = cache::load_or_generate(&script, &vehicle, &options.drives, &mut |f| progress(&what, f))?;
    Ok((Source::Drive(drive.folder.clone()), Some(drive)))
}

fn replayed(
    scenario: &Scenario,
    (source, drive): &Played,
    root: &Path,
    progress: &mut dyn FnMut(f64),
) -> Result<DriveRun> {
    let mut replay = Options::new(source.clone())?;
    replay.root = root.to_owned();
    replay.faults = scenario.faults.clone();
    replay.from_s = scenario.from_s;
    replay.to_s = scenario.to_s.unwrap_or(f64::INFINITY);
    replay.params = params(scenario).map(|(node, key, value)| Param { node, key, value }).collect();
    let mut observed = Observations::new(replay::start_of(&replay.source)?);
    let played = replay::run(&replay, progress, &mut |any| {
        observed.record(any);
        Ok(())
    })?;
    let drive = drive.as_ref();
    let to_s = replay.to_s.min(drive.map_or(observed.end_s, |d| d.manifest.duration_s));
    let truth = drive.map_or(Ok(Vec::new()), Drive::truth)?;
    let events = drive.map_or(Vec::new(), |d| d.manifest.events.clone());
    let inputs = drive.map_or(Inputs::default(), Inputs::of_drive);
    let from_s = scenario.from_s;
    Ok(DriveRun { observed, truth, events, from_s, to_s, live: false, inputs, floor: None, damage: played.damage })
}

fn params(scenario: &Scenario) -> impl Iterator<Item = (String, String, String)> {
    let fields = scenario.params.iter().flat_map(|(node, fields)| fields.iter().map(move |f| (node, f)));
    fields.map(|(node, (key, value))| (node.clone(), key.clone(), value.clone()))
}

fn driven(scenario: &Scenario, drive: Option<&Drive>, options: &mut RunOptions<'_>) -> Result<DriveRun> {
    let drive = drive.context("drive.recorded: a live scenario plays a drive's folder, not a recording")?;
    let runner = options.live.as_mut().context("no launcher")?;
    let to_s = scenario.to_s.unwrap_or(f64::INFINITY).min(drive.manifest.duration_s);
    let out = options.out.join(&scenario.name);
    std::fs::create_dir_all(&out).with_context(|| format!("the folder {}", out.display()))?;
    let kills = scenario.faults.kill.iter().map(|k| LiveKill { node: k.node.clone(), at_s: k.at_s });
    let plan = LivePlan {
        drive: &drive.folder,
        from_s: scenario.from_s,
        to_s,
        kills: kills.collect(),
        params: params(scenario).collect(),
        out: &out,
    };
    let what = format!("{}: live", scenario.name);
    let progress = &mut options.progress;
    let recording = runner.run(&plan, &mut |f| progress(&what, f))?;
    // Before this part, processes start and catch up.
    let known = Known {
        played: Some((scenario.from_s, to_s)),
        inputs: Inputs::of_drive(drive),
        counts_from_s: Some(scenario.from_s),
    };
    let mut run = DriveRun::from_files(&auriga_recorder::recording::files(&recording), Some(drive), known)?;
    run.live = true;
    Ok(run)
}
