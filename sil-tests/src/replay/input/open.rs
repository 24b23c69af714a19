//! Opens the input of a replay.

use super::{drive, recording, source::Input};
use crate::{
    drive::{Drive, MANIFEST},
    replay::options::{Options, Source},
};
use anyhow::Result;
use auriga_runtime::Nanos;
use std::time::Duration;

/// Opens the source and cuts it to the part that is played.
pub(in crate::replay) fn open(options: &Options) -> Result<Input> {
    let mut input = match &options.source {
        Source::Drive(folder) => {
            let rosbag = folder.join("metadata.yaml").is_file() && !folder.join(MANIFEST).is_file();
            anyhow::ensure!(
                !rosbag,
                "{}: it is a folder of rosbag2 (metadata.yaml), not a drive ({MANIFEST}) or a recording (MCAP) of Auriga",
                folder.display()
            );
            drive::open(Drive::open(folder)?, options)?
        }
        Source::Recording(path) => recording::open(path, options)?,
    };
    let (from, to) = (options.from_s, options.to_s);
    anyhow::ensure!(from >= 0.0 && to > from, "from {from} s to {to} s: expected 0 <= from < to");
    let begin = input.start + Duration::from_secs_f64(from);
    let end = Duration::try_from_secs_f64(to).map_or(Nanos(u64::MAX), |to| input.start + to);
    let within = input.stream.skip_while(move |i| i.as_ref().is_ok_and(|(t, _)| *t < begin));
    input.stream = Box::new(within.take_while(move |i| i.as_ref().map_or(true, |(t, _)| *t < end)));
    Ok(input)
}
