//! `auriga replay`.

use crate::{
    output::print,
    simulation::{
        live,
        progress::{progress_bar, show_fraction},
    },
};
use anyhow::ensure;
use auriga_msgs::Any;
use auriga_sil::replay::{self, Options, Outcome, Source};
use std::{
    fs,
    hash::{DefaultHasher, Hasher},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Play a drive or a recording through all nodes in one process, in log time: as fast as possible and deterministic.
#[derive(Debug, clap::Args)]
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
}

/// Seed of the third replay of a check, unless --shuffle gives one.
const CHECK_SEED: u64 = 1;

impl Replay {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        ensure!(self.source.exists(), "drive or recording {} does not exist", self.source.display());
        if self.check {
            return self.check();
        }
        let (outcome, hash) = self.replay("replaying", self.shuffle, self.out.as_deref())?;
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
        Ok(ExitCode::SUCCESS)
    }

    /// Replays once. The hash covers the bytes of all messages in their order.
    fn replay(&self, label: &str, shuffle: Option<u64>, out: Option<&Path>) -> anyhow::Result<(Outcome, u64)> {
        let mut options = Options::new(Source::from_path(&self.source))?;
        options.shuffle = shuffle;
        options.output = out.map(Path::to_owned);
        let bar = progress_bar(label);
        let mut hasher = DefaultHasher::new();
        let mut bytes = Vec::new();
        let mut sink = |any: &Any| {
            bytes.clear();
            any.encode(&mut bytes)?;
            hasher.write_u16(any.topic() as u16);
            hasher.write_usize(bytes.len());
            hasher.write(&bytes);
            Ok(())
        };
        let outcome = replay::run(&options, &mut |fraction| show_fraction(&bar, fraction), &mut sink)?;
        bar.finish_and_clear();
        Ok((outcome, hasher.finish()))
    }

    fn check(&self) -> anyhow::Result<ExitCode> {
        let folder = tempfile::tempdir()?;
        let mut first: Option<(Vec<u8>, u64)> = None;
        let mut same = true;
        let runs = [("first", None), ("second", None), ("shuffled", Some(self.shuffle.unwrap_or(CHECK_SEED)))];
        for (label, shuffle) in runs {
            let out = folder.path().join(format!("{label}.mcap"));
            let (outcome, hash) = self.replay(label, shuffle, Some(&out))?;
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
        Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
