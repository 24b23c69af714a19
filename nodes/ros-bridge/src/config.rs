//! The configuration.

use anyhow::ensure;
use auriga_runtime::config::{Range, check_ranges};
use serde::Deserialize;
use std::net::IpAddr;

/// The commented defaults of [`Config`].
pub const DEFAULTS: &str = include_str!("../config.toml");

/// The configuration; `config.toml` describes each field.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The DDS domain (ROS_DOMAIN_ID).
    pub domain_id: u16,
    /// Whether other machines may read the topics; else loopback only.
    pub allow_network: bool,
    /// With `allow_network`: the addresses of this machine on which the bridge announces itself; empty: all.
    pub networks: Vec<IpAddr>,
    /// The frame id of messages about the vehicle as a whole.
    pub vehicle_frame: String,
}

impl Config {
    /// The allowed values of its keys.
    pub fn ranges(&self) -> Vec<Range> {
        // RTPS 2.5, 9.6.2.3: the port numbers of higher domains would be above 65535.
        vec![Range::new("domain_id", self.domain_id, 0.0..=232.0)]
    }

    /// Checks the configuration.
    ///
    /// # Errors
    /// When a value is out of its range or contradicts another, naming the field.
    pub fn check(&self) -> anyhow::Result<()> {
        check_ranges(&self.ranges())?;
        ensure!(
            self.allow_network || self.networks.iter().all(IpAddr::is_loopback),
            "networks = {:?}: set allow_network = true to be reachable from other machines",
            self.networks
        );
        Ok(())
    }
}
