//! What is dangerous: an assessment for each kind of hazard, and the registry of the active ones.

pub mod forward_collision;
pub mod lane_departure;
pub mod registry;
pub mod sensor_loss;
