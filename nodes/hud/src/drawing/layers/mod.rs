//! The layers of the overlay.

mod objects;
mod road;
mod status;
mod warning;
