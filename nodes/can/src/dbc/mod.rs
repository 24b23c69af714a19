//! CAN databases (DBC): compiled once so that a signal is decoded with two shifts.
//!
//! What is not valid in a file costs itself alone: it is left out, with its line and the reason in
//! [`Database::warnings`].
//!
//! ```
//! use auriga_can::dbc::Database;
//! let text = "BO_ 416 SPEED: 8 ESC\n SG_ VEHICLE_SPEED : 7|16@0+ (0.01,0) [0|300] \"km/h\" HUD\n";
//! let database = Database::parse(text, "example.dbc")?;
//! let speed = database.message_by_name("SPEED").expect("SPEED exists");
//! let mut data = [0; 8];
//! speed.encode(&[("VEHICLE_SPEED", 90.0)], &mut data)?;
//! assert_eq!(data[..2], [0x23, 0x28]);
//! let values: Vec<f64> = speed.decode(&data).map(|(_, value)| value).collect();
//! assert_eq!(values, [90.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bits;
mod compile;
mod database;
mod error;
mod field;
mod message;
mod signal;
mod syntax;

pub use bits::Bits;
pub use database::Database;
pub(crate) use database::{parameter_group, source_address};
pub use error::DbcError;
pub use field::ByteOrder;
pub use message::{EncodeError, Message};
pub use signal::{Kind, Signal};
