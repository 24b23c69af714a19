//! The formats of recordings.

mod asc;
mod candump;
mod common;
mod csv;
mod recognise;
mod trc;

pub(super) use common::{Format, Record, Time};
pub(super) use recognise::recognise;
