//! Names of enumerated values, as the workload table, scenario files, reports, the page and ROS 2 diagnostics have them.

use crate::v1;

impl v1::Mode {
    /// E.g. `demanding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Parked => "parked",
            Self::Nominal => "nominal",
            Self::Demanding => "demanding",
            Self::Hazard => "hazard",
            Self::Limp => "limp",
            Self::Thermal => "thermal",
        }
    }
}

impl v1::HazardKind {
    /// E.g. `forward-collision`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::ForwardCollision => "forward-collision",
            Self::LaneDeparture => "lane-departure",
            Self::Pedestrian => "pedestrian",
            Self::SensorLost => "sensor-lost",
        }
    }
}
