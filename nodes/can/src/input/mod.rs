//! Where frames come from: a SocketCAN interface or a recording. Nothing here can write to a bus.
//!
//! * [`source`]: the device thread that reads one of them.
//! * [`socket`]: SocketCAN.
//! * [`log`]: recordings.

pub mod log;
pub mod socket;
pub mod source;
