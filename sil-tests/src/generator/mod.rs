//! Generates drives from a script and a seed: camera video, CAN log, cabin sound and ground truth.
//!
//! [`generate`] simulates a [`script::Script`] once ([`world`]) and derives all files from that motion: the frames of the
//! camera ([`render`]), the CAN log, the spoken requests, and the ground truth ([`world::truth`]). The result depends only
//! on the script, the calibration of the vehicle and the speech synthesiser.

pub mod cache;
mod generate;
mod noise;
pub mod render;
pub mod script;
mod sensors;
pub mod world;

pub use generate::{generate, generate_with};
pub use sensors::camera::FPS;
