//! Recordings: every topic of the table in MCAP (<https://mcap.dev>), readable with Foxglove and every MCAP library.
//!
//! * Messages are protobuf with their schema in the file. `log_time` is the time of publishing, `publish_time`
//!   the stamp, `sequence` the sequence number; the message's own header has the same values and the trace id.
//! * Images (`record = "jpeg"` in the table) are `foxglove.CompressedImage` with the header added
//!   (`proto/recorded_image.proto`); [`Reader`] returns the topic's own message.
//! * A chunk holds one second or [`CHUNK_BYTES`], whichever is reached first, and is written at once. A recorder that is
//!   killed leaves a file that ends after its last complete chunk; [`Reader`] and every streaming MCAP reader can read it
//!   up to there.
//! * A damaged chunk costs its own messages: [`Reader`] reports it, finds the next one and goes on. A file of another program,
//!   and two files one after the other, are refused; a second run within a file is reported and left out.
//! * The same messages give the same bytes: nothing depends on a clock, a thread or the order of a hash map.
//!
//! ```
//! use auriga_msgs::{Any, v1};
//! use auriga_recorder::mcap_file::{Reader, Settings, Writer};
//! let header = v1::Header { stamp_ns: 1_000, published_ns: 2_000, ..Default::default() };
//! let state = v1::VehicleState { header: Some(header), speed_mps: Some(13.9), ..Default::default() };
//! let mut writer = Writer::new(std::io::Cursor::new(Vec::new()), Settings::default())?;
//! writer.write(&Any::VehicleState(state.into()))?;
//! let file = writer.finish()?.into_inner();
//! let (time, message) = Reader::from_bytes(file)?.next().unwrap()?;
//! assert_eq!((time.0, message.header()), (2_000, header));
//! # anyhow::Ok(())
//! ```

mod damage;
mod image;
mod reader;
mod scan;
mod schema;
mod writer;

pub use image::ImageError;
pub use reader::{Loss, Reader};
pub use writer::{CHUNK_BYTES, CHUNK_DURATION, Settings, WriteError, Writer};
