//! Where frames come from: a SocketCAN interface or a recording. Nothing here can write to a bus.
//!
//! * [`source`] is the device thread that reads one of them.
//! * [`socket`] is SocketCAN.
//! * [`log`] has the recordings.

pub mod log;
pub mod socket;
pub mod source;
