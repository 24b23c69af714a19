//! The configuration.

use crate::input::{log, source::Source};
use anyhow::ensure;
use serde::Deserialize;
use std::path::PathBuf;

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// Longest name of a network interface: the kernel's IFNAMSIZ without the final zero.
const MAX_INTERFACE_NAME: usize = 15;

/// The configuration; `config.toml` describes each field.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The SocketCAN interface; empty: none.
    pub interface: String,
    /// The recording to play instead; empty: none.
    pub log: PathBuf,
    /// Whether the recording's times count from the start of a drive with other files.
    pub log_aligned: bool,
    /// Only frames of this bus are decoded; empty: of all.
    pub bus: String,
    /// The database of the bus.
    pub dbc: PathBuf,
    /// The mapping of its signals.
    pub mapping: PathBuf,
    /// Whether the kernel drops frames whose identifier is not in the database.
    pub filter: bool,
}

impl Config {
    /// Where frames come from.
    ///
    /// # Errors
    /// When both an interface and a recording are set, or the interface's name is not valid, naming the field.
    pub fn source(&self) -> anyhow::Result<Source> {
        let log = !self.log.as_os_str().is_empty();
        ensure!(
            self.interface.is_empty() || !log,
            "interface = {:?} and log = {:?}: expected one of them, leave the other empty",
            self.interface,
            self.log
        );
        ensure!(
            self.interface.len() <= MAX_INTERFACE_NAME && !self.interface.contains(['/', '\0']),
            "interface = {:?}: expected a name such as \"can0\", of at most {MAX_INTERFACE_NAME} characters",
            self.interface
        );
        Ok(match (self.interface.as_str(), log) {
            ("", false) => Source::None,
            ("", true) => {
                let options = log::Options { aligned: self.log_aligned, ..Default::default() };
                Source::Log(self.log.clone(), options)
            }
            (interface, _) => Source::Interface(interface.to_owned()),
        })
    }
}
