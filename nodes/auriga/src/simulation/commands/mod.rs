//! The commands that need the simulation, one module each.

pub mod drive;
pub mod generate;
pub mod replay;
pub mod sil;
