//! Names of enumerated values, as files and pages show them.

use auriga_msgs::v1;

/// The name of a kind of hazard.
pub fn kind_name(kind: v1::HazardKind) -> &'static str {
    match kind {
        v1::HazardKind::Unspecified => "unspecified",
        v1::HazardKind::ForwardCollision => "forward-collision",
        v1::HazardKind::LaneDeparture => "lane-departure",
        v1::HazardKind::Pedestrian => "pedestrian",
        v1::HazardKind::SensorLost => "sensor-lost",
    }
}

/// The name of a mode, as in the workload table.
pub fn mode_name(mode: v1::Mode) -> &'static str {
    match mode {
        v1::Mode::Unspecified => "none",
        v1::Mode::Parked => "parked",
        v1::Mode::Nominal => "nominal",
        v1::Mode::Demanding => "demanding",
        v1::Mode::Hazard => "hazard",
        v1::Mode::Limp => "limp",
        v1::Mode::Thermal => "thermal",
    }
}
