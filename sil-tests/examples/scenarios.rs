//! Runs scenarios, live ones skipped: `cargo run --release -p auriga-sil --example scenarios -- OUT PATH...`

use anyhow::{Context, Result};
use auriga_sil::{replay::find_root, report, scenario};
use std::path::PathBuf;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1).map(PathBuf::from);
    let out = words.next().context("usage: scenarios OUT PATH...")?;
    let loaded = scenario::load(&words.collect::<Vec<_>>())?;
    let bar = indicatif::ProgressBar::new(1000);
    let mut options = scenario::RunOptions {
        drives: out.join("drives"),
        out: out.clone(),
        root: find_root()?,
        live: None,
        progress: &mut |what, done| {
            bar.set_message(what.to_owned());
            bar.set_position((done * 1000.0) as u64);
        },
    };
    let outcomes = scenario::run(&loaded, &mut options)?;
    report::scenarios::write(&outcomes, &out)?;
    bar.finish_and_clear();
    for o in &outcomes {
        let result = if o.skipped.is_some() {
            "skipped"
        } else if o.passed() {
            "passed"
        } else {
            "FAILED"
        };
        println!("{:<28} {result}  {:.1} s in {:.1?}", o.scenario.name, o.played_s, o.wall);
        o.error.iter().for_each(|e| println!("    {e}"));
        for c in o.checks.iter().filter(|c| !c.passed) {
            println!("    expected: {}\n       found: {}", c.expected, c.found);
        }
    }
    anyhow::ensure!(!outcomes.iter().any(|o| o.failed()), "not all passed");
    Ok(())
}
