//! `auriga replay`.

use crate::{
    output::print,
    simulation::{
        live,
        progress::{progress_bar, show_fraction},
        verdict::{EXIT_CODES, exit_code},
    },
};
use anyhow::ensure;
use auriga_msgs::Any;
use auriga_sil::{
    analysis::{DriveRun, Inputs, Observations, Verdict},
    replay::{self, Options, Outcome, Source},
};
use std::{
    fs,
    hash::{DefaultHasher, Hasher},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Play a drive or a recording through all nodes in one process, in log time: as fast as possible and deterministic.
///
/// Before anything else it says whether safety budgets were held: by the replay itself (messages that must come and did
/// not: time stands still while the nodes compute, so nothing is late), and by the drive that a recording is of.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, after_long_help = EXIT_CODES)]
pub struct Replay {
    /// Folder of a drive, or a recording (MCAP).
    source: PathBuf,
    /// Record all topics (MCAP).
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Run the nodes on threads in a random order of this seed; the result is the same.
    #[arg(long, value_name = "SEED")]
    shuffle: Option<u64>,
    /// Replay three times, the third time shuffled, and compare every byte.
    #[arg(long)]
    check: bool,
    /// Fail also where the machine of a recorded drive could not hold a safety budget, or its recording does not show it.
    #[arg(long)]
    strict: bool,
}

/// What one replay gave.
struct Replayed {
    outcome: Outcome,
    hash: u64,
    verdict: Verdict,
}

/// Seed of the third replay of a check, unless --shuffle gives one.
const CHECK_SEED: u64 = 1;

impl Replay {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        ensure!(self.source.exists(), "drive or recording {} does not exist", self.source.display());
        let recorded = self.recorded()?;
        if self.check {
            return self.check(recorded);
        }
        let Replayed { outcome, hash, verdict } = self.replay("replaying", self.shuffle, self.out.as_deref())?;
        let worst = self.say(recorded, verdict);
        print(format_args!(
            "{:.1} s of driving in {:.1} s: {:.1} times real time",
            outcome.played_s,
            outcome.wall.as_secs_f64(),
            outcome.speed()
        ));
        print(format_args!("{} messages, hash {hash:016x}", outcome.stats.messages));
        if let Some(out) = &self.out {
            print(format_args!("recording  {}", out.display()));
        }
        Ok(exit_code(&worst, self.strict, 0))
    }

    /// The verdict on the drive that a recording is of, as far as it shows; `None`: it is of a replay, or no recording.
    fn recorded(&self) -> anyhow::Result<Option<Verdict>> {
        let Source::Recording(path) = Source::from_path(&self.source) else { return Ok(None) };
        let run = DriveRun::from_recording(&path, None)?;
        run.damage.iter().for_each(|damage| print(format_args!("{damage}")));
        Ok(run.live.then(|| run.verdict()))
    }

    /// Prints the verdicts; returns the worse one.
    fn say(&self, recorded: Option<Verdict>, replayed: Verdict) -> Verdict {
        if let Some(recorded) = &recorded {
            print(format_args!("the recorded drive: {}", recorded.summary()));
        }
        print(format_args!("the replay: {}", replayed.summary()));
        match recorded {
            Some(recorded) if recorded.standing() > replayed.standing() => recorded,
            _ => replayed,
        }
    }

    /// Replays once. The hash covers the bytes of all messages in their order.
    fn replay(&self, label: &str, shuffle: Option<u64>, out: Option<&Path>) -> anyhow::Result<Replayed> {
        let mut options = Options::new(Source::from_path(&self.source))?;
        options.shuffle = shuffle;
        options.output = out.map(Path::to_owned);
        let bar = progress_bar(label);
        let mut hasher = DefaultHasher::new();
        let mut bytes = Vec::new();
        let mut observed = Observations::new(replay::start_of(&options.source)?);
        let mut sink = |any: &Any| {
            bytes.clear();
            any.encode(&mut bytes)?;
            hasher.write_u16(any.topic() as u16);
            hasher.write_usize(bytes.len());
            hasher.write(&bytes);
            observed.record(any);
            Ok(())
        };
        let outcome = replay::run(&options, &mut |fraction| show_fraction(&bar, fraction), &mut sink)?;
        bar.finish_and_clear();
        let drive = replay::drive_of(&options.source)?;
        let inputs = drive.as_ref().map_or(Inputs::default(), Inputs::of_drive);
        let whole = drive.map(|drive| (0.0, drive.manifest.duration_s));
        let (from_s, to_s) = whole.or(observed.input_span()).unwrap_or_default();
        let run = DriveRun {
            from_s,
            to_s,
            observed,
            truth: Vec::new(),
            events: Vec::new(),
            live: false,
            inputs,
            floor: None,
            damage: Vec::new(),
        };
        Ok(Replayed { outcome, hash: hasher.finish(), verdict: run.verdict() })
    }

    fn check(&self, recorded: Option<Verdict>) -> anyhow::Result<ExitCode> {
        let folder = tempfile::tempdir()?;
        let mut first: Option<(Vec<u8>, u64)> = None;
        let mut same = true;
        let mut worst: Option<Verdict> = None;
        let runs = [("first", None), ("second", None), ("shuffled", Some(self.shuffle.unwrap_or(CHECK_SEED)))];
        for (label, shuffle) in runs {
            let out = folder.path().join(format!("{label}.mcap"));
            let Replayed { outcome, hash, verdict } = self.replay(label, shuffle, Some(&out))?;
            if worst.is_none() {
                worst = Some(self.say(recorded.clone(), verdict));
            }
            let bytes = fs::read(&out)?;
            fs::remove_file(&out)?;
            print(format_args!(
                "{label:>9}: {} messages, hash {hash:016x}, {} bytes recorded, {:.1} times real time",
                outcome.stats.messages,
                bytes.len(),
                outcome.speed()
            ));
            match &first {
                None => first = Some((bytes, hash)),
                Some((expected, expected_hash)) => same &= *expected == bytes && *expected_hash == hash,
            }
        }
        print(if same { "identical, byte for byte" } else { "NOT identical" });
        if let (true, Some(out), Some((bytes, _))) = (same, &self.out, &first) {
            live::prepare_output(out)?;
            fs::write(out, bytes)?;
        }
        let code = u8::from(!same);
        Ok(worst.map_or(ExitCode::from(code), |worst| exit_code(&worst, self.strict, code)))
    }
}
