//! The live page's server: static files, the newest picture and state, and a WebSocket that carries both.
//!
//! The node's thread puts the newest picture and state into a [`PageFeed`] and never waits for a browser. A browser
//! gets the next picture when it has acknowledged the last one, so at most one is on its way to it; the same for the
//! state. A slow browser skips pictures and does not delay others.
//!
//! * [`feed`]: the newest picture and state.
//! * [`server`]: the routes.
//! * `client`: one browser's WebSocket. `guard`: which requests are served.

mod client;
pub mod feed;
mod guard;
pub mod server;

pub use feed::PageFeed;
pub use server::{PageError, serve};
