//! The state kept between frames.
//!
//! * [`signal_values`]: the newest value of each mapped signal, with expiry and change detection.
//! * [`origins`]: the bus and the source address of each message.
//! * [`reordering`]: rejects duplicates and frames older than the last of their message.

pub mod origins;
pub mod reordering;
pub mod signal_values;
