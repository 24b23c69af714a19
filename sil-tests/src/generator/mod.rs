//! Drives made from a script and a seed: camera, bus, cabin sound and the truth behind them.
//!
//! [`generate`] drives a [`script::Script`] once ([`world`]) and derives all files from that one motion: the camera's
//! frames ([`render`]), the CAN log and the spoken requests ([`sensors`]), and the truth ([`world::truth`]). Nothing but
//! the script, the vehicle's calibration and the speech synthesiser decides what comes out.

pub mod cache;
mod generate;
mod noise;
pub mod render;
pub mod script;
pub mod sensors;
pub mod world;

pub use generate::{generate, generate_with};
pub use sensors::camera::FPS;
