//! The recorder: every topic to MCAP ([`mcap_file`]).

pub mod mcap_file;
mod picture;
mod schema;

pub use picture::PictureError;
