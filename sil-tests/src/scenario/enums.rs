//! Enumerated values in scenario files.

use auriga_msgs::v1;
use serde::{Deserialize, Serialize};

/// Kinds of hazards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HazardKind {
    /// A collision with the lead object.
    ForwardCollision,
    /// Leaving the lane without indicator.
    LaneDeparture,
    /// A pedestrian near the path.
    Pedestrian,
    /// A sensor is silent.
    SensorLost,
}

impl HazardKind {
    /// The value in messages.
    pub fn to_message(self) -> v1::HazardKind {
        match self {
            HazardKind::ForwardCollision => v1::HazardKind::ForwardCollision,
            HazardKind::LaneDeparture => v1::HazardKind::LaneDeparture,
            HazardKind::Pedestrian => v1::HazardKind::Pedestrian,
            HazardKind::SensorLost => v1::HazardKind::SensorLost,
        }
    }
    /// Its name in scenario files.
    pub fn name(self) -> &'static str {
        self.to_message().name()
    }
}

/// Modes of the arbiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlanMode {
    /// Standing.
    Parked,
    /// Normal driving.
    Nominal,
    /// Much to do for the driver.
    Demanding,
    /// A hazard is active.
    Hazard,
    /// A sensor is lost or safety is overloaded.
    Limp,
    /// The machine is too hot.
    Thermal,
}

impl PlanMode {
    /// The value in messages.
    pub fn to_message(self) -> v1::Mode {
        match self {
            PlanMode::Parked => v1::Mode::Parked,
            PlanMode::Nominal => v1::Mode::Nominal,
            PlanMode::Demanding => v1::Mode::Demanding,
            PlanMode::Hazard => v1::Mode::Hazard,
            PlanMode::Limp => v1::Mode::Limp,
            PlanMode::Thermal => v1::Mode::Thermal,
        }
    }
    /// Its name in scenario files.
    pub fn name(self) -> &'static str {
        self.to_message().name()
    }
}

/// Severities of hazards and faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Information.
    Info,
    /// Warning.
    Warning,
    /// Critical.
    Critical,
}

impl Severity {
    /// The value in messages.
    pub fn to_message(self) -> v1::Severity {
        match self {
            Severity::Info => v1::Severity::Info,
            Severity::Warning => v1::Severity::Warning,
            Severity::Critical => v1::Severity::Critical,
        }
    }
    /// Its name in scenario files.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}
