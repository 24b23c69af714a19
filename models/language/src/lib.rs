//! The language model of the car.

pub mod cache;
pub mod catalogue;
pub mod codec;
pub mod config;
pub mod guide;
pub mod model;
pub mod prompt;
pub mod sample;
pub mod session;
pub mod tokenizer;
pub mod turn;
pub mod weights;
