//! Recordings: every topic of the table in MCAP (<https://mcap.dev>), readable with Foxglove and every MCAP library.
//!
//! * Messages are protobuf with their schema in the file. `log_time` is when the message was published, `publish_time`
//!   is its stamp, `sequence` its number; the message's own header says the same and the trace id.
//! * Pictures (`record = "jpeg"` in the table) are `foxglove.CompressedImage` with the header added
//!   (`proto/recorded_image.proto`); [`Reader`] gives the topic's own message back.
//! * A chunk holds one second or [`CHUNK_BYTES`], whichever ends first, and reaches the file in one piece. A recorder
//!   killed at any moment leaves a file that ends after its last whole chunk: [`Reader`] and every streaming MCAP reader
//!   read it so far.
//! * The same messages give the same bytes: no clock, no thread and no hash order has a say.
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

mod picture;
mod reader;
mod scan;
mod schema;
mod writer;

pub use picture::PictureError;
pub use reader::{Loss, Reader};
pub use writer::{Settings, WriteError, Writer};

/// A chunk ends when it holds this much, before compression.
pub const CHUNK_BYTES: usize = 4 << 20;
/// A chunk ends with the first message published this much after its first.
pub const CHUNK_DURATION: std::time::Duration = std::time::Duration::from_secs(1);
