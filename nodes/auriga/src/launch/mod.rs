//! Launch files: a documented subset of ROS 2's launch XML, evaluated as `ros2 launch` does. What is not in the
//! subset is an error with its place in the file, never ignored.
//!
//! ```no_run,standalone_crate
//! use auriga::launch;
//! let text = r#"<launch>
//!   <arg name="device" default="/dev/video0"/>
//!   <node pkg="auriga" exec="camera"> <param name="device" value="$(var device)" type="str"/> </node>
//! </launch>"#;
//! let launch = launch::parse_text(text, "camera.launch.xml".as_ref())?;
//! assert_eq!(launch.processes[0].command_line(), ["--ros-args", "-p", "device:=/dev/video0"]);
//! # Ok::<(), launch::LaunchError>(())
//! ```

mod description;
mod element;
mod error;
mod evaluate;
mod expression;
mod parameter;
mod substitution;
mod surroundings;
mod words;

pub use description::{Argument, LaunchDescription, Output, Parameter, Process, Respawn};
pub use error::{LaunchError, ParameterError, Position, Problem, SubstitutionError};
pub use parameter::Value;
pub use surroundings::{Fixed, Machine, Surroundings};

use std::path::Path;

/// Evaluates the launch file at `path` with `arguments` (name and value, as `name:=value` on a command line).
pub fn load(
    path: &Path,
    arguments: &[(String, String)],
    surroundings: &dyn Surroundings,
) -> Result<LaunchDescription, LaunchError> {
    evaluate::file(path, arguments, surroundings)
}

/// Evaluates `text`, said to be the file `path`, on a machine on which all packages called `auriga` exist, without
/// arguments: for checking and for fuzzing.
pub fn parse_text(text: &str, path: &Path) -> Result<LaunchDescription, LaunchError> {
    let surroundings = Fixed { files: [(path.to_owned(), text.to_owned())].into(), ..Fixed::default() };
    load(path, &[], &surroundings)
}

/// What a launch file declares, for `--show-args`: the arguments of the file itself, not of its includes, without
/// evaluating anything.
pub fn arguments(path: &Path, surroundings: &dyn Surroundings) -> Result<Vec<Argument>, LaunchError> {
    evaluate::declared(path, surroundings)
}
