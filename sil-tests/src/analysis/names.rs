//! Names of enumerated values in reports.

use auriga_msgs::v1;

/// The name of a mode; "none" where the arbiter has stated none.
pub fn mode_name(mode: v1::Mode) -> &'static str {
    match mode {
        v1::Mode::Unspecified => "none",
        mode => mode.name(),
    }
}
