//! The input of a replay: messages of devices, from the files of a drive or from a recording.

mod drive;
mod duration;
mod open;
pub(super) mod recording;
mod source;

pub use duration::media_duration_s;
pub(super) use open::open;
pub(crate) use recording::start_of_recording;
pub(super) use source::Input;
