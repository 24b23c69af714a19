//! Generates a drive: `cargo run --release -p auriga-sil --example generate -- SCRIPT OUT`

use anyhow::{Context, Result};
use auriga_sil::{drive::Drive, generator};
use std::{path::Path, time::Instant};

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let usage = "usage: generate SCRIPT OUT";
    let (script, out) = (words.next().context(usage)?, words.next().context(usage)?);
    let started = Instant::now();
    let bar = indicatif::ProgressBar::new(1000);
    generator::generate(Path::new(&script), Path::new(&out), &mut |f| bar.set_position((f * 1000.0) as u64))?;
    bar.finish_and_clear();
    let drive = Drive::open(&out)?;
    println!("{out}: {:.0} s of driving generated in {:.1?}", drive.manifest.duration_s, started.elapsed());
    for event in &drive.manifest.events {
        println!("{:6.2} to {:6.2} s  {:18} {:.2}", event.start_s, event.end_s, event.kind.name(), event.value);
    }
    Ok(())
}
