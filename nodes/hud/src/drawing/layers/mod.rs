//! The layers of the overlay, each a function that draws onto the surface.

pub(super) mod objects;
pub(super) mod road;
pub(super) mod status;
pub(super) mod warnings;
