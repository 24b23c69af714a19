//! What the driver tends to ask for, and what follows from it.

pub mod demand;
pub(crate) mod forecast;
pub mod predictor;
pub mod store;
pub mod usage_history;
pub mod wall_clock;
