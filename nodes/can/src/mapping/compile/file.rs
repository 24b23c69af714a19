//! The contents of `vss.toml`. `calibration/README.md` describes the keys.

use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// A value older than this is removed from the vehicle state.
    pub timeout_ms: Option<Spanned<u64>>,
    /// The bus of all rows that state none.
    pub bus: Option<String>,
    #[serde(default)]
    pub signal: Vec<Spanned<SignalRow>>,
    #[serde(default)]
    pub radar: Vec<Spanned<RadarRow>>,
}

/// One signal of the bus and its targets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalRow {
    /// `MESSAGE.SIGNAL` of the DBC.
    pub from: Spanned<String>,
    /// Fields of the vehicle state and VSS paths.
    pub to: Spanned<OneOrMore>,
    /// How the values of several rows with the same target become one.
    pub combine: Option<Spanned<String>>,
    /// Only frames of this bus.
    pub bus: Option<String>,
    /// Only frames of this source address (J1939).
    pub source: Option<Spanned<i64>>,
    /// Unit of the DBC's value, if the DBC states none or a wrong one.
    pub unit: Option<Spanned<String>>,
    /// Applied to the DBC's value before its unit is converted.
    #[serde(default = "one")]
    pub scale: f64,
    #[serde(default)]
    pub offset: f64,
    /// Meanings of raw values, by number or by label of the DBC's value table.
    pub values: Option<Spanned<BTreeMap<String, Meaning>>>,
    /// Labels or raw values that mean "no value".
    #[serde(default)]
    pub absent: Vec<Spanned<Raw>>,
    /// False: the codes for "error" and "not available" are values like others.
    #[serde(default = "yes")]
    pub not_available: bool,
    /// DBC values outside mean "no value"; false: there is no such range, the DBC's is not applied either.
    pub range: Option<Spanned<RangeRow>>,
    pub timeout_ms: Option<Spanned<u64>>,
    /// Type and unit of a VSS path that is not in the built-in catalogue.
    pub vss_type: Option<VssType>,
    pub vss_unit: Option<Spanned<String>>,
}

fn one() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
pub enum RangeRow {
    Switch(bool),
    Bounds([f64; 2]),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    pub fn all(&self) -> &[String] {
        match self {
            OneOrMore::One(one) => std::slice::from_ref(one),
            OneOrMore::More(more) => more,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Meaning {
    Flag(bool),
    Number(f64),
    Label(String),
}

/// A raw value, by number or by its label in the DBC.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Raw {
    Number(i64),
    Label(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VssType {
    Number,
    Flag,
    Label,
}

/// Messages with one radar object each.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RadarRow {
    /// One message for each object; ids count up from `first_id`.
    pub messages: Spanned<Vec<String>>,
    #[serde(default)]
    pub first_id: u32,
    /// Signals of these messages: ahead, left, relative speed along the car.
    pub x: Spanned<String>,
    pub y: Spanned<String>,
    pub vx: Spanned<String>,
    /// Nonzero when there is an object; without it there always is one.
    pub valid: Option<Spanned<String>>,
    /// -1 for a radar that counts right as positive.
    #[serde(default = "one")]
    pub y_scale: f64,
    /// -1 for a radar that counts approaching as positive.
    #[serde(default = "one")]
    pub vx_scale: f64,
}
