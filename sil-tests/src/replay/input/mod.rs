//! The files of a drive, or a recording of one, as what the devices deliver.

mod drive;
mod open;
pub(super) mod recording;
mod source;

pub(super) use open::open;
pub(crate) use recording::start_of_recording;
pub(super) use source::Input;
