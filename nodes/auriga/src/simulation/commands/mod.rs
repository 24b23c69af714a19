//! The commands that need the simulation.

pub mod drive;
pub mod generate;
pub mod replay;
pub mod sil;
