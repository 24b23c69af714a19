//! Everything that needs the simulation (crate `auriga_sil`): generating, replaying and playing drives, and scenarios.
//! Only with the feature `simulation`.

pub(crate) mod commands;
mod floor;
pub mod live;
mod out_folder;
mod progress;
mod serving;
mod verdict;
