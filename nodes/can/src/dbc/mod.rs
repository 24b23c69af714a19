//! CAN databases (DBC).

mod compile;
mod database;
mod message;
mod signal;

pub use database::{Database, DbcError};
pub use message::{Bits, DecodeError, EncodeError, Message};
pub use signal::{ByteOrder, Kind, Signal};
