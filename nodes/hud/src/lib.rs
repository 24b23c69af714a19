//! The head-up display: draws over each camera frame what the driver needs to see, and collects what the live page
//! shows.

pub mod config;
pub mod dashboard;
pub mod drawing;
mod node;
pub mod page;
pub mod scene;

pub use config::{Config, DEFAULTS};
pub use dashboard::PageState;
pub use node::{Effect, HudNode};
