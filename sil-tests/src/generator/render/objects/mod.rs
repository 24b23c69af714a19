//! Objects on and beside the road.

pub mod car;
pub mod scenery;
