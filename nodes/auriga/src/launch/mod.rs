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
mod document;
mod error;
mod host;
mod load;
mod parameter;
mod substitution;

pub use description::{Argument, LaunchDescription, Output, Parameter, Process, Respawn};
pub use error::{LaunchError, ParameterError, Position, Problem, SubstitutionError};
pub use host::{Fixed, Machine, Surroundings};
pub use load::{arguments, load, parse_text};
pub use parameter::Value;
