//! Launch files: a documented subset of ROS 2's launch XML, evaluated as `ros2 launch` does. Anything outside the subset
//! is an error with its place in the file, never ignored.

mod description;
mod document;
mod error;
mod host;
mod load;
mod parameter;
mod substitution;

pub use description::{Argument, Kind, LaunchDescription, Output, Parameter, Process, Respawn};
pub use error::{LaunchError, ParameterError, Position, Problem, SubstitutionError};
pub use host::{FakeHost, Host, LocalHost};
pub use load::{arguments, load, parse_text};
pub use parameter::Value;
