//! Words that scenarios use for values of messages.

use crate::analysis::{kind_name, mode_name};
use auriga_msgs::v1;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HazardKind {
    ForwardCollision,
    LaneDeparture,
    Pedestrian,
    SensorLost,
}

impl HazardKind {
    pub fn of_message(self) -> v1::HazardKind {
        match self {
            HazardKind::ForwardCollision => v1::HazardKind::ForwardCollision,
            HazardKind::LaneDeparture => v1::HazardKind::LaneDeparture,
            HazardKind::Pedestrian => v1::HazardKind::Pedestrian,
            HazardKind::SensorLost => v1::HazardKind::SensorLost,
        }
    }
    pub fn name(self) -> &'static str {
        kind_name(self.of_message())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlanMode {
    Parked,
    Nominal,
    Demanding,
    Hazard,
    Limp,
    Thermal,
}

impl PlanMode {
    pub fn of_message(self) -> v1::Mode {
        match self {
            PlanMode::Parked => v1::Mode::Parked,
            PlanMode::Nominal => v1::Mode::Nominal,
            PlanMode::Demanding => v1::Mode::Demanding,
            PlanMode::Hazard => v1::Mode::Hazard,
            PlanMode::Limp => v1::Mode::Limp,
            PlanMode::Thermal => v1::Mode::Thermal,
        }
    }
    pub fn name(self) -> &'static str {
        mode_name(self.of_message())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    pub fn of_message(self) -> v1::Severity {
        match self {
            Severity::Info => v1::Severity::Info,
            Severity::Warning => v1::Severity::Warning,
            Severity::Critical => v1::Severity::Critical,
        }
    }
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}
