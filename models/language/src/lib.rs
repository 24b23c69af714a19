//! The language model of the car.

pub mod catalogue;
pub mod prompt;
