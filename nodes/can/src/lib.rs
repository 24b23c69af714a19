//! The CAN node: frames of the vehicle's bus become the vehicle's state.
//!
//! The way of a frame:
//!
//! 1. [`socket`] reads it from SocketCAN with the kernel's timestamp, or [`log`] from a recording (candump, Vector
//!    ASC). What lies ready together travels together, as one batch on `device/can`. Nothing here can write to a bus.
//! 2. [`CanNode`] counts it, finds its message in the database ([`dbc`]) by a table look-up, checks its length, and
//!    drops what is a duplicate or older than the last frame of its identifier.
//! 3. The [`mapping`] (`vss.toml`) says which of its signals are used: each is read with two shifts, converted to the
//!    unit of its target (a named field of the vehicle state, or a VSS path), and kept with its time.
//! 4. The batch goes out on `vehicle/state`, once, stamped with its newest frame; then on `can/frames`, as it came, for
//!    the recorder. Replay of a recording feeds `can/frames` back in at step 2.
//!
//! A value does not outlive its frames: one that is older than its `timeout_ms` is taken out of the state, its VSS path
//! is told once without a value, and a fault names the message that stayed away. The next frame brings it back. On a
//! bus that is silent altogether nothing is published: the table's timeout of `vehicle/state` tells of it.

pub mod dbc;
pub mod input;
pub mod mapping;
mod node;
mod state;

pub use input::{log, socket, source};
pub use node::{CanNode, Counts};

use anyhow::ensure;
use serde::Deserialize;
use std::path::PathBuf;

/// The commented defaults.
pub const DEFAULTS: &str = include_str!("../config.toml");

/// `config.toml` documents the fields.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub interface: String,
    pub log: PathBuf,
    pub dbc: PathBuf,
    pub mapping: PathBuf,
    pub filter: bool,
}

impl Config {
    /// Where frames come from. Errors name the field.
    pub fn source(&self) -> anyhow::Result<source::Source> {
        // IFNAMSIZ with its final zero.
        const LONGEST_NAME: usize = 15;
        let log = !self.log.as_os_str().is_empty();
        ensure!(
            self.interface.is_empty() || !log,
            "interface = {:?} and log = {:?}: expected one of them, leave the other empty",
            self.interface,
            self.log
        );
        ensure!(
            self.interface.len() <= LONGEST_NAME && !self.interface.contains(['/', '\0']),
            "interface = {:?}: expected a name such as \"can0\", of at most {LONGEST_NAME} letters",
            self.interface
        );
        Ok(match (self.interface.as_str(), log) {
            ("", false) => source::Source::None,
            ("", true) => source::Source::Log(self.log.clone()),
            (interface, _) => source::Source::Interface(interface.to_owned()),
        })
    }
}

/// The known name that is most like `name`, if one is like it at all.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    const LIKE: f64 = 0.6;
    let name = name.to_lowercase();
    let scored = known.map(|k| (strsim::normalized_damerau_levenshtein(&name, &k.to_lowercase()), k));
    scored.filter(|(score, _)| *score >= LIKE).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, k)| k.to_owned())
}
