//! What is dangerous, and what of it has been published.

pub mod forward_collision;
pub mod lane_departure;
pub mod registry;
