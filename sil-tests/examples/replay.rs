//! Replays a drive or a recording and reports: `cargo run --release -p auriga-sil --example replay -- SOURCE OUT.mcap`

use anyhow::{Context, Result};
use auriga_sil::{drive::Drive, replay, report};
use std::path::PathBuf;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1).map(PathBuf::from);
    let usage = "usage: replay SOURCE OUT.mcap";
    let (source, out) = (words.next().context(usage)?, words.next().context(usage)?);
    let bar = indicatif::ProgressBar::new(1000);
    let mut options = replay::Options::new(replay::Source::from_path(&source))?;
    options.output = Some(out.clone());
    let done = replay::run(&options, &mut |f| bar.set_position((f * 1000.0) as u64), &mut |_| Ok(()))?;
    bar.finish_and_clear();
    println!("{} messages, {:.1} times real time\n", done.stats.messages, done.speed());
    let drive = Drive::open(&source).ok();
    let report = report::drive::from_recording(&out, drive.as_ref())?;
    print!("{}", report.table());
    let page = out.with_extension("html");
    report.write_html(&page)?;
    println!("\n{}", page.display());
    Ok(())
}
