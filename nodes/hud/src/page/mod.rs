//! The live page's server.

mod client;
mod guard;
mod server;

pub use server::{Page, PageError};
