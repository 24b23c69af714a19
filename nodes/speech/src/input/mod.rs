//! Audio in: devices, files, the front end.

pub(crate) mod audio;
pub mod capture;
pub mod device;
pub mod front_end;
pub(crate) mod level;
pub mod ring;
pub mod wav;
pub mod zone;
