//! The log of a training run: rows of `training.csv`, and their plot in `training.svg`.

use crate::training::plots;
use anyhow::Context;
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

const FILE: &str = "training.csv";
const PLOT: &str = "training.svg";
/// The first column.
const STEP: &str = "step";
const LOSS: &str = "loss";

/// A log whose first column is the step.
pub(crate) struct TrainingLog {
    folder: PathBuf,
    columns: &'static [&'static str],
    rows: Vec<String>,
    file: File,
}

impl TrainingLog {
    /// Begins the log of a run that continues after `step` (0: a new run). Rows of later steps, which an interrupted run wrote
    /// after it had saved its state, are dropped: these steps are run again.
    pub fn begin(folder: &Path, columns: &'static [&'static str], step: u64) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        let old = if step == 0 { String::new() } else { fs::read_to_string(&path).unwrap_or_default() };
        let done = |row: &&str| row.split(',').next().and_then(|s| s.parse().ok()).is_some_and(|s: u64| s <= step);
        let rows: Vec<String> = old.lines().filter(done).map(String::from).collect();
        let fail = || format!("cannot write {}", path.display());
        let mut file = File::create(&path).with_context(fail)?;
        writeln!(file, "{STEP},{}", columns.join(",")).with_context(fail)?;
        for row in &rows {
            writeln!(file, "{row}").with_context(fail)?;
        }
        Ok(Self { folder: folder.into(), columns, rows, file })
    }

    /// Appends a row to the file.
    pub fn push(&mut self, row: String) -> anyhow::Result<()> {
        writeln!(self.file, "{row}").with_context(|| format!("cannot write {}", self.folder.join(FILE).display()))?;
        self.rows.push(row);
        Ok(())
    }

    /// Draws loss and accuracy; `accuracy`: the name of its column.
    pub fn plot(&self, accuracy: &str) -> anyhow::Result<()> {
        let number = |row: &str, column: usize| row.split(',').nth(column).and_then(|v| v.parse::<f64>().ok());
        let points = |name: &str| -> Vec<(f64, f64)> {
            let column = self.columns.iter().position(|c| *c == name).map_or(usize::MAX, |at| at + 1);
            self.rows.iter().filter_map(|row| number(row, 0).zip(number(row, column))).collect()
        };
        plots::training(&points(LOSS), &points(accuracy), &self.folder.join(PLOT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_after_the_saved_step_are_dropped_when_a_run_is_resumed() {
        let folder = tempfile::tempdir().unwrap();
        let columns: &[&str] = &["loss", "accuracy"];
        let mut log = TrainingLog::begin(folder.path(), columns, 0).unwrap();
        for row in ["50,2.5,", "100,2.0,0.5", "150,1.8,"] {
            log.push(row.into()).unwrap();
        }
        drop(log);
        let mut log = TrainingLog::begin(folder.path(), columns, 100).unwrap();
        log.push("150,1.7,".into()).unwrap();
        log.plot("accuracy").unwrap();
        let text = fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert_eq!(text, "step,loss,accuracy\n50,2.5,\n100,2.0,0.5\n150,1.7,\n");
        assert!(fs::read_to_string(folder.path().join(PLOT)).unwrap().contains("<svg"));
        drop(log);
        TrainingLog::begin(folder.path(), columns, 0).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), "step,loss,accuracy\n");
    }
}
